/// What a run prints and returns: each test starts this program again with one of the small suites.
module LocalAttention.Tests.Runs

open System
open System.Diagnostics
open System.Text.RegularExpressions
open Expecto

type private Run = { code: int; output: string }

let private runWith (variables: (string * string) list) suite (arguments: string list) =
    let start = ProcessStartInfo(string Environment.ProcessPath)
    let program = Reflection.Assembly.GetExecutingAssembly().Location

    // Started through `dotnet`, the program is its first argument; through its own executable, it is not.
    if IO.Path.GetFileNameWithoutExtension(string Environment.ProcessPath) = "dotnet" then
        start.ArgumentList.Add program

    for argument in [ "--suite"; suite; "--no-spinner"; "--colours"; "0" ] @ arguments do
        start.ArgumentList.Add argument

    for name, value in variables do
        start.Environment[name] <- value

    start.RedirectStandardOutput <- true
    start.RedirectStandardError <- true

    use started =
        Expect.wantSome (Option.ofObj (Process.Start start)) "the program starts"

    let errors = started.StandardError.ReadToEndAsync()
    let output = started.StandardOutput.ReadToEnd()
    started.WaitForExit()

    { code = started.ExitCode
      output = output + errors.Result }

let private run = runWith []

/// The counts of a run, as a script reads them under either provider: passed, ignored, failed, errored.
let private counts result =
    let found =
        Regex.Match(result.output, "([0-9,]+) passed, ([0-9,]+) ignored, ([0-9,]+) failed, ([0-9,]+) errored")

    Expect.isTrue found.Success $"the output has a line of counts:\n{result.output}"
    [ for group in 1..4 -> int found.Groups[group].Value ]

let private ends suite arguments code expected =
    let result = run suite arguments
    Expect.equal (counts result) expected result.output
    Expect.equal result.code code result.output

let private exitCodes =
    testList
        "exit codes"
        [ testCase "all pass" (fun () -> ends "passing" [] 0 [ 3; 0; 0; 0 ])
          testCase "an expectation fails" (fun () -> ends "failing" [] 1 [ 1; 0; 1; 0 ])
          testCase "an exception is thrown" (fun () -> ends "throwing" [] 2 [ 0; 0; 0; 1 ])
          testCase "both" (fun () -> ends "both" [] 3 [ 1; 0; 1; 1 ])
          testCase "skipped and pending tests do not fail" (fun () -> ends "skipping" [] 0 [ 1; 3; 0; 0 ])
          testCase "focused tests leave the others out" (fun () -> ends "focused" [] 0 [ 1; 1; 0; 0 ])
          testCase "focused tests may be forbidden" (fun () ->
              Expect.equal (run "focused" [ "--fail-on-focused-tests" ]).code 1 "exit code")
          testCase "equal names are refused" (fun () ->
              let result = run "duplicated" []
              Expect.equal result.code 1 "exit code"
              Expect.stringContains result.output "twice" "the name is told")
          testCase "equal names may be allowed" (fun () ->
              ends "duplicated" [ "--allow-duplicate-names" ] 0 [ 2; 0; 0; 0 ])
          testCase "an option without its parameter is refused" (fun () ->
              let result = run "passing" [ "--filter" ]
              Expect.equal result.code 1 "exit code"
              Expect.stringContains result.output "requires a parameter" "the reason is told")
          testCase "an unknown option is refused" (fun () ->
              Expect.notEqual (run "passing" [ "--no-such-option" ]).code 0 "exit code") ]

let private messages =
    testList
        "messages"
        [ testCase "a failed expectation is named and explained" (fun () ->
              let result = run "failing" []
              Expect.stringContains result.output "failing.expectation" "the test"
              Expect.stringContains result.output "one is two" "its message")
          testCase "an exception is named and explained" (fun () ->
              let result = run "throwing" []
              Expect.stringContains result.output "throwing.exception" "the test"
              Expect.stringContains result.output "thrown on purpose" "its message")
          testCase "a summary lists the tests by outcome" (fun () ->
              let result = run "both" [ "--summary" ]
              Expect.isMatch result.output @"Failed:\s+1" "the count"
              Expect.stringContains result.output "both.failing.holds" "a passed test") ]

