/// How kernels are compiled, and when what was compiled before is used again.
module LocalAttention.Cuda.Tests.Compiling

open System
open System.IO
open Expecto
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Kernels.Cuda.Driver
open LocalAttention.Cuda.Tests.StandIn

let private compilations (standIn: StandIn) = standIn.CallsOf "nvrtcCompileProgram"

let private compiling =
    testList
        "compiler"
        [ testCase "constants are macros, headers are in memory, code is for the device"
          <| fun () ->
              use standIn = new StandIn([])
              launch (standIn.Device()) (kernel "scale") grid []

              Expect.equal
                  (compilations standIn)
                  [ "Example.cu --gpu-architecture=sm_90 --std=c++17 --device-as-default-execution-space "
                    + "-DELEMENT=half -DWINDOW=3 headers=Device.cuh:17" ]
                  "compilations"

              Expect.equal
                  (standIn.CallsOf "cuModuleLoadDataEx")
                  [ "cubin Example.cu --gpu-architecture=sm_90 --std=c++17 --device-as-default-execution-space "
                    + "-DELEMENT=half -DWINDOW=3" ]
                  "code"

              Expect.hasLength (standIn.CallsOf "nvrtcDestroyProgram") 1 "programs that are let go of"
          testCase "an error has the compiler's log, the file and the options"
          <| fun () ->
              use standIn = new StandIn([])

              let device =
                  standIn.Device([ "Example.cu", "#error this is wrong"; "Device.cuh", "" ], null, true)

              errorOf (fun () -> launch device (kernel "scale") grid [])
              |> says
                  [ "Example.cu does not compile"
                    "NVRTC_ERROR_COMPILATION"
                    "-DWINDOW=3"
                    "sm_90"
                    "NVRTC 12.4"
                    "Example.cu(1): error: #error this is wrong" ]

              Expect.hasLength (standIn.CallsOf "nvrtcDestroyProgram") 1 "programs that are let go of"
          for capability, known, target, kind in
              [ 90, "75 80 86 90", "sm_90", "cubin"
                120, "75 80 86 90", "compute_90", "ptx"
                103, "80 90 100 120", "compute_100", "ptx"
                89, "80 90", "compute_80", "ptx" ] do
              testCase $"a device of {capability} has {kind} of {target} where {known} are known"
              <| fun () ->
                  use standIn = new StandIn([ $"capability {capability}"; $"architectures {known}" ])
                  launch (standIn.Device()) (kernel "scale") grid []

                  Expect.stringStarts
                      (List.exactlyOne (standIn.CallsOf "cuModuleLoadDataEx"))
                      $"{kind} Example.cu --gpu-architecture={target} "
                      "code"
          testCase "a device that the compiler has forgotten is refused"
          <| fun () ->
              use standIn = new StandIn([ "capability 80"; "architectures 90 100" ])

              errorOf (fun () -> standIn.Device() |> ignore)
              |> says
                  [ "no longer compiles for compute capability 8.0"
                    "NVRTC 12.4"
                    Nvrtc.Variable ]
          testCase "a file that is no compiler is named"
          <| fun () ->
              use standIn = new StandIn([])

              match Nvrtc.Load(standIn.DriverFile, System.Version(12, 8)) with
              | null, obstacle ->
                  nonNull obstacle
                  |> says [ Nvrtc.Variable; standIn.DriverFile; "too old"; "11.2" ]
              | _ -> failtest "loaded"
          testCase "a file that is not there is named"
          <| fun () ->
              match Nvrtc.Load("/no/such/libnvrtc.so", System.Version(12, 8)) with
              | null, obstacle -> nonNull obstacle |> says [ "/no/such/libnvrtc.so"; "cannot be loaded" ]
              | _ -> failtest "loaded"
          testCase "the kernels of this library are there, and what they include"
          <| fun () ->
              let sources = KernelSources.Embedded
              Expect.contains [ for header in sources.Headers -> header.Key ] "Device.cuh" "headers"
              Expect.stringContains (sources.TextOf "NeighbourhoodForward.cu") "KERNEL" "a kernel" ]

let private places =
    testList
        "places of the compiler"
        [ testCase
              "a toolkit that a variable names comes before what the tensor library brings, and that before the system's"
          <| fun () ->
              let variables =
                  Map [ "CUDA_HOME", "/opt/toolkit"; "LIBTORCH_HOME", "/python/site-packages/torch" ]

              let folders =
                  NvrtcPlaces.Folders(
                      (fun name -> variables |> Map.tryFind name |> Option.toObj),
                      [ "/engine/lib" ]
                  )
                  |> List.ofSeq

              let place (folder: string) =
                  match List.tryFindIndex ((=) folder) folders with
                  | Some index -> index
                  | None -> failtest $"{folder} is not among them"

              let order =
                  [ "/opt/toolkit/lib64"
                    "/engine/lib"
                    "/python/site-packages/torch/lib"
                    "/python/site-packages/nvidia/cuda_nvrtc/lib"
                    "/python/site-packages/nvidia/cu13/lib"
                    "/usr/local/cuda/lib64"
                    "/usr/lib/x86_64-linux-gnu" ]

              Expect.equal (List.sort (List.map place order)) (List.map place order) "order"
          testCase "a folder's libraries are told from their second halves"
          <| fun () ->
              use standIn = new StandIn([])
              let folder = nonNull (Path.GetDirectoryName standIn.CompilerFile)

              for name in
                  [ "libnvrtc-builtins.so.12.4"
                    "libnvrtc-672ee683.so.11.2"
                    "libnvrtc.so.12"
                    "libnvrtc.alt.so.12" ] do
                  File.WriteAllText(Path.Combine(folder, name), "")

              let names (files: string seq) =
                  List.sort [ for file in files -> nonNull (Path.GetFileName file) ]

              Expect.equal
                  (names (NvrtcPlaces.FilesIn folder))
                  (List.sort [ "libnvrtc-672ee683.so.11.2"; "libnvrtc.so"; "libnvrtc.so.12" ])
                  "libraries"

              Expect.equal
                  (names (NvrtcPlaces.BuiltinsIn folder))
                  [ "libnvrtc-builtins.so.12.4" ]
                  "second halves"

              Expect.isEmpty
                  (NvrtcPlaces.FilesIn(Path.Combine(folder, "nowhere")))
                  "a folder that is not there" ]

