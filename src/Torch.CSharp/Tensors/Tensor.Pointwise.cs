namespace TorchSharp;

public static partial class torch
{
    // Functions of one element at a time.
    public partial class Tensor
    {
        public (Tensor Mantissa, Tensor Exponent) frexp() => Aten.CallPair("frexp.Tensor", this);

        public Tensor abs() => Aten.Call("abs", this);

        public Tensor abs_()
        {
            Aten.Run("abs_", this);
            return this;
        }

        public Tensor absolute() => Aten.Call("absolute", this);

        public Tensor absolute_()
        {
            Aten.Run("absolute_", this);
            return this;
        }

        public Tensor ceil() => Aten.Call("ceil", this);

        public Tensor ceil_()
        {
            Aten.Run("ceil_", this);
            return this;
        }

        public Tensor clamp(Scalar? min = null, Scalar? max = null) => Aten.Call("clamp", this, min, max);

        public Tensor clamp(Tensor? min = null, Tensor? max = null) => Aten.Call("clamp.Tensor", this, min, max);

        public Tensor clamp_(Scalar? min = null, Scalar? max = null)
        {
            Aten.Run("clamp_", this, min, max);
            return this;
        }

        public Tensor clamp_(Tensor? min = null, Tensor? max = null)
        {
            Aten.Run("clamp_.Tensor", this, min, max);
            return this;
        }

        public Tensor clamp_max(Scalar max) => Aten.Call("clamp_max", this, max);

        public Tensor clamp_max_(Scalar max)
        {
            Aten.Run("clamp_max_", this, max);
            return this;
        }

        public Tensor clamp_min(Scalar min) => Aten.Call("clamp_min", this, min);

        public Tensor clamp_min_(Scalar min)
        {
            Aten.Run("clamp_min_", this, min);
            return this;
        }

        public Tensor clip(Scalar? min = null, Scalar? max = null) => Aten.Call("clip", this, min, max);

        public Tensor conj_physical() => Aten.Call("conj_physical", this);

        public Tensor conj_physical_()
        {
            Aten.Run("conj_physical_", this);
            return this;
        }

        public Tensor copysign(Tensor other) => Aten.Call("copysign.Tensor", this, other);

        public Tensor copysign_(Tensor other)
        {
            Aten.Run("copysign_.Tensor", this, other);
            return this;
        }

        public Tensor deg2rad() => Aten.Call("deg2rad", this);

        public Tensor deg2rad_()
        {
            Aten.Run("deg2rad_", this);
            return this;
        }

        public Tensor digamma() => Aten.Call("digamma", this);

        public Tensor digamma_()
        {
            Aten.Run("digamma_", this);
            return this;
        }

        public Tensor erf() => Aten.Call("erf", this);

        public Tensor erf_()
        {
            Aten.Run("erf_", this);
            return this;
        }

        public Tensor erfc() => Aten.Call("erfc", this);

        public Tensor erfc_()
        {
            Aten.Run("erfc_", this);
            return this;
        }

        public Tensor erfinv() => Aten.Call("erfinv", this);

        public Tensor erfinv_()
        {
            Aten.Run("erfinv_", this);
            return this;
        }

        public Tensor exp() => Aten.Call("exp", this);

        public Tensor exp2() => Aten.Call("exp2", this);

        public Tensor exp2_()
        {
            Aten.Run("exp2_", this);
            return this;
        }

        public Tensor exp_()
        {
            Aten.Run("exp_", this);
            return this;
        }

        public Tensor expm1() => Aten.Call("expm1", this);

        public Tensor expm1_()
        {
            Aten.Run("expm1_", this);
            return this;
        }

        public Tensor fix() => Aten.Call("fix", this);

        public Tensor fix_()
        {
            Aten.Run("fix_", this);
            return this;
        }

        public Tensor floor() => Aten.Call("floor", this);

        public Tensor floor_()
        {
            Aten.Run("floor_", this);
            return this;
        }

        public Tensor frac() => Aten.Call("frac", this);

        public Tensor frac_()
        {
            Aten.Run("frac_", this);
            return this;
        }

        public Tensor gcd(Tensor other) => Aten.Call("gcd", this, other);

        public Tensor gcd_(Tensor other)
        {
            Aten.Run("gcd_", this, other);
            return this;
        }

        public Tensor hypot(Tensor other) => Aten.Call("hypot", this, other);

        public Tensor i0() => Aten.Call("i0", this);

