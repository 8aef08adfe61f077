/// Nothing is found where nothing is wrong: every property, of layers of every kind and of whole models.
module LocalAttention.Verification.Tests.SoundTests

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Verification

/// How many cases there are in all; `LOCALATTENTION_CASES=10000` is the long run.
let private cases =
    match Environment.GetEnvironmentVariable "LOCALATTENTION_CASES" with
    | null
    | "" -> 300
    | text -> int text

let private layers =
    Generate.layer
    |> Gen.map (fun layer -> Subject.ofLayer layer.Attention layer.Map.Channels layer.Map.Size)

let private models = Generate.architecture |> Gen.map Subject.ofArchitecture

/// As many cases of each property as of any other, half of them layers and half of them models.
let private share = max 1 (cases / (2 * Verify.properties.Length))

let private isNotFlagged (property: Property) =
    let settings =
        { Verify.settings with
            Cases = share
            Seed = 20L }

    [ for kind, subjects in [ "layers", layers; "models", models ] ->
          testCase $"{property.Name}: {kind}"
          <| fun () ->
              let finding = Verify.search property settings subjects

              match finding.Outcome with
              | Outcome.Fails found ->
                  failtest
                      $"{property.Name} should hold: {found.Explanation}\n{found.Code}\nseed {found.Seed}, input {found.Input}"
              | Outcome.Holds held when cases > 300 ->
                  printfn
                      $"{property.Name}: {held} cases of {share} {kind} in {finding.Elapsed.TotalSeconds:F0} s"
              | Outcome.Holds _
              | Outcome.Skipped _ -> () ]

/// The catalogue's own sound layers: every property holds, or cannot be asked.
let private ownLayers =
    [ Subjects.neighbours
      Subjects.torus
      Subjects.shiftedWindows "shifted windows" true ]
    |> List.map (fun subject ->
        testCase subject.Name
        <| fun () -> subject |> Verify.holds { Verify.settings with Cases = 4 })

/// The tests of this file.
let tests =
    testSequenced (
        testList
            "sound ones are not flagged"
            [ testList "generated" (Verify.properties |> List.collect isNotFlagged)
              testList "of the catalogue" ownLayers ]
    )
