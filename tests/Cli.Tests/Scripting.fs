/// Scripts: as models, and as what `sweep` shows.
module LocalAttention.Cli.Tests.Scripting

open System.IO
open System.Text.Json.Nodes
open Expecto
open LocalAttention.Cli
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Dsl

let private script (folder: string) (lines: string list) =
    let path = file folder "a script.fsx"
    File.WriteAllLines(path, lines)
    path

/// The tests that start F# Interactive, which takes seconds: as few as there can be.
let private started =
    testList
        "F# Interactive"
        [ testCase "a script that ends in an architecture is a model; what it prints is not the result"
          <| inFolder (fun folder ->
              let path =
                  script
                      folder
                      [ "open LocalAttention.Dsl"
                        "printfn \"said by the script\""
                        "let wider = Swin.tiny |> scaleWidth 2.0"
                        "wider |> named \"wider\"" ]

              let ended = fine [ "diff"; "swin-tiny"; path; "--json" ]
              Expect.equal (text [ "after" ] ended.Json) "wider" "the name"

              let more = differences Swin.tiny (Swin.tiny |> scaleWidth 2.0)
              Expect.equal (number [ "parameters" ] ended.Json) more.Parameters "more parameters"
              Expect.stringContains ended.Error "said by the script" "on the standard error")

          testCase "a sweep keeps its columns, in every form"
          <| inFolder (fun folder ->
              let path =
                  script
                      folder
                      [ "open LocalAttention.Dsl"
                        "[ Swin.tiny; SlideSwin.tiny ]"
                        "|> Sweep.over [ Column.name; Column.parameters; Column.real \"half, so to say\" 1 (fun _ -> 0.125) ]" ]

              let rows = file folder "rows.json"
              let ended = fine [ "sweep"; path; "--json"; "--output"; rows ]
              Expect.equal (number [ "rows" ] ended.Json) 2L "what was done, in JSON as well"
              Expect.equal (text [ "output" ] ended.Json) rows "where the rows are"
              let first = at [ 0 ] (nonNull (JsonNode.Parse(File.ReadAllText rows)))
              Expect.equal (text [ "name" ] first) "swin-tiny" "a row of the file"

              let table = file folder "table.csv"
              let ended = fine [ "sweep"; path; "--csv"; "--output"; table ]
              Expect.equal ended.Output "" "the table is in the file"

              Expect.equal
                  (File.ReadAllText table)
                  "name,parameters,\"half, so to say\"\r\nswin-tiny,28288354,0.125\r\nslide-swin-tiny,28348834,0.125\r\n"
                  "its lines")

          testCase "a script that does not compile says where"
          <| inFolder (fun folder ->
              let path = script folder [ "open LocalAttention.Dsl"; "Swin.tinny" ]
              let said = refused [ "show"; path ]
              Expect.stringContains said "a script.fsx(2,6): error FS0039" "the place"
              Expect.isFalse (said.Contains "end.fsx") "and nothing of ours")

          testCase "a script that ends in no value"
          <| inFolder (fun folder ->
              let said = refused [ "show"; script folder [ "let x = 3" ] ]

              Expect.stringContains
                  said
                  "the script ends in no value; its last line should be an expression"
                  "why") ]

/// What comes back from F# Interactive, without it.
let private answered =
    let back (value: objnull) =
        let mutable answer = Answer.Other ""

        inFolder
            (fun folder ->
                let path = file folder "answer.json"
                Answers.write path value
                answer <- Answers.read path)
            ()

        answer

    testList
        "answers"
        [ testCase "an architecture comes back equal"
          <| fun () ->
              match back small with
              | Answer.Architecture architecture -> Expect.equal architecture small "the architecture"
              | _ -> failtest "it is an architecture"

          testCase "several come back in their order"
          <| fun () ->
              match back [ Swin.tiny; small ] with
              | Answer.Architectures several -> Expect.equal several [ Swin.tiny; small ] "the architectures"
              | _ -> failtest "they are architectures"

          testCase "a sweep of anything comes back with every kind of cell"
          <| fun () ->
              let sweep =
                  [ 1.0; nan; infinity ]
                  |> Sweep.over
                      [ Column.text "text" string
                        Column.whole "whole" (fun _ -> 1L <<< 60)
                        Column.real "real" 3 (fun value -> value / 3.0)
                        { Heading = "blank"
                          Of = fun _ -> Cell.Blank } ]

              match back sweep with
              | Answer.Table table ->
                  Expect.equal table.Headings sweep.Headings "the headings"
                  // As text, for NaN is not equal to itself.
                  Expect.equal $"%A{table.Cells}" $"%A{sweep.Cells}" "the cells"
              | _ -> failtest "it is a table"

          testCase "anything else comes back by its type"
          <| fun () ->
              match back "words", back null with
              | Answer.Other words, Answer.Other nothing ->
                  Expect.equal (words, nothing) ("System.String", "unit") "the types"
              | _ -> failtest "neither is anything that a command takes" ]

/// The tests of this file.
let tests = testList "scripts" [ answered; started ]
