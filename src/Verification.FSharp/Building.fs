namespace LocalAttention.Verification

open System
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

/// What a subject takes.
type Signature =
    {
        Layout: Layout
        Channels: int
        /// The size that is used where nothing asks for another; cases are of this size and of smaller ones.
        Size: ImageSize
        /// Whether a size is taken.
        Takes: ImageSize -> bool
    }

    /// Maps of tokens, `[B, H, W, C]`, of any size.
    static member Tokens(channels: int, height: int, width: int) =
        { Layout = Layout.Tokens
          Channels = channels
          Size = ImageSize(height, width)
          Takes = fun _ -> true }

    /// Images, `[B, C, H, W]`, of any size.
    static member Images(channels: int, height: int, width: int) =
        { Signature.Tokens(channels, height, width) with
            Layout = Layout.Images }

    /// The same, where only some sizes are taken.
    member signature.Where(takes: Func<ImageSize, bool>) = { signature with Takes = takes.Invoke }

/// Parameters such that no part of a layer is without effect.
module internal Parameters =
    let named (layer: torch.nn.Module) =
        [ for struct (name, parameter) in layer.named_parameters () -> name, parameter :> torch.Tensor ]

    let private fill (parameter: torch.Tensor) (values: torch.Tensor) =
        use _ = torch.no_grad ()
        use values = values
        use converted = values.``to`` parameter.dtype
        parameter.copy_ converted |> ignore

    let private scaled (factor: float) (offset: float) (numbers: torch.Tensor) =
        use numbers = numbers
        use product = numbers * factor.ToScalar()
        product + offset.ToScalar()

    /// Fills every trained parameter of one of this library's layers: norms and layer scales near 1, matrices by the number
    /// of their inputs, so that sums stay of order one, everything else up to 0.5.
    let enliven (seed: int64) (layer: torch.nn.Module) =
        for name, parameter in named layer do
            if parameter.requires_grad then
                let numbers = Measuring.numbers seed name parameter.shape
                let last = name.Split '.' |> Array.last
                let shape = parameter.shape

                let values =
                    match last with
                    | "Wk"
                    | "kernel" -> scaled (sqrt (3.0 / float shape[0])) 0.0 numbers
                    | "weight" when shape.Length > 1 ->
                        scaled (sqrt (3.0 * float shape[0] / float (parameter.numel ()))) 0.0 numbers
                    | "weight"
                    | "gamma_1"
                    | "gamma_2" -> scaled 0.1 1.0 numbers
                    | "query" -> numbers
                    | _ -> scaled 0.5 0.0 numbers

                fill parameter values

    /// Moves every trained parameter that is the same number throughout, as biases, norms and tables of zeros are at first:
    /// what it does would not be seen.
    let stir (seed: int64) (layer: torch.nn.Module) =
        for name, parameter in named layer do
            if
                parameter.requires_grad
                && parameter.is_floating_point ()
                && parameter.numel () > 0L
            then
                let elements = Measuring.elements parameter

                if Array.forall ((=) elements[0]) elements then
                    Measuring.numbers seed name parameter.shape
                    |> scaled 0.25 elements[0]
                    |> fill parameter

/// Subjects built.
[<RequireQualifiedAccess>]
module Instances =
    /// A map of tokens from an output, whatever its layout; one without places has one place.
    let private mapOf (layout: Layout) (output: torch.Tensor) =
        if output.shape.Length = 4 then
            match layout with
            | Layout.Tokens -> output
            | Layout.Images -> output.permute (0L, 2L, 3L, 1L)
        else
            output.reshape (output.shape[0], 1L, 1L, -1L)

    /// A function without parameters.
    let ofFunction (layout: Layout) (forward: torch.Tensor -> torch.Tensor) : Instance =
        { new Instance with
            member _.Forward input = forward input

            member _.Maps input =
                [ "output", mapOf layout (forward input) ]

            member _.Parameters = []
            member _.Train _ = ()
            member _.Module = None
            member _.Dispose() = () }

    /// A module, which is disposed of with it.
    let ofModule (layout: Layout) (layer: torch.nn.Module<torch.Tensor, torch.Tensor>) : Instance =
        let parameters = Parameters.named layer

        { new Instance with
            member _.Forward input = layer.call input

            member _.Maps input =
                [ "output", mapOf layout (layer.call input) ]

            member _.Parameters = parameters
            member _.Train isTraining = layer.train isTraining
            member _.Module = Some layer
            member _.Dispose() = layer.Dispose() }

    /// A model, which is disposed of with it: its maps are those before each transition, the one that enters the head, and
    /// the logits.
    let ofBackbone (model: Backbone) : Instance =
        let parameters = Parameters.named model

        { new Instance with
            member _.Forward input = model.call input

            member _.Maps input =
                [ for index, map in Seq.indexed (model.features input) do
                      $"stage {index + 1}", map
                  "last map", Seq.last (model.stages input)
                  "logits", mapOf Layout.Images (model.call input) ]

            member _.Parameters = parameters
            member _.Train isTraining = model.train isTraining
            member _.Module = Some model
            member _.Dispose() = model.Dispose() }

