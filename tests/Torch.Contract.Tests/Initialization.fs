/// Initial values: bounds and moments of what the functions draw.
module LocalAttention.Tests.Initialization

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

type private Init = torch.nn.init

/// 64 outputs of 100 inputs, 6400 draws.
let private weight () = torch.empty (64L, 100L)

/// Mean and standard deviation of the elements are these, within five standard errors of a sample of that size
/// (the error of a standard deviation is at most σ/√(2n) for distributions with tails no heavier than the normal's).
let private hasMoments mean deviation (tensor: Tensor) =
    let values = elements tensor
    let n = float values.Length
    let found = List.average values
    let spread = sqrt (List.averageBy (fun v -> (v - found) ** 2.0) values)
    Expect.isLessThan (abs (found - mean)) (5.0 * deviation / sqrt n) "mean"
    Expect.isLessThan (abs (spread - deviation)) (5.0 * deviation / sqrt (2.0 * n)) "standard deviation"

let private isWithin low high (tensor: Tensor) =
    Expect.all (elements tensor) (fun v -> low <= v && v <= high) $"within [{low}, {high}]"

let private seeded name body =
    test name {
        torch.manual_seed 20L |> ignore
        body ()
    }

let tests =
    testList
        "initial values"
        [ seeded "constants" (fun () ->
              Init.constant_ (torch.empty 2L, scalar 3.5) |> holds [ 2L ] [ 3.5; 3.5 ]
              Init.ones_ (torch.empty 2L) |> holds [ 2L ] [ 1.0; 1.0 ]
              Init.zeros_ (torch.empty 2L) |> holds [ 2L ] [ 0.0; 0.0 ])
          seeded "they fill and return the tensor itself, outside of any graph" (fun () ->
              let parameter = torch.nn.Parameter(torch.empty 2L)
              Expect.isTrue (Object.ReferenceEquals(Init.ones_ parameter, parameter)) "itself"
              Expect.isTrue parameter.is_leaf "leaf")
          seeded "normal_" (fun () -> Init.normal_ (weight (), 1.0, 0.5) |> hasMoments 1.0 0.5)
          seeded "uniform_" (fun () ->
              let drawn = Init.uniform_ (weight (), -1.0, 3.0)
              drawn |> isWithin -1.0 3.0
              drawn |> hasMoments 1.0 (4.0 / sqrt 12.0))
          seeded "trunc_normal_ stays within its bounds, which are values, not standard deviations" (fun () ->
              onlyOwnEngine
                  "TorchSharp 0.107 multiplies by the mean and adds the deviation: at mean 0 all are equal."

              let narrow = Init.trunc_normal_ (weight (), std = 0.02)
              narrow |> isWithin -2.0 2.0
              narrow |> hasMoments 0.0 0.02
              let cut = Init.trunc_normal_ (weight (), 0.0, 1.0, -0.5, 0.5)
              cut |> isWithin -0.5 0.5
              // The standard deviation of a standard normal cut at ±a is √(1 - 2aφ(a)/(2Φ(a) - 1)).
              let a, density, mass = 0.5, exp -0.125 / sqrt (2.0 * Math.PI), 0.3829249225480262
              cut |> hasMoments 0.0 (sqrt (1.0 - 2.0 * a * density / mass)))
          seeded "xavier_uniform_ has the bound √(6 / (in + out))" (fun () ->
              let bound = sqrt (6.0 / 164.0)
              let drawn = Init.xavier_uniform_ (weight ())
              drawn |> isWithin -(bound * 1.0000002) (bound * 1.0000002)
              drawn |> hasMoments 0.0 (bound / sqrt 3.0))
          seeded "xavier_normal_ has the deviation √(2 / (in + out))" (fun () ->
              Init.xavier_normal_ (weight ()) |> hasMoments 0.0 (sqrt (2.0 / 164.0)))
          seeded "kaiming_uniform_ has the bound gain √(3 / in)" (fun () ->
              let bound = sqrt 2.0 * sqrt (3.0 / 100.0)

              Init.kaiming_uniform_ (weight ())
              |> isWithin -(bound * 1.0000002) (bound * 1.0000002)

              Init.kaiming_uniform_ (weight (), a = sqrt 5.0)
              |> isWithin -0.10000001 0.10000001)
          seeded "kaiming_normal_ counts inputs or outputs" (fun () ->
              Init.kaiming_normal_ (weight ()) |> hasMoments 0.0 (sqrt (2.0 / 100.0))

              Init.kaiming_normal_ (
                  weight (),
                  mode = Init.FanInOut.FanOut,
                  nonlinearity = Init.NonlinearityType.ReLU
              )
              |> hasMoments 0.0 (sqrt (2.0 / 64.0)))
          seeded "a convolution's inputs are channels times kernel size" (fun () ->
              Expect.equal
                  (Init.CalculateFanInAndFanOut(torch.empty (8L, 4L, 3L, 3L)))
                  (struct (36L, 72L))
                  "fans")
          seeded "a linear layer begins uniform with the bound 1/√in, weight and bias" (fun () ->
              let layer = torch.nn.Linear(100L, 64L)
              layer.weight |> isWithin -0.10000001 0.10000001
              layer.weight |> hasMoments 0.0 (0.1 / sqrt 3.0)
              nonNull layer.bias |> isWithin -0.10000001 0.10000001)
          seeded "a convolution begins with the bound 1/√(channels times kernel size)" (fun () ->
              let layer = torch.nn.Conv2d(4L, 64L, 5L)
              layer.weight |> isWithin -0.10000001 0.10000001
              layer.weight |> hasMoments 0.0 (0.1 / sqrt 3.0)) ]
