/// The prompt of `./run.sh --interactive`: everything is open, and values print themselves.
module LocalAttention.Dsl.Tests.Prompt

open System.IO
open System.Text.RegularExpressions
open Expecto

/// How run.sh starts the prompt, without `--use`.
let private options =
    lazy
        (let start =
            Regex.Match(
                File.ReadAllText(Path.Combine(Child.repository, "run.sh")),
                "exec dotnet (fsi .*)--use:"
            )

         Expect.isTrue start.Success "run.sh starts F# Interactive with --use"
         List.ofArray (start.Groups[1].Value.TrimEnd().Split ' '))

/// What is typed, and what must be answered.
let private dialogue =
    [ "Swin.tiny;;", "swin-tiny: images of 224×224×3, 1000 classes\n┌"
      "Swin.tiny |> everyBlock (heads 5) |> problems;;",
      "  stage 1, blocks 1, 2: 5 heads do not divide 96 channels"
      "Swin.tiny.Stages[0];;", "shifted"
      "2 * qna 3;;", "2 × qna 3×3, heads not given yet"
      "slide 3 |> heads 3;;", "slide 3×3, 3 heads"
      "TorchSharp.torch.ones([| 2L; 3L |]);;", "[2, 3] Float32 on cpu: 1, 1, 1, 1, 1, 1"
      "recipe;;", "10 epochs, batches of 128"
      "backbone \"tiny\" (patchify 4 8) |> stages [ stage (slide 3 |> heads 2) ] |> build;;",
      "Float32 on cpu, in training mode" ]

/// The tests of this file.
let tests =
    testCase "the prompt prints values"
    <| fun () ->
        let input =
            [ for typed, _ in dialogue do
                  typed
              "#quit;;" ]
            |> String.concat "\n"

        let ended = Child.succeeding (options.Value @ [ Child.using ]) (input + "\n")

        Expect.equal ended.Error "" "nothing on the error output"

        for typed, answered in dialogue do
            Expect.stringContains (ended.Output.Replace("\r\n", "\n")) answered typed
