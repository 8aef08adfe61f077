using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// Backbones that are derived from others by one rewrite: another attention in the blocks of some stages, which keep their
/// heads, MLPs, norms and layer scales, in a backbone that otherwise stays as it is, its rate of stochastic depth included.
/// </summary>
public static class Variants
{
    private static readonly int[] FirstTwo = [1, 2];

    /// <summary>Another attention in every block of some stages; the heads are those that the blocks had.</summary>
    /// <param name="backbone">What is rewritten.</param>
    /// <param name="name">The name of the result.</param>
    /// <param name="attention">The attention; its own heads do not count.</param>
    /// <param name="stages">The stages, counted from 1.</param>
    /// <exception cref="ArgumentException">The backbone has no such stage.</exception>
    public static Architecture Replace(Architecture backbone, string name, Attention attention, IReadOnlyList<int> stages)
    {
        ArgumentNullException.ThrowIfNull(backbone);
        ArgumentNullException.ThrowIfNull(attention);
        ArgumentNullException.ThrowIfNull(stages);
        if (stages.FirstOrDefault(stage => stage < 1 || stage > backbone.Stages.Count) is var missing and not 0)
        {
            throw new ArgumentException(
                $"'{backbone.Name}' has no stage {missing} to rewrite; use stages from 1 to {backbone.Stages.Count}", nameof(stages));
        }
        Block Rewritten(Block block) => block with { Attention = attention.WithHeads(block.Attention.Heads) };

        return backbone with
        {
            Name = name,
            Stages = ValueList.From(backbone.Stages.Select((stage, index) => stages.Contains(index + 1)
                ? stage with { Blocks = ValueList.From(stage.Blocks.Select(Rewritten)) }
                : stage)),
        };
    }

    /// <summary>
    /// Slide Attention with windows of 3×3 in some stages, what Slide Transformer (CVPR 2023, arXiv 2304.04237) does to any
    /// hierarchical backbone.
    /// </summary>
    /// <param name="backbone">What is rewritten.</param>
    /// <param name="name">The name of the result; none: that of the backbone after <c>slide-</c>.</param>
    /// <param name="stages">The stages, counted from 1; none: the first two.</param>
    public static Architecture Slide(Architecture backbone, string? name = null, IReadOnlyList<int>? stages = null)
    {
        ArgumentNullException.ThrowIfNull(backbone);
        return Replace(backbone, name ?? $"slide-{backbone.Name}", new SlideAttention(3, 1), stages ?? FirstTwo);
    }

    /// <summary>
    /// QnA with windows of 3×3 and two queries in some stages (CVPR 2022, arXiv 2112.11435). No such backbone is published but
    /// QnA-ViT: the layer is put where the paper puts it, into the stages of high resolution. QnA-ViT has heads of 8 or 16
    /// channels; here they are the backbone's, of 24 to 64.
    /// </summary>
    /// <param name="backbone">What is rewritten.</param>
    /// <param name="name">The name of the result; none: that of the backbone after <c>qna-</c>.</param>
    /// <param name="stages">The stages, counted from 1; none: the first two.</param>
    public static Architecture QnA(Architecture backbone, string? name = null, IReadOnlyList<int>? stages = null)
    {
        ArgumentNullException.ThrowIfNull(backbone);
        return Replace(backbone, name ?? $"qna-{backbone.Name}", new QnAAttention(3, 1), stages ?? FirstTwo);
    }
}
