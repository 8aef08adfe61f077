/// <c>convert</c>: parameters from one format of files to another.
module LocalAttention.Cli.Commands.Convert

open System
open System.CommandLine
open System.IO
open LocalAttention.Cli
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Export
open LocalAttention.Core.Specification
open TorchSharp

let private input =
    Argument<string>(
        "INPUT",
        Description =
            "The file to read: .safetensors, PyTorch's .pth, Flax's .msgpack; its first bytes say which."
    )

let private output =
    Argument<string>("OUTPUT", Description = "The file to write: .safetensors, .msgpack, or .onnx.")

let private model =
    let option =
        Arguments.text
            "--model"
            "MODEL"
            "Whose parameters they are: needed for .onnx and --names where INPUT holds no architecture; then OUTPUT holds it."

    option.CompletionSources.Add Arguments.models
    option

let private part =
    Arguments.text
        "--part"
        "PART"
        "Which tensors of a file with several sets of them, as model_ema or opt_state/0/mu."

let private names =
    Arguments.choice
        "--names"
        [ "pytorch"; "flax" ]
        "Whose names the parameters get; left out: those of the model or the file."

let private dtype = Arguments.dtype ()

let private size =
    Arguments.text "--size" "SIDE|HEIGHTxWIDTH" "The image's size for .onnx; left out: the model's own."

let private isOnnx (path: string) =
    path.EndsWith(".onnx", StringComparison.OrdinalIgnoreCase)

/// The model of the file: the one that was asked for, or the one that the file itself holds.
let private modelOf (invocation: Invocation) (file: WeightsFile) : Model option =
    match invocation.Text model with
    | Some given -> Some(Models.resolve invocation given)
    | None when file.Metadata.ContainsKey Checkpoint.ArchitectureKey ->
        Some
            { Architecture = Checkpoint.ReadArchitecture file.Path
              Origin = Origin.Checkpoint file.Path }
    | None -> None

let private naming (invocation: Invocation) : Nullable<ParameterNaming> =
    match invocation.Text names with
    | Some "flax" -> Nullable ParameterNaming.Flax
    | Some _ -> Nullable ParameterNaming.PyTorch
    | None -> Nullable()

/// As a model: names and layouts are known, and the architecture goes along.
let private asModel (invocation: Invocation) (file: WeightsFile) (source: Model) (target: string) =
    let asked =
        if isOnnx target then
            Nullable torch.ScalarType.Float32
        else
            Arguments.dtypeOf invocation dtype

    use built = Models.fill asked source.Architecture file

    if isOnnx target then
        let image =
            match invocation.Text size with
            | Some text -> Nullable(Arguments.size text)
            | None -> Nullable()

        OnnxExport.Save(built, target, image)
    else
        Checkpoint.Save(built, target, naming = naming invocation)

    Seq.length (built.parameters ())

/// As tensors of which nothing is known but their names.
let private asTensors (invocation: Invocation) (file: WeightsFile) (target: string) =
    use scope = torch.NewDisposeScope()
    let asked = Arguments.dtypeOf invocation dtype

    let converted (tensor: torch.Tensor) =
        if asked.HasValue && tensor.is_floating_point () then
            tensor.``to`` asked.Value
        else
            tensor

    let texts =
        match WeightsFile.FormatForWriting target with
        | WeightsFormat.Safetensors -> file.Metadata
        | _ -> Collections.Generic.Dictionary() :> Collections.Generic.IReadOnlyDictionary<string, string>

    WeightsFile.Write(
        target,
        seq { for entry in file.Entries -> struct (entry.Name, converted (file.Read entry.Name)) },
        texts
    )

    file.Entries.Count

let private run (invocation: Invocation) =
    let path, target = invocation.Value input, invocation.Value output

    if invocation.Has size && not (isOnnx target) then
        Refusal.wrong "--size is for .onnx: parameters do not depend on it."

    if invocation.Has names && isOnnx target then
        Refusal.wrong "--names is for checkpoints: a graph has names of its own."

    if invocation.Has dtype && isOnnx target then
        Refusal.wrong "--dtype is for checkpoints: a graph computes in float32."

    if not (isOnnx target) then
        // PyTorch's are refused here, with the reason.
        WeightsFile.FormatForWriting target |> ignore

    Arguments.ensureEnding [ ".safetensors"; ".msgpack"; ".onnx" ] target
    use file = WeightsFile.Open(path, invocation.Text part |> Option.toObj)
    let source = modelOf invocation file

    let tensors =
        match source with
        | Some source -> asModel invocation file source target
        | None when isOnnx target ->
            Refusal.wrong $"{path} holds no architecture; say whose parameters they are with --model."
        | None when invocation.Has names ->
            Refusal.wrong
                $"{path} holds no architecture, by which names are known; say whose they are with --model."
        | None -> asTensors invocation file target

    let bytes = FileInfo(target).Length

    invocation.Answer(
        (fun () ->
            {| input = path
               inputFormat = (string file.Format).ToLowerInvariant()
               output = target
               model = source |> Option.map _.Architecture.Name
               tensors = tensors
               bytes = bytes |}),
        (fun () ->
            let what =
                match source with
                | Some source -> source.Architecture.Name
                | None -> "tensors by their names, of no known model"

            $"{target}: {what}, {tensors} tensors, {bytes:N0} bytes")
    )

    ExitCode.Fine

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "convert",
            "Parameters from one format of files to another, or a whole model to ONNX. Nothing in a file is ever executed.",
            [ "convert swin.pth swin.safetensors --model swin-tiny",
              "PyTorch's file, checked against the model"
              "convert qna.msgpack qna.safetensors --model qna-vit-tiny --names pytorch",
              "Flax's names to PyTorch's"
              "convert swin.safetensors swin.onnx", "a graph for other runtimes" ]
        )

    command.Arguments.Add input
    command.Arguments.Add output

    for option in [ model; part; names; size; dtype ] do
        command.Options.Add option

    command.Runs run
    command
