/// Losses against their formulas.
module LocalAttention.Tests.Losses

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

type private Functional = torch.nn.functional
type private Reduction = torch.nn.Reduction

/// Logits whose softmax is (1/8, 1/4, 5/8).
let private logits = matrix [ [ 0.0; log 2.0; log 5.0 ]; [ 0.0; log 2.0; log 5.0 ] ]

let private shares = [ 0.125; 0.25; 0.625 ]
let private targets = wholes [ 2L; 0L ]
let private each = [ -(log 0.625); -(log 0.125) ]

let private classification =
    testList
        "cross entropy"
        [ test "is minus the log of the true class's share, averaged" {
              Functional.cross_entropy (logits, targets)
              |> holdsNearly 4 [] [ List.average each ]
          }
          test "sums or keeps all if asked" {
              Functional.cross_entropy (logits, targets, reduction = Reduction.Sum)
              |> holdsNearly 4 [] [ List.sum each ]

              Functional.cross_entropy (logits, targets, reduction = Reduction.None)
              |> holdsNearly 4 [ 2L ] each
          }
          test "label smoothing spreads ε evenly over all classes, the true one included" {
              let smooth epsilon target =
                  (1.0 - epsilon) * -(log shares[target])
                  + epsilon * List.average [ for p in shares -> -(log p) ]

              Functional.cross_entropy (logits, targets, label_smoothing = 0.1)
              |> holdsNearly 8 [] [ List.average [ smooth 0.1 2; smooth 0.1 0 ] ]
          }
          test "targets may be shares of classes" {
              let mixed = matrix [ [ 0.5; 0.5; 0.0 ]; [ 0.0; 0.0; 1.0 ] ]
              let expected = [ -(0.5 * log 0.125 + 0.5 * log 0.25); -(log 0.625) ]

              Functional.cross_entropy (logits, mixed)
              |> holdsNearly 8 [] [ List.average expected ]
          }
          test "an ignored class does not count" {
              Functional.cross_entropy (logits, wholes [ 2L; -100L ])
              |> holdsNearly 4 [] [ each[0] ]
          }
          test "class weights weigh the mean" {
              let weights = vector [ 3.0; 1.0; 1.0 ]

              Functional.cross_entropy (logits, targets, weights)
              |> holdsNearly 8 [] [ (each[0] + 3.0 * each[1]) / 4.0 ]
          }
          test "the layer is the function" {
              torch.nn.CrossEntropyLoss().call(logits, targets)
              |> isNearly 1 (Functional.cross_entropy (logits, targets))
          }
          test "nll_loss picks from log-probabilities" {
              Functional.nll_loss (logits.log_softmax 1L, targets)
              |> holdsNearly 4 [] [ List.average each ]
          } ]

let private regression =
    let a, b = vector [ 1.0; 2.0; 5.0 ], vector [ 1.0; 4.0; 1.0 ]

    testList
        "distances"
        [ test "mean squared error" {
              Functional.mse_loss (a, b) |> holdsNearly 2 [] [ 20.0 / 3.0 ]
              Functional.mse_loss (a, b, Reduction.None) |> holds [ 3L ] [ 0.0; 4.0; 16.0 ]
          }
          test "mean absolute error" { Functional.l1_loss (a, b) |> holdsNearly 2 [] [ 2.0 ] }
          test "smooth_l1 is quadratic near zero" {
              Functional.smooth_l1_loss (vector [ 0.5; 3.0 ], torch.zeros 2L, Reduction.None)
              |> holds [ 2L ] [ 0.125; 2.5 ]
          }
          test "binary cross entropy with logits" {
              Functional.binary_cross_entropy_with_logits (vector [ log 3.0 ], vector [ 1.0 ])
              |> holdsNearly 4 [] [ -(log 0.75) ]
          }
          test "Kullback-Leibler from logarithms" {
              let p, q = vector [ 0.5; 0.5 ], vector [ 0.25; 0.75 ]
              let expected = 0.5 * log (0.5 / 0.25) + 0.5 * log (0.5 / 0.75)

              Functional.kl_div (q.log (), p, log_target = false, reduction = Reduction.Sum)
              |> holdsNearly 8 [] [ expected ]
          } ]

let tests = testList "losses" [ classification; regression ]
