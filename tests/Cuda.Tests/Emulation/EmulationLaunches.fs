/// What a launch may ask for, what it says when it cannot be, and what the device remembers.
module LocalAttention.Cuda.Tests.EmulationLaunches

open System
open Expecto
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Cuda.Tests.EmulationExamples
open TorchSharp

/// The tests of this file.
let tests =
    testList
        "launches"
        [ testCase "what a device refuses is refused"
          <| fun () ->
              use x = counted 64
              use y = torch.empty_like x

              for grid, text in
                  [ CudaGrid(0L, 1, 1, 64, 0), "0 blocks along x"
                    CudaGrid(1L, 65536, 1, 64, 0), "65536 blocks along y"
                    CudaGrid(1L, 1, 0, 64, 0), "0 blocks along z"
                    CudaGrid(1L, 1, 1, 48, 0), "48 threads"
                    CudaGrid(1L, 1, 1, 2048, 0), "2048 threads"
                    CudaGrid(1L, 1, 1, 64, 232449), "232449 bytes of shared memory, of 232448" ] do
                  Expect.stringContains
                      (failureOf (fun () -> launch "turned" grid [ read x; write y ]))
                      text
                      "refusal"

          testCase "arguments are of the parameters' types and number"
          <| fun () ->
              use x = counted 64
              use y = torch.empty_like x
              use halves = x.``to`` torch.ScalarType.Float16

              for arguments, text in
                  [ [ read x ], "has 2 parameters and gets 1"
                    [ write x; write y ],
                    "parameter 1 is a tensor to read of float and gets a tensor to write of float"
                    [ read halves; write y ],
                    "parameter 1 is a tensor to read of float and gets a tensor to read of half"
                    [ read x; CudaArgument.op_Implicit 3 ],
                    "parameter 2 is a tensor to write of float and gets an int" ] do
                  Expect.stringContains
                      (failureOf (fun () -> launch "turned" (block 64 256) arguments))
                      text
                      "refusal"

          testCase "what a kernel changes is nobody else's memory"
          <| fun () ->
              use x = counted 128
              use first = x.narrow (0L, 0L, 64L)
              use second = x.narrow (0L, 63L, 64L)

              let text =
                  failureOf (fun () -> launch "turned" (block 64 256) [ read first; write second ])

              Expect.stringContains text "parameter 2 is changed and shares memory with 1" "refusal"

          testCase "an unknown kernel, and one that does not compile, say so"
          <| fun () ->
              use x = counted 32
              let unknown = failureOf (fun () -> launch "absent" (block 32 0) [ read x ])
              Expect.stringContains unknown "there is no kernel absent" "unknown"

              use broken =
                  deviceOf
                      [ "Broken.cu", "#include \"Device.cuh\"\nKERNEL broken(int count) { return count; }\n" ]

              let text =
                  failureOf (fun () ->
                      launchOn broken "Broken.cu" "broken" (block 32 0) [ CudaArgument.op_Implicit 1 ])

              Expect.stringContains text "Broken.cu:2:" "compiler's line"

          testCase "an element of shared memory cannot be kept unread"
          <| fun () ->
              use kept =
                  deviceOf
                      [ "Kept.cu",
                        "#include \"Device.cuh\"\nKERNEL kept(float* y) { auto x = Shared<float>(0)[1]; y[0] = x; }\n" ]

              use y = counted 1

              let text =
                  failureOf (fun () -> launchOn kept "Kept.cu" "kept" (block 32 16) [ write y ])

              Expect.stringContains text "Kept.cu:2:" "compiler's line"

          testCase "a device works on after an error, and remembers its launches and questions"
          <| fun () ->
              use example = deviceOf examples
              use x = counted 64
              use y = torch.empty_like x

              failureOf (fun () -> launchOn example "Wrong.cu" "unwritten" (block 64 0) [ read x; write y ])
              |> ignore

              launchOn example "Right.cu" "turned" (block 64 256) [ read x; write y ]
              Expect.equal (Array.head (floats y)) 63.0f "turned"

              Expect.sequenceEqual
                  [ for launch in example.Launches -> launch.Kernel.Function ]
                  [ "unwritten"; "turned" ]
                  "launches"

              example.Way <- 2
              let run = Action<int>(fun _ -> failtest "nothing is measured")
              Expect.equal (example.Choose("tiles", 4, run)) 2 "the way asked for"
              Expect.equal (example.Choose("rows", 2, run)) 1 "the last way"

              Expect.sequenceEqual
                  [ for question in example.Questions -> question.Question, question.Count ]
                  [ "tiles", 4; "rows", 2 ]
                  "questions"

          testCase "a tensor stands as far beyond an aligned address as its storage says"
          <| fun () ->
              use whole = counted 129
              use x = whole.narrow (0L, 1L, 128L)
              use y = torch.empty_like x
              launch "doubled" (CudaGrid(4L, 1, 1, 32, 0)) [ read x; write y; CudaArgument.op_Implicit 128 ]
              Expect.equal (Array.last (floats y)) 256.0f "doubled"

              let text =
                  failureOf (fun () -> launch "in_packs" (block 32 528) [ read x; write y ])

              Expect.stringContains text "misaligned address" "packs of four"

          testCase "a kernel that never ends is ended"
          <| fun () ->
              use example = deviceOf examples
              example.Patience <- TimeSpan.FromSeconds 1.0
              use x = counted 64
              use y = torch.empty_like x

              let text =
                  failureOf (fun () ->
                      launchOn example "Wrong.cu" "never_ends" (block 64 0) [ read x; write y ])

              Expect.stringContains text "has not ended after 00:00:01" "what it did" ]
