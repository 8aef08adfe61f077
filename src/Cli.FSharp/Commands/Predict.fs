/// <c>predict</c>: what a model sees in images, and where it looks.
module LocalAttention.Cli.Commands.Predict

open System
open System.CommandLine
open System.IO
open LocalAttention.Cli
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open TorchSharp

let private model = Arguments.model "MODEL"

let private weights =
    Arguments.text "--weights" "FILE" "The parameters. Left out: those of MODEL, if it is a checkpoint."

let private images =
    Option<string array>(
        "--image",
        HelpName = "PNG|PPM|PGM",
        Description = "An image, or several. Cut to the model's proportions and resized.",
        Required = true,
        AllowMultipleArgumentsPerToken = true
    )

let private top =
    Option<int>(
        "--top",
        HelpName = "COUNT",
        Description = "How many classes, the likeliest first.",
        DefaultValueFactory = fun _ -> 5
    )

let private classes =
    Arguments.text
        "--classes"
        "FILE"
        "The classes' names, one a line. Left out: those in the file of parameters, if it has them."

let private size =
    Arguments.text "--size" "SIDE|HEIGHTxWIDTH" "The size that images get; left out: the model's own."

let private attention =
    Arguments.text "--attention" "FOLDER" "Write, as PNG over the image, where each block looks."

let private number (name: string) (description: string) =
    Option<int>(name, HelpName = "NUMBER", Description = description)

let private stage =
    number "--stage" "The one stage whose attention is written, counted from 1."

let private block =
    number "--block" "The one block of each stage whose attention is written, counted from 1."

// ------------------------------------------------------------------------------------------ what is given

/// What a file of parameters says of the images that the model learned from.
let private description (path: string option) =
    match path with
    | Some path ->
        use file = WeightsFile.Open path
        Option.ofObj (DatasetDescription.TryRead(path, file.Metadata))
    | None -> None

let private names (invocation: Invocation) (known: DatasetDescription option) (architecture: Architecture) =
    let count = architecture.Head.Classes

    let check (source: string) (names: string list) =
        if names.Length > count then
            Refusal.wrong $"{source} has {names.Length} classes; '{architecture.Name}' has {count}."

        names

    let given =
        match invocation.Text classes, known with
        | Some path, _ when not (File.Exists path) -> Refusal.wrong $"There is no file '{path}' of classes."
        | Some path, _ ->
            File.ReadAllLines path
            |> List.ofArray
            |> List.map _.Trim()
            |> List.filter (fun line -> line <> "")
            |> check path
        | None, Some description -> check "the file of parameters" (List.ofSeq description.Classes)
        | None, None -> []

    fun index -> List.tryItem index given

/// ImageNet's for colours, which official weights expect; for grey, what brings bytes to between -1 and 1.
let private normalization (known: DatasetDescription option) (channels: int) =
    match known with
    | Some description when description.Normalization.Mean.Count = channels -> description.Normalization
    | _ when channels = 3 -> Normalization.ImageNet
    | _ -> Normalization(ValueList.From [ 0.5 ], ValueList.From [ 0.5 ])

/// The blocks whose attention is wanted.
let private wanted (invocation: Invocation) (architecture: Architecture) =
    let given (option: Option<int>) =
        if invocation.Has option then
            Some(invocation.Value option)
        else
            None

    let stage, block, stages = given stage, given block, architecture.Stages.Count

    match stage with
    | Some number when number < 1 || number > stages ->
        Refusal.wrong $"--stage is {number}; '{architecture.Name}' has stages 1 to {stages}."
    | _ -> ()

    let chosen =
        [ for each in 1..stages do
              if stage.IsNone || stage = Some each then
                  for place in 1 .. architecture.Stages[each - 1].Blocks.Count do
                      if block.IsNone || block = Some place then
                          each, place ]

    match chosen, stage, block with
    | [], Some stage, Some block ->
        Refusal.wrong
            $"--block is {block}; stage {stage} of '{architecture.Name}' has no block of that number."
    | [], _, Some block ->
        Refusal.wrong $"--block is {block}; no stage of '{architecture.Name}' has a block of that number."
    | _ -> set chosen

// ------------------------------------------------------------------------------------------ what comes out

/// A class that a model sees.
type private Prediction =
    { Class: string option
      Index: int
      Probability: float }

let private predictions (count: int) (name: int -> string option) (model: Backbone) (input: torch.Tensor) =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    let logits = (model.forward input).``to`` torch.ScalarType.Float64
    let shares = logits.softmax(1L).squeeze(0L).data<float>().ToArray()

    shares
    |> Array.indexed
    |> Array.sortBy (fun (index, share) -> -share, index)
    |> Array.truncate count
    |> Array.map (fun (index, share) ->
        { Class = name index
          Index = index
          Probability = share })
    |> List.ofArray

