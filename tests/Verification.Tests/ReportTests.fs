/// What reports say, in which form, and that nothing a subject is called can break them.
module LocalAttention.Verification.Tests.ReportTests

open System
open System.IO
open System.Text.Json
open System.Xml.Linq
open Expecto
open LocalAttention.Core.Checkpoints
open LocalAttention.Verification

/// Everything that could end a text, an attribute or an element early, or move a terminal's cursor.
let private hostile = "a\"b'<script>alert(1)</script>&amp;\u001b[2J\u0000\uD800"

let private counterexample =
    { Code = $"backbone \"{hostile}\" (patchify 4 8)\n|> stages []"
      Again = $"backbone \"{hostile}\" (patchify 4 8)\n|> Verify.again (Verify.property \"locality\")"
      Seed = 9007199254740993L
      Input = [ 1L; 2L; 3L; 4L ]
      Explanation = "It should be 1 and is 2.\n" + hostile
      Shrinks = 3
      Pictures =
        [ { Title = hostile
            Rows = [| [| 0.0; -1.5 |]; [| 1.0; nan |] |] }
          { Title = "empty"; Rows = [||] }
          { Title = "rows of no columns"
            Rows = [| [||]; [||] |] }
          { Title = "ragged and infinite"
            Rows = [| [| infinity |]; [| 1.0; -infinity; 0.0 |] |] }
          { Title = "large"
            Rows =
              Array.init 100 (fun row ->
                  Array.init 130 (fun column -> if row = 77 && column = 3 then -5.0 else 0.5)) } ] }

let private finding outcome =
    { Property = "locality"
      Statement = "an output depends on what is promised"
      Outcome = outcome
      Figures = [ "largest change", 1.25; "odd", nan; "tolerance", 1e-9 ]
      Elapsed = TimeSpan.FromSeconds 1.5 }

let private report findings =
    { Subject = hostile
      Code = "subject " + hostile
      Seed = 5L
      Findings = findings }

let private full =
    report
        [ finding (Outcome.Fails counterexample)
          finding (Outcome.Holds 1200)
          finding (Outcome.Skipped "it promises nothing") ]

let private verdicts =
    testCase "the headline counts what was asked"
    <| fun () ->
        let headline findings =
            (TextReport.render
                { report findings with
                    Subject = "layer" })
                .Split('\n')[0]

        let holds, fails, skipped =
            finding (Outcome.Holds 3), finding (Outcome.Fails counterexample), finding (Outcome.Skipped "so")

        Expect.equal
            (headline [ fails; holds; skipped ])
            "layer: 1 of 2 properties does not hold (seed 5)"
            "one fails"

        Expect.equal (headline [ fails; fails ]) "layer: 2 of 2 properties do not hold (seed 5)" "two fail"

        Expect.equal
            (headline [ holds; holds ])
            "layer: all 2 properties that were asked hold (seed 5)"
            "two hold"

        Expect.equal
            (headline [ holds; skipped ])
            "layer: the one property that was asked holds (seed 5)"
            "one holds"

        Expect.equal (headline [ skipped ]) "layer: no property could be asked (seed 5)" "none"

let private text =
    testCase "text: the code with its seed, the explanation, no control characters"
    <| fun () ->
        let rendered = TextReport.render full

        for part in
            [ "(patchify 4 8)\n    |> Verify.again (Verify.property \"locality\")"
              "seed 9007199254740993, input [1, 2, 3, 4]"
              "locality does not hold: an output depends on what is promised"
              "  It should be 1 and is 2."
              "after 3 simpler ones"
              "1,200 cases; largest change 1.25; odd NaN; tolerance 1e-9"
              "it promises nothing" ] do
            Expect.stringContains rendered part "the report"

        Expect.isFalse
            (rendered |> Seq.exists (fun letter -> Char.IsControl letter && letter <> '\n'))
            "control characters"

/// The property of an object.
let private at (name: string) (json: JsonElement) = json.GetProperty name

