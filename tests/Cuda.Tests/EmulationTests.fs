/// The emulation itself: right kernels give right results, and each kind of error is found and named.
module LocalAttention.Cuda.Tests.EmulationTests

open System
open Expecto
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Cuda.Emulation
open LocalAttention.Oracle
open TorchSharp

/// Kernels of these tests alone: right ones first, then one for each error.
let private source =
    """#include "Device.cuh"

KERNEL doubled(const float* __restrict__ x, float* __restrict__ y, int count) {
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count) y[index] = 2.0f * x[index];
}

KERNEL extents(int* __restrict__ y, long long step) {
    const long long block = blockIdx.x + static_cast<long long>(gridDim.x) * (blockIdx.y + gridDim.y * blockIdx.z);
    y[block * blockDim.x + threadIdx.x] = static_cast<int>(1000 * blockIdx.z + 100 * blockIdx.y + 10 * blockIdx.x + step);
}

KERNEL turned(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    __syncthreads();
    y[thread] = shared[(thread + blockDim.x - 1) % blockDim.x];
}

KERNEL turned_in_warps(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x, first = thread / WARP * WARP;
    for (int step = 0; step < 3; step++) {
        shared[thread] = x[thread] + step;
        __syncwarp();
        y[thread] = shared[first + (thread + 1) % WARP];
        __syncwarp();
    }
}

KERNEL in_packs(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(16);
    const int at = threadIdx.x * 4;
    Pack<float, 4> pack = load<4>(x + at);
    shared.store<4>(at, pack);
    shared[at + 1] += 1.0f;
    shared[at + 2] = shared[at + 3];
    store(y + at, shared.load<4>(at));
}

KERNEL shuffled(const int* __restrict__ x, int* __restrict__ y) {
    const int lane = threadIdx.x;
    int* row = y + lane;
    const int value = x[lane];
    row[0] = __shfl_sync(ALL_LANES, value, 5);
    row[32] = __shfl_sync(ALL_LANES, value, lane + 3, 8);
    row[64] = __shfl_xor_sync(ALL_LANES, value, 6);
    row[96] = __shfl_up_sync(ALL_LANES, value, 3, 16);
    row[128] = __shfl_down_sync(ALL_LANES, value, 3, 16);
    row[160] = static_cast<int>(__ballot_sync(ALL_LANES, value % 3 == 0));
    row[192] = __any_sync(ALL_LANES, value == 7) + 2 * __all_sync(ALL_LANES, value < 40);
    row[224] = static_cast<int>(sum_over<4>(static_cast<float>(value)));
    row[256] = static_cast<int>(largest_over<32>(static_cast<float>(-value)));
}

KERNEL widened(const half* __restrict__ x, float* __restrict__ y) {
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    y[index] = to_float(x[index]);
}

KERNEL narrowed(const float* __restrict__ x, half* __restrict__ y) {
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    y[index] = element_of<half>(x[index]);
}

// A product of 16×16 and 16×8, from rows and columns as Device.cuh lays them out.
template <typename T>
DEVICE void multiply(const T* a, const T* b, float* d) {
    const int g = threadIdx.x / 4, t = threadIdx.x % 4;
    unsigned left[4], right[2];
    for (int word = 0; word < 4; word++) {
        const T* from = a + (g + word % 2 * 8) * 16 + 2 * t + word / 2 * 8;
        left[word] = word_of(from[0], from[1]);
    }
    for (int word = 0; word < 2; word++) {
        const T* from = b + (2 * t + word * 8) * 8 + g;
        right[word] = word_of(from[0], from[8]);
    }
    float sums[4];
    for (int index = 0; index < 4; index++) sums[index] = 0.5f;
    multiply_add(sums, left, right, T());
    for (int index = 0; index < 4; index++) d[(g + index / 2 * 8) * 8 + 2 * t + index % 2] = sums[index];
}

KERNEL multiplied_half(const half* __restrict__ a, const half* __restrict__ b, float* __restrict__ d) { multiply(a, b, d); }

KERNEL multiplied_bfloat16(const bfloat16* __restrict__ a, const bfloat16* __restrict__ b, float* __restrict__ d) {
    multiply(a, b, d);
}

KERNEL race_of_read(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    __syncthreads();
    shared[thread] = 2.0f * x[thread];
    y[thread] = shared[(thread + 32) % 64];
}

KERNEL race_of_write(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread / 2] = x[thread];
    __syncthreads();
    y[thread] = shared[thread / 2];
}

KERNEL race_after_read(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    __syncthreads();
    y[thread] = shared[(thread + 1) % 64];
    shared[thread] = 0.0f;
}

KERNEL race_in_warp(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    y[thread] = __shfl_xor_sync(ALL_LANES, 1.0f, 1) + shared[thread ^ 1];
}

KERNEL warps_apart(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = 0.0f;
    __syncthreads();
    shared[thread] = x[thread];
    __syncwarp();
    y[thread] = shared[(thread + 32) % 64];
}

KERNEL unwritten_shared(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    if (thread != 9) shared[thread] = x[thread];
    __syncthreads();
    y[thread] = shared[thread];
}

KERNEL beyond_shared(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread + 1] = x[thread];
    __syncthreads();
    y[thread] = shared[thread + 1];
}

KERNEL misaligned_shared(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    if (thread < 15) shared.store<4>(4 * thread + 1, load<4>(x + 4 * thread));
    __syncthreads();
    y[thread] = 0.0f;
}

KERNEL two_barriers(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    if (thread < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    y[thread] = x[thread];
}

KERNEL early_end(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread] = x[thread];
    if (thread >= 40) return;
    __syncthreads();
}

KERNEL divergent_shuffle(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    float value = x[thread];
    if (thread % 32 < 16) value += __shfl_xor_sync(ALL_LANES, value, 1);
    y[thread] = value;
}

KERNEL shuffle_of_few(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread] = thread % 32 < 16 ? __shfl_xor_sync(0x0000ffffu, x[thread], 1) : 0.0f;
}

KERNEL read_beyond(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread] = x[thread + 1];
}

KERNEL read_before(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread] = x[thread - 1];
}

KERNEL written_beyond(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread + 3] = x[thread];
}

KERNEL misaligned(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    const Pack<float, 2> pack = load<2>(x + min(thread * 2 + 1, 61));
    y[thread] = pack.at[0];
}

KERNEL overflow(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    const int large = 0x7fffff00 + thread * 8;
    y[thread] = x[thread] + static_cast<float>(large);
}

KERNEL unwritten(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    if (thread != 17) y[thread] = x[thread];
}

KERNEL ordered(const float* __restrict__ x, float* __restrict__ y) {
    y[threadIdx.x / 32] = x[threadIdx.x];
    y[threadIdx.x] = x[0];
}

KERNEL never_ends(const float* __restrict__ x, float* __restrict__ y) {
    y[threadIdx.x] = x[threadIdx.x];
    while (gridDim.x > 0) blockDim.y++;
}
"""

