/// What a report prints of a counterexample, pasted into F# Interactive, gives the counterexample.
module LocalAttention.Verification.Tests.PromptTests

open System
open System.IO
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Dsl.Tests
open LocalAttention.Verification
open TorchSharp

/// A second way to compute, and a wrong one.
let private oneMore =
    Agreement.computed
        "one more"
        (Func<_, _, _>(fun (instance: Instance) x -> instance.Forward x + (1.0).ToScalar()))

/// The same in F# Interactive, where a property of one's own is known by its value alone.
let private oneMoreThere =
    """open TorchSharp
open LocalAttention.Verification
let oneMore = Agreement.computed "one more" (System.Func<_, _, _>(fun (instance: Instance) x -> instance.Forward x + (1.0).ToScalar()))"""

let private counterexample (finding: Finding) =
    match finding.Outcome with
    | Outcome.Fails found -> found
    | outcome -> failtest $"a counterexample was expected, and there is: {outcome}"

/// A layer that is promised to see less than it sees; its F# is given.
let private narrow =
    lazy
        ({ Subject.ofLayer (WindowAttention(3, 2)) 4 (ImageSize(5, 6)) with
            Promises = Promises.pointwise }
         |> Subject.withCode
             "{ Subject.ofBlock (window 3 |> heads 2) 4 (ImageSize(5, 6)) with\n    Promises = Promises.pointwise }"
         |> Verify.ask Locality.support { Verify.settings with Seed = -3L }
         |> counterexample)

/// A generated model of which another way to compute gives something else.
let private model =
    lazy
        (Generate.architecture
         |> Gen.map Subject.ofArchitecture
         |> Verify.search oneMore { Verify.settings with Cases = 1 }
         |> counterexample)

/// The session's answers to what is pasted, one after the other.
let private answers (pasted: string list) =
    let prompt =
        Path.Combine(Child.repository, "LocalAttention.Verification.fsx").Replace("\\", "/")

    let input =
        [ for text in pasted do
              text + ";;"
          "#quit;;" ]
        |> String.concat "\n"

    (Child.succeeding [ "fsi"; "--nologo"; $"--use:{prompt}" ] (input + "\n")).Output.Replace("\r\n", "\n")

/// The tests of this file.
let tests =
    testCase "pasted into F# Interactive, counterexamples come again"
    <| fun () ->
        Expect.isGreaterThan model.Value.Shrinks 0 "the model is smaller than it was found"

        let answers =
            answers
                [ narrow.Value.Again
                  oneMoreThere
                  model.Value.Again.Replace("(Verify.property \"one more\")", "oneMore") ]

        for name, found in [ "the layer", narrow.Value; "the model", model.Value ] do
            Expect.stringContains answers found.Explanation $"{name}, with the same numbers"
