/// What every refinement promises, whatever it refines: it sets what it names, and nothing else.
module LocalAttention.Dsl.Tests.Refinement

open Expecto
open FsCheck
open FsCheck.FSharp

/// A refinement with its words, and the properties that it sets with their values.
[<NoComparison; NoEquality; StructuredFormatDisplay("{Text}")>]
type Refinement<'value> =
    { Text: string
      Sets: (string * objnull) list
      Refine: 'value -> 'value }

/// Refinements of one property, one for each of some values.
let setting
    (word: string)
    (property: string)
    (values: 'setting list)
    (refine: 'setting -> 'value -> 'value)
    : Refinement<'value> list =
    [ for value in values ->
          { Text = $"{word} {value}"
            Sets = [ property, box value ]
            Refine = refine value } ]

/// A refinement of several properties at once.
let settingAll
    (text: string)
    (sets: (string * objnull) list)
    (refine: 'value -> 'value)
    : Refinement<'value> =
    { Text = text
      Sets = sets
      Refine = refine }

/// The properties of a record that a copy of it can replace.
let properties (record: obj) : Map<string, objnull> =
    Map.ofList
        [ for property in record.GetType().GetProperties() do
              if property.CanWrite then
                  property.Name, property.GetValue record ]

/// The first map with the second's entries over its own.
let over (first: Map<string, objnull>) (second: Map<string, objnull>) : Map<string, objnull> =
    Map.fold (fun joined name value -> Map.add name value joined) first second

let private names refinement = set (List.map fst refinement.Sets)

/// The properties of a part after a refinement; one that this kind of part lacks is not set.
let private after refinement (part: Map<string, objnull>) =
    refinement.Sets
    |> List.filter (fun (name, _) -> part.ContainsKey name)
    |> List.fold (fun changed (name, value) -> Map.add name value changed) part

/// Refinements in a row: how a value came about.
let private histories (refinements: Refinement<'value> list) =
    let shorter history =
        seq {
            for index in 0 .. List.length history - 1 do
                List.removeAt index history
        }

    Arb.fromGenShrink (Gen.listOf (Gen.elements refinements), shorter)

/// The laws of refinements, for values that came about by any of them from a first one.
/// `read` gives the properties of each part of a value by name; `catalog` has a list for each property.
let laws
    (first: 'value)
    (read: 'value -> Map<string, objnull> list)
    (catalog: Refinement<'value> list list)
    : Test list =
    let all = List.concat catalog

    let anyValue check =
        Prop.forAll (histories all) (fun history ->
            history
            |> List.fold (fun value refinement -> refinement.Refine value) first
            |> check)

    let pairs = List.allPairs all all

    [ testProperty "a refinement sets what it names and nothing else"
      <| anyValue (fun value ->
          for refinement in all do
              Expect.equal
                  (read (refinement.Refine value))
                  (read value |> List.map (after refinement))
                  refinement.Text)

      testProperty "refinements of different properties commute"
      <| anyValue (fun value ->
          for one, other in pairs do
              if Set.intersect (names one) (names other) |> Set.isEmpty then
                  let ahead = value |> one.Refine |> other.Refine
                  let behind = value |> other.Refine |> one.Refine

                  if ahead <> behind then
                      failtest $"{one.Text} and {other.Text}: {ahead}, and the other way round {behind}")

      testProperty "of two refinements of one property the last one counts"
      <| anyValue (fun value ->
          for one, other in pairs do
              if Set.isSubset (names one) (names other) then
                  let twice = value |> one.Refine |> other.Refine
                  let once = other.Refine value

                  if twice <> once then
                      failtest $"{one.Text}, then {other.Text}: {twice}, and {other.Text} alone {once}")

      testCase "each property has a refinement"
      <| fun () ->
          let refined = all |> List.map names |> Set.unionMany

          let missing =
              read first
              |> List.map (Map.keys >> set)
              |> Set.unionMany
              |> fun known -> known - refined

          Expect.isTrue missing.IsEmpty $"""no refinement sets {String.concat ", " missing}""" ]
