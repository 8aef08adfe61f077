namespace LocalAttention.Cli

open System
open System.Collections.Generic
open System.IO
open System.Text.Json
open System.Text.Json.Nodes
open LocalAttention.Core.Specification
open LocalAttention.Core.Training
open LocalAttention.Dsl

/// Images to learn from, and where they are.
[<RequireQualifiedAccess>]
type DataSource =
    /// Fashion-MNIST; none: where Debian's package puts it.
    | FashionMnist of folder: string option
    /// Four IDX files of MNIST's names.
    | Mnist of folder: string
    /// Folders of images, <c>train/CLASS</c> and <c>test/CLASS</c>.
    | Folder of folder: string

/// The model of a configuration.
[<RequireQualifiedAccess>]
type ConfiguredModel =
    /// A MODEL, as every command takes it.
    | Named of string
    /// A specification that stands in the configuration itself.
    | Given of Architecture

/// What <c>train</c> is told.
type TrainingConfig =
    {
        Model: ConfiguredModel
        /// The file of the parameters that a new training starts from; none: random ones.
        Weights: string option
        Data: DataSource
        /// The most images to learn from; none: all.
        TrainingImages: int64 option
        /// The most images to be tested on; none: all.
        TestImages: int64 option
        /// The size of the images; none: the data's own, or the model's.
        ImageSize: ImageSize option
        Options: TrainingOptions
        /// The folder of everything that is written.
        Output: string
    }

