namespace LocalAttention.Bench.Works;

/// <summary>Something measured: a layer or a model, forward or through a step of training.</summary>
/// <param name="Name">Its name in results and on the command line.</param>
/// <param name="Subject">What runs.</param>
/// <param name="Training">Whether the backward pass belongs to it, and for models AdamW's step; without gradients otherwise.</param>
/// <param name="Rivals">What it is compared with.</param>
public sealed record Work(string Name, Subject Subject, bool Training, IReadOnlyList<Rival> Rivals);

/// <summary>A layer or a model on an input.</summary>
/// <param name="Kind">What the peers call it: <c>slide</c>, <c>qna</c>, <c>unfold</c>, <c>neighbourhood</c>, or a model's name.</param>
/// <param name="Shape">The input's: <c>[B, H, W, C]</c> for layers, <c>[B, 3, H, W]</c> for models.</param>
/// <param name="Heads">Heads of a layer.</param>
/// <param name="Window">Side of a layer's window.</param>
public sealed record Subject(string Kind, long[] Shape, int Heads = 0, int Window = 0)
{
    /// <summary>Whether it is a whole model.</summary>
    public bool IsModel => Window == 0;

    /// <summary>The same on a small input: what is loaded or compiled once has then been.</summary>
    public long[] SmallShape => IsModel ? [1, .. Shape[1..]] : [1, 8, 8, Shape[3]];
}

/// <summary>What a work is compared with.</summary>
/// <param name="Name">Its name in results.</param>
/// <param name="Subject">What it runs.</param>
/// <param name="Where">Where it runs.</param>
/// <param name="Target">What the ratio has to be; none: reported alone.</param>
/// <param name="MemoryTarget">How many times less memory ours has to take; none: reported alone.</param>
public sealed record Rival(string Name, Subject Subject, Place Where, Target? Target = null, double? MemoryTarget = null)
{
    /// <summary>Whether its process has the settings that help it.</summary>
    public bool IsTuned => Where == Place.TunedPyTorch;
}

/// <summary>Where a rival runs.</summary>
public enum Place
{
    /// <summary>In PyTorch without any setting.</summary>
    PyTorch,

    /// <summary>In PyTorch with the allocator, thread and processor settings that help it.</summary>
    TunedPyTorch,

    /// <summary>Here: another of our own works.</summary>
    Here,
}

/// <summary>A bound on a ratio.</summary>
/// <param name="Bound">The bound.</param>
/// <param name="AtMost">
/// False: the ratio is the rival's time over ours, at least <paramref name="Bound"/>. True: it is our time over the
/// rival's, which is another of our works, at most <paramref name="Bound"/>.
/// </param>
public sealed record Target(double Bound, bool AtMost = false)
{
    /// <summary>Whether a ratio is within the bound.</summary>
    public bool IsMetBy(double ratio) => AtMost ? ratio <= Bound : ratio >= Bound;

    /// <inheritdoc/>
    public override string ToString() => $"{(AtMost ? "≤" : "≥")} {Bound:0.#}";
}
