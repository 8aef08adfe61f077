/// Which of several ways a device takes.
module LocalAttention.Cuda.Tests.TuningTests

open System
open System.IO
open Expecto
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Kernels.Cuda.Driver
open LocalAttention.Cuda.Tests.StandIn

/// Kernels of different speeds, in milliseconds, by the number of their way.
let private times (speeds: float list) =
    [ for way, speed in List.indexed speeds -> $"time way{way} {speed}" ]

let private choose (device: ICudaDevice) (question: string) count =
    device.Choose(question, count, (fun way -> launch device (kernel $"way{way}") grid []))

let private launches (standIn: StandIn) =
    List.length (standIn.CallsOf "cuLaunchKernel")

/// Forgets that a driver's clock was ever asked: how many launches a body makes.
let private launchesIn (standIn: StandIn) body =
    let before = launches standIn
    let result = body ()
    result, launches standIn - before

let private keptFile (standIn: StandIn) =
    Path.Combine(standIn.Cache, "tuning") |> Directory.GetFiles |> Array.exactlyOne

let private keeping (standIn: StandIn) =
    standIn.Device(sources, standIn.Cache, true)

let private measuring =
    testList
        "measuring"
        [ for speeds, fastest in
              [ [ 1.0; 2.0; 3.0 ], 0
                [ 2.0; 0.5; 3.0 ], 1
                [ 9.0; 9.5; 0.01 ], 2
                [ 1.0; 1.0 ], 0 ] do
              testCase $"of {speeds} milliseconds, way {fastest} is taken"
              <| fun () ->
                  use standIn = new StandIn(times speeds)
                  Expect.equal (choose (standIn.Device()) "question" speeds.Length) fastest "way"
          testCase "slow ways are measured less often"
          <| fun () ->
              use standIn = new StandIn(times [ 200.0; 100.0 ])
              let device = standIn.Device()
              let way, count = launchesIn standIn (fun () -> choose device "question" 2)
              Expect.equal way 1 "way"

              Expect.equal
                  count
                  10
                  "launches: a first one, one to see how long it takes, and three rounds of each"
          testCase "a question is measured once"
          <| fun () ->
              use standIn = new StandIn(times [ 2.0; 1.0 ])
              let device = standIn.Device()
              choose device "question" 2 |> ignore

              Expect.equal
                  (launchesIn standIn (fun () -> choose device "question" 2))
                  (1, 0)
                  "way and launches"

              standIn.Order(times [ 1.0; 2.0 ])

              Expect.equal
                  (fst (launchesIn standIn (fun () -> choose device "another" 2)))
                  0
                  "way of another question"
          testCase "one way alone is taken as it is"
          <| fun () ->
              use standIn = new StandIn([])
              let device = standIn.Device()

              Expect.equal
                  (launchesIn standIn (fun () -> choose device "question" 1))
                  (0, 0)
                  "way and launches"
          testCase "where measuring is off, the first way is taken"
          <| fun () ->
              use standIn = new StandIn(times [ 2.0; 1.0 ])
              let device = standIn.Device(sources, standIn.Cache, false)

              Expect.equal
                  (launchesIn standIn (fun () -> choose device "question" 2))
                  (0, 0)
                  "way and launches"
          testCase "nothing is measured, nor remembered, while a graph is captured"
          <| fun () ->
              use standIn = new StandIn("capturing 1" :: times [ 2.0; 1.0 ])
              let device = standIn.Device()

              Expect.equal
                  (launchesIn standIn (fun () -> choose device "question" 2))
                  (0, 0)
                  "way and launches"

              standIn.Order("fail cuStreamIsCapturing 906" :: times [ 2.0; 1.0 ])

              Expect.equal
                  (launchesIn standIn (fun () -> choose device "question" 2))
                  (0, 0)
                  "another stream's graph"

              standIn.Order(times [ 2.0; 1.0 ])
              Expect.equal (choose device "question" 2) 1 "way afterwards"
              standIn.Order("capturing 1" :: times [ 2.0; 1.0 ])
              Expect.equal (choose device "question" 2) 1 "a known way, captured"
          testCase "the variable is on or off"
          <| fun () ->
              for value in ([ null; ""; "on"; "1"; " ON " ]: (string | null) list) do
                  Expect.isTrue (Tuning.IsOn value) $"'{value}'"

              for value in [ "off"; "0"; "OFF" ] do
                  Expect.isFalse (Tuning.IsOn value) $"'{value}'"

              Expect.throwsT<InvalidOperationException>
                  (fun () -> Tuning.IsOn "perhaps" |> ignore)
                  "another value" ]

