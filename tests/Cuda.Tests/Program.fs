module LocalAttention.Cuda.Tests.Program

open Expecto
open TorchSharp

[<EntryPoint>]
let main arguments =
    torch.set_num_threads 1

    match List.ofArray arguments with
    | first :: work when first = Finding.argument -> Finding.run work
    | _ ->
        // Kernels are tested side by side; what starts programs and measures them, one by
        // one; and last what looks back at all of them.
        let alone =
            [ EmulationTests.tests
              Launching.tests
              DriverErrors.tests
              Compiling.tests
              TuningTests.tests
              Finding.tests
              DeviceCode.tests ]

        [ CompiledModelTests.tests
          NeighbourhoodTests.tests
          QnATests.tests
          SlideTests.tests
          WindowTests.tests
          WideHeads.tests
          yield! List.map testSequenced alone ]
        |> testList "cuda"
        |> runTestsWithCLIArgs [] arguments
