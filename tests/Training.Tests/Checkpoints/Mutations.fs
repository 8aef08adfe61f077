/// Checkpoints that no one wrote: small files of every format, changed at random, and what reading them may come to. The tests
/// use it for a while, `eng/fuzz.fsx` for as long as one likes.
module LocalAttention.Training.Tests.Mutations

open System
open System.IO
open System.IO.Compression
open System.Text
open LocalAttention.Core.Checkpoints
open TorchSharp

/// A file to change: its bytes, of which a stretch may stand in a frame that is made right again.
type Seed =
    {
        Name: string
        Payload: byte array
        /// The whole file for a changed payload: a length before it, or a zip file around it.
        Frame: byte array -> byte array
    }

/// A zip file of stored entries.
let private zip (entries: (string * byte array) list) =
    use stream = new MemoryStream()

    using (new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen = true)) (fun archive ->
        for name, content in entries do
            use entry = archive.CreateEntry(name, CompressionLevel.NoCompression).Open()
            entry.Write(ReadOnlySpan content))

    stream.ToArray()

let private unzip (bytes: byte array) =
    use archive = new ZipArchive(new MemoryStream(bytes))

    [ for entry in archive.Entries ->
          use stream = entry.Open()
          use content = new MemoryStream()
          stream.CopyTo content
          entry.FullName, content.ToArray() ]

let private written ending =
    let folder = Directory.CreateTempSubdirectory("mutations-").FullName

    try
        use _ = torch.NewDisposeScope()
        let path = Path.Combine(folder, $"file.{ending}")

        WeightsFile.Write(
            path,
            [ for index in 0..5 do
                  struct ($"stage/{index % 2}/w{index}", torch.arange(6L).view(2L, 3L))
              struct ("scalar", torch.tensor 1.0f)
              struct ("empty", torch.zeros (0L, 2L)) ]
        )

        File.ReadAllBytes path
    finally
        Directory.Delete(folder, recursive = true)

let private whole name bytes =
    { Name = name
      Payload = bytes
      Frame = id }

/// The files: those that Python made of every construct, whole and by their pickle alone, and some of ours.
/// `torchFolder` is where the former are.
let seeds torchFolder =
    let python =
        [ for path in Directory.GetFiles(torchFolder, "*.pth") |> Array.sort ->
              FileInfo(path).Name, File.ReadAllBytes path ]

    let safetensors = written "safetensors"

    [ for name, bytes in python do
          whole name bytes

          if bytes[0] = byte 'P' then
              let entries = unzip bytes

              { Name = $"the pickle of {name}"
                Payload = entries |> List.find (fun (name, _) -> name.EndsWith "data.pkl") |> snd
                Frame =
                  fun pickle ->
                      zip
                          [ for name, content in entries ->
                                name, (if name.EndsWith "data.pkl" then pickle else content) ] }
      whole "safetensors" safetensors
      { Name = "the header of safetensors"
        Payload = safetensors[8 .. 7 + int (BitConverter.ToUInt64(safetensors, 0))]
        Frame =
          fun header ->
              let data = safetensors[8 + int (BitConverter.ToUInt64(safetensors, 0)) ..]
              Array.concat [ BitConverter.GetBytes(uint64 header.Length); header; data ] }
      whole "msgpack" (written "msgpack") ]

let private numbers = [| 0uy; 1uy; 2uy; 3uy; 8uy; 0x7Fuy; 0x80uy; 0xFEuy; 0xFFuy |]

/// The operations of pickles, the first bytes of MessagePack's values, and JSON's signs.
let private words =
    Array.concat
        [ "(.012NKMJGUTXCBcab)]}esuqrhjQRtiolFIV{}[]\",:-0123456789"B
          [| 0x80uy .. 0x98uy |]
          [| 0xC0uy .. 0xDFuy |] ]

