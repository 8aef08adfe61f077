/// Estimates of time: what they add up to on a machine that is written down, never what a clock says.
module LocalAttention.Core.Tests.Latency

open System
open Expecto
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification

let private kinds =
    [ "qna"
      "slide"
      "window"
      "global"
      "reduction"
      "pooled"
      "cross-shaped"
      "neighbourhood"
      "dilated neighbourhood" ]

/// A machine of the given rates; every kind of attention reaches the same.
let private machine matrix attention memory =
    MachineProfile(
        2,
        matrix,
        matrix,
        matrix,
        memory,
        ValueList.From [ for kind in kinds -> AttentionRate(kind, attention) ]
    )

let private seconds (architecture: Architecture) profile batch =
    LatencyEstimate.Of(architecture, profile, batch).Seconds

let private estimates =
    testList
        "estimates"
        [ testCase
              "where memory costs nothing, time is multiply-accumulates over rates, in every model of the zoo"
          <| fun () ->
              for entry in Zoo.All do
                  let cost = MultiplyAccumulates.Of(entry.Architecture, mergedShifts = true)
                  let expected = float cost.Total / 1e9
                  let estimated = seconds entry.Architecture (machine 1e9 1e9 1e30) 1
                  // Some hundred sums and quotients of numbers of one sign: 1e-12 is ten thousand roundings.
                  Expect.isLessThan (abs (estimated / expected - 1.0)) 1e-12 entry.Name
          testCase
              "where arithmetic costs nothing, time is bytes: in proportion to images, and to the memory's rate"
          <| fun () ->
              let swin = Swin.Tiny
              let one = seconds swin (machine 1e30 1e30 1e9) 1
              Expect.isGreaterThan one 0.0 "bytes"
              Expect.isLessThan (abs (seconds swin (machine 1e30 1e30 1e9) 3 / one - 3.0)) 1e-9 "three images"

              Expect.isLessThan
                  (abs (seconds swin (machine 1e30 1e30 2e9) 1 / one - 0.5))
                  1e-9
                  "twice the rate"
          testCase "a slower kind of attention slows its own blocks alone"
          <| fun () ->
              let fast, slow = machine 1e10 1e10 1e10, machine 1e10 1e8 1e10

              let parts profile =
                  LatencyEstimate.Of(SlideSwin.Tiny, profile).Parts

              for before, after in Seq.zip (parts fast) (parts slow) do
                  if before.Place.Contains "block" then
                      Expect.isGreaterThan after.Seconds before.Seconds before.Place
                  else
                      Expect.equal after.Seconds before.Seconds before.Place
          testCase "a kind that the profile lacks is named"
          <| fun () ->
              let profile =
                  MachineProfile(1, 1e9, 1e9, 1e9, 1e9, ValueList.From [ AttentionRate("window", 1e9) ])

              Expect.throwsC (fun () -> LatencyEstimate.Of(Nat.Mini, profile) |> ignore) (fun mistake ->
                  Expect.stringContains mistake.Message "no rate of 'neighbourhood' attention" "message") ]

let private profiles =
    testList
        "profiles"
        [ testCase "are read as they were written"
          <| fun () ->
              let profile = machine 1.5e10 2.25e9 3e9
              Expect.equal (MachineProfile.FromJson(profile.ToJson())) profile "JSON"
          testCase "are refused where they make no sense"
          <| fun () ->
              let text = (machine 1e9 1e9 1e9).ToJson()

              for wrong in
                  [ ""
                    "null"
                    "{}"
                    text.Replace("\"threads\": 2", "\"threads\": 2, \"cores\": 1")
                    text.Replace("\"memoryRate\": 1000000000", "\"memoryRate\": 0") ] do
                  Expect.notEqual wrong text "changed"

                  Expect.throwsT<ArgumentException>
                      (fun () -> MachineProfile.FromJson wrong |> ignore)
                      $"'{wrong.Substring(0, min 40 wrong.Length)}'"
          testCase "measured ones have a positive rate of everything that the zoo needs"
          <| fun () ->
              let profile = MachineProfile.Measure()

              for rate in
                  [ profile.MatrixRate
                    profile.ConvolutionRate
                    profile.DepthwiseRate
                    profile.MemoryRate ] do
                  Expect.isTrue (rate > 0.0 && Double.IsFinite rate) $"{rate}"

              Expect.equal [ for rate in profile.Attention -> rate.Kind ] kinds "kinds"

              Expect.isTrue
                  (profile.Attention
                   |> Seq.forall (fun rate -> rate.Rate > 0.0 && Double.IsFinite rate.Rate))
                  "rates" ]

/// The tests of this file.
let tests = testList "latency" [ estimates; profiles ]
