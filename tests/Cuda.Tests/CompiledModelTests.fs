/// A model's inference recorded and replayed. What a device's graph does, fixed memory read and written by the same launches,
/// is played by a recording that runs the work again and puts its result where the first one stood.
module LocalAttention.Cuda.Tests.CompiledModelTests

open System
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open TorchSharp

/// Counts what is recorded, replayed and freed.
type private Recorder() =
    member val Captured = 0 with get, set
    member val Replayed = 0 with get, set
    member val Freed = 0 with get, set

    interface IGraphCapture with
        member recorder.Capture(_, work) =
            recorder.Captured <- recorder.Captured + 1
            let result = work.Invoke()

            // Whoever reads this result before a replay reads what no input gave.
            result.fill_ (Double.NaN.ToScalar()) |> ignore

            { new ICapturedGraph with
                member _.Result = result

                member _.Replay() =
                    recorder.Replayed <- recorder.Replayed + 1
                    use again = work.Invoke()
                    result.copy_ again |> ignore

                member _.Dispose() =
                    recorder.Freed <- recorder.Freed + 1
                    result.Dispose() }

let private model () =
    torch.manual_seed 3L |> ignore

    let layer = new LocalAttention.Core.Layers.SlideLayer(SlideAttention(3, 2), 8)

    layer.eval ()
    layer

let private input seed shape =
    numbers seed "input" shape |> toTensor torch.ScalarType.Float32

let private same (expected: torch.Tensor) (actual: torch.Tensor) =
    expected.shape = actual.shape && expected.equal(actual).all().item<bool>()

let tests =
    testList
        "compiled models"
        [ test "replays give what the model gives, for each input" {
              use _ = torch.NewDisposeScope()
              let recorder = Recorder()
              use layer = model ()
              use compiled = new CompiledModel(layer, recorder, true)

              for seed in 1..3 do
                  let map = input seed [| 2; 5; 4; 8 |]
                  let expected = layer.call map
                  Expect.isTrue (same expected (compiled.call map)) $"input {seed}"

              Expect.equal (recorder.Captured, recorder.Replayed) (1, 3) "recorded once, replayed for each"
          }

          test "a result stays what it was when the next input comes" {
              use _ = torch.NewDisposeScope()
              use layer = model ()
              use compiled = new CompiledModel(layer, Recorder(), true)
              let first = compiled.call (input 1 [| 1; 4; 4; 8 |])
              let kept = first.clone ()
              compiled.call (input 2 [| 1; 4; 4; 8 |]) |> ignore
              Expect.isTrue (same kept first) "the first result"
          }

          test "each kind of input has its graph, the least used go" {
              use _ = torch.NewDisposeScope()
              let recorder = Recorder()
              use layer = model ()

              do
                  use compiled = new CompiledModel(layer, recorder, true)

                  for batch in 1 .. CompiledModel.Capacity + 1 do
                      compiled.call (input 1 [| batch; 4; 4; 8 |]) |> ignore

                  Expect.equal compiled.Recorded CompiledModel.Capacity "kinds kept"
                  Expect.equal recorder.Freed 1 "the first is gone"
                  compiled.call (input 1 [| 2; 4; 4; 8 |]) |> ignore
                  Expect.equal recorder.Captured (CompiledModel.Capacity + 1) "the second is still there"

              Expect.equal recorder.Freed recorder.Captured "all are freed in the end"
          }

          test "changed elements show, moved parameters are recorded anew" {
              use _ = torch.NewDisposeScope()
              let recorder = Recorder()
              use layer = model ()
              use compiled = new CompiledModel(layer, recorder, true)
              let map = input 1 [| 1; 4; 4; 8 |]
              compiled.call map |> ignore

              let weights =
                  namedParameters layer |> List.find (fun (name, _) -> name = "qkv.weight") |> snd

              using (torch.no_grad ()) (fun _ -> weights.mul_ (2.0.ToScalar()) |> ignore)
              Expect.isTrue (same (layer.call map) (compiled.call map)) "after a change in place"
              Expect.equal recorder.Captured 1 "recorded once"

              layer.``to``(torch.ScalarType.Float64).``to`` torch.ScalarType.Float32 |> ignore
              Expect.isTrue (same (layer.call map) (compiled.call map)) "after a move"
              Expect.equal (recorder.Captured, recorder.Freed) (2, 1) "recorded anew"
          }

          test "what cannot be recorded runs as it is, and says why" {
              use _ = torch.NewDisposeScope()
              let recorder = Recorder()
              use layer = model ()
              let map = input 1 [| 1; 4; 4; 8 |]
              use compiled = new CompiledModel(layer, recorder, false)
              Expect.stringContains (string (compiled.Obstacle map)) "CPU" "in main memory"

              use everywhere = new CompiledModel(layer, recorder, true)
              let leaf = map.clone().requires_grad_ true
              Expect.stringContains (string (everywhere.Obstacle leaf)) "gradient" "an input that wants one"
              let output = everywhere.call leaf
              output.sum().backward()
              Expect.isNotNull leaf.grad "the gradient comes through"

              everywhere.train ()
              Expect.isTrue layer.training "the model follows"
              Expect.stringContains (string (everywhere.Obstacle map)) "eval()" "training"
              everywhere.eval ()

              use without = new CompiledModel(layer, null, true)
              Expect.stringContains (string (without.Obstacle map)) "Libtorch" "a library without graphs"
              Expect.isTrue (same (layer.call map) (without.call map)) "it runs"
              Expect.equal recorder.Captured 0 "nothing was recorded"
          }

          test "on this machine compile() runs the model as it is" {
              use _ = torch.NewDisposeScope()
              use layer = model ()
              use compiled = layer.compile ()
              let map = input 1 [| 1; 4; 4; 8 |]
              Expect.isTrue (same (layer.call map) (compiled.call map)) "the same"
              Expect.equal compiled.Recorded 0 "nothing recorded"
          } ]
