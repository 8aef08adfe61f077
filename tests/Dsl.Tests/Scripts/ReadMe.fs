/// Every block of code in README.md and docs/verification.md runs, unless `<!-- not run -->` stands right above it.
module LocalAttention.Dsl.Tests.ReadMe

open System
open System.IO
open System.Runtime.InteropServices
open Expecto
open LocalAttention.Dsl

/// A document, and what its code takes for granted.
type private Document =
    {
        /// Its path in the repository.
        Path: string
        /// What its F# begins with.
        Loading: string
        /// What its C# begins with.
        Usings: string list
        /// The assemblies that its C# refers to, beside those of .NET.
        Assemblies: string list
    }

    member document.Lines =
        File.ReadAllLines(Path.Combine(Child.repository, document.Path)) |> List.ofArray

/// The blocks of a language, each with the number of its first line.
let rec private blocks language number (rest: string list) : (int * string list) list =
    match rest with
    | [] -> []
    | line :: body when line.TrimEnd().StartsWith("```", StringComparison.Ordinal) ->
        let code = body |> List.takeWhile (fun line -> line.TrimEnd() <> "```")
        let after = List.skip (min body.Length (code.Length + 1)) body
        let later = blocks language (number + code.Length + 2) after

        if line.TrimEnd() = $"```{language}" then
            (number + 1, code) :: later
        else
            later
    | line :: next :: after when
        line.Trim() = "<!-- not run -->"
        && next.StartsWith("```", StringComparison.Ordinal)
        ->
        // The block is passed over as one of no language.
        blocks language (number + 1) ("```" :: after)
    | _ :: after -> blocks language (number + 1) after

/// A script of blocks, in which errors name the lines of the document.
let private script (document: Document) (blocks: (int * string list) list) =
    [ document.Loading
      // What the blocks write stays beside the script.
      "System.IO.Directory.SetCurrentDirectory __SOURCE_DIRECTORY__"
      for first, code in blocks do
          $"# {first} \"{document.Path}\""

          for line in code do
              // What a script of its own begins with: here it is loaded already.
              if line.StartsWith("#load", StringComparison.Ordinal) then
                  ""
              else
                  line ]
    |> String.concat "\n"

let private runs (document: Document) =
    testCase "its F# runs, block after block in one session"
    <| fun () ->
        let found = blocks "fsharp" 1 document.Lines
        Expect.isNonEmpty found "there is F# to run"

        Child.withScript (script document found) (fun path ->
            let ended = Child.succeeding [ "fsi"; "--quiet"; path ] ""
            Expect.equal ended.Error "" "nothing on the error output")

let private readMe =
    { Path = "README.md"
      Loading = Child.loading
      Usings =
        [ "System"
          "LocalAttention.Core.Backbones"
          "LocalAttention.Core.Checkpoints"
          "LocalAttention.Core.Data"
          "LocalAttention.Core.Specification"
          "LocalAttention.Core.Training" ]
      Assemblies = [ "LocalAttention.Core.dll"; "Torch*.dll" ] }

let private verification =
    { Path = "docs/verification.md"
      Loading = Child.loadingVerification
      Usings = [ "System" ]
      Assemblies =
        [ "LocalAttention.Core.dll"
          "LocalAttention.Verification.dll"
          "FSharp.Core.dll"
          "FsCheck.dll"
          "Torch*.dll" ] }

let private compiles (document: Document) =
    testCase "its C# compiles"
    <| fun () ->
        let found = blocks "csharp" 1 document.Lines
        Expect.isNonEmpty found "there is C# to compile"
        let runtime = DirectoryInfo(RuntimeEnvironment.GetRuntimeDirectory())
        let version = (Child.succeeding [ "--version" ] "").Output.Trim()

        let compiler =
            Path.Combine(runtime.FullName, "..", "..", "..", "sdk", version, "Roslyn", "bincore", "csc.dll")

        // The assemblies of this test itself: those of the core are among them.
        let references =
            [ for name in [ "System*.dll"; "netstandard.dll" ] do
                  yield! runtime.GetFiles name
              for name in document.Assemblies do
                  yield! DirectoryInfo(AppContext.BaseDirectory).GetFiles name ]

        for first, code in found do
            let program =
                [ for name in document.Usings do
                      $"using {name};"
                  $"#line {first} \"{document.Path}\""
                  yield! code ]
                |> String.concat "\n"

            Child.withScript program (fun path ->
                Child.succeeding
                    [ compiler
                      "-noconfig"
                      "-nologo"
                      "-nullable:enable"
                      "-langversion:14"
                      $"""-out:{Path.ChangeExtension(path, ".dll")}"""
                      for reference in references do
                          $"-reference:{reference.FullName}"
                      path ]
                    ""
                |> ignore)

/// A model with the mistakes that README.md shows.
let private wrong =
    backbone "wrong" (patchify 4 48)
    |> stages [ stage (2 * qna 3 |> heads 7) |> downsample merge; stage (slide 4 |> heads 6) ]

let private mistakes =
    testCase "its mistakes are printed so"
    <| fun () ->
        let shown = blocks "text" 1 readMe.Lines |> List.collect snd
        let printed = Printing.problems (problems wrong)
        Expect.isNonEmpty shown "there are mistakes"

        for line in shown do
            Expect.stringContains printed line "what is printed"

/// The tests of this file.
let tests =
    testList
        "documents"
        [ testList readMe.Path [ runs readMe; compiles readMe; mistakes ]
          testList verification.Path [ runs verification; compiles verification ] ]
