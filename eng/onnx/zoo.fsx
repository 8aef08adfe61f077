// Full-size models of the zoo as ONNX files: size, largest difference between ONNX Runtime and our own output, and the time
// that each takes for an image. Fails where one differs by more than 1e-4 of the largest logit.
//   ./run.sh eng/onnx/zoo.fsx [PATTERN …]       none: the smallest model of each family
#load "../../LocalAttention.fsx"
#load "../../tests/Export.Tests/Runtime.fs"

open System
open System.Diagnostics
open System.IO
open LocalAttention.Core.Backbones
open LocalAttention.Dsl
open LocalAttention.Export.Tests.Runtime
open TorchSharp

let entries =
    match List.tail (List.ofArray fsi.CommandLineArgs) with
    | [] ->
        [ for _, family in Seq.groupBy (fun (entry: ZooEntry) -> entry.Family) Zoo.All -> Seq.head family ]
    | patterns ->
        [ for pattern in patterns do
              yield! Zoo.Find pattern ]

let runtime = new Runtime()
let folder = Directory.CreateTempSubdirectory("onnx-zoo-").FullName
let path = Path.Combine(folder, "model.onnx")

let compared (entry: ZooEntry) =
    use _ = torch.NewDisposeScope()
    use model = entry.Architecture |> buildSeeded 1L |> forInference
    let size = entry.Architecture.Resolution
    let images = torch.rand ([| 3L; 3L; int64 size.Height; int64 size.Width |])
    let exporting = Stopwatch.StartNew()
    model |> toOnnx path
    let exported = exporting.Elapsed.TotalSeconds

    let inputs =
        [ for batch in [ 1L; 3L; 1L; 1L ] ->
              let some = images.narrow(0, 0, batch).contiguous()
              some.shape, some.data<float32>().ToArray() ]

    let answer = runtime.Run(path, inputs)
    let expected = model |> predict images
    let _, logits = answer.Outputs[1]

    let actual = torch.tensor (logits, ReadOnlySpan expected.shape)

    let difference =
        (actual - expected).abs().max().ToDouble() / expected.abs().max().ToDouble()

    let image = images.narrow (0, 0, 1)
    model |> predict image |> ignore
    let timing = Stopwatch.StartNew()
    model |> predict image |> ignore

    printfn
        "%-24s %8.1f MB in %4.1f s   differs by %.1e   %7.1f ms, ours %6.1f ms"
        entry.Name
        (float (FileInfo path).Length / 1e6)
        exported
        difference
        (List.min answer.Milliseconds)
        timing.Elapsed.TotalMilliseconds

    difference

try
    let differences = entries |> List.map compared
    let worst = List.max differences
    printfn "%d models: largest difference %.1e of the largest logit" differences.Length worst

    if not (worst <= 1e-4) then
        exit 1
finally
    (runtime :> IDisposable).Dispose()
    Directory.Delete(folder, recursive = true)
