namespace LocalAttention.Verification

open TorchSharp

/// The same weights and the same input give the same output, whatever ran before.
[<RequireQualifiedAccess>]
module Determinism =
    let private elementType (case: Case) =
        if Measuring.choice case.Seed "element type" 2 = 0 then
            torch.ScalarType.Float64
        else
            torch.ScalarType.Float32

    let private check (case: Case) =
        let subject = case.Subject
        let elementType = elementType case
        use instance = subject.Build case.Seed elementType
        let x = Measuring.input subject case.Seed 1 elementType

        let other =
            Measuring.input subject (Measuring.derived case.Seed "another") 1 elementType

        let run input =
            Measuring.evaluate instance.Forward input

        let tolerance = Measuring.toleranceOf subject elementType instance

        let same tolerance expectation expected actual =
            Comparison.verdict
                subject
                x
                tolerance
                "largest difference between runs"
                expectation
                expected
                actual

        let first = run x
        run other |> ignore
        let second = run x
        let third = run x

        use again = subject.Build case.Seed elementType

        // The first run may choose between ways to compute that add up in another order; from then on not a bit changes.
        let steps =
            [ fun () ->
                  same
                      tolerance
                      "the same input should give the same output after another input has been through"
                      first
                      second
              fun () -> same 0.0 "the same input should give the same bits twice in a row" second third
              fun () ->
                  same
                      tolerance
                      "built again from the same seed, it should give the same output"
                      third
                      (Measuring.evaluate again.Forward x) ]

        let rec go figures steps =
            match steps with
            | [] -> Verdict.Holds figures
            | step :: rest ->
                match step () with
                | Verdict.Holds more -> go (figures @ more) rest
                | verdict -> verdict

        go [] steps

    /// An input gives the same output again, bit for bit: after itself, and up to rounding after another input and in another
    /// instance of the same seed.
    let repetition: Property =
        Ask.cases "determinism" "the same weights and the same input give the same output" check
