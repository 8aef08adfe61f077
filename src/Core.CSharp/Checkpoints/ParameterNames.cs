using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// The names that parameters have in files: PyTorch's, which the model itself uses, and those of the official code of each
/// family.
/// </summary>
/// <remarks>
/// PVT's, CSWin's and NAT's names are PyTorch's too, with another frame. What their code does not know, such as Slide
/// Attention in a block of PVT, keeps the model's own name inside that frame: <c>layers.0.blocks.1.attn.dep_conv.bias</c> is
/// <c>block1.1.attn.dep_conv.bias</c>. So every architecture has all three, and only Flax may lack a name.
/// </remarks>
public static class ParameterNames
{
    internal const string WritePyTorch = "write the file with PyTorch's names";

    /// <summary>
    /// Which naming a file's names follow: Flax's are paths, and the others' begin with a word that no other uses.
    /// </summary>
    public static ParameterNaming Detect(IEnumerable<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        foreach (var name in names)
        {
            if (name.Contains('/'))
                return ParameterNaming.Flax;
            if (PvtNames.Recognise(name))
                return ParameterNaming.Pvt;
            if (CSwinNames.Recognise(name))
                return ParameterNaming.CSwin;
            if (NatNames.Recognise(name))
                return ParameterNaming.Nat;
        }
        return ParameterNaming.PyTorch;
    }

    /// <summary>A parameter's name and layout in a file of the given naming.</summary>
    /// <param name="architecture">The model.</param>
    /// <param name="name">The parameter's name in the model.</param>
    /// <param name="naming">The file's naming.</param>
    /// <exception cref="SpecificationException">The parameter has no name in that naming.</exception>
    public static StoredParameter InFile(Architecture architecture, string name, ParameterNaming naming) =>
        TryInFile(architecture, name, naming)
            ?? throw new SpecificationException(
                architecture.Name, [new Problem(name, "the official QnA code has no such parameter", WritePyTorch)]);

    /// <summary>The same; none where the official code has no such parameter.</summary>
    /// <param name="architecture">The model.</param>
    /// <param name="name">The parameter's name in the model.</param>
    /// <param name="naming">The file's naming.</param>
    public static StoredParameter? TryInFile(Architecture architecture, string name, ParameterNaming naming)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        ArgumentNullException.ThrowIfNull(name);
        return naming switch
        {
            ParameterNaming.Flax => FlaxNames.Of(architecture, name),
            ParameterNaming.Pvt => Same(PvtNames.Of(architecture, name)),
            ParameterNaming.CSwin => Same(CSwinNames.Of(architecture, name)),
            ParameterNaming.Nat => Same(NatNames.Of(architecture, name)),
            _ => Same(name),
        };
    }

    /// <summary>The parts of an architecture that the official code of a naming has no name for; Flax's alone may lack some.</summary>
    public static ValueList<Problem> Missing(Architecture architecture, ParameterNaming naming)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        return naming == ParameterNaming.Flax ? FlaxNames.Missing(architecture) : [];
    }

    /// <summary>The element of a list that a part of a name counts; none where there is no such element.</summary>
    internal static T? At<T>(ValueList<T> list, string index)
        where T : class =>
        int.TryParse(index, out var position) && position >= 0 && position < list.Count ? list[position] : null;

    private static StoredParameter Same(string name) => new(name, ParameterLayout.Same);
}
