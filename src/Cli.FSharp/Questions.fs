namespace LocalAttention.Cli

open System
open System.Collections.Generic
open System.IO
open System.Text.Json.Nodes
open LocalAttention.Core.Specification
open LocalAttention.Verification

/// What <c>verify</c> asks.
type Questions =
    {
        /// Random cases of each property.
        Cases: int
        /// What all cases follow from.
        Seed: int64
        /// Names of the properties; none: all there are.
        Properties: string list
    }

/// What came of it, in each form that somebody may want.
type VerificationAnswer =
    {
        /// Whether no property failed.
        IsSound: bool
        /// For readers.
        Text: string
        /// For machines.
        Json: string
        /// With pictures.
        Html: string
    }

/// <summary>
/// Asks, here or inside F# Interactive: a subject of a script's own is made of its functions, and lives only where they do.
/// As in <c>Answers</c>, nothing here may be a value that is computed once.
/// </summary>
[<RequireQualifiedAccess>]
module Questions =
    let private settings (questions: Questions) =
        { Verify.settings with
            Cases = questions.Cases
            Seed = questions.Seed }

    let private properties (questions: Questions) =
        match questions.Properties with
        | [] -> Verify.properties
        | names ->
            Verify.properties
            |> List.filter (fun property -> List.contains property.Name names)

    let private report (questions: Questions) (subject: Subject) =
        let report = Verify.these (properties questions) (settings questions) subject

        { IsSound = report.IsSound
          Text = TextReport.render report
          Json = JsonReport.render report
          Html = HtmlReport.render report }

    /// <summary>Asks a model: with its own parameters where it is a checkpoint, with random ones elsewhere.</summary>
    let ask (questions: Questions) (model: Model) : VerificationAnswer =
        match model.Origin with
        | Origin.Checkpoint _ ->
            use built = Models.loaded (Nullable()) None model
            report questions (Subject.ofModel built)
        | _ -> report questions (Subject.ofArchitecture model.Architecture)

    // ------------------------------------------------------------------------------------------ in a script

    /// <summary>Asks what a script ended in, and writes the reports to a file. Called at the script's end.</summary>
    let write (path: string) (cases: int) (seed: int64) (names: string list) (value: objnull) : unit =
        let questions =
            { Cases = cases
              Seed = seed
              Properties = names }

        let subject =
            match value with
            | :? Subject as subject -> Some subject
            | :? Architecture as architecture -> Some(Subject.ofArchitecture architecture)
            | :? LocalAttention.Core.Backbones.Backbone as model -> Some(Subject.ofModel model)
            | _ -> None

        let answer =
            match subject with
            | Some subject ->
                let answers = report questions subject

                JsonObject
                    [ KeyValuePair("sound", JsonValue.Create answers.IsSound :> JsonNode | null)
                      KeyValuePair("text", JsonValue.Create answers.Text :> JsonNode | null)
                      KeyValuePair("json", JsonValue.Create answers.Json :> JsonNode | null)
                      KeyValuePair("html", JsonValue.Create answers.Html :> JsonNode | null) ]
            | None ->
                let kind =
                    match value with
                    | null -> "unit"
                    | other -> string (other.GetType())

                JsonObject [ KeyValuePair("other", JsonValue.Create kind :> JsonNode | null) ]

        File.WriteAllText(path, answer.ToJsonString())

    /// The last piece of a script that is verified.
    let inScript (questions: Questions) (file: string) : string =
        let names = questions.Properties |> List.map Scripts.literal |> String.concat "; "

        $"LocalAttention.Cli.Questions.write {Scripts.literal file} {questions.Cases} {questions.Seed}L [ {names} ] (box it)"

    /// <summary>Reads what was written.</summary>
    /// <exception cref="T:LocalAttention.Cli.InputException">The script ended in something that cannot be verified.</exception>
    let read (path: string) : VerificationAnswer =
        let answer = nonNull (JsonNode.Parse(File.ReadAllText path))

        match answer["other"] with
        | null ->
            let text (name: string) =
                (nonNull answer[name]).GetValue<string>()

            { IsSound = (nonNull answer["sound"]).GetValue<bool>()
              Text = text "text"
              Json = text "json"
              Html = text "html" }
        | kind ->
            Refusal.wrong
                $"the script ends in a value of type {kind.GetValue<string>()}; end it in an architecture, a model or a Subject, as Subject.ofLayer gives."
