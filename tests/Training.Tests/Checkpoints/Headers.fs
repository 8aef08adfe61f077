/// Headers of safetensors files that break the format: each is refused with what is wrong, word for word.
module LocalAttention.Training.Tests.Headers

open System
open System.Diagnostics
open System.IO
open System.Text
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open TorchSharp

let private opening path () = (SafetensorsFile.Open path).Dispose()

/// A file of these bytes is refused, by every way to open it, with this mistake.
let private bytes name (content: byte array) mistake =
    testCase name
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")
        File.WriteAllBytes(path, content)
        damaged path mistake (opening path)
        damaged path mistake (fun () -> Checkpoint.Load(path).Dispose())
        damaged path mistake (fun () -> Checkpoint.ReadArchitecture path |> ignore))

/// A file of this header and eight bytes of data is refused with this mistake.
let private header name json mistake =
    bytes name (safetensors json (Array.zeroCreate 8)) mistake

/// A file whose tensor `x` is described so.
let private tensor name fields mistake =
    header name $"""{{"x":{{{fields}}}}}""" mistake

/// Refused as JSON; the rest of the text is the JSON reader's own.
let private notJson name (json: byte array) (reason: string) =
    testCase name
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")
        File.WriteAllBytes(path, json)
        let mistake = (failure<CheckpointException>(opening path)).Mistake
        Expect.stringStarts mistake "the header is not valid JSON: " "the text"
        Expect.stringContains mistake reason "the JSON reader's reason")

let private lengths =
    [ bytes
          "empty"
          [||]
          "the file has 0 bytes; a safetensors file begins with 8 that hold its header's length"
      bytes
          "seven bytes"
          (Array.zeroCreate 7)
          "the file has 7 bytes; a safetensors file begins with 8 that hold its header's length"
      bytes
          "no header"
          (Array.zeroCreate 8)
          "the header does not begin with '{'; this is not a safetensors file"
      bytes
          "a header longer than the file"
          (Array.append (BitConverter.GetBytes 1000UL) "{}          "B)
          "the header's length is given as 1,000 bytes, but only 12 follow; the file is truncated or not a safetensors file"
      bytes
          "a header of almost all numbers"
          (Array.append (BitConverter.GetBytes UInt64.MaxValue) "{}"B)
          ("the header's length is given as 18,446,744,073,709,551,615 bytes; at most 100,000,000 are allowed; "
           + "this is probably not a safetensors file")
      bytes
          "a header one byte above the limit"
          (Array.append (BitConverter.GetBytes 100_000_001UL) "{}"B)
          ("the header's length is given as 100,000,001 bytes; at most 100,000,000 are allowed; "
           + "this is probably not a safetensors file")
      bytes
          "a PyTorch file"
          (Array.append "PK\003\004"B (Array.zeroCreate 100))
          "the header's length is given as 67,324,752 bytes, but only 96 follow; the file is truncated or not a safetensors file"
      bytes
          "a header in an array"
          (safetensors "[]" [||])
          "the header does not begin with '{'; this is not a safetensors file"
      bytes
          "a mark of byte order"
          (safetensors "\uFEFF{}" [||])
          "the header does not begin with '{'; this is not a safetensors file" ]

let private syntax =
    [ notJson "an object that does not end" (safetensors "{" [||]) "should be closed"
      notJson "words" (safetensors "{hello}" [||]) "invalid start of a property name"
      notJson "something after the object" (safetensors "{} {}" [||]) "after a single JSON value"
      notJson "zero bytes after the object" (safetensors "{}\000" [||]) "after a single JSON value"
      notJson "a comment" (safetensors "{/* */}" [||]) "'/' is invalid"
      notJson "a comma too many" (safetensors """{"x":{"dtype":"F32",}}""" [||]) "trailing comma"
      notJson
          "no UTF-8"
          (Array.concat [ BitConverter.GetBytes 8UL; "{\""B; [| 0xC3uy; 0x28uy |]; "\":0}"B ])
          "invalid UTF-8"
      notJson "half a surrogate pair" (safetensors """{"\ud800":{}}""" [||]) "missing low surrogate" ]

