using TorchSharp;

namespace LocalAttention.Core.Data;

/// <summary>The check that every label is a class, made before the tensor library sees it.</summary>
internal static class ClassLabels
{
    /// <exception cref="ArgumentException">A label is no class; names its index and value.</exception>
    public static void EnsureInRange(torch.Tensor labels, int classes, string argument)
    {
        if (FindMistake(labels, classes) is { } mistake)
            throw new ArgumentException(mistake, argument);
    }

    /// <summary>The first label that is no class, in words; none if all are.</summary>
    public static string? FindMistake(torch.Tensor labels, int classes)
    {
        using var scope = torch.NewDisposeScope();
        var wrong = labels.lt(0).logical_or(labels.ge(classes));
        if (!wrong.any().ToBoolean())
            return null;
        var position = wrong.to(torch.ScalarType.Int64).argmax().ToInt64();
        return $"label {position} is {labels[position].ToInt64()}; with {classes} classes, labels go from 0 to {classes - 1}";
    }
}
