/// Each kind of error is found, and the text says where it is.
module LocalAttention.Cuda.Tests.EmulationErrors

open System
open Expecto
open LocalAttention.Cuda.Tests.EmulationExamples
open TorchSharp

/// A launch of 64 threads that reads 64 numbers, with 256 bytes of shared memory, must fail with such texts.
let private fails name (expected: string list) =
    testCase (name: string)
    <| fun () ->
        use x = counted 64
        use y = torch.empty_like x

        let text =
            failureOf (fun () -> launchOn device "Wrong.cu" name (block 64 256) [ read x; write y ])

        for part in expected do
            Expect.stringContains text part "the error"

/// Where a line stands that begins so.
let private line (text: string) =
    let before = wrongText[.. wrongText.IndexOf(text, StringComparison.Ordinal)]
    $"Wrong.cu:{1 + Seq.length (Seq.filter ((=) '\n') before)}"

/// The tests of this file.
let tests =
    testList
        "errors"
        [ fails
              "race_of_read"
              [ "race in shared memory"
                line "shared[thread] = 2.0f"
                "block (0, 0, 0), thread" ]
          fails "race_of_write" [ "race in shared memory"; "writes byte"; line "shared[thread / 2] = x" ]
          fails
              "race_after_read"
              [ "race in shared memory"
                line "y[thread] = shared[(thread + 1) % 64]"
                line "shared[thread] = 0.0f" ]
          fails "race_in_warp" [ "race in shared memory"; line "__shfl_xor_sync(ALL_LANES, 1.0f" ]
          fails "warps_apart" [ "race in shared memory"; "no barrier between" ]
          fails
              "unwritten_shared"
              [ "thread 9: reads shared memory that no thread of the block has written, byte 36" ]
          fails
              "beyond_shared"
              [ "thread 63: writes 4 bytes of shared memory at byte 256, where the launch has 256" ]
          fails "misaligned_shared" [ "writes 16 bytes of shared memory"; "misaligned" ]
          fails
              "two_barriers"
              [ "threads of a block diverge: threads 0 to 31 wait in __syncthreads at"
                "; threads 32 to 63" ]
          fails
              "early_end"
              [ "lanes of a warp diverge: threads 32 to 39 wait in __syncthreads"
                "threads 40 to 63 ended" ]
          fails
              "divergent_shuffle"
              [ "lanes of a warp diverge"; "wait in __shfl_xor_sync at Wrong.cu"; " ended" ]
          fails "shuffle_of_few" [ "__shfl_xor_sync is not called for all lanes" ]
          fails
              "read_beyond"
              [ "thread 63"
                "heap-buffer-overflow"
                "READ of size 4"
                line "y[thread] = x[thread + 1]" ]
          fails "read_before" [ "thread 0"; "heap-buffer-overflow"; "READ of size 4" ]
          fails "written_beyond" [ "heap-buffer-overflow"; "WRITE of size 4"; "parameter 2 has 256 bytes" ]
          fails "misaligned" [ "misaligned address"; "thread " ]
          fails "overflow" [ "signed integer overflow"; "thread " ]
          fails "unwritten" [ "element 17 of parameter 2 is not written" ]
          fails "ordered" [ "depends on the order of threads" ] ]
