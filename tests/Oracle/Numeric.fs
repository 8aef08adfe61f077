namespace LocalAttention.Oracle

open System.Numerics

// F# asks whether static abstract members are worth their weight: here they are what lets one text of each layer run
// on every kind of number.
#nowarn "3535"

/// What the layers ask of a number: .NET's arithmetic operators, the exponential, the square root, and the way from
/// and to doubles.
type INumeric<'T when 'T :> INumeric<'T>> =
    inherit IAdditionOperators<'T, 'T, 'T>
    inherit ISubtractionOperators<'T, 'T, 'T>
    inherit IMultiplyOperators<'T, 'T, 'T>
    inherit IDivisionOperators<'T, 'T, 'T>
    /// The number that does not depend on any input.
    static abstract Constant: value: float -> 'T
    /// The value, without what the number knows of derivatives.
    static abstract Value: number: 'T -> float
    /// The exponential.
    static abstract Exp: number: 'T -> 'T
    /// The square root.
    static abstract Sqrt: number: 'T -> 'T

/// Arithmetic that every number has. (In generic code F# infers `a * (b * c)`, and not `a * b * c`: hence the brackets.)
module Numeric =
    /// The number that does not depend on any input.
    let constant<'T when 'T :> INumeric<'T>> (value: float) : 'T = 'T.Constant value

    /// The value, without what the number knows of derivatives.
    let value<'T when 'T :> INumeric<'T>> (number: 'T) : float = 'T.Value number

    /// The number as a constant: its gradient stops here.
    let stopGradient<'T when 'T :> INumeric<'T>> (number: 'T) : 'T = constant (value number)

    /// The exponential.
    let exponential<'T when 'T :> INumeric<'T>> (number: 'T) : 'T = 'T.Exp number

    /// The square root.
    let squareRoot<'T when 'T :> INumeric<'T>> (number: 'T) : 'T = 'T.Sqrt number

    /// The sum over a sequence; zero for an empty one.
    let total<'T when 'T :> INumeric<'T>> (terms: 'T seq) : 'T =
        let mutable sum = 'T.Constant 0.0

        for term in terms do
            sum <- sum + term

        sum

    /// Numbers that are added up for `i` in `0 .. count - 1`.
    let sum<'T when 'T :> INumeric<'T>> (count: int) (term: int -> 'T) : 'T =
        let mutable sum = 'T.Constant 0.0

        for i in 0 .. count - 1 do
            sum <- sum + term i

        sum

    /// The exponentials of numbers, each divided by that of the largest, so that none overflows: the ratios among
    /// them, and so every softmax, are unchanged.
    let exponentials<'T when 'T :> INumeric<'T>> (scores: 'T array) : 'T array =
        let largest = constant<'T>(scores |> Array.map value |> Array.max)
        scores |> Array.map (fun score -> exponential (score - largest))

    /// The softmax of numbers.
    let softmax<'T when 'T :> INumeric<'T>> (scores: 'T array) : 'T array =
        let weights = exponentials scores
        let sum = total weights
        weights |> Array.map (fun weight -> weight / sum)
