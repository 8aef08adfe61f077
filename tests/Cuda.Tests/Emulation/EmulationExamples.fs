/// A device for the kernels of Right.cu and Wrong.cu, and what their launches need.
module LocalAttention.Cuda.Tests.EmulationExamples

open System
open System.IO
open Expecto
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Cuda.Emulation
open TorchSharp

let private textOf name =
    File.ReadAllText(Path.Combine(__SOURCE_DIRECTORY__, name))

/// The text of the kernels with errors.
let wrongText = textOf "Wrong.cu"

/// A device with these kernels, or others.
let deviceOf sources =
    new EmulatedDevice(sources = readOnlyDict sources)

/// The two files.
let examples = [ "Right.cu", textOf "Right.cu"; "Wrong.cu", wrongText ]

/// The device with both files.
let device = deviceOf examples

/// A tensor as a kernel's parameter.
let read (tensor: torch.Tensor) = CudaArgument.Read tensor

/// A tensor as a kernel's result.
let write (tensor: torch.Tensor) = CudaArgument.Write tensor

/// Launches a kernel of a file.
let launchOn (device: EmulatedDevice) file name (grid: CudaGrid) (arguments: CudaArgument list) =
    device.Launch(CudaKernel(file, name, ""), grid, ReadOnlySpan(Array.ofList arguments))

/// Launches a kernel of Right.cu.
let launch name grid arguments =
    launchOn device "Right.cu" name grid arguments

/// One block.
let block threads shared = CudaGrid(1L, 1, 1, threads, shared)

/// The numbers of a tensor.
let floats (tensor: torch.Tensor) = tensor.data<float32>().ToArray()

/// A tensor of these numbers.
let singles (values: float32 array) : torch.Tensor = torch.tensor values

/// The numbers 0, 1, 2, ….
let counted (count: int) = singles (Array.init count float32)

/// What a launch fails with.
let failureOf (launch: unit -> unit) =
    try
        launch ()
        failtest "nothing was found"
    with :? CudaException as error ->
        error.Message
