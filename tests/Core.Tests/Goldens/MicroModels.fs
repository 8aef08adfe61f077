/// Small whole models, with the official code's parameters: logits, all gradients, and twenty steps of training.
module LocalAttention.Core.Tests.MicroModels

open System.IO
open System.Text.Json
open Expecto
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Core.Training
open TorchSharp

/// The model in double precision with the parameters of its file, read as any checkpoint is.
let private load name (architecture: Architecture) =
    let model = architecture.Build(dtype = torch.ScalarType.Float64)
    Checkpoint.LoadInto(model, Data.path $"{name}.parameters.safetensors")
    model

/// The name in the official file of each parameter of the model.
let private officialName (architecture: Architecture) name =
    ParameterNames.InFile(architecture, name, architecture.Conventions.Naming)

/// An array of a file in the model's layout.
let private inModel (stored: StoredParameter) (array: NdArray<float>) =
    let axes =
        match stored.Layout with
        | ParameterLayout.InputFirst -> [| 1; 0 |]
        | ParameterLayout.ChannelsLast -> [| 3; 2; 0; 1 |]
        | _ -> [| 0 .. array.Shape.Length - 1 |]

    NdArray.init (axes |> Array.map (fun axis -> array.Shape[axis])) (fun index ->
        let source = Array.zeroCreate index.Length
        axes |> Array.iteri (fun position axis -> source[axis] <- index[position])
        array.At source)

/// From images with channels last to images with channels first.
let private channelsFirst (images: NdArray<float>) =
    NdArray.init [| images.Shape[0]; images.Shape[3]; images.Shape[1]; images.Shape[2] |] (fun index ->
        images[index[0], index[2], index[3], index[1]])

/// Both sides are double precision; through some twenty layers the difference of their sums grows to some 1e-13, of
/// gradients that are a millionth of the largest to some 1e-10.
let private rounding = 1e-9

let private logitsAndGradients =
    [ for name, architecture in MicroArchitectures.all ->
          testCase name
          <| fun () ->
              let arrays = Safetensors.read (Data.path $"{name}.safetensors")
              use model = load name architecture
              model.eval ()
              let images = channelsFirst arrays["input"]
              let logits, gradient = gradients model images arrays["cotangent"]
              within rounding 0.0 logits arrays["output"] "the logits"

              let expected =
                  [ for KeyValue(parameter, _) in Map.remove "x" gradient do
                        let stored = officialName architecture parameter
                        parameter, inModel stored arrays["gradient/" + stored.Name]
                    match Map.tryFind "gradient/input" arrays with
                    | Some byInput -> "x", channelsFirst byInput
                    | None -> () ]
                  |> Map.ofList

              let official = arrays |> Map.filter (fun name _ -> name.StartsWith "gradient/")
              Expect.equal expected.Count official.Count "every official gradient should be compared"
              let largest = expected |> Map.values |> Seq.map NdArray.largest |> Seq.max

              for KeyValue(parameter, array) in expected do
                  within rounding (1e-6 * largest) gradient[parameter] array $"the gradient by {parameter}" ]

/// A batch of step `step`: images and labels from the counter.
let private batch classes step =
    let images = Counter.array $"train/image/{step}" [| 4; 64; 64; 3 |] |> channelsFirst

    let labels =
        Counter.numbers $"train/label/{step}" 4
        |> Array.map (fun u -> int64 (floor ((u + 1.0) / 2.0 * float classes)))

    toTensor torch.ScalarType.Float64 images, torch.tensor labels

/// AdamW divides by the root of a mean of squares, so where a gradient is zero up to rounding, 1e-17 or so, the step
/// is up to rate·1e-17/ε = 2e-12; and every difference is carried on by the training itself, which doubles it every
/// few steps at this rate of learning. Twenty steps keep the losses within 1e-8; a wrong decay, schedule or clipping
/// moves them by more than 1e-4.
let private drift = 1e-7

let private training =
    [ for name, architecture in MicroArchitectures.all do
          let path = Data.path $"{name}.training.json"

          if File.Exists path then
              testCase name
              <| fun () ->
                  use file = JsonDocument.Parse(File.ReadAllText path)
                  let root = file.RootElement
                  let number (property: string) = root.GetProperty(property).GetDouble()

                  let numbers (property: string) =
                      [ for item in root.GetProperty(property).EnumerateArray() -> item.GetDouble() ]

                  let steps = root.GetProperty("steps").GetInt32()
                  let warmup = root.GetProperty("warmup_steps").GetInt32()

                  let options =
                      TrainingOptions(
                          BatchSize = 4,
                          LearningRate = number "lr",
                          Decay = number "weight_decay",
                          Epsilon = number "eps",
                          LabelSmoothing = number "label_smoothing",
                          ClipNorm = number "clip_norm"
                      )

                  use model = load name architecture

                  use optimization =
                      new Optimization(model, options, LearningRateSchedule(number "lr", 0.0, warmup, steps))

                  let results =
                      [ for step in 0 .. steps - 1 do
                            use _ = torch.NewDisposeScope()
                            let images, labels = batch 10 step
                            optimization.Step(images, labels, step) ]

                  let series (values: float list) =
                      NdArray.ofArray [ steps ] (Array.ofList values)

                  within
                      drift
                      0.0
                      (series (results |> List.map _.Loss))
                      (series (numbers "loss"))
                      "the losses"

                  within
                      drift
                      0.0
                      (series (results |> List.map _.GradientNorm))
                      (series (numbers "gradient_norm"))
                      "the gradients' norms"

                  let parameters = parametersOf model

                  for KeyValue(parameter, values) in parameters do
                      let stored = officialName architecture parameter

                      match root.GetProperty("parameters").TryGetProperty stored.Name with
                      | true, expected ->
                          let sum = Array.sum values.Elements
                          let square = values.Elements |> Array.sumBy (fun value -> value * value)
                          let expectedSum = expected.GetProperty("sum").GetDouble()
                          let expectedSquare = expected.GetProperty("square").GetDouble()
                          // A sum of n numbers is as exact as the root of n times the sum of their squares is large.
                          let scale = sqrt (float values.Elements.Length * expectedSquare)

                          Expect.isLessThanOrEqual
                              (abs (sum - expectedSum))
                              (drift * scale)
                              $"the sum of {parameter}: {sum}, and {expectedSum}"

                          Expect.isLessThanOrEqual
                              (abs (square - expectedSquare))
                              (drift * expectedSquare)
                              $"the sum of squares of {parameter}: {square}, and {expectedSquare}"
                      | _ -> failtest $"{stored.Name} is not in {path}" ]

/// The tests of this file.
let tests =
    testList
        "micro models"
        [ testList "logits and gradients" logitsAndGradients
          testList "training" training ]
