using System.Numerics;

namespace TorchSharp;

/// <summary>A number of any element type, as operators take it.</summary>
public sealed class Scalar : IDisposable
{
    private readonly double real;
    private readonly double imaginary;
    private readonly long integer;
    private bool disposed;

    private Scalar(torch.ScalarType type, long integer)
    {
        Type = type;
        this.integer = integer;
        real = integer;
    }

    private Scalar(torch.ScalarType type, double real, double imaginary = 0)
    {
        Type = type;
        this.real = real;
        this.imaginary = imaginary;
        integer = double.IsNaN(real) ? 0 : (long)real;
    }

    /// <summary>libtorch knows four kinds of number: bool, int64, float64 and complex128.</summary>
    public torch.ScalarType Type { get; }

    internal Argument Boxed
    {
        get
        {
            ThrowIfDisposed();
            return Type switch
            {
                torch.ScalarType.Bool => integer != 0,
                torch.ScalarType.Int64 => integer,
                torch.ScalarType.ComplexFloat64 => Argument.Complex(new Complex(real, imaginary)),
                _ => real,
            };
        }
    }

    internal long Integer
    {
        get
        {
            ThrowIfDisposed();
            return integer;
        }
    }

    internal double Real
    {
        get
        {
            ThrowIfDisposed();
            return real;
        }
    }

    internal Complex Complex
    {
        get
        {
            ThrowIfDisposed();
            return new Complex(real, imaginary);
        }
    }

    internal static Scalar OfInteger(long value) => new(torch.ScalarType.Int64, value);

    internal static Scalar OfReal(double value) => new(torch.ScalarType.Float64, value);

    internal static Scalar OfBoolean(bool value) => new(torch.ScalarType.Bool, value ? 1L : 0L);

    internal static Scalar OfComplex(Complex value) => new(torch.ScalarType.ComplexFloat64, value.Real, value.Imaginary);

    private void ThrowIfDisposed()
    {
        if (disposed)
            throw new InvalidOperationException("Scalar invalid -- empty handle.");
    }

    public static implicit operator Scalar(byte value) => value.ToScalar();
    public static implicit operator Scalar(sbyte value) => value.ToScalar();
    public static implicit operator Scalar(short value) => value.ToScalar();
    public static implicit operator Scalar(int value) => value.ToScalar();
    public static implicit operator Scalar(long value) => value.ToScalar();
    public static implicit operator Scalar(Half value) => value.ToScalar();
    public static implicit operator Scalar(BFloat16 value) => value.ToScalar();
    public static implicit operator Scalar(float value) => value.ToScalar();
    public static implicit operator Scalar(double value) => value.ToScalar();
    public static implicit operator Scalar(bool value) => value.ToScalar();
    public static implicit operator Scalar((float, float) value) => value.ToScalar();
    public static implicit operator Scalar(Complex value) => value.ToScalar();

    public void Dispose() => disposed = true;
}

/// <summary>Numbers to scalars and back.</summary>
public static class ScalarExtensionMethods
{
    public static Scalar ToScalar(this byte value) => Scalar.OfInteger(value);
    public static Scalar ToScalar(this sbyte value) => Scalar.OfInteger(value);
    public static Scalar ToScalar(this short value) => Scalar.OfInteger(value);
    public static Scalar ToScalar(this int value) => Scalar.OfInteger(value);
    public static Scalar ToScalar(this long value) => Scalar.OfInteger(value);
    public static Scalar ToScalar(this float value) => Scalar.OfReal(value);
    public static Scalar ToScalar(this double value) => Scalar.OfReal(value);
    public static Scalar ToScalar(this (float, float) value) => Scalar.OfComplex(new Complex(value.Item1, value.Item2));
    public static Scalar ToScalar(this Complex value) => Scalar.OfComplex(value);
    public static Scalar ToScalar(this bool value) => Scalar.OfBoolean(value);
    public static Scalar ToScalar(this Half value) => Scalar.OfReal((double)value);
    public static Scalar ToBFloat16Scalar(this float value) => Scalar.OfReal(((BFloat16)value).ToSingle());
    public static Scalar ToScalar(this BFloat16 value) => Scalar.OfReal(value.ToSingle());

    public static Half ToHalf(this Scalar value) => (Half)value.Real;
    public static BFloat16 ToBFloat16(this Scalar value) => (BFloat16)value.Real;
    public static float ToSingle(this Scalar value) => (float)value.Real;
    public static double ToDouble(this Scalar value) => value.Real;
    public static sbyte ToSByte(this Scalar value) => (sbyte)value.Integer;
    public static byte ToByte(this Scalar value) => (byte)value.Integer;
    public static short ToInt16(this Scalar value) => (short)value.Integer;
    public static int ToInt32(this Scalar value) => (int)value.Integer;
    public static long ToInt64(this Scalar value) => value.Integer;
    public static bool ToBoolean(this Scalar value) => value.Real != 0 || value.Integer != 0;

    public static (float Real, float Imaginary) ToComplexFloat32(this Scalar value) =>
        ((float)value.Complex.Real, (float)value.Complex.Imaginary);

    public static Complex ToComplexFloat64(this Scalar value) => value.Complex;
}
