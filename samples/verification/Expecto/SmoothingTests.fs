/// A layer of one's own, verified in a suite of Expecto.
module Samples.Verification.SmoothingTests

open Expecto
open LocalAttention.Verification
open TorchSharp

/// Each token and a projection of the mean of the 3×3 tokens around it; zeros lie beyond the border. `[B, H, W, C]`.
type Smoothing(channels: int64) as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Smoothing")
    let proj = torch.nn.Linear(channels, channels)
    do this.RegisterComponents()

    override _.forward map =
        use _ = torch.NewDisposeScope()
        let images = map.permute (0L, 3L, 1L, 2L)
        let means = torch.nn.functional.avg_pool2d (images, 3L, 1L, 1L)
        (map + proj.call (means.permute (0L, 2L, 3L, 1L))).MoveToOuterDisposeScope()

let private smoothing =
    Subject.ofModule "smoothing" (Signature.Tokens(4, 7, 6)) (Promises.window 3) (fun () -> new Smoothing(4L))

[<Tests>]
let tests =
    testList
        "smoothing"
        [ testCase "every property holds"
          <| fun () -> Verify.holds Verify.settings smoothing
          testCase "it looks no further than its window"
          <| fun () ->
              let finding = smoothing |> Verify.ask Locality.support Verify.settings
              Expect.isTrue finding.IsSound "locality" ]

[<EntryPoint>]
let main arguments = runTestsWithCLIArgs [] arguments tests
