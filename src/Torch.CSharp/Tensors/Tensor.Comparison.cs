namespace TorchSharp;

public static partial class torch
{
    // Comparisons and logic.
    public partial class Tensor
    {
        public bool allclose(Tensor target, double rtol = 1e-05, double atol = 1e-08, bool equal_nan = false) =>
            Aten.CallBool("allclose", this, target, rtol, atol, equal_nan);

        public bool is_nonzero()
        {
            if (numel() != 1)
                throw new InvalidOperationException("is_nonzero() called on non-singleton tensor");
            return Aten.CallBool("is_nonzero", this);
        }

        public Tensor bitwise_and(Tensor other) => Aten.Call("bitwise_and.Tensor", this, other);

        public Tensor bitwise_and_(Tensor other)
        {
            Aten.Run("bitwise_and_.Tensor", this, other);
            return this;
        }

        public Tensor bitwise_left_shift(Tensor other) => Aten.Call("bitwise_left_shift.Tensor", this, other);

        public Tensor bitwise_left_shift_(Tensor other)
        {
            Aten.Run("bitwise_left_shift_.Tensor", this, other);
            return this;
        }

        public Tensor bitwise_not() => Aten.Call("bitwise_not", this);

        public Tensor bitwise_not_()
        {
            Aten.Run("bitwise_not_", this);
            return this;
        }

        public Tensor bitwise_or(Tensor other) => Aten.Call("bitwise_or.Tensor", this, other);

        public Tensor bitwise_or_(Tensor other)
        {
            Aten.Run("bitwise_or_.Tensor", this, other);
            return this;
        }

        public Tensor bitwise_right_shift(Tensor other) => Aten.Call("bitwise_right_shift.Tensor", this, other);

        public Tensor bitwise_right_shift_(Tensor other)
        {
            Aten.Run("bitwise_right_shift_.Tensor", this, other);
            return this;
        }

        public Tensor bitwise_xor(Tensor other) => Aten.Call("bitwise_xor.Tensor", this, other);

        public Tensor bitwise_xor_(Tensor other)
        {
            Aten.Run("bitwise_xor_.Tensor", this, other);
            return this;
        }

        public Tensor eq(Scalar target) => Aten.Call("eq.Scalar", this, target);

        public Tensor eq(Tensor target) => Aten.Call("eq.Tensor", this, target);

        public Tensor eq_(Scalar target)
        {
            Aten.Run("eq_.Scalar", this, target);
            return this;
        }

        public Tensor eq_(Tensor target)
        {
            Aten.Run("eq_.Tensor", this, target);
            return this;
        }

        public Tensor equal(Tensor target) => eq(target);

        public Tensor fmax(Tensor other) => Aten.Call("fmax", this, other);

        public Tensor fmin(Tensor other) => Aten.Call("fmin", this, other);

        public Tensor ge(Scalar target) => Aten.Call("ge.Scalar", this, target);

        public Tensor ge(Tensor target) => Aten.Call("ge.Tensor", this, target);

        public Tensor ge_(Scalar target)
        {
            Aten.Run("ge_.Scalar", this, target);
            return this;
        }

        public Tensor ge_(Tensor target)
        {
            Aten.Run("ge_.Tensor", this, target);
            return this;
        }

        public Tensor greater(Tensor target) => Aten.Call("greater.Tensor", this, target);

        public Tensor greater_equal(Tensor target) => Aten.Call("greater_equal.Tensor", this, target);

        public Tensor gt(Scalar target) => Aten.Call("gt.Scalar", this, target);

        public Tensor gt(Tensor target) => Aten.Call("gt.Tensor", this, target);

        public Tensor gt_(Scalar target)
        {
            Aten.Run("gt_.Scalar", this, target);
            return this;
        }

        public Tensor gt_(Tensor target)
        {
            Aten.Run("gt_.Tensor", this, target);
            return this;
        }

        public Tensor heaviside(Tensor other) => Aten.Call("heaviside", this, other);

        public Tensor heaviside_(Tensor other)
        {
            Aten.Run("heaviside_", this, other);
            return this;
        }

        public Tensor isclose(Tensor other, double rtol = 1e-05, double atol = 1e-08, bool nanEqual = false) =>
            Aten.Call("isclose", this, other, rtol, atol, nanEqual);

        public Tensor isfinite() => Aten.Call("isfinite", this);

        public Tensor isin(Tensor test_elements, bool assumeUnique = false, bool invert = false) =>
            Aten.Call("isin.Tensor_Tensor", this, test_elements, assumeUnique, invert);

        public Tensor isinf() => Aten.Call("isinf", this);

        public Tensor isnan() => Aten.Call("isnan", this);

        public Tensor isneginf() => Aten.Call("isneginf", this);

        public Tensor isposinf() => Aten.Call("isposinf", this);

        public Tensor isreal() => Aten.Call("isreal", this);

        public Tensor le(Scalar target) => Aten.Call("le.Scalar", this, target);

        public Tensor le(Tensor target) => Aten.Call("le.Tensor", this, target);

        public Tensor le_(Scalar target)
        {
            Aten.Run("le_.Scalar", this, target);
            return this;
        }

        public Tensor le_(Tensor target)
        {
            Aten.Run("le_.Tensor", this, target);
            return this;
        }

        public Tensor less(Tensor target) => Aten.Call("less.Tensor", this, target);

        public Tensor less_equal(Tensor target) => Aten.Call("less_equal.Tensor", this, target);

        public Tensor less_equal_(Tensor target)
        {
            Aten.Run("less_equal_.Tensor", this, target);
            return this;
        }

        public Tensor logical_and(Tensor other) => Aten.Call("logical_and", this, other);

        public Tensor logical_and_(Tensor other)
        {
            Aten.Run("logical_and_", this, other);
            return this;
        }

        public Tensor logical_not() => Aten.Call("logical_not", this);

        public Tensor logical_not_()
        {
            Aten.Run("logical_not_", this);
            return this;
        }

        public Tensor logical_or(Tensor other) => Aten.Call("logical_or", this, other);

        public Tensor logical_or_(Tensor other)
        {
            Aten.Run("logical_or_", this, other);
            return this;
        }

        public Tensor logical_xor(Tensor other) => Aten.Call("logical_xor", this, other);

        public Tensor logical_xor_(Tensor other)
        {
            Aten.Run("logical_xor_", this, other);
            return this;
        }

        public Tensor lt(Scalar target) => Aten.Call("lt.Scalar", this, target);

        public Tensor lt(Tensor target) => Aten.Call("lt.Tensor", this, target);

        public Tensor lt_(Scalar target)
        {
            Aten.Run("lt_.Scalar", this, target);
            return this;
        }

        public Tensor lt_(Tensor target)
        {
            Aten.Run("lt_.Tensor", this, target);
            return this;
        }

        public Tensor maximum(Tensor other) => Aten.Call("maximum", this, other);

        public Tensor minimum(Tensor other) => Aten.Call("minimum", this, other);

        public Tensor ne(Scalar target) => Aten.Call("ne.Scalar", this, target);

        public Tensor ne(Tensor target) => Aten.Call("ne.Tensor", this, target);

        public Tensor ne_(Scalar target)
        {
            Aten.Run("ne_.Scalar", this, target);
            return this;
        }

        public Tensor ne_(Tensor target)
        {
            Aten.Run("ne_.Tensor", this, target);
            return this;
        }

        public Tensor not_equal(Tensor target) => Aten.Call("not_equal.Tensor", this, target);

        public Tensor not_equal_(Tensor target)
        {
            Aten.Run("not_equal_.Tensor", this, target);
            return this;
        }
    }
}
