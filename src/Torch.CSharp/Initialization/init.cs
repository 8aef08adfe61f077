namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <summary>Filling tensors with their first values. Every function fills its argument in place, untracked, and returns it.</summary>
        public static partial class init
        {
            /// <summary>What follows a layer, which decides how much its weights must amplify.</summary>
            public enum NonlinearityType
            {
                Linear = 0,
                Conv1D = 1,
                Conv2D = 2,
                Conv3D = 3,
                ConvTranspose1D = 4,
                ConvTranspose2D = 5,
                ConvTranspose3D = 6,
                Sigmoid = 7,
                Tanh = 8,
                ReLU = 9,
                LeakyReLU = 10,
            }

            /// <summary>Whether the variance is kept on the way forward or on the way back.</summary>
            public enum FanInOut
            {
                FanIn = 0,
                FanOut = 1,
            }

            /// <summary>The gain that keeps the variance through a nonlinearity; the number is the slope of a leaky ReLU.</summary>
            public static double calculate_gain(NonlinearityType nonlinearity, double param = 0.0) => nonlinearity switch
            {
                NonlinearityType.Tanh => 5.0 / 3,
                NonlinearityType.ReLU => Math.Sqrt(2),
                NonlinearityType.LeakyReLU => Math.Sqrt(2 / (1 + param * param)),
                _ => 1,
            };

            /// <summary>How many inputs each output of a weight sees, and how many outputs each input reaches.</summary>
            /// <exception cref="ArgumentException">The tensor has fewer than two dimensions.</exception>
            public static (long fanIn, long fanOut) CalculateFanInAndFanOut(Tensor tensor)
            {
                var shape = tensor.shape;
                if (shape.Length < 2)
                    throw new ArgumentException($"Fan in and fan out need a tensor of at least 2 dimensions, not {shape.Length}.", nameof(tensor));
                var receptiveField = shape.Skip(2).Aggregate(1L, (product, side) => product * side);
                return (shape[1] * receptiveField, shape[0] * receptiveField);
            }

            /// <summary>Ones.</summary>
            public static Tensor ones_(Tensor tensor) => Fill(tensor, "fill_.Scalar", 1);

            /// <summary>Zeros.</summary>
            public static Tensor zeros_(Tensor tensor) => Fill(tensor, "zero_");

            /// <summary>One number everywhere.</summary>
            public static Tensor constant_(Tensor tensor, Scalar val) => Fill(tensor, "fill_.Scalar", val);

            /// <summary>The identity matrix.</summary>
            public static Tensor eye_(Tensor tensor)
            {
                var shape = tensor.shape;
                if (shape.Length != 2)
                    throw new ArgumentException($"The identity needs a tensor of 2 dimensions, not {shape.Length}.", nameof(tensor));
                using (no_grad())
                    Aten.Run("eye.m_out", shape[0], shape[1], tensor);
                return tensor;
            }

            /// <summary>Uniform between low and high.</summary>
            public static Tensor uniform_(Tensor tensor, double low = 0, double high = 1, Generator? generator = null)
                => Fill(tensor, "uniform_", low, high, generator);

            /// <summary>Normal.</summary>
            public static Tensor normal_(Tensor tensor, double mean = 0, double std = 1, Generator? generator = null)
                => Fill(tensor, "normal_", mean, std, generator);

            /// <summary>Normal, given that the number lies between a and b (absolute bounds, not multiples of std).</summary>
            /// <remarks>
            /// Drawn as PyTorch does, by inverting the distribution function. TorchSharp 0.107's own function multiplies
            /// by the mean and adds the deviation, so that with mean 0 it fills with a constant.
            /// </remarks>
            public static Tensor trunc_normal_(Tensor tensor, double mean = 0.0, double std = 1.0, double a = -2.0, double b = 2.0, Generator? generator = null)
            {
                using (no_grad())
                {
                    using var bounds = torch.tensor(new[] { (a - mean) / (std * Math.Sqrt(2)), (b - mean) / (std * Math.Sqrt(2)) });
                    using var quantiles = bounds.erf();
                    var (low, high) = (quantiles[0].item<double>(), quantiles[1].item<double>());
                    Aten.Run("uniform_", tensor, low, high, generator);
                    Aten.Run("erfinv_", tensor);
                    Aten.Run("mul_.Scalar", tensor, std * Math.Sqrt(2));
                    Aten.Run("add_.Scalar", tensor, mean);
                    Aten.Run("clamp_", tensor, a, b);
                }
                return tensor;
            }

            /// <summary>Uniform with deviation gain / √fan (He et al. 2015, "Delving deep into rectifiers").</summary>
            public static Tensor kaiming_uniform_(Tensor tensor, double a = 0, FanInOut mode = FanInOut.FanIn, NonlinearityType nonlinearity = NonlinearityType.LeakyReLU)
            {
                var bound = Math.Sqrt(3) * KaimingDeviation(tensor, a, mode, nonlinearity);
                return uniform_(tensor, -bound, bound);
            }

            /// <summary>Normal with deviation gain / √fan (He et al. 2015, "Delving deep into rectifiers").</summary>
            public static Tensor kaiming_normal_(Tensor tensor, double a = 0, FanInOut mode = FanInOut.FanIn, NonlinearityType nonlinearity = NonlinearityType.LeakyReLU)
                => normal_(tensor, 0, KaimingDeviation(tensor, a, mode, nonlinearity));

            /// <summary>Uniform with deviation gain · √(2 / (fan in + fan out)) (Glorot and Bengio 2010).</summary>
            public static Tensor xavier_uniform_(Tensor tensor, double gain = 1.0)
            {
                var bound = Math.Sqrt(3) * XavierDeviation(tensor, gain);
                return uniform_(tensor, -bound, bound);
            }

            /// <summary>Normal with deviation gain · √(2 / (fan in + fan out)) (Glorot and Bengio 2010).</summary>
            public static Tensor xavier_normal_(Tensor tensor, double gain = 1.0) => normal_(tensor, 0, XavierDeviation(tensor, gain));

            /// <summary>Another name of <see cref="xavier_uniform_"/>.</summary>
            public static Tensor glorot_uniform_(Tensor tensor, double gain = 1.0) => xavier_uniform_(tensor, gain);

            /// <summary>Another name of <see cref="xavier_normal_"/>.</summary>
            public static Tensor glorot_normal_(Tensor tensor, double gain = 1.0) => xavier_normal_(tensor, gain);

            private static double KaimingDeviation(Tensor tensor, double slope, FanInOut mode, NonlinearityType nonlinearity)
            {
                var (fanIn, fanOut) = CalculateFanInAndFanOut(tensor);
                return calculate_gain(nonlinearity, slope) / Math.Sqrt(mode == FanInOut.FanIn ? fanIn : fanOut);
            }

            private static double XavierDeviation(Tensor tensor, double gain)
            {
                var (fanIn, fanOut) = CalculateFanInAndFanOut(tensor);
                return gain * Math.Sqrt(2.0 / (fanIn + fanOut));
            }

            private static Tensor Fill(Tensor tensor, string name, params ReadOnlySpan<Argument> values)
            {
                using (no_grad())
                    Aten.Run(name, [tensor, .. values]);
                return tensor;
            }
        }
    }
}
