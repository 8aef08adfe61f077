namespace LocalAttention.Verification

open System
open System.Text
open LocalAttention.Core.Checkpoints

/// <summary>A report as plain text, for terminals, logs and the messages of failed tests.</summary>
/// <example><code lang="fsharp">subject |> Verify.all Verify.settings |> TextReport.render |> printfn "%s"</code></example>
[<RequireQualifiedAccess>]
module TextReport =
    let private indented (depth: int) (text: string) =
        [ for line in text.TrimEnd().ReplaceLineEndings("\n").Split '\n' ->
              (String(' ', depth) + line).TrimEnd() ]

    /// One line of the overview: the outcome, the property, and in how many cases or why not.
    let private overview (width: int) (finding: Finding) =
        let outcome, detail =
            match finding.Outcome with
            | Outcome.Holds cases -> "holds  ", Wording.count cases "case" "cases"
            | Outcome.Fails found -> "FAILS  ", $"seed {found.Seed}, input {Wording.shape found.Input}"
            | Outcome.Skipped reason -> "skipped", reason.ReplaceLineEndings " "

        let figures =
            finding.Figures
            |> List.map (fun (name, value) -> $"{name} {Wording.number value}")

        let details = String.Join("; ", detail :: figures)
        $"  {outcome}  {finding.Property.PadRight width}  {details}"

    let private counterexample (finding: Finding) (found: Counterexample) =
        [ ""
          $"{finding.Property} does not hold: {finding.Statement}"
          yield! indented 2 found.Explanation
          if found.Shrinks > 0 then
              $"""  The smallest case that still fails, after {Wording.count found.Shrinks "simpler one" "simpler ones"}; to ask it again:"""
          else
              "  To ask the case again:"
          ""
          yield! indented 4 found.Again ]

    /// <summary>The whole report: a headline, a line for each property, then each counterexample with its code.</summary>
    [<CompiledName "Render">]
    let render (report: Report) : string =
        let width = report.Findings |> List.map _.Property.Length |> List.fold max 0

        let lines =
            [ $"{report.Subject}: {Wording.verdict report} (seed {report.Seed})"
              ""
              for finding in report.Findings do
                  overview width finding

              for finding in report.Findings do
                  match finding.Outcome with
                  | Outcome.Fails found -> yield! counterexample finding found
                  | Outcome.Holds _
                  | Outcome.Skipped _ -> () ]

        Wording.readable(String.Join("\n", lines)).TrimEnd()

    /// <summary>Writes the report to a file: all of it, or nothing.</summary>
    /// <exception cref="T:LocalAttention.Core.Checkpoints.CheckpointException">The file cannot be written.</exception>
    [<CompiledName "Save">]
    let save (path: string) (report: Report) : unit =
        let bytes = UTF8Encoding(false).GetBytes(render report + "\n")
        AtomicFile.Write(path, bytes.LongLength, (fun stream -> stream.Write bytes))
