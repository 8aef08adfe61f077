/// A checkpoint appears whole or not at all, whatever happens while it is written.
module LocalAttention.Training.Tests.AtomicWrites

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open TorchSharp

let private old = "what stood there before"B

/// The error that Linux's number stands for, as .NET's streams raise it.
let private systemError (number: int) =
    IOException("an error of the system", number)

let private failing =
    let case name length (write: Stream -> unit) (mistake: string) =
        testCase name
        <| inFolder (fun folder ->
            let path = Path.Combine(folder, "file.safetensors")
            File.WriteAllBytes(path, old)
            damaged path mistake (fun () -> AtomicFile.Write(path, length, write))
            Expect.equal (File.ReadAllBytes path) old "the old file"
            Expect.equal (namesIn folder) [ "file.safetensors" ] "nothing else")

    [ case
          "a full disk, half way"
          1_000_000L
          (fun stream ->
              stream.Write(ReadOnlySpan(Array.zeroCreate 500_000))
              raise (systemError 28))
          ("the disk is full: 1,000,000 bytes are needed; whatever stood there before is unchanged; "
           + "free some space or write elsewhere")
      case
          "a used quota"
          10L
          (fun _ -> raise (systemError 122))
          "the disk is full: 10 bytes are needed; whatever stood there before is unchanged; free some space or write elsewhere"
      case
          "a broken disk"
          10L
          (fun stream ->
              stream.WriteByte 1uy
              raise (systemError 5))
          "writing failed (an error of the system); whatever stood there before is unchanged"
      case
          "no permission"
          10L
          (fun _ -> raise (UnauthorizedAccessException()))
          "writing is not permitted in this directory; whatever stood there before is unchanged" ]

let private otherFailure =
    testCase "a failure of another kind passes through, and leaves the old file"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")
        File.WriteAllBytes(path, old)

        failsWith<InvalidOperationException> "something else" (fun () ->
            AtomicFile.Write(
                path,
                10L,
                fun stream ->
                    stream.WriteByte 1uy
                    invalidOp "something else"
            ))

        Expect.equal (File.ReadAllBytes path) old "the old file"
        Expect.equal (namesIn folder) [ "file.safetensors" ] "nothing else")

/// Linux's own file system in memory says at once when a file is larger than it: its whole size and a gigabyte more,
/// of one number repeated, are asked of it.
let private fullDisk =
    testCase "a model larger than the disk"
    <| fun () ->
        let disk = "/dev/shm"
        let isMemory = Directory.Exists disk && DriveInfo(disk).DriveFormat = "tmpfs"

        if not isMemory || DriveInfo(disk).TotalSize = 0L then
            skiptest $"{disk} is no file system of a fixed size here"

        let size = DriveInfo(disk).TotalSize + (1L <<< 30)

        let folder =
            Directory.CreateDirectory(Path.Combine(disk, $"atomic-{Guid.NewGuid():N}")).FullName

        try
            let path = Path.Combine(folder, "file.safetensors")
            File.WriteAllBytes(path, old)
            use number = torch.zeros 1L
            use repeated = number.expand (size / 4L)

            let mistake =
                (failure<CheckpointException>(fun () ->
                    SafetensorsFile.Write(path, [ struct ("x", repeated) ])))
                    .Mistake

            Expect.isMatch
                mistake
                "^the disk is full: [0-9,]+ bytes are needed; whatever stood there before is unchanged; free some space or write elsewhere$"
                "the text"

            Expect.equal (File.ReadAllBytes path) old "the old file"
            Expect.equal (namesIn folder) [ "file.safetensors" ] "nothing else"
        finally
            Directory.Delete(folder, recursive = true)

let private places =
    testCase "places where no file can be"
    <| inFolder (fun folder ->
        use model = tiny.Build(seed = 1L)
        let missing = Path.Combine(folder, "missing")
        let path = Path.Combine(missing, "file.safetensors")

        damaged path $"the directory {missing} does not exist; create it or write elsewhere" (fun () ->
            Checkpoint.Save(model, path))

        damaged folder "this is a directory; name a file in it" (fun () -> Checkpoint.Save(model, folder))
        Expect.isEmpty (namesIn folder) "nothing should be left")

/// A reader that opens the path again and again sees one of the two models, whole, while a writer replaces one by
/// the other.
let private readers =
    testCase "readers never see half a file"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")
        use first = tiny.Build(seed = 1L)
        use second = tiny.Build(seed = 2L)
        let known = [ bits first; bits second ]
        Checkpoint.Save(first, path)
        use finished = new CancellationTokenSource()

        let reader =
            Task.Run(fun () ->
                let mutable seen = 0

                while not finished.IsCancellationRequested do
                    use model = Checkpoint.Load path
                    let read = bits model

                    if not (List.contains read known) then
                        failwith "a model that is neither of the two"

                    seen <- seen + 1

                seen)

        for _ in 1..30 do
            Checkpoint.Save(second, path)
            Checkpoint.Save(first, path)

        finished.Cancel()
        Expect.isGreaterThan reader.Result 0 "times read"
        Expect.equal (namesIn folder) [ "file.safetensors" ] "nothing else is left")

/// The tests of this file.
let tests =
    testList "atomic writes" [ testList "failures" failing; otherFailure; fullDisk; places; readers ]
