module LocalAttention.Oracle.Tests.Program

open System.Reflection
open Expecto
open LocalAttention.Oracle.Tests

/// The tests of DiffSharp's numbers, which are only there where that package is.
let private ofProvider =
    let provider =
        Assembly.GetExecutingAssembly().GetType "LocalAttention.Oracle.Tests.DiffSharpTests"

    match provider with
    | null -> []
    | provider ->
        match provider.GetProperty "tests" with
        | null -> []
        | tests -> [ tests.GetValue null :?> Test ]

[<EntryPoint>]
let main arguments =
    [ NumberTests.tests; LayerGoldens.tests; LayerProperties.tests ] @ ofProvider
    |> testList "oracle"
    |> runTestsWithCLIArgs [] arguments