        public Tensor i0_()
        {
            Aten.Run("i0_", this);
            return this;
        }

        public Tensor igamma(Tensor other) => Aten.Call("igamma", this, other);

        public Tensor igammac(Tensor other) => Aten.Call("igammac", this, other);

        public Tensor istft(
            long n_fft,
            long hop_length = -1,
            long win_length = -1,
            Tensor? window = null,
            bool center = true,
            bool normalized = false,
            bool? onesided = null,
            long length = -1,
            bool return_complex = false) =>
            Aten.Call("istft", this, n_fft, hop_length, win_length, window, center, normalized, onesided, length, return_complex);

        public Tensor lcm(Tensor other) => Aten.Call("lcm", this, other);

        public Tensor lcm_(Tensor other)
        {
            Aten.Run("lcm_", this, other);
            return this;
        }

        public Tensor ldexp(Tensor other) => Aten.Call("ldexp.Tensor", this, other);

        public Tensor ldexp_(Tensor other)
        {
            Aten.Run("ldexp_", this, other);
            return this;
        }

        public Tensor lgamma() => Aten.Call("lgamma", this);

        public Tensor lgamma_()
        {
            Aten.Run("lgamma_", this);
            return this;
        }

        public Tensor log() => Aten.Call("log", this);

        public Tensor log10() => Aten.Call("log10", this);

        public Tensor log10_()
        {
            Aten.Run("log10_", this);
            return this;
        }

        public Tensor log1p() => Aten.Call("log1p", this);

        public Tensor log1p_()
        {
            Aten.Run("log1p_", this);
            return this;
        }

        public Tensor log2() => Aten.Call("log2", this);

        public Tensor log2_()
        {
            Aten.Run("log2_", this);
            return this;
        }

        public Tensor log_()
        {
            Aten.Run("log_", this);
            return this;
        }

        public Tensor logaddexp(Tensor other) => Aten.Call("logaddexp", this, other);

        public Tensor logaddexp2(Tensor other) => Aten.Call("logaddexp2", this, other);

        public Tensor logit(double? eps = null) => Aten.Call("logit", this, eps);

        public Tensor logit_(double? eps = null)
        {
            Aten.Run("logit_", this, eps);
            return this;
        }

        public Tensor mvlgamma(long p) => Aten.Call("mvlgamma", this, p);

        public Tensor mvlgamma_(long p)
        {
            Aten.Run("mvlgamma_", this, p);
            return this;
        }

        public Tensor nan_to_num(double nan = 0, double? posinf = null, double? neginf = null) =>
            Aten.Call("nan_to_num", this, nan, posinf, neginf);

        public Tensor nan_to_num_(double nan = 0, double? posinf = null, double? neginf = null)
        {
            Aten.Run("nan_to_num_", this, nan, posinf, neginf);
            return this;
        }

        public Tensor nextafter(Tensor other) => Aten.Call("nextafter", this, other);

        public Tensor nextafter_(Tensor other)
        {
            Aten.Run("nextafter_", this, other);
            return this;
        }

        public Tensor polygamma(long p) => Aten.Call("polygamma", p, this);

        public Tensor polygamma_(long p)
        {
            Aten.Run("polygamma_", this, p);
            return this;
        }

        public Tensor positive() => Aten.Call("positive", this);

        public Tensor rad2deg() => Aten.Call("rad2deg", this);

        public Tensor rad2deg_()
        {
            Aten.Run("rad2deg_", this);
            return this;
        }

        public Tensor reciprocal() => Aten.Call("reciprocal", this);

        public Tensor reciprocal_()
        {
            Aten.Run("reciprocal_", this);
            return this;
        }

        public Tensor round(long decimals = 0) => Aten.Call("round.decimals", this, decimals);

        public Tensor round_(long decimals = 0)
        {
            Aten.Run("round_.decimals", this, decimals);
            return this;
        }

        public Tensor rsqrt() => Aten.Call("rsqrt", this);

        public Tensor rsqrt_()
        {
            Aten.Run("rsqrt_", this);
            return this;
        }

        public Tensor sgn() => Aten.Call("sgn", this);

        public Tensor sgn_()
        {
            Aten.Run("sgn_", this);
            return this;
        }

        public Tensor sign() => Aten.Call("sign", this);

        public Tensor sign_()
        {
            Aten.Run("sign_", this);
            return this;
        }

        public Tensor signbit() => Aten.Call("signbit", this);

        public Tensor sqrt() => Aten.Call("sqrt", this);

