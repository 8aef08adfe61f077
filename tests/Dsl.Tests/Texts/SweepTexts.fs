/// Sweeps as tables: sorted, filtered, and written so that others read them.
module LocalAttention.Dsl.Tests.SweepTexts

open System
open System.IO
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Analysis
open LocalAttention.Dsl

/// Fields of comma-separated values as RFC 4180 has them, read back by hand.
let private readCsv (text: string) : string list list =
    let rec field (at: int) =
        if at < text.Length && text[at] = '"' then
            let rec quoted at (sofar: char list) =
                if text[at] <> '"' then
                    quoted (at + 1) (text[at] :: sofar)
                elif at + 1 < text.Length && text[at + 1] = '"' then
                    quoted (at + 2) ('"' :: sofar)
                else
                    at + 1, sofar

            quoted (at + 1) []
        else
            let rec plain at (sofar: char list) =
                if text[at] = ',' || text[at] = '\r' then
                    at, sofar
                else
                    plain (at + 1) (text[at] :: sofar)

            plain at []

    let rec rows at fields finished =
        if at = text.Length then
            List.rev finished
        else
            let next, letters = field at
            let fields = String(Array.ofList (List.rev letters)) :: fields

            if text[next] = ',' then
                rows (next + 1) fields finished
            else
                Expect.equal text[next .. next + 1] "\r\n" "the end of a line"
                rows (next + 2) [] (List.rev fields :: finished)

    rows 0 [] []

let private cell =
    let letters = Gen.elements [ 'a'; 'é'; ' '; '"'; ','; '\r'; '\n'; '|'; ';' ]

    let words =
        Gen.listOf letters |> Gen.map (fun letters -> String(Array.ofList letters))

    Gen.oneof
        [ Gen.constant Cell.Blank
          words |> Gen.map Cell.Text
          ArbMap.defaults |> ArbMap.generate<int64> |> Gen.map Cell.Whole
          Gen.map2
              (fun value decimals -> Cell.Real(value, decimals))
              (ArbMap.defaults |> ArbMap.generate<float>)
              (Gen.choose (0, 3)) ]

let private tables =
    let table =
        gen {
            let! columns = Gen.choose (1, 4)

            return!
                Gen.listOf (Gen.listOfLength columns cell)
                |> Gen.map (fun rows -> columns, List.truncate 20 rows)
        }

    Arb.fromGen table

let private swept (columns, rows: Cell list list) =
    rows
    |> Sweep.over
        [ for index in 0 .. columns - 1 ->
              { Heading = $"column, {index}"
                Of = List.item index } ]

let private exact (cell: Cell) =
    match cell with
    | Cell.Blank -> ""
    | Cell.Text text -> text
    | Cell.Whole number -> string number
    | Cell.Real(number, _) -> number.ToString "R"

let private laws =
    [ testProperty "comma-separated values read back, whatever they hold"
      <| Prop.forAll tables (fun table ->
          let sweep = swept table

          Expect.equal
              (readCsv (Sweep.toCsv sweep))
              (sweep.Headings :: [ for row in sweep.Cells -> List.map exact row ])
              "the cells")

      testProperty "Markdown has a line for each row, and no bar but those of its columns"
      <| Prop.forAll tables (fun (columns, rows) ->
          let text = Sweep.toMarkdown (swept (columns, rows))
          let lines = text.Split Environment.NewLine
          Expect.hasLength lines (rows.Length + 2) "lines"

          for line in lines do
              let bars = line.Replace("\\|", "") |> Seq.filter ((=) '|') |> Seq.length
              Expect.equal bars (columns + 1) line)

      testProperty "sorting keeps the rows; numbers ascend, blanks are last, equal ones keep their order"
      <| Prop.forAll tables (fun table ->
          let sweep = swept table

          for sort, compares in
              [ Sweep.sortBy, (fun (one: float) other -> one <= other)
                Sweep.sortDescendingBy, (fun one other -> one >= other) ] do
              let sorted = sweep |> sort "column, 0"

              Expect.equal
                  (List.sort [ for row in sorted.Cells -> string row ])
                  (List.sort [ for row in sweep.Cells -> string row ])
                  "the rows"

              let keys = [ for row in sorted.Cells -> row.Head ]

              let numbers =
                  keys
                  |> List.choose (function
                      | Cell.Whole number -> Some(float number)
                      | Cell.Real(number, _) when not (Double.IsNaN number) -> Some number
                      | _ -> None)

              Expect.isTrue
                  (numbers |> List.pairwise |> List.forall (fun (one, other) -> compares one other))
                  "in order"

              let isBlank =
                  function
                  | Cell.Blank -> true
                  | Cell.Real(number, _) -> Double.IsNaN number
                  | _ -> false

              Expect.isTrue (keys |> List.skipWhile (isBlank >> not) |> List.forall isBlank) "blanks last"

          let constant = [ for row in sweep.Cells -> Cell.Blank :: row ]
          let kept = swept (fst table + 1, constant) |> Sweep.sortDescendingBy "column, 0"
          Expect.equal (string kept.Cells) (string constant) "equal ones")

      testProperty "filters keep what is asked for"
      <| Prop.forAll tables (fun table ->
          let sweep = swept table

          let isText =
              function
              | Cell.Text _ :: _ -> true
              | _ -> false

          Expect.equal
              (string (sweep |> Sweep.filter isText).Cells)
              (string (sweep.Cells |> List.filter isText))
              "by row"

          for row in (sweep |> Sweep.where "column, 0" (fun number -> number > 0.0)).Cells do
              match row.Head with
              | Cell.Whole number -> Expect.isGreaterThan number 0L "a number"
              | Cell.Real(number, _) -> Expect.isGreaterThan number 0.0 "a number"
              | _ -> failtest "no number") ]

