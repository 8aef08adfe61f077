using LocalAttention.Core.Backbones;
using TorchSharp;

namespace LocalAttention.Core.Export;

/// <summary>A part of a model by its path, such as <c>layers.0.blocks.2.attn</c>: what a graph takes parameters from.</summary>
internal sealed class ModelPart
{
    private readonly IReadOnlyDictionary<string, torch.Tensor> _parameters;
    private readonly IReadOnlyDictionary<string, torch.nn.Module> _modules;

    /// <summary>A whole model.</summary>
    public ModelPart(Backbone model)
        : this(
            "",
            model.named_parameters().ToDictionary(named => named.name, named => (torch.Tensor)named.parameter, StringComparer.Ordinal),
            model.named_modules().ToDictionary(named => named.name, named => named.module, StringComparer.Ordinal))
    {
    }

    private ModelPart(
        string path, IReadOnlyDictionary<string, torch.Tensor> parameters, IReadOnlyDictionary<string, torch.nn.Module> modules) =>
        (Path, _parameters, _modules) = (path, parameters, modules);

    /// <summary>The path; empty for the whole model.</summary>
    public string Path { get; }

    /// <summary>A part of this one.</summary>
    public ModelPart this[string name] => new(NameOf(name), _parameters, _modules);

    /// <summary>The whole name of a parameter of this part.</summary>
    public string NameOf(string parameter) => Path.Length == 0 ? parameter : $"{Path}.{parameter}";

    /// <summary>A parameter of this part.</summary>
    public torch.Tensor Parameter(string name) => _parameters[NameOf(name)];

    /// <summary>A parameter of this part, where it has it.</summary>
    public torch.Tensor? Find(string name) => _parameters.GetValueOrDefault(NameOf(name));

    /// <summary>This part's layer.</summary>
    public TLayer Layer<TLayer>()
        where TLayer : torch.nn.Module => (TLayer)_modules[Path];
}
