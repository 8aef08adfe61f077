using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>
/// Every operator of libtorch, by the name and overload that its schema has in PyTorch's <c>native_functions.yaml</c>:
/// <code>
/// Aten.Call("relu", x)                                     // aten::relu(Tensor self)
/// Aten.Call("add.Tensor", a, b, alpha)                     // aten::add.Tensor(self, other, *, Scalar alpha=1)
/// Aten.Call("conv2d", x, weight, bias, 1L, new long[] { 1, 1 }, 1L, groups)
/// Aten.Call("sum.dim_IntList", x, new long[] { 1 }, keepdim, dtype)
/// Aten.CallList("split.Tensor", x, 4, dim)                 // Tensor[]: all tensors that the operator returns
/// Aten.Run("add_.Tensor", a, b)                            // in place: the result (self again) is dropped
/// Aten.CallLong / CallDouble / CallBool / CallScalar       // operators that return a number
/// </code>
/// Arguments go by position in the schema's order, keyword-only ones too (after the positional ones, in schema order);
/// trailing ones may be left out and take the schema's defaults, in particular those that a newer libtorch added.
/// Each is any value with an implicit conversion to <see cref="Argument"/>; <see cref="Argument.None"/> or a typed
/// <c>null</c> stands for an absent optional. An int is accepted for float, Scalar, int[N] and ScalarType parameters.
/// An undefined tensor among the results is a <see cref="Tensor"/> with <see cref="Tensor.IsInvalid"/> set.
/// Errors are <see cref="ExternalException"/> with libtorch's own message, as in TorchSharp.
/// </summary>
internal static unsafe class Aten
{
    private static readonly ConcurrentDictionary<string, nint> Operators = new(StringComparer.Ordinal);

    /// <summary>The most values that one operator returns (the fused recurrent ones return five).</summary>
    private const int ResultCapacity = 8;

    /// <summary>Argument lists up to this many bytes are laid out on the stack.</summary>
    private const int StackBytes = 1024;

    /// <summary>Calls an operator and returns its first tensor.</summary>
    internal static Tensor Call(string name, params ReadOnlySpan<Argument> arguments)
    {
        Value* results = stackalloc Value[ResultCapacity];
        var count = Invoke(name, arguments, results);
        var handle = TakeFirstTensor(results, count);
        return new Tensor(handle);
    }

    /// <summary>Calls an operator that may return no tensor (an undefined one).</summary>
    internal static Tensor? CallOptional(string name, params ReadOnlySpan<Argument> arguments)
    {
        Value* results = stackalloc Value[ResultCapacity];
        var count = Invoke(name, arguments, results);
        var handle = TakeFirstTensor(results, count);
        return handle == 0 ? null : new Tensor(handle);
    }

    /// <summary>Calls an operator and returns all tensors of its result, lists flattened, in order.</summary>
    internal static Tensor[] CallList(string name, params ReadOnlySpan<Argument> arguments)
    {
        Value* results = stackalloc Value[ResultCapacity];
        var count = Invoke(name, arguments, results);
        return TakeTensors(results, count);
    }

    /// <summary>Calls an operator that returns two tensors.</summary>
    internal static (Tensor, Tensor) CallPair(string name, params ReadOnlySpan<Argument> arguments)
    {
        var tensors = CallList(name, arguments);
        return (tensors[0], tensors[1]);
    }

    /// <summary>Calls an operator that returns three tensors.</summary>
    internal static (Tensor, Tensor, Tensor) CallTriple(string name, params ReadOnlySpan<Argument> arguments)
    {
        var tensors = CallList(name, arguments);
        return (tensors[0], tensors[1], tensors[2]);
    }

    /// <summary>Calls an operator for its effect: in place, or into an <c>out</c> argument.</summary>
    internal static void Run(string name, params ReadOnlySpan<Argument> arguments)
    {
        Value* results = stackalloc Value[ResultCapacity];
        var count = Invoke(name, arguments, results);
        for (var i = 0; i < count; i++)
            Release(results[i]);
    }

    internal static Scalar CallScalar(string name, params ReadOnlySpan<Argument> arguments)
    {
        var value = Number(name, arguments);
        return value.Kind switch
        {
            ArgumentKind.Double => value.Double,
            ArgumentKind.Bool => value.Integer != 0,
            ArgumentKind.Complex => new System.Numerics.Complex(value.Double, value.Imaginary),
            _ => value.Integer,
        };
    }

