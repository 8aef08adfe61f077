/// Files of Flax: MessagePack made byte by byte, arrays in pieces, training states, and what is refused.
module LocalAttention.Training.Tests.FlaxFiles

open System
open System.IO
open System.Text
open Expecto
open LocalAttention.Core.Checkpoints
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open TorchSharp

/// MessagePack as its specification has it, in the four-byte forms.
type private Value =
    | Nil
    | Flag of bool
    | Whole of int64
    | Real of float
    | Text of string
    | Binary of byte array
    | List of Value list
    | Map of (string * Value) list
    | Extension of int * byte array

let private big (bytes: byte array) = Array.rev bytes

let private four (value: int) = big (BitConverter.GetBytes value)

let rec private pack value =
    match value with
    | Nil -> [| 0xC0uy |]
    | Flag value -> [| (if value then 0xC3uy else 0xC2uy) |]
    | Whole value -> Array.append [| 0xD3uy |] (big (BitConverter.GetBytes value))
    | Real value -> Array.append [| 0xCBuy |] (big (BitConverter.GetBytes value))
    | Text text ->
        let bytes = Encoding.UTF8.GetBytes text
        Array.concat [ [| 0xDBuy |]; four bytes.Length; bytes ]
    | Binary bytes -> Array.concat [ [| 0xC6uy |]; four bytes.Length; bytes ]
    | List values -> Array.concat [ [| 0xDDuy |]; four values.Length; yield! List.map pack values ]
    | Map pairs ->
        Array.concat
            [ [| 0xDFuy |]
              four pairs.Length
              for key, value in pairs do
                  pack (Text key)
                  pack value ]
    | Extension(kind, bytes) -> Array.concat [ [| 0xC9uy |]; four bytes.Length; [| byte kind |]; bytes ]

let private described kind (dtype: string) (shape: int64 list) bytes =
    Extension(kind, pack (List [ List(List.map Whole shape); Text dtype; Binary bytes ]))

let private singles (numbers: float32 list) =
    numbers |> List.map BitConverter.GetBytes |> Array.concat

let private array shape numbers =
    described 1 "float32" shape (singles numbers)

let private small = array [ 2L ] [ 1.0f; 2.0f ]

let private withFile (bytes: byte array) test =
    inFolder
        (fun folder ->
            let path = Path.Combine(folder, "file.msgpack")
            File.WriteAllBytes(path, bytes)
            test path)
        ()

let private opened path part () = WeightsFile.Open(path, part).Dispose()

let private tensorsOf path part =
    use _ = torch.NewDisposeScope()
    use file = WeightsFile.Open(path, part)

    [ for entry in file.Entries ->
          entry.Name,
          List.ofSeq entry.Shape,
          List.ofArray (file.Read(entry.Name).``to``(torch.ScalarType.Float32).data<float32>().ToArray()) ]

let private w = "w", [ 2L ], [ 1.0f; 2.0f ]

/// A whole training state: parameters, the optimizer's moments beside them, other values of all kinds.
let private state =
    Map
        [ "step", Whole 7L
          "params", Map [ "params", Map [ "w", small ] ]
          "opt_state",
          Map
              [ "0",
                Map
                    [ "mu", Map [ "w", array [ 2L ] [ 3.0f; 4.0f ] ]
                      "count", described 3 "int32" [] [| 5uy; 0uy; 0uy; 0uy |] ] ]
          "others",
          List
              [ Nil
                Flag true
                Real 0.5
                Text "größer"
                Binary [| 1uy |]
                Extension(2, pack (List [ Real 1.0; Real 2.0 ]))
                small ] ]

