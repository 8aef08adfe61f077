namespace Expecto

open FsCheck

/// Properties as tests, checked and shrunk by FsCheck.
[<AutoOpen; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module ExpectoFsCheck =

    let private several count noun =
        if count = 1 then $"1 {noun}" else $"{count} {noun}s"

    let private arguments values =
        values |> List.map (sprintf "%A") |> String.concat "\n\t"

    let private result outcome =
        match outcome with
        | Outcome.Failed(:? ExpectoException as failure) -> failure.Message
        | Outcome.Failed failure -> string failure
        | outcome -> sprintf "%A" outcome

    let private labels (data: TestData) =
        match Set.toList data.Labels with
        | [] -> ""
        | [ label ] -> $"Label of failing property: {label}\n"
        | labels ->
            $"""Labels of failing property (one or more is failing): {String.concat " " labels}{"\n"}"""

    let private stamps (data: TestData) =
        data.Stamps
        |> Seq.map (fun (percent, names) -> $"""{percent}%% {String.concat ", " names}""")
        |> String.concat "\n"

    let private failureText
        focusedBy
        name
        (data: TestData)
        original
        shrunk
        outcome
        (seed: Rnd)
        (last: Rnd)
        size
        =
        let shrinks =
            if data.NumberOfShrinks = 0 then
                ""
            else
                $"""Shrunk {several data.NumberOfShrinks "time"} to:{"\n\t"}{arguments shrunk}{"\n"}"""

        String.concat
            ""
            [ $"""Failed after {several data.NumberOfTests "test"}. Parameters:{"\n\t"}{arguments original}{"\n"}"""
              shrinks
              $"""Result:{"\n\t"}{result outcome}{"\n"}"""
              labels data
              stamps data
              $"""Original seed: ({seed.Seed}UL, {seed.Gamma}UL){"\n"}"""
              $"""Focus on error:{"\n\t"}{focusedBy} ({last.Seed}UL, {last.Gamma}UL, Some {size}) "{name}" """ ]

    /// Turns what FsCheck tells into callbacks of the configuration and the end of the test.
    let private runner focusedBy name (config: FsCheckConfig) =
        { new IRunner with
            member _.OnStartFixture _ = ()

            member _.OnArguments(number, values, _) =
                config.receivedArgs config name number values |> Async.RunSynchronously

            member _.OnShrink(values, _) =
                config.successfulShrink config name values |> Async.RunSynchronously

            member _.OnFinished(checkedName, result) =
                let data =
                    match result with
                    | TestResult.Passed(data, _)
                    | TestResult.Failed(data, _, _, _, _, _, _)
                    | TestResult.Exhausted data -> data

                config.finishedTest
                    config
                    checkedName
                    { Labels = data.Labels
                      NumberOfShrinks = data.NumberOfShrinks
                      NumberOfTests = data.NumberOfTests
                      Stamps = data.Stamps }
                |> Async.RunSynchronously

                match result with
                | TestResult.Passed _ -> ()
                | TestResult.Failed(_, _, _, Outcome.Failed(:? IgnoreException as skipped), _, _, _) ->
                    raise skipped
                | TestResult.Failed(_, original, shrunk, outcome, seed, last, size) ->
                    failureText focusedBy name data original shrunk outcome seed last size
                    |> failtestNoStack
                | TestResult.Exhausted _ ->
                    failtestNoStack
                        $"""Exhausted after {several data.NumberOfTests "test"}: too few cases satisfy the condition. {stamps data}""" }

    let private property focusedBy state (config: FsCheckConfig option) name property =
        let check (config: FsCheckConfig) =
            let replay =
                config.replay
                |> Option.map (fun (seed, gamma, size) -> { Rnd = Rnd(seed, gamma); Size = size })

            let settings =
                Config.Default
                    .WithMaxTest(config.maxTest)
                    .WithReplay(replay)
                    .WithName(name)
                    .WithStartSize(config.startSize)
                    .WithEndSize(config.endSize)
                    .WithQuietOnSuccess(true)
                    .WithArbitrary(config.arbitrary)
                    .WithRunner(runner focusedBy name config)

            async { Check.One(settings, property) }

        TestLabel(name, TestCase(AsyncFsCheck(config, config, check), state), state)

    let private replaying stdGen config =
        Some { config with replay = Some stdGen }

    /// A property as a test.
    let testProperty name =
        property "etestProperty" Normal None name

    /// As `testProperty`, ignored.
    let ptestProperty name =
        property "etestProperty" Pending None name

    /// As `testProperty`, focused.
    let ftestProperty name =
        property "etestProperty" Focused None name

    /// As `testProperty`, focused, repeating the run that a failure printed.
    let etestProperty stdGen name =
        property "etestProperty" Focused (replaying stdGen FsCheckConfig.defaultConfig) name

    /// A property as a test, with its configuration.
    let testPropertyWithConfig config name =
        property "etestPropertyWithConfig" Normal (Some config) name

    /// As `testPropertyWithConfig`, ignored.
    let ptestPropertyWithConfig config name =
        property "etestPropertyWithConfig" Pending (Some config) name

    /// As `testPropertyWithConfig`, focused.
    let ftestPropertyWithConfig config name =
        property "etestPropertyWithConfig" Focused (Some config) name

    /// As `testPropertyWithConfig`, focused, repeating the run that a failure printed.
    let etestPropertyWithConfig stdGen config name =
        property "etestPropertyWithConfig" Focused (replaying stdGen config) name

    /// A property that runs from the given seed every time.
    let testPropertyWithConfigStdGen stdGen config name =
        property "testPropertyWithConfigStdGen" Normal (replaying stdGen config) name
