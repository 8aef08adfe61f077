using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Dense;

/// <summary>
/// Layer norm (arXiv 1607.06450) of rows of C channels, <c>γ·(s − mean)/√(var + ε) + β</c>, where a row <c>s</c> is
/// <c>x</c> or, written as well, the sum <c>x + r</c>. An item is a row.
/// </summary>
internal readonly unsafe struct NormForward<T>(
    T* input, T* residual, T* gamma, T* beta, T* sum, T* output, T* statistics, int channels, T epsilon) : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var row = begin; row < end; row++)
        {
            Row<TLanes, TVector>(row);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Row<TLanes, TVector>(long row)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var source = input + row * channels;
        if (residual != null)
        {
            Add<TLanes, TVector>(source, residual + row * channels, sum + row * channels);
            source = sum + row * channels;
        }
        var count = T.CreateTruncating(channels);
        var total = TLanes.Zero;
        var channel = 0;
        for (; channel + TLanes.Count <= channels; channel += TLanes.Count)
        {
            total = TLanes.Add(total, TLanes.Load(source + channel));
        }
        var mean = TLanes.Sum(total);
        for (; channel < channels; channel++)
        {
            mean += source[channel];
        }
        mean /= count;

        // Squares of differences: the difference of squares loses every digit where the mean is large.
        var means = TLanes.Broadcast(mean);
        total = TLanes.Zero;
        for (channel = 0; channel + TLanes.Count <= channels; channel += TLanes.Count)
        {
            var difference = TLanes.Subtract(TLanes.Load(source + channel), means);
            total = TLanes.MultiplyAdd(difference, difference, total);
        }
        var variance = TLanes.Sum(total);
        for (; channel < channels; channel++)
        {
            variance += (source[channel] - mean) * (source[channel] - mean);
        }
        var inverse = T.One / T.Sqrt((variance / count) + epsilon);

        var inverses = TLanes.Broadcast(inverse);
        var target = output + row * channels;
        for (channel = 0; channel + TLanes.Count <= channels; channel += TLanes.Count)
        {
            var normal = TLanes.Multiply(TLanes.Subtract(TLanes.Load(source + channel), means), inverses);
            TLanes.Store(TLanes.MultiplyAdd(normal, TLanes.Load(gamma + channel), TLanes.Load(beta + channel)), target + channel);
        }
        for (; channel < channels; channel++)
        {
            target[channel] = T.MultiplyAddEstimate((source[channel] - mean) * inverse, gamma[channel], beta[channel]);
        }
        if (statistics != null)
        {
            statistics[row * 2] = mean;
            statistics[(row * 2) + 1] = inverse;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Add<TLanes, TVector>(T* left, T* right, T* target)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var channel = 0;
        for (; channel + TLanes.Count <= channels; channel += TLanes.Count)
        {
            TLanes.Store(TLanes.Add(TLanes.Load(left + channel), TLanes.Load(right + channel)), target + channel);
        }
        for (; channel < channels; channel++)
        {
            target[channel] = left[channel] + right[channel];
        }
    }
}

/// <summary>
/// The gradient of <see cref="NormForward{T}"/>. With <c>x̂ = (s − mean)·inverse</c> and <c>g = γ·dy</c>:
/// <c>ds = inverse·(g − mean(g) − x̂·mean(g·x̂))</c>, to which what reaches the sum by itself is added;
/// <c>dγ = Σ dy·x̂</c> and <c>dβ = Σ dy</c> over all rows. An item is a part of the rows, with sums of its own.
/// </summary>
internal readonly unsafe struct NormBackward<T>(
    T* sum, T* statistics, T* gamma, T* slope, T* sumSlope, T* target, T* parameterSlopes, long rows, long parts, int channels)
    : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var part = begin; part < end; part++)
        {
            var gammaSlope = parameterSlopes + part * 2 * channels;
            new Span<T>(gammaSlope, 2 * channels).Clear();
            for (var row = rows * part / parts; row < rows * (part + 1) / parts; row++)
            {
                Row<TLanes, TVector>(row, gammaSlope, gammaSlope + channels);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Row<TLanes, TVector>(long row, T* gammaSlope, T* betaSlope)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var source = sum + row * channels;
        var from = slope + row * channels;
        var (mean, inverse) = (statistics[row * 2], statistics[(row * 2) + 1]);
        var (means, inverses) = (TLanes.Broadcast(mean), TLanes.Broadcast(inverse));
        var (plain, weighted) = (TLanes.Zero, TLanes.Zero);
        var channel = 0;
        for (; channel + TLanes.Count <= channels; channel += TLanes.Count)
        {
            var given = TLanes.Load(from + channel);
            var normal = TLanes.Multiply(TLanes.Subtract(TLanes.Load(source + channel), means), inverses);
            var scaled = TLanes.Multiply(given, TLanes.Load(gamma + channel));
            plain = TLanes.Add(plain, scaled);
            weighted = TLanes.MultiplyAdd(scaled, normal, weighted);
            TLanes.Store(TLanes.MultiplyAdd(given, normal, TLanes.Load(gammaSlope + channel)), gammaSlope + channel);
            TLanes.Store(TLanes.Add(given, TLanes.Load(betaSlope + channel)), betaSlope + channel);
        }
        var (first, second) = (TLanes.Sum(plain), TLanes.Sum(weighted));
        for (; channel < channels; channel++)
        {
            var normal = (source[channel] - mean) * inverse;
            var scaled = from[channel] * gamma[channel];
            first += scaled;
            second += scaled * normal;
            gammaSlope[channel] += from[channel] * normal;
            betaSlope[channel] += from[channel];
        }
        var count = T.CreateTruncating(channels);
        first /= count;
        second /= count;
        var (firsts, seconds) = (TLanes.Broadcast(first), TLanes.Broadcast(second));
        var to = target + row * channels;
        var also = sumSlope == null ? null : sumSlope + row * channels;
        for (channel = 0; channel + TLanes.Count <= channels; channel += TLanes.Count)
        {
            var normal = TLanes.Multiply(TLanes.Subtract(TLanes.Load(source + channel), means), inverses);
            var scaled = TLanes.Multiply(TLanes.Load(from + channel), TLanes.Load(gamma + channel));
            var inner = TLanes.Subtract(TLanes.Subtract(scaled, firsts), TLanes.Multiply(normal, seconds));
            var own = TLanes.Multiply(inner, inverses);
            TLanes.Store(also == null ? own : TLanes.Add(own, TLanes.Load(also + channel)), to + channel);
        }
        for (; channel < channels; channel++)
        {
            var normal = (source[channel] - mean) * inverse;
            var own = (from[channel] * gamma[channel] - first - normal * second) * inverse;
            to[channel] = also == null ? own : own + also[channel];
        }
    }
}
