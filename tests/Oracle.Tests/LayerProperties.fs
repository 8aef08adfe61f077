/// What the oracle must satisfy by itself where no official number exists: every mode, every window.
module LocalAttention.Oracle.Tests.LayerProperties

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Oracle

let private filled name shapes =
    Map [ for key, shape in shapes -> key, Counter.array $"{name}/{key}" shape ]

/// The shapes of everything that a QnA layer depends on.
let private qnaShapes (layer: Qna) inputs outputs biases (image: int array) =
    let area = fst layer.Window * snd layer.Window
    let queries = layer.Upsampling * layer.Upsampling * layer.Queries
    let features, depth = layer.Features, layer.Features / layer.Heads

    [ "x", [| image[0]; image[1]; image[2]; inputs |]
      "query", [| queries; features |]
      "Wk", [| inputs; features |]
      "to_v/kernel", [| inputs; features |]
      "to_out/kernel", [| features; outputs |]
      if biases then
          "Wk_b", [| layer.Heads; depth |]
          "to_v/bias", [| features |]
          "to_out/bias", [| outputs |]
      match layer.Scale with
      | QnaScale.Normal -> "attn_scale_weights", [| 1; 1; area; queries * layer.Heads |]
      | QnaScale.NormalElementwise -> "attn_scale_weights", [| 1; 1; 1; queries * layer.Heads |]
      | QnaScale.Ones -> "attn_scale_pos", [| 1; 1; area; queries; layer.Heads |]
      | _ -> ()
      match layer.Position with
      | QnaPosition.Relative -> "rpe_bias", [| area; queries * layer.Heads |]
      | QnaPosition.Contextual ->
          "rpe_bias/kernel", [| layer.Heads; depth; area; layer.Heads |]
          "rpe_bias/bias", [| area; layer.Heads |]
      | QnaPosition.Absolute -> "absolute_pos_embedding", [| area; queries; features |]
      | QnaPosition.None -> () ]

let private slideShapes (layer: Slide) channels bias (image: int array) =
    let area = layer.Window * layer.Window
    let samples = channels / layer.Heads * area

    [ "x", [| image[0]; image[1]; image[2]; channels |]
      "qkv.weight", [| 3 * channels; channels |]
      if bias then
          "qkv.bias", [| 3 * channels |]
      "proj.weight", [| channels; channels |]
      "proj.bias", [| channels |]
      "dep_conv.weight", [| samples; 1; layer.Window; layer.Window |]
      "dep_conv.bias", [| samples |]
      if layer.Deformed then
          "dep_conv1.weight", [| samples; 1; layer.Window; layer.Window |]
          "dep_conv1.bias", [| samples |]
      "relative_position_bias_table", [| 1; layer.Heads; 1; area; 1; 1 |] ]

let private windowShapes (layer: Window) channels (image: int array) =
    let rows, columns = layer.Window

    [ "x", [| image[0]; image[1]; image[2]; channels |]
      "qkv.weight", [| 3 * channels; channels |]
      "qkv.bias", [| 3 * channels |]
      "proj.weight", [| channels; channels |]
      "proj.bias", [| channels |]
      "relative_position_bias_table", [| (2 * rows - 1) * (2 * columns - 1); layer.Heads |] ]

/// Three ways to a derivative, which must agree: along a direction, backwards, and by differences.
let private derivativesAgree (real: Layer<Real>) dual traced point =
    let direction =
        point
        |> Map.map (fun name (values: NdArray<float>) -> Counter.array $"direction/{name}" values.Shape)

    let value, slopes = Derivative.along dual point direction
    let cotangent = Counter.array "cotangent" value.Shape
    let gradients = Derivative.gradient traced point cotangent
    let forward = NdArray.dot slopes cotangent

    let terms =
        [ for entry in gradients -> NdArray.dot entry.Value direction[entry.Key] ]

    let size = List.sumBy abs terms + NdArray.largest slopes
    // Inputs and what becomes of them are of order one, and may cancel: rounding goes by one, or by the terms.
    Expect.isLessThan (abs (forward - List.sum terms)) (1e-11 * (1.0 + size)) "forward and backward"
    Expect.equal (Derivative.evaluate real point).Elements value.Elements "the value is that of doubles"
    let differences = Derivative.differences 1e-5 real point direction
    // Step²·f‴/6 is 2e-11 f‴, rounding is 1e-16/1e-5 of f; third derivatives of these layers reach some thousands.
    Expect.isLessThan
        (NdArray.largest (NdArray.map2 (-) differences slopes))
        (1e-6 * (1.0 + size))
        "differences"

