using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.DenseTasks;

/// <summary>
/// A convolution that keeps the map's size: with a bias, or without one, then batch norm and ReLU. Weights start as
/// mmsegmentation's do: Xavier uniform, or before ReLU Kaiming normal by the fan-out. <c>[B, C, H, W]</c> to <c>[B, C', H, W]</c>.
/// </summary>
/// <remarks>Parameters: <c>conv.{weight,bias}</c>, or <c>conv.weight</c> and <c>bn.{weight,bias}</c> with its running statistics.</remarks>
internal sealed class ConvolutionUnit : nn.Module<Tensor, Tensor>
{
    private readonly Conv2d conv;
    private readonly BatchNorm2d? bn;

    public ConvolutionUnit(long inputs, long outputs, long kernel, bool norm)
        : base(nameof(ConvolutionUnit))
    {
        conv = nn.Conv2d(inputs, outputs, kernel, padding: kernel / 2, bias: !norm);
        bn = norm ? nn.BatchNorm2d(outputs) : null;
        if (norm)
        {
            nn.init.kaiming_normal_(conv.weight, mode: nn.init.FanInOut.FanOut, nonlinearity: nn.init.NonlinearityType.ReLU);
        }
        else
        {
            nn.init.xavier_uniform_(conv.weight);
            nn.init.zeros_(conv.bias!);
        }
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        var convolved = conv.call(input);
        return (bn is null ? convolved : nn.functional.relu(bn.call(convolved))).MoveToOuterDisposeScope();
    }
}
