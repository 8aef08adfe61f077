/// Tensors of every element type to files and back, bit for bit, and as another reader sees them.
module LocalAttention.Training.Tests.ElementTypes

open System
open System.IO
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Oracle
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open TorchSharp

let private types =
    [ "F64", 8, torch.ScalarType.Float64
      "I64", 8, torch.ScalarType.Int64
      "F32", 4, torch.ScalarType.Float32
      "I32", 4, torch.ScalarType.Int32
      "F16", 2, torch.ScalarType.Float16
      "BF16", 2, torch.ScalarType.BFloat16
      "I16", 2, torch.ScalarType.Int16
      "I8", 1, torch.ScalarType.Int8
      "U8", 1, torch.ScalarType.Byte
      "BOOL", 1, torch.ScalarType.Bool ]

let private write path (tensors: (string * torch.Tensor) list) =
    SafetensorsFile.Write(path, tensors |> List.map (fun (name, tensor) -> struct (name, tensor)))

/// Random bytes, so that every pattern of bits may stand there: not-a-number with payloads, subnormals, negative zero.
let private everyType =
    [ for name, size, expected in types ->
          testCase name
          <| inFolder (fun folder ->
              let random = Random 1
              let data = Array.zeroCreate (1000 * size)
              random.NextBytes data

              let data =
                  if name = "BOOL" then
                      data |> Array.map (fun item -> item &&& 1uy)
                  else
                      data

              let path, again = Path.Combine(folder, "one"), Path.Combine(folder, "two")

              let entry =
                  $"""{{"x":{{"dtype":"{name}","shape":[10,100],"data_offsets":[0,{data.Length}]}}}}"""

              File.WriteAllBytes(path, safetensors entry data)
              use file = SafetensorsFile.Open path
              use tensor = file.Read "x"
              Expect.equal tensor.dtype expected "the type"
              Expect.equal tensor.shape [| 10L; 100L |] "the shape"
              Expect.equal (bytesOf tensor) data "the bytes read"
              use target = torch.zeros ([| 10L; 100L |], dtype = expected)
              file.ReadInto("x", target)
              Expect.equal (bytesOf target) data "the bytes read into a tensor"
              write again [ "x", tensor ]
              let bytes = File.ReadAllBytes again
              Expect.equal bytes[dataStart bytes ..] data "the bytes written"
              Expect.equal (dataStart bytes % 8) 0 "where the data starts") ]

let private converting =
    testCase "reading into a tensor of another type converts"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file")
        use values = torch.tensor [| 0.5; -1.25; 3.0 |]
        write path [ "x", values ]
        use file = SafetensorsFile.Open path

        for dtype in
            [ torch.ScalarType.Float32
              torch.ScalarType.Float16
              torch.ScalarType.BFloat16 ] do
            use target = torch.zeros ([| 3L |], dtype = dtype)
            file.ReadInto("x", target)
            Expect.equal (toArray target).Elements [| 0.5; -1.25; 3.0 |] $"as {dtype}")

let private layouts =
    testCase "tensors of any layout are written row by row"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file")
        use matrix = torch.arange(12L).``to``(torch.ScalarType.Float64).reshape(3L, 4L)
        let turned = matrix.t ()
        let column = matrix.narrow (1, 1L, 2L)
        let repeated = torch.tensor([| 7.0 |]).expand(2L, 3L)

        write
            path
            [ "turned", turned
              "column", column
              "repeated", repeated
              "none", torch.zeros 0L ]

        let arrays = Safetensors.read path
        Expect.equal arrays["turned"].Shape [| 4; 3 |] "the turned matrix's shape"

        Expect.equal
            arrays["turned"].Elements
            [| 0.0; 4; 8; 1; 5; 9; 2; 6; 10; 3; 7; 11 |]
            "the turned matrix"

        Expect.equal arrays["column"].Elements [| 1.0; 2; 5; 6; 9; 10 |] "the columns"
        Expect.equal arrays["repeated"].Elements (Array.replicate 6 7.0) "the repeated number"
        Expect.equal arrays["none"].Shape [| 0 |] "the empty tensor")

