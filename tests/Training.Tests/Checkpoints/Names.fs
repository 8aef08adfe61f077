/// The two namings: every parameter has one Flax name, every Flax name one parameter, and layouts turn back.
module LocalAttention.Training.Tests.Names

open System
open System.IO
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open LocalAttention.Verification
open TorchSharp

/// The architecture with everything that Flax's names lack replaced by what they have.
let private nameable (architecture: Architecture) =
    let attention (attention: Attention) : Attention =
        match attention with
        | :? QnAAttention
        | :? WindowAttention -> attention
        | :? GlobalAttention as everywhere -> everywhere.With(locallyEnhanced = false)
        | _ -> QnAAttention(3, 1)

    let stage (stage: Stage) =
        let blocks =
            stage.Blocks
            |> Seq.map (fun block ->
                block.With(attention = attention block.Attention, mlpConvolution = MlpConvolution.None))
            |> ValueList.From

        match stage.Transition with
        | null -> Stage blocks
        | :? QnADownsampling as transition -> Stage(blocks, Transition = transition)
        | _ -> Stage(blocks, Transition = QnADownsampling(QnAAttention(3, 1)))

    let stem =
        match architecture.Stem with
        | :? PatchStem as patches -> patches.With(norm = false)
        | stem -> PatchStem(stem.Stride, stem.OutputChannels, Norm = false)

    let head: Head =
        match architecture.Head with
        | :? ClassTokenHead as token -> AveragePoolHead token.Classes
        | head -> head

    architecture.With(
        stem = stem,
        stages = ValueList.From(Seq.map stage architecture.Stages),
        head = head,
        conventions = architecture.Conventions.With(naming = ParameterNaming.Flax)
    )

let private valid architecture =
    Validation.Check(architecture).Count = 0

let private architectures =
    let generate = Generate.architecture |> Gen.map nameable |> Gen.where valid

    let shrink architecture =
        Shrink.anyArchitecture architecture |> Seq.map nameable |> Seq.filter valid

    Arb.fromGenShrink (generate, shrink)

let private property count name body =
    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = count }
        name
        (Prop.forAll architectures body)

let private inverse =
    property 100 "names and layouts have an inverse" (fun architecture ->
        Expect.isEmpty (ParameterNames.Missing(architecture, ParameterNaming.Flax)) "parts without a name"
        use model = architecture.Build(seed = 1L)

        let stored =
            [ for name, parameter in namedParameters model ->
                  parameter.shape, ParameterNames.InFile(architecture, name, ParameterNaming.Flax) ]

        let names = stored |> List.map (fun (_, stored) -> stored.Name)
        Expect.equal (List.distinct names).Length names.Length $"no name should be given twice: %A{names}"
        Expect.equal (ParameterNames.Detect names) ParameterNaming.Flax "they should be seen to be Flax's"

        for shape, stored in stored do
            let inFile = stored.ShapeOf(ReadOnlySpan shape)
            Expect.equal (Array.sort inFile) (Array.sort shape) "the same dimensions in another order"

            match stored.AxesToFile, stored.AxesToModel with
            | null, null -> Expect.equal inFile shape "the shape"
            | null, _
            | _, null -> failtest "one direction alone has axes"
            | toFile, toModel ->
                Expect.equal
                    [| for axis in toModel -> toFile[int axis] |]
                    [| 0L .. int64 shape.Length - 1L |]
                    "axes"

                Expect.equal inFile [| for axis in toFile -> shape[int axis] |] "the shape by axes")

let private roundTrip =
    property 40 "a file with Flax names gives back the model" (fun architecture ->
        inFolder
            (fun folder ->
                let path = Path.Combine(folder, "model.safetensors")
                use model = architecture.Build(seed = 1L)
                enliven 1 model
                Checkpoint.Save(model, path)
                use file = SafetensorsFile.Open path
                Expect.equal file.Metadata["format"] "flax" "the format"
                Expect.isTrue (file.Entries |> Seq.forall _.Name.Contains('/')) "Flax's names are paths"
                use again = Checkpoint.Load path
                Expect.isTrue (bits again = bits model) "the parameters, bit for bit"
                Checkpoint.Save(model, path, naming = Nullable ParameterNaming.PyTorch)
                use other = Checkpoint.Load path
                Expect.isTrue (bits other = bits model) "the parameters by PyTorch's names")
            ())

/// PyTorch's names with other frames: every architecture has them.
let private framed =
    [ ParameterNaming.Pvt; ParameterNaming.CSwin; ParameterNaming.Nat ]

