/// Runs test cases, one by one or side by side, and says how each ended.
module internal Expecto.Running

open System
open System.Collections.Concurrent
open System.Diagnostics
open System.Threading
open System.Threading.Tasks

/// How a test ended.
type Outcome =
    | Passed
    | Ignored of reason: string
    | Failed of message: string
    | Errored of exn

/// A test, how it ended, and how long it took.
type Finished =
    { test: FlatTest
      outcome: Outcome
      duration: TimeSpan }

/// What the run needs to know of the command line.
type Schedule =
    { workers: int
      propertyDefaults: FsCheckConfig
      nameOf: FlatTest -> string }

let private stackLines = 5

let private withStack (failure: AssertException) =
    let trace = if isNull failure.StackTrace then "" else failure.StackTrace

    let lines =
        trace.Split('\n')
        |> Seq.skipWhile (fun line -> line.StartsWith("   at Expecto.Expect.", StringComparison.Ordinal))
        |> Seq.truncate stackLines

    failure.Message + "\n" + String.concat "\n" lines

let rec private outcomeOf (failure: exn) =
    match failure with
    | :? AssertException as failure -> Failed(withStack failure)
    | :? FailedException as failure -> Failed failure.Message
    | :? IgnoreException as failure -> Ignored failure.Message
    | :? AggregateException as failure when failure.InnerExceptions.Count = 1 ->
        outcomeOf failure.InnerException
    | failure -> Errored failure

/// Runs one test now.
let runOne schedule (cancellation: CancellationToken) (test: FlatTest) =
    task {
        match test.shouldSkipEvaluation with
        | Some reason ->
            return
                { test = test
                  outcome = Ignored reason
                  duration = TimeSpan.Zero }
        | None ->
            let watch = Stopwatch.StartNew()

            let! outcome =
                task {
                    try
                        match test.test with
                        | Sync code -> code ()
                        | SyncWithCancel code -> code cancellation
                        | Async code -> do! Async.StartAsTask(code, cancellationToken = cancellation)
                        | AsyncFsCheck(config, _, check) ->
                            let config = Option.defaultValue schedule.propertyDefaults config
                            do! Async.StartAsTask(check config, cancellationToken = cancellation)

                        return Passed
                    with failure ->
                        return outcomeOf failure
                }

            return
                { test = test
                  outcome = outcome
                  duration = watch.Elapsed }
    }

/// Names tests that have run for long, so that one that hangs is not silently lost: after the given time,
/// then each time that this has doubled. Disposing it ends the watch.
type Watch(patience: TimeSpan, nameOf: FlatTest -> string) =
    let running = ConcurrentDictionary<FlatTest, Stopwatch * TimeSpan>()

    let look _ =
        for entry in running do
            let clock, due = entry.Value

            if clock.Elapsed >= due then
                running.TryUpdate(entry.Key, (clock, due + due), entry.Value) |> ignore
                eprintfn "still running after %.0f s: %s" clock.Elapsed.TotalSeconds (nameOf entry.Key)

    let timer =
        let period = TimeSpan.FromSeconds(max 0.1 (min 5.0 (patience.TotalSeconds / 4.0)))
        new Timer(TimerCallback look, null, period, period)

    /// The test begins.
    member _.Enter test =
        running[test] <- (Stopwatch.StartNew(), patience)

    /// The test has ended.
    member _.Leave(test: FlatTest) = running.TryRemove test |> ignore

    interface IDisposable with
        member _.Dispose() = timer.Dispose()

/// Bundles that may run side by side, and the tests that then run alone. Without workers to spare, every test
/// runs in the order in which it is written.
let private bundles workers (tests: FlatTest list) =
    if workers <= 1 then
        [], tests
    else
        let alone, beside =
            tests |> List.partition (fun test -> test.sequenced = Synchronous)

        let grouped =
            beside
            |> List.groupBy _.sequenced
            |> List.collect (fun (sequenced, group) ->
                match sequenced with
                | SynchronousGroup _ -> [ group ]
                | _ -> List.map List.singleton group)

        List.sortBy (List.length >> (~-)) grouped, alone

/// Runs the tests, tells `started` and `finished` of each, and stops before the next one when cancelled.
let run schedule patience (cancellation: CancellationToken) started finished (tests: FlatTest list) =
    task {
        use watch = new Watch(patience, schedule.nameOf)

        let inTurn (bundle: FlatTest list) : Task =
            task {
                for test in bundle do
                    if not cancellation.IsCancellationRequested then
                        do! (started test: Task)
                        watch.Enter test
                        let! result = runOne schedule cancellation test
                        watch.Leave test
                        do! (finished result: Task)
            }

        let beside, alone = bundles schedule.workers tests

        do!
            Parallel.ForEachAsync(
                beside,
                ParallelOptions(MaxDegreeOfParallelism = max 1 schedule.workers),
                fun bundle _ -> ValueTask(Task.Run(Func<Task>(fun () -> inTurn bundle)))
            )

        do! Task.Run(Func<Task>(fun () -> inTurn alone))
    }
