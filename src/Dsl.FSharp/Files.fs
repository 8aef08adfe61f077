namespace LocalAttention.Dsl

open System
open System.IO
open System.Text

/// Text files that appear whole or not at all.
module internal Files =
    /// Writes UTF-8 under a temporary name beside the file, then gives it the file's name.
    let write (path: string) (text: string) : unit =
        let target = Path.GetFullPath path

        let directory =
            match Path.GetDirectoryName target with
            | null
            | "" -> "."
            | directory -> directory

        Directory.CreateDirectory directory |> ignore

        let temporary =
            Path.Combine(directory, $".{Path.GetFileName target}.{Guid.NewGuid():N}.tmp")

        try
            using (new FileStream(temporary, FileMode.CreateNew, FileAccess.Write)) (fun stream ->
                stream.Write(UTF8Encoding(false).GetBytes text)
                stream.Flush(flushToDisk = true))

            File.Move(temporary, target, overwrite = true)
        with _ ->
            File.Delete temporary
            reraise ()