let private family =
    [ for size in [ 7; 3; 5 ] -> QnAViT.tiny |> everyQna (windowSize size) |> named $"{size}×{size}" ]
    |> Sweep.over [ Column.name; Column.parameters; Column.gmacs ]

let private texts =
    [ testCase "a sweep, sorted and drawn"
      <| fun () ->
          Expect.equal
              (string (family |> Sweep.sortBy "parameters"))
              (String.Join(
                  Environment.NewLine,
                  [ "┌──────┬────────────┬───────┐"
                    "│ name │ parameters │ GMACs │"
                    "├──────┼────────────┼───────┤"
                    "│ 3×3  │ 15,715,560 │ 2.422 │"
                    "│ 5×5  │ 15,730,920 │ 2.458 │"
                    "│ 7×7  │ 15,753,960 │ 2.511 │"
                    "└──────┴────────────┴───────┘" ]
              ))
              "the table"

      testCase "F# Interactive shows it on lines of its own"
      <| fun () -> Expect.equal (sprintf "%A" family) (Environment.NewLine + string family) "the text"

      testCase "the same in Markdown and as comma-separated values"
      <| fun () ->
          let one = family |> Sweep.where "parameters" (fun count -> count < 15_720_000.0)

          Expect.equal
              (Sweep.toMarkdown one)
              (String.Join(
                  Environment.NewLine,
                  [ "| name | parameters | GMACs |"
                    "| --- | ---: | ---: |"
                    "| 3×3 | 15,715,560 | 2.422 |" ]
              ))
              "Markdown"

          let macs = float (MultiplyAccumulates.Of(one.Rows.Head).Total) / 1e9
          Expect.equal (Sweep.toCsv one) $"name,parameters,GMACs\r\n3×3,15715560,{macs:R}\r\n" "CSV"

      testCase "columns of other rows; what is not known is blank"
      <| fun () ->
          let sweep =
              Zoo.find "slide-pvt-*e"
              |> Sweep.over
                  [ Column.name |> Column.of' (fun (entry: ZooEntry) -> entry.Architecture)
                    Column.known "top-1" 1 (fun (entry: ZooEntry) -> entry.Paper.Top1) ]

          Expect.equal sweep.Cells [ [ Cell.Text "slide-pvt-large"; Cell.Blank ] ] "the cells"
          Expect.equal (sweep |> Sweep.where "top-1" (fun _ -> true)).Cells [] "no number there"

      testCase "a column that is not there is told"
      <| fun () ->
          let refused =
              Expect.throwsC (fun () -> family |> Sweep.sortBy "cost" |> ignore) (fun error -> error)

          Expect.stringStarts
              refused.Message
              "There is no column 'cost'; the columns are 'name', 'parameters', 'GMACs'."
              "the message"

      testCase "a file is written whole"
      <| fun () ->
          let folder = Path.Combine(Path.GetTempPath(), $"sweeps-{Guid.NewGuid():N}")

          try
              let path = Path.Combine(folder, "a", "windows.csv")
              family |> Sweep.saveCsv path
              family |> Sweep.filter (fun _ -> false) |> Sweep.saveCsv path
              Expect.equal (File.ReadAllText path) "name,parameters,GMACs\r\n" "the later one"
              Expect.hasLength (Directory.GetFiles(Path.Combine(folder, "a"))) 1 "nothing else"
          finally
              Directory.Delete(folder, recursive = true) ]

/// The tests of this file.
let tests = testList "sweeps" [ testList "laws" laws; testList "texts" texts ]
