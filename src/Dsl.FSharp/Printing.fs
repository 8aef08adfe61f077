namespace LocalAttention.Dsl

open System
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.Data
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification
open LocalAttention.Core.Training
open TorchSharp

/// What values look like as text. <c>LocalAttention.fsx</c> has F# Interactive use these.
module Printing =
    // Thousands are set apart as in the papers' tables; .NET's invariant "N0" is that.
    let private count (number: int64) = number.ToString "N0"

    let private square (side: Nullable<int>) =
        if side.HasValue then $"{side.Value}×{side.Value}" else ""

    let private orBlank (number: Nullable<int>) =
        if number.HasValue then string number.Value else ""

    /// Layers that are equal in all but their place. Two that alternate, as plain and shifted windows do, count as one.
    [<NoComparison>]
    type private Row =
        { Kind: string
          Window: string
          Heads: string
          Output: string
          Parameters: int64 }

    let private row (layer: LayerTrace) =
        { Kind = layer.Kind
          Window = square layer.Window
          Heads = orBlank layer.Heads
          Output = string layer.Output
          Parameters = layer.Parameters.All }

    let private alike (one: Row) (other: Row) =
        (one.Window, one.Heads, one.Output) = (other.Window, other.Heads, other.Output)

    let rec private pairs (rows: Row list) =
        match rows with
        | first :: second :: third :: fourth :: _ when
            first.Kind <> second.Kind
            && first = third
            && second = fourth
            && alike first second
            ->
            let both =
                { first with
                    Kind = $"({first.Kind} + {second.Kind})"
                    Parameters = first.Parameters + second.Parameters }

            let rec take length rest =
                match rest with
                | one :: other :: rest when one = first && other = second -> take (length + 1) rest
                | rest -> List.replicate length both @ pairs rest

            take 0 rows
        | row :: rest -> row :: pairs rest
        | [] -> []

    let private cells (place: string) (row: Row, length: int) =
        [ place
          (if length = 1 then row.Kind else $"{length} × {row.Kind}")
          row.Window
          row.Heads
          row.Output
          count (int64 length * row.Parameters) ]

    /// The rows of one part; its name stands before the first.
    let private group (part: string, layers: LayerTrace list) =
        layers
        |> List.map row
        |> pairs
        |> Words.runs
        |> List.mapi (fun index -> cells (if index = 0 then part else ""))

    let private columns =
        [ "part", Left
          "layers", Left
          "window", Right
          "heads", Right
          "output", Right
          "parameters", Right ]

    let private part (layer: LayerTrace) = layer.Place.Split(',') |> Array.head

    let private title (architecture: Architecture) =
        let outputs =
            match architecture.Head.Classes with
            | 0 -> "pooled features"
            | 1 -> "1 class"
            | classes -> $"{classes} classes"

        $"{architecture.Name}: images of {architecture.Resolution}×{architecture.ImageChannels}, {outputs}"

    /// <c>1 to 6</c>, or <c>1, 2, 5</c> where numbers are missing between them.
    let private range (numbers: int list) =
        let first, last = List.min numbers, List.max numbers

        if numbers.Length > 2 && numbers = [ first..last ] then
            $"{first} to {last}"
        else
            String.Join(", ", numbers)

    /// Places of one stage as one: <c>stage 2, blocks 1 to 6</c>.
    let private together (places: string list) =
        let ofPart (part: string, places: string list) =
            match places with
            | [ place ] -> place
            | _ when places |> List.forall _.StartsWith($"{part}, block ") ->
                let numbers = places |> List.map (_.Substring($"{part}, block ".Length) >> int)
                $"{part}, blocks {range numbers}"
            | _ -> String.Join("; ", places)

        places
        |> List.groupBy (fun place -> place.Split(',') |> Array.head)
        |> List.map ofPart
        |> String.concat "; "

    let private different (mistakes: Problem list) =
        List.groupBy (fun (problem: Problem) -> problem.Mistake, problem.Remedy) mistakes

    /// <summary>Mistakes, one a line; the same mistake in several places is one line.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> everyBlock (heads 5) |> problems |> Printing.problems |> printfn "%s"</code></example>
    let problems (mistakes: Problem list) : string =
        let line ((mistake, remedy), alike: Problem list) =
            $"  {Problem(together (alike |> List.map _.Place), mistake, remedy)}"

        match different mistakes with
        | [] -> "no mistakes"
        | different -> Words.lines (Words.plural different.Length "mistake" + ":" :: List.map line different)

    /// <summary>
    /// A table of an architecture: layers, windows, heads, shapes, parameters of each part; below it its mistakes, if any.
    /// </summary>
    /// <example><code lang="fsharp">printfn "%s" (Printing.architecture Swin.tiny)</code></example>
    let architecture (architecture: Architecture) : string =
        let parts =
            List.ofSeq (ShapeInference.Trace architecture)
            |> List.groupBy part
            |> List.map group

        let total = [ "total"; ""; ""; ""; ""; count (ParameterCount.Of(architecture).All) ]

        Words.lines
            [ title architecture
              Table.draw columns (parts @ [ [ total ] ])
              match List.ofSeq (Validation.Check architecture) with
              | [] -> ()
              | mistakes -> $"This cannot be built. {problems mistakes}" ]

    /// <summary>Several architectures side by side: a row for each, with what tells them apart.</summary>
    /// <example><code lang="fsharp">[ Swin.tiny; SlideSwin.tiny; QnAViT.tiny ] |> Printing.comparison |> printfn "%s"</code></example>
    let comparison (architectures: Architecture list) : string =
        let kinds (architecture: Architecture) =
            [ for stage in architecture.Stages do
                  for block in stage.Blocks -> block.Attention.Kind ]
            |> List.distinct
            |> String.concat ", "

        let row (architecture: Architecture) =
            let blocks = architecture.Stages |> Seq.sumBy _.Blocks.Count

            let state =
                match different (List.ofSeq (Validation.Check architecture)) with
                | [] -> "builds"
                | mistakes -> Words.plural mistakes.Length "mistake"

            [ architecture.Name
              kinds architecture
              string blocks
              string (ShapeInference.LastMap architecture)
              count (ParameterCount.Of(architecture).All)
              state ]

        Table.draw
            [ "name", Left
              "attention", Left
              "blocks", Right
              "last map", Right
              "parameters", Right
              "state", Left ]
            [ List.map row architectures ]

    let private figure (format: string) (number: Nullable<float>) =
        if number.HasValue then number.Value.ToString format else ""

    let private thousandMillions (cost: MultiplyAccumulates) =
        (float cost.Total / 1e9).ToString "0.000"

    /// <summary>
    /// Models of the zoo, one a row, family by family: what follows from the architecture, parameters and multiply-accumulates
    /// of an image of its resolution in thousand millions, also with Slide's convolutions merged; beside it, under
    /// <c>paper</c>, what was published, blank where nothing was.
    /// </summary>
    /// <example><code lang="fsharp">Zoo.find "slide*" |> Printing.zoo |> printfn "%s"</code></example>
    let zoo (entries: ZooEntry list) : string =
        let row (entry: ZooEntry) =
            let cost = MultiplyAccumulates.Of entry.Architecture
            let merged = MultiplyAccumulates.Of(entry.Architecture, mergedShifts = true)

            [ entry.Name
              count (ParameterCount.Of(entry.Architecture).All)
              thousandMillions cost
              (if merged = cost then "" else thousandMillions merged)
              figure "0.0" entry.Paper.ParametersM
              figure "0.0" entry.Paper.GFlops
              figure "0.0" entry.Paper.Top1 ]

        Table.draw
            [ "model", Left
              "parameters", Right
              "GMACs", Right
              "merged", Right
              "paper: M", Right
              "paper: G", Right
              "paper: top-1", Right ]
            (entries |> List.groupBy _.Family |> List.map (snd >> List.map row))

    /// A model of the zoo on lines: what it has, what its paper says, and how sure its declaration is.
    let zooEntry (entry: ZooEntry) : string =
        let paper =
            [ "million parameters", entry.Paper.ParametersM
              "GFLOPs", entry.Paper.GFlops
              "% top-1", entry.Paper.Top1 ]
            |> List.filter (fun (_, number) -> number.HasValue)
            |> List.map (fun (unit, number) -> $"{number.Value} {unit}")

        Words.lines
            [ $"{entry.Name}: {count (ParameterCount.Of(entry.Architecture).All)} parameters, "
              + $"{thousandMillions (MultiplyAccumulates.Of entry.Architecture)} GMACs"
              $"paper (arXiv {entry.Family.Paper}): "
              + (if paper.IsEmpty then
                     "nothing"
                 else
                     String.Join(", ", paper))
              $"source: {entry.Source}"
              if entry.Note <> "" then
                  entry.Note ]

    let private signed (number: int64) = number.ToString "+#,0;-#,0;0"

    let private more (parameters: int64) (cost: int64) =
        [ if parameters <> 0L then
              $"{signed parameters} parameters"
          if cost <> 0L then
              $"{signed cost} multiply-accumulates" ]
        |> String.concat ", "

    /// <summary>
    /// What differs between two models, as a diff: for each place the properties that changed, then the change in parameters and in
    /// multiply-accumulates; neighbouring places with the same differences as one.
    /// </summary>
    /// <example><code lang="fsharp">differences Swin.tiny SlideSwin.tiny |> Printing.difference |> printfn "%s"</code></example>
    let difference (difference: Difference) : string =
        let both (changes: PropertyChange list) =
            [ for change in changes do
                  $"-{change.Property}: {change.Before}"
                  $"+{change.Property}: {change.After}" ]

        let ofPlaces (places: PlaceDifference list) =
            let first = places.Head
            let stands = together (places |> List.map _.Place)

            let numbers =
                match more first.Parameters first.MultiplyAccumulates with
                | "" -> ""
                | numbers when places.Length > 1 -> $" {numbers} each"
                | numbers -> $" {numbers}"

            [ $"@@ {stands} @@{numbers}"
              match first.Change with
              | PartAdded part -> $"+{part}"
              | PartRemoved part -> $"-{part}"
              | PartChanged changes -> yield! both changes ]

        /// Neighbours of one stage that differ alike.
        let grouped =
            let alike (one: PlaceDifference) (other: PlaceDifference) =
                { one with Place = "" } = { other with Place = "" }
                && one.Place.Split(',')[0] = other.Place.Split(',')[0]

            List.foldBack
                (fun (place: PlaceDifference) groups ->
                    match groups with
                    | (next :: _ as group) :: rest when alike place next -> (place :: group) :: rest
                    | _ -> [ place ] :: groups)
                difference.Places
                []

        let total (model: Architecture) =
            $"{count (ParameterCount.Of(model).All)} parameters, {thousandMillions (MultiplyAccumulates.Of model)} GMACs"

        if difference.IsEmpty then
            $"{difference.Before.Name}: nothing differs"
        else
            Words.lines
                [ $"--- {difference.Before.Name}: {total difference.Before}"
                  $"+++ {difference.After.Name}: {total difference.After}"
                  match difference.Whole |> List.filter (fun change -> change.Property <> "name") with
                  | [] -> ()
                  | whole ->
                      "@@ whole model @@"
                      yield! both whole
                  yield! List.collect ofPlaces grouped
                  match more difference.Parameters difference.MultiplyAccumulates with
                  | "" -> "@@ total @@ as many parameters and multiply-accumulates"
                  | numbers -> $"@@ total @@ {numbers}" ]

    /// One attention on a line: kind, window, heads, and what is not the default.
    let attention (attention: Attention) : string =
        Words.attention Words.givenHeads attention |> String.concat ", "

    /// One block on a line: kind, window, heads, and what is not the default.
    let block (block: Block) : string = Words.block Words.givenHeads block

    /// One transition on a line.
    let transition (transition: Transition) : string = Words.transition transition

    /// A stage's blocks, a line for each run of equal ones, what stands around them, and its transition.
    let stage (stage: Stage) : string =
        Words.lines
            [ if stage.PositionEmbedding then
                  "an embedding of places"
              yield! Words.blocks Words.givenHeads (List.ofSeq stage.Blocks)
              if stage.Norm then
                  "a norm"
              match stage.Transition with
              | null -> ()
              | next -> $"then {transition next}" ]

    /// A model: its architecture's table, where its parameters are, and which backend computes it.
    let backbone (model: Backbone) : string =
        let mode = if model.training then "training" else "evaluation"

        Words.lines
            [ architecture model.Architecture
              match Seq.tryHead (model.parameters ()) with
              | Some parameter ->
                  $"{parameter.dtype} on {parameter.device}, in {mode} mode"
                  Backends.Describe(parameter.device_type, parameter.dtype, parameter.device_index)
              | None -> $"in {mode} mode" ]

    /// Labelled images: how many, their shape, their classes.
    let dataset (images: ImageDataset) : string =
        let classes = String.Join(", ", images.Classes)

        $"{count images.Count} images of {images.Size}×{images.Channels}, {images.Classes.Count} classes: {classes}"

    let private percent (share: float) = share.ToString "0.00%"

    /// Accuracy and loss on a data set.
    let evaluation (result: EvaluationResult) : string =
        let rounded (number: float) = number.ToString "0.0000"
        $"accuracy {rounded result.Accuracy}, loss {rounded result.Loss}, {count result.Images} images"

    /// What is known of one part of a model without a tensor, on a line.
    let layer (layer: LayerTrace) : string =
        $"{layer.Place}: {layer.Kind}, {layer.Input} to {layer.Output}, {count layer.Parameters.All} parameters"

    /// A training's options, those that say something.
    let options (options: TrainingOptions) : string =
        let positive (name: string) (value: float) =
            if value > 0.0 then [ $"{name} {value}" ] else []

        [ [ Words.plural options.Epochs "epoch"
            $"batches of {options.BatchSize}"
            $"learning rate {options.LearningRate}" ]
          positive "falling to" options.MinimumLearningRate
          (if options.WarmupSteps.HasValue then
               [ $"warm-up of {options.WarmupSteps.Value} steps" ]
           else
               positive "epochs of warm-up" options.WarmupEpochs)
          positive "weight decay" options.Decay
          (if options.ClipNorm.HasValue then
               [ $"gradients clipped to {options.ClipNorm.Value}" ]
           else
               [])
          positive "label smoothing" options.LabelSmoothing
          positive "mixup" options.MixupAlpha
          (if options.CropPadding > 0 then
               [ $"random crops by {options.CropPadding}" ]
           else
               [])
          (if options.HorizontalFlip then
               [ "horizontal flips" ]
           else
               [])
          [ $"seed {options.Seed}" ]
          match options.CheckpointPath with
          | null -> []
          | path -> [ $"checkpoint {path}" ]
          List.ofSeq (options.Check()) |> List.map (fun mistake -> $"wrong: {mistake}") ]
        |> List.concat
        |> String.concat ", "

    /// A training's epochs, and how it ended.
    let training (result: TrainingResult) : string =
        let row (epoch: EpochResult) =
            let evaluated (value: EvaluationResult -> string) =
                if epoch.Evaluation.HasValue then
                    value epoch.Evaluation.Value
                else
                    ""

            [ string epoch.Epoch
              epoch.Loss.ToString "0.0000"
              percent epoch.Accuracy
              evaluated _.Loss.ToString("0.0000")
              evaluated (_.Accuracy >> percent)
              epoch.Duration.ToString @"h\:mm\:ss" ]

        let columns =
            [ for heading in [ "epoch"; "loss"; "accuracy"; "test loss"; "test accuracy"; "time" ] ->
                  heading, Right ]

        Words.lines
            [ Table.draw columns [ List.map row (List.ofSeq result.Epochs) ]
              if result.Cancelled then
                  match result.CheckpointPath with
                  | null -> "ended before its time; without a checkpoint it cannot be resumed"
                  | path -> $"ended before its time; resume \"{path}\" goes on" ]

    // Cells of a drawing along its longer side, about what a terminal shows.
    let private cellsOfDrawing = 32

    /// A picture of a set of pixels: a character for each cell of them, full, in part, or empty.
    let private drawing (pixels: PixelSet) =
        let size = pixels.Size
        let side = (max size.Height size.Width + cellsOfDrawing - 1) / cellsOfDrawing

        let cell top left =
            let inside =
                [ for row in top .. min size.Height (top + side) - 1 do
                      for column in left .. min size.Width (left + side) - 1 -> pixels[row, column] ]

            if List.forall id inside then "█"
            elif List.exists id inside then "▒"
            else "·"

        Words.lines
            [ for top in 0..side .. size.Height - 1 ->
                  String.Join("", [ for left in 0..side .. size.Width - 1 -> cell top left ]) ]

    /// <summary>A receptive field: what the growth formula gives, the pixels themselves, and a picture of them.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> receptiveField 2 (3, 14) |> Printing.receptiveField |> printfn "%s"</code></example>
    let receptiveField (field: ReceptiveField) : string =
        Words.lines
            [ $"unit {field.Row}, {field.Column} of {field.Place}, a map of {field.Map}"
              if field.Down = field.Right then
                  $"theory: {field.Down}"
              else
                  $"theory: down, {field.Down}; right, {field.Right}"
              $"exactly: {field.Pixels}"
              drawing field.Pixels ]

    /// <summary>
    /// A table of the shifts that each map and the logits follow, in an image that moves and in one that rolls, and below it the
    /// reasons, part by part.
    /// </summary>
    /// <example><code lang="fsharp">Swin.tiny |> equivariance |> Printing.equivariance |> printfn "%s"</code></example>
    let equivariance (equivariance: Equivariance) : string =
        let band (map: MapEquivariance) =
            if map.Moved.IsNone then "" else string map.Border

        let row (map: MapEquivariance) =
            [ map.Place
              string map.Map
              string map.Stride
              string map.Moved
              band map
              string map.Rolled ]

        let maps = List.ofSeq equivariance.Stages @ [ equivariance.LastMap ]

        Words.lines
            [ Table.draw
                  [ "of", Left
                    "map", Right
                    "stride", Right
                    "moves with shifts of", Left
                    "not in the outer", Left
                    "rolls with shifts of", Left ]
                  [ List.map row maps
                    [ [ "logits"; ""; ""; "nearly, at best"; ""; string equivariance.Logits.Rolled ] ] ]
              for map in maps do
                  yield! map.Reasons

                  if not map.Moved.IsNone && not (map.HasInside equivariance.Image) then
                      $"{map.Place}: in an image of {equivariance.Image} the bands meet, so that no token is inside them"
              for reason in equivariance.Logits.Reasons do
                  $"logits: {reason}" ]

    /// A tensor: shape, element type, device, and its first numbers.
    let tensor (tensor: torch.Tensor) : string =
        if tensor.IsInvalid then
            "a tensor that was disposed of"
        else
            let shape = String.Join(", ", tensor.shape)
            let shown = 8L

            use scope = torch.NewDisposeScope()

            let first =
                tensor.detach().flatten().narrow(0L, 0L, min shown tensor.NumberOfElements)

            let numbers = first.cpu().to_type(torch.ScalarType.Float64).data<float>()
            let more = if tensor.NumberOfElements > shown then ", …" else ""
            let text = String.Join(", ", numbers |> Seq.map _.ToString("0.####"))

            $"[{shape}] {tensor.dtype} on {tensor.device}: {text}{more}"
