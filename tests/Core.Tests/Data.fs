/// Where the reference data lies: `tests/data`, beside this project.
module LocalAttention.Core.Tests.Data

open System.IO

/// The folder of the reference data.
let folder = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "data"))

/// The path of one file of it.
let path name = Path.Combine(folder, name)

let private fields (line: string) =
    // A field in quotation marks may hold commas; none holds a quotation mark.
    line.Split '"'
    |> Array.mapi (fun index piece -> if index % 2 = 1 then [| piece |] else piece.Split ',')
    |> Array.reduce (fun before piece ->
        let joined = Array.last before + Array.head piece
        Array.concat [ Array.take (before.Length - 1) before; [| joined |]; Array.skip 1 piece ])

/// The rows of a comma-separated file, each by the names in its first line.
let rows name =
    let lines = File.ReadAllLines(path name)
    let header = fields lines[0]

    [ for line in Array.skip 1 lines -> Array.zip header (fields line) |> Map.ofArray ]