let private reading =
    let reads name value part expected =
        testCase name
        <| fun () ->
            withFile (pack value) (fun path -> Expect.equal (tensorsOf path part) expected "the tensors")

    [ reads
          "nested maps"
          (Map [ "a", Map [ "w", small ]; "b", Map [ "w", small ] ])
          null
          [ ("a/w", [ 2L ], [ 1.0f; 2.0f ]); ("b/w", [ 2L ], [ 1.0f; 2.0f ]) ]
      reads "the parameters of a training state" state null [ w ]
      reads "another part of it" state "opt_state/0/mu" [ ("w", [ 2L ], [ 3.0f; 4.0f ]) ]
      reads "a scalar" state "opt_state" [ ("0/mu/w", [ 2L ], [ 3.0f; 4.0f ]); ("0/count", [], [ 5.0f ]) ]
      reads "an array in a list" state "others" [ ("6", [ 2L ], [ 1.0f; 2.0f ]) ]
      reads
          "the oldest form of a training state"
          (Map
              [ "optimizer",
                Map [ "target", Map [ "params", Map [ "w", small ] ]; "state", Map [ "x", small ] ] ])
          null
          [ w ]
      reads
          "an array in pieces"
          (Map
              [ "w",
                Map
                    [ "__msgpack_chunked_array__", Flag true
                      "shape", Map [ "0", Whole 3L; "1", Whole 1L ]
                      "chunks", Map [ "1", array [ 1L ] [ 3.0f ]; "0", array [ 2L ] [ 1.0f; 2.0f ] ] ] ])
          null
          [ ("w", [ 3L; 1L ], [ 1.0f; 2.0f; 3.0f ]) ] ]

let private refusals =
    let says name bytes part mistake =
        testCase name
        <| fun () -> withFile bytes (fun path -> damaged path mistake (opened path part))

    let is name value mistake = says name (pack value) null mistake

    let nested depth =
        List.fold (fun value _ -> Map [ "a", value ]) small [ 1..depth ]

    [ is
          "fewer bytes than the shape takes"
          (Map [ "w", array [ 3L ] [ 1.0f ] ])
          "tensor 'w' has 4 bytes of data, but float32 of shape [3] takes 12"
      is
          "a shape larger than any file"
          (Map [ "w", array [ Int64.MaxValue; 8L ] [ 1.0f ] ])
          "tensor 'w' has 4 bytes of data, but float32 of shape [9223372036854775807, 8] takes more than any file"
      is
          "a type that torch lacks"
          (Map [ "w", described 1 "complex64" [ 1L ] (Array.zeroCreate 8) ])
          ("tensor 'w' has elements of type 'complex64', which is not supported; "
           + "supported are float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8, bool")
      is
          "a negative dimension"
          (Map [ "w", array [ -1L ] [] ])
          "byte 27: a dimension is -1; it must be 0 or more"
      is
          "an extension that is not Flax's"
          (Map [ "w", Extension(9, [| 0uy |]) ])
          "byte 11: an extension has type 9; Flax writes 1, 2 and 3"
      is "a name twice" (Map [ "w", small; "w", small ]) "'w' stands in the file twice"
      is
          "no tensor"
          (Map [ "step", Whole 7L ])
          "the file holds no tensor; a Flax file holds maps whose leaves are arrays"
      is
          "deeper than any model"
          (nested 65)
          "byte 704: maps and arrays are nested more than 64 deep; no model's parameters are"
      says
          "more behind its end"
          (Array.append (pack (Map [ "w", small ])) [| 0xC0uy; 0xC0uy |])
          null
          "byte 61: 2 bytes follow the file's map; it is damaged or no Flax file"
      says
          "a map that promises more than there is"
          (Array.concat [ [| 0xDFuy; 0xFFuy; 0xFFuy; 0xFFuy; 0xFFuy |]; pack (Text "w"); pack small ])
          null
          "byte 61: a key of a map takes 1 bytes, of which 0 are there; the file is truncated or damaged"
      says
          "a part that is not there"
          (pack state)
          "ema"
          "there is no tensor in 'ema'; at the top are 'params', 'opt_state', 'others'"
      is
          "a key that is a number"
          (Map [ "w", Map [ "__msgpack_chunked_array__", Flag true; "shape", Map [ "a", Whole 1L ] ] ])
          "byte 57: the shape of an array in pieces has a key 'a'; keys count from 0 to 0"
      is
          "pieces of different types"
          (Map
              [ "w",
                Map
                    [ "__msgpack_chunked_array__", Flag true
                      "shape", Map [ "0", Whole 2L ]
                      "chunks",
                      Map
                          [ "0", array [ 1L ] [ 1.0f ]
                            "1", described 1 "int32" [ 1L ] (Array.zeroCreate 4) ] ] ])
          "byte 11: the pieces of an array differ in type" ]

