/// `list`, `show`, `diff`: what is known without tensors.
module LocalAttention.Cli.Tests.Looking

open System.IO
open System.Text.Json.Nodes
open Expecto
open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Dsl

let private listing =
    testList
        "list"
        [ testCase "all models, in JSON as in the zoo"
          <| fun () ->
              let models = (fine [ "list"; "--json" ]).Json.AsArray()
              Expect.equal models.Count Zoo.all.Length "as many as the zoo has"

              for entry, model in Seq.zip Zoo.all models do
                  let model = nonNull model
                  Expect.equal (text [ "name" ] model) entry.Name "the name"

                  Expect.equal
                      (number [ "parameters" ] model)
                      (parameters entry.Architecture)
                      "its parameters"

                  Expect.equal
                      (number [ "macs" ] model)
                      (macs entry.Architecture).Total
                      "its multiply-accumulates"

          testCase "a pattern leaves those that match"
          <| fun () ->
              let models = (fine [ "list"; "swin-*"; "--json" ]).Json.AsArray()

              Expect.equal
                  [ for model in models -> text [ "name" ] (nonNull model) ]
                  [ "swin-tiny"; "swin-small"; "swin-base" ]
                  "the names"

          testCase "the table is the zoo's own"
          <| fun () ->
              let shown = (fine [ "list"; "nat-*" ]).Output.TrimEnd()
              Expect.equal shown (Printing.zoo (Zoo.find "nat-*")) "the text"

          testCase "what is not published is not there"
          <| fun () ->
              let model = (fine [ "list"; "qna-swin-tiny"; "--json" ]).Json |> at [ 0; "paper" ]
              Expect.equal (members model) [ "arXiv" ] "the paper's members" ]

let private showing =
    testList
        "show"
        [ testCase "parts, costs, memory, fields and shifts, in JSON"
          <| fun () ->
              let shown = (fine [ "show"; "slide-swin-tiny"; "--json" ]).Json
              let model = SlideSwin.tiny
              let parts = (at [ "parts" ] shown).AsArray()
              Expect.equal parts.Count (trace model).Length "a part for each layer"
              Expect.equal (number [ "parameters" ] shown) (parameters model) "parameters"
              Expect.equal (number [ "macs"; "total" ] shown) (macs model).Total "multiply-accumulates"
              Expect.equal (number [ "macsMerged" ] shown) (macsMerged model).Total "merged"

              let sum (name: string) =
                  parts |> Seq.sumBy (fun part -> number [ name ] (nonNull part))

              Expect.equal (sum "parameters") (parameters model) "the parts' parameters add up"
              Expect.equal (sum "macs") (macs model).Total "and so do their costs"
              Expect.equal (number [ "memory"; 0; "training" ] shown) (peakMemory 1 model).Training "memory"
              let field = model |> receptiveField 1 (28, 28)

              Expect.equal
                  (number [ "receptiveFields"; 0; "pixels" ] shown)
                  field.Pixels.Count
                  "the field of stage 1"

              let shifts = (equivariance model).Stages[0]

              Expect.equal
                  (number [ "equivariance"; "stages"; 0; "moves"; "down" ] shown)
                  shifts.Moved.Down.Value
                  "its shifts"

              let specification = (at [ "specification" ] shown).ToJsonString()
              Expect.equal (ofJson specification) (Ok model) "the specification is the model"

          testCase "another size and several images"
          <| fun () ->
              let shown =
                  (fine [ "show"; "swin-tiny"; "--size"; "192x256"; "--batch"; "4"; "--json" ]).Json

              Expect.equal (number [ "image"; "width" ] shown) 256L "the width"

              Expect.equal
                  (number [ "macs"; "total" ] shown)
                  (macsAt 192 256 Swin.tiny).Total
                  "the cost there"

              let need = ActivationMemory.Of(Swin.tiny, 4, image = ImageSize(192, 256))
              Expect.equal (number [ "memory"; 0; "inference" ] shown) need.Inference "the memory there"

          testCase "the text has the table, the costs, the fields and the reasons"
          <| fun () ->
              let shown = (fine [ "show"; "swin-tiny" ]).Output

              for part in
                  [ Printing.architecture Swin.tiny
                    "4,490,566,656"
                    "peak memory, 1 image"
                    "168 pixels from 28, at every 8"
                    Printing.equivariance (equivariance Swin.tiny) ] do
                  Expect.stringContains shown part "the text"

          testCase "a specification is a model again"
          <| inFolder (fun folder ->
              let path = file folder "mine.json"
              File.WriteAllText(path, (fine [ "show"; "qna-vit-tiny"; "--specification" ]).Output)
              let shown = (fine [ "diff"; "qna-vit-tiny"; path; "--json" ]).Json
              Expect.isTrue ((at [ "equal" ] shown).GetValue<bool>()) "they are equal")

          testCase "a checkpoint is its architecture"
          <| inFolder (fun folder ->
              let shown = (fine [ "show"; smallIn folder; "--json" ]).Json
              Expect.equal (number [ "parameters" ] shown) (parameters small) "its parameters")

          testCase "one that cannot be built shows its mistakes and is refused"
          <| inFolder (fun folder ->
              let path = file folder "wrong.json"
              File.WriteAllText(path, toJson (small |> everyBlock (heads 3)))
              let ended = call [ "show"; path ]
              Expect.equal ended.Code 2 "the exit code"
              Expect.stringContains ended.Output "This cannot be built" "the table says so"

              Expect.stringContains
                  ended.Error
                  "3 heads do not divide 8 channels; use 2 or 4 heads"
                  "the mistake") ]

let private differing =
    testList
        "diff"
        [ testCase "places, properties and sums, in JSON"
          <| fun () ->
              let shown = (fine [ "diff"; "nat-mini"; "dinat-mini"; "--json" ]).Json
              let difference = differences Nat.mini DiNAT.mini
              Expect.equal (text [ "before" ] shown) "nat-mini" "the first"
              Expect.equal ((at [ "places" ] shown).AsArray().Count) difference.Places.Length "the places"
              Expect.equal (text [ "places"; 0; "changed"; 0; "property" ] shown) "dilation" "what changed"
              Expect.equal (number [ "parameters" ] shown) difference.Parameters "more parameters"

          testCase "a part that is new is said"
          <| inFolder (fun folder ->
              let path = file folder "longer.json"
              File.WriteAllText(path, toJson (Swin.tiny |> scaleDepth 2.0))
              let shown = (fine [ "diff"; "swin-tiny"; path; "--json" ]).Json

              let isNew (place: JsonNode | null) =
                  (nonNull place).AsObject().ContainsKey "added"

              let added = (at [ "places" ] shown).AsArray() |> Seq.filter isNew |> Seq.length
              Expect.equal added 12 "as many blocks again")

          testCase "the text is a diff"
          <| fun () ->
              let shown = (fine [ "diff"; "swin-tiny"; "slide-swin-tiny" ]).Output.TrimEnd()
              Expect.equal shown (Printing.difference (differences Swin.tiny SlideSwin.tiny)) "the text" ]

/// The tests of this file.
let tests = testList "looking" [ listing; showing; differing ]