let private deviceOf (text: string) =
    new EmulatedDevice(sources = readOnlyDict [ "Example.cu", text ])

let private device = deviceOf source

let private read (tensor: torch.Tensor) = CudaArgument.Read tensor
let private write (tensor: torch.Tensor) = CudaArgument.Write tensor

let private launchOf (device: EmulatedDevice) name (grid: CudaGrid) (arguments: CudaArgument list) =
    device.Launch(CudaKernel("Example.cu", name, ""), grid, ReadOnlySpan(Array.ofList arguments))

let private launch name grid arguments = launchOf device name grid arguments

/// One block.
let private block threads shared = CudaGrid(1L, 1, 1, threads, shared)

let private floats (tensor: torch.Tensor) = tensor.data<float32>().ToArray()

let private singles (values: float32 array) : torch.Tensor = torch.tensor values

/// The numbers 0, 1, 2, ….
let private counted (count: int) = singles (Array.init count float32)

let private right =
    testList
        "right kernels"
        [ testCase "threads and blocks cover an array"
          <| fun () ->
              use x = counted 100
              use y = torch.empty_like x
              launch "doubled" (CudaGrid(4L, 1, 1, 32, 0)) [ read x; write y; CudaArgument.op_Implicit 100 ]
              Expect.sequenceEqual (floats y) (Array.init 100 (fun i -> 2.0f * float32 i)) "doubled"

          testCase "every block of a grid runs, and knows which it is"
          <| fun () ->
              use y = torch.zeros (3L * 4L * 2L * 32L, dtype = torch.ScalarType.Int32)
              launch "extents" (CudaGrid(3L, 4, 2, 32, 0)) [ write y; CudaArgument.op_Implicit 7L ]

              let expected =
                  [ for z in 0..1 do
                        for y in 0..3 do
                            for x in 0..2 do
                                for _ in 1..32 -> 1000 * z + 100 * y + 10 * x + 7 ]

              Expect.sequenceEqual (y.data<int>().ToArray()) expected "blocks"

          testCase "a barrier stands between a write and another thread's read"
          <| fun () ->
              use x = counted 96
              use y = torch.empty_like x

              for seed in 0L .. 4L do
                  device.Seed <- seed
                  launch "turned" (block 96 384) [ read x; write y ]
                  Expect.sequenceEqual (floats y) (Array.init 96 (fun i -> float32 ((i + 95) % 96))) "turned"

          testCase "within a warp, __syncwarp does"
          <| fun () ->
              use x = counted 64
              use y = torch.empty_like x
              launch "turned_in_warps" (block 64 256) [ read x; write y ]

              Expect.sequenceEqual
                  (floats y)
                  (Array.init 64 (fun i -> float32 (i / 32 * 32 + (i + 1) % 32 + 2)))
                  "turned"

          testCase "packs and single elements are one memory"
          <| fun () ->
              use x = counted 128
              use y = torch.empty_like x
              launch "in_packs" (block 32 528) [ read x; write y ]

              Expect.sequenceEqual
                  (floats y)
                  (Array.init 128 (fun i ->
                      match i % 4 with
                      | 1
                      | 2 -> float32 (i + 1)
                      | _ -> float32 i))
                  "packed"

          testCase "lanes exchange numbers"
          <| fun () ->
              let value lane = (lane * 7 + 3) % 32
              let x: torch.Tensor = torch.tensor (Array.init 32 value)
              use x = x
              use y = torch.empty (9L * 32L, dtype = torch.ScalarType.Int32)
              launch "shuffled" (block 32 0) [ read x; write y ]

              let bits =
                  List.sum [ for lane in 0..31 -> if value lane % 3 = 0 then 1u <<< lane else 0u ]

              let expected =
                  [ fun _ -> value 5
                    fun lane -> value (lane / 8 * 8 + (lane + 3) % 8)
                    fun lane -> value (lane ^^^ 6)
                    fun lane -> value (if lane % 16 < 3 then lane else lane - 3)
                    fun lane -> value (if lane % 16 > 12 then lane else lane + 3)
                    fun _ -> int bits
                    fun _ -> 3
                    fun lane -> List.sum [ for other in 0..3 -> value (lane / 4 * 4 + other) ]
                    fun _ -> 0 ]
                  |> List.collect (fun row -> List.map row [ 0..31 ])

              Expect.sequenceEqual (y.data<int>().ToArray()) expected "shuffled" ]