        public Tensor sqrt_()
        {
            Aten.Run("sqrt_", this);
            return this;
        }

        public Tensor square() => Aten.Call("square", this);

        public Tensor trunc() => Aten.Call("trunc", this);

        public Tensor trunc_()
        {
            Aten.Run("trunc_", this);
            return this;
        }

        public Tensor xlogy(Scalar y) => Aten.Call("xlogy.Scalar_Other", this, y);

        public Tensor xlogy(Tensor y) => Aten.Call("xlogy.Tensor", this, y);

        public Tensor xlogy_(Scalar y)
        {
            Aten.Run("xlogy_.Scalar_Other", this, y);
            return this;
        }

        public Tensor xlogy_(Tensor y)
        {
            Aten.Run("xlogy_.Tensor", this, y);
            return this;
        }

        public Tensor acos() => Aten.Call("acos", this);

        public Tensor acos_()
        {
            Aten.Run("acos_", this);
            return this;
        }

        public Tensor acosh() => Aten.Call("acosh", this);

        public Tensor acosh_()
        {
            Aten.Run("acosh_", this);
            return this;
        }

        public Tensor angle() => Aten.Call("angle", this);

        public Tensor arccos() => Aten.Call("arccos", this);

        public Tensor arccos_()
        {
            Aten.Run("arccos_", this);
            return this;
        }

        public Tensor arccosh() => Aten.Call("arccosh", this);

        public Tensor arccosh_()
        {
            Aten.Run("arccosh_", this);
            return this;
        }

        public Tensor arcsin() => Aten.Call("arcsin", this);

        public Tensor arcsin_()
        {
            Aten.Run("arcsin_", this);
            return this;
        }

        public Tensor arcsinh() => Aten.Call("arcsinh", this);

        public Tensor arcsinh_()
        {
            Aten.Run("arcsinh_", this);
            return this;
        }

        public Tensor arctan() => Aten.Call("arctan", this);

        public Tensor arctan(Tensor other) => atan2(other);

        public Tensor arctan2(Tensor other) => Aten.Call("arctan2", this, other);

        public Tensor arctan2_(Tensor other)
        {
            Aten.Run("arctan2_", this, other);
            return this;
        }

        public Tensor arctan_()
        {
            Aten.Run("arctan_", this);
            return this;
        }

        public Tensor arctan_(Tensor other) => atan2_(other);

        public Tensor arctanh() => Aten.Call("arctanh", this);

        public Tensor arctanh_()
        {
            Aten.Run("arctanh_", this);
            return this;
        }

        public Tensor asin() => Aten.Call("asin", this);

        public Tensor asin_()
        {
            Aten.Run("asin_", this);
            return this;
        }

        public Tensor asinh() => Aten.Call("asinh", this);

        public Tensor asinh_()
        {
            Aten.Run("asinh_", this);
            return this;
        }

        public Tensor atan() => Aten.Call("atan", this);

        public Tensor atan2(Tensor other) => Aten.Call("atan2", this, other);

        public Tensor atan2_(Tensor other)
        {
            Aten.Run("atan2_", this, other);
            return this;
        }

        public Tensor atan_()
        {
            Aten.Run("atan_", this);
            return this;
        }

        public Tensor atanh() => Aten.Call("atanh", this);

        public Tensor atanh_()
        {
            Aten.Run("atanh_", this);
            return this;
        }

        public Tensor cos() => Aten.Call("cos", this);

        public Tensor cos_()
        {
            Aten.Run("cos_", this);
            return this;
        }

        public Tensor cosh() => Aten.Call("cosh", this);

        public Tensor cosh_()
        {
            Aten.Run("cosh_", this);
            return this;
        }

        public Tensor sin() => Aten.Call("sin", this);

        public Tensor sin_()
        {
            Aten.Run("sin_", this);
            return this;
        }

        public Tensor sinc() => Aten.Call("sinc", this);

        public Tensor sinc_()
        {
            Aten.Run("sinc_", this);
            return this;
        }

        public Tensor sinh() => Aten.Call("sinh", this);

        public Tensor sinh_()
        {
            Aten.Run("sinh_", this);
            return this;
        }

        public Tensor tan() => Aten.Call("tan", this);

        public Tensor tan_()
        {
            Aten.Run("tan_", this);
            return this;
        }

        public Tensor tanh() => Aten.Call("tanh", this);

        public Tensor tanh_()
        {
            Aten.Run("tanh_", this);
            return this;
        }
    }
}
