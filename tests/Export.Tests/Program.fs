module LocalAttention.Export.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    let runtime = lazy (new Runtime.Runtime())

    // One after the other: there is one process that runs the files.
    let failures =
        [ Families.tests runtime
          Generated.tests runtime
          Contents.tests
          Refusals.tests ]
        |> testList "export"
        |> testSequenced
        |> runTestsWithCLIArgs [] arguments

    if runtime.IsValueCreated then
        (runtime.Value :> System.IDisposable).Dispose()

    failures
