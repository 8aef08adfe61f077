/// The oracle against the numbers of the official code: outputs and all gradients to 1e-9 of the largest element.
module LocalAttention.Oracle.Tests.LayerGoldens

open System
open System.IO
open System.Text.Json
open Expecto
open LocalAttention.Oracle

// Both sides compute in float64 with sums of at most some thousand terms, each rounded to 1e-16 of its size:
// they agree to about 1e-12, and 1e-9 is what the data's makers promise.
let private tolerance = 1e-9

let private data name =
    Path.Combine(AppContext.BaseDirectory, "data", name)

let private close actual expected name =
    Expect.isLessThan (NdArray.relativeError actual expected) tolerance name

let private goldens family (layerOf: JsonElement -> Layer<Real> * Layer<Dual> * Layer<Traced>) =
    let arrays = Safetensors.read (data (family + ".safetensors"))

    let cases =
        JsonDocument.Parse(File.ReadAllText(data (family + ".json"))).RootElement

    testList
        family
        [ for case in cases.EnumerateObject() do
              let real, dual, traced = layerOf case.Value
              let own = Safetensors.under (case.Name + "/") arrays
              let point = Safetensors.under "parameter/" own |> Map.add "x" own["x"]
              let gradients = Safetensors.under "gradient/" own
              let cotangent = own["cotangent"]

              testList
                  case.Name
                  [ testCase "output" (fun () ->
                        close (Derivative.evaluate real point) own["output"] "output")
                    testCase "all gradients" (fun () ->
                        let actual = Derivative.gradient traced point cotangent

                        let most = gradients |> Map.toSeq |> Seq.map (snd >> NdArray.largest) |> Seq.max

                        for entry in gradients do
                            if entry.Key = "Wk_b" then
                                // The key bias adds one number to all scores of a window, so that its gradient is
                                // zero: both sides hold nothing but rounding, and are compared with the others' size.
                                let difference = NdArray.map2 (-) actual[entry.Key] entry.Value
                                Expect.isLessThan (NdArray.largest difference) (tolerance * most) entry.Key
                            else
                                close actual[entry.Key] entry.Value entry.Key)
                    testCase "derivatives along random directions" (fun () ->
                        for direction in 1..3 do
                            let directions =
                                gradients
                                |> Map.map (fun name gradient ->
                                    Counter.array $"direction/{direction}/{case.Name}/{name}" gradient.Shape)

                            let _, slopes = Derivative.along dual point directions
                            let actual = NdArray.dot slopes cotangent

                            let terms =
                                [ for entry in gradients -> NdArray.dot entry.Value directions[entry.Key] ]

                            // Of opposite signs, the terms may nearly cancel: their sizes are what rounding goes by.
                            let size = List.sumBy abs terms
                            Expect.isLessThan (abs (actual - List.sum terms)) (tolerance * size) "slope") ] ]

let private property (case: JsonElement) (name: string) (convert: JsonElement -> 'T) (otherwise: 'T) =
    match case.TryGetProperty name with
    | true, value -> convert value
    | false, _ -> otherwise

let private integer (value: JsonElement) = value.GetInt32()
let private truth (value: JsonElement) = value.GetBoolean()
let private text (value: JsonElement) = string (value.GetString())

let private qnaOf (case: JsonElement) =
    let window = property case "kernel_size" integer 3
    let padding = property case "padding" integer 0

    { Qna.create (property case "features" integer 0) (property case "heads" integer 0) window with
        Queries = property case "n_queries" integer 2
        Padding = (padding, padding)
        Stride = property case "stride" integer 1
        ScaleBias = property case "scale_rpe_bias" truth false
        Norm =
            (if not (property case "normalize_q" truth true) then
                 QnaNorm.Free
             elif property case "qna_normalize_stop_grads" truth false then
                 QnaNorm.UnitStopGradient
             else
                 QnaNorm.Unit)
        Scale =
            (match property case "attn_scale" text "normal" with
             | "normal" -> QnaScale.Normal
             | "normal_elementwise" -> QnaScale.NormalElementwise
             | "posneg" -> QnaScale.PositiveNegative
             | "ones" -> QnaScale.Ones
             | "avg" -> QnaScale.Average
             | "none" -> QnaScale.None
             | other -> failtest $"unknown scale {other}")
        Position =
            (match property case "pos_embedding_type" text "relative_pos" with
             | "relative_pos" -> QnaPosition.Relative
             | "absolute_pos" -> QnaPosition.Absolute
             | other -> failtest $"unknown position {other}") }

let private qna (case: JsonElement) =
    let layer = qnaOf case

    (fun inputs -> Qna.forward layer inputs inputs["x"]),
    (fun inputs -> Qna.forward layer inputs inputs["x"]),
    (fun inputs -> Qna.forward layer inputs inputs["x"])

let private slide (case: JsonElement) =
    let layer =
        { Slide.create (property case "heads" integer 0) (property case "ka" integer 0) with
            Scale = property case "scale" (fun value -> Some(value.GetDouble())) None
            Padding =
                (match property case "padding" text "zeros" with
                 | "zeros" -> SlidePadding.Zeros
                 | "circular" -> SlidePadding.Circular
                 | "reflect" -> SlidePadding.Reflect
                 | "replicate" -> SlidePadding.Replicate
                 | other -> failtest $"unknown padding {other}") }

    (fun inputs -> Slide.forward layer inputs inputs["x"]),
    (fun inputs -> Slide.forward layer inputs inputs["x"]),
    (fun inputs -> Slide.forward layer inputs inputs["x"])

/// All layer cases.
[<Tests>]
let tests =
    testList "oracle.goldens" [ goldens "qna-layers" qna; goldens "slide-layers" slide ]
