namespace LocalAttention.Cli

open System
open System.IO
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

/// Where a model was found.
[<RequireQualifiedAccess; NoComparison>]
type Origin =
    /// In the zoo.
    | Zoo of ZooEntry
    /// In a JSON specification: its path.
    | Specification of string
    /// In a checkpoint's metadata: its path.
    | Checkpoint of string
    /// At the end of a script: its path.
    | Script of string

/// A model that a command was given.
[<NoComparison>]
type Model =
    {
        /// What it is.
        Architecture: Architecture
        /// Where it was found.
        Origin: Origin
    }

/// What MODEL can be: a name of the zoo, a JSON specification, a checkpoint that holds its architecture, a script.
[<RequireQualifiedAccess>]
module Models =
    let private hasExtension (extension: string) (path: string) =
        path.EndsWith(extension, StringComparison.OrdinalIgnoreCase)

    let private looksLikeFile (given: string) =
        given.Contains '/' || given.Contains '\\' || Path.GetExtension given <> ""

    let private ofScript (invocation: Invocation) (path: string) =
        match Scripts.answer invocation path with
        | Answer.Architecture architecture -> architecture
        | Answer.Architectures several ->
            Refusal.wrong
                $"{path}: the script ends in {several.Length} architectures; end it in one, or use 'localattention sweep'."
        | Answer.Table _ ->
            Refusal.wrong
                $"{path}: the script ends in a sweep; end it in an architecture, or use 'localattention sweep'."
        | Answer.Other kind ->
            Refusal.wrong $"{path}: the script ends in a value of type {kind}; end it in an architecture."

    let private ofSpecification (path: string) =
        try
            SpecificationJson.Read(File.ReadAllText path)
        with :? SpecificationException as error ->
            Refusal.wrong $"{path}: {error.Message}"

    /// <summary>The model of an argument.</summary>
    /// <param name="invocation">The call, for what a script prints.</param>
    /// <param name="given">The argument.</param>
    /// <exception cref="T:LocalAttention.Cli.InputException">There is no such model; the message has the nearest names.</exception>
    let resolve (invocation: Invocation) (given: string) : Model =
        match Zoo.all |> List.tryFind (fun entry -> entry.Name = given) with
        | Some entry ->
            { Architecture = entry.Architecture
              Origin = Origin.Zoo entry }
        | None when Directory.Exists given ->
            Refusal.wrong
                $"'{given}' is a folder; name a model of the zoo, or a file: a specification, a checkpoint, a script."
        | None when not (File.Exists given) && looksLikeFile given ->
            Refusal.wrong $"There is no file '{given}'."
        | None when not (File.Exists given) ->
            let problem = LocalAttention.Core.Backbones.Zoo.Missing given

            Refusal.wrong
                $"There is no model '{given}' in the zoo, and no file of that name; {problem.Remedy}."
        | None when hasExtension ".fsx" given ->
            { Architecture = ofScript invocation given
              Origin = Origin.Script given }
        | None when hasExtension ".json" given ->
            { Architecture = ofSpecification given
              Origin = Origin.Specification given }
        | None ->
            { Architecture = Checkpoint.ReadArchitecture given
              Origin = Origin.Checkpoint given }

    let private floating =
        set
            [ torch.ScalarType.Float64
              torch.ScalarType.Float32
              torch.ScalarType.Float16
              torch.ScalarType.BFloat16 ]

    /// <summary>The model of an architecture, with the parameters of an open file.</summary>
    /// <param name="dtype">The parameters' type; none: that of the file's.</param>
    /// <param name="architecture">The architecture.</param>
    /// <param name="file">The file.</param>
    /// <exception cref="T:LocalAttention.Core.Checkpoints.CheckpointException">The file's tensors are not the model's.</exception>
    let fill (dtype: Nullable<torch.ScalarType>) (architecture: Architecture) (file: WeightsFile) : Backbone =
        let types = file.Entries |> Seq.map _.Type |> Seq.filter floating.Contains

        let dtype =
            match Seq.tryHead types with
            | Some own when not dtype.HasValue -> Nullable own
            | _ -> dtype

        let built = architecture.Build(dtype = dtype)

        try
            Checkpoint.LoadInto(built, file)
            built
        with _ ->
            built.Dispose()
            reraise ()

    /// <summary>The model, built, with the parameters of a file: those of <c>--weights</c>, or the checkpoint's own.</summary>
    /// <param name="dtype">The parameters' type; none: that of the file's.</param>
    /// <param name="weights">The file of <c>--weights</c>, if it was given.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="T:LocalAttention.Cli.InputException">No file has the model's parameters.</exception>
    let loaded (dtype: Nullable<torch.ScalarType>) (weights: string option) (model: Model) : Backbone =
        match weights, model.Origin with
        | None, Origin.Checkpoint path -> Checkpoint.Load(path, dtype = dtype)
        | None, _ ->
            Refusal.wrong
                $"'{model.Architecture.Name}' has no parameters of its own; give a file of them with --weights."
        | Some path, _ ->
            use file = WeightsFile.Open path
            fill dtype model.Architecture file
