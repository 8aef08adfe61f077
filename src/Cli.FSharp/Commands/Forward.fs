/// <c>forward</c>: tensors through a model, from file to file.
module LocalAttention.Cli.Commands.Forward

open System
open System.Collections.Generic
open System.CommandLine
open System.Diagnostics
open LocalAttention.Cli
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Data
open LocalAttention.Core.Kernels
open LocalAttention.Dsl
open Spectre.Console
open TorchSharp

let private model = Arguments.model "MODEL"
let private weights = Arguments.weights ()

let private input =
    Arguments.required
        "--input"
        "FILE"
        "The images: a safetensors file (or .pth, .msgpack) with a tensor [B, channels, H, W]."

let private output =
    Arguments.required "--output" "FILE" "Where the result goes: a safetensors file."

let private inputName =
    Arguments.text
        "--input-name"
        "NAME"
        "The tensor of the images; left out: 'images', or the only tensor of the file."

let private outputName =
    Arguments.text
        "--output-name"
        "NAME"
        "The name of the result; left out: 'logits', or 'stage 1', 'stage 2', … of maps."

let private features =
    Option<bool>("--features", Description = "Each stage's map [B, H, W, C] instead of the logits.")

let private dtype =
    Arguments.choice
        "--dtype"
        [ "float32"; "float64"; "bfloat16" ]
        "The type of elements; left out: that of the file, float32 where that is float16."

let private backend = Arguments.backend ()

let private batch =
    Option<int>(
        "--batch",
        HelpName = "IMAGES",
        Description = "Images at once.",
        DefaultValueFactory = (fun _ -> 16)
    )

/// The tensor of the images: by its name, or because there is no other.
let private nameOfImages (asked: string option) (file: WeightsFile) =
    match asked with
    | Some name -> name
    | None when file.Contains "images" || file.Entries.Count <> 1 -> "images"
    | None -> file.Entries[0].Name

let private isImage (path: string) =
    ImageFile.Extensions
    |> Seq.exists (fun extension -> path.EndsWith(extension, StringComparison.OrdinalIgnoreCase))

let private read (invocation: Invocation) (path: string) (dtype: torch.ScalarType) =
    if isImage path then
        Refusal.wrong
            $"{path} is an image by its name; forward takes tensors. 'localattention predict' takes images."

    use file = WeightsFile.Open path
    let name = nameOfImages (invocation.Text inputName) file

    if not (file.Contains name) then
        let there =
            file.Entries
            |> Seq.truncate 8
            |> Seq.map (fun entry -> $"'{entry.Name}'")
            |> String.concat ", "

        let more = if file.Entries.Count > 8 then ", …" else ""

        Refusal.wrong
            $"{path}: there is no tensor '{name}'; there are {there}{more}. Say which has the images with --input-name."

    use stored = file.Read name

    if not (stored.is_floating_point ()) then
        Refusal.wrong
            $"{path}: tensor '{name}' is of type {Arguments.nameOf stored.dtype}; images are floating-point numbers, normalised as those that the model learned from."

    if stored.dim () <> 4L then
        let shape = String.Join(", ", stored.shape)
        Refusal.wrong $"{path}: tensor '{name}' has shape [{shape}]; images are [B, channels, H, W]."

    if stored.shape[0] = 0L then
        Refusal.wrong $"{path}: tensor '{name}' holds no images."

    name, stored.``to`` dtype

/// One batch's results, in the order of their names.
let private results (model: Backbone) (maps: bool) (images: torch.Tensor) : torch.Tensor list =
    if maps then
        model |> LocalAttention.Dsl.Models.features images
    else
        [ model |> predict images ]

let private names (invocation: Invocation) (count: int) =
    match invocation.Text outputName, invocation.Value features with
    | Some name, false -> [ name ]
    | None, false -> [ "logits" ]
    | Some name, true -> [ for stage in 1..count -> $"{name} {stage}" ]
    | None, true -> [ for stage in 1..count -> $"stage {stage}" ]

