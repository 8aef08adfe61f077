/// What attention must satisfy whatever its numbers are: laws of softmax, of batches, of seeds, of finite numbers.
module LocalAttention.Core.Tests.Laws

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Oracle
open LocalAttention.Core.Kernels
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Cases
open LocalAttention.Core.Tests.Tensors
open TorchSharp

let private property count name generator body =
    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = count }
        name
        (Prop.forAll (arbitrary generator) body)

let private changeParameter name change (layer: Module) =
    let values = (parametersOf layer).[name]

    setParameters
        (Map [ name, NdArray.init values.Shape (fun index -> change index (values.At index)) ])
        layer

/// A score of 50 or so keeps 2⁻⁵³·50 of absolute error, which its weight has as relative error: 6e-15; the rest is as
/// in the comparison with the oracle.
let private rounding = 1e-10

/// A constant that differs from query to query and head to head, but not inside a window.
let private constantOf seed name column =
    50.0 * Counter.elementOf (Counter.hash $"{seed}/{name}") column

/// The projection that makes keys and values, but QnA's: its name, which channel of all values an output channel is, and
/// whether it is a key's.
let private partsOf (case: LayerCase) : (string * (int -> int option) * (int -> bool)) option =
    let channels = case.Inputs
    let depth = channels / case.Attention.Heads

    let qkvMajor =
        "qkv",
        (fun channel ->
            if channel >= 2 * channels then
                Some(channel - 2 * channels)
            else
                None),
        (fun channel -> channel / channels = 1)

    let headMajor =
        "qkv",
        (fun channel ->
            if channel % (3 * depth) / depth = 2 then
                Some(channel / (3 * depth) * depth + channel % depth)
            else
                None),
        (fun channel -> channel % (3 * depth) / depth = 1)

    let inOrder order =
        if order = QkvOrder.QkvMajor then qkvMajor else headMajor

    match case.Attention with
    | :? QnAAttention -> None
    | :? SlideAttention -> Some headMajor
    | :? WindowAttention as window -> Some(inOrder window.Order)
    | :? GlobalAttention as everywhere -> Some(inOrder everywhere.Order)
    | :? CrossShapedAttention
    | :? NeighbourhoodAttention -> Some qkvMajor
    | :? SpatialReductionAttention
    | :? PooledAttention ->
        Some(
            "kv",
            (fun channel ->
                if channel >= channels then
                    Some(channel - channels)
                else
                    None),
            (fun channel -> channel < channels)
        )
    | unknown -> failwith $"nothing is known of {unknown.GetType()}"

/// The layer with a constant added to all scores of each window; none where no parameter can add one.
let private addToScores (case: LayerCase) (layer: Module) =
    match case.Attention with
    | :? QnAAttention as qna when qna.Position = PositionBias.Relative ->
        changeParameter "rpe_bias" (fun index value -> value + constantOf case.Seed "score" index[1]) layer
        true
    | :? QnAAttention as qna when qna.Bias ->
        changeParameter "Wk_b" (fun index value -> value + constantOf case.Seed "score" index[0]) layer
        true
    | :? SlideAttention ->
        // The query multiplies it, so that it is constant in the window of each token.
        changeParameter
            "relative_position_bias_table"
            (fun index value -> value + constantOf case.Seed "score" index[1])
            layer

        true
    | :? WindowAttention as window when window.PositionBias ->
        changeParameter
            "relative_position_bias_table"
            (fun index value -> value + constantOf case.Seed "score" index[1])
            layer

        true
    | :? NeighbourhoodAttention as neighbourhood when neighbourhood.PositionBias ->
        changeParameter "rpb" (fun index value -> value + constantOf case.Seed "score" index[0]) layer
        true
    | _ ->
        // A key's bias adds to all scores of a query alike.
        match partsOf case with
        | Some(name, _, isKey) when Map.containsKey $"{name}.bias" (parametersOf layer) ->
            changeParameter
                $"{name}.bias"
                (fun index value ->
                    if isKey index[0] then
                        value + constantOf case.Seed "score" index[0]
                    else
                        value)
                layer

            true
        | _ -> false

let private scoreInvariance (case: LayerCase) =
    use layer = build case
    let before = run layer (input case)

    if addToScores case layer then
        let after = run layer (input case)
        within rounding 1e-2 after before "the output with a constant added to all scores of a window"

