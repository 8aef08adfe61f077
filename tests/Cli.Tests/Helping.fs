/// Help, completion, and `bench`, which hands on what it is given.
module LocalAttention.Cli.Tests.Helping

open System
open System.CommandLine
open System.IO
open Expecto
open LocalAttention.Cli
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Dsl

let private helping =
    testList
        "help"
        [ testCase "the whole program's has every command and the exit codes"
          <| fun () ->
              let help = (fine [ "--help" ]).Output

              for command in CommandLine.commands do
                  Expect.stringContains help $"  {command.Name}" "a command"
                  let first = (string command.Description).Split(' ')[0]
                  Expect.stringContains help first "what it does"

              for code, meaning in ExitCode.meanings do
                  Expect.stringContains help $"{code}" "a code"
                  Expect.stringContains help meaning "its meaning"

          testCase "every command has examples that its own parser takes"
          <| fun () ->
              for command in CommandLine.commands do
                  let examples = (command :?> ExampledCommand).Examples
                  Expect.isNonEmpty examples command.Name
                  let help = (fine [ command.Name; "--help" ]).Output

                  for example in examples do
                      Expect.stringContains help $"localattention {example.Arguments}" "the help has it"
                      // What a shell would take off: quotation marks, and where the output goes.
                      let words = example.Arguments.Replace("'", "").Split([| '>'; '|' |])[0]

                      let parse =
                          CommandLine.root.Parse(words.Split(' ', StringSplitOptions.RemoveEmptyEntries))

                      Expect.isEmpty parse.Errors example.Arguments

          testCase "every argument and option says what it is"
          <| fun () ->
              for command in CommandLine.commands do
                  for symbol in
                      Seq.append (Seq.cast<Symbol> command.Arguments) (Seq.cast<Symbol> command.Options) do
                      Expect.isFalse
                          (String.IsNullOrWhiteSpace symbol.Description)
                          $"{command.Name} {symbol.Name}" ]

let private completing =
    let suggested (line: string) =
        (fine [ $"[suggest:{line.Length}]"; line ])
            .Output.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries)
        |> List.ofArray

    testList
        "completion"
        [ testCase "commands"
          <| fun () ->
              Expect.containsAll
                  (suggested "")
                  [ for command in CommandLine.commands -> command.Name ]
                  "all commands"

          testCase "models by how they begin"
          <| fun () ->
              Expect.equal
                  (suggested "show slide-swin-t")
                  [ "slide-swin-tiny"; "slide-swin-tiny-window7" ]
                  "the names"

          testCase "options, and what they take"
          <| fun () ->
              Expect.containsAll
                  (suggested "forward swin-tiny --")
                  [ "--weights"; "--dtype"; "--json" ]
                  "the options"

              Expect.equal (suggested "forward swin-tiny --backend f") [ "fused-cpu" ] "the backends"
              Expect.containsAll (suggested "completion ") [ "bash"; "fish"; "zsh" ] "the shells"

          testCase "a script for each shell, which asks the program"
          <| fun () ->
              for shell in [ "bash"; "zsh"; "fish" ] do
                  let script = (fine [ "completion"; shell ]).Output
                  Expect.stringContains script "[suggest:" "the directive"

                  Expect.equal
                      (text [ "script" ] (fine [ "completion"; shell; "--json" ]).Json |> _.TrimEnd())
                      (script.TrimEnd())
                      "in JSON"

          testCase "the one for bash is bash, and completes"
          <| inFolder (fun folder ->
              let script = file folder "completion.bash"
              File.WriteAllText(script, (fine [ "completion"; "bash" ]).Output)
              // A program that says how it was called.
              let program = file folder "localattention"

              File.WriteAllText(
                  program,
                  "#!/bin/sh\nprintf 'swin-%s\\n' tiny small\nprintf '%s|%s' \"$1\" \"$2\" > \"$0.called\"\n"
              )

              File.SetUnixFileMode(
                  program,
                  UnixFileMode.UserRead ||| UnixFileMode.UserWrite ||| UnixFileMode.UserExecute
              )

              let line =
                  $"source '{script}'; COMP_LINE='{program} show swin-t'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=('{program}' show swin-t); "
                  + "COMP_CWORD=2; _localattention; printf '%s ' \"${COMPREPLY[@]}\""

              let start =
                  Diagnostics.ProcessStartInfo("bash", [ "-c"; line ], RedirectStandardOutput = true)

              use child = nonNull (Diagnostics.Process.Start start)
              let words = child.StandardOutput.ReadToEnd().Trim()
              child.WaitForExit()
              Expect.equal words "swin-tiny" "what begins like the word"

              Expect.equal
                  (File.ReadAllText $"{program}.called")
                  "[suggest:11]|show swin-t"
                  "what the program is asked") ]

let private measuring =
    testCase "bench hands its arguments to the script, and its outputs and status on"
    <| inFolder (fun folder ->
        let script = file folder "bench.sh"

        File.WriteAllLines(
            script,
            [ "#!/bin/sh"
              "case $1 in"
              "--list) printf 'one\\ntwo\\n'; exit 0 ;;"
              "wrong) printf 'bench: no such work\\nthere are others\\n' >&2; exit 2 ;;"
              "esac"
              "echo \"given $*\""
              "echo aside >&2"
              "[ \"$1\" != bad ] || exit 9" ]
        )

        File.SetUnixFileMode(
            script,
            UnixFileMode.UserRead ||| UnixFileMode.UserWrite ||| UnixFileMode.UserExecute
        )

        let ran (arguments: string list) =
            use output = new StringWriter()
            use error = new StringWriter()
            let parse = CommandLine.root.Parse(Array.ofList ("bench" :: arguments))
            parse.InvocationConfiguration.Output <- output
            parse.InvocationConfiguration.Error <- error
            let code = Commands.Bench.runIn folder (Invocation parse)
            code, output.ToString().Trim(), error.ToString().Trim()

        Expect.equal (ran [ "--only"; "slide*" ]) (0, "given --only slide*", "aside") "as it ended"
        Expect.equal (ran [ "bad" ]) (3, "given bad", "aside") "a failure is the machine's"
        Expect.equal (ran [ "--json"; "bad" ]) (3, "given bad --json", "aside") "what it wrote for machines"
        Expect.equal (ran [ "--list" ]) (0, "one\ntwo", "") "the works' names"
        let _, names, _ = ran [ "--list"; "--json" ]
        Expect.equal (names.Split() |> String.concat "") "[\"one\",\"two\"]" "the names for machines"

        // Where the script has no answer, the program's own error is one.
        Expect.throwsC (fun () -> ran [ "wrong"; "--json" ] |> ignore) (fun error ->
            Expect.equal
                (Refusal.ofException error)
                { Message = "no such work"
                  ExitCode = ExitCode.Wrong }
                "the script's message")

        let ended = call [ "bench"; "--kernels"; "--json" ]
        Expect.stringContains (text [ "error" ] ended.Json) "leave out --json" "kernels have no JSON")

/// The tests of this file.
let tests = testList "helping" [ helping; completing; measuring ]
