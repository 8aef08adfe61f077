module LocalAttention.Cli.Program

open System
open System.Text

[<EntryPoint>]
let main arguments =
    // Tables are drawn with characters beyond ASCII, whatever the locale says.
    Console.OutputEncoding <- UTF8Encoding false
    use _ = Interruption.watch ()
    CommandLine.run (List.ofArray arguments) Console.Out Console.Error
