module LocalAttention.Core.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    [ testList "specification" [ Values.tests ] ]
    |> testList "core"
    |> runTestsWithCLIArgs [] arguments
