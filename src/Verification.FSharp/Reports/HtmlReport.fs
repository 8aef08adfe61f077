namespace LocalAttention.Verification

open System
open System.Text
open LocalAttention.Core.Checkpoints

/// <summary>A report as one HTML page that needs nothing else: no script, no font and no picture from elsewhere.</summary>
/// <example><code lang="fsharp">subject |> Verify.all Verify.settings |> HtmlReport.save "report.html"</code></example>
[<RequireQualifiedAccess>]
module HtmlReport =
    let private style =
        """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5b6570; --line: #d9dee3; --paper: #ffffff; --code: #f4f6f8;
        --good: #1a7f4b; --bad: #b3261e; --idle: #6b7480; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --soft: #a2abb4; --line: #3a424a; --paper: #15191d; --code: #1f252b;
          --good: #4cc38a; --bad: #ff7b72; --idle: #9aa4ae; } }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
       font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 0.5rem; }
p { margin: 0.4rem 0; }
.verdict { font-weight: 600; }
.holds { color: var(--good); } .fails { color: var(--bad); } .skipped, .range, .note { color: var(--idle); }
table { border-collapse: collapse; width: 100%; margin: 1.25rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.45rem 0.75rem 0.45rem 0; border-bottom: 1px solid var(--line); }
th { font-size: 0.85rem; color: var(--soft); font-weight: 600; }
td.outcome { font-weight: 600; white-space: nowrap; }
td.time { white-space: nowrap; text-align: right; padding-right: 0; color: var(--soft); }
th:last-child { text-align: right; padding-right: 0; }
td .statement { color: var(--soft); display: block; font-size: 0.9rem; }
pre { background: var(--code); border: 1px solid var(--line); border-radius: 6px; padding: 0.9rem 1rem; overflow-x: auto;
      font: 0.85rem/1.5 ui-monospace, monospace; }
.explanation { white-space: pre-line; }
.pictures { display: flex; flex-wrap: wrap; gap: 1.5rem; margin: 1rem 0; }
figure { margin: 0; display: flex; flex-direction: column; gap: 0.35rem; max-width: 18rem; }
figcaption { font-size: 0.9rem; font-weight: 600; }
svg { border: 1px solid var(--line); max-width: 100%; }
.range { font-size: 0.8rem; }
"""

    let private outcomeOf (finding: Finding) =
        match finding.Outcome with
        | Outcome.Holds cases -> "holds", Wording.count cases "case" "cases"
        | Outcome.Fails found -> "fails", $"seed {found.Seed}, input {Wording.shape found.Input}"
        | Outcome.Skipped reason -> "skipped", reason

    let private row (finding: Finding) =
        let outcome, detail = outcomeOf finding

        Markup.element
            "tr"
            []
            [ Markup.labelled "td" [ "class", $"outcome {outcome}" ] outcome
              Markup.element
                  "td"
                  []
                  [ Markup.Text finding.Property
                    Markup.labelled "span" [ "class", "statement" ] finding.Statement ]
              Markup.element
                  "td"
                  []
                  [ Markup.Text detail
                    for name, value in finding.Figures do
                        Markup.labelled "span" [ "class", "statement" ] $"{name}: {Wording.number value}" ]
              Markup.labelled "td" [ "class", "time" ] (Wording.duration finding.Elapsed) ]

    let private table (report: Report) =
        Markup.element
            "table"
            []
            [ Markup.element
                  "thead"
                  []
                  [ Markup.element
                        "tr"
                        []
                        [ for heading in [ "Outcome"; "Property"; "Details"; "Time" ] ->
                              Markup.labelled "th" [] heading ] ]
              Markup.element "tbody" [] (report.Findings |> List.map row) ]

    let private counterexample (finding: Finding) (found: Counterexample) =
        Markup.element
            "section"
            []
            [ Markup.element
                  "h2"
                  []
                  [ Markup.labelled "span" [ "class", "fails" ] finding.Property
                    Markup.Text $" does not hold: {finding.Statement}" ]
              Markup.labelled "p" [ "class", "explanation" ] (found.Explanation.TrimEnd())
              if not found.Pictures.IsEmpty then
                  Markup.element "div" [ "class", "pictures" ] (found.Pictures |> List.map Drawing.figure)
              Markup.labelled
                  "p"
                  [ "class", "note" ]
                  (if found.Shrinks > 0 then
                       $"""The smallest case that still fails, after {Wording.count found.Shrinks "simpler one" "simpler ones"}; to ask it again:"""
                   else
                       "To ask the case again:")
              Markup.element "pre" [] [ Markup.labelled "code" [] found.Again ] ]

    let private page (report: Report) =
        let verdict = Wording.verdict report
        let kind = if report.IsSound then "holds" else "fails"

        Markup.element
            "html"
            [ "lang", "en" ]
            [ Markup.element
                  "head"
                  []
                  [ Markup.element "meta" [ "charset", "utf-8" ] []
                    Markup.element
                        "meta"
                        [ "name", "viewport"; "content", "width=device-width, initial-scale=1" ]
                        []
                    // Whatever a name holds, nothing is fetched and nothing runs.
                    Markup.element
                        "meta"
                        [ "http-equiv", "Content-Security-Policy"
                          "content", "default-src 'none'; style-src 'unsafe-inline'" ]
                        []
                    Markup.labelled "title" [] $"{report.Subject}: {verdict}"
                    Markup.Style style ]
              Markup.element
                  "body"
                  []
                  [ Markup.labelled "h1" [] report.Subject
                    Markup.element
                        "p"
                        []
                        [ Markup.labelled "span" [ "class", $"verdict {kind}" ] verdict
                          Markup.labelled "span" [ "class", "note" ] $" (seed {report.Seed})" ]
                    table report
                    for finding in report.Findings do
                        match finding.Outcome with
                        | Outcome.Fails found -> counterexample finding found
                        | Outcome.Holds _
                        | Outcome.Skipped _ -> ()
                    if not (String.IsNullOrWhiteSpace report.Code) then
                        Markup.labelled "h2" [] "What was verified"
                        Markup.element "pre" [] [ Markup.labelled "code" [] (report.Code.TrimEnd()) ] ] ]

    /// <summary>The page.</summary>
    [<CompiledName "Render">]
    let render (report: Report) : string =
        "<!DOCTYPE html>\n" + Markup.render (page report) + "\n"

    /// <summary>Writes the page to a file: all of it, or nothing.</summary>
    /// <exception cref="T:LocalAttention.Core.Checkpoints.CheckpointException">The file cannot be written.</exception>
    [<CompiledName "Save">]
    let save (path: string) (report: Report) : unit =
        let bytes = UTF8Encoding(false).GetBytes(render report)
        AtomicFile.Write(path, bytes.LongLength, (fun stream -> stream.Write bytes))
