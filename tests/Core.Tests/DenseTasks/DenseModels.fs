/// Feature pyramids and semantic FPN as models: shapes, parameters, meaning, gradients.
module LocalAttention.Core.Tests.DenseModels

open System
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.DenseTasks
open LocalAttention.Core.Specification
open TorchSharp

type private F = torch.nn.functional

let private stage attention transition =
    Stage(ValueList.From [ Block(attention, MlpRatio = 2.0) ], Transition = transition)

/// Four stages with what differs between families: reduced keys, norms of stages, embeddings, a class token.
let private pvt =
    Pvt.Create(
        "pvt-micro",
        [| 8; 8; 16; 16 |],
        [| 1; 1; 1; 1 |],
        [| 1; 2; 2; 4 |],
        resolution = ImageSize.Square 64,
        classes = 10
    )

let private pvt2 =
    PvtV2.Create(
        "pvt-v2-micro",
        [| 8; 8; 16; 16 |],
        [| 1; 1; 1; 1 |],
        [| 1; 2; 2; 4 |],
        resolution = ImageSize.Square 64
    )

/// The second stage has the stride of the first, the third four times it: 4, 4, 16.
let private uneven =
    Architecture(
        "uneven",
        PatchStem(4, 8),
        ValueList.From
            [ stage (SlideAttention(3, 2)) null
              stage (WindowAttention(4, 2)) (StridedConvolution(Kernel = 5, Stride = 4, Channels = 12))
              stage (GlobalAttention 2) null ],
        AveragePoolHead 5,
        Resolution = ImageSize.Square 64
    )

let private swin =
    Swin.Create(
        "swin-micro",
        8,
        [| 1; 1; 1; 1 |],
        [| 1; 2; 4; 8 |],
        window = 4,
        resolution = ImageSize.Square 64
    )

/// Whether two tensors are equal in every bit.
let private same (a: torch.Tensor) (b: torch.Tensor) =
    a.shape = b.shape && (a - b).abs().max().item<float32>() = 0.0f

let private images (size: ImageSize) =
    torch.rand ([| 2L; 3L; int64 size.Height; int64 size.Width |])

let private shapeOf (batch: int64) (map: MapShape) =
    [ batch; int64 map.Channels; int64 map.Size.Height; int64 map.Size.Width ]

let private count (parameters: TorchSharp.Modules.Parameter seq) =
    parameters |> Seq.sumBy _.NumberOfElements

/// What is computed from the value is what the built model has, at sizes that divide and sizes that do not.
let private shapes =
    [ for architecture in [ pvt; pvt2; uneven; swin ] do
          for size in [ ImageSize.Square 64; ImageSize(70, 101) ] ->
              testCase $"{architecture.Name} on images of {size}"
              <| fun () ->
                  use _ = torch.NewDisposeScope()
                  use _ = torch.no_grad ()
                  let semantic = SemanticFpn(architecture, 7, PyramidChannels = 8, HeadChannels = 4)
                  let pyramid = FeaturePyramid(architecture, Channels = 8, ExtraLevels = 2)

                  let segmenter, detector =
                      semantic.Build(seed = Nullable 1L), pyramid.Build(seed = Nullable 1L)

                  segmenter.eval ()
                  let x = images size

                  Expect.equal
                      [ for map in segmenter.Backbone.features x -> List.ofArray map.shape ]
                      [ for level in Pyramid.Of(architecture, size) ->
                            [ 2L
                              int64 level.Map.Size.Height
                              int64 level.Map.Size.Width
                              int64 level.Map.Channels ] ]
                      "maps of the stages"

                  Expect.equal
                      [ for level in detector.forward x -> List.ofArray level.shape ]
                      [ for level in pyramid.Levels size -> shapeOf 2L level.Map ]
                      "levels"

                  Expect.equal
                      (List.ofArray (segmenter.forward x).shape)
                      [ 2L; 7L; int64 size.Height; int64 size.Width ]
                      "logits of every pixel"

                  Expect.equal
                      (count (segmenter.parameters ()))
                      (semantic.Parameters().All)
                      "parameters of the segmenter"

                  Expect.equal
                      (count (detector.parameters ()))
                      (pyramid.Parameters().All)
                      "parameters of the pyramid" ]

let private strides =
    testCase "strides and names of levels"
    <| fun () ->
        Expect.equal
            [ for level in FeaturePyramid(Swin.Tiny).Levels(ImageSize(800, 1280)) ->
                  $"{level.Place} {level.Stride} {level.Map}" ]
            [ "P2 4 200×320×256"
              "P3 8 100×160×256"
              "P4 16 50×80×256"
              "P5 32 25×40×256"
              "P6 64 13×20×256" ]
            "Swin-T's feature pyramid for detection"

        Expect.equal [ for level in Pyramid.Of uneven -> level.Stride ] [ 4.0; 4.0; 16.0 ] "uneven stages"

