using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <summary>What is done to many parameters at once.</summary>
        public static partial class utils
        {
            /// <summary>Scales all gradients alike so that the norm of them all, taken as one vector, is at most <paramref name="max_norm"/>.</summary>
            /// <returns>The norm before.</returns>
            public static double clip_grad_norm_(IEnumerable<Parameter> tensors, double max_norm, double norm_type = 2.0)
            {
                using var untracked = no_grad();
                using var scope = NewDisposeScope();
                var gradients = Gradients(tensors);
                if (gradients.Count == 0)
                    return 0;
                Tensor norms = stack(gradients.Select(gradient => NormOf(gradient, norm_type)).ToArray());
                var total = NormOf(norms, norm_type).to(ScalarType.Float64).item<double>();
                // The small number keeps a vanishing norm from dividing by zero, as in PyTorch.
                var factor = max_norm / (total + 1e-6);
                if (factor < 1)
                    foreach (var gradient in gradients)
                        Aten.Run("mul_.Scalar", gradient, factor);
                return total;
            }

            /// <summary>Brings every element of every gradient between -clip_value and clip_value.</summary>
            public static void clip_grad_value_(IEnumerable<Parameter> tensors, double clip_value)
            {
                using var untracked = no_grad();
                using var scope = NewDisposeScope();
                foreach (var gradient in Gradients(tensors))
                    Aten.Run("clamp_", gradient, -clip_value, clip_value);
            }

            /// <summary>All parameters, flattened, one after another.</summary>
            public static Tensor parameters_to_vector(IEnumerable<Parameter> tensors)
            {
                using var scope = NewDisposeScope();
                return cat(tensors.Select(parameter => parameter.reshape(-1)).ToArray(), 0).MoveToOuterDisposeScope();
            }

            /// <summary>The inverse of <see cref="parameters_to_vector"/>: copies the slices of a vector into the parameters.</summary>
            /// <exception cref="ArgumentException">The vector is too short or too long.</exception>
            public static void vector_to_parameters(Tensor vec, IEnumerable<Parameter> tensors)
            {
                var parameters = tensors.ToList();
                var needed = parameters.Sum(parameter => parameter.numel());
                if (vec.numel() != needed)
                    throw new ArgumentException($"The vector has {vec.numel()} elements, the parameters have {needed}.", nameof(vec));
                using var untracked = no_grad();
                using var scope = NewDisposeScope();
                var start = 0L;
                foreach (var parameter in parameters)
                {
                    var length = parameter.numel();
                    parameter.copy_(vec.narrow(0, start, length).view_as(parameter));
                    start += length;
                }
            }

            private static List<Tensor> Gradients(IEnumerable<Parameter> parameters)
                => parameters.Select(parameter => parameter.grad).OfType<Tensor>().ToList();

            private static Tensor NormOf(Tensor tensor, double type)
                => double.IsPositiveInfinity(type) ? tensor.abs().max() : Aten.Call("norm.Scalar", tensor, type);
        }
    }
}
