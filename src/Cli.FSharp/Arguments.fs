namespace LocalAttention.Cli

open System
open System.CommandLine
open System.CommandLine.Completions
open System.IO
open LocalAttention.Core.Kernels
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
    let models (context: CompletionContext) : CompletionItem seq =
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
                HelpName = name,
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

    /// <summary>Refuses to write a file whose name says another format than those that can be written.</summary>
    /// <param name="endings">What the name may end in.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="T:LocalAttention.Cli.InputException">The name ends in something else.</exception>
    let ensureEnding (endings: string list) (path: string) : unit =
        if not (endings |> List.contains ((nonNull (Path.GetExtension path)).ToLowerInvariant())) then
            let known = String.concat ", " endings

            Refusal.wrong
                $"The name '{path}' says no format that is written here; let it end in one of {known}."

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
        | None when dtype = torch.ScalarType.Byte -> "uint8"
        | None -> (string dtype).ToLowerInvariant()

    /// The file of a model's parameters.
    let weights () : Option<string> =
        text
            "--weights"
            "FILE"
            "The parameters: .safetensors, .pth or .msgpack. Left out: those of MODEL, if that is a checkpoint."

    /// The element type of parameters and computations.
    let dtype () : Option<string> =
        choice "--dtype" (List.map fst elementTypes) "The type of elements; left out: that of the file."

    /// The element type that was asked for.
    let dtypeOf (invocation: Invocation) (option: Option<string>) : Nullable<torch.ScalarType> =
        match invocation.Text option with
        | Some name -> elementTypes |> List.find (fun (each, _) -> each = name) |> snd |> Nullable
        | None -> Nullable()

    let private backends =
        [ "auto", Backend.Auto
          "composite", Backend.Composite
          "fused-cpu", Backend.FusedCpu ]

    /// What computes.
    let backend () : Option<string> =
        choice
            "--backend"
            (List.map fst backends)
            "What computes: auto (the fastest that serves), composite (standard tensor operators), fused-cpu (our kernels)."

    /// The backend that was asked for, or the process's own.
    let backendOf (invocation: Invocation) (option: Option<string>) : Backend =
        match invocation.Text option with
        | Some name -> backends |> List.find (fun (each, _) -> each = name) |> snd
        | None -> Backends.Preferred

    /// <summary>An image size: <c>224</c> or <c>480x640</c>, height first.</summary>
    /// <exception cref="T:LocalAttention.Cli.InputException">The text is no size.</exception>
    let size (text: string) : ImageSize =
        let side (digits: string) =
            match Int32.TryParse digits with
            | true, number when number > 0 -> Some number
            | _ -> None

        match text.ToLowerInvariant().Replace('×', 'x').Split('x') |> Array.map side with
        | [| Some side |] -> ImageSize.Square side
        | [| Some height; Some width |] -> ImageSize(height, width)
        | _ ->
            Refusal.wrong $"'{text}' is no image size; give a side, as 224, or height and width, as 480x640."
