namespace LocalAttention.Oracle

/// A layer as a function of everything that it depends on: its parameters, and its input under the name `x`.
type Layer<'T> = Map<string, NdArray<'T>> -> NdArray<'T>

/// Derivatives of layers, in three ways that share nothing but the layer's own text.
module Derivative =
    /// The layer on doubles.
    let evaluate (layer: Layer<Real>) (point: Map<string, NdArray<float>>) : NdArray<float> =
        point
        |> Map.map (fun _ -> NdArray.map (fun value -> ({ Double = value }: Real)))
        |> layer
        |> NdArray.map Numeric.value

    /// The layer in single precision.
    let evaluate32 (layer: Layer<Real32>) (point: Map<string, NdArray<float>>) : NdArray<float> =
        point
        |> Map.map (fun _ -> NdArray.map (fun value -> ({ Single = float32 value }: Real32)))
        |> layer
        |> NdArray.map Numeric.value

    /// The value, and the derivative along a direction, by dual numbers. Inputs without a direction stay fixed.
    let along
        (layer: Layer<Dual>)
        (point: Map<string, NdArray<float>>)
        (direction: Map<string, NdArray<float>>)
        =
        let dual name (values: NdArray<float>) =
            match Map.tryFind name direction with
            | None -> values |> NdArray.map (fun value -> { Value = value; Derivative = 0.0 })
            | Some slopes ->
                NdArray.map2 (fun value slope -> { Value = value; Derivative = slope }) values slopes

        let result = layer (Map.map dual point)

        result |> NdArray.map (fun number -> number.Value),
        result |> NdArray.map (fun number -> number.Derivative)

    /// The gradients of `sum(output · cotangent)` by every input, by one pass backwards over traced numbers.
    let gradient (layer: Layer<Traced>) (point: Map<string, NdArray<float>>) (cotangent: NdArray<float>) =
        Tape.Record(fun tape ->
            let input value =
                { TracedValue = value
                  Place = tape.Add(-1, 0.0, -1, 0.0) }

            let inputs = point |> Map.map (fun _ -> NdArray.map input)
            let result = layer inputs

            let weighted =
                NdArray.map2 (fun (number: Traced) weight -> number.Place, weight) result cotangent

            let derivatives = tape.Derivatives weighted.Elements

            inputs
            |> Map.map (fun _ -> NdArray.map (fun number -> derivatives[number.Place])))

    /// The derivative along a direction by central differences: wrong by the third derivative times step²/6, and by
    /// rounding over the step.
    let differences
        (step: float)
        (layer: Layer<Real>)
        (point: Map<string, NdArray<float>>)
        (direction: Map<string, NdArray<float>>)
        =
        let moved sign =
            point
            |> Map.map (fun name values ->
                match Map.tryFind name direction with
                | None -> values
                | Some slopes -> NdArray.map2 (fun value slope -> value + sign * step * slope) values slopes)
            |> evaluate layer

        NdArray.map2 (fun after before -> (after - before) / (2.0 * step)) (moved 1.0) (moved -1.0)
