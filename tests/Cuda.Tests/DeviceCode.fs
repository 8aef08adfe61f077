/// NVRTC's own word on the kernels that the other tests have run on the host, where it is installed: syntax, types and PTX.
module LocalAttention.Cuda.Tests.DeviceCode

open Expecto
open LocalAttention.Core.Kernels.Cuda.Driver
open LocalAttention.Cuda.Tests.Emulated

// Any will do: nothing is loaded.
let private anyDriver = System.Version(13, 0)

let tests =
    testCase "NVRTC compiles every kernel that ran, with its constants"
    <| fun () ->
        match Nvrtc.Load(System.Environment.GetEnvironmentVariable Nvrtc.Variable, anyDriver) with
        | null, obstacle -> skiptest $"kernels were not compiled for a device: {obstacle}"
        | compiler, _ ->
            let target = compiler.TargetFor DrivenDevice.LowestArchitecture

            for file, constants in launched () do
                let code =
                    compiler.Compile(KernelSources.Embedded, file, Nvrtc.OptionsOf(constants, target))

                Expect.isGreaterThan code.Length 0 $"{file} with {constants}"
