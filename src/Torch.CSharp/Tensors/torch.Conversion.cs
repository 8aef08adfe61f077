namespace TorchSharp;

// Element types, devices and copies: the functions of the methods of the same names.
public static partial class torch
{
    public static bool is_conj(Tensor input) => input.is_conj();

    public static Tensor clone(Tensor input) => input.clone();

    public static Tensor conj(Tensor input) => input.conj();

    public static Tensor resolve_conj(Tensor input) => input.resolve_conj();
}