/// Every weight of a model by name; batch norms that have seen something.
let private weights (model: torch.nn.Module) =
    use _ = torch.no_grad ()

    for struct (name, buffer) in model.named_buffers () do
        if name.EndsWith "running_mean" then
            buffer.uniform_ (-0.2, 0.2) |> ignore
        elif name.EndsWith "running_var" then
            buffer.uniform_ (0.5, 2.0) |> ignore

    let state = model.state_dict ()
    fun name -> state[name]

/// The same once more, by plain operators in the words of the paper: for images that divide.
let private written (weight: string -> torch.Tensor) (maps: torch.Tensor list) =
    let convolve (prefix: string) bias padding (x: torch.Tensor) =
        let y = F.conv2d (x, weight $"{prefix}.conv.weight", padding = [| padding |])

        if bias then
            y + (weight $"{prefix}.conv.bias").view(1L, -1L, 1L, 1L)
        else
            y

    let rectified prefix (x: torch.Tensor) =
        let y = convolve prefix false 1L x

        let per (name: string) =
            (weight $"{prefix}.bn.{name}").view(1L, -1L, 1L, 1L)

        let normal = (y - per "running_mean") / (per "running_var" + 1e-5).sqrt()
        (normal * per "weight" + per "bias").clamp_min 0.0

    let doubled (x: torch.Tensor) =
        x.repeat_interleave(2L, 2L).repeat_interleave(2L, 3L)

    let bilinear (factor: int64) (x: torch.Tensor) =
        F.interpolate (
            x,
            scale_factor = [| float factor; float factor |],
            mode = torch.InterpolationMode.Bilinear,
            align_corners = Nullable false
        )

    let laterals =
        maps
        |> List.mapi (fun index map ->
            convolve $"neck.lateral_convs.{index}" true 0L (map.permute (0L, 3L, 1L, 2L)))

    let levels =
        (laterals, [])
        ||> List.foldBack (fun lateral coarser ->
            match coarser with
            | [] -> [ lateral ]
            | next :: _ -> lateral + doubled next :: coarser)
        |> List.mapi (fun index level -> convolve $"neck.fpn_convs.{index}" true 1L level)

    let head index level =
        match index with
        | 0 -> rectified "decode_head.scale_heads.0.0" level
        | _ ->
            // Convolution and upsampling in turn: 0, 2, 4.
            (level, [ 0..2 .. 2 * index - 2 ])
            ||> List.fold (fun x step -> bilinear 2L (rectified $"decode_head.scale_heads.{index}.{step}" x))

    let sum = levels |> List.mapi head |> List.reduce (fun a b -> a + b)

    F.conv2d (sum, weight "decode_head.conv_seg.weight", weight "decode_head.conv_seg.bias")
    |> bilinear 4L

let private meaning =
    testCase "semantic FPN is what plain operators make of the same weights"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let semantic = SemanticFpn(swin, 5, PyramidChannels = 8, HeadChannels = 6)
        let model = semantic.Build(Nullable torch.ScalarType.Float64, seed = Nullable 3L)
        let weight = weights model
        model.eval ()
        let x = (images (ImageSize.Square 64)).``to`` torch.ScalarType.Float64
        let expected = written weight (List.ofSeq (model.Backbone.features x))
        let difference = (model.forward x - expected).abs().max().item<float>()
        // Sums of some hundred products each, ten layers deep, of order one: rounding is below 1e-12.
        Expect.isLessThan difference 1e-12 "largest difference"
        Expect.isGreaterThan (expected.abs().max().item<float>()) 1e-4 "there is something to compare"

let private repeated =
    testCase "without lateral paths a finer level is the coarsest one, every token repeated"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let neck = new FeaturePyramidLayer([| 3; 3; 3 |], 3)

        for struct (name, parameter) in neck.named_parameters () do
            parameter.zero_ () |> ignore

            if
                name.StartsWith "fpn_convs" && name.EndsWith "weight"
                || name = "lateral_convs.2.conv.weight"
            then
                // The identity: 1 at the kernel's centre.
                let centre = parameter.size 2 / 2L

                for channel in 0L .. 2L do
                    parameter[channel, channel, centre, centre].fill_(1.0) |> ignore

        let map size = torch.rand ([| 1L; size; size; 3L |])
        let coarse = map 2L
        let levels = neck.forward [| map 7L; map 4L; coarse |]
        let top = coarse.permute (0L, 3L, 1L, 2L)
        Expect.isTrue (same levels[2] top) "the coarsest is the map"
        // Nearest: row i of 4 is row i/2 of 2; row i of 7 is row i·4/7 of 4.
        let rows (source: int64) (target: int64) =
            torch.tensor [| for row in 0L .. target - 1L -> row * source / target |]

        let resized (x: torch.Tensor) target =
            let index = rows (x.size 2) target
            x.index_select(2L, index).index_select(3L, index)

        Expect.isTrue (same levels[1] (resized top 4L)) "4×4 of 2×2"
        Expect.isTrue (same levels[0] (resized (resized top 4L) 7L)) "7×7 of 4×4"

