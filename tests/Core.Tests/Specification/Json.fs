/// Architectures as JSON: what is written reads back equal, and a mistake is named at its place.
module LocalAttention.Core.Tests.Json

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Specification

let private example =
    Architecture(
        "written",
        PatchStem(4, 8),
        ValueList.From
            [ Stage(
                  ValueList.From
                      [ Block(SlideAttention(3, 2))
                        Block(QnAAttention(3, 2, Norm = LargestNorm 2.0)) ],
                  Transition = QnADownsampling(QnAAttention(3, 4))
              )
              Stage(ValueList.From [ Block(WindowAttention(4, 4)) ]) ],
        AveragePoolHead 10
    )

let private text = SpecificationJson.Write example

/// JSON has no word for them; validation refuses them wherever they stand.
let private holdsOnlyFiniteNumbers (architecture: Architecture) =
    let description = string architecture

    not (description.Contains "NaN" || description.Contains "Infinity")

let private roundTrip =
    testProperty "what is written reads back equal, mistakes and all"
    <| Prop.forAll Mistakes.arbitraryPossiblyBroken (fun architecture ->
        holdsOnlyFiniteNumbers architecture
        ==> lazy
            (Expect.equal
                (SpecificationJson.Read(SpecificationJson.Write architecture))
                architecture
                "an architecture should survive being written and read"))

let private defaults =
    testCase "what is left out has its default"
    <| fun () ->
        let brief =
            """{ "name": "brief", "head": { "classes": 10, "type": "averagePool" },
                 "stem": { "type": "patch", "patchSize": 4, "channels": 8 },
                 "stages": [ { "blocks": [ { "attention": { "window": 3, "type": "slide", "heads": 2 } } ] } ] }"""

        Expect.equal
            (SpecificationJson.Read brief)
            (Architecture(
                "brief",
                PatchStem(4, 8),
                ValueList.From [ Stage(ValueList.From [ Block(SlideAttention(3, 2)) ]) ],
                AveragePoolHead 10
            ))
            "defaults"

/// The one problem of a text.
let private problem json =
    try
        failtest $"'%s{json}' was read as {SpecificationJson.Read json}"
    with :? SpecificationException as refused ->
        Expect.hasLength refused.Problems 1 "one problem"

        Expect.stringContains
            refused.Message
            (string refused.Problems[0])
            "the message should name the problem"

        refused.Problems[0]

/// A replacement in the example, the place of the mistake that it makes, and words that the message must have.
let private edits =
    [ "a word for a number",
      "\"window\": 3",
      "\"window\": \"three\"",
      "stage 1, block 1, attention, window",
      ""
      "a fraction for a whole number",
      "\"window\": 4",
      "\"window\": 4.5",
      "stage 2, block 1, attention, window",
      ""
      "an unknown kind", "\"type\": \"slide\"", "\"type\": \"slyde\"", "stage 1, block 1, attention", "slyde"
      "a missing kind", "\"type\": \"window\",", "", "stage 2, block 1, attention", "type discriminator"
      "a missing kind of stem", "\"type\": \"patch\",", "", "stem", "type discriminator"
      "an unknown mode",
      "\"scale\": \"normal\"",
      "\"scale\": \"norml\"",
      "stage 1, block 2, attention, scale",
      "AttentionScale"
      "a number for a mode",
      "\"scale\": \"normal\"",
      "\"scale\": 1",
      "stage 1, block 2, attention, scale",
      "AttentionScale"
      "an unknown property",
      "\"queries\": 2",
      "\"querys\": 2",
      "stage 1, block 2, attention, querys",
      "querys"
      "a property twice",
      "\"queries\": 2",
      "\"queries\": 2, \"queries\": 3",
      "stage 1, block 2, attention, queries",
      "Duplicate property 'queries'"
      "no value", "\"name\": \"written\"", "\"name\": null", "name", "Name"
      "a missing property", "\"name\": \"written\",", "", "whole text", "'name'"
      "a number for a list", "\"stages\": [", "\"stages\": 5, \"rest\": [", "stages", "a list of stages"
      "a number too large", "\"classes\": 10", "\"classes\": 99999999999", "head, classes", ""
      "a number in quotation marks",
      "\"limit\": 2",
      "\"limit\": \"NaN\"",
      "stage 1, block 2, attention, norm, limit",
      ""
      "a misspelt side", "\"height\": 224", "\"hight\": 224", "resolution, hight", "hight"
      "a number for a flag",
      "\"deformed\": true",
      "\"deformed\": 1",
      "stage 1, block 1, attention, deformed",
      "Boolean"
      "a missing value", "\"patchSize\": 4", "\"patchSize\": ", "stem", "','" ]

let private mistakes =
    [ for name, before, after, place, words in edits ->
          testCase name
          <| fun () ->
              let edited = text.Replace(before, after)
              Expect.notEqual edited text $"'{before}' should be in the example"
              let found = problem edited
              Expect.equal found.Place place "the mistake's place"
              Expect.stringContains found.Mistake words "the mistake's words"
              Expect.isFalse (found.Mistake.Contains "Path:") "the serialiser's path should not be repeated" ]

let private texts =
    [ for name, json in
          [ "nothing", ""
            "null", "null"
            "an empty object", "{}"
            "a list", "[]"
            "words behind the end", text + "end" ] ->
          testCase name
          <| fun () -> Expect.equal (problem json).Place "whole text" "the mistake's place" ]

let private cut =
    testProperty "no text cut short is read, and none ends otherwise than in a problem"
    <| Prop.forAll (Arb.fromGen (Gen.choose (0, text.TrimEnd().Length - 1))) (fun length ->
        problem (text.Substring(0, length)) |> ignore)

/// The tests of this file.
let tests =
    testList
        "JSON"
        [ roundTrip
          defaults
          testList "mistakes" mistakes
          testList "not an architecture" texts
          cut ]
