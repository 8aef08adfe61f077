module LocalAttention.Kernels.Tests.Program

open Expecto
open TorchSharp

[<EntryPoint>]
let main arguments =
    torch.set_num_threads 2

    // The width, the threads and the backend belong to the process: one test at a time.
    [ testCase "widths"
      <| fun () -> Expect.isNonEmpty Harness.widths "this machine has at least scalars" ]
    |> testList "kernels"
    |> testSequenced
    |> runTestsWithCLIArgs [] arguments
