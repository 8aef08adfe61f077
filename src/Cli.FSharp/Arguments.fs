namespace LocalAttention.Cli

open System.CommandLine
open System.CommandLine.Completions
open System.IO
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

/// Arguments and options that several commands have. Each call makes a new one: a symbol belongs to one command.
[<RequireQualifiedAccess>]
module Arguments =
    /// Words that a shell may complete with.
    let private words (names: string seq) (context: CompletionContext) =
        names
        |> Seq.filter _.StartsWith(context.WordToComplete)
        |> Seq.map (fun name -> CompletionItem name)

    /// Names of the zoo, and files of the working folder that could be models.
    let private models (context: CompletionContext) =
        let files =
            try
                [ for pattern in [ "*.fsx"; "*.json"; "*.safetensors" ] do
                      for path in Directory.EnumerateFiles(".", pattern) do
                          string (Path.GetFileName path) ]
            with :? IOException ->
                []

        words (Zoo.list @ List.sort files) context

    /// <summary>A MODEL: a name of the zoo, or a file.</summary>
    /// <param name="name">How help calls it.</param>
    let model (name: string) : Argument<string> =
        let argument =
            Argument<string>(
                name,
                Description =
                    "A name of the zoo, a JSON specification, a checkpoint that holds its architecture, or an .fsx that ends in an architecture."
            )

        argument.CompletionSources.Add models
        argument

    /// <summary>An option for a text: a path, a name.</summary>
    /// <param name="name">Its name, with dashes.</param>
    /// <param name="value">How help calls its value.</param>
    /// <param name="description">What it does.</param>
    let text (name: string) (value: string) (description: string) : Option<string> =
        Option<string>(name, HelpName = value, Description = description)

    /// An option for a text that must be given.
    let required (name: string) (value: string) (description: string) : Option<string> =
        let option = text name value description
        option.Required <- true
        option

    /// <summary>An option that takes one of some words.</summary>
    /// <param name="name">Its name, with dashes.</param>
    /// <param name="choices">The words, and what each means.</param>
    /// <param name="description">What it does.</param>
    let choice (name: string) (choices: string list) (description: string) : Option<string> =
        let listed = String.concat "|" choices
        (text name listed description).AcceptOnlyFromAmong(Array.ofList choices)

    /// Element types by the names that PyTorch gives them.
    let elementTypes: (string * torch.ScalarType) list =
        [ "float32", torch.ScalarType.Float32
          "float64", torch.ScalarType.Float64
          "bfloat16", torch.ScalarType.BFloat16
          "float16", torch.ScalarType.Float16 ]

    /// The name of an element type.
    let nameOf (dtype: torch.ScalarType) : string =
        match elementTypes |> List.tryFind (fun (_, each) -> each = dtype) with
        | Some(name, _) -> name
        | None -> (string dtype).ToLowerInvariant()

    /// <summary>An image size: <c>224</c> or <c>480x640</c>, height first.</summary>
    /// <exception cref="T:LocalAttention.Cli.InputException">The text is no size.</exception>
    let size (text: string) : ImageSize =
        let side (digits: string) =
            match System.Int32.TryParse digits with
            | true, number when number > 0 -> Some number
            | _ -> None

        match text.ToLowerInvariant().Replace('×', 'x').Split('x') |> Array.map side with
        | [| Some side |] -> ImageSize.Square side
        | [| Some height; Some width |] -> ImageSize(height, width)
        | _ ->
            Refusal.wrong $"'{text}' is no image size; give a side, as 224, or height and width, as 480x640."
