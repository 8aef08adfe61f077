namespace Expecto

open System
open System.Reflection
open System.Threading
open System.Threading.Tasks
open Expecto.Running

// `Async` and `Sequenced` name union cases here and in Expecto; F# asks no more than to be told once.
#nowarn "46"

/// Tests as values, and what runs them.
[<AutoOpen>]
module Tests =

    /// Fails the test.
    let inline failtest msg = raise <| AssertException msg
    /// Fails the test with a formatted message.
    let inline failtestf fmt = Printf.ksprintf failtest fmt
    /// Fails the test; the report shows no stack trace.
    let inline failtestNoStack msg = raise <| FailedException msg

    /// Fails the test with a formatted message; the report shows no stack trace.
    let inline failtestNoStackf fmt =
        Printf.ksprintf (FailedException >> raise) fmt

    /// Skips the test.
    let inline skiptest msg = raise <| IgnoreException msg

    /// Skips the test with a formatted message.
    let inline skiptestf fmt =
        Printf.ksprintf (IgnoreException >> raise) fmt

    /// A named list of tests.
    let inline testList name tests =
        TestLabel(name, TestList(tests, Normal), Normal)

    /// A named list of tests that makes every test outside it, unless focused too, be ignored.
    let inline ftestList name tests =
        TestLabel(name, TestList(tests, Focused), Focused)

    /// A named list of tests that are ignored.
    let inline ptestList name tests =
        TestLabel(name, TestList(tests, Pending), Pending)

    /// Puts a test under a name.
    let inline testLabel name test = TestLabel(name, test, Normal)

    /// A named test.
    let inline testCase name test =
        TestLabel(name, TestCase(Sync test, Normal), Normal)

    /// A named test that is told when the run is cancelled.
    let inline testCaseWithCancel name test =
        TestLabel(name, TestCase(SyncWithCancel test, Normal), Normal)

    /// A named asynchronous test.
    let inline testCaseAsync name test =
        TestLabel(name, TestCase(Async test, Normal), Normal)

    /// A named test that runs a task.
    let inline testCaseTask name (test: unit -> Task<unit>) =
        TestLabel(name, TestCase(Async(async { do! test () |> Async.AwaitTask }), Normal), Normal)

    /// As `testCase`, focused.
    let inline ftestCase name test =
        TestLabel(name, TestCase(Sync test, Focused), Focused)

    /// As `testCaseAsync`, focused.
    let inline ftestCaseAsync name test =
        TestLabel(name, TestCase(Async test, Focused), Focused)

    /// As `testCase`, ignored.
    let inline ptestCase name test =
        TestLabel(name, TestCase(Sync test, Pending), Pending)

    /// As `testCaseAsync`, ignored.
    let inline ptestCaseAsync name test =
        TestLabel(name, TestCase(Async test, Pending), Pending)

    /// The test or list runs alone, after all that may run in parallel.
    let inline testSequenced test = Sequenced(Synchronous, test)
    /// The tests of one group run one after the other.
    let inline testSequencedGroup name test = Sequenced(SynchronousGroup name, test)

    /// One test for each named partial test, given what `setup` makes of it.
    let inline testFixture setup =
        Seq.map (fun (name, partialTest) -> testCase name (setup partialTest))

    /// One test for each named partial test, applied to the value.
    let inline testParam param =
        Seq.map (fun (name, partialTest) -> testCase name (partialTest param))

    /// A list of tests, one for each case, named by the case.
    let inline testTheory name (cases: seq<'a>) (test: 'a -> 'b) =
        let label (case: 'a) =
            if typeof<'a> = typeof<string> then
                (if isNull (box case) then "null" else $"\"{case}\"")
            else
                string case

        testList
            name
            (cases
             |> Seq.map (fun case -> testCase (label case) (fun () -> test case |> ignore))
             |> List.ofSeq)

    /// Builds a test case from a computation expression.
    type TestCaseBuilder(name: string, focusState: FocusState) =
        member _.TryFinally(f, compensation) =
            try
                f ()
            finally
                compensation ()

        member _.TryWith(f, catchHandler) =
            try
                f ()
            with e ->
                catchHandler e

        member _.Using(disposable: #IDisposable, f) = using disposable f

        member _.For(sequence, f) =
            for i in sequence do
                f i

        member _.While(gd, prog) =
            while gd () do
                prog ()

        member _.Combine(f1, f2) =
            f2 ()
            f1

        member _.Zero() = ()
        member _.Delay f = f

        member _.Run f =
            TestLabel(name, TestCase(Sync f, focusState), focusState)

    /// A test written as `test "name" { … }`.
    let inline test name = TestCaseBuilder(name, Normal)
    /// As `test`, focused.
    let inline ftest name = TestCaseBuilder(name, Focused)
    /// As `test`, ignored.
    let inline ptest name = TestCaseBuilder(name, Pending)

    /// How a test's labels are joined into its name.
    type JoinWith =
        | Dot
        | Slash

        /// The separator.
        member x.asString =
            (match x with
             | Dot -> "."
             | Slash -> "/")

        /// The joined name.
        member x.format(parts: string list) = String.concat x.asString parts

    /// What the command line and the program say about a run.
    type ExpectoConfig =
        {
            /// Whether tests run side by side. Here, unlike in Expecto, they do only when asked:
            /// the tests share a native engine that is itself parallel.
            runInParallel: bool
            /// How many tests run side by side; zero or less counts the processors.
            parallelWorkers: int
            /// Whether a focused test makes the run fail.
            failOnFocusedTests: bool
            /// Which tests run.
            filter: Test -> Test
            /// Which states `--list-tests` lists; none for all.
            listStates: FocusState list
            /// The number of cases of a property without a configuration of its own.
            fsCheckMaxTests: int
            /// The first size of a property without a configuration of its own.
            fsCheckStartSize: int
            /// The last size of a property without a configuration of its own.
            fsCheckEndSize: int option
            /// Whether two tests may have the same name.
            allowDuplicateNames: bool
            /// Whether every test is listed by outcome after the run.
            listOutcomes: bool
            /// Whether each test is named as it runs.
            verbose: bool
            /// Whether output has colours.
            colours: bool
            /// How labels are joined.
            joinWith: JoinWith
        }

    /// Everything runs, one test after the other.
    let defaultConfig =
        { runInParallel = false
          parallelWorkers = Environment.ProcessorCount
          failOnFocusedTests = false
          filter = id
          listStates = []
          fsCheckMaxTests = 100
          fsCheckStartSize = 1
          fsCheckEndSize = None
          allowDuplicateNames = false
          listOutcomes = false
          verbose = false
          colours = true
          joinWith = Dot }

    /// What a program or a command line can ask of a run.
    type CLIArguments =
        /// Run one test after the other (here the default).
        | Sequenced
        /// Run tests side by side.
        | Parallel
        /// How many tests run side by side.
        | Parallel_Workers of int
        /// The number of cases of a property (default 100).
        | FsCheck_Max_Tests of int
        /// The first size of a property (default 1).
        | FsCheck_Start_Size of int
        /// The last size of a property (default 100).
        | FsCheck_End_Size of int
        /// Fail when focused tests exist.
        | Fail_On_Focused_Tests
        /// Name each test as it runs.
        | Debug
        /// The name to log under: kept for Expecto, here without effect.
        | Log_Name of name: string
        /// Only tests whose joined name starts with the text.
        | Filter of hiera: string
        /// Only tests in a list whose name contains the text.
        | Filter_Test_List of substring: string
        /// Only tests whose own name contains the text.
        | Filter_Test_Case of substring: string
        /// Only the tests with these joined names.
        | Run of tests: string list
        /// Print the names of the tests instead of running them.
        | List_Tests of listStates: FocusState list
        /// List every test by outcome after the run.
        | Summary
        /// Print the version.
        | Version
        /// Allow two tests with the same name.
        | Allow_Duplicate_Names
        /// No progress line (here there is none).
        | No_Spinner
        /// 0 for output without colours.
        | Colours of int
        /// "." or "/": what joins labels into names.
        | JoinWith of split: string

    let private focusStates =
        [ "normal", Normal; "pending", Pending; "focused", Focused ]

    let private focusState (word: string) =
        focusStates
        |> List.tryFind (fun (name, _) -> name = word.ToLowerInvariant())
        |> Option.map snd

    let private checkFocusState word =
        if (focusState word).IsSome then
            Ok word
        else
            Error $"'{word}' is no state; normal, pending and focused are"

    let private options: Arguments.Option<CLIArguments> list =
        let option name meaning parameter : Arguments.Option<CLIArguments> =
            { name = name
              meaning = meaning
              parameter = parameter }

        let flag case = Arguments.Nothing case
        let whole case = Arguments.Number(int >> case)

        [ option "--sequenced" "Run one test after the other (default)." (flag Sequenced)
          option "--parallel" "Run tests side by side." (flag Parallel)
          option "--parallel-workers" "How many tests run side by side." (whole Parallel_Workers)
          option "--fail-on-focused-tests" "Fail when focused tests exist." (flag Fail_On_Focused_Tests)
          option "--debug" "Name each test as it runs." (flag Debug)
          option "--log-name" "Without effect here." (Arguments.Text Log_Name)
          option "--filter" "Only tests whose joined name starts with the text." (Arguments.Text Filter)
          option
              "--filter-test-list"
              "Only tests in a list whose name contains the text."
              (Arguments.Text Filter_Test_List)
          option
              "--filter-test-case"
              "Only tests whose own name contains the text."
              (Arguments.Text Filter_Test_Case)
          option "--run" "Only the tests with these joined names." (Arguments.Words(Ok, Run))
          option
              "--list-tests"
              "Print the tests, or those in the given states, instead of running them."
              (Arguments.Words(checkFocusState, List.choose focusState >> List_Tests))
          option "--summary" "List every test by outcome after the run." (flag Summary)
          option "--version" "Print the version." (flag Version)
          option
              "--fscheck-max-tests"
              "The number of cases of a property (default 100)."
              (whole FsCheck_Max_Tests)
          option "--fscheck-start-size" "The first size of a property (default 1)." (whole FsCheck_Start_Size)
          option "--fscheck-end-size" "The last size of a property (default 100)." (whole FsCheck_End_Size)
          option "--allow-duplicate-names" "Allow two tests with the same name." (flag Allow_Duplicate_Names)
          option "--colours" "0 for output without colours." (whole Colours)
          option "--no-spinner" "Without effect here: there is no progress line." (flag No_Spinner)
          option
              "--join-with"
              "\".\" (default) or \"/\": what joins labels into names."
              (Arguments.Text JoinWith) ]

    let private apply config argument =
        let keep predicate =
            { config with
                filter = Test.filter config.joinWith.asString predicate }

        match argument with
        | Sequenced -> { config with runInParallel = false }
        | Parallel -> { config with runInParallel = true }
        | Parallel_Workers n -> { config with parallelWorkers = n }
        | FsCheck_Max_Tests n -> { config with fsCheckMaxTests = n }
        | FsCheck_Start_Size n -> { config with fsCheckStartSize = n }
        | FsCheck_End_Size n -> { config with fsCheckEndSize = Some n }
        | Fail_On_Focused_Tests ->
            { config with
                failOnFocusedTests = true }
        | Debug -> { config with verbose = true }
        | Filter start ->
            keep (fun name -> (config.joinWith.format name).StartsWith(start, StringComparison.Ordinal))
        | Filter_Test_List part ->
            keep (fun name ->
                name
                |> List.take (max 0 (name.Length - 1))
                |> List.exists _.Contains(part, StringComparison.Ordinal))
        | Filter_Test_Case part ->
            keep (fun name ->
                (name |> List.tryLast |> Option.defaultValue "").Contains(part, StringComparison.Ordinal))
        | Run names -> keep (fun name -> List.contains (config.joinWith.format name) names)
        | List_Tests states -> { config with listStates = states }
        | Summary -> { config with listOutcomes = true }
        | Allow_Duplicate_Names ->
            { config with
                allowDuplicateNames = true }
        | Colours level -> { config with colours = level > 0 }
        | JoinWith "/" -> { config with joinWith = Slash }
        | JoinWith _ -> { config with joinWith = Dot }
        | Version
        | Log_Name _
        | No_Spinner -> config

    /// The tests under the names of which more than one test is known.
    let duplicatedNames (join: JoinWith) test =
        Test.toTestCodeList test
        |> List.countBy (fun flat -> join.format flat.name)
        |> List.choose (fun (name, count) -> if count > 1 then Some name else None)

    /// Prints the name of each test, with its state where any is pending or focused.
    let listTests config test =
        let listed =
            Test.toTestCodeList test
            |> List.filter (fun flat ->
                config.listStates.IsEmpty || List.contains flat.state config.listStates)

        let letter state =
            (match state with
             | Normal -> "N"
             | Pending -> "P"
             | Focused -> "F")

        let plain = listed |> List.forall (fun flat -> flat.state = Normal)

        for flat in listed do
            let name = config.joinWith.format flat.name
            printfn "%s" (if plain then name else letter flat.state + " " + name)

    /// How long a test runs before its name is printed as still running; SLOW_TEST_SECONDS overrides it.
    let private patience () =
        match Double.TryParse(Environment.GetEnvironmentVariable "SLOW_TEST_SECONDS") with
        | true, seconds when seconds > 0.0 -> TimeSpan.FromSeconds seconds
        | _ -> TimeSpan.FromSeconds 60.0

    let private count results wanted =
        results |> List.filter (fun result -> wanted result.outcome) |> List.length

    let private isPassed =
        function
        | Passed -> true
        | _ -> false

    let private isIgnored =
        function
        | Ignored _ -> true
        | _ -> false

    let private isFailed =
        function
        | Failed _ -> true
        | _ -> false

    let private isErrored =
        function
        | Errored _ -> true
        | _ -> false

    let private printOutcomes config results =
        for heading, wanted in
            [ "Passed", isPassed
              "Ignored", isIgnored
              "Failed", isFailed
              "Errored", isErrored ] do
            printfn "%s: %d" heading (count results wanted)

            for result in results do
                if wanted result.outcome then
                    printfn "\t%s" (config.joinWith.format result.test.name)

    /// Prints one line in the form of Expecto's, which a script can read under either provider, then the count.
    let private printCounts (duration: TimeSpan) results =
        let passed, ignored = count results isPassed, count results isIgnored
        let failed, errored = count results isFailed, count results isErrored

        printfn
            "%d tests run in %O – %d passed, %d ignored, %d failed, %d errored."
            (passed + failed + errored)
            duration
            passed
            ignored
            failed
            errored

        let skipped = if ignored > 0 then $", {ignored} skipped" else ""
        printfn "%d passed, %d failed%s" passed (failed + errored) skipped

    // The platform's own verdicts that the counts below express more exactly: success, failed tests, no test.
    let private verdicts = [ 0; 2; 8 ]

    let private runOnPlatform (cancellation: CancellationToken) config fromTool arguments tests =
        let workers =
            match config.runInParallel, config.parallelWorkers with
            | false, _ -> 1
            | true, workers when workers > 0 -> workers
            | true, _ -> Environment.ProcessorCount

        let schedule =
            { workers = workers
              propertyDefaults =
                { FsCheckConfig.defaultConfig with
                    maxTest = config.fsCheckMaxTests
                    startSize = config.fsCheckStartSize
                    endSize = Option.defaultValue 100 config.fsCheckEndSize }
              nameOf = fun flat -> config.joinWith.format flat.name }

        let results = Collections.Concurrent.ConcurrentQueue<Finished>()

        let record result =
            results.Enqueue result

            if config.verbose then
                printfn
                    "%s: %O in %.0f ms"
                    (schedule.nameOf result.test)
                    result.outcome
                    result.duration.TotalMilliseconds

        let clock = Diagnostics.Stopwatch.StartNew()

        let framework =
            PlatformFramework(Test.toTestCodeList tests, schedule, patience (), record)

        let verdict =
            (PlatformApplication.run cancellation (Array.ofSeq arguments) framework).GetAwaiter().GetResult()

        let results = List.ofSeq results

        if config.listOutcomes then
            printOutcomes config results

        if not fromTool then
            printCounts clock.Elapsed results

        if List.contains verdict verdicts then
            (if count results isFailed > 0 then 1 else 0)
            ||| (if count results isErrored > 0 then 2 else 0)
        else
            verdict

    // Options that mean something to the platform too: theirs when a tool starts the program.
    let private alsoOfPlatform = [ "--list-tests"; "--version"; "--debug" ]
    let private forTools = [ "--server"; "--help"; "--info"; "-?"; "-h" ]

    /// Runs the tests as the arguments, then the command line, say. Options that are not Expecto's go to
    /// Microsoft.Testing.Platform. Returns 0 when no test failed; 1 when some did, 2 when some threw other
    /// exceptions than a failed expectation, 3 for both; the platform's own codes where it could not run.
    let runTestsWithCLIArgsAndCancel
        (ct: CancellationToken)
        (cliArgs: CLIArguments seq)
        (args: string array)
        tests
        =
        let fromTool = args |> Array.exists (fun word -> List.contains word forTools)

        let parsed =
            let ours (option: Arguments.Option<CLIArguments>) =
                not (fromTool && List.contains option.name alsoOfPlatform)

            Arguments.parse (List.filter ours options) args

        let asked = Seq.toList cliArgs @ parsed.known
        let config = List.fold apply defaultConfig asked
        let chosen = config.filter tests

        if args |> Array.exists (fun word -> List.contains word [ "--help"; "-h"; "-?" ]) then
            printfn "%s\n" (Arguments.usage options)

        if not parsed.errors.IsEmpty then
            printfn "ERROR: %s\n\n%s" (String.concat "; " parsed.errors) (Arguments.usage options)
            1
        elif
            asked
            |> List.exists (function
                | List_Tests _ -> true
                | _ -> false)
        then
            listTests config tests
            0
        elif config.failOnFocusedTests && Test.isFocused tests then
            printfn "There are focused tests, which --fail-on-focused-tests forbids."
            1
        elif
            not config.allowDuplicateNames
            && not (duplicatedNames config.joinWith chosen).IsEmpty
        then
            printfn
                "Found duplicated test names, these names are: %A"
                (duplicatedNames config.joinWith chosen)

            1
        else
            if List.contains Version asked then
                printfn "Expecto.Platform %O" (Assembly.GetExecutingAssembly().GetName().Version)

            let quiet =
                [ [ "--no-banner" ]
                  [ "--progress"; "off" ]
                  if not config.colours then
                      [ "--no-ansi" ] ]
                |> List.filter (fun words -> not (List.contains words.Head parsed.others))

            let added = if fromTool then [] else List.concat quiet
            runOnPlatform ct config fromTool (parsed.others @ added) chosen

    /// As `runTestsWithCLIArgsAndCancel`, without a token.
    let runTestsWithCLIArgs cliArgs args tests =
        runTestsWithCLIArgsAndCancel CancellationToken.None cliArgs args tests

    /// Runs the marked tests of the program's own assembly with a token.
    let runTestsInAssemblyWithCLIArgsAndCancel (ct: CancellationToken) cliArgs args =
        let tests =
            Impl.testFromThisAssembly () |> Option.defaultValue (TestList([], Normal))

        runTestsWithCLIArgsAndCancel ct cliArgs args tests

    /// Runs the marked tests of the program's own assembly.
    let runTestsInAssemblyWithCLIArgs cliArgs args =
        runTestsInAssemblyWithCLIArgsAndCancel CancellationToken.None cliArgs args
