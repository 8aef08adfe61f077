/// What the memory tests run in processes of their own: each load prints how far the process's peak rose above what
/// it was before, in KiB.
module LocalAttention.Tests.MemoryLoads

open System
open System.Globalization
open System.IO
open TorchSharp
open LocalAttention.Tests.Values

let private status = "/proc/self/status"

/// Whether this system tells a process its peak.
let isMeasured = File.Exists status

/// The largest resident size that this process has had, in KiB.
let private peak () =
    let line =
        File.ReadLines status
        |> Seq.find (fun line -> line.StartsWith("VmHWM:", StringComparison.Ordinal))

    Int64.Parse(
        line.Split([| ' '; '\t' |], StringSplitOptions.RemoveEmptyEntries)[1],
        CultureInfo.InvariantCulture
    )

/// Tensors of that many numbers, one after the other.
let private tensors (numbers: int64) (finish: Tensor -> unit) count =
    for _ in 1..count do
        finish (torch.zeros numbers)

/// Two convolutions with a residual connection, written out, so that every intermediate result is a tensor of the
/// caller's: some 60 MB of them a step, several times the garbage that is always tolerated.
let private training (inScope: (unit -> unit) -> unit) steps =
    torch.manual_seed 1L |> ignore
    let stem = torch.nn.Conv2d(3L, 32L, 3L, padding = 1L)
    let inner = torch.nn.Conv2d(32L, 32L, 3L, padding = 1L)
    let head = torch.nn.Linear(32L, 10L)

    let parameters =
        [ stem.parameters (); inner.parameters (); head.parameters () ] |> Seq.concat

    let optimizer = torch.optim.AdamW parameters

    let forward images =
        let first = torch.nn.functional.gelu (stem.call images)
        let residual = first + torch.nn.functional.gelu (inner.call first) * 0.5
        head.call (residual.mean [| 2L; 3L |])

    let step () =
        let images, labels = torch.randn (8L, 3L, 96L, 96L), torch.randint (10L, [| 8L |])
        optimizer.zero_grad ()
        let loss = torch.nn.functional.cross_entropy (forward images, labels)
        loss.backward ()
        optimizer.step () |> ignore

    for _ in 1..steps do
        inScope step

let private scoped step =
    use _ = torch.NewDisposeScope()
    step ()

let private loads =
    Map
        [ "small-dropped", (tensors 16L ignore, 300_000, 1_000_000)
          "small-disposed", (tensors 16L _.Dispose(), 1_000_000, 1_000_000)
          "large-dropped", (tensors 16_384L ignore, 2_000, 20_000)
          "training-dropped", (training (fun step -> step ()), 0, 10)
          "training-disposed", (training scoped, 0, 10) ]

/// Runs a load, a part of it first: what is allocated once, by libtorch, by the collector's youngest generation and by
/// the first garbage, is not growth.
let run name =
    match loads.TryFind name with
    | None ->
        eprintfn "There is no load '%s'; there are %s." name (String.concat ", " loads.Keys)
        2
    | Some(load, part, all) ->
        torch.zeros 1L |> ignore
        load part
        let before = peak ()
        load all
        printfn "%d" (peak () - before)
        0
