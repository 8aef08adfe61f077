/// What validation and shape inference say of an architecture is what building and running it shows.
module LocalAttention.Core.Tests.Building

open System
open System.Reflection
open System.Text.RegularExpressions
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Verification
open TorchSharp

let private property count name arbitrary body =
    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = count }
        name
        (Prop.forAll arbitrary body)

let private images (architecture: Architecture) (size: ImageSize) =
    torch.rand ([| 2L; int64 architecture.ImageChannels; int64 size.Height; int64 size.Width |])

/// What the head's logits should be shaped like.
let private logitShape (architecture: Architecture) =
    let width =
        if architecture.Head.Classes > 0 then
            architecture.Head.Classes
        else
            ShapeInference.LastMap(architecture).Channels

    [| 2L; int64 width |]

let private shapeOf (map: MapShape) =
    [| 2L; int64 map.Size.Height; int64 map.Size.Width; int64 map.Channels |]

/// The maps of each stage before and after its transition, as inferred.
let private inferred (architecture: Architecture) (size: ImageSize) =
    let trace = ShapeInference.Trace(architecture, size) |> List.ofSeq

    let behind map stage =
        let parts =
            trace |> List.filter (fun part -> part.Place.StartsWith $"stage {stage},")

        let blocks = parts |> List.filter (fun part -> part.Place.Contains "block")

        let lastOutput (parts: LayerTrace list) =
            parts |> List.tryLast |> Option.map _.Output |> Option.defaultValue map

        (lastOutput blocks, lastOutput parts), lastOutput parts

    [ 1 .. architecture.Stages.Count ]
    |> List.mapFold behind trace.Head.Output
    |> fst

/// Runs a model on images of its own resolution; what is wrong with the outcome, if anything.
let private outcome (build: Architecture -> Backbone) (architecture: Architecture) =
    use _ = torch.NewDisposeScope()

    try
        use model = build architecture
        model.eval ()
        use _ = torch.no_grad ()
        let images = images architecture architecture.Resolution
        let logits = model.forward images
        let maps = model.stages images |> Seq.map _.shape |> List.ofSeq

        if logits.shape <> logitShape architecture then
            Error $"logits of shape %A{logits.shape}"
        elif
            maps
            <> (inferred architecture architecture.Resolution |> List.map (snd >> shapeOf))
        then
            Error $"maps of shapes %A{maps}"
        elif not (logits.isfinite().all().ToBoolean()) then
            Error "logits that are not finite"
        else
            Ok()
    with failure ->
        Error $"{failure.GetType().Name}: {failure.Message}"

let private validated (architecture: Architecture) = architecture.Build(seed = 1)

/// The model without validation: what is refused is built all the same, and takes images of its own resolution.
let private unvalidated: Architecture -> Backbone =
    let flags = BindingFlags.Instance ||| BindingFlags.NonPublic

    match
        typeof<Backbone>.GetConstructor(flags, [| typeof<Architecture> |]),
        typeof<Backbone>.GetField("_admitted", flags)
    with
    | null, _
    | _, null ->
        failwith "Backbone has no constructor of an architecture, or no field for the size that it admitted"
    | constructor, admitted ->
        fun architecture ->
            try
                let model = constructor.Invoke [| architecture |] :?> Backbone
                admitted.SetValue(model, architecture.Resolution)
                model
            with :? TargetInvocationException as failure ->
                match failure.InnerException with
                | null -> raise failure
                | inner -> raise inner

let private acceptedBuilds =
    property
        500
        "validation lets nothing through that then fails"
        Mistakes.arbitraryPossiblyBroken
        (fun architecture ->
            if Validation.Check(architecture).Count = 0 then
                Expect.equal (outcome validated architecture) (Ok()) "building and running")

let private refusedIsNotBuilt =
    property
        100
        "what validation refuses is not built, for the same reasons"
        Mistakes.arbitraryPossiblyBroken
        (fun architecture ->
            let problems = Validation.Check architecture

            if problems.Count > 0 then
                try
                    use model = validated architecture
                    failtest $"{model.GetName()} was built in spite of %A{List.ofSeq problems}"
                with :? SpecificationException as refused ->
                    Expect.equal refused.Problems problems "the problems of the exception")

/// Mistakes that no tensor operation notices: the model would run, and not be what was asked for. Validation refuses
/// them so that nobody trains such a model. All others must make an unvalidated model fail.
let private runsWithoutMeaning =
    [ "the name is empty"
      "it has no stage"
      "it has no block and no transition"
      "the drop path rate is"
      "the norm's epsilon is"
      "the layer scale is"
      "the MLP ratio is"
      "leaves no hidden channel"
      "the positive-negative scale"
      "the queries' largest norm"
      "the slide scale is"
      "QnA pooling needs a square map"
      // As a map of one row, tokens would be given places that they do not have.
      "class token"
      // An even kernel may happen to keep the size; it is off by half a token all the same.
      "kernel: .* is even"
      // Limits are there to refuse before memory is taken, not because it is wrong to be that large.
      "; use at most"
      "upsample less"
      "parameters; make it smaller"
      // Nothing is left of the image; logits are the head's biases, if it has any.
      "channels.*: 0"
      // No head is made, as for no classes.
      "classes: -"
      // An empty sum over queries is zero.
      "queries: 0" ]

