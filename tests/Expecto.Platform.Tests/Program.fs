module LocalAttention.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    match List.ofArray arguments with
    | "--suite" :: name :: rest -> runTestsWithCLIArgs [] (Array.ofList rest) (Suites.find name)
    | _ -> runTestsWithCLIArgs [] arguments (testList "provider" [ Vocabulary.tests; Runs.tests ])
