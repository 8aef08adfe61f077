// Checkpoints that no one wrote, read: files of safetensors, of PyTorch and of Flax, changed at random. Ends at the first file
// that is neither read nor refused as it should be, and leaves it beside where it ran. The tests read the first thousand.
//   ./run.sh eng/fuzz.fsx [COUNT [FIRST]]      100,000 files from number 1 on, unless said otherwise
#load "../LocalAttention.fsx"
#load "../tests/Training.Tests/Checkpoints/Mutations.fs"

open System
open System.Diagnostics
open System.IO
open LocalAttention.Training.Tests

let count, first =
    match List.map int (List.tail (List.ofArray fsi.CommandLineArgs)) with
    | [] -> 100_000, 1
    | [ count ] -> count, 1
    | count :: first :: _ -> count, first

let seeds =
    Path.Combine(__SOURCE_DIRECTORY__, "..", "tests", "data", "torch")
    |> Mutations.seeds
    |> Array.ofList

let folder = Directory.CreateTempSubdirectory("fuzz-").FullName
let path = Path.Combine(folder, "file")
let watch = Stopwatch.StartNew()
let mutable read = 0
let mutable slowest = TimeSpan.Zero
let mutable failed = false
let mutable number = first

while not failed && number < first + count do
    let name, bytes = Mutations.make seeds number
    File.WriteAllBytes(path, bytes)
    let start = Stopwatch.GetTimestamp()
    let outcome = Mutations.outcome path
    slowest <- max slowest (Stopwatch.GetElapsedTime start)

    match outcome with
    | Ok wasRead ->
        if wasRead then
            read <- read + 1
    | Error wrong ->
        let kept = $"fuzz-{number}"
        File.WriteAllBytes(kept, bytes)
        printfn $"file {number}, of {name}, kept as {kept}: {wrong}"
        failed <- true

    number <- number + 1

    if (number - first) % 10_000 = 0 then
        eprintfn $"{number - first:N0} files, {watch.Elapsed.TotalSeconds:F0} s"

Directory.Delete(folder, recursive = true)

printfn
    $"{number - first:N0} files in {watch.Elapsed.TotalSeconds:F0} s: {read:N0} read, {number - first - read:N0} refused; the slowest took {slowest.TotalMilliseconds:F0} ms"

exit (if failed then 1 else 0)