/// Batch by batch, with a bar on a terminal.
let private through (invocation: Invocation) (model: Backbone) (images: torch.Tensor) (size: int64) =
    let maps = invocation.Value features
    let count = images.shape[0]

    let all (progress: int64 -> unit) =
        [ for first in 0L .. size .. count - 1L do
              let length = min size (count - first)
              use part = images.narrow (0L, first, length)
              results model maps part
              progress length ]
        |> List.transpose
        |> List.map (fun parts ->
            match parts with
            | [ whole ] -> whole
            | several ->
                let joined = torch.cat (ResizeArray several, 0L)
                several |> List.iter _.Dispose()
                joined)

    if invocation.ErrorIsTerminal && count > size then
        invocation.Progress
            .Progress()
            .AutoClear(true)
            .Start(fun context ->
                let task =
                    context.AddTask(Markup.Escape model.Architecture.Name, maxValue = float count)

                all (fun length -> task.Increment(float length)))
    else
        all ignore

let private shapeOf (tensor: torch.Tensor) = List.ofArray tensor.shape

let private run (invocation: Invocation) =
    let size = invocation.Value batch

    if size < 1 then
        Refusal.wrong $"--batch {size}: use at least 1."

    let path, target = invocation.Value input, invocation.Value output
    Arguments.ensureEnding [ ".safetensors" ] target
    let source = Models.resolve invocation (invocation.Value model)
    let asked = Arguments.dtypeOf invocation dtype
    use built = Models.loaded asked (invocation.Text weights) source

    // Convolutions of float16 are for other devices.
    if (Seq.head (built.parameters ())).dtype = torch.ScalarType.Float16 then
        built.``to`` torch.ScalarType.Float32 |> ignore

    let dtype = (Seq.head (built.parameters ())).dtype
    use _ = Backends.Use(Arguments.backendOf invocation backend)
    let name, images = read invocation path dtype
    use images = images
    let clock = Stopwatch.StartNew()
    let tensors = through invocation built images (int64 size)
    let seconds = clock.Elapsed.TotalSeconds
    let named = List.zip (names invocation tensors.Length) tensors

    SafetensorsFile.Write(
        target,
        [ for name, tensor in named -> struct (name, tensor) ],
        Dictionary(dict [ "model", source.Architecture.Name ])
    )

    let used = Backends.Describe(DeviceType.CPU, dtype)

    invocation.Answer(
        (fun () ->
            {| model = source.Architecture.Name
               input =
                {| file = path
                   name = name
                   shape = shapeOf images |}
               output =
                {| file = target
                   tensors =
                    [ for name, tensor in named ->
                          {| name = name
                             shape = shapeOf tensor |} ] |}
               dtype = Arguments.nameOf dtype
               backend = used
               seconds = seconds |}),
        (fun () ->
            let shape (tensor: torch.Tensor) =
                "[" + String.Join(", ", tensor.shape) + "]"

            Tables.text
                [ "tensor"; "shape"; "file" ]
                ([ name, images, path ] @ [ for name, tensor in named -> name, tensor, target ]
                 |> List.map (fun (name, tensor, file) -> [ name; shape tensor; file ]))
            + $"{Environment.NewLine}{source.Architecture.Name} in {Arguments.nameOf dtype}, {seconds:F2} s; {used}")
    )

    for _, tensor in named do
        tensor.Dispose()

    ExitCode.Fine

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "forward",
            "Runs a model on tensors: images from a file, logits or the stages' maps to another.",
            [ "forward model.safetensors --input images.safetensors --output logits.safetensors",
              "a checkpoint that holds its architecture"
              "forward swin-tiny --weights swin.pth --input in.safetensors --output out.safetensors --dtype float64 --backend composite",
              "official weights, the definition, in double precision" ]
        )

    command.Arguments.Add model

    for option in [ weights; input; output; inputName; outputName ] do
        command.Options.Add option

    command.Options.Add features
    command.Options.Add dtype
    command.Options.Add backend
    command.Options.Add batch
    command.Runs run
    command
