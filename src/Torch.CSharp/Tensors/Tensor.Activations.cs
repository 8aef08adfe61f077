namespace TorchSharp;

public static partial class torch
{
    // Activation functions.
    public partial class Tensor
    {
        public Tensor celu() => Aten.Call("celu", this);

        public Tensor celu(Scalar alpha) => Aten.Call("celu", this, alpha);

        public Tensor celu_()
        {
            Aten.Run("celu_", this);
            return this;
        }

        public Tensor celu_(Scalar alpha)
        {
            Aten.Run("celu_", this, alpha);
            return this;
        }

        public Tensor elu(Scalar alpha, Scalar scale, Scalar input_scale) => Aten.Call("elu", this, alpha, scale, input_scale);

        public Tensor elu(double alpha = 1) => Aten.Call("elu", this, alpha);

        public Tensor elu_(Scalar alpha, Scalar scale, Scalar input_scale)
        {
            Aten.Run("elu_", this, alpha, scale, input_scale);
            return this;
        }

        public Tensor elu_(double alpha = 1)
        {
            Aten.Run("elu_", this, alpha);
            return this;
        }

        public Tensor gelu() => Aten.Call("gelu", this);

        public Tensor gelu(Modules.GELU.Approximate approximate) =>
            Aten.Call("gelu", this, approximate == Modules.GELU.Approximate.tanh ? "tanh" : "none");

        public Tensor gelu_()
        {
            Aten.Run("gelu_", this);
            return this;
        }

        public Tensor gelu_(Modules.GELU.Approximate approximate)
        {
            Aten.Run("gelu_", this, approximate == Modules.GELU.Approximate.tanh ? "tanh" : "none");
            return this;
        }

        public Tensor glu(long dim = -1) => Aten.Call("glu", this, dim);

        public Tensor hardsigmoid() => Aten.Call("hardsigmoid", this);

        public Tensor hardsigmoid_()
        {
            Aten.Run("hardsigmoid_", this);
            return this;
        }

        public Tensor hardswish() => Aten.Call("hardswish", this);

        public Tensor hardswish_()
        {
            Aten.Run("hardswish_", this);
            return this;
        }

        public Tensor hardtanh(Scalar min, Scalar max) => Aten.Call("hardtanh", this, min, max);

        public Tensor hardtanh_(Scalar min, Scalar max)
        {
            Aten.Run("hardtanh_", this, min, max);
            return this;
        }

        public Tensor leaky_relu(Scalar negative_slope) => Aten.Call("leaky_relu", this, negative_slope);

        public Tensor leaky_relu_(Scalar negative_slope)
        {
            Aten.Run("leaky_relu_", this, negative_slope);
            return this;
        }

        public Tensor log_sigmoid() => Aten.Call("log_sigmoid", this);

        public Tensor log_softmax(long dim, ScalarType? dtype = null) => Aten.Call("log_softmax.int", this, dim, dtype);

        public Tensor prelu(Tensor target) => Aten.Call("prelu", this, target);

        public Tensor relu() => Aten.Call("relu", this);

        public Tensor relu6() => Aten.Call("relu6", this);

        public Tensor relu6_()
        {
            Aten.Run("relu6_", this);
            return this;
        }

        public Tensor relu_()
        {
            Aten.Run("relu_", this);
            return this;
        }

        public Tensor rrelu(double lower = 0.125, double upper = 0.3333333333333333) => Aten.Call("rrelu", this, lower, upper);

        public Tensor rrelu_(double lower = 0.125, double upper = 0.3333333333333333)
        {
            Aten.Run("rrelu_", this, lower, upper);
            return this;
        }

        public Tensor selu() => Aten.Call("selu", this);

        public Tensor selu_()
        {
            Aten.Run("selu_", this);
            return this;
        }

        public Tensor sigmoid() => Aten.Call("sigmoid", this);

        public Tensor sigmoid_()
        {
            Aten.Run("sigmoid_", this);
            return this;
        }

        public Tensor silu() => Aten.Call("silu", this);

        public Tensor silu_()
        {
            Aten.Run("silu_", this);
            return this;
        }

        public Tensor softmax(long dim, ScalarType? dtype = null) => Aten.Call("softmax.int", this, dim, dtype);

        public Tensor softplus(double beta = 1, double threshold = 20) => Aten.Call("softplus", this, beta, threshold);

        public Tensor threshold(Scalar threshold, Scalar value) => Aten.Call("threshold", this, threshold, value);

        public Tensor threshold_(Scalar threshold, Scalar value)
        {
            Aten.Run("threshold_", this, threshold, value);
            return this;
        }
    }
}