let private structure =
    [ header "a tensor that is a number" """{"x":1}""" "tensor 'x' is a JSON Number; it must be a StartObject"
      header
          "a million levels"
          (String.replicate 1_000_000 "{\"x\":")
          "tensor 'x' has a field 'x'; there are dtype, shape and data_offsets"
      header
          "a million brackets"
          ("""{"x":{"shape":""" + String.replicate 1_000_000 "[")
          "the shape of tensor 'x' holds [; only whole numbers from 0 to 9223372036854775807 may stand there"
      header
          "a million levels of metadata"
          (String.replicate 1_000_000 "{\"__metadata__\":")
          "the value of '__metadata__' in __metadata__ is a JSON StartObject; it must be a String"
      header
          "metadata that is a list"
          """{"__metadata__":[]}"""
          "__metadata__ is a JSON StartArray; it must be a StartObject"
      header
          "metadata of numbers"
          """{"__metadata__":{"format":1}}"""
          "the value of 'format' in __metadata__ is a JSON Number; it must be a String"
      header
          "metadata twice"
          """{"__metadata__":{},"__metadata__":{}}"""
          "'__metadata__' stands in the header twice"
      header "a text twice" """{"__metadata__":{"a":"1","a":"2"}}""" "'a' stands in __metadata__ twice"
      header
          "a tensor twice"
          """{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"""
          "'x' stands in the header twice"
      header
          "a tensor twice, once in another spelling"
          """{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0078":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"""
          "'x' stands in the header twice"
      tensor "two shapes" "\"shape\":[2],\"shape\":[2]" "tensor 'x' has two fields 'shape'"
      tensor "two types" "\"dtype\":\"F32\",\"dtype\":\"F64\"" "tensor 'x' has two fields 'dtype'"
      tensor
          "two pairs of offsets"
          "\"data_offsets\":[0,8],\"data_offsets\":[0,8]"
          "tensor 'x' has two fields 'data_offsets'"
      tensor
          "a strange field"
          "\"strides\":[1]"
          "tensor 'x' has a field 'strides'; there are dtype, shape and data_offsets"
      tensor "nothing" "" "tensor 'x' has no field 'dtype'"
      tensor "no shape" "\"dtype\":\"F32\",\"data_offsets\":[0,8]" "tensor 'x' has no field 'shape'"
      tensor "no offsets" "\"dtype\":\"F32\",\"shape\":[2]" "tensor 'x' has no field 'data_offsets'" ]

