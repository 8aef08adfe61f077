namespace LocalAttention.Core.Specification;

/// <summary>One mistake in a specification.</summary>
/// <param name="Place">Where it is, as a reader counts: <c>stage 2, block 3</c>.</param>
/// <param name="Mistake">What is wrong, with the value.</param>
/// <param name="Remedy">What would be right, with the nearest values that are.</param>
public sealed record Problem(string Place, string Mistake, string Remedy)
{
    /// <summary><c>stage 2, block 3: 7 heads do not divide 192 channels; use 6 or 8 heads.</c></summary>
    public override string ToString() => $"{Place}: {Mistake}; {Remedy}.";
}

/// <summary>A specification that cannot be read or built. The message lists every problem.</summary>
public sealed class SpecificationException : Exception
{
    /// <param name="subject">What was read or built: the architecture's name, or that of a file.</param>
    /// <param name="problems">The mistakes, at least one.</param>
    public SpecificationException(string subject, ValueList<Problem> problems)
        : base(Text(subject, problems)) => Problems = problems;

    /// <summary>The mistakes.</summary>
    public ValueList<Problem> Problems { get; }

    private static string Text(string subject, ValueList<Problem> problems) => problems.Count == 1
        ? $"{subject}: {problems[0]}"
        : $"{subject} has {problems.Count} mistakes:{string.Concat(problems.Select(problem => $"{Environment.NewLine}  {problem}"))}";
}
