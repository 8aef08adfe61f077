using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>The step that Adam and AdamW share.</summary>
internal static class AdaptiveMoments
{
    internal static void Require(double lr, double beta1, double beta2, double eps, double weight_decay)
    {
        if (lr < 0)
            throw new ArgumentException($"The learning rate must not be negative; it is {lr}.", nameof(lr));
        if (beta1 is < 0 or >= 1)
            throw new ArgumentException($"beta1 must be at least 0 and below 1; it is {beta1}.", nameof(beta1));
        if (beta2 is < 0 or >= 1)
            throw new ArgumentException($"beta2 must be at least 0 and below 1; it is {beta2}.", nameof(beta2));
        if (eps < 0)
            throw new ArgumentException($"eps must not be negative; it is {eps}.", nameof(eps));
        if (weight_decay < 0)
            throw new ArgumentException($"The weight decay must not be negative; it is {weight_decay}.", nameof(weight_decay));
    }

    /// <summary>One step of one parameter, in place, in the order of operations of PyTorch's own loop.</summary>
    internal static void Step(
        Tensor parameter, Tensor gradient, Tensor mean, Tensor square, Tensor? largestSquare, long step, double lr,
        (double, double) betas, double eps, double decay, bool decoupled, bool maximize)
    {
        if (largestSquare is null && FusedMoments.Suits(parameter, gradient, mean, square))
        {
            FusedMoments.Step(parameter, gradient, mean, square, new(step, lr, betas, eps, decay, decoupled, maximize));
            return;
        }

        var (beta1, beta2) = betas;
        using var negated = maximize ? Aten.Call("neg", gradient) : null;
        var direction = negated ?? gradient;
        if (decoupled && decay != 0)
            Aten.Run("mul_.Scalar", parameter, 1 - lr * decay);
        using var decayed = !decoupled && decay != 0 ? Aten.Call("add.Tensor", direction, parameter, decay) : null;
        direction = decayed ?? direction;

        Aten.Run("mul_.Scalar", mean, beta1);
        Aten.Run("add_.Tensor", mean, direction, 1 - beta1);
        Aten.Run("mul_.Scalar", square, beta2);
        Aten.Run("addcmul_", square, direction, direction, 1 - beta2);
        if (largestSquare is not null)
            Aten.Run("maximum.out", largestSquare, square, largestSquare);

        using var divisor = Aten.Call("sqrt", largestSquare ?? square);
        Aten.Run("div_.Scalar", divisor, Math.Sqrt(1 - Math.Pow(beta2, step)));
        Aten.Run("add_.Scalar", divisor, eps);
        Aten.Run("addcdiv_", parameter, mean, divisor, -lr / (1 - Math.Pow(beta1, step)));
    }
}