/// Subjects from what a user has.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module Subject =
    let private places (pixels: PixelSet) =
        set
            [ for row in 0 .. pixels.Size.Height - 1 do
                  for interval in pixels.ColumnsOf row do
                      for column in interval.First .. interval.Last -> row, column ]

    let private ofMap (map: MapEquivariance) reach : MapPromise =
        { Place = map.Place
          Stride = Some(map.Stride, map.Stride)
          Moves = map.Moved
          Border = map.Border
          Rolls = map.Rolled
          Reach = reach
          Reasons = List.ofSeq map.Reasons }

    let private reachOf (architecture: Architecture) (size: ImageSize) (place: string) =
        Some(fun (row, column) -> places (ReceptiveField.Of(architecture, place, row, column, size).Pixels))

    /// What the value of an architecture says of its maps, for images of a size.
    let private promised (architecture: Architecture) (size: ImageSize) : MapPromise list =
        let equivariance = Equivariance.Of(architecture, size)

        [ for map in equivariance.Stages do
              ofMap map (reachOf architecture size map.Place)
          ofMap equivariance.LastMap None
          { Place = "logits"
            Stride = None
            Moves = ShiftLattice.None
            Border = BorderBand(0L, 0L, 0L, 0L)
            Rolls = equivariance.Logits.Rolled
            Reach = Some(fun _ -> places (ReceptiveField.OfLogits(architecture, size)))
            Reasons = List.ofSeq equivariance.Logits.Reasons } ]

    let private inType (elementType: torch.ScalarType) (layer: 'layer :> torch.nn.Module) =
        layer.``to`` elementType |> ignore
        layer.eval ()
        layer

    /// Weights belong to their module, not to the scope that they were made in. What else a module keeps belongs to the case.
    let private outliving (build: unit -> Instance) =
        let instance = build ()

        match instance.Module with
        | Some layer ->
            for parameter in layer.parameters () do
                parameter.DetachFromDisposeScope() |> ignore

            for buffer in layer.buffers () do
                buffer.DetachFromDisposeScope() |> ignore
        | None -> ()

        instance

    /// <summary>A model of an architecture, with the promises that follow from its value.</summary>
    /// <remarks>Its parameters are drawn so that each counts: freshly initialised ones are too small or too even.</remarks>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The architecture has mistakes.</exception>
    let rec ofArchitecture (architecture: Architecture) : Subject =
        Validation.EnsureValid architecture

        let build seed elementType =
            outliving (fun () ->
                let model = architecture.Build(seed = Nullable seed) |> inType elementType
                Parameters.enliven seed model
                Instances.ofBackbone model)

        { Name = architecture.Name
          Code = Code.architecture architecture
          Architecture = Some architecture
          Layout = Layout.Images
          Channels = architecture.ImageChannels
          Size = architecture.Resolution
          Takes = fun size -> Validation.CheckSize(architecture, size).Count = 0
          Promises =
            { Maps = promised architecture
              Heads = None }
          Build = build
          Simpler = fun () -> Shrink.architecture architecture |> Seq.map ofArchitecture }

    /// <summary>A trained model: as its architecture, but that its weights are the given model's, whatever the seed.</summary>
    /// <param name="model">The model; it stays the caller's.</param>
    let ofModel (model: Backbone) : Subject =
        let build _ elementType =
            outliving (fun () ->
                let copy = model.Architecture.Build() |> inType elementType
                use _ = torch.no_grad ()

                for (_, parameter), (_, original) in
                    List.zip (Parameters.named copy) (Parameters.named model) do
                    use converted = original.detach().``to``(torch.CPU).``to``(elementType)
                    parameter.copy_ converted |> ignore

                Instances.ofBackbone copy)

        let comment =
            [ for line in (Code.architecture model.Architecture).ReplaceLineEndings("\n").Split '\n' ->
                  $"// {line}" ]
            |> String.concat "\n"

        // Its architecture alone would give other weights.
        { ofArchitecture model.Architecture with
            Code = $"// model: a trained one of this architecture\n{comment}\nSubject.ofModel model"
            Architecture = None
            Build = build
            Simpler = fun () -> Seq.empty }

    /// <summary>An attention layer on maps of tokens, with the promises that follow from its record.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The attention fits no such map.</exception>
    let rec ofLayer (attention: Attention) (channels: int) (size: ImageSize) : Subject =
        // The layer alone, behind patches of one pixel: what is known of its map is known of the layer.
        let alone =
            Architecture(
                attention.Kind,
                PatchStem(1, channels),
                ValueList.From [ Stage(ValueList.From [ Block attention ]) ],
                AveragePoolHead 1,
                Resolution = size,
                ImageChannels = channels
            )

        Validation.EnsureValid alone

        let maps size =
            [ { List.head (promised alone size) with
                  Place = "output" } ]

        let build seed elementType =
            outliving (fun () ->
                torch.manual_seed seed |> ignore
                let layer = attention.Build channels |> inType elementType
                Parameters.enliven seed layer
                Instances.ofModule Layout.Tokens layer)

        let code =
            $"Subject.ofBlock ({Code.attention attention}) {channels} (ImageSize({size.Height}, {size.Width}))"

        let simpler () =
            Shrink.layer
                { Attention = attention
                  Map = MapShape(size, channels) }
            |> Seq.map (fun layer -> ofLayer layer.Attention layer.Map.Channels layer.Map.Size)

        { Name = Code.attention attention
          Code = code
          Architecture = None
          Layout = Layout.Tokens
          Channels = channels
          Size = size
          Takes = fun size -> Validation.CheckSize(alone, size).Count = 0
          Promises =
            { Maps = maps
              Heads = Some attention.Heads }
          Build = build
          Simpler = simpler }

    /// <summary>The attention of a block of the language: the layer that <c>ofLayer</c> builds.</summary>
    /// <example><code lang="fsharp">Subject.ofBlock (window 3 |> heads 2) 8 (ImageSize(7, 7))</code></example>
    let ofBlock (block: Blocks<'kind, HeadsGiven, One>) (channels: int) (size: ImageSize) : Subject =
        ofLayer (stage block).Blocks[0].Attention channels size

    let private ofSignature name (signature: Signature) promises build =
        { Name = name
          Code = name
          Architecture = None
          Layout = signature.Layout
          Channels = signature.Channels
          Size = signature.Size
          Takes = signature.Takes
          Promises = promises
          Build = build
          Simpler = fun () -> Seq.empty }

    /// <summary>A function of tensors.</summary>
    /// <param name="name">What it is called.</param>
    /// <param name="signature">What it takes; it is given double precision mostly.</param>
    /// <param name="promises">What it promises.</param>
    /// <param name="forward">The function; its output's first dimension is the batch.</param>
    /// <example><code lang="fsharp">Subject.ofFunction "twice" (Signature.Tokens(4, 6, 6)) Promises.pointwise (fun x -> x + x)</code></example>
    let ofFunction
        (name: string)
        (signature: Signature)
        (promises: Promises)
        (forward: torch.Tensor -> torch.Tensor)
        : Subject =
        ofSignature name signature promises (fun _ _ -> Instances.ofFunction signature.Layout forward)

    /// <summary>A layer or a model of the user's.</summary>
    /// <remarks>
    /// The tensor library's generator starts at the seed before the module is made. Trained parameters that are the same
    /// number throughout, as biases of zeros, are moved by up to 0.25, so that they count; all others stay what they are.
    /// </remarks>
    /// <param name="name">What it is called.</param>
    /// <param name="signature">What it takes.</param>
    /// <param name="promises">What it promises.</param>
    /// <param name="make">Makes a new module; each is disposed of after use.</param>
    let ofModule
        (name: string)
        (signature: Signature)
        (promises: Promises)
        (make: unit -> torch.nn.Module<torch.Tensor, torch.Tensor>)
        : Subject =
        let build (seed: int64) elementType =
            outliving (fun () ->
                torch.manual_seed seed |> ignore
                let layer = make () |> inType elementType
                Parameters.stir seed layer
                Instances.ofModule signature.Layout layer)

        ofSignature name signature promises build

    /// The same subject with F# that gives it, for reports.
    let withCode (code: string) (subject: Subject) : Subject = { subject with Code = code }
