/// What holds of any printed value: it prints, it fits, and it says everything.
module LocalAttention.Dsl.Tests.PrintedLaws

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Dsl
open LocalAttention.Verification

/// Columns of a terminal that tables of usual models fit in.
let private columns = 100

let private lines (text: string) =
    text.Split('\n') |> Array.map _.TrimEnd('\r') |> List.ofArray

let private isDrawn (line: string) =
    line.Length > 0 && "┌├│└".Contains line[0]

/// Every line of a table has the same length.
let private isEven (text: string) =
    lines text |> List.filter isDrawn |> List.distinctBy _.Length |> List.length = 1

let private fits text =
    for line in lines text do
        Expect.isLessThanOrEqual line.Length columns $"the length of '{line}'"

let private ofAny =
    [ testProperty "anything prints, right or wrong"
      <| Prop.forAll Mistakes.arbitraryPossiblyBroken (fun architecture ->
          Expect.isTrue (isEven (Printing.architecture architecture)) "a table"
          Expect.isTrue (isEven (Printing.comparison [ architecture; Swin.tiny ])) "a comparison"

          for stage in architecture.Stages do
              Expect.isTrue
                  (stage.Blocks.Count = 0 && isNull stage.Transition
                   || Printing.stage(stage).Length > 0)
                  "a stage"

              for block in stage.Blocks do
                  let text = Printing.block block

                  Expect.stringStarts
                      text
                      (Printing.attention block.Attention)
                      "a block begins with its attention"

                  Expect.isFalse (text.Contains '\n') "a block is one line"

          for layer in trace architecture do
              Expect.stringStarts (Printing.layer layer) layer.Place "a part")

      testProperty "a table has every mistake, with its remedy"
      <| Prop.forAll Mistakes.arbitraryPossiblyBroken (fun architecture ->
          let text = Printing.architecture architecture

          Expect.equal
              (text.Contains "This cannot be built. ")
              (not (problems architecture).IsEmpty)
              "whether it says that it cannot be built"

          for problem in problems architecture do
              Expect.stringContains text $": {problem.Mistake}; {problem.Remedy}." "a mistake"
              Expect.stringContains text (problem.Place.Split(',') |> Array.head) "its place")

      testProperty "the rows of a table add up to its total"
      <| Prop.forAll (Arbitraries.Architecture()) (fun architecture ->
          let parametersOf (line: string) =
              let cells = line.Split '│'
              Int64.Parse(cells[6].Trim().Replace(",", ""))

          let rows =
              lines (Printing.architecture architecture)
              |> List.filter (fun line -> line.StartsWith "│")
              |> List.tail
              |> List.map parametersOf

          Expect.equal (List.sum (List.take (rows.Length - 1) rows)) (parameters architecture) "the rows"
          Expect.equal (List.last rows) (parameters architecture) "the total")

      testProperty "small models fit on a terminal"
      <| Prop.forAll (Arbitraries.Architecture()) (Printing.architecture >> fits) ]

let private ofZoo =
    [ for entry in Zoo.all do
          testCase $"{entry.Name} fits on a terminal"
          <| fun () -> fits (Printing.architecture entry.Architecture)

      for family in Zoo.families do
          testCase $"so does the family {family}"
          <| fun () ->
              fits (
                  Printing.comparison
                      [ for entry in Zoo.all do
                            if entry.Family = family then
                                entry.Architecture ]
              ) ]

/// The tests of this file.
let tests = testList "of any value" [ testList "any" ofAny; testList "zoo" ofZoo ]