let private qnaDerivatives layer point =
    derivativesAgree
        (fun inputs -> Qna.forward layer inputs inputs["x"])
        (fun inputs -> Qna.forward layer inputs inputs["x"])
        (fun inputs -> Qna.forward layer inputs inputs["x"])
        point

let private evaluateQna layer point =
    Derivative.evaluate (fun inputs -> Qna.forward layer inputs inputs["x"]) point

let private scales =
    [ QnaScale.Normal
      QnaScale.NormalElementwise
      QnaScale.PositiveNegative
      QnaScale.Ones
      QnaScale.Average
      QnaScale.None ]

let private positions =
    [ QnaPosition.Relative
      QnaPosition.Contextual
      QnaPosition.Absolute
      QnaPosition.None ]

// A stopped gradient is no derivative of the function, so that differences cannot agree with it: it has a golden.
let private norms =
    [ QnaNorm.Free; QnaNorm.Unit; QnaNorm.AtMost 0.5; QnaNorm.AtMost 100.0 ]

let private qnaLayers =
    gen {
        let! heads = Gen.choose (1, 3)
        let! depth = Gen.choose (1, 3)
        let! queries = Gen.choose (1, 3)
        let! rows = Gen.elements [ 1; 2; 3; 5 ]
        let! columns = Gen.elements [ 1; 3; 4 ]
        let! stride = Gen.choose (1, 3)
        let! upsampling = Gen.elements [ 1; 1; 2; 3 ]
        let! scale = Gen.elements scales
        let! position = Gen.elements positions
        let! norm = Gen.elements norms
        let! scaleBias = Gen.elements [ true; false ]

        return
            { Qna.create (heads * depth) heads 1 with
                Queries = queries
                Window = (rows, columns)
                Padding = ((rows - 1) / 2, (columns - 1) / 2)
                Stride = stride
                Upsampling = upsampling
                Scale = scale
                Position = position
                Norm = norm
                ScaleBias = scaleBias }
    }

let private few =
    { FsCheckConfig.defaultConfig with
        maxTest = 40 }

let private qna =
    let layersAndImages =
        gen {
            let! layer = qnaLayers
            let! image = Gen.arrayOfLength 2 (Gen.choose (5, 6))
            let! inputs = Gen.choose (1, 3)
            let! outputs = Gen.choose (1, 3)
            let! biases = Gen.elements [ true; false ]
            return layer, filled "qna" (qnaShapes layer inputs outputs biases [| 1; image[0]; image[1] |])
        }

    let set (layer: Qna) number (point: Map<string, NdArray<float>>) =
        // The parameters of one query set: a slice of the query axis.
        let slice axis perQuery (array: NdArray<float>) =
            let length = layer.Queries * perQuery
            let shape = Array.mapi (fun a side -> if a = axis then length else side) array.Shape

            NdArray.init shape (fun index ->
                array.At(
                    index
                    |> Array.mapi (fun a place -> if a = axis then place + number * length else place)
                ))

        point
        |> Map.map (fun name array ->
            match name with
            | "query" -> slice 0 1 array
            | "attn_scale_weights" -> slice 3 layer.Heads array
            | "attn_scale_pos" -> slice 3 1 array
            | "rpe_bias" -> slice 1 layer.Heads array
            | "absolute_pos_embedding" -> slice 1 1 array
            | _ -> array)

    testList
        "qna"
        [ testPropertyWithConfig few "derivatives of every mode agree"
          <| Prop.forAll (Arb.fromGen layersAndImages) (fun (layer, point) -> qnaDerivatives layer point)
          testPropertyWithConfig few "upsampling is u² layers, arranged as pixel shuffle"
          <| Prop.forAll (Arb.fromGen layersAndImages) (fun (layer, point) ->
              let whole, up = evaluateQna layer point, layer.Upsampling

              let parts =
                  [ for number in 0 .. up * up - 1 ->
                        evaluateQna { layer with Upsampling = 1 } (set layer number point) ]

              let expected =
                  NdArray.init whole.Shape (fun index ->
                      parts[index[1] % up * up + index[2] % up][index[0],
                                                                index[1] / up,
                                                                index[2] / up,
                                                                index[3]])

              Expect.isLessThan (NdArray.relativeError whole expected) 1e-13 "the maps agree")
          testCase "scores of any finite size are held" (fun () ->
              let layer =
                  { Qna.create 4 2 3 with
                      Norm = QnaNorm.Free }

              let point = filled "large" (qnaShapes layer 3 4 false [| 1; 5; 5 |])
              let large = point |> Map.add "x" (NdArray.map (fun value -> 1e4 * value) point["x"])
              let output = evaluateQna layer large
              Expect.all output.Elements Double.IsFinite "finite")
          testCase "single precision is near" (fun () ->
              // 24 bits: sums of tens of terms of size one, rounded at 6e-8, stay within 1e-5 of the largest element.
              let layer = Qna.create 6 2 3
              let point = filled "single" (qnaShapes layer 4 6 true [| 2; 5; 6 |])

              let single =
                  Derivative.evaluate32 (fun inputs -> Qna.forward layer inputs inputs["x"]) point

              Expect.isLessThan (NdArray.relativeError single (evaluateQna layer point)) 1e-5 "output") ]

