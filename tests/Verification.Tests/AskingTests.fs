/// Cases, seeds, shrinking, tolerances and reports of whole subjects.
module LocalAttention.Verification.Tests.AskingTests

open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Asked
open TorchSharp

let private settings = { Cases = 8; Seed = 11L; Shrinks = 40 }

/// Fails where an input is at least so large.
let private largeFails (side: int) =
    Ask.cases "small" "inputs are small" (fun case ->
        let size = case.Subject.Size

        if size.Height >= side && size.Width >= side then
            Verdict.Breaks(Measuring.shape case.Subject 1 size, $"{size} is too large", [])
        else
            Verdict.Holds [ "largest height", float size.Height ])

let private counterexample (finding: Finding) =
    match finding.Outcome with
    | Outcome.Fails counterexample -> counterexample
    | outcome -> failtest $"a counterexample was expected, and there is: {outcome}"

let private numbers =
    testList
        "numbers"
        [ testCase "follow from seed and name, and lie between -1 and 1"
          <| fun () ->
              let of' seed name =
                  Measuring.elements (Measuring.numbers seed name [ 4L; 50L ])

              Expect.equal (of' 1L "a") (of' 1L "a") "the same"
              Expect.notEqual (of' 1L "a") (of' 2L "a") "another seed"
              Expect.notEqual (of' 1L "a") (of' 1L "b") "another name"
              Expect.all (of' 1L "a") (fun number -> abs number <= 1.0) "between -1 and 1"
              // The mean of 200 numbers of variance 1/3 is off by 0.04 usually: five times that never, as the seed is given.
              Expect.isLessThan (abs (Array.average (of' 1L "a"))) 0.2 "around 0"

          testCase "differ by what they differ, and infinitely from what is no number"
          <| fun () ->
              let tensor (values: float list) = torch.tensor (Array.ofList values)
              Expect.equal (Measuring.difference (tensor [ 1.0; 4.0 ]) (tensor [ 1.0; 3.0 ])) 0.25 "1 of 4"
              Expect.equal (Measuring.difference (tensor [ nan ]) (tensor [ nan ])) 0.0 "both no number"
              Expect.equal (Measuring.difference (tensor [ nan ]) (tensor [ 1.0 ])) infinity "one no number"

              Expect.equal
                  (Measuring.difference (tensor [ 1.0 ]) (tensor [ 1.0; 1.0 ]))
                  infinity
                  "other shapes"

          testCase "have tolerances between rounding and mistakes"
          <| fun () ->
              let tolerance = Measuring.tolerance torch.ScalarType.Float64 10 1000L
              Expect.isGreaterThan tolerance 1e-13 "a thousand terms"
              Expect.isLessThan tolerance 1e-9 "what is wrong differs by more"

              Expect.throwsT<System.ArgumentException>
                  (fun () -> Measuring.unitRoundoff torch.ScalarType.Int64 |> ignore)
                  "whole numbers are not rounded" ]

let private search =
    testList
        "search"
        [ testCase "what fails is made as small as it goes"
          <| fun () ->
              let found = counterexample (plain |> Verify.ask (largeFails 3) settings)
              Expect.equal found.Input [ 1L; 3L; 3L; 6L ] "the smallest that fails"
              Expect.isGreaterThan found.Shrinks 0 "steps"

          testCase "without steps it stays as it was"
          <| fun () ->
              let found =
                  counterexample (plain |> Verify.ask (largeFails 3) { settings with Shrinks = 0 })

              Expect.equal found.Input [ 1L; 5L; 4L; 6L ] "the subject's own size"
              Expect.equal found.Shrinks 0 "no step"

          testCase "architectures get simpler as well"
          <| fun () ->
              let found =
                  counterexample (Subject.ofArchitecture model |> Verify.ask (largeFails 1) settings)

              Expect.equal found.Input [ 1L; 1L; 1L; 1L ] "one pixel of one channel"
              Expect.stringContains found.Code "backbone" "F# of it"
              Expect.isFalse (found.Code.Contains "slide") "the simplest layers"

          testCase "what is smaller breaks in the same way"
          <| fun () ->
              // A single place less its own mean is nothing, and so sees too little: that is not what is wrong here.
              let centred =
                  Subject.ofFunction "centred" tokens Promises.pointwise (fun x ->
                      x - x.mean ([| 1L; 2L |], keepdim = true))

              let found = counterexample (centred |> Verify.ask Locality.support settings)
              Expect.equal found.Input [ 1L; 1L; 2L; 6L ] "two places"
              Expect.stringContains found.Explanation "it also depends on (0, " "what it sees"
              Expect.isFalse (found.Explanation.Contains "does not depend") "what it does not see"

          testCase "a counterexample's case is had again by its seed and size"
          <| fun () ->
              let noRoom = largeFails 2
              let found = counterexample (plain |> Verify.ask noRoom { settings with Seed = -5L })
              let again = plain |> Verify.again noRoom found.Seed (ImageSize(2, 2))
              Expect.equal (counterexample again.Findings.Head).Explanation found.Explanation "the same"

              Expect.stringEnds
                  found.Again
                  "// subject: plain\nsubject\n|> Verify.again (Verify.property \"small\") (-5L) (ImageSize(2, 2))"
                  "the F# for a subject of which the name is known"

          testCase "FsCheck's runner takes a property, and shows its report"
          <| fun () ->
              let five = Config.QuickThrowOnFailure.WithMaxTest(5).WithQuietOnSuccess true

              let check subject =
                  Check.One(five, Gen.constant subject |> Verify.byFsCheck Determinism.repetition)

              check plain

              let thrown =
                  try
                      check (ofFunction "noisy" (fun x -> x + torch.rand_like x))
                      ""
                  with thrown ->
                      thrown.Message

              Expect.stringContains thrown "determinism does not hold" "the report"

          testCase "what would ask nothing is refused"
          <| fun () ->
              let refused words (ask: unit -> unit) =
                  Expect.throwsC ask (fun thrown -> Expect.stringContains thrown.Message words "what is said")

              refused "0 cases ask nothing; use 1 or more" (fun () ->
                  plain |> Verify.all { settings with Cases = 0 } |> ignore)

              refused "-1 cases ask nothing" (fun () ->
                  Gen.constant plain
                  |> Verify.search Determinism.repetition { settings with Cases = -1 }
                  |> ignore)

              refused "a window of 4 has no place in its middle" (fun () -> Promises.window 4 |> ignore)
              refused "a window of 0" (fun () -> Promises.torus 0 |> ignore)

              refused "multiples of (2, 0) are none" (fun () ->
                  Promises.none |> Promises.moving (2, 0) 1 |> ignore)

              refused "a stride of (0, 1) is none" (fun () ->
                  Promises.none |> Promises.stride (0, 1) |> ignore)

          testCase "figures of all cases are put together by their first word"
          <| fun () ->
              let figures =
                  Ask.cases "figures" "are put together" (fun case ->
                      let height = float case.Subject.Size.Height

                      Verdict.Holds
                          [ "largest height", height; "smallest height", height; "mean of one", 1.0 ])

              let finding = plain |> Verify.ask figures settings
              let figures = Map finding.Figures
              Expect.equal finding.Outcome (Outcome.Holds 8) "all cases"
              Expect.equal figures["largest height"] 5.0 "the subject's own size comes first"
              Expect.isLessThan figures["smallest height"] 5.0 "every second case is smaller"
              Expect.equal figures["mean of one"] 1.0 "a mean"

          testCase "what is thrown is a counterexample"
          <| fun () ->
              let throwing =
                  ofFunction "throwing" (fun x -> if x.shape[1] > 2L then invalidOp "no room" else x)

              let found = counterexample (throwing |> Verify.ask Determinism.repetition settings)
              Expect.stringContains found.Explanation "InvalidOperationException: no room" "what it threw"
              Expect.equal found.Input [ 1L; 3L; 1L; 6L ] "three rows are needed, and one column does"

          testCase "a subject without promises is not asked about space"
          <| fun () ->
              isSkipped Equivariance.shifts "nothing is promised" plain
              isSkipped Locality.support "nothing is promised" plain
              isSkipped Consistency.predictions "scores" plain ]

let private whole =
    testList
        "whole subjects"
        [ testCase "all properties are asked of a layer"
          <| fun () ->
              let subject = Subject.ofLayer (SlideAttention(3, 2)) 4 (ImageSize(5, 4))
              let report = subject |> Verify.all { few with Cases = 2 }
              Expect.isTrue report.IsSound $"{TextReport.render report}"

              Expect.equal
                  (report.Findings |> List.map _.Property)
                  (Verify.properties |> List.map _.Name)
                  "all of them"

          testCase "names of properties are different, and find them"
          <| fun () ->
              let names = Verify.properties |> List.map _.Name
              Expect.equal names (List.distinct names) "different"

              for name in names do
                  Expect.equal (Verify.property name).Name name "found"

              Expect.throwsT<System.ArgumentException>
                  (fun () -> Verify.property "beauty" |> ignore)
                  "no such property"

          testCase "what does not hold throws its report"
          <| fun () ->
              let noisy = ofFunction "noisy" (fun x -> x + torch.rand_like x)

              let thrown =
                  try
                      Verify.holds few noisy
                      None
                  with :? VerificationException as thrown ->
                      Some thrown

              match thrown with
              | Some thrown ->
                  Expect.isFalse thrown.Report.IsSound "the report"
                  Expect.stringContains thrown.Message "determinism" "the text"
              | None -> failtest "noise should not hold"

          testCase "a trained model keeps its weights, whatever the seed"
          <| fun () ->
              use backbone = LocalAttention.Core.Backbones.ArchitectureExtensions.Build(model)
              let subject = Subject.ofModel backbone
              use one = subject.Build 1L torch.ScalarType.Float32
              use other = subject.Build 2L torch.ScalarType.Float32

              for (name, parameter), (_, same) in List.zip one.Parameters other.Parameters do
                  Expect.equal (Measuring.elements parameter) (Measuring.elements same) name

          testCase "a layer's code gives the layer"
          <| fun () ->
              let subject =
                  Subject.ofLayer (WindowAttention(3, 2, Shifted = true)) 4 (ImageSize(6, 7))

              Expect.stringContains subject.Code "Subject.ofBlock (shifted (window 3)" "F#"
              Expect.stringContains subject.Code "4 (ImageSize(6, 7))" "its channels and size" ]

/// The tests of this file.
let tests = testList "asking" [ numbers; search; whole ]