let private filters =
    let passes arguments count =
        ends "passing" arguments 0 [ count; 0; 0; 0 ]

    testList
        "filters"
        [ testCase "by the start of the name" (fun () -> passes [ "--filter"; "passing.inner" ] 1)
          testCase "by the start of a name joined with slashes" (fun () ->
              passes [ "--join-with"; "/"; "--filter"; "passing/inner" ] 1)
          testCase "by list" (fun () -> passes [ "--filter-test-list"; "inn" ] 1)
          testCase "by case" (fun () -> passes [ "--filter-test-case"; "ir" ] 2)
          testCase "by whole names" (fun () -> passes [ "--run"; "passing.first"; "passing.second" ] 2)
          testCase "nothing matches" (fun () -> passes [ "--filter"; "no such test" ] 0)
          testCase "tests are listed instead of run" (fun () ->
              let result = run "skipping" [ "--list-tests" ]
              Expect.equal result.code 0 "exit code"
              Expect.stringContains result.output "N skipping.runs" "a test and its state"
              Expect.stringContains result.output "P skipping.pending" "a pending one"
              Expect.isNotMatch result.output "passed" "nothing ran")
          testCase "tests are listed by state" (fun () ->
              let result = run "skipping" [ "--list-tests"; "pending" ]
              Expect.stringContains result.output "skipping.pending list.inside" "a pending one"
              Expect.isNotMatch result.output "skipping.runs" "no other") ]

let private order =
    testList
        "order"
        [ testCase "sequenced tests run in their order" (fun () ->
              let result = run "sequenced" [ "--parallel" ]
              Expect.stringContains result.output "order: 1 2 3" "order")
          testCase "parallel tests run side by side" (fun () ->
              ends "meeting" [ "--parallel"; "--parallel-workers"; "2" ] 0 [ 2; 0; 0; 0 ]) ]

let private properties =
    testList
        "properties"
        [ testCase "a failing property shrinks, and its seed repeats it" (fun () ->
              let result = run "property" []
              Expect.equal result.code 1 "exit code"
              Expect.isMatch result.output @"Failed after \d+ test" "the number of cases"
              Expect.isMatch result.output @"Parameters:\s+\d+" "the original counterexample"
              Expect.isMatch result.output @"Shrunk \d+ times? to:\s+42\b" "the smallest counterexample"

              let seed =
                  Regex.Match(
                      result.output,
                      "Focus on error:\\s+etestPropertyWithConfig \\((\\d+)UL, (\\d+)UL, Some (\\d+)\\) \"below 42\""
                  )

              Expect.isTrue seed.Success $"the seed is printed as code:\n{result.output}"
              let replay = String.concat " " [ for group in 1..3 -> seed.Groups[group].Value ]
              let again = runWith [ "REPLAY", replay ] "replayed" []
              Expect.equal again.code 1 again.output
              Expect.isMatch again.output @"Failed after 1 test\b" "the first case fails"

              let original (run: Run) =
                  Regex.Match(run.output, @"Parameters:\s+(-?\d+)").Groups[1].Value

              Expect.equal (original again) (original result) "with the same argument") ]

let private ours =
    testList
        "ours"
        [ testCase "a long test is named while it runs" (fun () ->
              let result = runWith [ "SLOW_TEST_SECONDS", "0.5" ] "slow" []
              Expect.isMatch result.output @"still running after \d+ s: slow\.sleeper" "the name"
              Expect.equal result.code 0 "and it may still pass")
          testCase "a failed expectation shows where it stands" (fun () ->
              Expect.stringContains (run "failing" []).output "Suites.fs" "the file")
          testCase "the last line counts" (fun () ->
              let last (result: Run) =
                  result.output.TrimEnd().Split('\n') |> Array.last

              Expect.equal (last (run "failing" [])) "1 passed, 1 failed" "without skipped tests"
              Expect.equal (last (run "skipping" [])) "1 passed, 0 failed, 3 skipped" "with skipped tests") ]

let private isOurs = typeof<Test>.Assembly.GetName().Name = "Expecto.Platform"

/// Everything about runs; what Expecto itself does not do is left out under it.
let tests =
    testList
        "runs"
        ([ exitCodes; messages; filters; order; properties ]
         @ (if isOurs then [ ours ] else []))
