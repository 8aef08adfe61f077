namespace LocalAttention.Oracle

open System.Numerics
open DiffSharp

/// A number of DiffSharp's: a tensor without dimensions, in double precision.
[<Struct>]
type DiffSharpNumber =
    /// The tensor itself.
    { Tensor: Tensor }

    interface INumeric<DiffSharpNumber> with
        static member Constant value =
            { Tensor = dsharp.tensor (value, dtype = Dtype.Float64) }

        static member Value number = number.Tensor.toDouble ()
        static member Exp number = { Tensor = number.Tensor.exp () }
        static member Sqrt number = { Tensor = number.Tensor.sqrt () }

    interface IAdditionOperators<DiffSharpNumber, DiffSharpNumber, DiffSharpNumber> with
        static member (+)(a: DiffSharpNumber, b: DiffSharpNumber) = { Tensor = a.Tensor + b.Tensor }

    interface ISubtractionOperators<DiffSharpNumber, DiffSharpNumber, DiffSharpNumber> with
        static member (-)(a: DiffSharpNumber, b: DiffSharpNumber) = { Tensor = a.Tensor - b.Tensor }

    interface IMultiplyOperators<DiffSharpNumber, DiffSharpNumber, DiffSharpNumber> with
        static member (*)(a: DiffSharpNumber, b: DiffSharpNumber) = { Tensor = a.Tensor * b.Tensor }

    interface IDivisionOperators<DiffSharpNumber, DiffSharpNumber, DiffSharpNumber> with
        static member (/)(a: DiffSharpNumber, b: DiffSharpNumber) = { Tensor = a.Tensor / b.Tensor }

/// Derivatives of layers by DiffSharp's reverse mode. Slow: every number is a tensor of its own; for small layers.
module DiffSharpDerivative =
    let private scalar (value: float) =
        dsharp.tensor (value, dtype = Dtype.Float64)

    /// The gradients of `sum(output · cotangent)` by every input.
    let gradient
        (layer: Layer<DiffSharpNumber>)
        (point: Map<string, NdArray<float>>)
        (cotangent: NdArray<float>)
        =
        let inputs =
            point
            |> Map.map (fun _ -> NdArray.map (fun value -> { Tensor = (scalar value).reverseDiff() }))

        let weighted =
            NdArray.map2
                (fun (number: DiffSharpNumber) weight -> number.Tensor * scalar weight)
                (layer inputs)
                cotangent

        let result = weighted.Elements |> Array.reduce (fun a b -> a + b)
        result.reverse ()

        inputs
        |> Map.map (fun _ ->
            NdArray.map (fun number ->
                // An input on which the result does not depend keeps the empty derivative that it began with.
                let derivative = number.Tensor.derivative

                if derivative.nelement = 0 then
                    0.0
                else
                    derivative.toDouble ()))