/// Names for the pictures of each image: its own, numbered where two are alike.
let private stems (paths: string list) =
    let stem (path: string) =
        string (Path.GetFileNameWithoutExtension path)

    let counts = paths |> List.countBy stem |> Map.ofList

    paths
    |> List.mapi (fun index path ->
        if counts[stem path] > 1 then
            $"{index + 1}-{stem path}"
        else
            stem path)

let private pictures
    (folder: string)
    stem
    (chosen: Set<int * int>)
    (model: Backbone)
    (image: PixelImage)
    (input: torch.Tensor)
    =
    use _ = torch.NewDisposeScope()

    [ for received in ReceivedAttention.Of(model, input, fun stage block -> chosen.Contains(stage, block)) do
          let path =
              Path.Combine(folder, $"{stem}-stage{received.Stage}-block{received.Block}.png")

          PngFile.Write(path, AttentionPicture.draw image (received.Map.squeeze 0L))
          received.Stage, received.Block, path ]

let private text (results: (string * Prediction list * (int * int * string) list) list) =
    [ for path, predictions, written in results do
          path

          Tables.text
              [ ">"; "class"; ">probability" ]
              [ for place, prediction in List.indexed predictions ->
                    [ string (place + 1)
                      prediction.Class |> Option.defaultValue $"class {prediction.Index}"
                      prediction.Probability.ToString "0.00%" ] ]

          for _, _, picture in written do
              $"attention: {picture}" ]
    |> String.concat Environment.NewLine

let private value (name: string) (results: (string * Prediction list * (int * int * string) list) list) =
    {| model = name
       images =
        [ for path, predictions, written in results ->
              {| path = path
                 predictions =
                  [ for prediction in predictions ->
                        {| ``class`` = Option.toObj prediction.Class
                           index = prediction.Index
                           probability = prediction.Probability |} ]
                 attention =
                  [ for stage, block, picture in written ->
                        {| stage = stage
                           block = block
                           path = picture |} ] |} ] |}

let private run (invocation: Invocation) =
    let given = Models.resolve invocation (invocation.Value model)
    let architecture = given.Architecture
    let channels = architecture.ImageChannels

    if architecture.Head.Classes < 1 then
        Refusal.wrong $"'{architecture.Name}' has no classes; give a model with a head that classifies."

    if channels <> 1 && channels <> 3 then
        Refusal.wrong
            $"'{architecture.Name}' takes images of {channels} channels; those of files have 1 or 3."

    let count = invocation.Value top

    if count < 1 then
        Refusal.wrong $"--top is {count}; it must be 1 or more."

    let size =
        match invocation.Text size with
        | Some text -> Arguments.size text
        | None -> architecture.Resolution

    match List.ofSeq (Validation.CheckSize(architecture, size)) with
    | [] -> ()
    | mistakes ->
        let reasons = mistakes |> List.map string |> String.concat " "
        Refusal.wrong $"'{architecture.Name}' does not take images of {size}: {reasons}"

    let chosen = wanted invocation architecture
    let folder = invocation.Text attention

    if folder.IsNone && (invocation.Has stage || invocation.Has block) then
        Refusal.wrong "--stage and --block say which attention is written; give --attention FOLDER with them."

    let source =
        match invocation.Text weights, given.Origin with
        | None, Origin.Checkpoint path -> Some path
        | path, _ -> path

    let known = description source
    let name = names invocation known architecture
    let normalization = normalization known channels

    use built =
        Models.loaded (Nullable torch.ScalarType.Float32) (invocation.Text weights) given

    built.eval ()
    built.merge_shifts ()
    Option.iter (fun path -> Directory.CreateDirectory path |> ignore) folder
    let paths = List.ofArray (invocation.Value images)

    let results =
        invocation.While(
            "looking",
            fun () ->
                [ for path, stem in List.zip paths (stems paths) do
                      use _ = torch.NewDisposeScope()
                      let image = (ImageFile.Read path).WithChannels(channels).Fit size

                      let input =
                          normalization.Apply(image.ToTensor().unsqueeze 0L, torch.ScalarType.Float32)

                      let seen = predictions count name built input

                      let written =
                          match folder with
                          | Some folder -> pictures folder stem chosen built image input
                          | None -> []

                      path, seen, written ]
        )

    invocation.Answer((fun () -> value architecture.Name results), (fun () -> text results))
    ExitCode.Fine

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "predict",
            "What a model sees in images: the likeliest classes, and pictures of where each of its blocks looks.",
            [ "predict runs/first/model.safetensors --image shoe.png",
              "a model that 'train' wrote knows its classes"
              "predict swin-tiny --weights swin_tiny.safetensors --image cat.png dog.png --classes imagenet.txt --top 3",
              "official weights, two images"
              "predict runs/first/model.safetensors --image shoe.png --attention maps --stage 3",
              "and where stage 3 looks" ]
        )

    command.Arguments.Add model

    for option in [ weights :> Option; images; top; classes; size; attention; stage; block ] do
        command.Options.Add option

    command.Runs run
    command
