/// Heads that trade places.
module LocalAttention.Verification.Tests.HeadsTests

open System
open Expecto
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Asked
open TorchSharp

/// A window layer, to which the bias of its queries is added as it stands.
type private Reading(layer: torch.nn.Module<torch.Tensor, torch.Tensor>) as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Reading")
    do this.register_module ("layer", layer)

    override _.forward x =
        layer.call x
        + (nonNull (layer.get_parameter "qkv.bias")).narrow(0L, 0L, x.shape[3])

/// Each channel times the number of its head, from 1: what a head's place, and not its parameters, decides.
let private numbered (x: torch.Tensor) =
    x * torch.arange(1L, 4L).repeat_interleave(2L).``to`` x.dtype

/// One head for every two channels; each scales its own.
let private scaling name (body: torch.Tensor -> torch.Tensor) =
    let subject = projecting name (fun linear _ x -> body (linear.call x))

    { subject with
        Promises = Promises.none |> Promises.heads 3 }

/// The rows of the projection, and the channels of the input, that belong to the heads.
let private permuteRows =
    Action<Instance, int[]>(fun instance order ->
        let places =
            torch.tensor
                [| for head in order do
                       for channel in 0..1 -> int64 (2 * head + channel) |]

        for _, parameter in instance.Parameters do
            parameter.copy_ (parameter.index_select (0L, places)) |> ignore)

/// A sum over the heads' channels, which does not ask for their order.
let private summed (x: torch.Tensor) = x.unflatten(3L, 3L, 2L).sum 3L

let private orders =
    testList
        "orders"
        [ testCase "change the parameters of every kind of layer"
          <| fun () ->
              for name, attention in attentions do
                  use layer = attention.Build 12

                  let copies () =
                      [ for parameter in layer.parameters () -> Measuring.elements parameter ]

                  let before = copies ()

                  let order =
                      [| for group in HeadOrder.groups attention do
                             yield! List.rev group |]

                  HeadOrder.apply order layer
                  Expect.notEqual (copies ()) before $"{name}, permuted"
                  HeadOrder.apply order layer
                  Expect.equal (copies ()) before $"{name}, permuted twice"

          testCase "that mix directions of cross-shaped heads are refused"
          <| fun () ->
              use layer = CrossShapedAttention(2, 4).Build 8

              Expect.throwsC (fun () -> HeadOrder.apply [| 2; 1; 0; 3 |] layer) (fun thrown ->
                  Expect.stringContains thrown.Message "[0; 1] and [2; 3]" "message")

          testCase "of other modules are refused"
          <| fun () ->
              use layer = torch.nn.Linear(2L, 2L)

              Expect.throwsT<ArgumentException>
                  (fun () -> HeadOrder.apply [| 1; 0 |] layer)
                  "no attention layer" ]

/// The tests of this file.
let tests =
    testList
        "heads"
        [ for name, layer in layers do
              testCase $"of {name} may trade places"
              <| fun () -> holds Heads.permutation layer |> ignore

          testCase "of a model may trade places"
          <| fun () -> holds Heads.permutation (Subject.ofArchitecture model) |> ignore

          testCase "may not where something reads their parameters by place"
          <| fun () ->
              ofModule "reads places" (fun () -> new Reading(WindowAttention(2, 3).Build 6))
              |> fails Heads.permutation [ "heads to"; "in layer" ]

          testCase "of another layer are permuted by a function"
          <| fun () ->
              holds (Heads.permutedBy permuteRows) (scaling "summed" summed) |> ignore

              scaling "numbered" (numbered >> summed)
              |> fails (Heads.permutedBy permuteRows) [ "heads to"; "leave the output as it is" ]

          testCase "that are not promised are not asked about"
          <| fun () ->
              isSkipped Heads.permutation "Heads.permutedBy" plain
              isSkipped (Heads.permutedBy permuteRows) "two heads" plain

          orders ]
