module LocalAttention.Cuda.Tests.Program

open Expecto
open TorchSharp

[<EntryPoint>]
let main arguments =
    torch.set_num_threads 1

    // Each kernel's process computes on one thread; the device and its ways belong to the process.
    match List.ofArray arguments with
    | first :: work when first = Finding.argument -> Finding.run work
    | _ ->
        [ EmulationTests.tests
          CompiledModelTests.tests
          NeighbourhoodTests.tests
          QnATests.tests
          SlideTests.tests
          WindowTests.tests
          Launching.tests
          DriverErrors.tests
          Compiling.tests
          TuningTests.tests
          Finding.tests ]
        |> testList "cuda"
        |> testSequenced
        |> runTestsWithCLIArgs [] arguments
