using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>What the declarations of all families share: stages from lists of one number for each.</summary>
internal static class Hierarchy
{
    /// <summary>A stage for each of the depths, with the transition that follows all but the last.</summary>
    /// <param name="depths">Blocks of each stage.</param>
    /// <param name="block">The block of a stage and an index in it, both counted from 0.</param>
    /// <param name="transition">The transition after a stage, counted from 0.</param>
    public static ValueList<Stage> Stages(
        IReadOnlyList<int> depths, Func<int, int, Block> block, Func<int, Transition> transition) =>
        ValueList.From(Enumerable.Range(0, depths.Count).Select(stage =>
            new Stage(ValueList.From(Enumerable.Range(0, depths[stage]).Select(index => block(stage, index))))
            {
                Transition = stage < depths.Count - 1 ? transition(stage) : null,
            }));

    /// <summary>Throws unless there are as many numbers of each thing as there are stages.</summary>
    /// <exception cref="ArgumentException">The lists have different lengths; the message has all of them.</exception>
    public static void RequireAlike(string name, params ReadOnlySpan<(string What, int Count)> lists)
    {
        foreach (var (_, count) in lists)
        {
            if (count != lists[0].Count)
            {
                var all = string.Join(", ", lists.ToArray().Select(list => $"{list.What} for {list.Count}"));
                throw new ArgumentException($"'{name}' has {all} stages; give one of each for every stage");
            }
        }
    }
}
