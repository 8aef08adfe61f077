/// Every name of Expecto's that the tests of this repository may use, each seen to hold and, where it can fail, to fail.
module LocalAttention.Tests.Vocabulary

open System
open System.Text.RegularExpressions
open System.Threading
open System.Threading.Tasks
open Expecto
open FsCheck
open FsCheck.FSharp

let private fails name (expectation: unit -> unit) =
    testCase $"{name} fails" (fun () -> Expect.throwsT<AssertException> expectation name)

let private both name holds broken =
    [ testCase $"{name} holds" holds; fails name broken ]

let private boom () : unit =
    raise (InvalidOperationException "boom")

let private nothing: string | null = null
let private something: string | null = "x"

let private equality =
    [ both "equal" (fun () -> Expect.equal [ 1; 2 ] [ 1; 2 ] "") (fun () -> Expect.equal "abc" "abd" "")
      both "equal of floats" (fun () -> Expect.equal 1.5 1.5 "") (fun () -> Expect.equal 1.0 1.5 "")
      both "notEqual" (fun () -> Expect.notEqual 1 2 "") (fun () -> Expect.notEqual 1 1 "")
      both "isTrue" (fun () -> Expect.isTrue true "") (fun () -> Expect.isTrue false "")
      both "isFalse" (fun () -> Expect.isFalse false "") (fun () -> Expect.isFalse true "")
      both "isNull" (fun () -> Expect.isNull nothing "") (fun () -> Expect.isNull something "")
      both "isNotNull" (fun () -> Expect.isNotNull something "") (fun () -> Expect.isNotNull nothing "") ]

let private exceptions =
    [ both "throws" (fun () -> Expect.throws boom "") (fun () -> Expect.throws ignore "")
      both "throwsT" (fun () -> Expect.throwsT<InvalidOperationException> boom "") (fun () ->
          Expect.throwsT<ArgumentException> boom "")
      both "throwsC" (fun () -> Expect.throwsC boom (fun e -> Expect.equal e.Message "boom" "")) (fun () ->
          Expect.throwsC ignore ignore)
      [ testCaseAsync "throwsAsync" (Expect.throwsAsync (fun () -> async { boom () }) "")
        testCaseAsync
            "throwsAsyncT"
            (Expect.throwsAsyncT<InvalidOperationException> (fun () -> async { boom () }) "")
        testCaseAsync
            "throwsAsyncC"
            (Expect.throwsAsyncC (fun () -> async { boom () }) (fun e ->
                async { Expect.equal e.Message "boom" "" })) ] ]

let private none: int option = None
let private ok: Result<int, string> = Ok 1
let private error: Result<int, string> = Error "no"

let private unions =
    [ both "isSome" (fun () -> Expect.isSome (Some 1) "") (fun () -> Expect.isSome none "")
      both "isNone" (fun () -> Expect.isNone none "") (fun () -> Expect.isNone (Some 1) "")
      both "isOk" (fun () -> Expect.isOk ok "") (fun () -> Expect.isOk error "")
      both "isError" (fun () -> Expect.isError error "") (fun () -> Expect.isError ok "")
      both "wantSome" (fun () -> Expect.equal (Expect.wantSome (Some 1) "") 1 "") (fun () ->
          Expect.wantSome none "" |> ignore)
      both "wantOk" (fun () -> Expect.equal (Expect.wantOk ok "") 1 "") (fun () ->
          Expect.wantOk error "" |> ignore)
      both "wantError" (fun () -> Expect.equal (Expect.wantError error "") "no" "") (fun () ->
          Expect.wantError ok "" |> ignore) ]

