/// Files of every format, damaged: changed at random, cut anywhere, and made to take as much memory as they can.
module LocalAttention.Training.Tests.Fuzzing

open System
open System.IO
open System.Text
open Expecto
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Tests
open LocalAttention.Training.Tests.Files

let private seeds = lazy (Array.ofList (Mutations.seeds (Data.path "torch")))

let private expectFine what path =
    match Mutations.outcome path with
    | Ok read -> read
    | Error wrong -> failtest $"{what}: {wrong}"

/// `./run.sh eng/fuzz.fsx` makes the same files, and more of them.
let private mutations =
    testCase "changed at random"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file")

        let read =
            [ for number in 1..1000 ->
                  let name, bytes = Mutations.make seeds.Value number
                  File.WriteAllBytes(path, bytes)
                  expectFine $"file {number}, of {name}" path ]

        // A change may hit a tensor's numbers, or nothing; most make the file another than a checkpoint.
        let count = read |> List.filter id |> List.length
        Expect.isTrue (count > 50 && count < 500) $"{count} of the files were read")

let private truncations =
    testCase "cut anywhere"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file")

        for seed in seeds.Value do
            let bytes = seed.Frame seed.Payload
            let step = max 1 (bytes.Length / 150)

            for length in [ 0..step .. bytes.Length - 1 ] @ [ bytes.Length - 3 .. bytes.Length - 1 ] do
                File.WriteAllBytes(path, Array.truncate length bytes)
                let read = expectFine $"{seed.Name}, cut to {length}" path
                Expect.isFalse read $"{seed.Name}, cut to {length} of {bytes.Length}, is read")

/// Files that describe as much as they can in few bytes: at the limit, they are read or refused, and never take more.
let private dense =
    let file name (bytes: unit -> byte array) =
        testCase name
        <| inFolder (fun folder ->
            let path = Path.Combine(folder, "file")
            File.WriteAllBytes(path, bytes ())
            expectFine name path |> ignore)

    let latin (text: string) = Encoding.Latin1.GetBytes text

    /// A file of PyTorch before zip files, whose third pickle is this one.
    let pickle (body: string) =
        latin (
            "\x80\002\x8A\010\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.\x80\002M\xE9\003.\x80\002}.\x80\002"
            + body
        )

    [ file "safetensors: empty tensors" (fun () ->
          let entry index =
              $"\"%x{index}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}"

          safetensors ("{" + String.Join(",", Seq.init 40_000 entry) + "}") [||])
      file "safetensors: a shape of a million numbers" (fun () ->
          safetensors
              ("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0],\"shape\":["
               + String.Join(",", Seq.replicate 1_000_000 "0")
               + "]}}")
              [||])
      file "safetensors: a name of megabytes" (fun () ->
          safetensors
              ("{\""
               + String('a', 3_000_000)
               + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}")
              [||])
      file "safetensors: escapes in a name" (fun () ->
          safetensors
              ("{\""
               + String.replicate 500_000 "\\n"
               + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}")
              [||])
      file "safetensors: texts" (fun () ->
          let pairs = Seq.init 100_000 (fun index -> $"\"%x{index}\":\"\"")
          safetensors ("{\"__metadata__\":{" + String.Join(",", pairs) + "}}") [||])
      for name, operation in
          [ "nothing", "N"
            "truth values", "\x88"
            "marks", "("
            "lists", "]"
            "dictionaries", "}"
            "tuples", ")"
            "numbers", "K\001"
            "texts", "U\001a"
            "bytes", "C\001a"
            "whole numbers", "\x8A\001\001"
            "places of the memo", "N\x94"
            "tuples of three", "NNN\x87"
            "dictionary's items", "}NNs0"
            "items of one dictionary", "NNs"
            "ordered dictionaries", "ccollections\nOrderedDict\n)R" ] do
          file $"a pickle: {name}" (fun () -> pickle ("}" + String.replicate 300_000 operation))
      file "a pickle: lists in lists" (fun () -> pickle (String(']', 300_000) + String('a', 300_000)))
      file "a zip file: entries without content" (fun () ->
          use stream = new MemoryStream()

          using
              (new Compression.ZipArchive(stream, Compression.ZipArchiveMode.Create, leaveOpen = true))
              (fun archive ->
                  for index in 0..20_000 do
                      archive.CreateEntry($"%x{index}", Compression.CompressionLevel.NoCompression)
                      |> ignore)

          stream.ToArray())
      // Beside some of these, the budget ends while the state dicts are searched.
      for megabytes in 1..8 do
          for name, items in
              [ "in one", String.replicate 40_000 "U\001a}s"
                "in one another", String.replicate 40_000 "U\001a}" + String('s', 40_000) ] do
              file $"a pickle: dictionaries {name}, beside {megabytes} MB" (fun () ->
                  TorchFiles.zip
                      [ "a/data.pkl", latin ("\x80\002}" + items + ".")
                        "a/padding", Array.zeroCreate (megabytes * 1_000_000) ])
      for name, item in
          [ "keys", "\xA0\xC0"
            "empty maps", "\xA1a\x80"
            "empty lists", "\xA1a\x90"
            "empty arrays", "\xA1a\xC7\013\001\x93\x90\xA7float32\xC4\000" ] do
          file $"MessagePack: {name}" (fun () ->
              let count = 200_000
              latin ("\xDF\000\003\x0D\x40" + String.replicate count item))
      file "MessagePack: long names again and again" (fun () ->
          let deep = String.replicate 60 ("\x81\xDA\003\xE8" + String('k', 1000))
          let leaf = "\xA1a\xC7\013\001\x93\x90\xA7float32\xC4\000"
          latin (deep + "\xDE\x03\xE8" + String.replicate 1000 leaf)) ]

/// The tests of this file.
let tests =
    testList "damaged files of all formats" [ mutations; truncations; testList "dense" dense ]
