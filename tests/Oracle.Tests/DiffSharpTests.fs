/// DiffSharp's gradients against those of the oracle's own traced numbers.
module LocalAttention.Oracle.Tests.DiffSharpTests

open Expecto
open LocalAttention.Oracle

let private compare (traced: Layer<Traced>) layer point cotangent =
    let expected = Derivative.gradient traced point cotangent
    let actual = DiffSharpDerivative.gradient layer point cotangent

    for entry in expected do
        if NdArray.largest entry.Value > 1e-12 then
            Expect.isLessThan (NdArray.relativeError actual[entry.Key] entry.Value) 1e-12 entry.Key

let private filled shapes =
    Map [ for name, shape in shapes -> name, Counter.array $"diffsharp/{name}" shape ]

/// One layer of each kind.
[<Tests>]
let tests =
    testList
        "oracle.DiffSharp"
        [ testCase "QnA" (fun () ->
              let layer =
                  { Qna.create 4 2 3 with
                      Norm = QnaNorm.UnitStopGradient
                      Stride = 2 }

              let point =
                  filled
                      [ "x", [| 1; 4; 3; 2 |]
                        "query", [| 2; 4 |]
                        "Wk", [| 2; 4 |]
                        "to_v/kernel", [| 2; 4 |]
                        "to_out/kernel", [| 4; 3 |]
                        "attn_scale_weights", [| 1; 1; 9; 4 |]
                        "rpe_bias", [| 9; 4 |] ]

              compare
                  (fun inputs -> Qna.forward layer inputs inputs["x"])
                  (fun inputs -> Qna.forward layer inputs inputs["x"])
                  point
                  (Counter.array "cotangent" [| 1; 2; 2; 3 |]))
          testCase "Slide Attention" (fun () ->
              let layer = Slide.create 1 3

              let point =
                  filled
                      [ "x", [| 1; 2; 3; 2 |]
                        "qkv.weight", [| 6; 2 |]
                        "qkv.bias", [| 6 |]
                        "proj.weight", [| 2; 2 |]
                        "proj.bias", [| 2 |]
                        "dep_conv.weight", [| 18; 1; 3; 3 |]
                        "dep_conv.bias", [| 18 |]
                        "dep_conv1.weight", [| 18; 1; 3; 3 |]
                        "dep_conv1.bias", [| 18 |]
                        "relative_position_bias_table", [| 1; 1; 1; 9; 1; 1 |] ]

              compare
                  (fun inputs -> Slide.forward layer inputs inputs["x"])
                  (fun inputs -> Slide.forward layer inputs inputs["x"])
                  point
                  (Counter.array "cotangent" [| 1; 2; 3; 2 |])) ]