let private anyNaming =
    let arbitrary =
        Arb.fromGenShrink (
            Gen.zip Generate.architecture (Gen.elements framed),
            fun (architecture, naming) ->
                Shrink.anyArchitecture architecture
                |> Seq.filter valid
                |> Seq.map (fun simpler -> simpler, naming)
        )

    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = 60 }
        "any model has names of its own in every naming, which are recognised, and a file of them gives it back"
        (Prop.forAll arbitrary (fun (architecture, naming) ->
            inFolder
                (fun folder ->
                    let path = Path.Combine(folder, "model.safetensors")
                    use model = architecture.Build(seed = 1L)
                    enliven 1 model

                    let names =
                        [ for name, _ in namedParameters model ->
                              ParameterNames.InFile(architecture, name, naming).Name ]

                    Expect.equal
                        (List.distinct names).Length
                        names.Length
                        $"no name should be given twice: %A{names}"

                    Expect.equal (ParameterNames.Detect names) naming "the naming"
                    Expect.isEmpty (ParameterNames.Missing(architecture, naming)) "parts without a name"
                    Checkpoint.Save(model, path, naming = Nullable naming)

                    using (SafetensorsFile.Open path) (fun file ->
                        Expect.sequenceEqual
                            (file.Entries |> Seq.map _.Name |> Seq.sort)
                            (Seq.sort names)
                            "the names in the file")

                    use again = Checkpoint.Load path
                    Expect.isTrue (bits again = bits model) "the parameters, bit for bit")
                ()))

/// Small models of each family, whose files are written by their own names and read by any model of the same value.
let private families =
    let small = ImageSize.Square 32

    let models =
        [ Pvt.Create("small-pvt", [| 4; 8 |], [| 1; 1 |], [| 1; 2 |], [| 2; 1 |], [| 2.0; 2.0 |], small, 5),
          ParameterNaming.Pvt,
          [ "pos_embed1"
            "pos_embed2"
            "cls_token"
            "patch_embed1.proj.weight"
            "patch_embed2.norm.bias"
            "block1.0.attn.q.weight"
            "block1.0.attn.sr.bias"
            "block1.0.attn.norm.weight"
            "block2.0.mlp.fc1.weight"
            "norm.weight"
            "head.bias" ]
          PvtV2.Create(
              "small-pvt-v2",
              [| 4; 8 |],
              [| 1; 1 |],
              [| 1; 2 |],
              true,
              [| 2; 1 |],
              [| 2.0; 2.0 |],
              small,
              5
          ),
          ParameterNaming.Pvt,
          [ "patch_embed1.proj.bias"
            "patch_embed1.norm.weight"
            "patch_embed2.proj.weight"
            "block1.0.mlp.dwconv.dwconv.weight"
            "block2.0.attn.sr.weight"
            "norm1.weight"
            "norm2.bias" ]
          CSwin.Create("small-cswin", 4, [| 1; 1 |], [| 2; 2 |], [| 1; 2 |], small, 5),
          ParameterNaming.CSwin,
          [ "stage1_conv_embed.0.weight"
            "stage1_conv_embed.2.bias"
            "stage1.0.qkv.weight"
            "stage1.0.attns.0.get_v.weight"
            "stage1.0.attns.1.get_v.bias"
            "stage1.0.mlp.fc2.bias"
            "merge1.conv.bias"
            "merge1.norm.weight"
            "stage2.0.attns.0.get_v.weight"
            "stage2.0.proj.bias" ]
          Nat.Create("small-nat", 4, [| 2; 1 |], [| 2; 2 |], 2.0, 3, [| 2; 1 |], Nullable 1e-5, small, 5),
          ParameterNaming.Nat,
          [ "patch_embed.proj.1.bias"
            "patch_embed.norm.weight"
            "levels.0.blocks.1.attn.rpb"
            "levels.0.blocks.0.gamma1"
            "levels.1.blocks.0.gamma2"
            "levels.0.downsample.reduction.weight"
            "levels.0.downsample.norm.bias" ]
          Variants.Slide(
              CSwin.Create("small-cswin", 4, [| 1; 1 |], [| 2; 2 |], [| 1; 2 |], small, 5),
              "slide",
              [| 1 |]
          ),
          ParameterNaming.CSwin,
          [ "stage1.0.attn.qkv.weight"
            "stage1.0.attn.dep_conv.bias"
            "stage2.0.qkv.weight" ] ]

    [ for architecture, naming, some in models do
          testCase $"{architecture.Name} by its family's names"
          <| inFolder (fun folder ->
              let path = Path.Combine(folder, "model.safetensors")
              use model = architecture.Build(seed = 1L)
              enliven 1 model
              Checkpoint.Save(model, path)

              using (SafetensorsFile.Open path) (fun file ->
                  Expect.equal file.Metadata["format"] "pt" "the format"
                  let names = file.Entries |> Seq.map _.Name |> List.ofSeq
                  Expect.equal (ParameterNames.Detect names) naming "the naming"
                  Expect.containsAll names some "some of the names")

              use other = architecture.Build(seed = 2L)
              Checkpoint.LoadInto(other, path)
              Expect.isTrue (bits other = bits model) "the parameters, bit for bit"
              // The model's own names are read as well.
              Checkpoint.Save(other, path, naming = Nullable ParameterNaming.PyTorch)
              use again = Checkpoint.Load path
              Expect.isTrue (bits again = bits model) "the parameters by the model's own names") ]