let private gradients =
    testCase "every parameter learns, but for the norm that only a classifier uses"
    <| fun () ->
        use _ = torch.NewDisposeScope()

        let model =
            SemanticFpn(swin, 3, PyramidChannels = 8, HeadChannels = 4).Build(seed = Nullable 5L)

        let logits = model.forward (images (ImageSize.Square 64))
        let labels = torch.randint (3L, [| 2L; 64L; 64L |])
        F.cross_entropy(logits, labels).backward()

        let still =
            [ for struct (name, parameter) in model.named_parameters () do
                  match parameter.grad with
                  | null -> name
                  | gradient when gradient.abs().max().item<float32>() = 0.0f -> name
                  | _ -> () ]

        // The bias of a single key is the same for all logits of a query; stages of one token have single keys.
        Expect.equal still [ "backbone.norm.weight"; "backbone.norm.bias" ] "without a gradient"

let private dropout =
    testCase "whole channels are dropped while training, none in evaluation"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let head = new SemanticFpnHead(4, 4, 2, [| 0 |], dropout = 0.5)
        let level = torch.rand ([| 1L; 4L; 5L; 5L |])
        head.eval ()
        Expect.isTrue (same (head.forward [| level |]) (head.forward [| level |])) "evaluation"
        head.train ()
        torch.manual_seed 1L |> ignore
        // All 8 agree when the same of 4 channels are kept each time: 1 in 2^28.
        let outputs = [ for _ in 1..8 -> head.forward [| level |] ]
        Expect.isFalse (outputs |> List.forall (same outputs.Head)) "training"

let private pretrained =
    testList
        "a classifier's parameters"
        [ for architecture in [ pvt; pvt2; swin ] do
              testCase $"of {architecture.Name} go into a segmenter's backbone"
              <| fun () ->
                  use _ = torch.NewDisposeScope()
                  use _ = torch.no_grad ()
                  let classifier = architecture.Build(seed = Nullable 7L)
                  let model = FeaturePyramid(architecture).Build(seed = Nullable 8L)
                  classifier.eval ()
                  model.eval ()
                  let x = images architecture.Resolution
                  let maps () = List.ofSeq (model.Backbone.features x)

                  let agree () =
                      List.forall2 same (List.ofSeq (classifier.features x)) (maps ())

                  Expect.isFalse (agree ()) "other parameters before"
                  model.load_backbone classifier
                  Expect.isTrue (agree ()) "the same maps after"
          testCase "of another architecture are refused"
          <| fun () ->
              use _ = torch.NewDisposeScope()
              let model = FeaturePyramid(swin).Build()
              let other = pvt.Build()
              Expect.throwsT<ArgumentException> (fun () -> model.load_backbone other) "pvt into swin" ]

let private mistakes =
    testList
        "mistakes"
        [ testCase "strides that no doubling reaches"
          <| fun () ->
              let odd =
                  uneven.With(
                      stages =
                          ValueList.From
                              [ stage (SlideAttention(3, 2)) (StridedConvolution(Kernel = 3, Stride = 3))
                                stage (GlobalAttention 2) null ]
                  )

              Expect.throwsC (fun () -> SemanticFpn(odd, 4).Build() |> ignore) (fun mistake ->
                  Expect.stringContains
                      mistake.Message
                      "stage 2 has a stride of 12 pixels, stage 1 one of 4; use transitions that halve the map"
                      "message")
          testCase "no classes, no channels, another size than the model takes"
          <| fun () ->
              Expect.throwsT<SpecificationException>
                  (fun () -> SemanticFpn(swin, 0).Build() |> ignore)
                  "classes"

              Expect.throwsT<SpecificationException>
                  (fun () -> FeaturePyramid(swin, Channels = 0).Build() |> ignore)
                  "channels"

              let exact = swin.With(sizePolicy = SizePolicy.Exact)

              Expect.throwsT<SpecificationException>
                  (fun () -> Pyramid.Of(exact, ImageSize(65, 64)) |> ignore)
                  "size"

              Expect.throwsT<ArgumentException>
                  (fun () -> (new FeaturePyramidLayer([| 3; 3 |], 3)).forward [||] |> ignore)
                  "maps" ]

/// The tests of this file.
let tests =
    testList
        "models"
        [ testList "shapes and parameters" shapes
          strides
          meaning
          repeated
          gradients
          dropout
          pretrained
          mistakes ]