let private numbers =
    [ both "isLessThan" (fun () -> Expect.isLessThan 1 2 "") (fun () -> Expect.isLessThan 2 2 "")
      both "isLessThanOrEqual" (fun () -> Expect.isLessThanOrEqual 2 2 "") (fun () ->
          Expect.isLessThanOrEqual 3 2 "")
      both "isGreaterThan" (fun () -> Expect.isGreaterThan 2 1 "") (fun () -> Expect.isGreaterThan 2 2 "")
      both "isGreaterThanOrEqual" (fun () -> Expect.isGreaterThanOrEqual 2 2 "") (fun () ->
          Expect.isGreaterThanOrEqual 1 2 "")
      both "floatClose" (fun () -> Expect.floatClose Accuracy.medium 1.0 (1.0 + 1e-9) "") (fun () ->
          Expect.floatClose Accuracy.veryHigh 1.0 (1.0 + 1e-6) "")
      both
          "floatClose with its own accuracy"
          (fun () -> Expect.floatClose { absolute = 0.5; relative = 0.0 } 1.0 1.4 "")
          (fun () -> Expect.floatClose { absolute = 0.1; relative = 0.0 } 1.0 1.4 "")
      both "floatClose of NaN" (fun () -> Expect.floatClose Accuracy.low 0.0 0.0 "") (fun () ->
          Expect.floatClose Accuracy.low nan 0.0 "")
      both "float32Close" (fun () -> Expect.float32Close Accuracy32.low 1.0f 1.0001f "") (fun () ->
          Expect.float32Close Accuracy32.high 1.0f 1.1f "")
      both "floatLessThanOrClose" (fun () -> Expect.floatLessThanOrClose Accuracy.high 1.0 2.0 "") (fun () ->
          Expect.floatLessThanOrClose Accuracy.high 2.0 1.0 "")
      both
          "floatGreaterThanOrClose"
          (fun () -> Expect.floatGreaterThanOrClose Accuracy.high 2.0 1.0 "")
          (fun () -> Expect.floatGreaterThanOrClose Accuracy.high 1.0 2.0 "")
      both "isNaN" (fun () -> Expect.isNaN nan "") (fun () -> Expect.isNaN 1.0 "")
      both "isNotNaN" (fun () -> Expect.isNotNaN 1.0 "") (fun () -> Expect.isNotNaN nan "")
      both "isNotInfinity" (fun () -> Expect.isNotInfinity 1.0 "") (fun () ->
          Expect.isNotInfinity infinity "") ]

let private sequences =
    [ both "isEmpty" (fun () -> Expect.isEmpty List.empty<int> "") (fun () -> Expect.isEmpty [ 1 ] "")
      both "isNonEmpty" (fun () -> Expect.isNonEmpty [ 1 ] "") (fun () ->
          Expect.isNonEmpty List.empty<int> "")
      both "hasLength" (fun () -> Expect.hasLength [ 1; 2 ] 2 "") (fun () -> Expect.hasLength [ 1 ] 2 "")
      both "contains" (fun () -> Expect.contains [ 1; 2 ] 2 "") (fun () -> Expect.contains [ 1 ] 2 "")
      both "containsAll" (fun () -> Expect.containsAll [ 3; 1; 2 ] [ 1; 2 ] "") (fun () ->
          Expect.containsAll [ 1 ] [ 1; 2 ] "")
      both "sequenceEqual" (fun () -> Expect.sequenceEqual [| 1; 2 |] [ 1; 2 ] "") (fun () ->
          Expect.sequenceEqual [ 1; 2 ] [ 1; 3 ] "")
      [ fails "sequenceEqual of a shorter one" (fun () -> Expect.sequenceEqual [ 1 ] [ 1; 2 ] "")
        fails "sequenceEqual of a longer one" (fun () -> Expect.sequenceEqual [ 1; 2 ] [ 1 ] "") ]
      both "sequenceStarts" (fun () -> Expect.sequenceStarts [ 1; 2 ] [ 1 ] "") (fun () ->
          Expect.sequenceStarts [ 1; 2 ] [ 2 ] "")
      both "all" (fun () -> Expect.all [ 1; 2 ] (fun n -> n > 0) "") (fun () ->
          Expect.all [ 1; 2 ] (fun n -> n > 1) "")
      both "allEqual" (fun () -> Expect.allEqual [ 1; 1 ] 1 "") (fun () -> Expect.allEqual [ 1; 2 ] 1 "")
      both "exists" (fun () -> Expect.exists [ 1; 2 ] (fun n -> n > 1) "") (fun () ->
          Expect.exists [ 1; 2 ] (fun n -> n > 2) "")
      both "isAscending" (fun () -> Expect.isAscending [ 1; 1; 2 ] "") (fun () ->
          Expect.isAscending [ 2; 1 ] "")
      both "isDescending" (fun () -> Expect.isDescending [ 2; 1; 1 ] "") (fun () ->
          Expect.isDescending [ 1; 2 ] "") ]

let private texts =
    [ both "stringContains" (fun () -> Expect.stringContains "abc" "b" "") (fun () ->
          Expect.stringContains "abc" "d" "")
      both "stringStarts" (fun () -> Expect.stringStarts "abc" "ab" "") (fun () ->
          Expect.stringStarts "abc" "b" "")
      both "stringEnds" (fun () -> Expect.stringEnds "abc" "bc" "") (fun () -> Expect.stringEnds "abc" "b" "")
      both "stringHasLength" (fun () -> Expect.stringHasLength "abc" 3 "") (fun () ->
          Expect.stringHasLength "abc" 2 "")
      both "isMatch" (fun () -> Expect.isMatch "abc" "a.c" "") (fun () -> Expect.isMatch "abc" "^b" "")
      both "isNotMatch" (fun () -> Expect.isNotMatch "abc" "^b" "") (fun () ->
          Expect.isNotMatch "abc" "a.c" "")
      both "isRegexMatch" (fun () -> Expect.isRegexMatch "abc" (Regex "c$") "") (fun () ->
          Expect.isRegexMatch "abc" (Regex "^c") "")
      both "isNotEmpty" (fun () -> Expect.isNotEmpty "a" "") (fun () -> Expect.isNotEmpty "" "") ]

