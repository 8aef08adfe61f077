/// Any architecture that builds is exported, and computes the same in ONNX Runtime.
module LocalAttention.Export.Tests.Generated

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification

let private config =
    { FsCheckConfig.defaultConfig with
        maxTest = 40 }

let tests (runtime: Lazy<Runtime.Runtime>) =
    testList
        "generated"
        [ testPropertyWithConfig config "architectures compute the same in ONNX Runtime"
          <| Prop.forAll (Arbitraries.Architecture()) (fun architecture ->
              // The terms of the last layers are of order one.
              Comparison.agrees 1.0 runtime 3 architecture architecture.Resolution [ 2 ]) ]