    internal static double CallDouble(string name, params ReadOnlySpan<Argument> arguments)
    {
        var value = Number(name, arguments);
        return value.Kind is ArgumentKind.Double or ArgumentKind.Complex ? value.Double : value.Integer;
    }

    internal static long CallLong(string name, params ReadOnlySpan<Argument> arguments)
    {
        var value = Number(name, arguments);
        return value.Kind is ArgumentKind.Double or ArgumentKind.Complex ? (long)value.Double : value.Integer;
    }

    internal static bool CallBool(string name, params ReadOnlySpan<Argument> arguments) => CallLong(name, arguments) != 0;

    /// <summary>Whether this libtorch has the operator: for the few that newer versions added.</summary>
    internal static bool Has(string name) => TryFind(name) != 0;

    private static Value Number(string name, ReadOnlySpan<Argument> arguments)
    {
        Value* results = stackalloc Value[ResultCapacity];
        var count = Invoke(name, arguments, results);
        return count > 0 ? results[0] : default;
    }

    private static int Invoke(string name, ReadOnlySpan<Argument> arguments, Value* results)
    {
        var handle = Find(name);
        var bytes = arguments.Length * sizeof(Value) + PayloadBytes(arguments);
        int count;
        if (bytes <= StackBytes)
        {
            var buffer = stackalloc long[StackBytes / sizeof(long)];
            count = Invoke(handle, arguments, results, (byte*)buffer);
        }
        else
        {
            var buffer = (byte*)NativeMemory.Alloc((nuint)bytes);
            try
            {
                count = Invoke(handle, arguments, results, buffer);
            }
            finally
            {
                NativeMemory.Free(buffer);
            }
        }

        if (count < 0)
            TorchNative.ThrowLastError();
        return count;
    }

    private static int Invoke(nint handle, ReadOnlySpan<Argument> arguments, Value* results, byte* buffer)
    {
        var values = (Value*)buffer;
        var payload = buffer + arguments.Length * sizeof(Value);
        for (var i = 0; i < arguments.Length; i++)
            Write(arguments[i], ref values[i], ref payload);
        var count = TorchNative.tn_call(handle, values, arguments.Length, results, ResultCapacity);
        if (count < 0 && IsOutOfMemory(TorchNative.LastError()))
        {
            NativeMemoryPressure.Collect();
            count = TorchNative.tn_call(handle, values, arguments.Length, results, ResultCapacity);
        }

        // The native call holds only raw handles: the managed owners must outlive it.
        foreach (ref readonly var argument in arguments)
            GC.KeepAlive(argument.Reference);
        return count;
    }

    /// <summary>
    /// What the allocators of the CPU and of CUDA say when memory is gone: then unreachable tensors may still hold some,
    /// on CUDA in particular, whose memory <see cref="NativeMemoryPressure"/> does not count.
    /// </summary>
    private static bool IsOutOfMemory(string error) =>
        error.Contains("out of memory", StringComparison.Ordinal)
        || error.Contains("can't allocate memory", StringComparison.Ordinal);

    private static void Write(in Argument argument, ref Value value, ref byte* payload)
    {
        value.Kind = argument.Kind;
        value.Length = 0;
        value.Integer = argument.Bits;
        value.Imaginary = 0;
        switch (argument.Kind)
        {
            case ArgumentKind.Tensor:
                value.Integer = Unsafe.As<Tensor>(argument.Reference!).Handle;
                break;
            case ArgumentKind.TensorList:
                var tensors = Unsafe.As<Tensor?[]>(argument.Reference!);
                Lay(ref value, payload, tensors.Length);
                for (var i = 0; i < tensors.Length; i++)
                    ((nint*)payload)[i] = tensors[i]?.Handle ?? 0;
                payload += tensors.Length * sizeof(nint);
                break;
            case ArgumentKind.IntList:
                var integers = Unsafe.As<long[]>(argument.Reference!);
                Lay(ref value, payload, integers.Length);
                integers.CopyTo(new Span<long>(payload, integers.Length));
                payload += integers.Length * sizeof(long);
                break;
            case ArgumentKind.DoubleList:
                var doubles = Unsafe.As<double[]>(argument.Reference!);
                Lay(ref value, payload, doubles.Length);
                doubles.CopyTo(new Span<double>(payload, doubles.Length));
                payload += doubles.Length * sizeof(double);
                break;
            case ArgumentKind.BoolList:
                var flags = Unsafe.As<bool[]>(argument.Reference!);
                Lay(ref value, payload, flags.Length);
                for (var i = 0; i < flags.Length; i++)
                    ((long*)payload)[i] = flags[i] ? 1 : 0;
                payload += flags.Length * sizeof(long);
                break;
            case ArgumentKind.String:
                var text = Unsafe.As<string>(argument.Reference!);
                var written = Encoding.UTF8.GetBytes(text, new Span<byte>(payload, Encoding.UTF8.GetMaxByteCount(text.Length)));
                Lay(ref value, payload, written);
                payload += Aligned(Encoding.UTF8.GetMaxByteCount(text.Length));
                break;
            case ArgumentKind.Generator:
                value.Integer = Unsafe.As<Generator>(argument.Reference!).Handle;
                break;
            case ArgumentKind.Complex:
                var complex = (System.Numerics.Complex)argument.Reference!;
                value.Double = complex.Real;
                value.Imaginary = complex.Imaginary;
                break;
        }
    }