let private halves =
    testList
        "float16"
        [ testCase "every number widens as .NET has it"
          <| fun () ->
              let all = Array.init 65536 (fun bits -> BitConverter.UInt16BitsToHalf(uint16 bits))
              let x: torch.Tensor = torch.tensor all
              use x = x
              use y = torch.empty (65536L, dtype = torch.ScalarType.Float32)
              launch "widened" (CudaGrid(256L, 1, 1, 256, 0)) [ read x; write y ]
              let actual = floats y

              for bits in 0..65535 do
                  let expected = float32 all[bits]

                  if not (Single.IsNaN expected && Single.IsNaN actual[bits]) then
                      Expect.equal
                          (BitConverter.SingleToUInt32Bits actual[bits])
                          (BitConverter.SingleToUInt32Bits expected)
                          $"bits {bits:X4}"

          testCase "numbers, what is half way between two, and what is beside that, narrow as .NET has it"
          <| fun () ->
              // Of one sign: every number's midpoint to the next, the numbers beside it, the number itself and a random one.
              let random = Random 5

              // A NaN's payload could be the one that unwritten memory is filled with.
              let anyNumber () =
                  let number = BitConverter.UInt32BitsToSingle(uint32 (random.NextInt64 0x100000000L))
                  if Single.IsNaN number then 0.0f else number

              let values =
                  [| for bits in 0us .. 0x7C00us do
                         let number = float32 (BitConverter.UInt16BitsToHalf bits)

                         let next =
                             if bits >= 0x7BFFus then
                                 65536.0f
                             else
                                 float32 (BitConverter.UInt16BitsToHalf(bits + 1us))

                         let middle =
                             if Single.IsInfinity number then
                                 number
                             else
                                 number + (next - number) / 2.0f

                         number
                         middle
                         MathF.BitIncrement middle
                         -(MathF.BitDecrement middle)
                         -middle
                         anyNumber ()
                         -number
                         Single.NaN |]

              let padded = Array.append values (Array.zeroCreate (-values.Length &&& 255))
              use x = singles padded
              use y = torch.empty (int64 padded.Length, dtype = torch.ScalarType.Float16)
              launch "narrowed" (CudaGrid(int64 padded.Length / 256L, 1, 1, 256, 0)) [ read x; write y ]
              let actual = y.data<Half>().ToArray()

              for index in 0 .. padded.Length - 1 do
                  let expected = Half.op_Explicit padded[index]

                  if not (Half.IsNaN expected && Half.IsNaN actual[index]) then
                      Expect.equal
                          (BitConverter.HalfToUInt16Bits actual[index])
                          (BitConverter.HalfToUInt16Bits expected)
                          $"{padded[index]:R}" ]

