/// <c>show</c>: what is known of a model without a tensor.
module LocalAttention.Cli.Commands.Show

open System
open System.CommandLine
open LocalAttention.Cli
open LocalAttention.Core.Analysis
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification
open LocalAttention.Dsl

let private model = Arguments.model "MODEL"

let private size =
    Arguments.text "--size" "SIDE|HEIGHTxWIDTH" "The image's size; left out: the model's own."

let private batch =
    Option<int>(
        "--batch",
        HelpName = "IMAGES",
        Description = "Images at once, for the memory that they need.",
        DefaultValueFactory = (fun _ -> 1)
    )

let private specification =
    Option<bool>(
        "--specification",
        Description = "Write the JSON specification, which is a MODEL itself, and nothing else."
    )

/// The unit in the middle of each stage's map.
let private fields (architecture: Architecture) (image: ImageSize) =
    [ for map in Equivariance.Of(architecture, image).Stages do
          let stage = map.Place.Substring("stage ".Length) |> int
          ReceptiveField.Of(architecture, stage, map.Map.Height / 2, map.Map.Width / 2, image = image) ]

/// Pixels that a field has, as a share of the image.
let private share (field: ReceptiveField) =
    float field.Pixels.Count
    / (float field.Pixels.Size.Height * float field.Pixels.Size.Width)

let private bytes (count: int64) =
    (float count / 1048576.0).ToString "#,0.0 MiB"

let private memory (architecture: Architecture) (image: ImageSize) (batch: int) =
    [ for name, backend in [ "fused-cpu", Backend.FusedCpu; "composite", Backend.Composite ] ->
          name, ActivationMemory.Of(architecture, batch, backend = backend, image = image) ]

let private lattice (lattice: ShiftLattice) =
    {| down = lattice.Down
       right = lattice.Right |}

let private mapOf (map: MapEquivariance) =
    {| place = map.Place
       height = map.Map.Height
       width = map.Map.Width
       stride = map.Stride
       moves = lattice map.Moved
       border =
        {| top = map.Border.Top
           bottom = map.Border.Bottom
           left = map.Border.Left
           right = map.Border.Right |}
       rolls = lattice map.Rolled
       reasons = List.ofSeq map.Reasons |}

let private cost (cost: MultiplyAccumulates) =
    {| projection = cost.Projection
       mlp = cost.Mlp
       convolution = cost.Convolution
       attention = cost.Attention
       total = cost.Total |}

let private axis (field: TheoreticalField) =
    {| first = field.First
       size = field.Size
       stride = field.Stride |}

let private map (shape: MapShape) =
    {| height = shape.Size.Height
       width = shape.Size.Width
       channels = shape.Channels |}

/// For machines: everything that the text says, with all digits.
let private value (architecture: Architecture) (image: ImageSize) (batch: int) =
    let costs =
        MultiplyAccumulates.Trace(architecture, image)
        |> Seq.map (fun part -> part.Place, part.Cost)
        |> dict

    let shifts = equivarianceAt image.Height image.Width architecture

    {| name = architecture.Name
       image =
        {| height = image.Height
           width = image.Width
           channels = architecture.ImageChannels |}
       classes = architecture.Head.Classes
       parts =
        [ for layer in traceAt image.Height image.Width architecture ->
              {| place = layer.Place
                 kind = layer.Kind
                 window = layer.Window
                 heads = layer.Heads
                 input = map layer.Input
                 output = map layer.Output
                 parameters = layer.Parameters.All
                 macs = costs[layer.Place].Total |} ]
       parameters = parameters architecture
       trainableParameters = trainableParameters architecture
       macs = cost (MultiplyAccumulates.Of(architecture, image))
       macsMerged = (MultiplyAccumulates.Of(architecture, image, mergedShifts = true)).Total
       memory =
        [ for backend, need in memory architecture image batch ->
              {| backend = backend
                 batch = batch
                 inference = need.Inference
                 training = need.Training |} ]
       receptiveFields =
        [ for field in fields architecture image ->
              {| place = field.Place
                 row = field.Row
                 column = field.Column
                 down = axis field.Down
                 right = axis field.Right
                 pixels = field.Pixels.Count
                 share = share field |} ]
       equivariance =
        {| stages = shifts.Stages |> Seq.map mapOf |> List.ofSeq
           lastMap = mapOf shifts.LastMap
           logits =
            {| rolls = lattice shifts.Logits.Rolled
               reasons = List.ofSeq shifts.Logits.Reasons |} |}
       specification = Json.node (toJson architecture) |}

let private costTable (architecture: Architecture) (image: ImageSize) =
    let rows =
        [ "", MultiplyAccumulates.Of(architecture, image)
          "merged for inference", MultiplyAccumulates.Of(architecture, image, mergedShifts = true) ]
        |> List.distinctBy snd

    Tables.text
        [ "multiply-accumulates"
          ">projections"
          ">MLPs"
          ">convolutions"
          ">attention"
          ">total" ]
        [ for name, cost in rows ->
              name
              :: [ for number in [ cost.Projection; cost.Mlp; cost.Convolution; cost.Attention; cost.Total ] ->
                       number.ToString "N0" ] ]

let private memoryTable (architecture: Architecture) (image: ImageSize) (batch: int) =
    Tables.text
        [ (if batch = 1 then
               "peak memory, 1 image"
           else
               $"peak memory, {batch} images")
          ">inference"
          ">training" ]
        [ for backend, need in memory architecture image batch ->
              [ backend; bytes need.Inference; bytes need.Training ] ]

let private fieldTable (architecture: Architecture) (image: ImageSize) =
    Tables.text
        [ "receptive field"; "unit"; "in theory"; ">exactly"; ">of the image" ]
        [ for field in fields architecture image ->
              [ field.Place
                $"{field.Row}, {field.Column}"
                (if field.Down = field.Right then
                     string field.Down
                 else
                     $"down {field.Down}; right {field.Right}")
                field.Pixels.Count.ToString "#,0 pixels"
                (share field).ToString "0.0%" ] ]

let private text (architecture: Architecture) (image: ImageSize) (batch: int) =
    [ Printing.architecture (architecture.With(resolution = image))
      costTable architecture image
      memoryTable architecture image batch
      fieldTable architecture image
      Printing.equivariance (equivarianceAt image.Height image.Width architecture) ]
    |> String.concat Environment.NewLine

let private run (invocation: Invocation) =
    let architecture = (Models.resolve invocation (invocation.Value model)).Architecture

    if invocation.Value specification then
        invocation.Output.WriteLine(toJson architecture)
        ExitCode.Fine
    else
        match problems architecture with
        | [] ->
            let image =
                match invocation.Text size with
                | Some text -> Arguments.size text
                | None -> architecture.Resolution

            let batch = invocation.Value batch

            invocation.Answer(
                (fun () -> value architecture image batch),
                (fun () -> text architecture image batch)
            )

            ExitCode.Fine
        | mistakes ->
            if not invocation.Json then
                invocation.Output.WriteLine(Printing.architecture architecture)

            Refusal.wrong $"'{architecture.Name}' cannot be built. {Printing.problems mistakes}"

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "show",
            "A model's stages, shapes, parameters, multiply-accumulates, memory, receptive fields, and the shifts that it follows.",
            [ "show swin-tiny", "a model of the zoo"
              "show slide-swin-tiny --size 480x640 --batch 8", "for larger images, eight at once"
              "show qna-vit-tiny --specification > mine.json",
              "a specification to change, which is a MODEL again" ]
        )

    command.Arguments.Add model
    command.Options.Add size
    command.Options.Add batch
    command.Options.Add specification
    command.Runs run
    command
