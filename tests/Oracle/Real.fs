namespace LocalAttention.Oracle

open System.Numerics

/// A double.
[<Struct>]
type Real =
    /// The double itself.
    { Double: float }

    interface INumeric<Real> with
        static member Constant value = { Double = value }
        static member Value number = number.Double
        static member Exp number = { Double = exp number.Double }
        static member Sqrt number = { Double = sqrt number.Double }

    interface IAdditionOperators<Real, Real, Real> with
        static member (+)(a: Real, b: Real) = { Double = a.Double + b.Double }

    interface ISubtractionOperators<Real, Real, Real> with
        static member (-)(a: Real, b: Real) = { Double = a.Double - b.Double }

    interface IMultiplyOperators<Real, Real, Real> with
        static member (*)(a: Real, b: Real) = { Double = a.Double * b.Double }

    interface IDivisionOperators<Real, Real, Real> with
        static member (/)(a: Real, b: Real) = { Double = a.Double / b.Double }

/// A single-precision number: every operation rounds to 24 bits.
[<Struct>]
type Real32 =
    /// The number itself.
    { Single: float32 }

    interface INumeric<Real32> with
        static member Constant value = { Single = float32 value }
        static member Value number = float number.Single
        static member Exp number = { Single = exp number.Single }
        static member Sqrt number = { Single = sqrt number.Single }

    interface IAdditionOperators<Real32, Real32, Real32> with
        static member (+)(a: Real32, b: Real32) = { Single = a.Single + b.Single }

    interface ISubtractionOperators<Real32, Real32, Real32> with
        static member (-)(a: Real32, b: Real32) = { Single = a.Single - b.Single }

    interface IMultiplyOperators<Real32, Real32, Real32> with
        static member (*)(a: Real32, b: Real32) = { Single = a.Single * b.Single }

    interface IDivisionOperators<Real32, Real32, Real32> with
        static member (/)(a: Real32, b: Real32) = { Single = a.Single / b.Single }