let private json =
    testCase "JSON: every field, with the numbers that JSON has none for as text"
    <| fun () ->
        use document = JsonDocument.Parse(JsonReport.render full)
        let root = document.RootElement
        Expect.equal ((at "seed" root).GetInt64()) 5L "seed"
        Expect.isFalse ((at "sound" root).GetBoolean()) "sound"

        Expect.equal
            (string ((at "subject" root).GetString()))
            (hostile.Replace('\uD800', '\uFFFD'))
            "subject"

        let findings = [ for finding in (at "findings" root).EnumerateArray() -> finding ]

        Expect.equal
            [ for finding in findings -> string ((at "outcome" finding).GetString()) ]
            [ "fails"; "holds"; "skipped" ]
            "outcomes"

        let found = at "counterexample" findings[0]

        Expect.equal
            (string ((at "again" found).GetString()))
            (counterexample.Again.Replace('\uD800', '\uFFFD'))
            "what asks it again"

        Expect.equal ((at "seed" found).GetInt64()) counterexample.Seed "the seed, to its last digit"

        Expect.equal
            [ for size in (at "input" found).EnumerateArray() -> size.GetInt64() ]
            counterexample.Input
            "input"

        Expect.equal ((at "shrinks" found).GetInt32()) 3 "shrinks"
        let picture = (at "pictures" found).Item 0

        let number (row: int) (column: int) =
            ((at "rows" picture).Item row).Item column

        Expect.equal ((number 0 1).GetDouble()) -1.5 "a number of a picture"
        Expect.equal (string ((number 1 1).GetString())) "NaN" "not a number"
        Expect.equal ((at "cases" findings[1]).GetInt32()) 1200 "cases"
        Expect.equal (string ((at "reason" findings[2]).GetString())) "it promises nothing" "reason"
        Expect.equal (string ((at "value" ((at "figures" findings[0]).Item 1)).GetString())) "NaN" "a figure"
        Expect.equal ((at "seconds" findings[0]).GetDouble()) 1.5 "seconds"

/// The page as XML: it is written so that only the doctype and elements without an end stand in the way.
let private asXml (page: string) =
    let body = page.Substring(page.IndexOf("<html", StringComparison.Ordinal))

    XDocument.Parse(System.Text.RegularExpressions.Regex.Replace(body, "<meta [^>]*>", ""))

let private html =
    testCase "HTML: well-formed, whole, and nothing in it from elsewhere"
    <| fun () ->
        let page = HtmlReport.render full
        let root = asXml page

        let all name =
            [ for element in root.Descendants() do
                  if element.Name.LocalName = name then
                      element ]

        Expect.isEmpty (all "script") "no script"

        for element in root.Descendants() do
            for attribute in element.Attributes() do
                Expect.isFalse
                    (List.contains attribute.Name.LocalName [ "src"; "href"; "onload"; "style" ])
                    $"{attribute.Name} refers to something else"

        let shown =
            hostile.Replace('\u001b', '\uFFFD').Replace('\u0000', '\uFFFD').Replace('\uD800', '\uFFFD')

        Expect.equal (List.head (all "h1")).Value shown "the name, as it is"
        Expect.stringContains (List.head (all "title")).Value "1 of 2 properties does not hold" "the title"

        Expect.stringContains
            (List.head (all "pre")).Value
            "|> Verify.again (Verify.property \"locality\")"
            "the code"

        Expect.hasLength (all "figure") 5 "pictures"
        Expect.hasLength (all "svg") 3 "those that have cells"

let private cells =
    testCase "a large picture keeps its one odd cell, and a small one every cell"
    <| fun () ->
        let titles =
            [ for svg in (asXml (HtmlReport.render full)).Descendants() do
                  if svg.Name.LocalName = "svg" then
                      [ for title in svg.Descendants() do
                            if title.Name.LocalName = "title" then
                                title.Value ] ]

        Expect.equal
            titles[0]
            [ "row 0, column 0: 0"
              "row 0, column 1: −1.5"
              "row 1, column 0: 1"
              "row 1, column 1: NaN" ]
            "four cells"

        // 130 columns at 48 at most: blocks of 3×3, the odd one in the row of 77 / 3 and the column of 3 / 3.
        Expect.hasLength titles[2] (34 * 44) "blocks"

        Expect.equal
            (titles[2]
             |> List.filter (fun title -> title.EndsWith("−5", StringComparison.Ordinal)))
            [ "row 25, column 1: −5" ]
            "the odd one"

let private files =
    testCase "files are whole, and one that cannot be written says so"
    <| fun () ->
        let folder = Directory.CreateTempSubdirectory "local-attention-reports-"

        try
            for name, save, rendered in
                [ "report.txt", TextReport.save, TextReport.render full + "\n"
                  "report.json", JsonReport.save, JsonReport.render full + "\n"
                  "report.html", HtmlReport.save, HtmlReport.render full ] do
                let path = Path.Combine(folder.FullName, name)
                save path full
                Expect.equal (File.ReadAllText path) (rendered.Replace('\uD800', '\uFFFD')) name

            Expect.hasLength (folder.GetFiles()) 3 "nothing beside them"

            Expect.throwsT<CheckpointException>
                (fun () -> HtmlReport.save (Path.Combine(folder.FullName, "none", "report.html")) full)
                "a folder that is not there"
        finally
            folder.Delete true

/// The tests of this file.
let tests = testList "reports" [ verdicts; text; json; html; cells; files ]