    private static void Lay(ref Value value, byte* payload, int length)
    {
        value.Length = length;
        value.Integer = (nint)payload;
    }

    private static int PayloadBytes(ReadOnlySpan<Argument> arguments)
    {
        var bytes = 0;
        foreach (ref readonly var argument in arguments)
        {
            bytes += argument.Reference switch
            {
                string text => Aligned(Encoding.UTF8.GetMaxByteCount(text.Length)),
                Array list => list.Length * sizeof(long),
                _ => 0,
            };
        }

        return bytes;
    }

    private static int Aligned(int bytes) => (bytes + 7) & ~7;

    private static nint TakeFirstTensor(Value* results, int count)
    {
        nint first = 0;
        var taken = false;
        for (var i = 0; i < count; i++)
        {
            if (!taken && results[i].Kind == ArgumentKind.Tensor)
            {
                first = (nint)results[i].Integer;
                taken = true;
            }
            else
            {
                Release(results[i]);
            }
        }

        return first;
    }

    private static Tensor[] TakeTensors(Value* results, int count)
    {
        var total = 0;
        for (var i = 0; i < count; i++)
            total += results[i].Kind == ArgumentKind.Tensor ? 1 : results[i].Kind == ArgumentKind.TensorList ? results[i].Length : 0;
        var tensors = new Tensor[total];
        var next = 0;
        for (var i = 0; i < count; i++)
        {
            if (results[i].Kind == ArgumentKind.Tensor)
            {
                tensors[next++] = new Tensor((nint)results[i].Integer);
            }
            else if (results[i].Kind == ArgumentKind.TensorList)
            {
                var handles = (nint*)results[i].Integer;
                for (var j = 0; j < results[i].Length; j++)
                    tensors[next++] = new Tensor(handles[j]);
                TorchNative.tn_list_free(handles);
            }
        }

        return tensors;
    }

    private static void Release(in Value value)
    {
        if (value.Kind == ArgumentKind.Tensor)
        {
            TorchNative.tn_tensor_free((nint)value.Integer);
        }
        else if (value.Kind == ArgumentKind.TensorList)
        {
            var handles = (nint*)value.Integer;
            for (var j = 0; j < value.Length; j++)
                TorchNative.tn_tensor_free(handles[j]);
            TorchNative.tn_list_free(handles);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nint Find(string name)
    {
        if (Operators.TryGetValue(name, out var handle))
            return handle;
        handle = TryFind(name);
        if (handle == 0)
            TorchNative.ThrowLastError();
        return handle;
    }

    private static nint TryFind(string name)
    {
        if (Operators.TryGetValue(name, out var known))
            return known;
        var dot = name.IndexOf('.', StringComparison.Ordinal);
        var handle = TorchNative.tn_operator(
            "aten::" + (dot < 0 ? name : name[..dot]),
            dot < 0 ? "" : name[(dot + 1)..]);
        if (handle != 0)
            Operators[name] = handle;
        return handle;
    }

    /// <summary>The boxed value as it crosses the border: <c>tn_value</c>.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 24)]
    internal struct Value
    {
        [FieldOffset(0)] internal ArgumentKind Kind;
        [FieldOffset(4)] internal int Length;
        [FieldOffset(8)] internal long Integer;
        [FieldOffset(8)] internal double Double;
        [FieldOffset(16)] internal double Imaginary;
    }
}