let private evaluateSlide layer point =
    Derivative.evaluate (fun inputs -> Slide.forward layer inputs inputs["x"]) point

let private slide =
    let cases =
        gen {
            let! heads = Gen.choose (1, 2)
            let! depth = Gen.choose (1, 2)
            let! window = Gen.elements [ 1; 3; 5 ]
            let! deformed = Gen.elements [ true; false ]
            let! bias = Gen.elements [ true; false ]
            let! scale = Gen.elements [ None; Some 0.3 ]

            let! padding =
                Gen.elements
                    [ SlidePadding.Zeros
                      SlidePadding.Circular
                      SlidePadding.Reflect
                      SlidePadding.Replicate ]

            let layer =
                { Slide.create heads window with
                    Deformed = deformed
                    Scale = scale
                    Padding = padding }

            return layer, filled "slide" (slideShapes layer (heads * depth) bias [| 1; 4; 5 |])
        }

    testList
        "slide"
        [ testPropertyWithConfig few "derivatives agree"
          <| Prop.forAll (Arb.fromGen cases) (fun (layer, point) ->
              derivativesAgree
                  (fun inputs -> Slide.forward layer inputs inputs["x"])
                  (fun inputs -> Slide.forward layer inputs inputs["x"])
                  (fun inputs -> Slide.forward layer inputs inputs["x"])
                  point)
          testPropertyWithConfig few "a circular map may be rolled"
          <| Prop.forAll (Arb.fromGen (Gen.zip cases (Gen.choose (0, 3)))) (fun ((layer, point), by) ->
              let layer =
                  { layer with
                      Padding = SlidePadding.Circular }

              let rolled = point |> Map.add "x" (NdArray.roll by (by + 1) point["x"])
              let expected = NdArray.roll by (by + 1) (evaluateSlide layer point)

              Expect.isLessThan
                  (NdArray.relativeError (evaluateSlide layer rolled) expected)
                  1e-13
                  "the output rolls")
          testCase "both convolutions merge into one" (fun () ->
              let layer = Slide.create 2 3
              let point = filled "merge" (slideShapes layer 4 true [| 1; 5; 5 |])

              let merge kind =
                  NdArray.map2 (+) point[$"dep_conv.{kind}"] point[$"dep_conv1.{kind}"]

              let merged =
                  point
                  |> Map.add "dep_conv.weight" (merge "weight")
                  |> Map.add "dep_conv.bias" (merge "bias")

              let plain = evaluateSlide { layer with Deformed = false } merged
              Expect.isLessThan (NdArray.relativeError plain (evaluateSlide layer point)) 1e-13 "output") ]

let private evaluateWindow layer point =
    Derivative.evaluate (fun inputs -> Window.forward layer inputs inputs["x"]) point

