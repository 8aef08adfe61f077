/// Every sample runs as a user runs it, and says what it promises.
module LocalAttention.Dsl.Tests.Samples

open System
open System.IO
open System.Text.Json
open System.Text.RegularExpressions
open Expecto
open LocalAttention.Core.Tests
open LocalAttention.Dsl

let private folder = Path.Combine(Child.repository, "samples")

let private names =
    [ for script in DirectoryInfo(folder).GetFiles "*.fsx" -> script.Name ]
    |> List.sort

let private quickstart =
    testCase "quickstart.fsx: both accuracies in the last lines, and a reloaded model with the same numbers"
    <| fun () ->
        let ended =
            Child.succeeding [ "fsi"; "--quiet"; Path.Combine(folder, "quickstart.fsx") ] ""

        Expect.equal ended.Error "" "nothing on the error output"

        let last = ended.Lines |> List.rev |> List.truncate 2 |> List.rev

        for name, line in List.zip [ "qna"; "slide" ] last do
            Expect.isMatch line $@"^{name} test accuracy 0\.\d{{4}}$" "an accuracy"

        Expect.isMatch
            ended.Output
            @"reloaded: the same architecture true, the same logits on all test images true\s"
            "the model from the file"

/// Starting F# Interactive costs more than these scripts: one session loads them one after the other.
let private others =
    lazy
        (let script =
            [ for name in names do
                  if name <> "quickstart.fsx" then
                      let path = Path.Combine(folder, name).Replace("\\", "/")
                      $"printfn \"== {name}\""
                      $"#load \"{path}\"" ]

         let ended =
             Child.withScript (String.Join('\n', script)) (fun path ->
                 Child.succeeding [ "fsi"; "--quiet"; path ] "")

         ended.Output)

/// What must be seen in the output of a script.
let private promised =
    Map.ofList
        [ "rewrites.fsx",
          [ "equal to the one of the zoo: true"
            "so is its sister of 7×7: true"
            "qna-vit-tiny, 9×9"
            "every second block of NAT dilated is DiNAT: true"
            "the first conflict: stage 3, block 6: 7 heads do not divide 480 channels; use 6 or 8 heads."
            "@@ stage 1, block 2 @@"
            "| nat-mini, 2 | 26 | 9×9×624 | 40,815,280 | 9.192 |"
            "mixed: images of 64×64×1, 10 classes" ]
          "mistakes.fsx",
          [ "This cannot be built. "
            "stage 2: it has no block and no transition; add a block or remove the stage."
            "of 48 channels: [\"1 heads\"; \"2 heads\"; \"3 heads\"; \"4 heads\"; \"6 heads\"; \"8 heads\"]"
            "stage 0: 'swin-tiny' has no such stage to rewrite; use stages from 1 to 4." ]
          "features.fsx",
          [ "[2, 24, 40, 32]"
            "[2, 12, 20, 64]"
            "[2, 6, 10, 128]"
            "merged: the same features true" ]
          "equivariance.fsx",
          [ "│ stage 2  │ 28×28 │      8 │ every 56 pixels      │ 80 at the top, 88 at the bottom, 80 left, 88 right     │ none "
            "stage 2, block 1: window of 7 at stride 8: shifts of 56 pixels;"
            "stage 3: in an image of 224×224 the bands meet, so that no token is inside them"
            "stage 1, embedding: position embedding at stride 4: each place of the map has its own learned embedding, so no shift is left"
            "circular padding: only further than 8 pixels from the border; everywhere on a torus"
            "everything is seen from everywhere, what enters at the border too: only rolls are left"
            "│ logits   │       │        │ nearly, at best      │                  │ every 8 pixels       │"
            "exactly: rows 0–83 × columns 28–195, 14112 pixels"
            "exactly: 1984 pixels within rows 0–127 × columns 0–127"
            "exactly: rows 8–11, 24–27, 40–43, 56–59, 72–75 × columns" ]
          "own-data.fsx", [ "seen:  "; "right: " ]
          "zoo.fsx",
          [ "│ model                    │  parameters │  GMACs │ merged │ paper: M │ paper: G │ paper: top-1 │"
            "│ slide-pvt-v2-b2          │  23,606,475 │  4.354 │  4.191 │     22.8 │      4.2 │         82.7 │"
            "│ slide-pvt-large          │  58,608,979 │ 10.284 │ 10.056 │          │          │              │"
            "slide-pvt-v2-b2           Strongly inferred: "
            "is slide-pvt-tiny: true" ] ]

let private script name =
    testCase name
    <| fun () ->
        for text in promised |> Map.tryFind name |> Option.defaultValue [] do
            Expect.stringContains others.Value text "the output"

/// The numbers of the reference table, each of them, and nothing else on the output.
let private zooAsJson =
    testCase "zoo.fsx --json: every row of the reference table, and nothing but JSON"
    <| fun () ->
        let ended =
            Child.succeeding [ "fsi"; "--quiet"; Path.Combine(folder, "zoo.fsx"); "--json" ] ""

        use json = JsonDocument.Parse ended.Output

        let rows =
            Map.ofList
                [ for row in json.RootElement.EnumerateArray() ->
                      string (row.GetProperty("name").GetString()), row ]

        Expect.equal (Map.count rows) Zoo.all.Length "one for each model"

        for expected in Data.rows "zoo.csv" do
            let row = rows[expected["name"].Replace('_', '-')]

            Expect.equal
                (row.GetProperty("family").GetString())
                (expected["family"].Replace('_', '-'))
                "family"

            for column in [ "parameters"; "trainable_parameters"; "macs_224"; "macs_224_merged" ] do
                Expect.equal
                    (string (row.GetProperty(column).GetInt64()))
                    expected[column]
                    $"""{column} of {expected["name"]}"""

        Expect.equal
            [ for property in json.RootElement[0].EnumerateObject() -> property.Name ]
            [ "name"
              "family"
              "parameters"
              "trainable_parameters"
              "macs_224"
              "macs_224_merged" ]
            "the fields"

let private consumer =
    testCase "the C# program: trains, saves, loads, predicts"
    <| fun () ->
        let built =
            Path.GetFullPath(
                Path.Combine(
                    AppContext.BaseDirectory,
                    "..",
                    "..",
                    "CSharpConsumer",
                    "release",
                    "CSharpConsumer.dll"
                )
            )

        let ended = Child.succeeding [ built ] ""

        Expect.stringContains
            ended.Output
            "small-qna.safetensors: the same architecture True"
            "the model from the file"

        Expect.isMatch (List.last ended.Lines) @"^small-qna test accuracy 0\.\d{4}$" "the last line"

        let prediction = Regex @"^seen .+ is .+$"
        Expect.hasLength (ended.Lines |> List.filter prediction.IsMatch) 5 "predictions"

/// The tests of this file.
let tests =
    testList
        "samples"
        [ quickstart
          for name in names do
              if name <> "quickstart.fsx" then
                  script name
          zooAsJson
          consumer ]
