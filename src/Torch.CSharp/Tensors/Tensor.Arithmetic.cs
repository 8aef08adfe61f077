namespace TorchSharp;

public static partial class torch
{
    // Sums, products and their kin.
    public partial class Tensor
    {
        public Tensor add(Scalar scalar) => Aten.Call("add.Scalar", this, scalar);

        public Tensor add(Scalar scalar, Scalar alpha) => Aten.Call("add.Scalar", this, scalar, alpha);

        public Tensor add(Tensor target) => Aten.Call("add.Tensor", this, target);

        public Tensor add(Tensor target, Scalar alpha) => Aten.Call("add.Tensor", this, target, alpha);

        public Tensor add_(Scalar scalar)
        {
            Aten.Run("add_.Scalar", this, scalar);
            return this;
        }

        public Tensor add_(Scalar scalar, Scalar alpha)
        {
            Aten.Run("add_.Scalar", this, scalar, alpha);
            return this;
        }

        public Tensor add_(Tensor target)
        {
            Aten.Run("add_.Tensor", this, target);
            return this;
        }

        public Tensor add_(Tensor target, Scalar alpha)
        {
            Aten.Run("add_.Tensor", this, target, alpha);
            return this;
        }

        public Tensor addbmm(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) =>
            Aten.Call("addbmm", this, batch1, batch2, (double)beta, (double)alpha);

        public Tensor addbmm_(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f)
        {
            Aten.Run("addbmm_", this, batch1, batch2, (double)beta, (double)alpha);
            return this;
        }

        public Tensor addcdiv(Tensor tensor1, Tensor tensor2) => Aten.Call("addcdiv", this, tensor1, tensor2);

