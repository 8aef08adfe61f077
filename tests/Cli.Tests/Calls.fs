/// Commands, called in this process, and the files that they are given.
module LocalAttention.Cli.Tests.Calls

open System
open System.IO
open System.Text.Json.Nodes
open Expecto
open LocalAttention.Cli
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

/// How a call ended, and what it wrote.
type Ended =
    { Code: int
      Output: string
      Error: string }

    /// The standard output as JSON; anything else on it fails.
    member this.Json: JsonNode = nonNull (JsonNode.Parse this.Output)

/// Runs a command line.
let call (arguments: string list) : Ended =
    use output = new StringWriter()
    use error = new StringWriter()
    let code = CommandLine.run arguments output error

    { Code = code
      Output = output.ToString()
      Error = error.ToString() }

/// Runs a command line that should end well.
let fine (arguments: string list) : Ended =
    let ended = call arguments
    let line = String.Join(' ', arguments)
    Expect.equal ended.Code 0 $"the exit code of '{line}', which says: {ended.Error}"
    ended

/// Runs a command line that should be refused: its exit code, and what is said of it.
let refused (arguments: string list) : string =
    let ended = call arguments
    Expect.equal ended.Code 2 "the exit code"
    Expect.equal ended.Output "" "nothing on the standard output"
    ended.Error

/// The member of a JSON value that a path of names and numbers leads to.
let rec at (path: obj list) (value: JsonNode) : JsonNode =
    match path with
    | [] -> value
    | (:? int as index) :: rest -> at rest (nonNull value[index])
    | name :: rest -> at rest (nonNull value[string name])

/// A number of a JSON value.
let number (path: obj list) (value: JsonNode) : int64 = (at path value).GetValue<int64>()

/// A text of a JSON value.
let text (path: obj list) (value: JsonNode) : string = (at path value).GetValue<string>()

/// The names in a JSON object.
let members (value: JsonNode) : string list =
    [ for pair in value.AsObject() -> pair.Key ] |> List.sort

/// Runs a test in a new folder, and removes it.
let inFolder (test: string -> unit) () : unit =
    let folder = Directory.CreateTempSubdirectory "cli-tests-"

    try
        test folder.FullName
    finally
        folder.Delete true

/// A file of a folder.
let file (folder: string) (name: string) : string = Path.Combine(folder, name)

/// The names in a folder.
let namesIn (folder: string) : string list =
    [ for path in Directory.EnumerateFileSystemEntries folder -> string (Path.GetFileName path) ]
    |> List.sort

/// A model of two stages that is built in a moment; its slide block has two convolutions to merge.
let small: Architecture =
    backbone "small" (patchify 4 8)
    |> stages [ stage (slide 3 |> heads 2) |> downsample merge; stage (window 2 |> heads 2) ]
    |> head (classify 3)
    |> imageSize 16

/// Its checkpoint, which holds its architecture.
let smallIn (folder: string) : string =
    let path = file folder "small.safetensors"
    use model = small |> buildSeeded 5L
    model |> save path
    path

/// Images for it, and the file that they are in.
let imagesIn (folder: string) (count: int64) : torch.Tensor * string =
    let path = file folder "images.safetensors"

    let images =
        torch.rand ([| count; 3L; 16L; 16L |], generator = new torch.Generator(7UL))

    SafetensorsFile.Write(path, [ struct ("images", images) ])
    images, path

/// A tensor of a file.
let tensorOf (path: string) (name: string) : torch.Tensor =
    use file = WeightsFile.Open path
    file.Read name

/// Whether two tensors are equal bit for bit, but for the sign of zero.
let same (one: torch.Tensor) (other: torch.Tensor) : bool =
    one.shape = other.shape && one.allclose (other, 0.0, 0.0)