let private refusedFails =
    property
        500
        "validation refuses nothing that would build and run"
        Mistakes.arbitraryPossiblyBroken
        (fun architecture ->
            let problems = Validation.Check architecture |> Seq.map string |> List.ofSeq

            let fails (problem: string) =
                not (
                    runsWithoutMeaning
                    |> List.exists (fun pattern -> Regex.IsMatch(problem, pattern))
                )

            // Nothing is built where any number is beyond the limits: it may ask for more memory than there is.
            if not problems.IsEmpty && List.forall fails problems then
                match outcome unvalidated architecture with
                | Ok() -> failtest $"it builds and runs, and validation says %A{problems}"
                | Error _ -> ())

let private sizes =
    Gen.map2 (fun height width -> ImageSize(height, width)) (Gen.choose (1, 24)) (Gen.choose (1, 24))

let private withSize =
    Arb.fromGenShrink (
        Gen.zip Generate.architecture sizes,
        fun (architecture, size) -> Shrink.architecture architecture |> Seq.map (fun smaller -> smaller, size)
    )

let private shapes =
    property
        150
        "every stage's map has the inferred shape, whatever the image's size"
        withSize
        (fun (architecture, size) ->
            use _ = torch.NewDisposeScope()
            use model = validated architecture
            model.eval ()
            let batch = images architecture size

            match Validation.CheckSize(architecture, size) |> List.ofSeq with
            | [] ->
                let expected = inferred architecture size
                let features = model.features batch |> Seq.map _.shape |> List.ofSeq
                Expect.equal features (expected |> List.map (fst >> shapeOf)) "features"
                let stages = model.stages batch |> Seq.map _.shape |> List.ofSeq
                Expect.equal stages (expected |> List.map (snd >> shapeOf)) "stages"
                Expect.equal (model.forward batch).shape (logitShape architecture) "logits"
            | problems ->
                let message =
                    try
                        model.forward batch |> ignore
                        "it ran"
                    with :? ArgumentException as refused ->
                        refused.Message

                for problem in problems do
                    Expect.stringContains message (string problem) "forward should say what CheckSize says")

/// The place of a parameter as shape inference names it.
let private placeOf (architecture: Architecture) (name: string) =
    let lastEmbedding = $"stage {architecture.Stages.Count}, embedding"

    match List.ofArray (name.Split '.') with
    | "patch_embed" :: _ -> "stem"
    | "layers" :: stage :: "blocks" :: block :: _ -> $"stage {int stage + 1}, block {int block + 1}"
    | "layers" :: stage :: "downsample" :: _ -> $"stage {int stage + 1}, transition"
    | "layers" :: stage :: "pos_embed" :: _ -> $"stage {int stage + 1}, embedding"
    | "layers" :: stage :: "norm" :: _ -> $"stage {int stage + 1}, norm"
    | [ "cls_token" ] -> lastEmbedding
    | ("norm" | "pool" | "head") :: _ -> "head"
    | _ -> failtest $"the parameter {name} belongs to no part"

let private counts =
    property
        150
        "every part has the parameters that were counted"
        (Arbitraries.Architecture())
        (fun architecture ->
            use model = validated architecture

            let built =
                namedParameters model
                |> List.groupBy (fst >> placeOf architecture)
                |> List.map (fun (place, parameters) ->
                    let sum = parameters |> List.sumBy (fun (_, parameter) -> parameter.numel ())

                    let trained =
                        parameters
                        |> List.sumBy (fun (_, parameter) ->
                            if parameter.requires_grad then parameter.numel () else 0L)

                    place, ParameterCount(sum, trained))
                |> Map.ofList

            for part in ShapeInference.Trace architecture do
                let actual =
                    built |> Map.tryFind part.Place |> Option.defaultValue (ParameterCount(0L, 0L))

                Expect.equal actual part.Parameters $"parameters of {part.Place}"

            Expect.equal
                (built |> Map.values |> Seq.reduce (+))
                (ParameterCount.Of architecture)
                "all parameters")

let private seeds =
    property
        40
        "a seed decides every parameter, and the output with them"
        (Arbitraries.Architecture())
        (fun architecture ->
            use _ = torch.NewDisposeScope()
            let batch = images architecture architecture.Resolution

            let build (seed: int64) =
                use model = architecture.Build(seed = seed)
                model.eval ()

                parametersOf model |> Map.map (fun _ values -> values.Elements),
                (toArray (model.forward batch)).Elements

            let one = build 5L
            Expect.isTrue (build 5L = one) "the same seed should give the same model, bit for bit"
            Expect.isFalse (fst (build 6L) = fst one) "another seed should give another model")

/// The tests of this file.
let tests =
    testList "building" [ acceptedBuilds; refusedIsNotBuilt; refusedFails; shapes; counts; seeds ]
