/// What a process finds, as its environment says: each test asks one of its own.
module LocalAttention.Cuda.Tests.Finding

open System
open System.Diagnostics
open System.IO
open System.Reflection
open Expecto
open LocalAttention.Core.Kernels
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Kernels.Cuda.Driver
open LocalAttention.Cuda.Tests.StandIn
open TorchSharp

/// The first argument of a process of its own.
let argument = "found"

let private describe () =
    Console.Out.WriteLine(Backends.Describe(DeviceType.CUDA, torch.ScalarType.BFloat16))

let private choose () =
    match DrivenDevice.Find 0 with
    | null, obstacle -> Console.Out.WriteLine obstacle
    | device, _ ->
        let run way =
            device.Launch(CudaKernel("NeighbourhoodForward.cu", $"way{way}", ""), grid, ReadOnlySpan())

        Console.Out.WriteLine(device.Choose("question", 3, run))

/// Runs as a process of its own.
let run (arguments: string list) =
    match arguments with
    | [ "describe" ] ->
        describe ()
        // A second look costs no more calls of the driver.
        describe ()
    | [ "choose" ] -> choose ()
    | _ -> failwith $"unknown work {arguments}"

    0

/// What a process says whose environment has such variables, and no other of ours.
let private asked (work: string) (variables: (string * string) list) =
    let program = nonNull Environment.ProcessPath

    let start =
        ProcessStartInfo(program, RedirectStandardOutput = true, RedirectStandardError = true)

    if Path.GetFileNameWithoutExtension program = "dotnet" then
        start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location)

    start.ArgumentList.Add argument
    start.ArgumentList.Add work

    for name in
        [ Backends.Variable
          CudaDriver.Variable
          Nvrtc.Variable
          Tuning.Variable
          CacheFolder.Variable ] do
        start.Environment.Remove name |> ignore

    for name, value in variables do
        start.Environment[name] <- value

    use work = nonNull (Process.Start start)
    let errors = work.StandardError.ReadToEndAsync()
    let output = work.StandardOutput.ReadToEnd()
    work.WaitForExit()

    if work.ExitCode <> 0 then
        failtest $"the process ended with {work.ExitCode}: {errors.Result}"

    List.ofArray (output.Split('\n', StringSplitOptions.RemoveEmptyEntries))

let private variablesOf (standIn: StandIn) =
    [ CudaDriver.Variable, standIn.DriverFile
      Nvrtc.Variable, standIn.CompilerFile
      CacheFolder.Variable, standIn.Cache ]

let private described name orders variables (parts: string list) =
    testCase name
    <| fun () ->
        use standIn = new StandIn(orders)

        match asked "describe" (variablesOf standIn @ variables) with
        | [ first; second ] ->
            says parts first
            Expect.equal second first "the second answer"
        | other -> failtest $"{other}"

        Expect.isLessThan (List.length (standIn.CallsOf "cuInit")) 2 "the driver is started once"

/// The tests of this file.
let tests =
    testList
        "finding"
        [ described
              "a device, its driver and the compiler: kernels run on it"
              []
              []
              [ "FusedCuda: Stand-in 900, sm_90, 132 multiprocessors" ]
          described
              "no driver: tensor operators, and why"
              []
              [ CudaDriver.Variable, "/no/such/libcuda.so.1" ]
              [ "Composite: standard tensor operators on CUDA (there is no CUDA driver"
                "/no/such/libcuda.so.1" ]
          described
              "no device: tensor operators, and why"
              [ "devices 0" ]
              []
              [ "Composite"; "no CUDA device" ]
          described
              "a driver that fails: tensor operators, and why"
              [ "fail cuDevicePrimaryCtxRetain 2" ]
              []
              [ "Composite"
                "cuDevicePrimaryCtxRetain failed for Stand-in 900 (device 0): CUDA_ERROR_OUT_OF_MEMORY" ]
          described
              "no compiler: tensor operators, and why"
              []
              [ Nvrtc.Variable, "/no/such/libnvrtc.so" ]
              [ "Composite"; "NVRTC"; "/no/such/libnvrtc.so" ]
          described
              "a device that is too old: tensor operators, and why"
              [ "capability 70" ]
              []
              [ "Composite"; "compute capability 7.0; the kernels need 8.0" ]
          described
              "operators that are asked for need no reason"
              []
              [ Backends.Variable, "Composite" ]
              [ "Composite: standard tensor operators on CUDA" ]
          testCase "element types that no kernel has are tensor operators'"
          <| fun () ->
              Expect.equal
                  (Backends.Describe(DeviceType.CUDA, torch.ScalarType.Float64))
                  "Composite: standard tensor operators on CUDA (the map has elements of Float64)"
                  "double precision"
          testCase "this library's own kernels are measured in one process and known in the next"
          <| fun () ->
              use standIn = new StandIn([ "time way0 2"; "time way1 1"; "time way2 3" ])
              Expect.equal (asked "choose" (variablesOf standIn)) [ "1" ] "way"
              let launches = List.length (standIn.CallsOf "cuLaunchKernel")
              Expect.isGreaterThan launches 0 "launches"
              Expect.equal (asked "choose" (variablesOf standIn)) [ "1" ] "way in the next process"
              Expect.hasLength (standIn.CallsOf "cuLaunchKernel") launches "launches"

              Expect.equal
                  (asked "choose" ((Tuning.Variable, "off") :: variablesOf standIn))
                  [ "0" ]
                  "way where measuring is off"
          testCase "a tensor library that is not known is named"
          <| fun () ->
              let message =
                  try
                      TensorEngine(typeof<Uri>.Assembly) |> ignore
                      "no error"
                  with :? NotSupportedException as error ->
                      error.Message

              says
                  [ (nonNull (typeof<Uri>.Assembly.GetName().Name))
                    "tn_tensor_data"
                    "THSTensor_data" ]
                  message ]
