module LocalAttention.Kernels.Tests.Program

open Expecto
open TorchSharp

[<EntryPoint>]
let main arguments =
    torch.set_num_threads 2

    // The width, the threads and the backend belong to the process: one test at a time.
    match List.ofArray arguments with
    | first :: work when first = Guard.argument -> Guard.run work
    | _ ->
        [ Agreement.tests
          Inputs.tests
          Guard.tests
          HalfPrecision.tests
          SlideKernel.tests
          WindowKernel.tests
          QnAKernel.tests
          NeighbourhoodKernel.tests
          Dense.tests ]
        |> testList "kernels"
        |> testSequenced
        |> runTestsWithCLIArgs [] arguments
