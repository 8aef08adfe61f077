/// <c>verify</c>: models of every origin, and what scripts end in.
module LocalAttention.Cli.Tests.Verifying

open System.IO
open Expecto
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Dsl

let private quick =
    [ "--cases"; "2"; "--property"; "determinism"; "batch independence" ]

let private sound =
    testCase "a sound model: from a specification, from a checkpoint"
    <| inFolder (fun folder ->
        let specification = file folder "small.json"
        File.WriteAllText(specification, toJson small)
        let page = file folder "report.html"

        for model in [ specification; smallIn folder ] do
            let ended = fine ([ "verify"; model; "--html"; page ] @ quick)

            Expect.stringContains
                ended.Output
                "small: all 2 properties that were asked hold (seed 1)"
                "the report"

            Expect.stringContains (File.ReadAllText page) "<html" "the page"
            let json = (fine ([ "verify"; model; "--json"; "--seed"; "9" ] @ quick)).Json
            Expect.equal (number [ "seed" ] json) 9L "the seed"
            Expect.isTrue ((at [ "sound" ] json).GetValue<bool>()) "it is sound"
            Expect.equal ((at [ "findings" ] json).AsArray().Count) 2 "the findings")

let private script (name: string) (ending: string) (check: Ended -> string -> unit) =
    testCase name
    <| inFolder (fun folder ->
        let path = file folder "subject.fsx"

        File.WriteAllText(
            path,
            "open LocalAttention.Dsl\nopen LocalAttention.Verification\nopen TorchSharp\n\n"
            + ending
        )

        let page = file folder "report.html"
        let ended = call ([ "verify"; path; "--html"; page ] @ quick)
        check ended page)

let private scripts =
    [ script
          "a script that ends in an architecture"
          """backbone "shapes" (patchify 2 8) |> stages [ stage (slide 3 |> heads 2) ] |> head (classify 2) |> imageSize 8"""
          (fun ended _ ->
              Expect.equal ended.Code 0 $"the exit code; {ended.Error}"
              Expect.stringContains ended.Output "shapes: all 2 properties" "the report")
      script
          "a script that ends in a subject with a mistake"
          """Subject.ofFunction "mean of the batch" (Signature.Tokens(4, 6, 6)) Promises.pointwise (fun x -> x + x.mean([| 0L |], true))"""
          (fun ended page ->
              Expect.equal ended.Code 1 $"the exit code; {ended.Error}"
              Expect.stringContains ended.Output "mean of the batch" "the subject"
              Expect.stringContains ended.Output "batch independence" "the property that fails"
              Expect.stringContains (File.ReadAllText page) "batch independence" "the page")
      script "a script that ends in neither" "42" (fun ended page ->
          Expect.equal ended.Code 2 "the exit code"

          Expect.stringContains
              ended.Error
              "ends in a value of type System.Int32; end it in an architecture"
              "what is said"

          Expect.isFalse (File.Exists page) "no page") ]

let private refusals =
    testCase "what is refused"
    <| fun () ->
        Expect.stringContains
            (refused [ "verify"; "swin-tiny"; "--property"; "beauty" ])
            "There is no property 'beauty'; there are 'equivariance', "
            "an unknown property"

        Expect.stringContains
            (refused [ "verify"; "swin-tiny"; "--cases"; "0" ])
            "--cases is 0; it must be 1 or more."
            "no cases"

/// The tests of this file.
let tests = testList "verify" [ sound; testList "scripts" scripts; refusals ]
