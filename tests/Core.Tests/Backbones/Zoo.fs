/// The published models: parameters and shapes as the official code has them.
module LocalAttention.Core.Tests.Zoo

open System
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification

/// The names of the reference tables are ours with other dashes.
let private rowName (entry: ZooEntry) = entry.Name.Replace('-', '_')

let private rows =
    lazy (Data.rows "zoo.csv" |> List.map (fun row -> row["name"], row) |> Map.ofList)

/// The models of the reference tables.
let models =
    Zoo.All
    |> Seq.filter (fun entry -> rows.Value.ContainsKey(rowName entry))
    |> List.ofSeq

let private complete =
    testCase "every row of the reference table is a model of the zoo"
    <| fun () ->
        Expect.equal (models |> List.map rowName |> Set.ofList) (rows.Value |> Map.keys |> Set.ofSeq) "names"
        Expect.hasLength models 58 "rows"

let private parameters =
    [ for entry in models ->
          testCase entry.Name
          <| fun () ->
              let row = rows.Value[rowName entry]
              let count = ParameterCount.Of entry.Architecture
              Expect.equal (string count.All) row["parameters"] "all parameters"
              Expect.equal (string count.Trainable) row["trainable_parameters"] "trained parameters"

              let parts =
                  ShapeInference.Trace entry.Architecture
                  |> Seq.map _.Parameters
                  |> Seq.reduce (+)

              Expect.equal parts count "the sum of the parts" ]

/// The words of the reference table for an attention on a map.
let private word (head: Head) (map: MapShape) (attention: Attention) =
    let covers window =
        if window = map.Size.Shorter then "(global)" else ""

    match attention with
    | :? SlideAttention as slide -> $"slide{slide.Window}x{slide.Window}"
    | :? QnAAttention as qna -> $"qna{qna.Window}x{qna.Window}_q{qna.Queries}"
    | :? WindowAttention as window when window.Shifted -> $"shifted_window{window.Window}"
    | :? WindowAttention as window -> $"window{window.Window}{covers window.Window}"
    | :? SpatialReductionAttention as reduced when reduced.Reduction > 1 -> $"sra_r{reduced.Reduction}"
    | :? SpatialReductionAttention when (head :? ClassTokenHead) -> $"global ({map.Tokens}+1 class token)"
    | :? SpatialReductionAttention -> "global"
    | :? PooledAttention as pooled -> $"linear_sra_pool{pooled.Pool}"
    | :? CrossShapedAttention as cross -> $"cross_stripe_sw{cross.Stripe}(h/2+h/2)+lepe"
    | :? GlobalAttention as everywhere when everywhere.LocallyEnhanced -> "global+lepe"
    | :? NeighbourhoodAttention as near -> $"na{near.Window}_d{near.Dilation}"
    | other -> failtest $"no word for {other}"

/// `3xa + 2xb`, or `(a|b) alternating x5`.
let private described (words: string list) =
    match List.distinct words with
    | [ one; other ] when
        words.Length > 2
        && words = List.init words.Length (fun index -> if index % 2 = 0 then one else other)
        ->
        $"({one}|{other}) alternating x{words.Length}"
    | kinds ->
        String.Join(
            " + ",
            [ for kind in kinds ->
                  let count = words |> List.filter ((=) kind) |> List.length
                  $"{count}x{kind}" ]
        )

/// A stage as a row of `stages.csv` has it: size and channels of its map, blocks (a QnA transition is one), heads by kind,
/// kinds of attention, channels of a head.
let private stageOf (entry: ZooEntry) index =
    let architecture = entry.Architecture
    let stage = architecture.Stages[index]

    let trace =
        ShapeInference.Trace architecture
        |> Seq.filter (fun part -> part.Place.StartsWith $"stage {index + 1},")
        |> List.ofSeq

    let map = trace.Head.Input
    let attentions = [ for block in stage.Blocks -> block.Attention ]

    let perKind (show: Attention -> string) =
        attentions
        |> List.map (fun attention -> attention.Kind, show attention)
        |> List.distinct

    let ofQnA = entry.Family = ZooFamily.QnAViT

    let join (texts: (string * string) list) =
        String.Join(
            " ",
            List.distinct [ for kind, text in texts -> if ofQnA then $"{kind}:{text}" else text ]
        )

    let downHeads, downWords =
        match stage.Transition with
        | :? QnADownsampling as down ->
            let output = List.last trace

            [ "qna_stride2", string down.Attention.Heads ],
            [ $"{word architecture.Head map down.Attention}_stride{down.Stride}(out {output.Output.Size.Height}x{output.Output.Size.Width}x{output.Output.Channels})" ]
        | _ -> [], []

    [ string map.Size.Height
      string map.Size.Width
      string map.Channels
      string (stage.Blocks.Count + downHeads.Length)
      join (perKind (fun attention -> string attention.Heads) @ downHeads)
      described ((attentions |> List.map (word architecture.Head map)) @ downWords)
      join (perKind (fun attention -> string (map.Channels / attention.Heads))) ]

