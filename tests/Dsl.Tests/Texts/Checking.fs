/// Mistakes as values and as exceptions, shapes and parameters, JSON.
module LocalAttention.Dsl.Tests.Checking

open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Dsl
open LocalAttention.Verification

let private wrong =
    backbone "wrong" (patchify 4 90)
    |> stages
        [ stage (2 * qna 4 |> heads 8 |> queries 0) |> downsample merge
          stage (0 * slide 3 |> heads 4) ]

let private mistakes =
    [ testProperty "validate gives the architecture or all its mistakes"
      <| Prop.forAll Mistakes.arbitraryPossiblyBroken (fun architecture ->
          let expected = List.ofSeq (Validation.Check architecture)
          Expect.equal (problems architecture) expected "problems"

          match validate architecture with
          | Ok same ->
              Expect.isEmpty expected "right"
              Expect.isTrue (obj.ReferenceEquals(same, architecture)) "as it was"
          | Error found -> Expect.equal found expected "wrong")

      testCase "each mistake has its place, the value and what would be right"
      <| fun () ->
          Expect.equal
              (problems wrong |> List.map string)
              [ "stage 2: it has no block and no transition; add a block or remove the stage."
                "stage 1, block 1: qna window: 4 is even, so it has no centre; use 3 or 5."
                "stage 1, block 1: queries: 0; use at least 1."
                "stage 1, block 1: 8 heads do not divide 90 channels; use 6 or 9 heads."
                "stage 1, block 2: qna window: 4 is even, so it has no centre; use 3 or 5."
                "stage 1, block 2: queries: 0; use at least 1."
                "stage 1, block 2: 8 heads do not divide 90 channels; use 6 or 9 heads." ]
              "problems"

      testProperty "what does not build throws the text of its problems"
      <| Prop.forAll Mistakes.arbitraryPossiblyBroken (fun architecture ->
          match validate architecture with
          | Ok _ -> ()
          | Error expected ->
              for build in [ build; buildSeeded 1L ] do
                  try
                      build architecture |> ignore
                      failtest "this should not build"
                  with :? SpecificationException as refused ->
                      Expect.equal (List.ofSeq refused.Problems) expected "the exception's problems"

                      Expect.equal
                          refused.Message
                          (SpecificationException($"'{architecture.Name}'", ValueList.From expected).Message)
                          "the exception's text")

      testCase "a size that a model does not take is a mistake of its own"
      <| fun () ->
          let exact = Swin.tiny |> sizePolicy SizePolicy.Exact
          Expect.isEmpty (exact |> sizeProblems 224 448) "one that it takes"

          Expect.equal
              (exact |> sizeProblems 222 224 |> List.map string |> List.head)
              "stem: the image of 222×224 is not a multiple of patches of 4×4, and the size policy is exact; use 220×224 or 224×224, or let the size policy pad."
              "one that it does not" ]

let private knowledge =
    [ testProperty "shapes are those of each stage's last part"
      <| Prop.forAll (Arbitraries.Architecture()) (fun architecture ->
          let parts = trace architecture
          let found = shapes architecture
          Expect.hasLength found architecture.Stages.Count "a shape for each stage"
          Expect.equal (List.last found) (List.last parts).Input "the last one is what the head pools"
          Expect.equal (parts |> List.sumBy _.Parameters.All) (parameters architecture) "parameters"

          Expect.equal
              (parts |> List.sumBy _.Parameters.Trainable)
              (trainableParameters architecture)
              "trainable parameters")

      testCase "shapes of QnA-ViT-tiny"
      <| fun () ->
          Expect.equal
              (shapes QnAViT.tiny |> List.map string)
              [ "28×28×128"; "14×14×256"; "7×7×512"; "7×7×512" ]
              "shapes"

          let places = [ for layer in trace QnAViT.tiny -> layer.Place ]
          Expect.equal (List.head places) "stem" "the first part"
          Expect.contains places "stage 3, transition" "a transition"

      testCase "a size given is that of the image: height first"
      <| fun () ->
          let last = traceAt 64 96 Swin.tiny |> List.last
          Expect.equal (string last.Input) "2×3×768" "the last map" ]

let private json =
    [ testProperty "what is written reads back equal"
      <| Prop.forAll (Arbitraries.Architecture()) (fun architecture ->
          Expect.equal (architecture |> toJson |> ofJson) (Ok architecture) "read back")

      testCase "a mistake in a text is a value with its place"
      <| fun () ->
          let text = toJson Swin.tiny

          for before, after, place in
              [ "\"window\": 7", "\"window\": \"seven\"", "stage 1, block 1, attention, window"
                "\"heads\": 3", "\"heds\": 3", "stage 1, block 1, attention, heds"
                "{", "", "whole text" ] do
              let position = text.IndexOf(before, System.StringComparison.Ordinal)
              let edited = text.Remove(position, before.Length).Insert(position, after)

              match ofJson edited with
              | Ok read -> failtest $"{after} was read as {read}"
              | Error found -> Expect.equal [ for problem in found -> problem.Place ] [ place ] after ]

/// The tests of this file.
let tests =
    testList
        "checks"
        [ testList "mistakes" mistakes
          testList "shapes and parameters" knowledge
          testList "JSON" json ]