let private refusing =
    testList
        "refused ways"
        [ testCase "a way that the device refuses is left out"
          <| fun () ->
              use standIn = new StandIn("refuse way1 701" :: times [ 2.0; 1.0; 3.0 ])
              Expect.equal (choose (standIn.Device()) "question" 3) 0 "way"
          testCase "a way that asks for too much shared memory is left out"
          <| fun () ->
              use standIn = new StandIn(times [ 2.0; 1.0; 3.0 ])
              let device: ICudaDevice = standIn.Device()

              let run way =
                  launch
                      device
                      (kernel $"way{way}")
                      (CudaGrid(1L, 1, 1, 32, (if way = 1 then 300000 else 0)))
                      []

              Expect.equal (device.Choose("question", 3, run)) 0 "way"
          testCase "where all are refused, the question and the reason are said"
          <| fun () ->
              use standIn = new StandIn([ "fail cuLaunchKernel 701" ])
              let device = standIn.Device()

              errorOf (fun () -> choose device "question" 2 |> ignore)
              |> says [ "2 ways of 'question'"; "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES" ]
          testCase "any other error is an error"
          <| fun () ->
              use standIn = new StandIn([ "refuse way1 700" ])
              let device = standIn.Device()

              errorOf (fun () -> choose device "question" 2 |> ignore)
              |> says [ "way1"; "CUDA_ERROR_ILLEGAL_ADDRESS" ]
          testCase "a way that does not compile is an error"
          <| fun () ->
              use standIn = new StandIn([])

              let device =
                  standIn.Device([ "Example.cu", "#error"; "Device.cuh", "" ], null, true)

              errorOf (fun () -> choose device "question" 2 |> ignore)
              |> says [ "does not compile" ] ]

let private remembering =
    testList
        "remembering"
        [ testCase "what one device measures, the next one knows"
          <| fun () ->
              use standIn = new StandIn(times [ 2.0; 1.0 ])
              choose (keeping standIn) "first" 2 |> ignore
              standIn.Order(times [ 1.0; 2.0 ])
              choose (keeping standIn) "second" 2 |> ignore
              let device = keeping standIn
              Expect.equal (launchesIn standIn (fun () -> choose device "first" 2)) (1, 0) "first"
              Expect.equal (launchesIn standIn (fun () -> choose device "second" 2)) (0, 0) "second"
          testCase "two devices at work at once keep each other's answers"
          <| fun () ->
              use standIn = new StandIn(times [ 2.0; 1.0 ])
              let one, other = keeping standIn, keeping standIn
              choose one "first" 2 |> ignore
              choose other "second" 2 |> ignore
              let device = keeping standIn
              Expect.equal (snd (launchesIn standIn (fun () -> choose device "first" 2))) 0 "first"
              Expect.equal (snd (launchesIn standIn (fun () -> choose device "second" 2))) 0 "second"
          for what, texts, orders in
              [ "source", [ "Example.cu", "other"; sources[1] ], []
                "device", sources, [ "name Another 100" ] ] do
              testCase $"another {what} is measured for itself"
              <| fun () ->
                  use standIn = new StandIn(times [ 2.0; 1.0 ])
                  choose (keeping standIn) "question" 2 |> ignore
                  standIn.Order(orders @ times [ 1.0; 2.0 ])
                  Expect.equal (choose (standIn.Device(texts, standIn.Cache, true)) "question" 2) 0 "way"
                  Expect.hasLength (Directory.GetFiles(Path.Combine(standIn.Cache, "tuning"))) 2 "files"
          testCase "an answer to a question of other ways is none"
          <| fun () ->
              use standIn = new StandIn(times [ 3.0; 2.0; 1.0 ])
              choose (keeping standIn) "question" 2 |> ignore
              Expect.equal (choose (keeping standIn) "question" 3) 2 "way"
          for damage, text in
              [ "is empty", fun (_: string) -> ""
                "ends early", fun text -> text.Substring(0, text.Length / 2)
                "is of another device", fun text -> text.Replace("Stand-in 900", "Stand-in 901")
                "has a way that is not there", fun text -> text.Replace("\"way\":1", "\"way\":2") ] do
              testCase $"a file that {damage} is made anew"
              <| fun () ->
                  use standIn = new StandIn(times [ 2.0; 1.0 ])
                  choose (keeping standIn) "question" 2 |> ignore
                  let file = keptFile standIn
                  let whole = File.ReadAllText file
                  Expect.notEqual (text whole) whole "the damage"
                  File.WriteAllText(file, text whole)
                  let device = keeping standIn
                  let way, count = launchesIn standIn (fun () -> choose device "question" 2)
                  Expect.equal way 1 "way"
                  Expect.isGreaterThan count 0 "launches"
                  Expect.equal (File.ReadAllText file) whole "the file"
          testCase "a folder that cannot be written is no error"
          <| fun () ->
              use standIn = new StandIn(times [ 2.0; 1.0 ])
              File.WriteAllText(standIn.Cache, "a file, and no folder")
              let device = keeping standIn
              Expect.equal (choose device "question" 2) 1 "way"

              Expect.equal
                  (launchesIn standIn (fun () -> choose device "question" 2))
                  (1, 0)
                  "way and launches" ]

/// The tests of this file.
let tests = testList "tuning" [ measuring; refusing; remembering ]
