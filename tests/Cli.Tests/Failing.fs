/// What is wrong with a command line or a file: texts and exit codes.
module LocalAttention.Cli.Tests.Failing

open System
open System.IO
open Expecto
open LocalAttention.Cli
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Core.Checkpoints
open LocalAttention.Dsl

let private lines =
    testList
        "command lines"
        [ for arguments, wanted in
              [ [], "Required command was not provided"
                [ "lst" ], "list"
                [ "show" ], "Required argument missing"
                [ "show"; "a"; "b" ], "Unrecognized command or argument 'b'"
                [ "show"; "swin-tiny"; "--batch"; "many" ], "many"
                [ "forward"; "swin-tiny" ], "--input"
                [ "forward"; "swin-tiny"; "--input"; "a"; "--output"; "b"; "--backend"; "gpu" ], "'gpu'"
                [ "completion"; "tcsh" ], "'tcsh'" ] do
              let line = String.Join(' ', arguments)

              testCase $"'{line}'"
              <| fun () ->
                  let said = refused arguments
                  Expect.stringContains said wanted "what is wrong"
                  Expect.stringContains said "--help' says more." "where to look" ]

let private models =
    testList
        "models"
        [ testCase "a name that is nearly right"
          <| fun () ->
              Expect.equal
                  (refused([ "show"; "swin-tinny" ]).TrimEnd())
                  ("localattention: There is no model 'swin-tinny' in the zoo, and no file of that name; the nearest names are "
                   + "swin-tiny, cswin-tiny, swin-small.")
                  "the message"

          testCase "a file that is not there"
          <| fun () ->
              Expect.stringContains
                  (refused [ "show"; "nowhere/mine.json" ])
                  "There is no file 'nowhere/mine.json'."
                  "the message"

          testCase "a folder"
          <| inFolder (fun folder ->
              Expect.stringContains
                  (refused [ "show"; folder ])
                  "is a folder; name a model of the zoo"
                  "the message")

          testCase "JSON that is no specification"
          <| inFolder (fun folder ->
              let path = file folder "mine.json"

              for json, wanted in [ "{", "mine.json"; "[]", "mine.json"; "{ \"name\": \"x\" }", "stem" ] do
                  File.WriteAllText(path, json)
                  Expect.stringContains (refused [ "show"; path ]) wanted json)

          testCase "a checkpoint without an architecture"
          <| inFolder (fun folder ->
              let path = file folder "bare.safetensors"
              SafetensorsFile.Write(path, [ struct ("a", TorchSharp.torch.zeros 3L) ])

              Expect.stringContains
                  (refused [ "show"; path ])
                  "the metadata holds no architecture"
                  "the message")

          testCase "a file that is nothing that is known"
          <| inFolder (fun folder ->
              let path = file folder "noise.bin"
              File.WriteAllBytes(path, Array.init 64 (fun index -> byte (index * 37 + 5)))
              Expect.stringContains (refused [ "show"; path ]) "noise.bin" "the message names the file")

          testCase "no name of the zoo matches"
          <| fun () ->
              Expect.stringContains
                  (refused [ "list"; "slide*x" ])
                  "No name of the zoo matches 'slide*x'"
                  "a pattern"

              Expect.stringContains
                  (refused [ "list"; "swin-tinny" ])
                  "the nearest names are swin-tiny"
                  "a name"

          testCase "sizes"
          <| fun () ->
              for size in [ "0"; "-1"; "2x"; "2x3x4"; "large" ] do
                  Expect.stringContains
                      (refused [ "show"; "swin-tiny"; $"--size={size}" ])
                      $"'{size}' is no image size; give a side, as 224, or height and width, as 480x640."
                      size

          testCase "forms that exclude each other, and scripts that are not there"
          <| fun () ->
              Expect.stringContains
                  (refused [ "sweep"; "a.fsx"; "--csv"; "--markdown" ])
                  "give one of them"
                  "two forms"

              Expect.stringContains (refused [ "sweep"; "a.fsx" ]) "There is no script 'a.fsx'." "no script" ]

let private machine =
    testList
        "JSON and exit codes"
        [ testCase "an error is one JSON value as well"
          <| fun () ->
              for arguments in [ [ "show"; "nothing"; "--json" ]; [ "lst"; "--json" ]; [ "show"; "--json" ] ] do
                  let ended = call arguments
                  Expect.equal ended.Code 2 "the exit code"
                  Expect.equal (number [ "exitCode" ] ended.Json) 2L "the exit code in it"
                  Expect.isNotEmpty (text [ "error" ] ended.Json) "the message"

          testCase "a folder that cannot be written to is the machine's"
          <| fun () ->
              let error = CheckpointException("a", "b", UnauthorizedAccessException "c")
              Expect.equal (Refusal.ofException error).ExitCode ExitCode.Broken "the code"

              Expect.equal
                  (Refusal.ofException (CheckpointException("a", "b"))).ExitCode
                  ExitCode.Wrong
                  "damage is the file's"

          testCase "what nobody foresaw says what it is and how to learn more"
          <| fun () ->
              let told = Refusal.ofException (InvalidOperationException "odd")
              Expect.equal told.ExitCode ExitCode.Broken "the code"

              Expect.equal
                  told.Message
                  "unexpected: odd (InvalidOperationException); LOCALATTENTION_TRACE=1 shows where"
                  "the message"

          testCase "interruptions and what is wrapped"
          <| fun () ->
              Expect.equal
                  (Refusal.ofException (OperationCanceledException())).ExitCode
                  ExitCode.Interrupted
                  "interrupted"

              let inside = InputException "inside"
              Expect.equal (Refusal.ofException (AggregateException inside)).Message "inside" "of a task"

              Expect.equal
                  (Refusal.ofException (Reflection.TargetInvocationException inside)).Message
                  "inside"
                  "of a call by reflection"

          testCase "a parameter's name is nobody's business"
          <| fun () ->
              let told = Refusal.ofException (ArgumentException("use 3", "batch"))
              Expect.equal told.Message "use 3" "the message"
              Expect.equal told.ExitCode ExitCode.Wrong "the code" ]

/// The tests of this file.
let tests = testList "failing" [ lines; models; machine ]
