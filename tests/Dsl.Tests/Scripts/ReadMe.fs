/// Every block of code in README.md runs, unless `<!-- not run -->` stands right above it.
module LocalAttention.Dsl.Tests.ReadMe

open System
open System.IO
open System.Runtime.InteropServices
open Expecto
open LocalAttention.Dsl

let private lines =
    lazy (File.ReadAllLines(Path.Combine(Child.repository, "README.md")) |> List.ofArray)

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

/// A script of blocks, in which errors name the lines of README.md.
let private script (blocks: (int * string list) list) =
    [ Child.loading
      for first, code in blocks do
          $"# {first} \"README.md\""

          for line in code do
              // What a script of its own begins with: here it is loaded already.
              if line.StartsWith("#load", StringComparison.Ordinal) then
                  ""
              else
                  line ]
    |> String.concat "\n"

let private runs =
    testCase "its F# runs, block after block in one session"
    <| fun () ->
        let found = blocks "fsharp" 1 lines.Value
        Expect.isNonEmpty found "there is F# to run"

        Child.withScript (script found) (fun path ->
            let ended = Child.succeeding [ "fsi"; "--quiet"; path ] ""
            Expect.equal ended.Error "" "nothing on the error output")

/// What a C# file of one's own begins with.
let private usings =
    [ "System"
      "LocalAttention.Core.Backbones"
      "LocalAttention.Core.Checkpoints"
      "LocalAttention.Core.Data"
      "LocalAttention.Core.Specification"
      "LocalAttention.Core.Training" ]

let private compiles =
    testCase "its C# compiles"
    <| fun () ->
        let found = blocks "csharp" 1 lines.Value
        Expect.isNonEmpty found "there is C# to compile"
        let runtime = DirectoryInfo(RuntimeEnvironment.GetRuntimeDirectory())
        let version = (Child.succeeding [ "--version" ] "").Output.Trim()

        let compiler =
            Path.Combine(runtime.FullName, "..", "..", "..", "sdk", version, "Roslyn", "bincore", "csc.dll")

        // The assemblies of this test itself: those of the core are among them.
        let references =
            [ for name in [ "System*.dll"; "netstandard.dll" ] do
                  yield! runtime.GetFiles name
              for name in [ "LocalAttention.Core.dll"; "Torch*.dll" ] do
                  yield! DirectoryInfo(AppContext.BaseDirectory).GetFiles name ]

        for first, code in found do
            let program =
                [ for name in usings do
                      $"using {name};"
                  $"#line {first} \"README.md\""
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
        let shown = blocks "text" 1 lines.Value |> List.collect snd
        let printed = Printing.problems (problems wrong)
        Expect.isNonEmpty shown "there are mistakes"

        for line in shown do
            Expect.stringContains printed line "what is printed"

/// The tests of this file.
let tests = testList "README.md" [ runs; compiles; mistakes ]