/// <summary>
/// Reads a configuration: JSON, with comments and commas at ends allowed. Every mistake is found at once, each with its place.
/// Paths are relative to the configuration's own folder.
/// </summary>
[<RequireQualifiedAccess>]
module TrainingConfig =
    /// One of the names of a training's options: how its value changes them.
    type private Setting =
        | Whole of (int64 -> TrainingOptions -> TrainingOptions)
        | Number of (float -> TrainingOptions -> TrainingOptions)
        | Flag of (bool -> TrainingOptions -> TrainingOptions)

    let private settings: (string * Setting) list =
        let whole change =
            // Beyond 32 bits there is no right value; the largest one is refused, or too large to matter, as well.
            Whole(fun value options ->
                change (int (Math.Clamp(value, int64 Int32.MinValue, int64 Int32.MaxValue))) options)

        [ "epochs", whole (fun value options -> options.With(epochs = value))
          "batchSize", whole (fun value options -> options.With(batchSize = value))
          "learningRate", Number(fun value options -> options.With(learningRate = value))
          "minimumLearningRate", Number(fun value options -> options.With(minimumLearningRate = value))
          "warmupEpochs", Number(fun value options -> options.With(warmupEpochs = value))
          "warmupSteps", whole (fun value options -> options.With(warmupSteps = value))
          "decay", Number(fun value options -> options.With(decay = value))
          "beta1", Number(fun value options -> options.With(beta1 = value))
          "beta2", Number(fun value options -> options.With(beta2 = value))
          "epsilon", Number(fun value options -> options.With(epsilon = value))
          "clipNorm", Number(fun value options -> options.With(clipNorm = value))
          "labelSmoothing", Number(fun value options -> options.With(labelSmoothing = value))
          "mixupAlpha", Number(fun value options -> options.With(mixupAlpha = value))
          "cropPadding", whole (fun value options -> options.With(cropPadding = value))
          "horizontalFlip", Flag(fun value options -> options.With(horizontalFlip = value))
          "seed", Whole(fun value options -> options.With(seed = value))
          "evaluationBatchSize", whole (fun value options -> options.With(evaluationBatchSize = value))
          "checkpointEvery", whole (fun value options -> options.With(checkpointEvery = value))
          "checkpointEverySteps", whole (fun value options -> options.With(checkpointEverySteps = value)) ]

    let private shown (node: JsonNode | null) =
        match node with
        | null -> "null"
        | node ->
            let text = node.ToJsonString()
            if text.Length > 60 then text[..56] + "…" else text

    let private (|Text|_|) (node: JsonNode | null) =
        match node with
        | :? JsonValue as value when value.GetValueKind() = JsonValueKind.String ->
            Some(value.GetValue<string>())
        | _ -> None

    let private (|Integer|_|) (node: JsonNode | null) =
        match node with
        | :? JsonValue as value when value.GetValueKind() = JsonValueKind.Number ->
            match value.GetValue<JsonElement>().TryGetInt64() with
            | true, number -> Some number
            | _ -> None
        | _ -> None

    let private (|Real|_|) (node: JsonNode | null) =
        match node with
        | :? JsonValue as value when value.GetValueKind() = JsonValueKind.Number ->
            Some(value.GetValue<float>())
        | _ -> None

    let private (|Truth|_|) (node: JsonNode | null) =
        match node with
        | :? JsonValue as value when value.GetValueKind() = JsonValueKind.True -> Some true
        | :? JsonValue as value when value.GetValueKind() = JsonValueKind.False -> Some false
        | _ -> None

    /// What was read, and the mistakes on the way, in order.
    type private Reader(folder: string) =
        let mistakes = List<string>()
        member _.Mistakes = List.ofSeq mistakes
        member _.Mistake(text: string) = mistakes.Add text

        member reader.Wrong(place: string, node: JsonNode | null, right: string) =
            match node with
            | null -> reader.Mistake $"{place} is missing or null; it must be {right}"
            | node -> reader.Mistake $"{place} is {shown node}; it must be {right}"

        /// Every name in an object must be known.
        member reader.Known(place: string, names: string list, node: JsonObject) =
            for property in node do
                if not (List.contains property.Key names) then
                    let inside =
                        if place = "" then
                            property.Key
                        else
                            $"{place}.{property.Key}"

                    let known = String.concat ", " names

                    match NearestNames.Hint(property.Key, names) with
                    | "" -> reader.Mistake $"{inside} is not known; the names here are {known}"
                    | hint -> reader.Mistake $"{inside} is not known{hint} The names here are {known}"

        member _.Path(text: string) = Path.GetFullPath(text, folder)

    let private modelOf (reader: Reader) (node: JsonNode | null) =
        match node with
        | Text name when name <> "" ->
            let path = reader.Path name
            ConfiguredModel.Named(if File.Exists path then path else name)
        | :? JsonObject as specification ->
            try
                ConfiguredModel.Given(SpecificationJson.Read(specification.ToJsonString()))
            with :? SpecificationException as error ->
                reader.Mistake $"model: {error.Message}"
                ConfiguredModel.Named ""
        | other ->
            reader.Wrong(
                "model",
                other,
                "a name of the zoo, the path of a specification or script, or a specification"
            )

            ConfiguredModel.Named ""

    let private weightsOf (reader: Reader) (root: JsonObject) =
        match root["weights"] with
        | null when not (root.ContainsKey "weights") -> None
        | Text path when path <> "" -> Some(reader.Path path)
        | other ->
            reader.Wrong("weights", other, "the path of a file of parameters; leave it out for random ones")
            None

    let private kinds = [ "fashion-mnist"; "mnist"; "folder" ]

    let private limitOf (reader: Reader) (node: JsonObject) (name: string) =
        match node[name] with
        | null when not (node.ContainsKey name) -> None
        | Integer number when number >= 1L -> Some number
        | other ->
            reader.Wrong($"data.{name}", other, "a whole number of images, 1 or more")
            None

    let private dataOf (reader: Reader) (node: JsonNode | null) =
        let source (kind: string) (folder: string option) =
            match kind, folder with
            | "fashion-mnist", folder -> DataSource.FashionMnist folder
            | "mnist", Some folder -> DataSource.Mnist folder
            | "folder", Some folder -> DataSource.Folder folder
            | _ ->
                reader.Mistake $"data.path is missing; '{kind}' needs the folder that holds the images"
                DataSource.FashionMnist None

        let known = String.Join(", ", [ for kind in kinds -> $"\"{kind}\"" ])

        match node with
        | Text "fashion-mnist" -> DataSource.FashionMnist None, None, None
        | :? JsonObject as data ->
            reader.Known("data", [ "kind"; "path"; "training"; "test" ], data)

            let folder =
                match data["path"] with
                | null when not (data.ContainsKey "path") -> None
                | Text path when path <> "" -> Some(reader.Path path)
                | other ->
                    reader.Wrong("data.path", other, "the path of a folder")
                    Some ""

            let source =
                match data["kind"] with
                | Text kind when List.contains kind kinds -> source kind folder
                | other ->
                    reader.Wrong("data.kind", other, $"one of {known}")
                    DataSource.FashionMnist None

            source, limitOf reader data "training", limitOf reader data "test"
        | other ->
            reader.Wrong("data", other, "\"fashion-mnist\", or an object with kind and path")
            DataSource.FashionMnist None, None, None

    let private sizeOf (reader: Reader) (root: JsonObject) =
        match root["imageSize"] with
        | null when not (root.ContainsKey "imageSize") -> None
        | Integer side when side >= 1L && side <= 65536L -> Some(ImageSize.Square(int side))
        | Text text ->
            try
                Some(Arguments.size text)
            with InputException _ as error ->
                reader.Mistake $"imageSize: {error.Message}"
                None
        | other ->
            reader.Wrong("imageSize", other, "a side, as 224, or height and width, as \"480x640\"")
            None

    let private optionsOf (reader: Reader) (node: JsonNode | null) =
        match node with
        | null -> TrainingOptions()
        | :? JsonObject as training ->
            reader.Known("training", "recipe" :: List.map fst settings, training)

            let start =
                match training["recipe"] with
                | null -> TrainingOptions()
                | Text "qna-vit" -> TrainingOptions.QnAViT
                | Text "slide-swin" -> TrainingOptions.SlideSwin
                | other ->
                    reader.Wrong(
                        "training.recipe",
                        other,
                        "\"qna-vit\" or \"slide-swin\"; leave it out for the default"
                    )

                    TrainingOptions()

            let options =
                (start, settings)
                ||> List.fold (fun options (name, setting) ->
                    let place = $"training.{name}"

                    match setting, training[name] with
                    | _, null when not (training.ContainsKey name) -> options
                    | Number _, null when name = "clipNorm" -> options.WithoutClipNorm()
                    | Whole change, Integer value -> change value options
                    | Number change, Real value -> change value options
                    | Flag change, Truth value -> change value options
                    | Whole _, other ->
                        reader.Wrong(place, other, "a whole number")
                        options
                    | Number _, other ->
                        reader.Wrong(place, other, "a number")
                        options
                    | Flag _, other ->
                        reader.Wrong(place, other, "true or false")
                        options)

            for mistake in options.Check() do
                reader.Mistake $"training.{Char.ToLowerInvariant mistake[0]}{mistake[1..]}"

            options
        | other ->
            reader.Wrong("training", other, "an object of options")
            TrainingOptions()

    /// <summary>Reads a configuration.</summary>
    /// <param name="path">Its file.</param>
    /// <exception cref="T:LocalAttention.Cli.InputException">There are mistakes; the message has all, each with its place.</exception>
    let read (path: string) : TrainingConfig =
        if not (File.Exists path) then
            Refusal.wrong $"There is no file '{path}'; a configuration is a JSON file."

        let text = File.ReadAllText path

        let documentOptions =
            JsonDocumentOptions(
                AllowTrailingCommas = true,
                CommentHandling = JsonCommentHandling.Skip,
                AllowDuplicateProperties = false
            )

        let root =
            try
                JsonNode.Parse(text, documentOptions = documentOptions)
            with :? JsonException as error ->
                Refusal.wrong $"{path}: this is no JSON: {error.Message}"

        match root with
        | :? JsonObject as root ->
            let reader = Reader(nonNull (Path.GetDirectoryName(Path.GetFullPath path)))
            reader.Known("", [ "model"; "weights"; "data"; "imageSize"; "training"; "output" ], root)
            let model = modelOf reader root["model"]
            let weights = weightsOf reader root
            let data, training, test = dataOf reader root["data"]
            let size = sizeOf reader root
            let options = optionsOf reader root["training"]

            let output =
                match root["output"] with
                | Text output when output <> "" -> reader.Path output
                | other ->
                    reader.Wrong("output", other, "the path of a folder, which is made if it is not there")
                    ""

            match reader.Mistakes with
            | [] ->
                { Model = model
                  Weights = weights
                  Data = data
                  TrainingImages = training
                  TestImages = test
                  ImageSize = size
                  Options = options
                  Output = output }
            | [ only ] -> Refusal.wrong $"{path}: {only}."
            | several ->
                let listed = String.Join($"{Environment.NewLine}  ", several)
                Refusal.wrong $"{path}: there are {several.Length} mistakes:{Environment.NewLine}  {listed}"
        | other ->
            Refusal.wrong $"{path}: the configuration is {shown other}; it must be an object in braces."
