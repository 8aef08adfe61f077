namespace LocalAttention.Verification

open System

/// One channel of a map or an image, to be looked at.
type Picture =
    {
        /// What it shows: `the input`, `where the outputs differ`.
        Title: string
        /// Rows of numbers.
        Rows: float[][]
    }

/// One way in which a subject breaks a property, made as small as it was found to go.
type Counterexample =
    {
        /// The subject that breaks it, as F# that can be pasted into F# Interactive where there is such.
        Code: string
        /// F# that asks this case again: pasted into F# Interactive behind `#load "LocalAttention.Verification.fsx"` it gives
        /// the failure. Where nothing but a name is known of the subject, `subject` stands for it.
        Again: string
        /// The seed that gives the same weights, input and choices again.
        Seed: int64
        /// The shape of the input.
        Input: int64 list
        /// What was expected, what came instead, and where: plain sentences with their numbers.
        Explanation: string
        /// How many simpler cases were found on the way.
        Shrinks: int
        /// The input, the changed input, where outputs differ.
        Pictures: Picture list
    }

/// What came of asking one property.
[<RequireQualifiedAccess>]
type Outcome =
    /// It held in so many cases.
    | Holds of cases: int
    /// It does not hold.
    | Fails of Counterexample
    /// It cannot be asked of this subject, and why.
    | Skipped of reason: string

/// One property asked of one subject.
type Finding =
    {
        /// The property's name: `equivariance`.
        Property: string
        /// What it says: `shifting the input shifts the output`.
        Statement: string
        Outcome: Outcome
        /// Measured on the way, with their names: `largest deviation`, `consistency`.
        Figures: (string * float) list
        Elapsed: TimeSpan
    }

    /// Whether no counterexample was found.
    member finding.IsSound =
        match finding.Outcome with
        | Outcome.Fails _ -> false
        | Outcome.Holds _
        | Outcome.Skipped _ -> true

/// All that was asked of one subject.
type Report =
    {
        /// The subject's name.
        Subject: string
        /// The subject as F#, or what describes it.
        Code: string
        /// The seed that all cases follow from.
        Seed: int64
        Findings: Finding list
    }

    /// Whether no finding has a counterexample.
    member report.IsSound = report.Findings |> List.forall _.IsSound