let private pick (random: Random) (items: 'item array) = items[random.Next items.Length]

let private replaceAt position (part: byte array) (bytes: byte array) =
    let changed = Array.copy bytes
    let count = min part.Length (bytes.Length - position)
    Array.blit part 0 changed position count
    changed

let private change (random: Random) (others: byte array array) (bytes: byte array) =
    if bytes.Length = 0 then
        bytes
    else
        let position = random.Next bytes.Length

        let count =
            min (1 + random.Next(if random.Next 4 = 0 then 200 else 8)) (bytes.Length - position)

        match random.Next 11 with
        | 0 -> replaceAt position [| bytes[position] ^^^ (1uy <<< random.Next 8) |] bytes
        | 1 -> replaceAt position [| pick random numbers |] bytes
        | 2 -> replaceAt position [| pick random words |] bytes
        | 3 -> Array.insertAt position (pick random words) bytes
        | 4 -> Array.removeManyAt position count bytes
        | 5 -> Array.insertManyAt position (Array.sub bytes position count) bytes
        | 6 ->
            let part = Array.sub bytes position count
            let times = 1 <<< random.Next 12
            Array.insertManyAt position (Array.concat (Array.replicate times part)) bytes
        | 7 -> Array.truncate position bytes
        | 8 ->
            let number =
                pick
                    random
                    [| 0L
                       1L
                       -1L
                       0xFFFFL
                       0x7FFFFFFFL
                       0xFFFFFFFFL
                       Int64.MaxValue
                       int64 bytes.Length
                       random.NextInt64() |]

            let part = Array.truncate (pick random [| 2; 4; 8 |]) (BitConverter.GetBytes number)
            replaceAt position (if random.Next 2 = 0 then part else Array.rev part) bytes
        | 9 ->
            let number =
                pick
                    random
                    [| "0"
                       "-1"
                       "1"
                       "2147483648"
                       "9223372036854775807"
                       "18446744073709551615"
                       "1e9" |]

            Array.insertManyAt position (Encoding.ASCII.GetBytes number) bytes
        | _ ->
            let other = pick random others

            if other.Length = 0 then
                bytes
            else
                let from = random.Next other.Length
                Array.insertManyAt position (Array.sub other from (min count (other.Length - from))) bytes

/// The file of a number: always the same one of the same seeds.
let make (seeds: Seed array) (number: int) =
    let random = Random number
    let seed = pick random seeds
    let others = seeds |> Array.map _.Payload

    let changed =
        [ 1 .. 1 + random.Next 2 * random.Next 4 ]
        |> List.fold (fun bytes _ -> change random others bytes) seed.Payload

    seed.Name, seed.Frame changed

/// Reads a file wholly. Nothing where that ends as it may: with tensors or with a `CheckpointException` that names the file,
/// within the memory that `WeightsFile` states; else what was wrong, and whether the file was read.
let outcome (path: string) =
    let length = FileInfo(path).Length
    let largest = int64 WeightsFile.LargestFactor * length + int64 WeightsFile.Allowance
    let before = GC.GetAllocatedBytesForCurrentThread()

    let result =
        try
            use file = WeightsFile.Open path
            let allocated = GC.GetAllocatedBytesForCurrentThread() - before
            let mutable tensors = 0L

            for entry in file.Entries do
                use tensor = file.Read entry.Name
                tensors <- tensors + tensor.NumberOfElements * int64 tensor.ElementSize

            if tensors > int64 WeightsFile.LargestFactor * length then
                Error $"the tensors take {tensors} bytes, the file {length}"
            else
                Ok(true, allocated)
        with
        | :? CheckpointException as refused ->
            let allocated = GC.GetAllocatedBytesForCurrentThread() - before

            if not (refused.Message.StartsWith(path + ": ")) || refused.Message.Length > 10_000 then
                Error $"the message is not one: {refused.Message}"
            else
                Ok(false, allocated)
        | other -> Error(string other)

    match result with
    | Ok(_, allocated) when allocated > largest ->
        Error $"reading allocated {allocated} bytes for a file of {length}; {largest} are allowed"
    | Ok(read, _) -> Ok read
    | Error wrong -> Error wrong