let private stages =
    let rows =
        lazy (Data.rows "stages.csv" |> List.groupBy (fun row -> row["name"]) |> Map.ofList)

    let columns =
        [ "height"
          "width"
          "channels"
          "blocks"
          "heads"
          "attention kinds"
          "head_dim" ]

    [ for entry in models ->
          testCase entry.Name
          <| fun () ->
              Expect.equal
                  (List.init entry.Architecture.Stages.Count (stageOf entry))
                  [ for row in rows.Value[rowName entry] -> [ for column in columns -> row[column] ] ]
                  "stages" ]

let private figures =
    [ for entry in models ->
          testCase entry.Name
          <| fun () ->
              let row = rows.Value[rowName entry]

              let number column =
                  if row[column] = "" then
                      Nullable()
                  else
                      Nullable(float row[column])

              Expect.equal
                  entry.Paper
                  (PaperFigures(number "paper_params_m", number "paper_flops_g", number "paper_top1"))
                  "what the paper says"

              Expect.equal entry.IsDerived (row["source"] = "derived") "whether it is derived" ]

let private lookups =
    [ testCase "names are distinct, begin with their family's, and are found"
      <| fun () ->
          let names = [ for entry in Zoo.All -> entry.Name ]
          Expect.equal (List.distinct names) names "each once"

          for entry in Zoo.All do
              Expect.stringStarts entry.Name $"{entry.Family}-" "the family"
              Expect.equal (Zoo.Get entry.Name) entry.Architecture "the architecture"
              Expect.equal (List.ofSeq (Zoo.Find entry.Name)) [ entry ] "the entry"
              Expect.isEmpty (Validation.Check entry.Architecture) $"mistakes of {entry.Name}"

      testCase "families come in the order of the models"
      <| fun () ->
          Expect.equal
              [ for family in Zoo.Families do
                    yield! Zoo.All |> Seq.filter (fun entry -> entry.Family = family) ]
              (List.ofSeq Zoo.All)
              "family by family"

      testCase "patterns"
      <| fun () ->
          let found pattern =
              [ for entry in Zoo.Find pattern -> entry.Name ]

          Expect.equal (found "pvt-v2-b?") [ for size in 0..5 -> $"pvt-v2-b{size}" ] "one character"
          Expect.equal (found "SLIDE-pvt-s*") [ "slide-pvt-small" ] "any characters, in any case"
          Expect.isEmpty (found "resnet*") "none"

      testCase "a name that is not there is told, with the nearest that are"
      <| fun () ->
          let message =
              try
                  Zoo.Get "slide_swin_tiny" |> ignore
                  failtest "it was found"
              with :? ArgumentException as error ->
                  error.Message

          Expect.stringStarts
              message
              "zoo: there is no model 'slide_swin_tiny'; the nearest names are slide-swin-tiny, slide-cswin-tiny, slide-swin-base"
              "the message" ]

let private derived =
    let without (attention: Attention) (stages: Set<int>) (architecture: Architecture) =
        architecture.With(
            stages =
                ValueList.From(
                    architecture.Stages
                    |> Seq.mapi (fun index stage ->
                        if stages.Contains(index + 1) then
                            stage.With(
                                blocks =
                                    ValueList.From(
                                        stage.Blocks
                                        |> Seq.map (fun block ->
                                            block.With(
                                                attention = attention.WithHeads block.Attention.Heads
                                            ))
                                    )
                            )
                        else
                            stage)
                )
        )

    [ for entry in Zoo.All do
          if entry.IsDerived then
              testCase $"{entry.Name} is its backbone but for the attention of its first stages"
              <| fun () ->
                  let attention: Attention =
                      if entry.Name.StartsWith "slide" then
                          SlideAttention(3, 1)
                      else
                          QnAAttention(3, 1)

                  let backbone =
                      (entry.Name.Substring(entry.Name.IndexOf '-' + 1))
                          .Replace("-window7", "")
                          .Replace("-s12", "")
                          .Replace("-s1", "")

                  let stages =
                      if entry.Name.EndsWith "-s1" then
                          set [ 1 ]
                      else
                          set [ 1; 2 ]

                  Expect.equal
                      (entry.Architecture.With(name = backbone))
                      (without attention stages (Zoo.Get backbone))
                      "the rewritten backbone" ]

let private mistakes =
    testCase "a stage that is not there cannot be rewritten"
    <| fun () ->
        let error =
            Expect.throwsC (fun () -> Variants.Slide(Swin.Tiny, "x", [| 1; 5 |]) |> ignore) (fun error ->
                error.Message)

        Expect.stringStarts
            error
            "'swin-tiny' has no stage 5 to rewrite; use stages from 1 to 4"
            "the message"

/// The tests of this file.
let tests =
    testList
        "zoo"
        [ complete
          testList "parameters" parameters
          testList "stages" stages
          testList "paper figures" figures
          testList "lookups" lookups
          testList "derived" derived
          mistakes ]
