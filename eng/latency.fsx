// Estimates of time beside measured ones: float32 inference of one image, shifts merged, the best of some runs each. Prints a
// row for each model and the median error. Nothing else should run meanwhile.
//   ./run.sh eng/latency.fsx [PATTERN …]      none: the smaller models of every family, up to 30 million parameters
#load "../LocalAttention.fsx"

open System.Diagnostics
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

let patterns = List.tail (List.ofArray fsi.CommandLineArgs)

let entries =
    match patterns with
    | [] ->
        [ for entry in LocalAttention.Core.Backbones.Zoo.All do
              if ParameterCount.Of(entry.Architecture).All < 30_000_000L then
                  entry ]
    | _ ->
        [ for pattern in patterns do
              yield! LocalAttention.Core.Backbones.Zoo.Find pattern ]

let measured (architecture: Architecture) =
    let model = architecture |> buildSeeded 1L |> forInference

    let images =
        torch.rand (
            [| 1L
               3L
               int64 architecture.Resolution.Height
               int64 architecture.Resolution.Width |]
        )

    let run () =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let begin' = Stopwatch.GetTimestamp()
        model.forward images |> ignore
        Stopwatch.GetElapsedTime(begin').TotalSeconds

    // The first two warm up: code is compiled, and the routes of linear layers are measured.
    run () |> ignore
    run () |> ignore
    let best = Seq.min [ for _ in 1..7 -> run () ]
    model.Dispose()
    best

let machine = MachineProfile.Measure()
printfn "%s" (machine.ToJson())
printfn "%-24s %10s %10s %8s" "model" "estimate" "measured" "error"

let errors =
    [ for entry in entries ->
          let estimate = LatencyEstimate.Of(entry.Architecture, machine).Seconds
          let time = measured entry.Architecture
          let error = estimate / time - 1.0
          printfn "%-24s %7.1f ms %7.1f ms %+7.0f%%" entry.Name (1e3 * estimate) (1e3 * time) (100.0 * error)
          abs error ]
    |> List.sort

printfn
    "%d models: median error %.0f%%, largest %.0f%%"
    errors.Length
    (100.0 * errors[errors.Length / 2])
    (100.0 * List.last errors)