        public Tensor addcdiv(Tensor tensor1, Tensor tensor2, Scalar value) =>
            Aten.Call("addcdiv", this, tensor1, tensor2, value);

        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2)
        {
            Aten.Run("addcdiv_", this, tensor1, tensor2);
            return this;
        }

        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2, Scalar value)
        {
            Aten.Run("addcdiv_", this, tensor1, tensor2, value);
            return this;
        }

        public Tensor addcmul(Tensor tensor1, Tensor tensor2, Scalar value) =>
            Aten.Call("addcmul", this, tensor1, tensor2, value);

        public Tensor addcmul_(Tensor tensor1, Tensor tensor2, Scalar value)
        {
            Aten.Run("addcmul_", this, tensor1, tensor2, value);
            return this;
        }

        public Tensor addmm(Tensor mat1, Tensor mat2, float beta = 1f, float alpha = 1f) =>
            Aten.Call("addmm", this, mat1, mat2, (double)beta, (double)alpha);

        public Tensor addmm_(Tensor mat1, Tensor mat2, float beta = 1f, float alpha = 1f)
        {
            Aten.Run("addmm_", this, mat1, mat2, (double)beta, (double)alpha);
            return this;
        }

        public Tensor addmv(Tensor mat, Tensor vec, float beta = 1f, float alpha = 1f) =>
            Aten.Call("addmv", this, mat, vec, (double)beta, (double)alpha);

        public Tensor addmv_(Tensor mat, Tensor vec, float beta = 1f, float alpha = 1f)
        {
            Aten.Run("addmv_", this, mat, vec, (double)beta, (double)alpha);
            return this;
        }

        public Tensor addr(Tensor vec1, Tensor vec2, float beta = 1f, float alpha = 1f) =>
            Aten.Call("addr", this, vec1, vec2, (double)beta, (double)alpha);

        public Tensor addr_(Tensor vec1, Tensor vec2, float beta = 1f, float alpha = 1f)
        {
            Aten.Run("addr_", this, vec1, vec2, (double)beta, (double)alpha);
            return this;
        }

        public Tensor baddbmm(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) =>
            Aten.Call("baddbmm", this, batch1, batch2, (double)beta, (double)alpha);

        public Tensor div(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            Aten.Call("div.Scalar_mode", this, target, Rounding(rounding_mode));

        public Tensor div(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            Aten.Call("div.Tensor_mode", this, target, Rounding(rounding_mode));

        public Tensor div_(Scalar target, RoundingMode rounding_mode = RoundingMode.None)
        {
            Aten.Run("div_.Scalar_mode", this, target, Rounding(rounding_mode));
            return this;
        }

        public Tensor div_(Tensor target, RoundingMode rounding_mode = RoundingMode.None)
        {
            Aten.Run("div_.Tensor_mode", this, target, Rounding(rounding_mode));
            return this;
        }

        public Tensor divide(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            Aten.Call("div.Scalar_mode", this, target, Rounding(rounding_mode));

        public Tensor divide(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            Aten.Call("div.Tensor_mode", this, target, Rounding(rounding_mode));

        public Tensor divide_(Scalar target, RoundingMode rounding_mode = RoundingMode.None)
        {
            Aten.Run("div_.Scalar_mode", this, target, Rounding(rounding_mode));
            return this;
        }

        public Tensor divide_(Tensor target, RoundingMode rounding_mode = RoundingMode.None)
        {
            Aten.Run("div_.Tensor_mode", this, target, Rounding(rounding_mode));
            return this;
        }

        public Tensor float_power(Tensor target) => Aten.Call("float_power.Tensor_Tensor", this, target);

        public Tensor float_power_(Tensor target)
        {
            Aten.Run("float_power_.Tensor", this, target);
            return this;
        }

        public Tensor floor_divide(Scalar other) => Aten.Call("floor_divide.Scalar", this, other);

        public Tensor floor_divide(Tensor other) => Aten.Call("floor_divide", this, other);

        public Tensor floor_divide_(Scalar other)
        {
            Aten.Run("floor_divide_.Scalar", this, other);
            return this;
        }

        public Tensor floor_divide_(Tensor other)
        {
            Aten.Run("floor_divide_.Tensor", this, other);
            return this;
        }

        public Tensor fmod(Scalar scalar) => Aten.Call("fmod.Scalar", this, scalar);

        public Tensor fmod(Tensor target) => Aten.Call("fmod.Tensor", this, target);

        public Tensor fmod_(Scalar scalar)
        {
            Aten.Run("fmod_.Scalar", this, scalar);
            return this;
        }

        public Tensor fmod_(Tensor target)
        {
            Aten.Run("fmod_.Tensor", this, target);
            return this;
        }

        public Tensor lerp(Tensor end, Tensor weight) => Aten.Call("lerp.Tensor", this, end, weight);

        public Tensor lerp_(Tensor end, Tensor weight)
        {
            Aten.Run("lerp_.Tensor", this, end, weight);
            return this;
        }

        public Tensor mul(Scalar target) => Aten.Call("mul.Scalar", this, target);

        public Tensor mul(Tensor target) => Aten.Call("mul.Tensor", this, target);

        public Tensor mul_(Scalar target)
        {
            Aten.Run("mul_.Scalar", this, target);
            return this;
        }

        public Tensor mul_(Tensor target)
        {
            Aten.Run("mul_.Tensor", this, target);
            return this;
        }

        public Tensor multiply(Scalar target) => Aten.Call("multiply.Scalar", this, target);

        public Tensor multiply(Tensor target) => Aten.Call("multiply.Tensor", this, target);

        public Tensor neg() => Aten.Call("neg", this);

        public Tensor neg_()
        {
            Aten.Run("neg_", this);
            return this;
        }

        public Tensor negative() => Aten.Call("negative", this);

        public Tensor pow(Scalar exponent) => Aten.Call("pow.Tensor_Scalar", this, exponent);

        public Tensor pow(Tensor exponent) => Aten.Call("pow.Tensor_Tensor", this, exponent);

        public Tensor pow_(Scalar exponent)
        {
            Aten.Run("pow_.Scalar", this, exponent);
            return this;
        }

        public Tensor pow_(Tensor exponent)
        {
            Aten.Run("pow_.Tensor", this, exponent);
            return this;
        }

        public Tensor remainder(Scalar scalar) => Aten.Call("remainder.Scalar", this, scalar);

        public Tensor remainder(Tensor target) => Aten.Call("remainder.Tensor", this, target);

        public Tensor remainder_(Scalar scalar)
        {
            Aten.Run("remainder_.Scalar", this, scalar);
            return this;
        }

        public Tensor remainder_(Tensor target)
        {
            Aten.Run("remainder_.Tensor", this, target);
            return this;
        }

        public Tensor sub(Scalar target) => Aten.Call("sub.Scalar", this, target);

        public Tensor sub(Tensor target) => Aten.Call("sub.Tensor", this, target);

        public Tensor sub_(Scalar target)
        {
            Aten.Run("sub_.Scalar", this, target);
            return this;
        }

        public Tensor sub_(Tensor target)
        {
            Aten.Run("sub_.Tensor", this, target);
            return this;
        }

        public Tensor subtract(Scalar target) => Aten.Call("subtract.Scalar", this, target);

        public Tensor subtract(Tensor target) => Aten.Call("subtract.Tensor", this, target);

        public Tensor subtract_(Scalar target)
        {
            Aten.Run("subtract_.Scalar", this, target);
            return this;
        }

        public Tensor subtract_(Tensor target)
        {
            Aten.Run("subtract_.Tensor", this, target);
            return this;
        }

        public Tensor true_divide(Scalar other) => Aten.Call("true_divide.Scalar", this, other);

        public Tensor true_divide(Tensor other) => Aten.Call("true_divide.Tensor", this, other);

        public Tensor true_divide_(Scalar other)
        {
            Aten.Run("true_divide_.Scalar", this, other);
            return this;
        }

        public Tensor true_divide_(Tensor other)
        {
            Aten.Run("true_divide_.Tensor", this, other);
            return this;
        }
    }
}