/// Names and texts of any characters, shapes of any rank, several types in one file: what is written is what both our
/// reader and the oracle's see.
let private anyFile =
    let name =
        Gen.elements [ 'a'; '/'; '.'; '"'; '\\'; 'ä'; '中'; '\n'; ' '; '{'; '\u0001'; '\u2028' ]
        |> Gen.nonEmptyListOf
        |> Gen.map (List.truncate 20 >> Array.ofList >> String)

    let shape = Gen.choose (0, 4) |> Gen.listOf |> Gen.map (List.truncate 4)

    let dtype =
        Gen.elements [ torch.ScalarType.Float64; torch.ScalarType.Float32; torch.ScalarType.Int64 ]

    let tensors =
        Gen.zip3 name shape dtype
        |> Gen.listOf
        |> Gen.map (List.distinctBy (fun (name, _, _) -> name))

    let texts = Gen.zip name name |> Gen.listOf |> Gen.map Map.ofList

    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = 60 }
        "names, texts and shapes of any kind"
        (Prop.forAll (Arb.fromGen (Gen.zip tensors texts)) (fun (tensors, texts) ->
            inFolder
                (fun folder ->
                    use _ = torch.NewDisposeScope()
                    let path = Path.Combine(folder, "file")

                    let contents =
                        [ for name, shape, dtype in tensors ->
                              name,
                              toTensor
                                  dtype
                                  (Counter.array name (Array.ofList shape) |> NdArray.map ((*) 1e6)) ]

                    let written = contents |> List.map (fun (name, tensor) -> struct (name, tensor))
                    SafetensorsFile.Write(path, written, texts)
                    use file = SafetensorsFile.Open path
                    let read = file.Metadata |> Seq.map (fun pair -> pair.Key, pair.Value) |> Map.ofSeq
                    Expect.equal read texts "the metadata"
                    Expect.equal file.Entries.Count contents.Length "the number of tensors"
                    let independent = Safetensors.read path

                    for name, tensor in contents do
                        let again = file.Read name
                        Expect.equal again.dtype tensor.dtype "the type"
                        Expect.equal again.shape tensor.shape "the shape"
                        Expect.equal (bytesOf again) (bytesOf tensor) "the bytes"

                        Expect.equal
                            independent[name].Shape
                            (Array.map int tensor.shape)
                            "the shape elsewhere"

                        Expect.equal
                            independent[name].Elements
                            (toArray tensor).Elements
                            "the numbers elsewhere")
                ()))

let private refusals =
    testList
        "what cannot be written"
        [ let case name (text: string) (tensors: unit -> (string * torch.Tensor) list) =
              testCase name
              <| inFolder (fun folder ->
                  use _ = torch.NewDisposeScope()
                  refused text (fun () -> write (Path.Combine(folder, "file")) (tensors ()))
                  Expect.isEmpty (namesIn folder) "no file should be left")

          case "a name twice" "the name 'x' is given twice or reserved; names must differ" (fun () ->
              [ "x", torch.zeros 1L; "x", torch.ones 1L ])

          case
              "the reserved name"
              "the name '__metadata__' is given twice or reserved; names must differ"
              (fun () -> [ "__metadata__", torch.zeros 1L ])

          case
              "complex numbers"
              "tensor 'z' has elements of type ComplexFloat32; safetensors takes F64, I64, F32, I32, F16, BF16, I16, I8, U8, BOOL"
              (fun () -> [ "z", torch.zeros (2L, dtype = torch.ScalarType.ComplexFloat32) ]) ]

let private lookups =
    testCase "a name that is not there, and a shape that is another"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file")
        use values = torch.zeros (2L, 3L)
        write path [ "layers.0.weight", values; "bias", values ]
        use file = SafetensorsFile.Open path
        let read name () = file.Read(name).Dispose()

        damaged
            path
            "there is no tensor 'layers.0.weigth'; did you mean 'layers.0.weight'?"
            (read "layers.0.weigth")

        damaged path "there is no tensor 'something else'" (read "something else")
        use target = torch.zeros (3L, 2L)

        damaged path "tensor 'bias' has shape [2, 3]; [3, 2] is wanted" (fun () ->
            file.ReadInto("bias", target)))

/// The tests of this file.
let tests =
    testList
        "element types"
        [ testList "bit for bit" everyType
          converting
          layouts
          anyFile
          refusals
          lookups ]
