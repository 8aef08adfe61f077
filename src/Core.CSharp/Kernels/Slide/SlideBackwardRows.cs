using System.Numerics;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>A thread's working memory in the backward pass: what one row of a head needs.</summary>
internal readonly unsafe struct SlideBackwardRows<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly SlideShape _shape;

    /// <summary>Takes the calling thread's scratch, cleared.</summary>
    public SlideBackwardRows(in SlideShape shape)
    {
        _shape = shape;
        var partialSize = SlideScores.PartialVectors * shape.Lanes;
        var shareSize = SlideWeightGradient.Rows(shape) * SlideShape.Segment;
        var scratch = Scratch.Begin(
            (4 * SlideRing<T>.Size(shape)) + (3 * Scratch.Size<T>(shape.RowSize)) + (2 * Scratch.Size<T>(shareSize))
            + Scratch.Size<T>(partialSize) + Scratch.Size<T>(shape.Chunks * shape.Lanes)
            + (2 * Scratch.Size<T>(shape.Chunks * shape.PaddedArea * shape.Lanes))
            + (3 * Scratch.Size<nint>(shape.PaddedArea)));
        Keys = new SlideRing<T>(shape, scratch);
        Values = new SlideRing<T>(shape, scratch);
        KeyGradients = new SlideRing<T>(shape, scratch);
        ValueGradients = new SlideRing<T>(shape, scratch);
        Queries = Cleared(scratch, shape.RowSize);
        Outputs = Cleared(scratch, shape.RowSize);
        Mixtures = Cleared(scratch, shape.RowSize);
        Attention = Cleared(scratch, shareSize);
        Logits = Cleared(scratch, shareSize);
        Partial = Cleared(scratch, partialSize);
        Buffer = Cleared(scratch, shape.Chunks * shape.Lanes);
        KeyBias = Cleared(scratch, shape.Chunks * shape.PaddedArea * shape.Lanes);
        ValueBias = Cleared(scratch, shape.Chunks * shape.PaddedArea * shape.Lanes);
        KeyPlaces = (T**)scratch.Take<nint>(shape.PaddedArea);
        ValuePlaces = (T**)scratch.Take<nint>(shape.PaddedArea);
        GradientPlaces = (T**)scratch.Take<nint>(shape.PaddedArea);
    }

    /// <summary>Rows of keys.</summary>
    public SlideRing<T> Keys { get; }

    /// <summary>Rows of values.</summary>
    public SlideRing<T> Values { get; }

    /// <summary>Rows of the keys' gradients.</summary>
    public SlideRing<T> KeyGradients { get; }

    /// <summary>Rows of the values' gradients.</summary>
    public SlideRing<T> ValueGradients { get; }

    /// <summary>The row of scaled queries.</summary>
    public T* Queries { get; }

    /// <summary>The row of the output's gradient.</summary>
    public T* Outputs { get; }

    /// <summary>The row of the queries' gradient, not yet scaled.</summary>
    public T* Mixtures { get; }

    /// <summary>The attention, <c>[sample, Segment]</c>, zeros behind the last sample.</summary>
    public T* Attention { get; }

    /// <summary>The gradients of the logits, likewise.</summary>
    public T* Logits { get; }

    /// <summary>Room for <see cref="SlideScores"/>.</summary>
    public T* Partial { get; }

    /// <summary>Room for one token's channels.</summary>
    public T* Buffer { get; }

    /// <summary>The keys' share in <c>db</c>, <c>[chunk, padded sample, lane]</c>.</summary>
    public T* KeyBias { get; }

    /// <summary>The values' share in <c>db</c>.</summary>
    public T* ValueBias { get; }

    /// <summary>Where the keys of each position stand.</summary>
    public T** KeyPlaces { get; }

    /// <summary>Where the values of each position stand.</summary>
    public T** ValuePlaces { get; }

    /// <summary>Where the gradients of each position stand.</summary>
    public T** GradientPlaces { get; }

    /// <summary>Elements of <see cref="KeyBias"/>.</summary>
    public int BiasSize => _shape.Chunks * _shape.PaddedArea * _shape.Lanes;

    /// <summary>Adds both shares to <c>db [d, k²]</c>, and the keys' over all channels to the head's <c>drpb [k²]</c>.</summary>
    public void AddBiases(T* bias, T* positionBias)
    {
        var lanes = _shape.Lanes;
        for (var channel = 0; channel < _shape.Depth; channel++)
        {
            var (chunk, lane) = (channel / lanes, channel % lanes);
            for (var sample = 0; sample < _shape.Area; sample++)
            {
                var place = (((chunk * _shape.PaddedArea) + sample) * lanes) + lane;
                bias[(channel * _shape.Area) + sample] += KeyBias[place] + ValueBias[place];
                positionBias[sample] += KeyBias[place];
            }
        }
    }

    private static T* Cleared(Scratch scratch, int count)
    {
        var taken = scratch.Take<T>(count);
        new Span<T>(taken, count).Clear();
        return taken;
    }
}
