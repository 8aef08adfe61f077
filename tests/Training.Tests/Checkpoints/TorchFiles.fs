/// Files of PyTorch: what Python's own pickler made of every construct of a state dict, and what is refused.
module LocalAttention.Training.Tests.TorchFiles

open System
open System.IO
open System.IO.Compression
open System.Text
open Expecto
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Tests
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open TorchSharp

let private madeByPython name =
    Data.path (Path.Combine("torch", $"{name}.pth"))

let private read (file: WeightsFile) name =
    use _ = torch.NewDisposeScope()
    let tensor = file.Read name

    List.ofArray tensor.shape,
    List.ofArray (tensor.``to``(torch.ScalarType.Float64).contiguous().data<float>().ToArray())

/// Element i of each storage is i + 1; a tensor is a view of it.
let private expected =
    let upTo count = [ for i in 1..count -> float i ]

    [ "shared.first", ([ 2L; 3L ], upTo 6)
      "shared.second", ([ 2L; 3L ], [ for i in 7..12 -> float i ])
      "shared.transposed",
      ([ 3L; 4L ],
       [ for row in 0..2 do
             for column in 0..3 -> float (1 + row + 3 * column) ])
      "shared.every_other", ([ 5L ], [ 2.0; 4.0; 6.0; 8.0; 10.0 ])
      "parameter", ([ 4L ], [ 3.0; 4.0; 5.0; 6.0 ])
      "version_one", ([ 2L ], [ 4.0; 5.0 ])
      "scalar", ([], [ 12.0 ])
      "empty", ([ 0L; 3L ], []) ]

let private types =
    [ "Double", torch.ScalarType.Float64
      "Float", torch.ScalarType.Float32
      "Half", torch.ScalarType.Float16
      "BFloat16", torch.ScalarType.BFloat16
      "Long", torch.ScalarType.Int64
      "Int", torch.ScalarType.Int32
      "Short", torch.ScalarType.Int16
      "Char", torch.ScalarType.Int8
      "Byte", torch.ScalarType.Byte
      "Bool", torch.ScalarType.Bool ]

let private constructs name more =
    testCase name
    <| fun () ->
        use file = WeightsFile.Open(madeByPython name)
        Expect.equal file.Format WeightsFormat.PyTorch "the format"
        let expected = expected @ more

        let names =
            [ for kind, _ in types -> $"types.{kind}" ] @ List.map fst expected |> List.sort

        Expect.equal (List.sort [ for entry in file.Entries -> entry.Name ]) names "the names"

        for name, value in expected do
            Expect.equal (read file name) value name
            Expect.equal (file.Find name).Type torch.ScalarType.Float32 $"the type of {name}"

        for kind, dtype in types do
            let name = $"types.{kind}"
            Expect.equal (file.Find name).Type dtype $"the type of {name}"

            let numbers =
                [ for i in 1..6 ->
                      if dtype = torch.ScalarType.Bool then
                          float (i % 2)
                      else
                          float i ]

            Expect.equal (read file name) ([ 2L; 3L ], numbers) name

let private untyped = [ "untyped", ([ 2L; 2L ], [ 1.0; 2.0; 3.0; 4.0 ]) ]

/// A view that is not contiguous is also read into a tensor of another type.
let private converted =
    testCase "a transposed view, read into double precision"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use file = WeightsFile.Open(madeByPython "protocol-2")
        let target = torch.zeros (3L, 4L, dtype = torch.ScalarType.Float64)
        file.ReadInto("shared.transposed", target)
        let (_, numbers) = read file "shared.transposed"
        Expect.equal (List.ofArray (target.data<float>().ToArray())) numbers "the numbers"

/// A zip file of stored entries, by the framework's own writer.
let zip (entries: (string * byte array) list) =
    use stream = new MemoryStream()

    using (new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen = true)) (fun archive ->
        for name, content in entries do
            use entry = archive.CreateEntry(name, CompressionLevel.NoCompression).Open()
            entry.Write(ReadOnlySpan content))

    stream.ToArray()

let private latin (text: string) = Encoding.Latin1.GetBytes text

/// A text as a pickle of protocol 2 has it.
let private text (value: string) =
    let length = Encoding.Latin1.GetString(BitConverter.GetBytes(value.Length))
    $"X{length}{value}"

/// One tensor: the storage's type and length, the offset, the dimensions, the strides, what newer versions say besides, as
/// operations of a pickle.
let private tensorWith more storageType count offset size stride =
    ("ctorch._utils\n_rebuild_tensor_v2\n(("
     + text "storage"
     + "ctorch\n"
     + storageType
     + "\n"
     + text "0"
     + text "cpu")
    + $"K%c{char (count: int)}tQ%s{offset}(%s{size}t(%s{stride}t\x89}}%s{more}tR"

