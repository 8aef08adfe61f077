/// What calls leave in use.
module LocalAttention.Verification.Tests.MemoryTests

open System.Collections.Generic
open Expecto
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Asked
open TorchSharp

/// Keeps every input in a list, in training or always.
type private Hoarding(onlyInTraining: bool) as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Hoarding")
    let linear = torch.nn.Linear(6L, 6L)
    let hoard = List<torch.Tensor>()
    do this.register_module ("linear", linear)

    override _.forward x =
        if this.training || not onlyInTraining then
            hoard.Add(x.detach().alias().DetachFromDisposeScope())

        linear.call x

/// Keeps all inputs in one tensor, which takes the place of the last.
type private Growing() as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Growing")
    let linear = torch.nn.Linear(6L, 6L)
    let mutable seen = torch.zeros(1L).DetachFromDisposeScope()
    do this.register_module ("linear", linear)

    override _.forward x =
        let last = seen
        seen <- torch.cat([| last; x.detach().flatten() |]).DetachFromDisposeScope()
        last.Dispose()
        linear.call x

/// Makes one tensor for each input's size, and keeps it.
type private Tabulating() as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Tabulating")
    let linear = torch.nn.Linear(6L, 6L)
    let tables = Dictionary<int64, torch.Tensor>()
    do this.register_module ("linear", linear)

    override _.forward x =
        let rows = x.shape[1]

        if not (tables.ContainsKey rows) then
            tables[rows] <- torch.zeros(rows, 1L, 1L).DetachFromDisposeScope()

        linear.call x + tables[rows]

/// The tests of this file.
let tests =
    testList
        "memory"
        [ for name, layer in ("model", Subject.ofArchitecture model) :: layers do
              testCase $"comes back from {name}"
              <| fun () -> holds Memory.returned layer |> ignore

          testCase "comes back from a function"
          <| fun () -> holds Memory.returned (ofFunction "twice" (fun x -> x + x)) |> ignore

          testCase "comes back from what nobody disposes of, once the collector has run"
          <| fun () ->
              projecting "drops" (fun linear _ x ->
                  (x + x).DetachFromDisposeScope() |> ignore
                  linear.call x)
              |> holds Memory.returned
              |> ignore

          testCase "is kept once for each size by a table"
          <| fun () ->
              holds Memory.returned (ofModule "tabulates" (fun () -> new Tabulating()))
              |> ignore

          testCase "does not come back from a list of inputs"
          <| fun () ->
              ofModule "hoards" (fun () -> new Hoarding(false))
              |> fails Memory.returned [ "A call in evaluation"; "1 tensors of each call" ]

          testCase "does not come back from a list of inputs in training"
          <| fun () ->
              ofModule "hoards in training" (fun () -> new Hoarding(true))
              |> fails Memory.returned [ "A step of training" ]

          testCase "does not come back from a tensor that grows"
          <| fun () ->
              ofModule "grows" (fun () -> new Growing())
              |> fails Memory.returned [ "the field seen of Growing" ] ]
