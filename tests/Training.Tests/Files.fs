/// Folders that a test leaves no trace of, and files made byte by byte.
module LocalAttention.Training.Tests.Files

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression
open System.Text

/// Runs a test in a new folder, and removes it.
let inFolder (test: string -> unit) () =
    let folder = Directory.CreateTempSubdirectory("training-tests-").FullName

    try
        test folder
    finally
        Directory.Delete(folder, recursive = true)

/// A safetensors file of this header and this data, with the right length before them.
let safetensors (header: string) (data: byte array) =
    let json = Encoding.UTF8.GetBytes header
    let prefix = BitConverter.GetBytes(uint64 json.Length)
    Array.concat [ prefix; json; data ]

/// Where the header of a safetensors file ends.
let dataStart (bytes: byte array) =
    8 + int (BinaryPrimitives.ReadUInt64LittleEndian(ReadOnlySpan(bytes, 0, 8)))

/// The header of a safetensors file.
let header (bytes: byte array) =
    Encoding.UTF8.GetString(bytes, 8, dataStart bytes - 8)

/// The same file with another header.
let withHeader (change: string -> string) (bytes: byte array) =
    safetensors (change (header bytes)) bytes[dataStart bytes ..]

/// An IDX file of bytes: a magic number, dimensions, elements.
let idx (magic: uint32) (dimensions: int64 list) (elements: byte array) =
    let number (value: uint32) =
        let bytes = Array.zeroCreate 4
        BinaryPrimitives.WriteUInt32BigEndian(Span bytes, value)
        bytes

    Array.concat [ number magic; yield! dimensions |> List.map (uint32 >> number); elements ]

/// The bytes as gzip has them.
let gzip (bytes: byte array) =
    use packed = new MemoryStream()

    using (new GZipStream(packed, CompressionLevel.Fastest, leaveOpen = true)) (fun stream ->
        stream.Write(ReadOnlySpan bytes))

    packed.ToArray()

/// The names of all files of a folder, hidden ones too.
let namesIn folder =
    Directory.EnumerateFileSystemEntries folder
    |> Seq.map (fun path -> Path.GetRelativePath(folder, path))
    |> Seq.sort
    |> List.ofSeq