let private tensor = tensorWith ""

let private number (value: int) = $"K%c{char value}"

let private plainTensor =
    tensor "FloatStorage" 6 (number 0) "K\002K\003" "K\003K\001"

let private pickle body = latin $"\x80\002{body}."

let private file body =
    zip [ "a/data.pkl", pickle body; "a/data/0", Array.zeroCreate 24 ]

let private opened path part () = WeightsFile.Open(path, part).Dispose()

let private saysOf (bytes: byte array) part (mistake: string) =
    inFolder
        (fun folder ->
            let path = Path.Combine(folder, "file.pth")
            File.WriteAllBytes(path, bytes)
            damaged path mistake (opened path part))
        ()

let private refused name body mistake =
    testCase name <| fun () -> saysOf (file body) null mistake

let private where =
    "where you trust the file, load it in Python and save the state dict alone: torch.save(model.state_dict(), …)"

/// Pickles that would do something if they were executed, and ones that are out of order. Places count from the pickle's begin.
let private refusals =
    [ refused
          "a function of the operating system"
          ("cos\nsystem\n(" + text "true" + "tR")
          $"data.pkl, byte 2: the global 'os.system' is none that a state dict needs, and is not looked up; {where}"
      refused
          "a built-in function"
          ("c__builtin__\neval\n(" + text "1" + "tR")
          $"data.pkl, byte 2: the global '__builtin__.eval' is none that a state dict needs, and is not looked up; {where}"
      refused
          "a global by texts of the stack"
          (text "os" + text "system" + "\x93.")
          $"data.pkl, byte 20: the global 'os.system' is none that a state dict needs, and is not looked up; {where}"
      refused
          "another function of an allowed module"
          "ctorch._utils\n_rebuild_sparse_tensor\n)R"
          $"data.pkl, byte 2: the global 'torch._utils._rebuild_sparse_tensor' is none that a state dict needs, and is not looked up; {where}"
      refused
          "an object of a class"
          "ccollections\nOrderedDict\n)\x81"
          "data.pkl, byte 28: operation 0x81 (NEWOBJ, an object of a class) is none that a state dict needs"
      refused
          "an instance of protocol 0"
          "(ios\nsystem\n"
          "data.pkl, byte 3: operation 0x69 (INST, an object of a class) is none that a state dict needs"
      refused "no operation at all" "\xFF" "data.pkl, byte 2: operation 0xFF is none that a state dict needs"
      refused
          "a call of what is no global"
          (text "os.system" + ")R")
          "data.pkl, byte 17: a str is called with a tuple; only globals are, with a tuple"
      refused
          "an allowed global with other arguments"
          ("ccollections\nOrderedDict\n(" + text "a" + "tR")
          "data.pkl, byte 35: collections.OrderedDict is called with (str), which no state dict does"
      refused
          "a storage's type, called"
          "ctorch\nFloatStorage\n)R"
          "data.pkl, byte 23: torch.FloatStorage is called with (), which no state dict does"
      refused
          "attributes of what is no dictionary"
          "]}b"
          "data.pkl, byte 4: attributes are set on a list, which no state dict does"
      refused
          "a value from an empty stack"
          "0"
          "data.pkl, byte 2: a value is taken from the stack where none is"
      refused
          "a value from below a mark"
          "N(0"
          "data.pkl, byte 4: a value is taken from the stack where none is"
      refused "no mark" "t" "data.pkl, byte 2: values are taken up to a mark where there is none"
      refused "an empty place of the memo" "hA" "data.pkl, byte 2: place 65 of the memo is empty"
      refused
          "a key without a value"
          "}(Nu"
          "data.pkl, byte 5: 1 keys and values are set; there must be a value for each key"
      refused
          "items of what is no list"
          "}Na"
          "data.pkl, byte 4: items are added to a dict; it must be a list"
      refused
          "a number of a thousand bytes"
          "\x8B\xE8\003\000\000"
          "data.pkl, byte 2: a whole number takes 1000 bytes; 256 at most are read"
      refused
          "a text that is longer than the file"
          "X\xFF\xFF\xFF\x7F"
          "data.pkl, byte 7: a text takes 2,147,483,647 bytes, of which 1 are there; the file is truncated or damaged"
      refused "a text that is no UTF-8" "X\001\000\000\000\xFF" "data.pkl, byte 7: a text is not valid UTF-8"
      refused
          "another persistent identity"
          (text "storage" + "Q")
          "data.pkl, byte 14: a persistent identity is str; it must be ('storage', a storage's type, a key, a place, a length)"
      refused
          "a tensor beyond its storage"
          (tensor "FloatStorage" 6 (number 1) "K\002K\003" "K\003K\001")
          "data.pkl, byte 104: a tensor of shape [2, 3] with strides [3, 1] from element 1 on does not lie in its storage of 6"
      refused
          "a tensor of a huge shape"
          (tensor "FloatStorage" 6 (number 0) "\x8A\008\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7FK\003" "K\000K\000")
          "data.pkl, byte 112: a tensor of shape [9223372036854775807, 3] with strides [0, 0] is larger than any file"
      refused
          "an expanded tensor"
          (tensor "FloatStorage" 6 (number 0) "K\100" "K\000")
          ("data.pkl, byte 100: a tensor of shape [100] has its storage's 6 elements more than once; "
           + "in Python, save tensor.clone() instead of an expanded one")
      refused
          "a negative stride"
          (tensor "FloatStorage" 6 (number 0) "K\002" "J\xFF\xFF\xFF\xFF")
          "data.pkl, byte 103: a tensor has a stride of -1; it must be a whole number from 0 on"
      refused
          "a negated view"
          (tensorWith ("}" + text "neg" + "\x88s") "FloatStorage" 6 (number 0) "K\002" "K\001")
          ("data.pkl, byte 111: a tensor is marked with 'neg', and its numbers are not those of its storage; "
           + "in Python, save tensor.resolve_conj().resolve_neg() instead")
      refused
          "complex numbers"
          (tensor "ComplexFloatStorage" 6 (number 0) "K\002" "K\001")
          $"data.pkl, byte 49: the global 'torch.ComplexFloatStorage' is none that a state dict needs, and is not looked up; {where}"
      refused
          "no dictionary"
          plainTensor
          "the pickle holds a tensor; it must hold a state dict, or a dict with one in it"
      refused
          "no tensors"
          ("}" + text "epoch" + "K\007s")
          "the pickle holds no dict from names to tensors; save model.state_dict()"
      refused
          "a storage of another length"
          ("}" + text "w" + tensor "FloatStorage" 5 (number 0) "K\002" "K\001" + "s")
          "storage '0' has 24 bytes; its 5 elements of 4 take another number" ]