/// Two blocks of each kind, in turns: each kind counts its own.
let private counted =
    testCase "stages count from 0, blocks of each kind from 1"
    <| fun () ->
        let architecture =
            Architecture(
                "counted",
                PatchStem(1, 4, Norm = false),
                ValueList.From
                    [ Stage(
                          ValueList.From
                              [ Block(WindowAttention(2, 1))
                                Block(QnAAttention(3, 1), LayerScale = 0.1)
                                Block(GlobalAttention 1)
                                Block(QnAAttention(3, 1, Position = PositionBias.Contextual)) ],
                          Transition = QnADownsampling(QnAAttention(3, 1), Skip = SkipPath.AveragePool)
                      )
                      Stage(ValueList.From [], Transition = QnADownsampling(QnAAttention(3, 1), Stride = 3)) ],
                QnAPoolHead(3, 2),
                Conventions = Conventions.Flax
            )

        let expected =
            [ "patch_embed.proj.weight", "StemBlock_0/conv_1x1/kernel", ParameterLayout.ChannelsLast
              "patch_embed.proj.bias", "StemBlock_0/conv_1x1/bias", ParameterLayout.Same
              "layers.0.blocks.0.norm1.weight",
              "LSAStage_0/MSA_Block_1/LayerNorm_0/scale",
              ParameterLayout.Same
              "layers.0.blocks.0.attn.qkv.weight",
              "LSAStage_0/MSA_Block_1/MultiHeadSelfAttention_0/to_qkv/kernel",
              ParameterLayout.InputFirst
              "layers.0.blocks.0.attn.relative_position_bias_table",
              "LSAStage_0/MSA_Block_1/MultiHeadSelfAttention_0/RelativePositionalEmbedding_0/rpe_bias",
              ParameterLayout.Same
              "layers.0.blocks.1.attn.Wk", "QnAStage_0/QnA_Block_1/FusedKQnA_0/Wk", ParameterLayout.Same
              "layers.0.blocks.1.attn.to_v.weight",
              "QnAStage_0/QnA_Block_1/FusedKQnA_0/to_v/kernel",
              ParameterLayout.InputFirst
              "layers.0.blocks.1.gamma_2",
              "QnAStage_0/QnA_Block_1/LayerScale_1/scale_param",
              ParameterLayout.Same
              "layers.0.blocks.2.attn.proj.bias",
              "LSAStage_0/MSA_Block_2/MultiHeadSelfAttention_0/to_out/bias",
              ParameterLayout.Same
              "layers.0.blocks.3.attn.rpe_bias.kernel",
              "QnAStage_0/QnA_Block_2/FusedKQnA_0/rpe_bias/kernel",
              ParameterLayout.Same
              "layers.0.blocks.3.mlp.fc2.bias",
              "QnAStage_0/QnA_Block_2/MlpBlock_0/Dense_1/bias",
              ParameterLayout.Same
              "layers.0.downsample.skip.weight",
              "QnAStage_0/QnA_Block_3_stride_2/AvgPool1x1Conv_0/Conv_0/kernel",
              ParameterLayout.ChannelsLast
              "layers.1.downsample.skip.weight",
              "QnAStage_1/QnA_Block_1_stride_3/Conv_0/kernel",
              ParameterLayout.ChannelsLast
              "pool.query", "ClassificationHead_0/FusedKQnA_0/query", ParameterLayout.Same
              "norm.bias", "ClassificationHead_0/LayerNorm_0/bias", ParameterLayout.Same
              "head.weight", "ClassificationHead_0/head_logits/kernel", ParameterLayout.InputFirst ]

        for name, flaxName, layout in expected do
            Expect.equal
                (ParameterNames.TryInFile(architecture, name, ParameterNaming.Flax))
                (Nullable(StoredParameter(flaxName, layout)))
                $"the Flax name of {name}"

