/// Architectures are values: equality, hashes and the laws of `With`.
module LocalAttention.Core.Tests.Values

open System
open System.Reflection
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification

let private rebuilt architecture =
    SpecificationJson.Read(SpecificationJson.Write architecture)

/// An architecture, and a copy of it or of one that is simpler in one place.
let private changedCopies =
    gen {
        let! architecture = Generate.architecture
        let simpler = Shrink.anyArchitecture architecture |> List.ofSeq

        let! other =
            Gen.frequency [ 1, Gen.constant architecture; 3, Gen.elements (architecture :: simpler) ]

        return architecture, rebuilt other
    }

let private equality =
    testList
        "equality"
        [ testProperty "an architecture equals its copy, and their hashes are equal"
          <| Prop.forAll (Arbitraries.Architecture()) (fun architecture ->
              let copy = rebuilt architecture
              Expect.isFalse (obj.ReferenceEquals(copy, architecture)) "the copy should be another object"
              Expect.equal copy architecture "a copy should be equal"
              Expect.equal (hash copy) (hash architecture) "the hash of a copy should be equal"
              Expect.isTrue (copy.Stages = architecture.Stages) "the operator should agree with Equals")
          testProperty "two architectures are equal exactly when they are written alike"
          <| Prop.forAll (Arb.fromGen changedCopies) (fun (one, other) ->
              Expect.equal
                  (one = other)
                  (SpecificationJson.Write one = SpecificationJson.Write other)
                  "equality and text should agree")
          testCase "a list is copied from what it is made of"
          <| fun () ->
              let items = [| 1; 2 |]
              let list = ValueList.From items
              items[0] <- 3
              Expect.sequenceEqual list [ 1; 2 ] "the list should not see the change"
              Expect.notEqual list (ValueList.From [ 1; 2; 3 ]) "a longer list should differ"
              Expect.notEqual list (ValueList.From [ 2; 1 ]) "another order should differ" ]

/// Two values of every record that offers `With`.
let private pairs: (Type * Gen<obj * obj>) list =
    let pair (generator: Gen<'record> when 'record: not null and 'record: not struct) =
        let boxed (record: 'record) = Unchecked.nonNull (box record)
        typeof<'record>, Gen.two generator |> Gen.map (fun (one, other) -> boxed one, boxed other)

    let map = MapShape(ImageSize(6, 7), 12)

    let qnaPool =
        Gen.map3
            (fun classes heads skip -> QnAPoolHead(classes, heads, Queries = classes + 1, Skip = skip))
            (Gen.choose (0, 5))
            (Gen.choose (1, 4))
            (Gen.elements [ true; false ])

    let patches =
        Gen.map3
            (fun side bias norm -> PatchStem(side, side + 3, Bias = bias, Norm = norm))
            (Gen.choose (1, 5))
            (Gen.elements [ true; false ])
            (Gen.elements [ true; false ])

    let convolutions =
        Gen.map3
            (fun kernel bias activated ->
                ConvolutionStem(
                    ValueList.From [ Convolution(kernel, 2, 8) ],
                    Bias = bias,
                    ActivatedBetween = activated
                ))
            (Gen.elements [ 1; 3; 5 ])
            (Gen.elements [ true; false ])
            (Gen.elements [ true; false ])

    let stage =
        Gen.map4
            (fun (one: Architecture) (other: Architecture) places norm ->
                Stage(
                    one.Stages[0].Blocks,
                    Transition = other.Stages[0].Transition,
                    PositionEmbedding = places,
                    Norm = norm
                ))
            Generate.architecture
            Generate.architecture
            (Gen.elements [ true; false ])
            (Gen.elements [ true; false ])

    [ pair Generate.architecture
      pair Generate.conventions
      pair (Generate.qna 12)
      pair (Generate.slide map)
      pair (Generate.window SizePolicy.Pad map)
      pair (Generate.globalAttention map)
      pair (Generate.spatialReduction SizePolicy.Pad map)
      pair (Generate.pooledAttention map)
      pair (Generate.crossShaped SizePolicy.Pad map)
      pair (Generate.neighbourhood SizePolicy.Pad map)
      pair (Generate.block SizePolicy.Pad map)
      pair stage
      pair patches
      pair convolutions
      pair qnaPool ]

let private withOf (record: Type) =
    match record.GetMethod "With" with
    | null -> failwith $"{record.Name} has no With"
    | method -> method

let private valueOf (name: string) (record: obj) =
    let flags =
        BindingFlags.Instance ||| BindingFlags.Public ||| BindingFlags.IgnoreCase

    match record.GetType().GetProperty(name, flags) with
    | null -> failwith $"{record.GetType().Name} has no property for With's '{name}'"
    | property -> property.GetValue record

/// `With` of one argument: the others are left out.
let private withOne (parameter: ParameterInfo) (value: obj | null) (record: obj) =
    let replacing = withOf (record.GetType())

    [| for other in replacing.GetParameters() -> if other.Name = parameter.Name then value else null |]
    |> fun arguments -> replacing.Invoke(record, arguments)

let private withLaws (record: Type, pair) =
    testProperty $"{record.Name}.With replaces what it is given and nothing else"
    <| Prop.forAll (Arb.fromGen pair) (fun (one, other) ->
        let parameters = (withOf record).GetParameters()

        for parameter in parameters do
            let name = string parameter.Name
            Expect.equal (withOne parameter null one) one "With of nothing should change nothing"
            let given = valueOf name other
            let replaced = withOne parameter given one

            for property in parameters do
                let expected =
                    if property.Name = parameter.Name && not (isNull given) then
                        given
                    else
                        valueOf (string property.Name) one

                Expect.equal
                    (valueOf (string property.Name) (Unchecked.nonNull replaced))
                    expected
                    $"{property.Name} after With({name})")

let private everyRecordIsTested =
    testCase "every record that offers With is tested"
    <| fun () ->
        let offering =
            typeof<Architecture>.Assembly.GetExportedTypes()
            |> Seq.filter (fun record ->
                record.Namespace = typeof<Architecture>.Namespace
                && not (isNull (record.GetMethod "With")))
            |> Seq.map _.Name
            |> Seq.sort
            |> List.ofSeq

        Expect.equal
            (pairs |> List.map (fun (record, _) -> record.Name) |> List.sort)
            offering
            "records with With"

/// The tests of this file.
let tests =
    testList "values" [ equality; testList "With" (everyRecordIsTested :: List.map withLaws pairs) ]
