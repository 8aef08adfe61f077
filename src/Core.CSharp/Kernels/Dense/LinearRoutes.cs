using System.Collections.Concurrent;
using System.Diagnostics;
using System.Numerics;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Dense;

/// <summary>
/// Linear layers, <c>x·Wᵀ + b</c>, by whichever of two operators is faster here for their shape: measured once for each
/// class of shapes when it first comes up, and kept while the process runs.
/// </summary>
/// <remarks>
/// <para>
/// Which one wins depends on the libraries behind the tensor library. With OpenBLAS 0.3.21 and oneDNN 2.6 on two cores with
/// AVX-512, in GFLOP/s of single precision: 25088 tokens from 384 to 96 channels 138 by the product and 194 by the
/// convolution; 6272 tokens from 192 to 192: 139 and 203; 392 tokens from 768 to 2304: 203 and 191.
/// </para>
/// <para>
/// A measurement takes some milliseconds. Layers below <see cref="Smallest"/> multiply-adds are products without one, and so
/// are all element types but single precision. The two routes add in different orders: where the last bits must be the same
/// in every process, <c>LOCALATTENTION_LINEAR</c> set to <c>product</c> or <c>convolution</c> fixes the route.
/// </para>
/// </remarks>
internal static class LinearRoutes
{
    /// <summary>The variable that fixes the route.</summary>
    public const string Variable = "LOCALATTENTION_LINEAR";

    /// <summary>Multiply-adds of a layer below which it is not worth a choice.</summary>
    public const long Smallest = 4_000_000;

    // Enough for the rate of large layers, little enough to be done in two milliseconds.
    private const long Measured = 200_000_000;

    private const int Repetitions = 3;

    // A route that is better by less is no reason to leave the usual one.
    private const double Margin = 0.97;

    private static readonly ConcurrentDictionary<ShapeClass, LinearRoute> Known = new();

    private static readonly Lock Measuring = new();

    private static readonly Lazy<LinearRoute?> Fixed = new(() => FromEnvironment(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>What is known so far.</summary>
    internal static IReadOnlyDictionary<ShapeClass, LinearRoute> Choices => Known;

    /// <summary><c>x·Wᵀ + b</c>.</summary>
    /// <param name="input"><c>[…, K]</c>.</param>
    /// <param name="weight"><c>[M, K]</c>.</param>
    /// <param name="bias"><c>[M]</c>, or none.</param>
    /// <returns><c>[…, M]</c>.</returns>
    public static Tensor Apply(Tensor input, Tensor weight, Tensor? bias)
    {
        var (outputs, inputs) = (weight.size(0), weight.size(1));
        var tokens = inputs == 0 ? 0 : input.NumberOfElements / inputs;
        if (tokens * inputs * outputs < Smallest || input.dtype != ScalarType.Float32 || input.device_type != TorchSharp.DeviceType.CPU)
        {
            return nn.functional.linear(input, weight, bias);
        }
        var learns = is_grad_enabled() && (input.requires_grad || weight.requires_grad);
        var route = Fixed.Value ?? For(new ShapeClass(
            TokenClass(Math.Min(tokens, Math.Max(256, Measured / (inputs * outputs)))),
            inputs, outputs, bias is not null, learns, get_num_threads()));
        return route == LinearRoute.Product
            ? nn.functional.linear(input, weight, bias)
            : Convolve(input, weight, bias);
    }

    /// <summary>The route that a value of the variable names; none: it is measured.</summary>
    /// <exception cref="InvalidOperationException">The value is no route.</exception>
    internal static LinearRoute? FromEnvironment(string? value) => value?.Trim().ToUpperInvariant() switch
    {
        null or "" or "MEASURED" => null,
        "PRODUCT" => LinearRoute.Product,
        "CONVOLUTION" => LinearRoute.Convolution,
        _ => throw new InvalidOperationException($"{Variable} is '{value}'; it can be measured, product or convolution"),
    };

    /// <summary>A linear layer as a 1×1 convolution.</summary>
    internal static Tensor Convolve(Tensor input, Tensor weight, Tensor? bias)
    {
        var shape = input.shape;
        var (outputs, inputs) = (weight.size(0), weight.size(1));
        // Tokens are pixels of one column; a map [B, H, W, C] keeps its rows. What stands between holds the result's memory,
        // which would else live until the caller's scope ends.
        using var plain = input.contiguous();
        using var pixels = input.ndim == 4 ? plain.alias() : plain.view(1, -1, 1, inputs);
        using var image = pixels.permute(0, 3, 1, 2);
        using var kernel = weight.view(outputs, inputs, 1, 1);
        using var convolved = nn.functional.conv2d(image, kernel, bias);
        shape[^1] = outputs;
        using var tokens = convolved.permute(0, 2, 3, 1);
        using var rows = tokens.contiguous();
        return rows.view(shape);
    }

    private static LinearRoute For(ShapeClass shape)
    {
        if (Known.TryGetValue(shape, out var route))
        {
            return route;
        }
        lock (Measuring)
        {
            return Known.GetOrAdd(shape, Measure);
        }
    }

    /// <summary>The power of two below.</summary>
    private static long TokenClass(long tokens) => 1L << BitOperations.Log2((ulong)tokens);

    private static LinearRoute Measure(ShapeClass shape)
    {
        using var scope = NewDisposeScope();
        using var mode = shape.Learns ? enable_grad() : no_grad();
        var input = full(shape.Tokens, shape.Inputs, 0.5f, requires_grad: shape.Learns);
        var weight = full(shape.Outputs, shape.Inputs, 0.5f, requires_grad: shape.Learns);
        var bias = shape.HasBias ? full(shape.Outputs, 0.5f, requires_grad: shape.Learns) : null;
        var slope = full(shape.Tokens, shape.Outputs, 0.5f);
        double product = double.MaxValue, convolution = double.MaxValue;
        // The first round warms up. Rounds alternate, so that a disturbance meets both.
        for (var round = 0; round <= Repetitions; round++)
        {
            var (first, second) = (Time(nn.functional.linear), Time(Convolve));
            if (round > 0)
            {
                (product, convolution) = (Math.Min(product, first), Math.Min(convolution, second));
            }
        }
        return convolution < Margin * product ? LinearRoute.Convolution : LinearRoute.Product;

        double Time(Func<Tensor, Tensor, Tensor?, Tensor> apply)
        {
            using var inner = NewDisposeScope();
            var start = Stopwatch.GetTimestamp();
            var output = apply(input, weight, bias);
            if (shape.Learns)
            {
                output.backward([slope]);
            }
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
    }

    /// <summary>Layers that take the same route.</summary>
    /// <param name="Tokens">Tokens of the measurement: a power of two, and no more than a short one needs.</param>
    /// <param name="Inputs">Channels that enter.</param>
    /// <param name="Outputs">Channels that leave.</param>
    /// <param name="HasBias">Whether there is a bias.</param>
    /// <param name="Learns">Whether gradients are taken: forward and backward are then measured together.</param>
    /// <param name="Threads">The tensor library's threads.</param>
    internal readonly record struct ShapeClass(long Tokens, long Inputs, long Outputs, bool HasBias, bool Learns, int Threads);
}
