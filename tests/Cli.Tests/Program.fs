module LocalAttention.Cli.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    match List.ofArray arguments with
    | Interrupting.Mode :: rest -> Interrupting.main (Array.ofList rest)
    | Training.Mode :: rest -> Training.main (Array.ofList rest)
    | _ ->
        // One after the other: commands belong to one program, and children take each other's processor.
        [ Looking.tests
          Scripting.tests
          Running.tests
          Converting.tests
          Helping.tests
          Failing.tests
          Interrupting.tests
          Training.tests
          Predicting.tests
          Verifying.tests ]
        |> testList "command line"
        |> testSequenced
        |> runTestsWithCLIArgs [] arguments
