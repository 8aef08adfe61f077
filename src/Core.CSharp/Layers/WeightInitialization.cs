using LocalAttention.Core.Specification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>How weights start, as the official codebases do it.</summary>
internal static class WeightInitialization
{
    /// <summary>The deviation of a normal distribution of deviation 1 after it is cut at ±2.</summary>
    private const double DeviationOfCutNormal = 0.87962566103423978;

    /// <summary>A linear layer, its weight by the convention, its bias 0.</summary>
    public static Linear Linear(long inputs, long outputs, bool bias, Initialization initialization)
    {
        var layer = nn.Linear(inputs, outputs, hasBias: bias);
        Weight(layer.weight, inputs, initialization);
        if (layer.bias is { } offset)
        {
            nn.init.zeros_(offset);
        }
        return layer;
    }

    /// <summary>
    /// A convolution; where the convention is PyTorch's, it starts as every <c>Conv2d</c> does, else as Flax's with bias 0.
    /// </summary>
    public static Conv2d Convolution(
        long inputs, long outputs, long kernel, long stride, long padding, bool bias, Initialization initialization)
    {
        var layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias: bias);
        if (initialization == Initialization.LecunNormal)
        {
            Weight(layer.weight, inputs * kernel * kernel, initialization);
            if (layer.bias is { } offset)
            {
                nn.init.zeros_(offset);
            }
        }
        return layer;
    }

    /// <summary>A 3×3 convolution of each channel by itself, zeros around the map, with a bias; it starts as others do.</summary>
    public static Conv2d Depthwise(long channels, Initialization initialization)
    {
        var layer = nn.Conv2d(channels, channels, 3, padding: 1, groups: channels);
        if (initialization == Initialization.LecunNormal)
        {
            Weight(layer.weight, 9, initialization);
            nn.init.zeros_(layer.bias!);
        }
        return layer;
    }

    /// <summary>
    /// Starts a convolution as PVTv2 does, where the convention is PyTorch's: variance 2/fan-out, where the fan-out is that of
    /// one group, and bias 0.
    /// </summary>
    public static Conv2d ByFanOut(Conv2d layer, Initialization initialization)
    {
        if (initialization == Initialization.TruncatedNormal)
        {
            var weight = layer.weight;
            var fanOut = weight.size(0) * weight.size(2) * weight.size(3) / layer.groups;
            nn.init.normal_(weight, 0, Math.Sqrt(2.0 / Math.Max(1, fanOut)));
            nn.init.zeros_(layer.bias!);
        }
        return layer;
    }

    /// <summary>Fills a weight: truncated normal of 0.02, or variance 1/<paramref name="fanIn"/>.</summary>
    public static void Weight(Tensor weight, long fanIn, Initialization initialization)
    {
        if (initialization == Initialization.LecunNormal)
        {
            CutNormal(weight, Math.Sqrt(1.0 / fanIn) / DeviationOfCutNormal);
        }
        else
        {
            TruncatedNormal(weight, 0.02, bound: 2);
        }
    }

    /// <summary>Fills a tensor from a normal distribution of the given deviation, cut at two of them, as Flax does.</summary>
    public static void CutNormal(Tensor tensor, double deviation) => TruncatedNormal(tensor, deviation, 2 * deviation);

    /// <summary>
    /// Fills a tensor from a normal distribution of mean 0, cut at ±<paramref name="bound"/>, by the inverse of its
    /// distribution function.
    /// </summary>
    /// <remarks>
    /// Not <c>nn.init.trunc_normal_</c>: TorchSharp's multiplies by the mean and adds the deviation, which at mean 0 leaves
    /// a constant.
    /// </remarks>
    public static void TruncatedNormal(Tensor tensor, double deviation, double bound)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var spread = deviation * Math.Sqrt(2);
        var reach = erf(torch.tensor(bound / spread, dtype: ScalarType.Float64)).ToDouble();
        tensor.uniform_(-reach, reach);
        tensor.erfinv_().mul_(spread).clamp_(-bound, bound);
    }
}
