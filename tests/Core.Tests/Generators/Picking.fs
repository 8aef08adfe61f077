/// What the generators and shrinkers of specifications are made of.
module LocalAttention.Core.Tests.Picking

open System
open FsCheck
open FsCheck.FSharp

/// The usual value twice out of three times, else one of the others.
let usually usual others =
    Gen.frequency [ 2, Gen.constant usual; 1, Gen.elements others ]

/// A flag that mostly has its default.
let flag usual = usually usual [ not usual ]

/// One of the candidates, which may be of several kinds.
let oneOf<'value> (candidates: 'value list) : Gen<'value> = Gen.elements candidates

/// The divisors of a number, smallest first.
let divisors number =
    [ for divisor in 1..number do
          if number % divisor = 0 then
              divisor ]

/// Numbers nearer to the simplest one than `value` is, the simplest first.
let towards simplest value =
    let between = int ((int64 simplest + int64 value) / 2L)

    [ simplest; between; value - sign (compare value simplest) ]
    |> List.distinct
    |> List.filter ((<>) value)

/// The candidates that differ from the value: what a shrinker of fields is left with.
let otherThan value candidates = candidates |> List.filter ((<>) value)

/// A list with its element at `index` replaced by each of some candidates.
let replacing index candidates items =
    candidates |> List.map (fun candidate -> List.updateAt index candidate items)

/// Shorter lists first, then lists of the same length with one simpler element.
let simplerList simpler items =
    [ for index in 0 .. List.length items - 1 do
          List.removeAt index items

      for index, item in List.indexed items do
          yield! replacing index (simpler item) items ]

/// A nullable number as an option.
let (|Given|Absent|) (number: Nullable<'number>) =
    if number.HasValue then Given number.Value else Absent

/// A seed for the numbers in tensors, so that a failing case is repeated by what is printed of it.
let seed = Gen.choose (1, 1_000_000)
