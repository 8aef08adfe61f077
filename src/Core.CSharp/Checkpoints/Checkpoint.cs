using LocalAttention.Core.Backbones;
using LocalAttention.Core.Specification;
using TorchSharp;
using TorchSharp.Modules;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// Models in files. Safetensors, PyTorch's and Flax's files are read, whichever a file's first bytes say it is; safetensors
/// and Flax's are written, by the name's ending. Names and layouts are those of the official code. The architecture travels
/// in a safetensors file's metadata, so that the file alone is enough to rebuild the model; the others have no place for it.
/// </summary>
public static class Checkpoint
{
    /// <summary>Metadata: the architecture as <see cref="SpecificationJson"/>.</summary>
    public const string ArchitectureKey = "local_attention.architecture";

    /// <summary>Metadata: the version of this use of safetensors.</summary>
    public const string VersionKey = "local_attention.version";

    /// <summary>Tensors under this prefix belong to the optimizer, not to the model.</summary>
    internal const string OptimizerPrefix = "optimizer.";

    private const string Version = "1";

    // The key by which other readers of safetensors tell the library that wrote a file.
    private const string FormatKey = "format";

    /// <summary>Writes a model to a file, which appears whole or not at all.</summary>
    /// <param name="model">The model.</param>
    /// <param name="path">
    /// The file; an existing one is replaced. Where its name ends in .msgpack it is Flax's, with the parameters and nothing
    /// else; otherwise it is safetensors, with the architecture.
    /// </param>
    /// <param name="metadata">More texts for the file's metadata.</param>
    /// <param name="naming">
    /// The names to write. Left out: Flax's in a Flax file; else those of the architecture's conventions, or PyTorch's where
    /// some part has no Flax name.
    /// </param>
    /// <exception cref="SpecificationException">Flax's names are asked for, and some part has none.</exception>
    /// <exception cref="CheckpointException">
    /// The file cannot be written, or has no place for texts; an existing one is unchanged.
    /// </exception>
    public static void Save(
        Backbone model, string path, IReadOnlyDictionary<string, string>? metadata = null, ParameterNaming? naming = null) =>
        Save(model, path, metadata, naming, []);

