/// Small suites that the tests start as programs of their own, to look at what a run prints and returns.
module LocalAttention.Tests.Suites

open System
open System.Threading
open Expecto
open FsCheck
open FsCheck.FSharp

let private order = ResizeArray<string>()
let private note name () = lock order (fun () -> order.Add name)

let private passing =
    testList
        "passing"
        [ testCase "first" ignore
          testCase "second" ignore
          testList "inner" [ testCase "third" ignore ] ]

let private failing =
    testList
        "failing"
        [ testCase "holds" ignore
          testCase "expectation" (fun () -> Expect.equal 1 2 "one is two") ]

let private throwing =
    testList "throwing" [ testCase "exception" (fun () -> invalidOp "thrown on purpose") ]

let private skipping =
    testList
        "skipping"
        [ testCase "runs" ignore
          testCase "asks" (fun () -> skiptest "not here")
          ptestCase "pending" (fun () -> failtest "never runs")
          ptestList "pending list" [ testCase "inside" (fun () -> failtest "never runs") ] ]

let private focused =
    testList
        "focus"
        [ ftestCase "chosen" ignore
          testCase "left out" (fun () -> failtest "never runs") ]

let private duplicated =
    testList "twice" [ testCase "same" ignore; testCase "same" ignore ]

let private slow =
    testList "slow" [ testCase "sleeper" (fun () -> Thread.Sleep 1500) ]

let private small =
    { FsCheckConfig.defaultConfig with
        maxTest = 500
        endSize = 1000 }

/// Fails for every number from 42 on; the smallest counterexample is 42.
let private below42 (n: int) = n < 42

let private property =
    testList
        "property"
        [ testPropertyWithConfig
              { small with
                  replay = Some(7UL, 11UL, Some 900) }
              "below 42"
              below42 ]

/// Repeats the case that the environment names: "seed gamma size".
let private replayed () =
    match (string (Environment.GetEnvironmentVariable "REPLAY")).Split ' ' with
    | [| seed; gamma; size |] ->
        let stdGen = uint64 seed, uint64 gamma, Some(int size)
        testList "replayed" [ etestPropertyWithConfig stdGen { small with maxTest = 1 } "below 42" below42 ]
    | _ -> testList "replayed" []

/// Tests that write their names as they run; the last one prints the order.
let private sequenced =
    testSequenced (
        testList
            "sequenced"
            [ testCase "1" (note "1")
              testCase "2" (note "2")
              testCase "3" (note "3")
              testCase "print" (fun () -> printfn "order: %s" (String.concat " " order)) ]
    )

/// Two tests that each wait for the other: they end only when they run side by side.
let private meeting =
    let barrier = new Barrier(2)

    let meet () =
        Expect.isTrue
            (barrier.SignalAndWait(TimeSpan.FromSeconds 20.0))
            "the other test runs at the same time"

    testList "meeting" [ testCase "one" meet; testCase "other" meet ]

/// The suite of a name.
let find name =
    match name with
    | "passing" -> passing
    | "failing" -> failing
    | "throwing" -> throwing
    | "both" -> testList "both" [ failing; throwing ]
    | "skipping" -> skipping
    | "focused" -> focused
    | "duplicated" -> duplicated
    | "slow" -> slow
    | "property" -> property
    | "replayed" -> replayed ()
    | "sequenced" -> sequenced
    | "meeting" -> meeting
    | name -> invalidArg (nameof name) $"There is no suite '{name}'."
