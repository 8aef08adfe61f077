using System.Numerics;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>
/// <see cref="AdaptiveMoments.Step"/> in one pass over memory, for single-precision parameters in main memory: each of
/// the four arrays is read once and three are written once, where operator by operator it takes nine passes and a
/// temporary of the parameter's size. Element by element the operations and their order are the same.
/// </summary>
internal static unsafe class FusedMoments
{
    /// <summary>Elements below which a second thread costs more than it brings.</summary>
    private const long Grain = 1 << 15;

    internal static bool Suits(Tensor parameter, Tensor gradient, Tensor mean, Tensor square)
        => IsPlain(parameter) && IsPlain(gradient) && IsPlain(mean) && IsPlain(square) && parameter.numel() == gradient.numel();

    private static bool IsPlain(Tensor tensor)
        => tensor.device_type == DeviceType.CPU && tensor.dtype == ScalarType.Float32 && tensor.Dimensions > 0 && !tensor.is_sparse
           && tensor.is_contiguous();

    internal static void Step(Tensor parameter, Tensor gradient, Tensor mean, Tensor square, in Coefficients coefficients)
    {
        var arrays = new Arrays
        {
            Parameter = (float*)parameter.DataPointer,
            Gradient = (float*)gradient.DataPointer,
            Mean = (float*)mean.DataPointer,
            Square = (float*)square.DataPointer,
            Coefficients = coefficients,
        };
        TorchNative.Check(TorchNative.tn_parallel_for(0, parameter.numel(), Grain, &Range, (nint)(&arrays)));
        GC.KeepAlive(parameter);
        GC.KeepAlive(gradient);
        GC.KeepAlive(mean);
        GC.KeepAlive(square);
        Touch(parameter);
    }

    // Autograd tells by a counter, shared with views, whether a tensor that it saved was changed since; writing through
    // a pointer does not count, filling an empty view does.
    private static void Touch(Tensor tensor)
    {
        using var nothing = Aten.Call("narrow", tensor, 0, 0, 0);
        Aten.Run("zero_", nothing);
    }

    [UnmanagedCallersOnly]
    private static void Range(long first, long last, nint state)
    {
        ref readonly var arrays = ref *(Arrays*)state;
        var c = arrays.Coefficients;
        var keep = new Vector<float>(c.Keep);
        var decay = new Vector<float>(c.Decay);
        var beta1 = new Vector<float>(c.Beta1);
        var rest1 = new Vector<float>(c.Rest1);
        var beta2 = new Vector<float>(c.Beta2);
        var rest2 = new Vector<float>(c.Rest2);
        var root = new Vector<float>(c.Root);
        var eps = new Vector<float>(c.Epsilon);
        var rate = new Vector<float>(c.Rate);
        var sign = new Vector<float>(c.Sign);

        var i = first;
        for (; i <= last - Vector<float>.Count; i += Vector<float>.Count)
        {
            var theta = Vector.Load(arrays.Parameter + i);
            var gradient = Vector.FusedMultiplyAdd(decay, theta, sign * Vector.Load(arrays.Gradient + i));
            theta *= keep;
            var mean = Vector.FusedMultiplyAdd(rest1, gradient, beta1 * Vector.Load(arrays.Mean + i));
            var square = beta2 * Vector.Load(arrays.Square + i) + rest2 * gradient * gradient;
            theta += rate * mean / (Vector.SquareRoot(square) / root + eps);
            Vector.Store(mean, arrays.Mean + i);
            Vector.Store(square, arrays.Square + i);
            Vector.Store(theta, arrays.Parameter + i);
        }

        for (; i < last; i++)
        {
            var theta = arrays.Parameter[i];
            var gradient = MathF.FusedMultiplyAdd(c.Decay, theta, c.Sign * arrays.Gradient[i]);
            theta *= c.Keep;
            var mean = MathF.FusedMultiplyAdd(c.Rest1, gradient, c.Beta1 * arrays.Mean[i]);
            var square = c.Beta2 * arrays.Square[i] + c.Rest2 * gradient * gradient;
            theta += c.Rate * mean / (MathF.Sqrt(square) / c.Root + c.Epsilon);
            arrays.Mean[i] = mean;
            arrays.Square[i] = square;
            arrays.Parameter[i] = theta;
        }
    }

    private struct Arrays
    {
        internal float* Parameter;
        internal float* Gradient;
        internal float* Mean;
        internal float* Square;
        internal Coefficients Coefficients;
    }

    /// <summary>The numbers of one step, computed in double precision and rounded once.</summary>
    internal readonly struct Coefficients(
        long step, double lr, (double, double) betas, double eps, double decay, bool decoupled, bool maximize)
    {
        /// <summary>What decoupled decay leaves of the parameter.</summary>
        internal readonly float Keep = decoupled ? (float)(1 - lr * decay) : 1;

        /// <summary>The share of the parameter that coupled decay adds to the gradient.</summary>
        internal readonly float Decay = decoupled ? 0 : (float)decay;

        internal readonly float Beta1 = (float)betas.Item1;
        internal readonly float Rest1 = (float)(1 - betas.Item1);
        internal readonly float Beta2 = (float)betas.Item2;
        internal readonly float Rest2 = (float)(1 - betas.Item2);

        /// <summary>√(1 - β₂ᵗ).</summary>
        internal readonly float Root = (float)Math.Sqrt(1 - Math.Pow(betas.Item2, step));

        internal readonly float Epsilon = (float)eps;

        /// <summary>-lr / (1 - β₁ᵗ).</summary>
        internal readonly float Rate = (float)(-lr / (1 - Math.Pow(betas.Item1, step)));

        /// <summary>-1 to go uphill.</summary>
        internal readonly float Sign = maximize ? -1 : 1;
    }
}
