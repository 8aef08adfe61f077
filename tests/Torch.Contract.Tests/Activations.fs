/// Elementwise layers and normalisations, and what training mode changes about them.
module LocalAttention.Tests.Activations

open System
open TorchSharp
open TorchSharp.Modules
open Expecto
open LocalAttention.Tests.Values

type private Functional = torch.nn.functional

/// The normal distribution's Φ from the error function's series, in double precision.
let private phi x =
    let z = x / sqrt 2.0

    let terms =
        Seq.unfold
            (fun (n, term) -> Some(term / float (2 * n + 1), (n + 1, -term * z * z / float (n + 1))))
            (0, z)

    0.5 + Seq.sum (Seq.take 60 terms) / sqrt Math.PI

let private tanhGelu x =
    0.5 * x * (1.0 + tanh (sqrt (2.0 / Math.PI) * (x + 0.044715 * x * x * x)))

let private points = [ -3.0; -1.0; -0.1; 0.0; 0.5; 2.0 ]

let private elementwise =
    testList
        "elementwise"
        [ test "gelu is x Φ(x)" {
              Functional.gelu (vector points)
              |> holdsNearly 4 [ 6L ] [ for x in points -> x * phi x ]
          }
          test "gelu by tanh is the other formula" {
              Functional.gelu (vector points, GELU.Approximate.tanh)
              |> holdsNearly 4 [ 6L ] (List.map tanhGelu points)

              torch.nn.GELU(GELU.Approximate.tanh).call(vector points)
              |> holdsNearly 4 [ 6L ] (List.map tanhGelu points)
          }
          test "the gelu layer is exact by default" {
              torch.nn.GELU().call(vector points)
              |> isNearly 1 (Functional.gelu (vector points))
          }
          test "relu, silu, sigmoid, tanh" {
              Functional.relu (vector points) |> holds [ 6L ] [ 0.0; 0.0; 0.0; 0.0; 0.5; 2.0 ]
              let sigmoid x = 1.0 / (1.0 + exp -x)

              Functional.silu (vector points)
              |> holdsNearly 4 [ 6L ] [ for x in points -> x * sigmoid x ]

              torch.sigmoid (vector points) |> holdsNearly 4 [ 6L ] (List.map sigmoid points)
              torch.tanh (vector points) |> holdsNearly 4 [ 6L ] (List.map tanh points)
          } ]

let private dropout =
    testList
        "dropout"
        [ test "in training drops a share p and scales what stays by 1 / (1 - p)" {
              torch.manual_seed 1L |> ignore
              let count = 100_000
              let dropped = Functional.dropout (torch.ones (int64 count), 0.25)
              let kept = elements dropped |> List.filter ((<>) 0.0)
              // Singles near 4/3 are 2⁻²³ apart; four standard deviations of the binomial around 75 %.
              Expect.all kept (fun x -> abs (x - 4.0 / 3.0) <= 2.0 ** -23.0) "scaled"
              let deviation = sqrt (0.25 * 0.75 / float count)
              Expect.isLessThan (abs (float kept.Length / float count - 0.75)) (4.0 * deviation) "share"
          }
          test "the layer does nothing in evaluation" {
              let layer = torch.nn.Dropout 0.5
              layer.eval ()
              layer.call (torch.ones 100L) |> holds [ 100L ] (List.replicate 100 1.0)
              layer.train ()
              Expect.isTrue (elements (layer.call (torch.ones 100L)) |> List.contains 0.0) "in training"
          }
          test "with p = 0 nothing is dropped" {
              Functional.dropout (torch.ones 3L, 0.0) |> holds [ 3L ] [ 1.0; 1.0; 1.0 ]
          } ]

let private norms =
    testList
        "normalisation"
        [ test "layer_norm: mean 0, variance 1 with divisor n, then weight and bias" {
              let x = vector [ 1.0; 2.0; 3.0; 4.0 ]
              let deviation = sqrt (1.25 + 1e-5)
              let expected = [ for v in 1.0 .. 4.0 -> (v - 2.5) / deviation ]
              Functional.layer_norm (x, [| 4L |]) |> holdsNearly 4 [ 4L ] expected

              Functional.layer_norm (x, [| 4L |], torch.full (4L, scalar 2.0), torch.ones 4L)
              |> holdsNearly 4 [ 4L ] [ for v in expected -> 2.0 * v + 1.0 ]
          }
          test "the LayerNorm layer: names, initial values, epsilon" {
              let layer = torch.nn.LayerNorm(4L, eps = 0.5)

              Expect.equal
                  (layer.named_parameters ()
                   |> Seq.map (fun struct (name, _) -> name)
                   |> List.ofSeq)
                  [ "weight"; "bias" ]
                  "names"

              layer.weight |> holds [ 4L ] [ 1.0; 1.0; 1.0; 1.0 ]
              nonNull layer.bias |> holds [ 4L ] [ 0.0; 0.0; 0.0; 0.0 ]

              layer.call (vector [ 1.0; 2.0; 3.0; 4.0 ])
              |> holdsNearly 4 [ 4L ] [ for v in 1.0 .. 4.0 -> (v - 2.5) / sqrt 1.75 ]
          }
          test "group_norm normalises each group of channels" {
              Functional.group_norm (vector([ 1.0; 3.0; 10.0; 30.0 ]).view(1L, 4L, 1L), 2L, eps = 0.0)
              |> holdsNearly 4 [ 1L; 4L; 1L ] [ -1.0; 1.0; -1.0; 1.0 ]
          }
          test "batch norm trains with the batch's statistics, evaluates with the running ones" {
              let layer = torch.nn.BatchNorm2d(1L, eps = 0.0, momentum = 0.5)
              let batch = vector([ 1.0; 3.0; 5.0; 7.0 ]).view(4L, 1L, 1L, 1L)
              let own = [ for v in [ 1.0; 3.0; 5.0; 7.0 ] -> (v - 4.0) / sqrt 5.0 ]
              layer.call batch |> holdsNearly 4 [ 4L; 1L; 1L; 1L ] own
              // Running values move half-way: the mean from 0 to 4, the variance from 1 to 20/3 (divisor n - 1).
              nonNull layer.running_mean |> holdsNearly 1 [ 1L ] [ 2.0 ]
              nonNull layer.running_var |> holdsNearly 2 [ 1L ] [ 0.5 + 10.0 / 3.0 ]
              layer.eval ()

              layer.call batch
              |> holdsNearly
                  4
                  [ 4L; 1L; 1L; 1L ]
                  [ for v in [ 1.0; 3.0; 5.0; 7.0 ] -> (v - 2.0) / sqrt (0.5 + 10.0 / 3.0) ]

              Expect.equal
                  (layer.named_buffers () |> Seq.map (fun struct (name, _) -> name) |> List.ofSeq)
                  [ "running_mean"; "running_var"; "num_batches_tracked" ]
                  "buffers"
          }
          test "normalize divides by the norm along a dimension" {
              Functional.normalize (matrix [ [ 3.0; 4.0 ] ])
              |> holdsNearly 2 [ 1L; 2L ] [ 0.6; 0.8 ]
          } ]

let tests = testList "activations" [ elementwise; dropout; norms ]