let private fields =
    [ tensor
          "an unknown type"
          "\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]"
          "tensor 'x' has dtype 'F8_E4M3', which is not supported; supported are F64, I64, F32, I32, F16, BF16, I16, I8, U8, BOOL"
      tensor
          "a type in small letters"
          "\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]"
          "tensor 'x' has dtype 'f32', which is not supported; supported are F64, I64, F32, I32, F16, BF16, I16, I8, U8, BOOL"
      tensor
          "a type that is a number"
          "\"dtype\":32"
          "the dtype of tensor 'x' is a JSON Number; it must be a String"
      tensor
          "a negative dimension"
          "\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]"
          "the shape of tensor 'x' holds -2; only whole numbers from 0 to 9223372036854775807 may stand there"
      tensor
          "half a dimension"
          "\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]"
          "the shape of tensor 'x' holds 2.5; only whole numbers from 0 to 9223372036854775807 may stand there"
      tensor
          "a dimension in words"
          "\"dtype\":\"F32\",\"shape\":[\"two\"],\"data_offsets\":[0,8]"
          "the shape of tensor 'x' holds two; only whole numbers from 0 to 9223372036854775807 may stand there"
      tensor
          "a dimension beyond 64 bits"
          "\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,8]"
          "the shape of tensor 'x' holds 9223372036854775808; only whole numbers from 0 to 9223372036854775807 may stand there"
      tensor
          "a shape that is a number"
          "\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]"
          "the shape of tensor 'x' is a JSON Number; it must be a StartArray"
      tensor
          "dimensions whose product overflows"
          "\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],\"data_offsets\":[0,8]"
          "tensor 'x' of shape [4294967296, 4294967296, 2] is larger than any file"
      tensor
          "dimensions whose product overflows to the right size"
          "\"dtype\":\"F32\",\"shape\":[4611686018427387906],\"data_offsets\":[0,8]"
          "tensor 'x' of shape [4611686018427387906] is larger than any file"
      (let dimensions = String.replicate 64 "1," + "1"

       tensor
           "65 dimensions"
           $"\"dtype\":\"F64\",\"shape\":[{dimensions}],\"data_offsets\":[0,8]"
           "tensor 'x' has 65 dimensions; there can be 64")
      tensor
          "one offset"
          "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]"
          "the data_offsets of tensor 'x' are [0]; they must be [begin, end] with begin ≤ end"
      tensor
          "three offsets"
          "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4,8]"
          "the data_offsets of tensor 'x' are [0, 4, 8]; they must be [begin, end] with begin ≤ end"
      tensor
          "offsets in the wrong order"
          "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]"
          "the data_offsets of tensor 'x' are [8, 0]; they must be [begin, end] with begin ≤ end"
      tensor
          "a negative offset"
          "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]"
          "the data_offsets of tensor 'x' holds -8; only whole numbers from 0 to 9223372036854775807 may stand there"
      tensor
          "fewer bytes than the shape takes"
          "\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]"
          "tensor 'x' has 8 bytes of data, but F32 of shape [3] takes 12"
      tensor
          "more bytes than the type takes"
          "\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]"
          "tensor 'x' has 8 bytes of data, but F16 of shape [2] takes 4"
      tensor
          "bytes for an empty tensor"
          "\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,8]"
          "tensor 'x' has 8 bytes of data, but F32 of shape [0] takes 0" ]

let private layout =
    let two (first: int * int) (second: int * int) =
        let entry name (from: int, upTo: int) =
            $"\"{name}\":{{\"dtype\":\"U8\",\"shape\":[{upTo - from}],\"data_offsets\":[{from},{upTo}]}}"

        let one, other = entry "a" first, entry "b" second
        $"{{{one},{other}}}"

    [ header
          "beyond the data"
          (two (0, 4) (4, 9))
          "tensor 'b' ends at byte 9 of the data, which has 8; the file is truncated or its header wrong"
      header
          "far beyond the data"
          """{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"""
          "tensor 'x' ends at byte 4398046511104 of the data, which has 8; the file is truncated or its header wrong"
      header
          "overlapping"
          (two (0, 5) (4, 8))
          "tensor 'b' begins at byte 4 inside tensor 'a', which ends at 5; tensors may not overlap"
      header
          "the same bytes twice"
          (two (0, 8) (0, 8))
          "tensor 'b' begins at byte 0 inside tensor 'a', which ends at 8; tensors may not overlap"
      header
          "a gap between"
          (two (0, 3) (5, 8))
          "bytes 3 to 5 of the data, before tensor 'b', belong to no tensor; data may have no gaps"
      header
          "a gap at the start"
          (two (4, 8) (1, 4))
          "bytes 0 to 1 of the data, before tensor 'b', belong to no tensor; data may have no gaps"
      header
          "bytes at the end"
          (two (0, 3) (3, 6))
          "the data has 8 bytes, of which the last tensor leaves 2 over; it must end with its last tensor"
      header
          "no tensor at all, and data"
          "{}"
          "the data has 8 bytes, of which the last tensor leaves 8 over; it must end with its last tensor" ]

let private paths =
    testCase "a path that is no file"
    <| inFolder (fun folder ->
        damaged folder "this is a directory; name a file in it" (opening folder)
        let path = Path.Combine(folder, "nothing.safetensors")
        damaged path "there is no such file" (opening path)
        damaged path "there is no such file" (fun () -> Checkpoint.Load(path).Dispose())
        use model = tiny.Build(seed = 1L)
        damaged path "there is no such file" (fun () -> Checkpoint.LoadInto(model, path))
        damaged "" "there is no such file" (opening ""))