let private ends =
    [ fails "failtest" (fun () -> failtest "x")
      fails "failtestf" (fun () -> failtestf "%d" 1)
      testCase "failtestNoStack" (fun () ->
          Expect.throwsT<FailedException> (fun () -> failtestNoStack "x") "")
      testCase "failtestNoStackf" (fun () ->
          Expect.throwsT<FailedException> (fun () -> failtestNoStackf "%s" "x") "")
      testCase "skiptest" (fun () -> Expect.throwsT<IgnoreException> (fun () -> skiptest "x") "")
      testCase "skiptestf" (fun () -> Expect.throwsT<IgnoreException> (fun () -> skiptestf "%d" 1) "") ]

let private add (a: int) (b: int) = a + b

let private shapes =
    [ testCaseAsync "testCaseAsync" (async { do! Async.Sleep 1 })
      testCaseTask "testCaseTask" (fun () -> task { do! Task.Delay 1 })
      testCaseWithCancel "testCaseWithCancel" (fun (token: CancellationToken) ->
          Expect.isFalse token.IsCancellationRequested "")
      testTheory "testTheory" [ 1; 2; 3 ] (fun n -> Expect.isGreaterThan n 0 "")
      testTheory "testTheory of strings" [ "a"; "b" ] (fun text -> Expect.stringHasLength text 1 "")
      testList "testParam" (testParam 3 [ "param", (fun n () -> Expect.equal n 3 "") ] |> Seq.toList)
      testList
          "testFixture"
          (testFixture (fun code () -> code 4) [ "fixture", (fun n -> Expect.equal n 4 "") ]
           |> Seq.toList)
      test "test builder" {
          let sum = add 1 2

          for n in [ 1; 2 ] do
              Expect.isLessThan n sum ""
      }
      testLabel "testLabel" (testCase "inside" ignore)
      testSequencedGroup
          "a group"
          (testList "testSequencedGroup" [ testCase "one" ignore; testCase "two" ignore ])
      testSequenced (testCase "testSequenced" ignore) ]

let private trees =
    let tree =
        testList
            "root"
            [ testCase "a" ignore
              ptestCase "b" ignore
              ptestCaseAsync "b async" (async { () })
              ptestList "c" [ testCase "d" ignore; ftestCase "e" ignore ]
              testSequenced (testCase "f" ignore) ]

    let names test =
        Test.toTestCodeList test |> List.map (fun flat -> String.concat "/" flat.name)

    [ testCase "toTestCodeList keeps the order" (fun () ->
          let expected =
              [ "root/a"; "root/b"; "root/b async"; "root/c/d"; "root/c/e"; "root/f" ]

          Expect.equal (names tree) expected "")
      testCase "pending wins over focused" (fun () ->
          let states = Test.toTestCodeList tree |> List.map (fun flat -> flat.state)
          Expect.equal states [ Normal; Pending; Pending; Pending; Pending; Normal ] "")
      testCase "a focused list focuses its tests" (fun () ->
          let focused =
              testList
                  "r"
                  [ ftestList "x" [ testCase "y" ignore; ptestCase "z" ignore ]
                    testCase "w" ignore ]

          let flat = Test.toTestCodeList focused
          Expect.equal (flat |> List.map (fun flat -> flat.state)) [ Focused; Pending; Normal ] ""
          Expect.allEqual (flat |> List.map (fun flat -> flat.focusOn)) true "")
      testCase "ftestCaseAsync is focused" (fun () ->
          let flat = Test.toTestCodeList (ftestCaseAsync "x" (async { () }))
          Expect.equal flat.Head.state Focused "")
      testCase "the sequence method is kept" (fun () ->
          let flat = Test.toTestCodeList tree |> List.last
          Expect.equal flat.sequenced Synchronous "")
      testCase "filter keeps the wanted" (fun () ->
          let kept = tree |> Test.filter "." (fun name -> List.contains "c" name)
          Expect.equal (names kept) [ "root.c.d"; "root.c.e" ] "")
      testCase "pending properties are pending" (fun () ->
          let tests =
              [ ptestProperty "p" (fun (n: int) -> n = n)
                ptestPropertyWithConfig FsCheckConfig.defaultConfig "q" (fun (n: int) -> n = n) ]

          Expect.allEqual
              (tests |> List.collect Test.toTestCodeList |> List.map (fun flat -> flat.state))
              Pending
              "")
      testCase "focused properties are focused" (fun () ->
          let tests =
              [ ftestProperty "p" (fun (n: int) -> n = n)
                ftestPropertyWithConfig FsCheckConfig.defaultConfig "q" (fun (n: int) -> n = n)
                etestProperty (1UL, 3UL, Some 5) "r" (fun (n: int) -> n = n)
                etestPropertyWithConfig (1UL, 3UL, Some 5) FsCheckConfig.defaultConfig "s" (fun (n: int) ->
                    n = n) ]

          Expect.allEqual
              (tests |> List.collect Test.toTestCodeList |> List.map (fun flat -> flat.state))
              Focused
              "") ]

