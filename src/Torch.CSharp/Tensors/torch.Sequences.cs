namespace TorchSharp;

// Ranges, grids of indices, windows, and random tensors with parameters of their own.
public static partial class torch
{
    public static Tensor arange(
        Scalar start,
        Scalar stop,
        Scalar step,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false)
    {
        var type = dtype ?? (is_integral(start.Type) && is_integral(stop.Type) && is_integral(step.Type)
            ? ScalarType.Int64
            : defaultType);
        return Created(
            Aten.Call("arange.start_step", start, stop, step, type, Argument.None, InitializeDevice(device)), requires_grad, null);
    }

    public static Tensor arange(
        Scalar start, Scalar stop, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        arange(start, stop, 1, dtype, device, requires_grad);

    public static Tensor arange(Scalar stop, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        arange(0, stop, 1, dtype, device, requires_grad);

    public static Tensor linspace(
        double start, double end, long steps, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Created(
            Aten.Call("linspace", start, end, steps, dtype ?? defaultType, Argument.None, InitializeDevice(device)),
            requires_grad,
            null);

    public static Tensor logspace(
        double start,
        double end,
        long steps,
        double @base = 10,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false) =>
        Created(
            Aten.Call("logspace", start, end, steps, @base, dtype ?? defaultType, Argument.None, InitializeDevice(device)),
            requires_grad,
            null);

    public static Tensor eye(
        long rows,
        long columns = -1,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        string[]? names = null) =>
        Created(
            Aten.Call(
                "eye.m", rows, columns == -1 ? rows : columns, dtype ?? defaultType, Argument.None, InitializeDevice(device)),
            requires_grad,
            names);

    public static Tensor empty_strided(
        long[] size,
        long[] strides,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        string[]? names = null) =>
        Created(
            Aten.Call("empty_strided", size, strides, dtype ?? defaultType, Argument.None, InitializeDevice(device)),
            requires_grad,
            names);

    public static Tensor tril_indices(
        long row, long col, long offset = 0, ScalarType dtype = ScalarType.Int64, Device? device = null) =>
        Aten.Call("tril_indices", row, col, offset, dtype, Argument.None, InitializeDevice(device));

    public static Tensor triu_indices(
        long row, long col, long offset = 0, ScalarType dtype = ScalarType.Int64, Device? device = null) =>
        Aten.Call("triu_indices", row, col, offset, dtype, Argument.None, InitializeDevice(device));

    public static Tensor hann_window(
        long len, bool periodic = true, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Created(
            Aten.Call("hann_window.periodic", len, periodic, dtype ?? defaultType, Argument.None, InitializeDevice(device)),
            requires_grad,
            null);

    public static Tensor randperm(
        long n,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        Generator? generator = null) =>
        Created(
            Aten.Call(
                "randperm.generator", n, generator, dtype ?? ScalarType.Int64, Argument.None, InitializeDevice(device)),
            requires_grad,
            null);

    public static Tensor randint(
        long low,
        long high,
        Size size,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        Generator? generator = null,
        string[]? names = null)
    {
        var type = dtype ?? ScalarType.Int64;
        CheckIntegerRange(low, type, nameof(low));
        CheckIntegerRange(high - 1, type, nameof(high));
        return Created(
            Aten.Call("randint.low_generator", low, high, size.Shape, generator, type, Argument.None, InitializeDevice(device)),
            requires_grad,
            names);
    }

    public static Tensor randint(
        long high,
        Size size,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        Generator? generator = null,
        string[]? names = null) =>
        randint(0, high, size, dtype, device, requires_grad, generator, names);

    public static Tensor randint(
        long low,
        long high,
        long[] size,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        Generator? generator = null,
        string[]? names = null) =>
        randint(low, high, new Size(size), dtype, device, requires_grad, generator, names);

    public static Tensor randint(
        long high,
        long[] size,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        Generator? generator = null,
        string[]? names = null) =>
        randint(0, high, new Size(size), dtype, device, requires_grad, generator, names);

    public static Tensor randint(
        int low,
        int high,
        int[] size,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        Generator? generator = null,
        string[]? names = null) =>
        randint(low, high, new Size(size), dtype, device, requires_grad, generator, names);

    public static Tensor randint(
        int high,
        int[] size,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        Generator? generator = null,
        string[]? names = null) =>
        randint(0, high, new Size(size), dtype, device, requires_grad, generator, names);

    public static Tensor normal(
        double mean,
        double std,
        ReadOnlySpan<long> size,
        ScalarType? dtype = null,
        Device? device = null,
        bool requires_grad = false,
        Generator? generator = null,
        string[]? names = null) =>
        randn(size, dtype, device, requires_grad: false, generator, names).mul_(std).add_(mean).requires_grad_(requires_grad);

    public static Tensor normal(Tensor mean, Tensor std, Generator? generator = null) =>
        Aten.Call("normal.Tensor_Tensor", mean, std, generator);

    public static double rand_float(Generator? generator = null)
    {
        using var number = rand([1L], generator: generator).DetachFromDisposeScope();
        return number.ToDouble();
    }

    public static double randn_float(Generator? generator = null)
    {
        using var number = randn([1L], generator: generator).DetachFromDisposeScope();
        return number.ToDouble();
    }

    public static long randint_long(long low, long high, Generator? generator = null)
    {
        using var number = randint(low, high, [1L], generator: generator).DetachFromDisposeScope();
        return number.ToInt64();
    }

    public static long randint_long(long high, Generator? generator = null) => randint_long(0, high, generator);

    public static int randint_int(int low, int high, Generator? generator = null) => (int)randint_long(low, high, generator);

    public static int randint_int(int high, Generator? generator = null) => randint_int(0, high, generator);

    public static bool randint_bool(Generator? generator = null) => randint_long(0, 2, generator) == 1;

    /// <summary>The type of a tensor filled with a value, where none is asked for.</summary>
    private static ScalarType NaturalType(Scalar value) =>
        is_integral(value.Type) ? ScalarType.Int64 : defaultType;

    private static void CheckFloating(ScalarType? dtype, string function)
    {
        if (dtype is { } type && is_integral(type))
        {
            throw new ArgumentException(
                $"torch.{function}() was passed a bad dtype: {type}. It must be floating point or complex.", nameof(dtype));
        }
    }

    private static void CheckIntegerRange(long value, ScalarType dtype, string argument)
    {
        var (low, high) = dtype switch
        {
            ScalarType.Byte => (byte.MinValue, byte.MaxValue),
            ScalarType.Int8 => (sbyte.MinValue, sbyte.MaxValue),
            ScalarType.Int16 => (short.MinValue, short.MaxValue),
            ScalarType.Int32 => (int.MinValue, int.MaxValue),
            _ => (long.MinValue, long.MaxValue),
        };
        if (value < low || value > high)
            throw new ArgumentOutOfRangeException(argument, value, $"The value is outside the range of {dtype}");
    }
}