/// Whole numbers, so that sums are exact.
let private products =
    testList
        "products on tensor cores"
        [ for elementType, name in
              [ torch.ScalarType.Float16, "multiplied_half"
                torch.ScalarType.BFloat16, "multiplied_bfloat16" ] do
              testCase $"{name} is the plain product"
              <| fun () ->
                  let whole name (shape: int array) =
                      let numbers =
                          Counter.numbers name (Array.reduce (*) shape)
                          |> Array.map (fun u -> round (u * 9.0))

                      let doubles: torch.Tensor =
                          torch.tensor (numbers, ReadOnlySpan(Array.map int64 shape))

                      doubles

                  use a = whole "a" [| 16; 16 |]
                  use b = whole "b" [| 16; 8 |]
                  use expected = (a.matmul b).add(torch.tensor 0.5)
                  use d = torch.empty (16L, 8L, dtype = torch.ScalarType.Float32)

                  launch
                      name
                      (block 32 0)
                      [ read (a.``to`` elementType); read (b.``to`` elementType); write d ]

                  Expect.sequenceEqual
                      (Array.map float (floats d))
                      (expected.data<float>().ToArray())
                      "product" ]

/// A launch of 64 threads that reads 64 numbers, with 256 bytes of shared memory, must fail with such texts.
let private fails name (expected: string list) =
    testCase (name: string)
    <| fun () ->
        use x = counted 64
        use y = torch.empty_like x

        let error =
            try
                launch name (block 64 256) [ read x; write y ]
                failtest "nothing was found"
            with :? CudaException as error ->
                error.Message

        for text in expected do
            if not (error.Contains text) then
                failtest $"'{text}' is not in:\n{error}"

let private line (text: string) =
    let before = source[.. source.IndexOf(text, StringComparison.Ordinal)]
    $"Example.cu:{1 + Seq.length (Seq.filter ((=) '\n') before)}"

let private wrong =
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
              [ "lanes of a warp diverge"; "wait in __shfl_xor_sync at Example.cu"; " ended" ]
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

let private refusal (launch: unit -> unit) =
    try
        launch ()
        failtest "nothing was refused"
    with :? CudaException as error ->
        error.Message

let private launches =
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
                      (refusal (fun () -> launch "turned" grid [ read x; write y ]))
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
                      (refusal (fun () -> launch "turned" (block 64 256) arguments))
                      text
                      "refusal"

          testCase "an unknown kernel, and one that does not compile, say so"
          <| fun () ->
              use x = counted 32
              let unknown = refusal (fun () -> launch "absent" (block 32 0) [ read x ])
              Expect.stringContains unknown "there is no kernel absent" "unknown"

              use broken =
                  deviceOf "#include \"Device.cuh\"\nKERNEL broken(int count) { return count; }\n"

              let text =
                  refusal (fun () -> launchOf broken "broken" (block 32 0) [ CudaArgument.op_Implicit 1 ])

              Expect.stringContains text "Example.cu:2:" "compiler's line"

          testCase "a device works on after an error, and remembers its launches and questions"
          <| fun () ->
              use example = deviceOf source
              use x = counted 64
              use y = torch.empty_like x

              refusal (fun () -> launchOf example "unwritten" (block 64 0) [ read x; write y ])
              |> ignore

              launchOf example "turned" (block 64 256) [ read x; write y ]
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
              let text = refusal (fun () -> launch "in_packs" (block 32 528) [ read x; write y ])
              Expect.stringContains text "misaligned address" "packs of four"

          testCase "a kernel that never ends is ended"
          <| fun () ->
              use example = new EmulatedDevice(sources = readOnlyDict [ "Example.cu", source ])
              example.Patience <- TimeSpan.FromSeconds 1.0
              use x = counted 64
              use y = torch.empty_like x

              let text =
                  refusal (fun () -> launchOf example "never_ends" (block 64 0) [ read x; write y ])

              Expect.stringContains text "has not ended after 00:00:01" "what it did" ]

/// The tests of this file.
let tests = testList "emulation" [ right; halves; products; wrong; launches ]
