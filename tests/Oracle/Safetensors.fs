/// Reads safetensors files: a length, a JSON header, the bytes. Knows the floating types of the reference data.
module LocalAttention.Oracle.Safetensors

open System
open System.Buffers.Binary
open System.IO
open System.Text.Json

let private decode (name: string) (kind: string) (bytes: ReadOnlyMemory<byte>) =
    let read size (element: ReadOnlyMemory<byte> -> float) =
        Array.init (bytes.Length / size) (fun i -> element (bytes.Slice(i * size, size)))

    match kind with
    | "F64" -> read 8 (fun item -> BinaryPrimitives.ReadDoubleLittleEndian item.Span)
    | "F32" -> read 4 (fun item -> float (BinaryPrimitives.ReadSingleLittleEndian item.Span))
    | "I64" -> read 8 (fun item -> float (BinaryPrimitives.ReadInt64LittleEndian item.Span))
    | other -> failwith $"The tensor '{name}' is of type {other}; F64, F32 and I64 are read."

/// The arrays of a file by name, as doubles.
let read (path: string) : Map<string, NdArray<float>> =
    let bytes = File.ReadAllBytes path

    let headerLength =
        int (BinaryPrimitives.ReadInt64LittleEndian(ReadOnlySpan(bytes, 0, 8)))

    use header = JsonDocument.Parse(ReadOnlyMemory(bytes, 8, headerLength))
    let data = 8 + headerLength

    Map
        [ for entry in header.RootElement.EnumerateObject() do
              if entry.Name <> "__metadata__" then
                  let integers (property: string) =
                      [| for item in entry.Value.GetProperty(property).EnumerateArray() -> item.GetInt32() |]

                  let shape, range = integers "shape", integers "data_offsets"
                  let content = ReadOnlyMemory(bytes, data + range[0], range[1] - range[0])
                  let kind = string (entry.Value.GetProperty("dtype").GetString())
                  entry.Name, NdArray.ofArray shape (decode entry.Name kind content) ]

/// The entries whose names start with a prefix, without it.
let under (prefix: string) (arrays: Map<string, NdArray<'T>>) =
    arrays
    |> Map.toSeq
    |> Seq.filter (fun (name, _) -> name.StartsWith(prefix, StringComparison.Ordinal))
    |> Seq.map (fun (name, array) -> name.Substring prefix.Length, array)
    |> Map.ofSeq
