using System.Globalization;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>Modules called one after another, each on the result of the one before.</summary>
public class Sequential : nn.Module<Tensor, Tensor>
{
    private readonly List<(string name, nn.IModule<Tensor, Tensor> module)> _modules = [];

    internal Sequential() : base(nameof(Sequential)) { }

    protected Sequential(params (string name, nn.Module<Tensor, Tensor> submodule)[] modules) : this()
    {
        foreach (var (name, submodule) in modules)
            Add(name, submodule);
    }

    protected Sequential(params nn.Module<Tensor, Tensor>[] modules) : this()
    {
        foreach (var submodule in modules)
            append(submodule);
    }

    /// <summary>The number of modules.</summary>
    public int Count => _modules.Count;

    [IndexerName("SequentialItems")]
    public nn.IModule<Tensor, Tensor> this[int index] => _modules[index].module;

    /// <summary>The modules from start (null: the first) to before end (null: the last), shared with this one.</summary>
    [IndexerName("SequentialItems")]
    public Sequential this[(int? start, int? end) index] => Slice(index.start ?? 0, index.end ?? Count);

    /// <summary>The modules of a range, shared with this one.</summary>
    [IndexerName("SequentialItems")]
    public Sequential this[Range index] => Slice(index.Start.GetOffset(Count), index.End.GetOffset(Count));

    private Sequential Slice(int start, int end)
    {
        if (start < 0 || start > Count || end < 0 || end > Count)
            throw new ArgumentOutOfRangeException(nameof(start), $"{start}..{end} does not lie within the {Count} modules.");
        var slice = new Sequential();
        for (var i = start; i < end; i++)
            slice.Add(_modules[i].name, _modules[i].module);
        return slice;
    }

    /// <summary>Adds a module under a name.</summary>
    public Sequential append(string name, nn.IModule<Tensor, Tensor> module)
    {
        Add(name, module);
        return this;
    }

    /// <summary>Adds a module under its position.</summary>
    public Sequential append(nn.IModule<Tensor, Tensor> module)
        => append(Count.ToString(CultureInfo.InvariantCulture), module);

    internal void Add(string name, nn.IModule<Tensor, Tensor> module)
    {
        if (module is not nn.Module submodule)
            throw new ArgumentException($"'{name}' is not derived from torch.nn.Module, as the parts of a Sequential must be.", nameof(module));
        register_module(name, submodule);
        _modules.Add((name, module));
    }

    public override Tensor forward(Tensor tensor)
    {
        if (_modules.Count == 0)
            return tensor.alias();
        var current = _modules[0].module.call(tensor);
        for (var i = 1; i < _modules.Count; i++)
        {
            var next = _modules[i].module.call(current);
            current.Dispose();
            current = next;
        }
        return current;
    }
}
