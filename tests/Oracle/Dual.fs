namespace LocalAttention.Oracle

open System.Numerics

/// A number and its derivative along one direction: arithmetic on pairs is the chain rule, exact up to rounding.
[<Struct>]
type Dual =
    { Value: float
      Derivative: float }

    interface INumeric<Dual> with
        static member Constant value = { Value = value; Derivative = 0.0 }
        static member Value number = number.Value

        static member Exp number =
            let value = exp number.Value

            { Value = value
              Derivative = value * number.Derivative }

        static member Sqrt number =
            let value = sqrt number.Value

            { Value = value
              Derivative = number.Derivative / (2.0 * value) }

    interface IAdditionOperators<Dual, Dual, Dual> with
        static member (+)(a: Dual, b: Dual) =
            { Value = a.Value + b.Value
              Derivative = a.Derivative + b.Derivative }

    interface ISubtractionOperators<Dual, Dual, Dual> with
        static member (-)(a: Dual, b: Dual) =
            { Value = a.Value - b.Value
              Derivative = a.Derivative - b.Derivative }

    interface IMultiplyOperators<Dual, Dual, Dual> with
        static member (*)(a: Dual, b: Dual) =
            { Value = a.Value * b.Value
              Derivative = a.Derivative * b.Value + a.Value * b.Derivative }

    interface IDivisionOperators<Dual, Dual, Dual> with
        static member (/)(a: Dual, b: Dual) =
            let quotient = a.Value / b.Value

            { Value = quotient
              Derivative = (a.Derivative - quotient * b.Derivative) / b.Value }
