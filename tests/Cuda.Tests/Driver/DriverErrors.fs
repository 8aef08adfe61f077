/// What a user reads when the driver, the compiler or the device is not as needed.
module LocalAttention.Cuda.Tests.DriverErrors

open System
open System.IO
open Expecto
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Kernels.Cuda.Driver
open LocalAttention.Cuda.Tests.StandIn

let private obstacleOf (standIn: StandIn) =
    match standIn.TryDriver() with
    | Ok _ -> failtest "the driver was loaded"
    | Error obstacle -> obstacle

let private loading =
    testList
        "no driver"
        [ testCase "a file that is not there"
          <| fun () ->
              let missing = Path.Combine(Path.GetTempPath(), "no-such-library.so")

              match CudaDriver.Load missing with
              | null, obstacle ->
                  nonNull obstacle
                  |> says [ "there is no CUDA driver"; CudaDriver.Variable; missing ]
              | _ -> failtest "loaded"
          testCase "a library of other functions"
          <| fun () ->
              use standIn = new StandIn([])

              match CudaDriver.Load standIn.CompilerFile with
              | null, obstacle -> nonNull obstacle |> says [ standIn.CompilerFile; "too old"; "11.2" ]
              | _ -> failtest "loaded"
          testCase "a driver that does not start"
          <| fun () ->
              use standIn = new StandIn([ "fail cuInit 803" ])

              obstacleOf standIn
              |> says [ "cuInit"; "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803"; "restart the machine" ]
          testCase "a driver that says that there is no device"
          <| fun () ->
              use standIn = new StandIn([ "fail cuInit 100" ])
              obstacleOf standIn |> says [ "CUDA_ERROR_NO_DEVICE"; "CUDA_VISIBLE_DEVICES" ]
          testCase "a driver without devices"
          <| fun () ->
              use standIn = new StandIn([ "devices 0" ])
              obstacleOf standIn |> says [ "no CUDA device"; "CUDA_VISIBLE_DEVICES" ]
          testCase "a driver's CUDA is known"
          <| fun () ->
              use standIn = new StandIn([ "driver 12040" ])
              Expect.equal (standIn.Driver().Version) (System.Version(12, 4)) "version" ]

/// The function that fails, its status, and what the message says beside both.
let private failures =
    [ "cuDeviceGet", 101, [ "CUDA_ERROR_INVALID_DEVICE"; "device 0"; "nvidia-smi" ]
      "cuDeviceGetAttribute", 1, [ "CUDA_ERROR_INVALID_VALUE"; "of device 0" ]
      "cuDeviceGetName", 1, [ "device 0" ]
      "cuDevicePrimaryCtxRetain", 2, [ "out of memory"; "Stand-in 900 (device 0)"; "smaller batches" ]
      "cuCtxGetCurrent", 700, [ "CUDA_ERROR_ILLEGAL_ADDRESS"; "Stand-in 900"; "compute-sanitizer" ]
      "cuCtxSetCurrent", 12345, [ "an error that the driver does not name"; "Stand-in 900" ]
      "cuModuleLoadDataEx",
      200,
      [ "CUDA_ERROR_INVALID_IMAGE"
        "scale (ELEMENT=half WINDOW=3)"
        "sm_90"
        "NVRTC 12.4"
        Nvrtc.Variable
        "the linker's own words" ]
      "cuModuleGetFunction", 500, [ "CUDA_ERROR_NOT_FOUND"; "scale"; "no kernel of that name" ]
      "cuFuncSetAttribute", 1, [ "scale"; "60000 bytes of shared memory" ]
      "cuLaunchKernel",
      701,
      [ "scale"
        "5×2×1 blocks of 64 threads"
        "60000 bytes"
        "more registers or shared memory" ]
      "cuLaunchKernel", 906, [ "run the model once before it is captured" ]
      "cuEventCreate", 2, [ "out of memory" ]
      "cuEventRecord", 700, [ "Stand-in 900" ]
      "cuEventSynchronize", 700, [ "Stand-in 900" ]
      "cuEventElapsedTime", 1, [ "Stand-in 900" ] ]

/// Everything that a device does, on a thread without a context.
let private everything (standIn: StandIn) =
    let device = standIn.Device()
    let extent = CudaGrid(5L, 2, 1, 64, 60000)
    launch device (kernel "scale") extent []

    device.Choose("question", 2, (fun _ -> launch device (kernel "scale") extent []))
    |> ignore

let private calls =
    testList
        "calls that fail"
        [ testCase "none does by itself"
          <| fun () ->
              use standIn = new StandIn([])
              everything standIn
          for call, status, parts in failures do
              testCase $"{call} with {status}"
              <| fun () ->
                  use standIn = new StandIn([ $"fail {call} {status}" ])

                  errorOf (fun () -> everything standIn)
                  |> says ([ $"{call} failed for "; $"({status}" ] @ parts)
          testCase "a launch that failed can be made again"
          <| fun () ->
              use standIn = new StandIn([ "fail cuLaunchKernel 701" ])
              let device = standIn.Device()
              errorOf (fun () -> launch device (kernel "scale") grid []) |> ignore
              standIn.Order []
              launch device (kernel "scale") grid []
              Expect.hasLength (standIn.CallsOf "cuLaunchKernel") 2 "launches"
          testCase "a module that failed is loaded again"
          <| fun () ->
              use standIn = new StandIn([ "fail cuModuleLoadDataEx 2" ])
              let device = standIn.Device()
              errorOf (fun () -> launch device (kernel "scale") grid []) |> ignore
              standIn.Order []
              launch device (kernel "scale") grid []
          testCase "a device that is too old is refused"
          <| fun () ->
              use standIn = new StandIn([ "capability 75" ])

              errorOf (fun () -> standIn.Device() |> ignore)
              |> says [ "Stand-in 900 (device 0)"; "compute capability 7.5"; "need 8.0" ]
          testCase "a kernel file that is not there is named"
          <| fun () ->
              use standIn = new StandIn([])
              let device = standIn.Device()

              errorOf (fun () -> launch device (CudaKernel("Other.cu", "scale", "")) grid [])
              |> says [ "Other.cu"; "Example.cu" ] ]

/// The tests of this file.
let tests = testList "driver errors" [ loading; calls ]