/// Makes every value the vector `v` whatever the input is, and the output projection the identity.
let private makeValuesConstant (case: LayerCase) (v: float array) (layer: Module) =
    let identity (shape: int array) =
        NdArray.init shape (fun index -> if index[0] = index[1] then 1.0 else 0.0)

    let nothing (shape: int array) = NdArray.create shape 0.0
    let parameters = parametersOf layer
    let shapeOf name = parameters[name].Shape

    let values =
        match partsOf case with
        | None ->
            [ "to_v.weight", nothing (shapeOf "to_v.weight")
              "to_v.bias", NdArray.ofArray [ v.Length ] v
              "to_out.weight", identity (shapeOf "to_out.weight")
              "to_out.bias", nothing (shapeOf "to_out.bias") ]
        | Some(name, valueChannel, _) ->
            [ $"{name}.weight",
              NdArray.init (shapeOf $"{name}.weight") (fun index ->
                  match valueChannel index[0] with
                  | Some _ -> 0.0
                  | None -> parameters[$"{name}.weight"][index[0], index[1]])
              $"{name}.bias",
              NdArray.init (shapeOf $"{name}.bias") (fun index ->
                  match valueChannel index[0] with
                  | Some channel -> v[channel]
                  | None -> parameters[$"{name}.bias"][index[0]])
              "proj.weight", identity (shapeOf "proj.weight")
              "proj.bias", nothing (shapeOf "proj.bias")
              if Map.containsKey "dep_conv.bias" parameters then
                  "dep_conv.bias", nothing (shapeOf "dep_conv.bias")
              // What is added to the attention's output.
              for added in Map.keys parameters do
                  if added.StartsWith "get_v" then
                      added, nothing (shapeOf added) ]

    setParameters (Map.ofList values) layer

/// The same case in modes in which the output is the sum of the weights times the value.
let private plainModes (case: LayerCase) =
    let attention: Attention =
        match case.Attention with
        | :? QnAAttention as qna ->
            QnAAttention(
                qna.Window,
                qna.Heads,
                Queries = qna.Queries,
                Position = qna.Position,
                Norm = qna.Norm,
                Scale = AttentionScale.None,
                Bias = true
            )
        | :? SlideAttention as slide ->
            // Outside zero padding stands no value, so that its share of the weights is lost: replicated edges instead.
            let padding =
                if slide.Padding = EdgePadding.Zeros then
                    EdgePadding.Replicate
                else
                    slide.Padding

            slide.With(deformed = false, qkvBias = true, padding = padding)
        | :? WindowAttention as window -> window.With(qkvBias = true, projectionBias = true)
        | :? GlobalAttention as everywhere -> everywhere.With(qkvBias = true, projectionBias = true)
        | :? SpatialReductionAttention as reduced -> reduced.With(qkvBias = true)
        | :? PooledAttention as pooled -> pooled.With(qkvBias = true)
        | :? CrossShapedAttention as cross -> cross.With(qkvBias = true)
        | :? NeighbourhoodAttention as neighbourhood -> neighbourhood.With(qkvBias = true)
        | unknown -> failwith $"nothing is known of {unknown.GetType()}"

    // QnA's heads divide its output channels once it has no width of its own.
    { case with
        Attention =
            if case.Outputs % attention.Heads = 0 then
                attention
            else
                attention.WithHeads 1 }

let private weightsSumToOne (case: LayerCase) =
    let case = plainModes case
    use layer = build case
    let v = (numbers case.Seed "v" [| case.Outputs |]).Elements
    makeValuesConstant case v layer
    let output = run layer (input case)

    // QnA sums its queries' outputs; each has weights that sum to one.
    let times =
        match case.Attention with
        | :? QnAAttention as qna -> float qna.Queries
        | _ -> 1.0

    let expected = NdArray.init output.Shape (fun index -> times * v[index[3]])
    // A sum of at most 200 weights that are rounded alike: 200·2⁻⁵³.
    within 1e-13 0.0 output expected "attention to values that are all equal"

let private batchIndependence (case: LayerCase) =
    let case = { case with Batch = 3 }
    use layer = build case
    let images = input case
    let together = run layer images

    for image in 0 .. case.Batch - 1 do
        let one (array: NdArray<float>) =
            NdArray.init (Array.append [| 1 |] array.Shape[1..]) (fun index ->
                array[image, index[1], index[2], index[3]])

        // Matrix products may add up in another order for another number of rows.
        within rounding 0.0 (run layer (one images)) (one together) $"image {image} alone"

/// Single precision, parameters and inputs up to `magnitude`: all outputs and gradients are finite.
let private staysFinite (case: LayerCase) =
    use layer = build case
    layer.``to`` torch.ScalarType.Float32 |> ignore
    // Up to 10⁴ in both signs, with large and small ones beside each other.
    let x = input case |> NdArray.map (fun u -> 1e4 * u * u * u)
    let output = run layer x
    let _, gradient = gradients layer x (numbers case.Seed "cotangent" output.Shape)

    for name, array in ("output", output) :: Map.toList gradient do
        Expect.all array.Elements Double.IsFinite $"all elements of {name}"

let private extremeInputs (case: LayerCase) =
    use layer = build case
    layer.``to`` torch.ScalarType.Float32 |> ignore
    // Every element ±10⁴: scores as large, and as far apart, as they get.
    let x = input case |> NdArray.map (fun u -> if u < 0.0 then -1e4 else 1e4)
    let output = run layer x
    let _, gradient = gradients layer x (NdArray.create output.Shape 1.0)

    for name, array in ("output", output) :: Map.toList gradient do
        Expect.all array.Elements Double.IsFinite $"all elements of {name}"

