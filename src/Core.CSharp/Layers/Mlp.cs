using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Dense;
using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Two linear layers with an activation between them, on every token alone: <c>fc2(activation(fc1(x)))</c>. With a depthwise
/// 3×3 convolution of the hidden channels (PVTv2, arXiv 2106.13797, section 3.3), zeros around the map, neighbouring tokens
/// mix: <c>fc2(activation(dwconv(fc1(x))))</c>, or after a ReLU <c>fc2(activation(dwconv(relu(fc1(x)))))</c>.
/// </summary>
/// <remarks>
/// Parameters: <c>fc1.{weight,bias}</c>, <c>dwconv.{weight,bias}</c>, <c>fc2.{weight,bias}</c>.
/// </remarks>
public sealed class Mlp : nn.Module<Tensor, Tensor>
{
    // Hidden elements that no cache holds, and that one does.
    private const long LargestHidden = 4_000_000;
    private const long HiddenOfPart = 2_000_000;

    private readonly Activation _activation;
    private readonly bool _rectified;

    private readonly Linear fc1;
    private readonly Conv2d? dwconv;
    private readonly Linear fc2;

    /// <summary>An MLP with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="channels">Channels that enter and leave.</param>
    /// <param name="hidden">Channels between.</param>
    /// <param name="conventions">The activation, and how weights start; none: PyTorch's.</param>
    /// <param name="convolution">Whether neighbouring tokens mix.</param>
    public Mlp(
        int channels, int hidden, Conventions? conventions = null, MlpConvolution convolution = MlpConvolution.None)
        : base(nameof(Mlp))
    {
        conventions ??= Conventions.PyTorch;
        _activation = conventions.Activation;
        fc1 = WeightInitialization.Linear(channels, hidden, bias: true, conventions.Initialization);
        _rectified = convolution == MlpConvolution.DepthwiseAfterRelu;
        if (convolution != MlpConvolution.None)
        {
            dwconv = WeightInitialization.ByFanOut(
                WeightInitialization.Depthwise(hidden, conventions.Initialization), conventions.Initialization);
        }
        fc2 = WeightInitialization.Linear(hidden, channels, bias: true, conventions.Initialization);
        RegisterComponents();
    }

    /// <summary>From <c>[…, C]</c> to <c>[…, C]</c>; with a convolution, from <c>[B, H, W, C]</c>.</summary>
    /// <exception cref="ArgumentException">There is a convolution, and the input is no map.</exception>
    public override Tensor forward(Tensor input)
    {
        if (dwconv is not null)
        {
            return Mix(input, dwconv);
        }
        if (_activation is Activation.Relu || !FusedGelu.Takes(input) || Backends.For(input) != Backend.FusedCpu)
        {
            using var hidden = Projection.Apply(fc1, input);
            using var activated = Activations.Apply(hidden, _activation);
            return Projection.Apply(fc2, activated);
        }
        var learns = is_grad_enabled() && (input.requires_grad || parameters().Any(parameter => parameter.requires_grad));
        return learns ? Learn(input) : Infer(input);
    }

    /// <summary>With neighbouring tokens mixed between the layers.</summary>
    private Tensor Mix(Tensor input, Conv2d convolution)
    {
        MapInput.Require(input, fc1.weight.size(1), fc1.weight, "mlp");
        using var scope = NewDisposeScope();
        var hidden = Projection.Apply(fc1, input);
        var mixed = LocalEnhancement.Apply(convolution, _rectified ? nn.functional.relu(hidden) : hidden);
        return Projection.Apply(fc2, Activations.Fused(mixed, _activation)).MoveToOuterDisposeScope();
    }

    private Tensor Learn(Tensor input)
    {
        using var hidden = Projection.Apply(fc1, input);
        using var activated = FusedGelu.Apply(hidden, _activation == Activation.GeluTanh);
        return Projection.Apply(fc2, activated);
    }

    /// <summary>A part of the tokens at a time, so that what stands between the layers stays in the cache.</summary>
    private Tensor Infer(Tensor input)
    {
        var (channels, width) = (fc1.weight.size(1), fc1.weight.size(0));
        var tokens = channels == 0 ? 0 : input.NumberOfElements / channels;
        var parts = tokens * width < LargestHidden ? 1 : (tokens * width + HiddenOfPart - 1) / HiddenOfPart;
        if (parts <= 1)
        {
            return Whole(input);
        }
        using var rows = input.reshape(tokens, channels);
        var output = empty(input.shape, dtype: input.dtype);
        using var outputRows = output.view(tokens, channels);
        for (long part = 0; part < parts; part++)
        {
            var (begin, end) = (tokens * part / parts, tokens * (part + 1) / parts);
            using var some = rows.narrow(0, begin, end - begin);
            using var mixed = Whole(some);
            using var place = outputRows.narrow(0, begin, end - begin);
            place.copy_(mixed);
        }
        return output;
    }

    private Tensor Whole(Tensor input)
    {
        using var hidden = Projection.Apply(fc1, input);
        FusedGelu.ApplyInPlace(hidden, _activation == Activation.GeluTanh);
        return Projection.Apply(fc2, hidden);
    }
}
