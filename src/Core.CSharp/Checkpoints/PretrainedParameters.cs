using LocalAttention.Core.Backbones;
using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>Parameters of an earlier training, from which another one starts: fine-tuning.</summary>
public static class PretrainedParameters
{
    // What depends on the classes: the last linear layer, in the model's own names.
    private static readonly string[] Head = ["head.weight", "head.bias"];

    /// <summary>
    /// Fills a model's parameters from a file, of any format and naming. Where the file's head is for another number of
    /// classes, the model's last linear layer stays as it is, and everything else is filled.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="file">The file.</param>
    /// <returns>The classes of the file's head; 0: the model has none.</returns>
    /// <exception cref="CheckpointException">
    /// The file's tensors are not the model's, the head's classes left out of account; the model is then as it was.
    /// </exception>
    public static int LoadInto(Backbone model, WeightsFile file)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(file);
        var architecture = model.Architecture;
        var classes = ClassesIn(file, model) ?? architecture.Head.Classes;
        if (classes == architecture.Head.Classes)
        {
            Checkpoint.LoadInto(model, file);
            return classes;
        }
        using var whole = architecture.With(head: architecture.Head.WithClasses(classes)).Build(model.parameters().First().dtype);
        Checkpoint.LoadInto(whole, file);

        // Merged convolutions were made of the old parameters.
        model.unmerge_shifts();
        using var noGradient = torch.no_grad();
        var filled = whole.named_parameters().ToDictionary(named => named.name, named => named.parameter);
        foreach (var (name, parameter) in model.named_parameters())
        {
            if (!Head.Contains(name))
                parameter.copy_(filled[name]);
        }
        return classes;
    }

    /// <summary>The classes of the head in a file; none where the model or the file has no head.</summary>
    private static int? ClassesIn(WeightsFile file, Backbone model)
    {
        if (!model.named_parameters().Any(named => named.name == Head[1]))
            return null;
        var naming = ParameterNames.Detect(
            file.Entries.Select(entry => entry.Name).Where(name => !ParameterMismatch.IsDerived(name)));
        var bias = ParameterNames.TryInFile(model.Architecture, Head[1], naming)?.Name ?? Head[1];
        return file.Contains(bias) && file.Find(bias).Shape is [> 0 and <= int.MaxValue and var classes] ? (int)classes : null;
    }
}