/// `{"model": {"w": tensor}, "model_ema": {"w": tensor, "v": tensor}}`.
let private twoDicts =
    let dict names =
        let items =
            names |> List.map (fun name -> text name + plainTensor) |> String.concat ""

        $"}}({items}u"

    let model, average = dict [ "w" ], dict [ "w"; "v" ]
    file ("}(" + text "model" + model + text "model_ema" + average + "u")

let private parts =
    [ testCase "several state dicts"
      <| fun () ->
          saysOf
              twoDicts
              null
              "the file holds several state dicts: 'model' (1 tensors), 'model_ema' (2 tensors); say which part is meant"
      testCase "a part that is not there"
      <| fun () ->
          saysOf
              twoDicts
              "model_emma"
              ("there is no state dict at 'model_emma'; did you mean 'model_ema'?; "
               + "there is 'model' (1 tensors), 'model_ema' (2 tensors)")
      testCase "the part that is meant"
      <| inFolder (fun folder ->
          let path = Path.Combine(folder, "file.pth")
          File.WriteAllBytes(path, twoDicts)
          use opened = WeightsFile.Open(path, "model_ema")
          Expect.equal [ for entry in opened.Entries -> entry.Name ] [ "w"; "v" ] "the names") ]

/// What training scripts save around a state dict, as its name in the file.
let private wrapped =
    let dict (items: (string * string) list) =
        let pairs =
            items |> List.map (fun (name, value) -> text name + value) |> String.concat ""

        $"}}(%s{pairs}u"

    let reads name body expected =
        testCase name
        <| inFolder (fun folder ->
            let path = Path.Combine(folder, "file.pth")
            File.WriteAllBytes(path, file body)
            use opened = WeightsFile.Open path
            Expect.equal [ for entry in opened.Entries -> entry.Name ] expected "the names")

    let two prefix =
        dict [ $"%s{prefix}a.w", plainTensor; $"%s{prefix}b.w", plainTensor ]

    // Of each parameter by its number, as an optimizer has them.
    let optimizer =
        dict [ "state", "}" + number 0 + dict [ "exp_avg", plainTensor ] + "s" ]

    [ reads
          "an optimizer and tensors beside the state dict"
          (dict
              [ "best_acc1", plainTensor
                "model", two ""
                "optimizer", optimizer
                "epoch", number 7 ])
          [ "a.w"; "b.w" ]
      reads "of DataParallel" (dict [ "state_dict", two "module." ]) [ "a.w"; "b.w" ]
      reads "of DataParallel and torch.compile" (two "module._orig_mod.") [ "a.w"; "b.w" ]
      reads
          "a module of that name"
          (dict [ "module.w", plainTensor; "head.w", plainTensor ])
          [ "module.w"; "head.w" ] ]