let private unnamed =
    testCase "names of no parameter have no Flax name"
    <| fun () ->
        for name in
            [ ""
              "layers"
              "layers.9.blocks.0.attn.Wk"
              "layers.-1.blocks.0.attn.Wk"
              "layers.0.blocks.x.attn.Wk"
              "layers.0.blocks.0.attn.nothing"
              "head"
              "head.weight.more" ] do
            Expect.isFalse (ParameterNames.TryInFile(flax, name, ParameterNaming.Flax).HasValue) $"'{name}'"

        failsWith<SpecificationException>
            "tiny-qna-vit: head.x: the official QnA code has no such parameter; write the file with PyTorch's names."
            (fun () -> ParameterNames.InFile(flax, "head.x", ParameterNaming.Flax) |> ignore)

/// Parts that the official QnA code does not have.
let private mixed =
    Architecture(
        "mixed",
        ConvolutionStem(ValueList.From [ Convolution(3, 2, 8) ]),
        ValueList.From
            [ Stage(ValueList.From [ Block(SlideAttention(3, 2)) ], Transition = PatchMerging())
              Stage(
                  ValueList.From [ Block(QnAAttention(3, 2)) ],
                  Transition = QnAUpsampling(QnAAttention(3, 2))
              ) ],
        AveragePoolHead 3,
        Resolution = ImageSize.Square 16,
        Conventions = Conventions.Flax
    )

let private nameless =
    testCase "parts without Flax names are written with PyTorch's, and named when Flax's are asked for"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "model.safetensors")
        use model = mixed.Build(seed = 1L)
        Checkpoint.Save(model, path)
        use again = Checkpoint.Load path
        Expect.equal again.Architecture mixed "the architecture"
        Expect.isTrue (bits again = bits model) "the parameters"

        using (SafetensorsFile.Open path) (fun file ->
            Expect.equal file.Metadata["format"] "pt" "the format"
            Expect.isTrue (file.Contains "layers.0.blocks.0.attn.dep_conv.weight") "PyTorch's names")

        let bytes = File.ReadAllBytes path

        let problems =
            (failure<SpecificationException>(fun () ->
                Checkpoint.Save(model, path, naming = Nullable ParameterNaming.Flax)))
                .Problems

        Expect.equal
            (problems |> Seq.map string |> List.ofSeq)
            [ "stem: a convolutional stem has no Flax name; write the file with PyTorch's names."
              "stage 1, block 1: Slide Attention has no Flax name; write the file with PyTorch's names."
              "stage 1, transition: patch merging has no Flax name; write the file with PyTorch's names."
              "stage 2, transition: qna upsampling has no Flax name; write the file with PyTorch's names." ]
            "the parts"

        Expect.isTrue (File.ReadAllBytes path = bytes) "the file is as it was"

        Expect.equal
            (ParameterNames.Missing(tiny, ParameterNaming.Flax)
             |> Seq.map _.Place
             |> List.ofSeq)
            [ "stem"; "stage 1, block 2" ]
            "the parts of another")

let private unknownToFlax =
    testCase "what other families have has no Flax name either"
    <| fun () ->
        let missing architecture =
            [ for problem in ParameterNames.Missing(architecture, ParameterNaming.Flax) ->
                  $"{problem.Place}: {problem.Mistake}" ]
            |> List.distinct

        let small = ImageSize.Square 32

        Expect.equal
            (missing (Pvt.Create("p", [| 4; 8 |], [| 1; 1 |], [| 1; 2 |], [| 2; 1 |], [| 2.0; 2.0 |], small)))
            [ "stem: the norm after the patches has no Flax name"
              "stage 1: the embedding of places has no Flax name"
              "stage 1, block 1: reduction attention has no Flax name"
              "stage 1, transition: convolution has no Flax name"
              "stage 2: the embedding of places has no Flax name"
              "stage 2, block 1: reduction attention has no Flax name"
              "head: the class token has no Flax name" ]
            "PVT"

        Expect.equal
            (missing (
                Architecture(
                    "mixed",
                    PatchStem(4, 4, Norm = false),
                    ValueList.From
                        [ Stage(
                              ValueList.From
                                  [ Block(GlobalAttention(1, LocallyEnhanced = true))
                                    Block(GlobalAttention 1, MlpConvolution = MlpConvolution.Depthwise) ],
                              Norm = true
                          ) ],
                    AveragePoolHead 2
                )
            ))
            [ "stage 1, block 1: the convolution of values has no Flax name"
              "stage 1, block 2: the MLP's convolution has no Flax name"
              "stage 1: the norm after the blocks has no Flax name" ]
            "single parts"

/// The tests of this file.
let tests =
    testList
        "names"
        [ inverse
          roundTrip
          anyNaming
          testList "families" families
          counted
          unnamed
          nameless
          unknownToFlax ]
