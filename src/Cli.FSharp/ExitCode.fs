namespace LocalAttention.Cli

/// What the process says of how a command ended.
[<RequireQualifiedAccess>]
module ExitCode =
    /// It did what was asked.
    [<Literal>]
    let Fine = 0

    /// A verification found something wrong.
    [<Literal>]
    let Failed = 1

    /// The command line, or a file that it names, is wrong.
    [<Literal>]
    let Wrong = 2

    /// The machine would not: a disk that is full, memory, a program that is missing; or a mistake of ours.
    [<Literal>]
    let Broken = 3

    /// Ctrl-C, or a request to terminate.
    [<Literal>]
    let Interrupted = 130

    /// All of them with their meaning, as help shows them.
    let meanings: (int * string) list =
        [ Fine, "done"
          Failed, "a verification found something wrong"
          Wrong, "the command line, or a file that it names, is wrong"
          Broken, "the machine would not: disk, memory, a missing program; or a mistake of ours"
          Interrupted, "interrupted; no file is half written" ]
