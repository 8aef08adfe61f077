/// What the generators and shrinkers of specifications are made of, for generators of your own.
module LocalAttention.Verification.Picking

open FsCheck
open FsCheck.FSharp

/// The usual value twice out of three times, else one of the others.
let usually (usual: 'value) (others: 'value list) : Gen<'value> =
    Gen.frequency [ 2, Gen.constant usual; 1, Gen.elements others ]

/// A flag that mostly has its default.
let flag (usual: bool) : Gen<bool> = usually usual [ not usual ]

/// The divisors of a number, smallest first.
let divisors (number: int) : int list =
    [ for divisor in 1..number do
          if number % divisor = 0 then
              divisor ]

/// A seed for the numbers in tensors, so that a failing case is repeated by what is printed of it.
let seed: Gen<int> = Gen.choose (1, 1_000_000)

/// Numbers nearer to the simplest one than the value is: the simplest, the one half way, the next one.
let towards (simplest: int) (value: int) : int list =
    let between = int ((int64 simplest + int64 value) / 2L)

    [ simplest; between; value - sign (compare value simplest) ]
    |> List.distinct
    |> List.filter ((<>) value)

/// The candidates that differ from the value: what a shrinker of fields is left with.
let otherThan (value: 'value) (candidates: 'value list) : 'value list =
    candidates |> List.filter ((<>) value) |> List.distinct

/// <summary>
/// Simpler lists: halves of long ones, lists with one element less, then lists of the same length with one simpler element.
/// </summary>
/// <param name="simpler">Simpler elements, the simplest first.</param>
/// <param name="items">The list.</param>
let simplerList (simpler: 'item -> 'item list) (items: 'item list) : 'item list seq =
    seq {
        let length = List.length items

        if length > 3 then
            List.truncate (length / 2) items
            List.skip (length / 2) items

        for index in 0 .. length - 1 do
            List.removeAt index items

        for index, item in List.indexed items do
            for candidate in simpler item do
                List.updateAt index candidate items
    }
