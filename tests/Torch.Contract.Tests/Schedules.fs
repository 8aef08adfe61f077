/// Learning rates over the steps of each schedule.
module LocalAttention.Tests.Schedules

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

type private Schedule = torch.optim.lr_scheduler

/// The rates before each of the first steps, of an optimizer that begins at 1.
let private rates count (schedule: torch.optim.Optimizer -> torch.optim.lr_scheduler.LRScheduler) =
    let optimizer = torch.optim.SGD([ torch.nn.Parameter(torch.zeros 1L) ], 1.0)
    let scheduler = schedule optimizer

    [ for _ in 1..count do
          (Seq.exactlyOne optimizer.ParamGroups).LearningRate
          scheduler.step () ]

/// Equal up to double precision: schedules that go from rate to rate multiply once or twice a step.
let private are (expected: float list) (actual: float list) =
    for a, e in List.zip actual expected do
        Expect.isLessThanOrEqual (abs (a - e)) (8.0 * float expected.Length * 2.0 ** -52.0) $"{a} and {e}"

let tests =
    testList
        "learning rates"
        [ test "LambdaLR multiplies the initial rate" {
              rates 4 (fun optimizer -> Schedule.LambdaLR(optimizer, fun epoch -> 1.0 / float (epoch + 1)))
              |> are [ 1.0; 1.0 / 2.0; 1.0 / 3.0; 1.0 / 4.0 ]
          }
          test "StepLR falls at regular steps, MultiStepLR at given ones" {
              rates 5 (fun optimizer -> Schedule.StepLR(optimizer, 2, 0.5))
              |> are [ 1.0; 1.0; 0.5; 0.5; 0.25 ]

              rates 5 (fun optimizer -> Schedule.MultiStepLR(optimizer, [| 1; 4 |], 0.5))
              |> are [ 1.0; 0.5; 0.5; 0.5; 0.25 ]
          }
          test "ExponentialLR" {
              rates 3 (fun optimizer -> Schedule.ExponentialLR(optimizer, 0.9))
              |> are [ 1.0; 0.9; 0.81 ]
          }
          test "CosineAnnealingLR goes down to its minimum along half a wave" {
              rates 5 (fun optimizer -> Schedule.CosineAnnealingLR(optimizer, 4.0, 0.2))
              |> are [ for step in 0..4 -> 0.2 + 0.8 * (1.0 + cos (Math.PI * float step / 4.0)) / 2.0 ]
          }
          test "LinearLR warms up" {
              rates 6 (fun optimizer -> Schedule.LinearLR(optimizer, 0.2, 1.0, 4))
              |> are [ 0.2; 0.4; 0.6; 0.8; 1.0; 1.0 ]
          }
          test "SequentialLR goes from one to the next" {
              rates 5 (fun optimizer ->
                  let warmUp = Schedule.ConstantLR(optimizer, 0.1, 2)
                  let rest = Schedule.ExponentialLR(optimizer, 0.5)
                  Schedule.SequentialLR(optimizer, [ warmUp; rest ], [ 2 ]))
              |> List.last
              |> fun last -> Expect.isLessThan last 1.0 "after the milestone"
          }
          test "each group follows from its own rate" {
              let group (rate: float) =
                  Modules.SGD.ParamGroup([ torch.nn.Parameter(torch.zeros 1L) ], rate)

              let optimizer = torch.optim.SGD([ group 1.0; group 0.1 ], 0.0)
              let scheduler = Schedule.ExponentialLR(optimizer, 0.5)
              scheduler.step ()
              List.ofSeq (scheduler.get_last_lr ()) |> are [ 0.5; 0.05 ]

              [ for group in optimizer.ParamGroups -> group.LearningRate ]
              |> are [ 0.5; 0.05 ]
          } ]