/// The forms of one and two bytes, which the writer prefers: every length around their limits.
let private lengths =
    testCase "lengths around the limits of the short forms"
    <| inFolder (fun folder ->
        use _ = torch.NewDisposeScope()
        let path = Path.Combine(folder, "file.msgpack")

        for count in
            [ 0
              1
              15
              16
              31
              32
              227
              228
              255
              256
              65_507
              65_508
              65_535
              65_536
              70_000 ] do
            let tensor = torch.arange (int64 count)
            let bytes = tensor.``to`` torch.ScalarType.Byte

            let entries =
                [ for index in 0 .. min count 300 ->
                      struct ($"a/%05d{index}", bytes.narrow (0, 0L, min 1L (int64 count))) ]
                @ [ struct (String('n', min count 70_000 + 1), bytes) ]

            WeightsFile.Write(path, entries)
            use file = WeightsFile.Open path
            Expect.equal file.Entries.Count entries.Length $"the tensors for {count}"

            for struct (name, tensor) in entries do
                Expect.equal
                    (bytesOf (file.Read name))
                    (bytesOf tensor)
                    $"{name.Substring(0, min 10 name.Length)} for {count}")

/// By NumPy's names, to which JAX adds `bfloat16`: random bytes, read, written and read again.
let private types =
    [ for name, size, expected in
          [ "float64", 8, torch.ScalarType.Float64
            "float32", 4, torch.ScalarType.Float32
            "float16", 2, torch.ScalarType.Float16
            "bfloat16", 2, torch.ScalarType.BFloat16
            "int64", 8, torch.ScalarType.Int64
            "int32", 4, torch.ScalarType.Int32
            "int16", 2, torch.ScalarType.Int16
            "int8", 1, torch.ScalarType.Int8
            "uint8", 1, torch.ScalarType.Byte
            "bool", 1, torch.ScalarType.Bool ] ->
          testCase name
          <| fun () ->
              let data = Array.zeroCreate (12 * size)
              (Random 1).NextBytes data

              if expected = torch.ScalarType.Bool then
                  Array.iteri (fun index item -> data[index] <- item &&& 1uy) data

              withFile (pack (Map [ "w", described 1 name [ 3L; 4L ] data ])) (fun path ->
                  use file = WeightsFile.Open path
                  use tensor = file.Read "w"
                  Expect.equal tensor.dtype expected "the type"
                  Expect.equal (bytesOf tensor) data "the bytes"
                  let again = path + ".again.msgpack"
                  WeightsFile.Write(again, [ struct ("w", tensor) ])
                  let text = Encoding.Latin1.GetString(File.ReadAllBytes again)
                  Expect.stringContains text name "the type's name in our file"
                  use file = WeightsFile.Open again
                  use tensor = file.Read "w"
                  Expect.equal tensor.dtype expected "the type, written"
                  Expect.equal (bytesOf tensor) data "the bytes, written") ]

let private inPieces =
    testCase "a large array is written in pieces"
    <| inFolder (fun folder ->
        use _ = torch.NewDisposeScope()
        let path = Path.Combine(folder, "file.msgpack")
        let tensor = torch.arange(35L, dtype = torch.ScalarType.Float32).view(5L, 7L)
        // Twelve pieces: their keys "10" and "11" come before "2" in the order of texts.
        FlaxFile.Write(path, [ struct ("w", tensor) ], 12L)
        let text = Encoding.Latin1.GetString(File.ReadAllBytes path)
        Expect.stringContains text "__msgpack_chunked_array__" "the file"
        use file = WeightsFile.Open path
        Expect.equal (bytesOf (file.Read "w")) (bytesOf tensor) "the numbers"
        Expect.equal (List.ofSeq (file.Find "w").Shape) [ 5L; 7L ] "the shape")

let private names =
    let says name (names: string list) mistake =
        testCase name
        <| inFolder (fun folder ->
            use _ = torch.NewDisposeScope()
            let tensors = [ for name in names -> struct (name, torch.zeros 1L) ]

            refused mistake (fun () -> WeightsFile.Write(Path.Combine(folder, "file.msgpack"), tensors))
            Expect.equal (namesIn folder) [] "the files")

    [ says "a name twice" [ "a/b"; "a/b" ] "the name 'a/b' is given twice, or others are inside it"
      says "a name inside another" [ "a"; "a/b" ] "the name 'a/b' is inside that of another tensor"
      says "a name around another" [ "a/b"; "a" ] "the name 'a' is given twice, or others are inside it" ]

/// The tests of this file.
let tests =
    testList
        "files of Flax"
        [ testList "read" reading
          testList "refused" refusals
          lengths
          testList "types" types
          inPieces
          testList "names" names ]
