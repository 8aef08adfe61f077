namespace LocalAttention.Dsl

open System
open System.Reflection
open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification

/// A property that two parts have with different values, each as text.
type PropertyChange =
    {
        /// The property in words: <c>heads</c>, <c>MLP ratio</c>.
        Property: string
        /// What it was.
        Before: string
        /// What it is.
        After: string
    }

/// What happened to a part of a model.
type PartChange =
    /// It is new; the text is the part.
    | PartAdded of string
    /// It is gone; the text is the part.
    | PartRemoved of string
    /// It has other properties, or stands on another map.
    | PartChanged of PropertyChange list

/// What differs in one place of two models.
type PlaceDifference =
    {
        /// The place in the second model; of a part that is gone, that in the first.
        Place: string
        /// What happened there.
        Change: PartChange
        /// How many parameters more it has; fewer are negative.
        Parameters: int64
        /// How many multiply-accumulates more one image costs there; fewer are negative.
        MultiplyAccumulates: int64
    }

/// What differs between two models. The numbers of its places add up to those of the whole.
type Difference =
    {
        /// The first model.
        Before: Architecture
        /// The second model.
        After: Architecture
        /// What differs in no single place: resolution, image channels, drop path, size policy, conventions, name.
        Whole: PropertyChange list
        /// What differs in places, in the order in which an image meets them.
        Places: PlaceDifference list
    }

    /// How many parameters more the second model has.
    member this.Parameters: int64 =
        ParameterCount.Of(this.After).All - ParameterCount.Of(this.Before).All

    /// How many multiply-accumulates more one image costs, each model at its own resolution.
    member this.MultiplyAccumulates: int64 =
        MultiplyAccumulates.Of(this.After).Total
        - MultiplyAccumulates.Of(this.Before).Total

    /// Whether nothing differs, which is when the two are equal.
    member this.IsEmpty: bool = this.Whole.IsEmpty && this.Places.IsEmpty

