/// Any architecture that builds is exported, and computes the same in ONNX Runtime.
module LocalAttention.Export.Tests.Generated

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests

let private config =
    { FsCheckConfig.defaultConfig with
        maxTest = 60 }

let tests (runtime: Lazy<Runtime.Runtime>) =
    testList
        "generated"
        [ testPropertyWithConfig config "architectures compute the same in ONNX Runtime"
          <| Prop.forAll Architectures.arbitraryValid (fun architecture ->
              Comparison.agrees runtime 3 architecture architecture.Resolution [ 2 ]) ]