/// The tokens that a token attends to, itself among them, by what the papers say.
let private reach (case: LayerCase) (row: int, column: int) =
    let height, width = case.Map.Height, case.Map.Width

    let tokens rows columns = Set.ofSeq (Seq.allPairs rows columns)

    match case.Attention with
    | :? CrossShapedAttention as cross ->
        let stripe place length =
            seq {
                place / cross.Stripe * cross.Stripe .. min length ((place / cross.Stripe + 1) * cross.Stripe)
                                                       - 1
            }

        tokens (seq { 0 .. height - 1 }) (stripe column width)
        + tokens (stripe row height) (seq { 0 .. width - 1 })
    | :? NeighbourhoodAttention as neighbourhood ->
        let window, dilation = neighbourhood.Window, neighbourhood.Dilation

        let along place length =
            Neighbourhood.neighbours (max length (window * dilation)) window dilation place
            |> Seq.map fst

        tokens (along row height) (along column width)
    | unknown -> failwith $"the reach of {unknown.GetType()} is not known here"

/// What is not a number in one token makes its own reach so, and nothing else.
let private staysInside (case: LayerCase) =
    use layer = build case
    let row, column = case.Seed % case.Map.Height, case.Seed / 8 % case.Map.Width

    let poisoned =
        let whole = input case

        NdArray.init whole.Shape (fun index ->
            if index[1] = row && index[2] = column then
                Double.NaN
            else
                whole[index[0], index[1], index[2], index[3]])

    for backend in [ Backend.Composite; Backend.FusedCpu ] do
        use _ = Backends.Use backend
        let output = run layer poisoned

        for y in 0 .. case.Map.Height - 1 do
            for x in 0 .. case.Map.Width - 1 do
                let sees = reach case (y, x) |> Set.contains (row, column)
                // The output's projection mixes the channels of a token, so that one is as good as all.
                Expect.equal
                    (Double.IsNaN output[0, y, x, 0])
                    sees
                    $"{backend}: whether ({y}, {x}) sees ({row}, {column})"

let private of' name generator =
    testList
        name
        [ property 40 "a constant added to all scores of a window changes nothing" generator scoreInvariance
          property 40 "weights sum to one" generator weightsSumToOne
          property
              25
              "an image's output does not depend on the others in the batch"
              generator
              batchIndependence
          property
              40
              "inputs up to 10⁴ give finite outputs and gradients in single precision"
              generator
              staysFinite
          property
              20
              "inputs of ±10⁴ give finite outputs and gradients in single precision"
              generator
              extremeInputs ]

let private mergedShifts =
    property
        30
        "merging the shifts changes no bit of the output, and going back restores every parameter"
        slide
        (fun case ->
            use layer = build case
            let slide = layer :?> SlideLayer
            slide.eval ()
            let parameters = parametersOf layer
            let before = run layer (input case)
            slide.merge_shifts ()
            Expect.isTrue slide.IsMerged "merged"
            let merged = run layer (input case)
            Expect.isTrue (before.Elements = merged.Elements) "outputs should be equal bit for bit"
            slide.unmerge_shifts ()
            Expect.isFalse slide.IsMerged "unmerged"

            for KeyValue(name, array) in parametersOf layer do
                Expect.isTrue
                    (array.Elements = parameters[name].Elements)
                    $"{name} should be equal bit for bit"

            Expect.isTrue
                ((run layer (input case)).Elements = before.Elements)
                "the output should be as before")

let private staleMerge =
    testCase "a merge keeps the weights that it was made of until it ends"
    <| fun () ->
        use layer = new SlideLayer(SlideAttention(3, 2), 8) |> inDoubles 1
        layer.eval ()
        let x = numbers 1 "x" [| 1; 4; 4; 8 |]
        let before = run layer x
        layer.merge_shifts ()
        changeParameter "dep_conv1.weight" (fun _ value -> value + 1.0) layer
        Expect.isTrue ((run layer x).Elements = before.Elements) "merged weights do not follow the parameters"
        layer.train ()
        Expect.isFalse layer.IsMerged "training ends a merge"
        Expect.isFalse ((run layer x).Elements = before.Elements) "the parameters count again"

/// The tests of this file.
let tests =
    testList
        "laws"
        [ of' "qna" qna
          of' "slide" slide
          of' "window" window
          of' "global" everywhere
          of' "reduction" reduction
          of' "pooled" pooled
          of' "cross-shaped" crossShaped
          of' "neighbourhood" neighbourhood
          property 40 "stripes: a token that is not a number stays in its cross" crossShaped staysInside
          property
              40
              "neighbourhoods: a token that is not a number stays in its reach"
              neighbourhood
              staysInside
          mergedShifts
          staleMerge ]