/// Finds what differs between two models.
[<AutoOpen>]
module Differences =
    // ------------------------------------------------------------------------------------------ properties

    let private inWords (property: PropertyInfo) =
        (Words.lowered property.Name).Replace("mlp", "MLP")

    let private withoutHeads (attention: Attention) =
        Words.attention (fun _ -> "") attention
        |> List.filter (fun part -> part <> "")
        |> String.concat ", "

    let private text (value: objnull) : string =
        match value with
        | null -> "none"
        | :? bool as flag -> if flag then "yes" else "no"
        | :? Enum as case -> Words.lowered case
        | :? Attention as attention -> withoutHeads attention
        | :? QueryNorm as norm -> Words.queryNorm norm
        | :? Stem as stem -> Words.stem stem
        | :? Transition as transition -> Words.transition transition
        | :? Head as head -> Words.head head
        | :? ValueList<Convolution> as convolutions ->
            convolutions |> Seq.map Words.convolution |> String.concat ", "
        | other -> string other

    /// Records whose properties are compared one by one, where both are of one kind.
    let private isPart (value: objnull) =
        match value with
        | :? Attention
        | :? QueryNorm
        | :? Conventions -> true
        | _ -> false

    /// What differs between two records. Whatever a copy of a record can replace is compared, so that nothing is forgotten.
    let rec private changes (ignored: string list) (before: obj) (after: obj) : PropertyChange list =
        [ for property in before.GetType().GetProperties() do
              if property.CanWrite && not (List.contains property.Name ignored) then
                  let was, is = property.GetValue before, property.GetValue after

                  match was, is with
                  | _ when Object.Equals(was, is) -> ()
                  | NonNull first, NonNull second when isPart first && first.GetType() = second.GetType() ->
                      yield! changes [] first second
                  | _ ->
                      { Property = inWords property
                        Before = text was
                        After = text is }

                      match was, is with
                      // Text of an attention leaves out its heads, which mostly stay when the kind does not.
                      | (:? Attention as first), (:? Attention as second) when first.Heads <> second.Heads ->
                          { Property = "heads"
                            Before = string first.Heads
                            After = string second.Heads }
                      | _ -> () ]

    let private ofKind (before: obj) (after: obj) =
        if before.GetType() = after.GetType() then
            changes [] before after
        else
            [ { Property = "kind"
                Before = text before
                After = text after } ]

    // ------------------------------------------------------------------------------------------ parts

    /// A part at its place: its record, where it has one of its own, and what is known of it.
    [<NoComparison; NoEquality>]
    type private Part =
        {
            Record: objnull
            /// Whether it computes with a class token, which its record does not say.
            ClassToken: bool
            Layer: LayerTrace
            Cost: int64
        }

    let private named (part: Part) =
        match part.Record with
        | null -> part.Layer.Kind
        | :? Block as block -> Words.block Words.givenHeads block
        | record -> text record

    /// The parts of each stage by where they stand in it, between the stem and the head.
    [<NoComparison; NoEquality>]
    type private Parts =
        { Stem: Part
          Stages: (Part option * Part list * Part option * Part option) list
          Head: Part }

    let private partsOf (architecture: Architecture) : Parts =
        let layers =
            Map.ofList [ for layer in ShapeInference.Trace architecture -> layer.Place, layer ]

        let costs =
            Map.ofList [ for part in MultiplyAccumulates.Trace architecture -> part.Place, part.Cost.Total ]

        let lastStage = $"stage {architecture.Stages.Count}, block "

        let tryPart (place: string) (record: objnull) =
            Map.tryFind place layers
            |> Option.map (fun layer ->
                { Record = record
                  ClassToken = architecture.Head :? ClassTokenHead && place.StartsWith lastStage
                  Layer = layer
                  Cost = costs[place] })

        let part place record = (tryPart place record).Value

        { Stem = part "stem" architecture.Stem
          Stages =
            [ for index, stage in Seq.indexed architecture.Stages do
                  let place = $"stage {index + 1}"

                  tryPart $"{place}, embedding" null,
                  [ for number, block in Seq.indexed stage.Blocks -> part $"{place}, block {number + 1}" block ],
                  tryPart $"{place}, norm" null,
                  tryPart $"{place}, transition" stage.Transition ]
          Head = part "head" architecture.Head }

    // ------------------------------------------------------------------------------------------ places

    let private added (part: Part) =
        { Place = part.Layer.Place
          Change = PartAdded(named part)
          Parameters = part.Layer.Parameters.All
          MultiplyAccumulates = part.Cost }

    let private removed (part: Part) =
        { Place = part.Layer.Place
          Change = PartRemoved(named part)
          Parameters = -part.Layer.Parameters.All
          MultiplyAccumulates = -part.Cost }

    let private changed (before: Part) (after: Part) =
        let properties =
            match before.Record, after.Record with
            | NonNull first, NonNull second -> ofKind first second
            | _ when before.Layer.Kind <> after.Layer.Kind ->
                [ { Property = "kind"
                    Before = before.Layer.Kind
                    After = after.Layer.Kind } ]
            | _ -> []

        let map =
            [ for name, shape in
                  [ "map before it", (fun (layer: LayerTrace) -> layer.Input)
                    "map", (fun (layer: LayerTrace) -> layer.Output) ] do
                  if shape before.Layer <> shape after.Layer then
                      { Property = name
                        Before = string (shape before.Layer)
                        After = string (shape after.Layer) } ]

        // Most parts leave the size as it is, so that one map says it all.
        let map =
            match map with
            | [ into; out ] when (into.Before, into.After) = (out.Before, out.After) -> [ out ]
            | map -> map

        let token =
            if before.ClassToken = after.ClassToken then
                []
            else
                [ { Property = "class token"
                    Before = text before.ClassToken
                    After = text after.ClassToken } ]

        { Place = after.Layer.Place
          Change = PartChanged(properties @ map @ token)
          Parameters = after.Layer.Parameters.All - before.Layer.Parameters.All
          MultiplyAccumulates = after.Cost - before.Cost }

    let private isChange (difference: PlaceDifference) = difference.Change <> PartChanged []

    let private ofOptional (before: Part option) (after: Part option) =
        match before, after with
        | Some before, Some after -> [ changed before after ]
        | None, Some after -> [ added after ]
        | Some before, None -> [ removed before ]
        | None, None -> []

    /// Blocks side by side, so that as few as possible are new, gone or changed; where that leaves a choice, the later ones.
    let private aligned (before: Part list) (after: Part list) =
        let first, second = Array.ofList before, Array.ofList after
        let least = Array2D.zeroCreate (first.Length + 1) (second.Length + 1)

        let step i j =
            if Object.Equals(first[i].Record, second[j].Record) then
                0
            else
                1

        for i in first.Length .. -1 .. 0 do
            for j in second.Length .. -1 .. 0 do
                least[i, j] <-
                    if i = first.Length then
                        second.Length - j
                    elif j = second.Length then
                        first.Length - i
                    else
                        min (least[i + 1, j + 1] + step i j) (1 + min least[i + 1, j] least[i, j + 1])

        let rec along i j =
            [ if i = first.Length then
                  for part in second[j..] do
                      added part
              elif j = second.Length then
                  for part in first[i..] do
                      removed part
              elif least[i, j] = least[i + 1, j + 1] + step i j then
                  changed first[i] second[j]
                  yield! along (i + 1) (j + 1)
              elif least[i, j] = 1 + least[i + 1, j] then
                  removed first[i]
                  yield! along (i + 1) j
              else
                  added second[j]
                  yield! along i (j + 1) ]

        along 0 0

    let private ofStages (before: Parts) (after: Parts) =
        let nothing = None, [], None, None

        [ for index in 0 .. max before.Stages.Length after.Stages.Length - 1 do
              let at (parts: Parts) =
                  List.tryItem index parts.Stages |> Option.defaultValue nothing

              let embedding, blocks, norm, transition = at before
              let nextEmbedding, nextBlocks, nextNorm, nextTransition = at after

              yield! ofOptional embedding nextEmbedding
              yield! aligned blocks nextBlocks
              yield! ofOptional norm nextNorm
              yield! ofOptional transition nextTransition ]

    /// <summary>
    /// What differs between two models: per place what is new, gone or changed, with the change in parameters and in
    /// multiply-accumulates. Stages are compared by number; the blocks of a stage so that as few as possible differ.
    /// </summary>
    /// <example><code lang="fsharp">
    /// differences Swin.tiny SlideSwin.tiny |> Printing.difference |> printfn "%s"
    /// (differences Nat.mini (Nat.mini |> compound 1.0)).Places |> List.sumBy _.MultiplyAccumulates
    /// </code></example>
    let differences (before: Architecture) (after: Architecture) : Difference =
        let first, second = partsOf before, partsOf after

        { Before = before
          After = after
          Whole = changes [ "Stem"; "Stages"; "Head" ] before after
          Places =
            changed first.Stem second.Stem :: ofStages first second
            @ [ changed first.Head second.Head ]
            |> List.filter isChange }
