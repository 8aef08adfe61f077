namespace LocalAttention.Oracle

open System
open System.Numerics

/// What one operation did: up to two earlier numbers, and the partial derivative by each.
[<Struct>]
type private Step =
    { First: int
      FirstPartial: float
      Second: int
      SecondPartial: float }

/// A record of a computation from which all derivatives of one result are read backwards. One a thread at a time.
[<Sealed; AllowNullLiteral(false)>]
type internal Tape private () =
    let steps = ResizeArray<Step>()

    [<ThreadStatic; DefaultValue>]
    static val mutable private current: Tape | null

    /// The tape of this thread's computation.
    static member Current =
        match Tape.current with
        | null -> invalidOp "A traced number was used outside Derivative.gradient: nothing records it."
        | tape -> tape

    /// Records what an action computes.
    static member Record(action: Tape -> 'R) =
        let before = Tape.current
        let tape = Tape()
        Tape.current <- tape

        try
            action tape
        finally
            Tape.current <- before

    /// Adds an operation and returns its place; an operand that is a constant has a negative place.
    member _.Add(first, firstPartial, second, secondPartial) =
        steps.Add
            { First = first
              FirstPartial = firstPartial
              Second = second
              SecondPartial = secondPartial }

        steps.Count - 1

    /// The derivative of a result, the sum of weighted numbers, by every recorded number.
    member _.Derivatives(weights: seq<int * float>) =
        let derivatives = Array.zeroCreate<float> steps.Count

        let give place amount =
            if place >= 0 then
                derivatives[place] <- derivatives[place] + amount

        for place, weight in weights do
            give place weight

        for i in steps.Count - 1 .. -1 .. 0 do
            let step = steps[i]
            give step.First (step.FirstPartial * derivatives[i])
            give step.Second (step.SecondPartial * derivatives[i])

        derivatives

/// A number that remembers how it came about, so that one pass backwards gives its derivative by every input.
[<Struct>]
type Traced =
    internal
        {
            TracedValue: float
            /// Its place on the tape; negative for a constant.
            Place: int
        }

    static member private Of(value, a: Traced, partialA, b: Traced, partialB) =
        if a.Place < 0 && b.Place < 0 then
            { TracedValue = value; Place = -1 }
        else
            { TracedValue = value
              Place = Tape.Current.Add(a.Place, partialA, b.Place, partialB) }

    static member private OfOne(value, a: Traced, partialA) =
        Traced.Of(value, a, partialA, { TracedValue = 0.0; Place = -1 }, 0.0)

    interface INumeric<Traced> with
        static member Constant value = { TracedValue = value; Place = -1 }
        static member Value number = number.TracedValue

        static member Exp number =
            let value = exp number.TracedValue
            Traced.OfOne(value, number, value)

        static member Sqrt number =
            let value = sqrt number.TracedValue
            Traced.OfOne(value, number, 1.0 / (2.0 * value))

    interface IAdditionOperators<Traced, Traced, Traced> with
        static member (+)(a: Traced, b: Traced) =
            Traced.Of(a.TracedValue + b.TracedValue, a, 1.0, b, 1.0)

    interface ISubtractionOperators<Traced, Traced, Traced> with
        static member (-)(a: Traced, b: Traced) =
            Traced.Of(a.TracedValue - b.TracedValue, a, 1.0, b, -1.0)

    interface IMultiplyOperators<Traced, Traced, Traced> with
        static member (*)(a: Traced, b: Traced) =
            Traced.Of(a.TracedValue * b.TracedValue, a, b.TracedValue, b, a.TracedValue)

    interface IDivisionOperators<Traced, Traced, Traced> with
        static member (/)(a: Traced, b: Traced) =
            let quotient = a.TracedValue / b.TracedValue
            Traced.Of(quotient, a, 1.0 / b.TracedValue, b, -quotient / b.TracedValue)
