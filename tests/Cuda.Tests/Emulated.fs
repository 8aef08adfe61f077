/// How a test runs kernels on the host.
module LocalAttention.Cuda.Tests.Emulated

open System
open System.Threading
open LocalAttention.Core.Kernels
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Cuda.Emulation
open TorchSharp

// Tests run side by side, and which way a device takes belongs to a test: each thread has devices of its own. What one has
// compiled, the others find.
let private devices =
    new ThreadLocal<EmulatedDevice>((fun () -> new EmulatedDevice()), trackAllValues = true)

let private smallDevices =
    new ThreadLocal<EmulatedDevice>(fun () -> new EmulatedDevice(48 * 1024))

/// The device of this thread. Its programs are compiled once and stay.
let device () = devices.Value

/// A smaller one, with 48 KiB of shared memory for a block.
let smallDevice () = smallDevices.Value

/// Runs with a device's kernels: in layers, and where kernels are called directly.
let onDeviceOf (device: EmulatedDevice) (body: unit -> 'result) =
    use _ = CudaDevices.Play device
    use _ = Backends.Use Backend.FusedCuda
    body ()

/// Runs with the kernels of the device of this thread.
let onDevice body = onDeviceOf (device ()) body

/// Runs with the way of that number wherever a kernel has several, the last one where there are fewer.
let inWay (way: int) (body: unit -> 'result) =
    let device = device ()
    let before = device.Way
    device.Way <- way

    try
        body ()
    finally
        device.Way <- before

/// What a body launches on a device.
let launchesOf (device: EmulatedDevice) (body: unit -> unit) =
    let before = device.Launches.Count
    body ()
    device.Launches |> Seq.skip before |> List.ofSeq

/// The largest relative error of rounding a number to an element type.
let unitOf elementType =
    match elementType with
    | torch.ScalarType.Float32 -> Math.ScaleB(1.0, -24)
    | torch.ScalarType.Float16 -> Math.ScaleB(1.0, -11)
    | torch.ScalarType.BFloat16 -> Math.ScaleB(1.0, -8)
    | other -> invalidArg (nameof elementType) $"kernels do not take {other}"

/// Every kernel that the devices of this run have launched, by its file and constants.
let launched () =
    [ for device in devices.Values do
          for launch in device.Launches do
              launch.Kernel.File, launch.Kernel.Constants ]
    |> List.distinct
