using System.Numerics;
using System.Runtime.InteropServices;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// The layer's parameters in the order in which the kernels read them: laid out once per call, channels in whole vectors.
/// Beside the map it is small: <c>d·k⁴</c>.
/// </summary>
internal sealed unsafe class SlideWeights<T> : IDisposable
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly SlideShape _shape;
    private readonly T* _memory;

    /// <summary>Lays parameters out.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="weight"><c>W [d, k², k²]</c>: channel, sample, position.</param>
    /// <param name="bias"><c>b [d, k²]</c>.</param>
    /// <param name="positionBias"><c>rpb [h, k²]</c>.</param>
    /// <param name="forGradients">Whether the backward pass is to come, which reads the weights by positions too.</param>
    public SlideWeights(in SlideShape shape, T* weight, T* bias, T* positionBias, bool forGradients)
    {
        _shape = shape;
        AreShifts = Shifts(shape, weight);
        var samples = (long)shape.Chunks * shape.PaddedArea * shape.Area * shape.Lanes;
        var biases = (long)shape.Chunks * shape.PaddedArea * shape.Lanes;
        var weights = AreShifts ? 0 : samples;
        var positions = AreShifts || !forGradients ? 0 : samples;
        var total = weights + positions + ((shape.Heads + 1L) * biases);
        _memory = (T*)NativeMemory.AlignedAlloc((nuint)(total * sizeof(T)), 64);
        BySample = _memory;
        ByPosition = BySample + weights;
        Bias = ByPosition + positions;
        KeyBias = Bias + biases;
        if (weights > 0)
        {
            LayOut(weight, BySample, shape.Area, 1);
        }
        if (positions > 0)
        {
            LayOut(weight, ByPosition, 1, shape.Area);
        }
        LayOutBias(bias, positionBias: null, Bias);
        for (var head = 0; head < shape.Heads; head++)
        {
            LayOutBias(bias, positionBias + ((long)head * shape.Area), KeyBias + (head * biases));
        }
    }

    /// <summary>Frees the memory when it was not disposed of.</summary>
    ~SlideWeights() => NativeMemory.AlignedFree(_memory);

    /// <summary>Whether each sample is exactly its neighbour, so that no sum over the window's positions is needed.</summary>
    public bool AreShifts { get; }

    /// <summary><c>W</c> as <c>[chunk, block of samples, position, sample in the block, lane]</c>.</summary>
    public T* BySample { get; }

    /// <summary><c>W</c> as <c>[chunk, block of positions, sample, position in the block, lane]</c>.</summary>
    public T* ByPosition { get; }

    /// <summary><c>b</c> as <c>[chunk, padded sample, lane]</c>.</summary>
    public T* Bias { get; }

    /// <summary><c>b + rpb</c> as <c>[head, chunk, padded sample, lane]</c>.</summary>
    public T* KeyBias { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        GC.SuppressFinalize(this);
    }

    private static bool Shifts(in SlideShape shape, T* weight)
    {
        for (var channel = 0; channel < shape.Depth; channel++)
        {
            for (var sample = 0; sample < shape.Area; sample++, weight += shape.Area)
            {
                if (weight[sample] != T.One
                    || new ReadOnlySpan<T>(weight, sample).ContainsAnyExcept(T.Zero)
                    || new ReadOnlySpan<T>(weight + sample + 1, shape.Area - sample - 1).ContainsAnyExcept(T.Zero))
                {
                    return false;
                }
            }
        }
        return true;
    }

    /// <summary>Blocks of one axis outside, the other axis inside.</summary>
    private void LayOut(T* weight, T* target, int blockedStride, int otherStride)
    {
        var lanes = _shape.Lanes;
        for (var chunk = 0; chunk < _shape.Chunks; chunk++)
        {
            var channels = Math.Min(lanes, _shape.Depth - (chunk * lanes));
            for (var block = 0; block < _shape.PaddedArea; block += _shape.Block)
            {
                for (var other = 0; other < _shape.Area; other++)
                {
                    for (var place = block; place < block + _shape.Block; place++, target += lanes)
                    {
                        new Span<T>(target, lanes).Clear();
                        if (place >= _shape.Area)
                        {
                            continue;
                        }
                        var source = weight + ((long)chunk * lanes * _shape.Area * _shape.Area)
                            + ((long)place * blockedStride) + ((long)other * otherStride);
                        for (var channel = 0; channel < channels; channel++)
                        {
                            target[channel] = source[(long)channel * _shape.Area * _shape.Area];
                        }
                    }
                }
            }
        }
    }

    private void LayOutBias(T* bias, T* positionBias, T* target)
    {
        var lanes = _shape.Lanes;
        new Span<T>(target, _shape.Chunks * _shape.PaddedArea * lanes).Clear();
        for (var channel = 0; channel < _shape.Depth; channel++)
        {
            var (chunk, lane) = (channel / lanes, channel % lanes);
            for (var sample = 0; sample < _shape.Area; sample++)
            {
                var value = bias[((long)channel * _shape.Area) + sample];
                target[((((long)chunk * _shape.PaddedArea) + sample) * lanes) + lane] =
                    positionBias is null ? value : value + positionBias[sample];
            }
        }
    }
}
