/// What is promised of space holds for this library's layers and models, and is found broken where it is broken.
module LocalAttention.Verification.Tests.SpaceTests

open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Asked
open TorchSharp

let private convolution (padding: int64) =
    Subject.ofModule "convolution" (Signature.Images(3, 7, 6)) (Promises.window 3) (fun () ->
        torch.nn.Conv2d(3L, 4L, 3L, padding = padding))

/// Along the columns, the mean of a place and its neighbours at these offsets, zeros beyond the border.
let private mean (offsets: int list) (x: torch.Tensor) =
    let width = x.shape[2]
    let padded = torch.nn.functional.pad (x, [| 0L; 0L; 4L; 4L |])

    offsets
    |> List.map (fun offset -> padded.narrow (2L, 4L + int64 offset, width))
    |> List.reduce (fun one other -> one + other)

let private rowOf radius =
    Promises.none
    |> Promises.moving (1, 1) radius
    |> Promises.reaching (fun size (row, column) ->
        set [ for other in max 0 (column - radius) .. min (size.Width - 1) (column + radius) -> row, other ])

let private sound =
    testList
        "hold"
        [ for name, layer in layers do
              testCase $"for {name}"
              <| fun () ->
                  holds Locality.support layer |> ignore
                  holds BatchIndependence.alone layer |> ignore
                  holds Determinism.repetition layer |> ignore

          // Attention that tells all places apart has no shift at all.
          for name, layer in layers do
              if
                  (layer.Promises.Maps layer.Size)
                  |> List.exists (fun map -> not map.Moves.IsNone || not map.Rolls.IsNone)
              then
                  testCase $"for {name} under its shifts"
                  <| fun () -> holds Equivariance.shifts layer |> ignore

          testCase "for a model"
          <| fun () ->
              let subject = Subject.ofArchitecture model
              let figures = holds Equivariance.shifts subject

              Expect.isLessThan
                  figures["largest deviation when moving"]
                  1e-9
                  "what the shifts of the value leave"

              Expect.isGreaterThan
                  figures["smallest deviation outside the lattice"]
                  1e-7
                  "what other shifts leave"

              holds Locality.support subject |> ignore
              holds BatchIndependence.alone subject |> ignore
              holds Determinism.repetition subject |> ignore
              let consistency = (holds Consistency.predictions subject)["mean consistency"]
              Expect.isTrue (consistency >= 0.0 && consistency <= 1.0) $"{consistency} is a share"

          testCase "for a convolution of images, given as a module"
          <| fun () ->
              let subject = convolution 1L
              holds Equivariance.shifts subject |> ignore
              holds Locality.support subject |> ignore

          testCase "for a function without gradient, by changing its input"
          <| fun () ->
              Subject.ofFunction "detached" tokens (rowOf 1) (fun x -> mean [ -1; 0; 1 ] (x.detach ()))
              |> holds Locality.support
              |> ignore

          testCase "for a pooled output, whatever the roll"
          <| fun () ->
              Subject.ofFunction "mean" tokens (Promises.none |> Promises.invariant (1, 1)) (fun x ->
                  x.mean [| 1L; 2L |])
              |> holds Equivariance.shifts
              |> ignore

          testCase "for a strided mean, whose stride is promised"
          <| fun () ->
              let pooled (x: torch.Tensor) =
                  torch.nn.functional.avg_pool2d (x, 2L, 2L)

              let promises =
                  Promises.none
                  |> Promises.stride (2, 2)
                  |> Promises.moving (2, 2) 0
                  |> Promises.rolling (2, 2)

              let signature = Signature.Images(2, 8, 6).Where(fun size -> size.IsMultipleOf 2)

              Subject.ofFunction "pooled" signature promises pooled
              |> holds Equivariance.shifts
              |> ignore ]

let private broken =
    testList
        "are found broken"
        [ testCase "where a window begins one place late"
          <| fun () ->
              Subject.ofFunction "late" tokens (rowOf 1) (mean [ 0; 1; 2 ])
              |> fails Locality.support [ "should depend on"; "it also depends on (0, 2)" ]

          testCase "where the border is wider than promised"
          <| fun () ->
              // The wider window's sums know of the border two places in.
              Subject.ofFunction "wide" (Signature.Tokens(2, 9, 9)) (rowOf 1) (mean [ -2; 0; 2 ])
              |> fails Equivariance.shifts [ "moving an input of"; "should move output" ]

          testCase "where an unpromised torus is promised"
          <| fun () ->
              Subject.ofFunction "padded" tokens (rowOf 1 |> Promises.rolling (1, 1)) (mean [ -1; 0; 1 ])
              |> fails Equivariance.shifts [ "rolling an input of"; "should roll all of output" ]

          testCase "where rows are counted"
          <| fun () ->
              let counted (x: torch.Tensor) =
                  let rows = torch.arange (x.shape[1], dtype = torch.ScalarType.Float64)
                  x + rows.reshape (1L, -1L, 1L, 1L)

              Subject.ofFunction "counted" tokens Promises.pointwise counted
              |> fails Equivariance.shifts [ "by 1 down"; "places differ" ]

          testCase "where what has no gradient depends on everything"
          <| fun () ->
              Subject.ofFunction "leak" tokens Promises.pointwise (fun x -> x + x.detach().mean())
              |> fails Locality.support [ "also depends on"; "though their gradients are zero" ]

          testCase "where the batch is normalised together"
          <| fun () ->
              ofFunction "batch norm" (fun x -> x - x.mean ([| 0L |], keepdim = true))
              |> fails BatchIndependence.alone [ "what it gives alone" ]

          testCase "where noise is added"
          <| fun () ->
              ofFunction "noise" (fun x -> x + 1e-3 * torch.randn_like x)
              |> fails Determinism.repetition [ "the same input should give the same" ]

          testCase "where an earlier input is remembered"
          <| fun () ->
              let mutable kept = 0.0

              ofFunction "memory" (fun x ->
                  let before = kept
                  kept <- x.mean().``to``(torch.ScalarType.Float64).item<float>()
                  x + torch.tensor(before).``to`` x.dtype)
              |> fails Determinism.repetition [ "after another input" ] ]

let private generated =
    testCase "hold for generated architectures"
    <| fun () ->
        let settings = { few with Cases = 12; Seed = 3L }

        for property in
            [ Equivariance.shifts
              Locality.support
              BatchIndependence.alone
              Determinism.repetition ] do
            let finding =
                Verify.search property settings (Generate.architecture |> Gen.map Subject.ofArchitecture)

            match finding.Outcome with
            | Outcome.Holds cases -> Expect.isGreaterThan cases 0 "cases"
            | outcome -> failtest $"{property.Name}: {outcome}"

/// The tests of this file.
let tests = testList "space" [ sound; broken; generated ]
