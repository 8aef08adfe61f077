/// ONNX Runtime in a Node.js process of its own: files and inputs go there, outputs come back as raw float32.
module LocalAttention.Export.Tests.Runtime

open System
open System.Diagnostics
open System.IO
open System.Text.Json

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", ".."))

let private start (file: string) (arguments: string list) =
    let info =
        ProcessStartInfo(file, arguments, RedirectStandardInput = true, RedirectStandardOutput = true)

    info.Environment["NODE_PATH"] <- Path.Combine(root, "artifacts", "onnx", "node_modules")

    match Process.Start info with
    | null -> failwith $"'{file}' does not start"
    | started -> started

/// What the process said.
type Answer =
    { Input: string
      Output: string
      Outputs: (int64 array * float32 array) list
      Milliseconds: float list }

let private text (name: string) (json: JsonElement) =
    match json.GetProperty(name).GetString() with
    | null -> failwith $"the answer's '{name}' is null"
    | text -> text

let private floats (path: string) =
    let bytes = File.ReadAllBytes path
    Array.init (bytes.Length / 4) (fun index -> BitConverter.ToSingle(bytes, 4 * index))

let private bytes (numbers: float32 array) =
    let bytes = Array.zeroCreate<byte>(4 * numbers.Length)
    Buffer.BlockCopy(numbers, 0, bytes, 0, bytes.Length)
    bytes

/// The process, which lives as long as the tests. Without it they fail, and say what is missing.
type Runtime() =
    let node =
        use setup = start (Path.Combine(root, "eng", "onnx", "setup.sh")) []
        setup.WaitForExit()

        if setup.ExitCode <> 0 then
            failwith
                "eng/onnx/setup.sh could not install ONNX Runtime for Node.js; its message is on standard error"

        start "node" [ Path.Combine(root, "eng", "onnx", "serve.js") ]

    /// Runs a file on inputs of these shapes. Fails with the runtime's message where it refuses the file or an input.
    member _.Run(model: string, inputs: (int64 array * float32 array) list) : Answer =
        let files =
            [ for index, (shape, numbers) in List.indexed inputs do
                  let file = $"{model}.input{index}"
                  File.WriteAllBytes(file, bytes numbers)
                  {| file = file; shape = shape |} ]

        node.StandardInput.WriteLine(JsonSerializer.Serialize {| model = model; inputs = files |})
        node.StandardInput.Flush()

        match node.StandardOutput.ReadLine() with
        | null -> failwith "Node.js ended without an answer; its message is on standard error"
        | line ->
            use json = JsonDocument.Parse line

            match json.RootElement.TryGetProperty "error" with
            | true, error -> failwith $"ONNX Runtime refuses {model}: {error.GetString()}"
            | _ ->
                let outputs = json.RootElement.GetProperty("outputs").EnumerateArray() |> List.ofSeq

                { Input = text "name" json.RootElement
                  Output = text "name" outputs.Head
                  Outputs =
                    [ for output in outputs ->
                          [| for size in output.GetProperty("shape").EnumerateArray() -> size.GetInt64() |],
                          floats (text "file" output) ]
                  Milliseconds =
                    [ for time in json.RootElement.GetProperty("milliseconds").EnumerateArray() ->
                          time.GetDouble() ] }

    interface IDisposable with
        member _.Dispose() =
            node.StandardInput.Close()
            node.WaitForExit()
            node.Dispose()