[<Tests>]
let marked = testList "marked" [ testCase "plain" ignore ]

[<PTests>]
let markedPending = testList "marked" [ testCase "pending" ignore ]

[<FTests>]
let markedFocused = testList "marked" [ testCase "focused" ignore ]

let private attributes =
    [ testCase "marked values are found once, with their states" (fun () ->
          let found = Impl.testFromAssembly (Reflection.Assembly.GetExecutingAssembly())
          let flat = Test.toTestCodeList (Expect.wantSome found "there are some")

          let states =
              flat
              |> List.map (fun flat -> String.concat "/" flat.name, flat.state)
              |> List.sort

          let expected =
              [ "marked/focused", Focused; "marked/pending", Pending; "marked/plain", Normal ]

          Expect.equal states expected "names and states") ]

type Even = Even of int

type EvenNumbers =
    static member Even() =
        ArbMap.defaults
        |> ArbMap.arbitrary<int>
        |> Arb.convert (fun n -> Even(n * 2)) (fun (Even n) -> n / 2)

let private seen = ResizeArray<int>()
let mutable private tried = 0

let private properties =
    [ testProperty "reversing twice" (fun (items: int list) -> List.rev (List.rev items) = items)
      testProperty "of two arguments" (fun (a: int) (b: int) -> a + b = b + a)
      testProperty "with expectations" (fun (n: int) -> Expect.equal (n + 0) n "zero")
      testPropertyWithConfig
          { FsCheckConfig.defaultConfig with
              arbitrary = [ typeof<EvenNumbers> ] }
          "with its own generator"
          (fun (Even n) -> n % 2 = 0)
      testProperty "with a generator in place"
      <| Prop.forAll (Arb.fromGen (Gen.choose (1, 9))) (fun n -> n > 0 && n < 10)
      testCase "a replay repeats its arguments" (fun () ->
          let run () =
              seen.Clear()

              let test =
                  testPropertyWithConfigStdGen
                      (123UL, 457UL, None)
                      { FsCheckConfig.defaultConfig with
                          maxTest = 20 }
                      "replayed"
                      (fun (n: int) -> seen.Add n)

              match (Test.toTestCodeList test).Head.test with
              | AsyncFsCheck(Some config, _, code) -> code config |> Async.RunSynchronously
              | _ -> failtest "a property is an AsyncFsCheck"

              List.ofSeq seen

          let first, second = run (), run ()
          Expect.hasLength first 20 "as many cases as asked"
          Expect.equal first second "the same seed"
          Expect.isGreaterThan (first |> List.distinct |> List.length) 5 "and not all alike")
      testSequenced (
          testList
              "callbacks"
              [ testPropertyWithConfig
                    { FsCheckConfig.defaultConfig with
                        maxTest = 17
                        startSize = 3
                        endSize = 30
                        receivedArgs = fun _ _ _ _ -> async { tried <- tried + 1 }
                        successfulShrink = fun _ _ _ -> async.Return()
                        finishedTest =
                            fun _ _ data ->
                                async { Expect.equal (tried, data.NumberOfTests) (17, 17) "cases" } }
                    "are called"
                    (fun (_: int) -> true) ]
      ) ]

/// The whole vocabulary.
let tests =
    testList
        "vocabulary"
        [ testList "equality" (List.concat equality)
          testList "exceptions" (List.concat exceptions)
          testList "unions" (List.concat unions)
          testList "numbers" (List.concat numbers)
          testList "sequences" (List.concat sequences)
          testList "texts" (List.concat texts)
          testList "ends" ends
          testList "shapes" shapes
          testList "trees" trees
          testList "attributes" attributes
          testList "properties" properties ]
