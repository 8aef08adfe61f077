/// Words for what a model costs.
module LocalAttention.Dsl.Tests.CostVerbs

open Expecto
open LocalAttention.Core.Analysis
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification
open LocalAttention.Dsl

let private kinds = [ "slide"; "window"; "global" ]

/// The tests of this file.
let tests =
    testList
        "costs"
        [ testCase "multiply-accumulates: of the whole, merged, at another size, part by part"
          <| fun () ->
              Expect.equal (macs SlideSwin.tiny).Total 4_843_705_344L "as the official code runs"
              Expect.equal (macsMerged SlideSwin.tiny).Total 4_697_392_128L "merged"
              Expect.equal (SlideSwin.tiny |> macsAt 224 224) (macs SlideSwin.tiny) "at its own size"

              Expect.isGreaterThan
                  (SlideSwin.tiny |> macsAt 256 224).Total
                  (macs SlideSwin.tiny).Total
                  "at a larger one"

              Expect.equal
                  (macsByPart SlideSwin.tiny |> List.map _.Place)
                  (trace SlideSwin.tiny |> List.map _.Place)
                  "parts"
          testCase "memory: training needs more than inference, the composite more than the fused kernels"
          <| fun () ->
              let fused, composite =
                  Swin.tiny |> peakMemory 8, Swin.tiny |> peakMemoryOn Backend.Composite 8

              Expect.isGreaterThan fused.Training fused.Inference "training"
              Expect.isGreaterThan composite.Inference fused.Inference "composite"
          testCase "time: of the machine that is given"
          <| fun () ->
              let machine rate =
                  let attention = ValueList.From [ for kind in kinds -> AttentionRate(kind, rate) ]
                  MachineProfile(1, rate, rate, rate, rate, attention)

              let slow, fast =
                  SlideSwin.tiny |> latency (machine 1e9), SlideSwin.tiny |> latency (machine 2e9)

              Expect.isLessThan (abs (slow / fast - 2.0)) 1e-9 "half the rates, twice the time" ]
