/// The emulation itself: right kernels give right results, and each kind of error is found and named.
module LocalAttention.Cuda.Tests.EmulationTests

open System
open Expecto
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Cuda.Emulation
open LocalAttention.Oracle
open TorchSharp

/// Kernels of this file alone.
let private source =
    """// Kernels that are right, and kernels with one error each.
#include "Device.cuh"

KERNEL doubled(const float* __restrict__ x, float* __restrict__ y, int count) {
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count) y[index] = 2.0f * x[index];
}

// Each thread's left neighbour, through shared memory.
KERNEL turned(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    __syncthreads();
    y[thread] = shared[(thread + blockDim.x - 1) % blockDim.x];
}

KERNEL race(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    y[thread] = shared[(thread + blockDim.x - 1) % blockDim.x];
}
"""

let private deviceOf (text: string) =
    new EmulatedDevice(sources = readOnlyDict [ "Example.cu", text ])

let private device = deviceOf source

let private kernel name = CudaKernel("Example.cu", name, "")

let private grid (blocks: int64) threads shared = CudaGrid(blocks, 1, 1, threads, shared)

let private launch name (grid: CudaGrid) (arguments: CudaArgument list) =
    device.Launch(kernel name, grid, ReadOnlySpan(Array.ofList arguments))

let private right =
    testList
        "right kernels"
        [ testCase "threads and blocks cover an array"
          <| fun () ->
              use x = torch.arange 100
              use x = x.``to`` torch.ScalarType.Float32
              use y = torch.empty_like x
              launch "doubled" (grid 4 32 0) [ CudaArgument.Read x; CudaArgument.Write y; CudaArgument.op_Implicit 100 ]
              Expect.sequenceEqual (y.data<float32>().ToArray()) (Array.init 100 (fun i -> 2.0f * float32 i)) "doubled" ]

/// The tests of this file.
let tests = testList "emulation" [ right ]