let private wellFormed =
    testCase "what the format allows is read"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")

        let entries json data =
            File.WriteAllBytes(path, safetensors json data)
            use file = SafetensorsFile.Open path
            [ for entry in file.Entries -> entry.Name, List.ofSeq entry.Shape, entry.Length ]

        Expect.equal (entries "{}" [||]) [] "nothing"
        Expect.equal (entries "{}     " [||]) [] "spaces behind the header"
        Expect.equal (entries """{"__metadata__":{}}""" [||]) [] "empty metadata"

        Expect.equal
            (entries
                """{ "b" : {"data_offsets":[4,8],"shape":[],"dtype":"F32"},
                "a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},
                "c":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[8,8]}}"""
                [| 1uy .. 8uy |])
            [ "b", [], 4L; "a", [ 1L; 1L ], 4L; "c", [ 0L; Int64.MaxValue ], 0L ]
            "fields and tensors in any order")

/// What a file says is quoted in part, so that no message is as long as the file.
let private quotes =
    let long = String('x', 1_000_000)
    let quoted = String('x', 200) + "…"

    [ header "a name" $"""{{"{long}":{{}}}}""" $"tensor '{quoted}' has no field 'dtype'"
      header
          "a name twice"
          $"""{{"__metadata__":{{"{long}":"","{long}":""}}}}"""
          $"'{quoted}' stands in __metadata__ twice"
      tensor
          "a field"
          $"\"{long}\":1"
          $"tensor 'x' has a field '{quoted}'; there are dtype, shape and data_offsets"
      tensor
          "a type"
          $"\"dtype\":\"{long}\",\"shape\":[2],\"data_offsets\":[0,8]"
          $"tensor 'x' has dtype '{quoted}', which is not supported; supported are F64, I64, F32, I32, F16, BF16, I16, I8, U8, BOOL"
      (let offsets = String.replicate 100_000 "0," + "0"
       let shown = (String.replicate 67 "0, ").Substring(0, 200)

       tensor
           "offsets"
           $"\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[{offsets}]"
           $"the data_offsets of tensor 'x' are [{shown}…]; they must be [begin, end] with begin ≤ end") ]

/// Files of kilobytes that speak of gigabytes are refused before any memory is taken.
let private memory =
    testCase "memory is bounded by the file"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")
        let quote (text: string) = Text.Json.JsonSerializer.Serialize text

        let large =
            [ QnAViT.Base
              Swin.Base
              tiny.With(
                  stages = ValueList.From [ Stage(ValueList.From [ Block(WindowAttention(1023, 4)) ]) ]
              )
              tiny.With(stem = PatchStem(1024, 8192), head = AveragePoolHead 4) ]

        let attempt (architecture: Architecture) =
            let json = quote (SpecificationJson.Write architecture)

            let header =
                $"{{\"__metadata__\":{{\"{Checkpoint.ArchitectureKey}\":{json}}},\"x\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}}}"

            File.WriteAllBytes(path, safetensors header [||])

            failure<CheckpointException>(fun () -> Checkpoint.Load(path).Dispose())
            |> ignore

        attempt large.Head

        let peak () =
            Process.GetCurrentProcess().PeakWorkingSet64

        let before = peak ()

        for architecture in large do
            attempt architecture

        for dimension in [ 1L <<< 30; 1L <<< 40; 1L <<< 60 ] do
            File.WriteAllBytes(
                path,
                safetensors
                    $"{{\"x\":{{\"dtype\":\"U8\",\"shape\":[{dimension}],\"data_offsets\":[0,{dimension}]}}}}"
                    [| 1uy |]
            )

            failure<CheckpointException>(opening path) |> ignore

        // The smallest of these models has 50 MB of parameters.
        Expect.isLessThan (peak () - before) (30L <<< 20) "growth of the process in bytes")

/// The tests of this file.
let tests =
    testList
        "headers"
        [ testList "lengths" lengths
          testList "syntax" syntax
          testList "structure" structure
          testList "fields" fields
          testList "layout" layout
          testList "quotes" quotes
          paths
          wellFormed
          memory ]
