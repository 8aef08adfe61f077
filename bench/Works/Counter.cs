using System.Text;
using static TorchSharp.torch;

namespace LocalAttention.Bench.Works;

/// <summary>
/// Numbers in [-1, 1) that depend on a name and nothing else, so that any language makes the same: SplitMix64 from the
/// name's FNV-1a hash.
/// </summary>
public static class Counter
{
    /// <summary>The first numbers of a name as a float32 tensor.</summary>
    /// <param name="name">The name.</param>
    /// <param name="shape">The shape, filled in row-major order.</param>
    /// <param name="change">What is done to each number before it is rounded; none: nothing.</param>
    public static Tensor Filled(string name, ReadOnlySpan<long> shape, Func<double, double>? change = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        var seed = 0xCBF29CE484222325UL;
        foreach (var letter in Encoding.UTF8.GetBytes(name))
        {
            seed = (seed ^ letter) * 0x100000001B3UL;
        }
        var length = 1L;
        foreach (var side in shape)
        {
            length *= side;
        }
        var values = new float[length];
        for (var index = 0; index < values.Length; index++)
        {
            var u = At(seed, (ulong)index);
            values[index] = (float)(change is null ? u : change(u));
        }
        return tensor(values, shape);
    }

    private static double At(ulong seed, ulong index)
    {
        var z = seed + ((index + 1) * 0x9E3779B97F4A7C15UL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        z ^= z >> 31;
        return (2 * ((z >> 11) * Math.ScaleB(1, -53))) - 1;
    }
}