/// Launches a kernel on a new device that keeps its code.
let private launchOn (standIn: StandIn) texts constants =
    launch (standIn.Device(texts, standIn.Cache, true)) (CudaKernel("Example.cu", "scale", constants)) grid []

let private keptFiles (standIn: StandIn) =
    List.ofArray (Directory.GetFiles(Path.Combine(standIn.Cache, "kernels")))

let private damaged name (damage: byte array -> byte array) =
    testCase $"a file that {name} is made anew"
    <| fun () ->
        use standIn = new StandIn([])
        launchOn standIn sources "A=1"
        let file = List.exactlyOne (keptFiles standIn)
        let whole = File.ReadAllBytes file
        File.WriteAllBytes(file, damage whole)
        launchOn standIn sources "A=1"
        Expect.hasLength (compilations standIn) 2 "compilations"
        Expect.equal (File.ReadAllBytes file) whole "the file"
        launchOn standIn sources "A=1"
        Expect.hasLength (compilations standIn) 2 "compilations, once it is whole"

let private keeping =
    testList
        "cache"
        [ testCase "the second device takes the first one's code"
          <| fun () ->
              use standIn = new StandIn([])
              launchOn standIn sources "A=1"
              launchOn standIn sources "A=1"
              Expect.hasLength (compilations standIn) 1 "compilations"
              let loaded = standIn.CallsOf "cuModuleLoadDataEx"
              Expect.hasLength loaded 2 "modules"
              Expect.equal loaded[1] loaded[0] "code"
              Expect.hasLength (standIn.CallsOf "cuLaunchKernel") 2 "launches"
          for what, change in
              [ "source",
                (fun (standIn: StandIn) -> launchOn standIn [ "Example.cu", "other"; sources[1] ] "A=1")
                "header", (fun standIn -> launchOn standIn [ sources[0]; "Device.cuh", "another" ] "A=1")
                "constants", (fun standIn -> launchOn standIn sources "A=2")
                "device",
                (fun standIn ->
                    standIn.Order [ "capability 86" ]
                    launchOn standIn sources "A=1")
                "compiler",
                (fun standIn ->
                    standIn.Order [ "nvrtc 125" ]
                    launchOn standIn sources "A=1") ] do
              testCase $"another {what} is compiled"
              <| fun () ->
                  use standIn = new StandIn([])
                  launchOn standIn sources "A=1"
                  change standIn
                  Expect.hasLength (compilations standIn) 2 "compilations"
                  Expect.hasLength (keptFiles standIn) 2 "files"
          damaged "has another byte" (Array.mapi (fun i value -> if i = 40 then value ^^^ 1uy else value))
          damaged "ends early" (fun whole -> Array.take (whole.Length - 1) whole)
          damaged "is empty" (fun _ -> [||])
          damaged "has a hash alone" (Array.take 32)
          testCase "no trace of unfinished files is left"
          <| fun () ->
              use standIn = new StandIn([])
              launchOn standIn sources "A=1"

              Expect.all
                  (keptFiles standIn)
                  (fun file -> file.EndsWith(".kernel", StringComparison.Ordinal))
                  "files"
          testCase "a folder that cannot be written is no error"
          <| fun () ->
              use standIn = new StandIn([])
              File.WriteAllText(standIn.Cache, "a file, and no folder")
              launchOn standIn sources "A=1"
              launchOn standIn sources "A=1"
              Expect.hasLength (compilations standIn) 2 "compilations"
          testCase "the folder is the one that a variable names, or the user's"
          <| fun () ->
              let find variables =
                  CacheFolder.Find(
                      (fun name -> variables |> Map.tryFind name |> Option.toObj),
                      (fun folder ->
                          if folder = Environment.SpecialFolder.UserProfile then
                              "/home/someone"
                          else
                              "/data")
                  )

              Expect.equal
                  (find (Map [ CacheFolder.Variable, "/here"; "XDG_CACHE_HOME", "/there" ]))
                  "/here"
                  "named"

              Expect.equal (find (Map [ "XDG_CACHE_HOME", "/there" ])) "/there/localattention" "XDG"

              if not (OperatingSystem.IsWindows()) then
                  let usual = "/home/someone/.cache/localattention"

                  Expect.equal
                      (find (Map [ CacheFolder.Variable, ""; "XDG_CACHE_HOME", "relative" ]))
                      usual
                      "home"

                  let nowhere = CacheFolder.Find((fun _ -> null), (fun _ -> ""))
                  Expect.isNull nowhere "no home" ]

/// The tests of this file.
let tests = testList "compiling" [ compiling; places; keeping ]
