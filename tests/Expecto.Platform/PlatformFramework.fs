namespace Expecto

open System
open System.Threading
open System.Threading.Tasks
open Microsoft.Testing.Platform.Builder
open Microsoft.Testing.Platform.Capabilities.TestFramework
open Microsoft.Testing.Platform.Extensions
open Microsoft.Testing.Platform.Extensions.Messages
open Microsoft.Testing.Platform.Extensions.TestFramework
open Microsoft.Testing.Platform.Requests
open Expecto.Running

/// The tests as Microsoft.Testing.Platform sees them: it asks for discovery or a run, and hears of each test.
type internal PlatformFramework
    (tests: FlatTest list, schedule: Schedule, patience: TimeSpan, record: Finished -> unit) =

    // The platform needs a distinct identity a test: equal names, where they are allowed, are numbered.
    let identities =
        let seen = Collections.Generic.Dictionary<string, int>()

        let identities =
            Collections.Generic.Dictionary<FlatTest, string>(HashIdentity.Reference)

        for test in tests do
            let name = schedule.nameOf test

            let count =
                (match seen.TryGetValue name with
                 | true, n -> n + 1
                 | _ -> 1)

            seen[name] <- count
            identities[test] <- if count = 1 then name else $"{name} #{count}"

        identities

    let node test (state: IProperty) (others: IProperty list) =
        TestNode(
            Uid = TestNodeUid identities[test],
            DisplayName = schedule.nameOf test,
            Properties = PropertyBag(Seq.toArray (state :: others))
        )

    let state outcome : IProperty =
        match outcome with
        | Passed -> PassedTestNodeStateProperty.CachedInstance
        | Ignored reason -> SkippedTestNodeStateProperty reason
        | Failed message -> FailedTestNodeStateProperty message
        | Errored failure -> ErrorTestNodeStateProperty failure

    let timing (duration: TimeSpan) : IProperty =
        let now = DateTimeOffset.UtcNow
        TimingProperty(TimingInfo(now - duration, now, duration))

    let chosen (filter: ITestExecutionFilter) =
        match filter with
        | :? TestNodeUidListFilter as filter ->
            let wanted = filter.TestNodeUids |> Seq.map _.Value |> Set.ofSeq
            tests |> List.filter (fun test -> wanted.Contains identities[test])
        | _ -> tests

    interface IDataProducer with
        member _.DataTypesProduced = [| typeof<TestNodeUpdateMessage> |]

    interface IExtension with
        member _.Uid = "Expecto.Platform"
        member _.Version = string (typeof<PlatformFramework>.Assembly.GetName().Version)
        member _.DisplayName = "Expecto.Platform"
        member _.Description = "Tests written with Expecto's names."
        member _.IsEnabledAsync() = Task.FromResult true

    interface ITestFramework with
        member _.CreateTestSessionAsync _ =
            Task.FromResult(CreateTestSessionResult(IsSuccess = true))

        member _.CloseTestSessionAsync _ =
            Task.FromResult(CloseTestSessionResult(IsSuccess = true))

        member this.ExecuteRequestAsync context =
            task {
                let session = (context.Request :?> TestExecutionRequest).Session.SessionUid

                let publish test state others : Task =
                    context.MessageBus.PublishAsync(
                        this,
                        TestNodeUpdateMessage(session, node test state others)
                    )

                match context.Request with
                | :? DiscoverTestExecutionRequest as request ->
                    for test in chosen request.Filter do
                        do! publish test DiscoveredTestNodeStateProperty.CachedInstance []
                | :? RunTestExecutionRequest as request ->
                    let started test =
                        publish test InProgressTestNodeStateProperty.CachedInstance []

                    let finished result =
                        record result
                        publish result.test (state result.outcome) [ timing result.duration ]

                    do!
                        run
                            schedule
                            patience
                            context.CancellationToken
                            started
                            finished
                            (chosen request.Filter)
                | request ->
                    invalidOp $"The tests cannot answer a request of type {request.GetType().FullName}."

                context.Complete()
            }

/// Starts the platform over a list of tests.
module internal PlatformApplication =
    /// Runs the platform's application and returns its exit code.
    let run (cancellation: CancellationToken) (arguments: string array) (framework: PlatformFramework) =
        task {
            let options =
                TestApplicationOptions(EnableTelemetry = false, CancellationToken = cancellation)

            let! builder = TestApplication.CreateBuilderAsync(arguments, options)

            builder.RegisterTestFramework(
                (fun _ -> TestFrameworkCapabilities() :> ITestFrameworkCapabilities),
                (fun _ _ -> framework :> ITestFramework)
            )
            |> ignore

            use! application = builder.BuildAsync()
            return! application.RunAsync()
        }
