using System.Collections;
using System.Globalization;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>A list of parameters, each named by its position.</summary>
public class ParameterList : nn.Module, IList<Parameter>
{
    private readonly List<Parameter> _list = [];
    private bool _registered;

    public ParameterList(params Parameter[] parameters) : base(nameof(ParameterList)) => append(parameters);

    protected override void RegisterComponents()
    {
        if (_registered)
            return;
        foreach (var (name, parameter) in named_parameters(false))
            register_parameter(name, parameter);
        _registered = true;
    }

    public override IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true)
        => _list.Select((parameter, position) => (position.ToString(CultureInfo.InvariantCulture), parameter));

    public override bool has_parameter(string target) => get_parameter(target) is not null;

    public override Parameter? get_parameter(string target)
        => int.TryParse(target, NumberStyles.None, CultureInfo.InvariantCulture, out var position) && position < _list.Count
            ? _list[position]
            : null;

    protected override void _toEpilog(ScalarType? dtype, Device? device, bool non_blocking)
    {
        for (var i = 0; i < _list.Count; i++)
        {
            if (!ReplaceParameter(dtype, device, _list[i], out var replacement) || replacement is null)
                continue;
            _list[i].Dispose();
            _list[i] = replacement;
            if (_registered)
                ConditionallyRegisterParameter(i.ToString(CultureInfo.InvariantCulture), replacement);
        }
        if (device is null)
            return;
        _deviceType = device.type;
        _deviceIndex = device.index;
    }

    public Parameter this[int index]
    {
        get => _list[index];
        set => _list[index] = value;
    }

    public int Count => _list.Count;

    public bool IsReadOnly => false;

    /// <summary>Adds parameters to the end.</summary>
    public void append(params Parameter[] parameters) => extend(parameters ?? []);

    /// <summary>Adds parameters to the end.</summary>
    public void extend(IEnumerable<Parameter> parameters) => _list.AddRange(parameters);

    public void Add(Parameter item) => _list.Add(item);

    public void Insert(int index, Parameter item) => _list.Insert(index, item);

    public bool Remove(Parameter item) => _list.Remove(item);

    public void RemoveAt(int index) => _list.RemoveAt(index);

    public void Clear() => _list.Clear();

    public bool Contains(Parameter item) => _list.Contains(item);

    public int IndexOf(Parameter item) => _list.IndexOf(item);

    public void CopyTo(Parameter[] array, int arrayIndex) => _list.CopyTo(array, arrayIndex);

    public IEnumerator<Parameter> GetEnumerator() => _list.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