let private zips =
    let dict = ("}" + text "w" + plainTensor + "s")
    let storage = "a/data/0", Array.zeroCreate<byte> 24

    let says name entries mistake =
        testCase name <| fun () -> saysOf (zip entries) null mistake

    [ says
          "no storage"
          [ "a/data.pkl", pickle dict ]
          "a tensor's storage '0' is not in the file; it is truncated or damaged"
      says "no pickle" [ storage ] "the zip file has no entry that ends in /data.pkl; torch.save writes one"
      says
          "two pickles"
          [ "a/data.pkl", pickle dict; "b/data.pkl", pickle dict; storage ]
          "the zip file has more than one entry that ends in /data.pkl; torch.save writes one"
      says
          "a big-endian machine"
          [ "a/data.pkl", pickle dict; "a/byteorder", latin "big"; storage ]
          "the byte order is 'big'; only 'little' is read: save the file anew on such a machine"
      testCase "compressed entries"
      <| fun () ->
          use stream = new MemoryStream()

          using (new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen = true)) (fun archive ->
              use entry = archive.CreateEntry("a/data.pkl", CompressionLevel.Optimal).Open()
              entry.Write(ReadOnlySpan(Array.zeroCreate<byte> 10_000_000)))

          saysOf
              (stream.ToArray())
              null
              ("the zip directory, byte 0: entry 'a/data.pkl' is compressed (method 8); "
               + "torch.save stores entries as they are: unpack the file and save it anew")
      testCase "thousands of tensors that share a storage"
      <| fun () ->
          // 100 kB of storage, and 31 bytes for each further tensor of all of it.
          let first =
              ("ctorch._utils\n_rebuild_tensor_v2\nq\001(("
               + text "storage"
               + "ctorch\nByteStorage\n"
               + text "0"
               + text "cpu")
              + "J\xA0\x86\001\000tQK\000(J\xA0\x86\001\000t(K\001t\x89}tq\002R"

          let more =
              [ for index in 0..999 -> (text $"%04d{index}" + "h\001h\002R") ]
              |> String.concat ""

          let bytes =
              zip
                  [ "a/data.pkl", pickle ("}(" + text "first" + first + more + "u")
                    "a/data/0", Array.zeroCreate 100_000 ]

          saysOf
              bytes
              null
              ($"the tensors share storages, and take 100,100,000 bytes together; 8 times the file's {bytes.Length:N0} at most are read") ]

/// A list in a list in a list …: reading and searching use no more of the call stack for it.
let private deep =
    testCase "a hundred thousand lists, each in the next"
    <| fun () ->
        let depth = 100_000
        let body = String(']', depth) + String('a', depth - 1)
        let padding = "a/padding", Array.zeroCreate<byte> 3_000_000

        saysOf
            (zip [ "a/data.pkl", pickle body; padding ])
            null
            "the pickle holds a list; it must hold a state dict, or a dict with one in it"

/// Each call copies the one list, so that a short file would take any amount of memory.
let private bomb =
    testCase "a list of pairs, made a dictionary again and again"
    <| fun () ->
        let pairs = "](" + String.replicate 20_000 "NN\x86" + "eq\001"
        let calls = String.replicate 1_000 "ccollections\nOrderedDict\n(h\001tR0"

        let bytes =
            zip
                [ "a/data.pkl", pickle (pairs + calls)
                  "a/padding", Array.zeroCreate 1_000_000 ]

        saysOf
            bytes
            null
            $"what the file describes takes more than 8 times its {bytes.Length:N0} bytes; no checkpoint of a model does"

/// The tests of this file.
let tests =
    testList
        "files of PyTorch"
        [ testList
              "made by Python"
              [ for protocol in 2..5 do
                    constructs $"protocol-{protocol}" untyped
                constructs "before-zip" [] ]
          converted
          testList "refused" refusals
          testList "parts" parts
          testList "wrapped" wrapped
          testList "zip" zips
          deep
          bomb ]