/// The parameters under Flax's names in the head-major order.
let private asFlax heads (point: Map<string, NdArray<float>>) =
    let channels = point["x"].Shape[3]
    let depth = channels / heads

    // Place n·3d + part·d + c of the head-major order is place part·C + n·d + c of the other.
    let source o =
        o % (3 * depth) / depth * channels + o / (3 * depth) * depth + o % depth

    Map
        [ "x", point["x"]
          "to_qkv/kernel",
          NdArray.init [| channels; 3 * channels |] (fun index ->
              point["qkv.weight"][source index[1], index[0]])
          "to_qkv/bias", NdArray.init [| 3 * channels |] (fun index -> point["qkv.bias"][source index[0]])
          "to_out/kernel",
          NdArray.init [| channels; channels |] (fun index -> point["proj.weight"][index[1], index[0]])
          "to_out/bias", point["proj.bias"]
          "rpe_bias", point["relative_position_bias_table"] ]

let private window =
    let cases =
        gen {
            let! heads = Gen.choose (1, 2)
            let! rows = Gen.choose (1, 3)
            let! columns = Gen.choose (1, 3)
            let! across = Gen.choose (1, 3)
            let! shift = Gen.choose (0, min rows columns - 1)

            let layer =
                { Window.create heads 1 with
                    Window = (rows, columns)
                    Shift = shift }

            return layer, filled "window" (windowShapes layer (2 * heads) [| 1; 2 * rows; across * columns |])
        }

    testList
        "window"
        [ testPropertyWithConfig few "derivatives agree"
          <| Prop.forAll (Arb.fromGen cases) (fun (layer, point) ->
              derivativesAgree
                  (fun inputs -> Window.forward layer inputs inputs["x"])
                  (fun inputs -> Window.forward layer inputs inputs["x"])
                  (fun inputs -> Window.forward layer inputs inputs["x"])
                  point)
          testPropertyWithConfig few "both orders and both conventions mean the same"
          <| Prop.forAll (Arb.fromGen cases) (fun (layer, point) ->
              let flax =
                  { layer with
                      Order = QkvOrder.HeadMajor }

              let actual = evaluateWindow flax (asFlax layer.Heads point)
              Expect.isLessThan (NdArray.relativeError actual (evaluateWindow layer point)) 1e-13 "output")
          testCase "a token sees the tokens of its own window that are near it in the image" (fun () ->
              // Windows of 4 shifted by 2 on a map of 8: along each side, tokens 0-1, 2-5 and 6-7 see each other.
              let layer = { Window.create 1 4 with Shift = 2 }
              let point = filled "mask" (windowShapes layer 1 [| 1; 8; 8 |])
              let group place = (place + 2) / 4

              for y, x in [ 0, 0; 1, 4; 3, 3; 6, 1; 7, 7 ] do
                  let cotangent =
                      NdArray.init [| 1; 8; 8; 1 |] (fun i -> if i[1] = y && i[2] = x then 1.0 else 0.0)

                  let gradient =
                      (Derivative.gradient
                          (fun inputs -> Window.forward layer inputs inputs["x"])
                          point
                          cotangent)["x"]

                  for row in 0..7 do
                      for column in 0..7 do
                          let size = abs gradient[0, row, column, 0]

                          if group row = group y && group column = group x then
                              Expect.isGreaterThan size 1e-12 $"({y}, {x}) sees ({row}, {column})"
                          else
                              Expect.isLessThan size 1e-30 $"({y}, {x}) does not see ({row}, {column})")
          testCase "one window is global attention" (fun () ->
              let layer =
                  { Window.create 2 3 with
                      Window = (3, 4) }

              let point =
                  filled "global" (windowShapes layer 4 [| 2; 3; 4 |])
                  |> Map.remove "relative_position_bias_table"

              let actual =
                  Derivative.evaluate
                      (fun inputs -> Global.forward 2 QkvOrder.QkvMajor inputs inputs["x"])
                      point

              Expect.equal actual.Elements (evaluateWindow layer point).Elements "output")
          testCase "a window that does not divide the map is refused" (fun () ->
              let layer = Window.create 1 3
              let point = filled "refused" (windowShapes layer 2 [| 1; 4; 6 |])

              Expect.throwsT<ArgumentException>
                  (fun () -> evaluateWindow layer point |> ignore)
                  "4 is no multiple of 3") ]

/// All layers.
[<Tests>]
let tests = testList "oracle.properties" [ qna; slide; window ]
