// Peaks of memory predicted from the value beside those that the engine counts, on models of full size: bytes of tensors,
// parameters and images not among them, parameters' gradients among those of training.
//   ./run.sh eng/memory.fsx [PATTERN …]       none: the smallest model of each family
#load "../LocalAttention.fsx"

open System
open System.Reflection
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.Kernels
open LocalAttention.Dsl
open TorchSharp

let counter =
    typeof<torch.Tensor>.Assembly.GetType "TorchSharp.NativeMemoryPressure"

if isNull counter then
    failwith "only our own engine counts the bytes of tensors; build with TorchProvider=Libtorch"

let hidden = BindingFlags.NonPublic ||| BindingFlags.Static

let read (name: string) =
    counter.GetProperty(name, hidden).GetValue null :?> int64

let growth run =
    counter.GetMethod("ResetPeak", hidden).Invoke(null, [||]) |> ignore
    let before = read "Bytes"
    run ()
    read "PeakBytes" - before

let entries =
    match List.tail (List.ofArray fsi.CommandLineArgs) with
    | [] ->
        [ for _, family in
              Seq.groupBy (fun (entry: ZooEntry) -> entry.Family) LocalAttention.Core.Backbones.Zoo.All ->
              Seq.head family ]
    | patterns ->
        [ for pattern in patterns do
              yield! LocalAttention.Core.Backbones.Zoo.Find pattern ]

let measured (entry: ZooEntry) batch =
    use _ = torch.NewDisposeScope()
    let model = entry.Architecture |> buildSeeded 1L
    let size = entry.Architecture.Resolution
    let images = torch.rand ([| batch; 3L; int64 size.Height; int64 size.Width |])
    let labels = torch.zeros ([| batch |], dtype = torch.ScalarType.Int64)

    let infer () =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        model.forward images |> ignore

    let train () =
        use _ = torch.NewDisposeScope()
        torch.nn.functional.cross_entropy(model.forward images, labels).backward()

    model.eval ()
    infer ()
    let inference = growth infer
    model.train ()
    train ()

    for parameter in model.parameters () do
        parameter.grad <- null

    let training = growth train
    model.Dispose()
    inference, training

printfn "%-22s %-10s %-6s %27s %28s" "model" "backend" "images" "inference, MB" "training, MB"

let errors =
    [ for backend in [ Backend.FusedCpu; Backend.Composite ] do
          for batch in [ 1L; 4L ] do
              for entry in entries do
                  use _ = Backends.Use backend
                  let inference, training = measured entry batch

                  let predicted =
                      ActivationMemory.Of(entry.Architecture, int batch, backend = backend)

                  let error (a: int64) (b: int64) = 100.0 * (float a / float b - 1.0)

                  let first, second =
                      error predicted.Inference inference, error predicted.Training training

                  printfn
                      "%-22s %-10O %-6d %8.1f of %8.1f %+6.1f%% %8.1f of %8.1f %+6.1f%%"
                      entry.Name
                      backend
                      batch
                      (float predicted.Inference / 1e6)
                      (float inference / 1e6)
                      first
                      (float predicted.Training / 1e6)
                      (float training / 1e6)
                      second

                  yield! [ abs first; abs second ] ]

printfn "%d peaks: largest error %.1f%%" errors.Length (List.max errors)
