/// The numbers, arrays and files that the oracle stands on.
module LocalAttention.Oracle.Tests.NumberTests

open System
open System.IO
open Expecto
open LocalAttention.Oracle

/// A function that uses every operation, more than once: x, y ↦ √(x·y) · e^(x/y − y) + x.
let private everything<'T when 'T :> INumeric<'T>> : Layer<'T> =
    fun inputs ->
        let x, y = inputs["x"][0], inputs["y"][0]
        let root: 'T = Numeric.squareRoot (x * y)
        let ratio: 'T = x / y
        let power: 'T = Numeric.exponential (ratio - y)
        let product: 'T = root * power
        NdArray.ofArray [ 1 ] [| product + x |]

/// x ↦ x·x, one factor of which is a constant.
let private halfStopped<'T when 'T :> INumeric<'T>> : Layer<'T> =
    fun inputs -> inputs["x"] |> NdArray.map (fun (x: 'T) -> x * Numeric.stopGradient x)

let private one (value: float) = NdArray.ofArray [ 1 ] [| value |]
let private x, y = 0.7, 1.3
let private point = Map [ "x", one x; "y", one y ]

// By hand: with p = √(xy)·e^(x/y − y), ∂p/∂x = p(1/(2x) + 1/y), ∂p/∂y = p(1/(2y) − x/y² − 1).
let private p = sqrt (x * y) * exp (x / y - y)
let private byX = p * (1.0 / (2.0 * x) + 1.0 / y) + 1.0
let private byY = p * (1.0 / (2.0 * y) - x / (y * y) - 1.0)

let private derivatives =
    testList
        "derivatives"
        [ testCase "of dual numbers" (fun () ->
              let value, slope =
                  Derivative.along everything point (Map [ "x", one 2.0; "y", one -3.0 ])

              Expect.floatClose Accuracy.veryHigh value[0] (p + x) "value"
              Expect.floatClose Accuracy.veryHigh slope[0] (2.0 * byX - 3.0 * byY) "slope")
          testCase "of traced numbers" (fun () ->
              let gradient = Derivative.gradient everything point (one 1.5)
              Expect.floatClose Accuracy.veryHigh (gradient["x"].At [| 0 |]) (1.5 * byX) "by x"
              Expect.floatClose Accuracy.veryHigh (gradient["y"].At [| 0 |]) (1.5 * byY) "by y")
          testCase "by central differences" (fun () ->
              // With step 1e-5 the error is about 1e-10 from the third derivative and 1e-11 from rounding.
              let slope = Derivative.differences 1e-5 everything point (Map [ "x", one 1.0 ])
              Expect.floatClose { absolute = 1e-8; relative = 0.0 } slope[0] byX "by x")
          testCase "stop where they are told to" (fun () ->
              let value, slope = Derivative.along halfStopped point (Map [ "x", one 1.0 ])
              Expect.equal value[0] (x * x) "the value goes on"
              Expect.equal slope[0] x "one factor is constant") ]

let private counter =
    testList
        "counter"
        [ testCase "the hash of a name" (fun () ->
              Expect.equal (Counter.hash "input") 0x1ebbae8f5810b65bUL "as the data's README says")
          testCase "the first numbers of a name" (fun () ->
              let expected = [| -0.8043633146849236; 0.30472085653436465; -0.5927514534729075 |]
              Expect.equal (Counter.numbers "input" 3) expected "as the data's README says") ]

let private safetensors =
    testList
        "safetensors"
        [ testCase "types, shapes and names" (fun () ->
              let header =
                  """{"__metadata__":{"a":"b"},"one":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"two/x":{"dtype":"F32","shape":[1,1],"data_offsets":[16,20]}}"""

              let path = Path.GetTempFileName()

              try
                  let text = Text.Encoding.UTF8.GetBytes header

                  let content =
                      Array.concat
                          [ BitConverter.GetBytes(int64 text.Length)
                            text
                            BitConverter.GetBytes 1.25
                            BitConverter.GetBytes -2.0
                            BitConverter.GetBytes 0.5f ]

                  File.WriteAllBytes(path, content)
                  let arrays = Safetensors.read path
                  Expect.equal arrays["one"].Elements [| 1.25; -2.0 |] "doubles"
                  Expect.equal arrays["two/x"].Elements [| 0.5 |] "singles"
                  Expect.equal arrays["two/x"].Shape [| 1; 1 |] "shape"
                  let under = Safetensors.under "two/" arrays |> Map.toList |> List.map fst
                  Expect.equal under [ "x" ] "names under a prefix"
              finally
                  File.Delete path) ]

let private arrays =
    testList
        "arrays"
        [ testCase "are row-major" (fun () ->
              let array = NdArray.init [| 2; 3 |] (fun index -> 10 * index[0] + index[1])
              Expect.equal array.Elements [| 0; 1; 2; 10; 11; 12 |] "elements"
              Expect.equal array[1, 2] 12 "an element")
          testCase "refuse an index outside" (fun () ->
              Expect.throwsT<ArgumentException>
                  (fun () -> (NdArray.create [| 2; 2 |] 0)[0, 2] |> ignore)
                  "column 2 of 2")
          testCase "refuse elements that do not fill them" (fun () ->
              Expect.throwsT<ArgumentException>
                  (fun () -> NdArray.ofArray [ 2; 2 ] [| 1 |] |> ignore)
                  "1 of 4")
          testProperty "rolling there and back changes nothing" (fun (down: int) (right: int) ->
              let map = Counter.array "roll" [| 2; 3; 4; 2 |]
              let there = NdArray.roll (down % 100) (right % 100) map
              (NdArray.roll -(down % 100) -(right % 100) there).Elements = map.Elements) ]

/// All of it.
[<Tests>]
let tests = testList "oracle.numbers" [ derivatives; counter; safetensors; arrays ]
