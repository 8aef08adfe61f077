using System.Runtime.Intrinsics;

namespace LocalAttention.Core.Kernels.Simd;

/// <summary>Which width the kernels use: the widest that the machine has, or what <c>LOCALATTENTION_SIMD</c> says.</summary>
internal static class SimdWidths
{
    /// <summary>The variable that forces a width: <c>512</c>, <c>256</c>, <c>128</c> or <c>scalar</c>.</summary>
    public const string Variable = "LOCALATTENTION_SIMD";

    /// <summary>The widths of this machine, widest first.</summary>
    public static IReadOnlyList<SimdWidth> Available { get; } =
    [
        .. new[]
        {
            (SimdWidth.Bits512, Vector512.IsHardwareAccelerated),
            (SimdWidth.Bits256, Vector256.IsHardwareAccelerated),
            (SimdWidth.Bits128, Vector128.IsHardwareAccelerated),
            (SimdWidth.Scalar, true),
        }.Where(pair => pair.Item2).Select(pair => pair.Item1),
    ];

    private static SimdWidth? _current;

    /// <summary>The width in use.</summary>
    /// <exception cref="InvalidOperationException">The variable's value is no width, or one that this machine lacks.</exception>
    public static SimdWidth Current => _current ??= FromEnvironment(Environment.GetEnvironmentVariable(Variable));

    /// <summary>Forces a width until the result is disposed of; for tests.</summary>
    public static IDisposable Force(SimdWidth width)
    {
        Require(width, width.ToString());
        var before = _current;
        _current = width;
        return new Restore(() => _current = before);
    }

    /// <summary>The width that a value of the variable asks for.</summary>
    /// <exception cref="InvalidOperationException">The value is no width, or one that this machine lacks.</exception>
    public static SimdWidth FromEnvironment(string? value)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            return Available[0];
        }
        SimdWidth? width = value.Trim() switch
        {
            "512" => SimdWidth.Bits512,
            "256" => SimdWidth.Bits256,
            "128" => SimdWidth.Bits128,
            var other when other.Equals("scalar", StringComparison.OrdinalIgnoreCase) => SimdWidth.Scalar,
            _ => null,
        };
        return Require(width, value);
    }

    private static SimdWidth Require(SimdWidth? width, string value)
    {
        if (width is not { } known || !Available.Contains(known))
        {
            var names = Available.Select(available => available == SimdWidth.Scalar ? "scalar" : $"{(int)available}");
            throw new InvalidOperationException(
                $"{Variable} is '{value}'; this machine has {string.Join(", ", names)}");
        }
        return known;
    }

    private sealed class Restore(Action restore) : IDisposable
    {
        public void Dispose() => restore();
    }
}
