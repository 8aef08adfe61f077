/// The published models: parameters and shapes as the official code has them.
module LocalAttention.Core.Tests.Zoo

open System
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification

/// Every model of the zoo by the name in the reference tables.
let models =
    [ "qna_vit_tiny", QnAViT.Tiny
      "qna_vit_tiny_7x7", QnAViT.Tiny7x7
      "qna_vit_small", QnAViT.Small
      "qna_vit_base", QnAViT.Base
      "swin_tiny", Swin.Tiny
      "swin_small", Swin.Small
      "swin_base", Swin.Base
      "slide_swin_tiny", SlideSwin.Tiny
      "slide_swin_small", SlideSwin.Small
      "slide_swin_base", SlideSwin.Base ]

let private parameters =
    let rows =
        Data.rows "zoo.csv" |> List.map (fun row -> row["name"], row) |> Map.ofList

    [ for name, architecture in models ->
          testCase name
          <| fun () ->
              let count = ParameterCount.Of architecture
              Expect.equal (string count.All) rows[name].["parameters"] "all parameters"
              Expect.equal (string count.Trainable) rows[name].["trainable_parameters"] "trained parameters"

              let parts =
                  ShapeInference.Trace architecture |> Seq.map _.Parameters |> Seq.reduce (+)

              Expect.equal parts count "the sum of the parts" ]

let private heads (attention: Attention) = attention.Heads

/// A stage of `stages.csv`: size and channels of its map, blocks (a QnA transition is one), heads by kind.
let private stageOf (architecture: Architecture) index =
    let map =
        ShapeInference.Trace architecture
        |> Seq.find (fun part -> part.Place.StartsWith $"stage {index + 1},")
        |> _.Input

    let stage = architecture.Stages[index]

    let down =
        match stage.Transition with
        | :? QnADownsampling as down -> [ down.Attention.Heads ]
        | _ -> []

    let ofKind kind =
        stage.Blocks
        |> Seq.map _.Attention
        |> Seq.filter (fun attention -> attention.Kind = kind)
        |> Seq.map heads
        |> Seq.distinct
        |> List.ofSeq

    let single = ofKind "slide" @ ofKind "window"

    let described =
        if
            down.IsEmpty
            && ofKind("qna").IsEmpty
            && not (architecture.Name.StartsWith "qna")
        then
            single |> List.map string
        else
            [ yield! ofKind "window" |> List.map (sprintf "window:%d")
              yield! ofKind "qna" |> List.map (sprintf "qna:%d")
              yield! down |> List.map (sprintf "qna_stride2:%d") ]

    [ string map.Size.Height
      string map.Size.Width
      string map.Channels
      string (stage.Blocks.Count + down.Length)
      String.Join(" ", described) ]

let private stages =
    let rows =
        Data.rows "stages.csv" |> List.groupBy (fun row -> row["name"]) |> Map.ofList

    [ for name, architecture in models ->
          testCase name
          <| fun () ->
              let expected =
                  [ for row in rows[name] ->
                        [ row["height"]; row["width"]; row["channels"]; row["blocks"]; row["heads"] ] ]

              let actual = List.init architecture.Stages.Count (stageOf architecture)
              Expect.equal actual expected "stages" ]

let private kinds =
    testCase "the attention of every stage of the smallest models"
    <| fun () ->
        let kinds architecture =
            ShapeInference.Trace architecture
            |> Seq.filter (fun part -> part.Place.Contains "block" || part.Place.Contains "transition")
            |> Seq.map (fun part -> $"{part.Kind} {part.Window}")
            |> List.ofSeq
            |> List.countBy id

        Expect.equal
            (kinds Swin.Tiny |> List.filter (fun (kind, _) -> kind.Contains "window"))
            [ "window 7", 7; "shifted window 7", 5 ]
            "swin-tiny: pairs of plain and shifted windows, none shifted in the last stage"

        Expect.equal
            (kinds SlideSwin.Tiny
             |> List.filter (fun (kind, _) -> not (kind.Contains "merging")))
            [ "slide 3", 4; "window 14", 6; "window 7", 2 ]
            "slide-swin-tiny"

        Expect.equal
            (kinds QnAViT.Tiny)
            [ "qna 3", 7; "qna downsampling 3", 3; "window 14", 4; "window 7", 2 ]
            "qna-vit-tiny"

/// The tests of this file.
let tests =
    testList "zoo" [ testList "parameters" parameters; testList "stages" stages; kinds ]
