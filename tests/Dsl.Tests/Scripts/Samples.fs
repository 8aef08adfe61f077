/// Every sample runs as a user runs it, and says what it promises.
module LocalAttention.Dsl.Tests.Samples

open System
open System.IO
open System.Text.RegularExpressions
open Expecto

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
          "own-data.fsx", [ "seen:  "; "right: " ] ]

let private script name =
    testCase name
    <| fun () ->
        for text in promised |> Map.tryFind name |> Option.defaultValue [] do
            Expect.stringContains others.Value text "the output"

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
          consumer ]