    /// <summary>Rebuilds a model from a file that holds its architecture.</summary>
    /// <param name="path">The file.</param>
    /// <param name="dtype">The parameters' type; left out: that of the file's.</param>
    /// <param name="device">The device; left out: main memory.</param>
    /// <exception cref="CheckpointException">
    /// The file is damaged, holds no architecture, or its tensors are not the architecture's.
    /// </exception>
    public static Backbone Load(string path, torch.ScalarType? dtype = null, torch.Device? device = null)
    {
        using var file = WeightsFile.Open(path);
        var architecture = ReadArchitecture(file);
        EnsureLargeEnough(file, architecture);
        var type = dtype ?? FloatingType(file);
        var model = architecture.Build(dtype: type, device: device);
        try
        {
            LoadInto(model, file);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Fills a model's parameters from a file, an official one for example; its naming is recognised, and shifts that
    /// were merged are unmerged.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">
    /// The file is damaged, or its tensors are not the model's: missing, unexpected and misshapen ones are listed together.
    /// The model is then as it was.
    /// </exception>
    public static void LoadInto(Backbone model, string path)
    {
        ArgumentNullException.ThrowIfNull(model);
        using var file = WeightsFile.Open(path);
        LoadInto(model, file);
    }

    /// <summary>The architecture that a file holds.</summary>
    /// <exception cref="CheckpointException">The file is damaged or holds no architecture.</exception>
    public static Architecture ReadArchitecture(string path)
    {
        using var file = WeightsFile.Open(path);
        return ReadArchitecture(file);
    }

    /// <summary>All tensors of a file, in main memory; the caller's to dispose.</summary>
    /// <param name="path">The file, of any format.</param>
    /// <exception cref="CheckpointException">The file cannot be read, is damaged or holds several sets of tensors.</exception>
    public static IReadOnlyDictionary<string, torch.Tensor> ReadTensors(string path)
    {
        using var file = WeightsFile.Open(path);
        var tensors = new Dictionary<string, torch.Tensor>(file.Entries.Count, StringComparer.Ordinal);
        try
        {
            foreach (var entry in file.Entries)
                tensors.Add(entry.Name, file.Read(entry.Name));
            return tensors;
        }
        catch
        {
            foreach (var tensor in tensors.Values)
                tensor.Dispose();
            throw;
        }
    }

    internal static void Save(
        Backbone model,
        string path,
        IReadOnlyDictionary<string, string>? metadata,
        ParameterNaming? naming,
        IEnumerable<(string Name, torch.Tensor Tensor)> companions)
    {
        ArgumentNullException.ThrowIfNull(model);
        var architecture = model.Architecture;
        if (WeightsFile.FormatForWriting(path) == WeightsFormat.Flax)
        {
            SaveFlax(model, path, metadata, naming ?? ParameterNaming.Flax);
            return;
        }
        var chosen = NamingFor(architecture, naming);
        var texts = new Dictionary<string, string>(metadata ?? new Dictionary<string, string>(), StringComparer.Ordinal)
        {
            [ArchitectureKey] = SpecificationJson.Write(architecture),
            [VersionKey] = Version,
            [FormatKey] = chosen == ParameterNaming.Flax ? "flax" : "pt",
        };
        using var scope = torch.NewDisposeScope();
        SafetensorsFile.Write(path, ToFile(model, chosen).Concat(companions), texts);
    }

    /// <summary>Fills a model's parameters from an open file, one part of a file with several sets of tensors for example.</summary>
    /// <param name="model">The model.</param>
    /// <param name="file">The file.</param>
    /// <exception cref="CheckpointException">Its tensors are not the model's; the model is then as it was.</exception>
    public static void LoadInto(Backbone model, WeightsFile file)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(file);
        var architecture = model.Architecture;
        var naming = ParameterNames.Detect(
            file.Entries.Select(entry => entry.Name).Where(name => !ParameterMismatch.IsDerived(name)));
        var stored = new List<(StoredParameter Stored, Parameter Parameter)>();
        foreach (var (name, parameter) in model.named_parameters())
        {
            var inFile = ParameterNames.TryInFile(architecture, name, naming) ?? new StoredParameter(name, ParameterLayout.Same);
            stored.Add((inFile, parameter));
        }
        ParameterMismatch.EnsureNone(
            file, architecture, stored.ToDictionary(each => each.Stored.Name, each => each.Stored.ShapeOf(each.Parameter.shape)));

        // Merged convolutions were made of the old parameters.
        model.unmerge_shifts();
        using var noGradient = torch.no_grad();
        foreach (var (inFile, parameter) in stored)
            Read(file, inFile, parameter);
    }

    internal static Architecture ReadArchitecture(WeightsFile file)
    {
        if (!file.Metadata.TryGetValue(ArchitectureKey, out var json))
        {
            throw new CheckpointException(
                file.Path,
                $"the metadata holds no architecture (key '{ArchitectureKey}'); build the model first and load the file into it");
        }
        if (file.Metadata.TryGetValue(VersionKey, out var version) && version != Version)
            throw new CheckpointException(file.Path, $"the file has version {version}; this library reads version {Version}");
        try
        {
            var architecture = SpecificationJson.Read(json);
            Validation.EnsureValid(architecture);
            return architecture;
        }
        catch (SpecificationException error)
        {
            throw new CheckpointException(file.Path, $"the architecture in the metadata cannot be built: {error.Message}", error);
        }
    }

    private static ParameterNaming NamingFor(Architecture architecture, ParameterNaming? asked)
    {
        var wanted = asked ?? architecture.Conventions.Naming;
        var nameless = ParameterNames.Missing(architecture, wanted);
        if (nameless.Count == 0)
            return wanted;
        return asked is null ? ParameterNaming.PyTorch : throw new SpecificationException(architecture.Name, nameless);
    }

    /// <summary>Parameters alone: a Flax file has no place for more.</summary>
    private static void SaveFlax(
        Backbone model, string path, IReadOnlyDictionary<string, string>? metadata, ParameterNaming naming)
    {
        var chosen = NamingFor(model.Architecture, naming);
        using var scope = torch.NewDisposeScope();
        WeightsFile.Write(path, ToFile(model, chosen), metadata);
    }

    private static IEnumerable<(string Name, torch.Tensor Tensor)> ToFile(Backbone model, ParameterNaming naming) =>
        model.named_parameters().Select(named => ToFile(model.Architecture, named.name, named.parameter, naming));

    private static (string Name, torch.Tensor Tensor) ToFile(
        Architecture architecture, string name, Parameter parameter, ParameterNaming naming)
    {
        var stored = ParameterNames.InFile(architecture, name, naming);
        return (stored.Name, stored.AxesToFile is { } axes ? parameter.detach().permute(axes) : parameter);
    }

    private static void Read(WeightsFile file, StoredParameter stored, Parameter parameter)
    {
        if (stored.AxesToModel is not { } axes)
        {
            file.ReadInto(stored.Name, parameter);
            return;
        }
        using var read = file.Read(stored.Name);
        using var turned = read.permute(axes);
        parameter.copy_(turned);
    }

    /// <summary>A file that cannot hold the model is refused before memory is taken for the model.</summary>
    private static void EnsureLargeEnough(WeightsFile file, Architecture architecture)
    {
        var needed = ParameterCount.Of(architecture).All;
        var held = file.Entries.Sum(entry => entry.Elements);
        if (held < needed)
        {
            throw new CheckpointException(
                file.Path, $"the tensors have {held:N0} elements together; {architecture.Name} has {needed:N0} parameters");
        }
    }

    private static torch.ScalarType FloatingType(WeightsFile file) =>
        file.Entries
            .Where(entry => !ParameterMismatch.IsDerived(entry.Name) && IsFloating(entry.Type))
            .Select(entry => entry.Type)
            .FirstOrDefault(torch.ScalarType.Float32);

    private static bool IsFloating(torch.ScalarType type) =>
        type is torch.ScalarType.Float64 or torch.ScalarType.Float32 or torch.ScalarType.Float16 or torch.ScalarType.BFloat16;
}
