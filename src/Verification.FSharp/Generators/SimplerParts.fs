/// How blocks, stems, transitions and heads get simpler.
module internal LocalAttention.Verification.SimplerParts

open System
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open LocalAttention.Verification.Picking

/// The block without what its MLP and its branches may have, then one part simpler.
let block (block: Block) : Block list =
    [ Block(block.Attention)
      Block(block.Attention, MlpRatio = block.MlpRatio)
      Block(block.Attention, LayerScale = block.LayerScale)
      block.With(mlpConvolution = MlpConvolution.None)
      for attention in SimplerAttentions.ofAny block.Attention do
          block.With(attention = attention) ]
    |> otherThan block

let private simplerConvolution (convolution: Convolution) =
    [ Convolution(convolution.Kernel, convolution.Stride, convolution.Channels)
      for kernel in towards 1 convolution.Kernel do
          Convolution(kernel, convolution.Stride, convolution.Channels)
      for stride in towards 1 convolution.Stride do
          Convolution(convolution.Kernel, stride, convolution.Channels)
      for channels in towards 1 convolution.Channels do
          Convolution(convolution.Kernel, convolution.Stride, channels) ]
    |> otherThan convolution

/// A stem of patches instead of convolutions, then a smaller one with default flags.
let stem (stem: Stem) : Stem list =
    match stem with
    | Patches patches ->
        [ for side in towards 1 patches.PatchSize do
              patches.With(patchSize = side)
          for channels in towards 1 patches.Channels do
              patches.With(channels = channels)
          patches.With(bias = true)
          patches.With(norm = true) ]
        |> otherThan patches
        |> List.map (fun simpler -> simpler :> Stem)
    | Convolutions convolutions ->
        [ PatchStem(1, convolutions.OutputChannels) :> Stem
          ConvolutionStem(convolutions.Convolutions)
          for simpler in simplerList simplerConvolution (List.ofSeq convolutions.Convolutions) do
              convolutions.With(convolutions = ValueList.From simpler) ]
        |> otherThan stem

let private channels (transition: Transition) =
    [ Nullable()
      if transition.Channels.HasValue then
          for fewer in towards 1 transition.Channels.Value do
              Nullable fewer ]

let private strided kernel stride bias channels =
    StridedConvolution(Kernel = kernel, Stride = stride, Bias = bias, Channels = channels) :> Transition

/// Patch merging, which is the simplest kind, then the same kind with fewer channels or simpler parts.
let transition (transition: Transition) : Transition list =
    let parts: Transition list =
        match transition with
        | Merging merging ->
            [ for channels in channels merging do
                  PatchMerging(Channels = channels) ]
        | Strided convolution ->
            let kernel, stride = convolution.Kernel, convolution.Stride

            [ PatchMerging(Channels = convolution.Channels)
              strided kernel stride false convolution.Channels
              for kernel in towards 1 kernel do
                  strided kernel stride convolution.Bias convolution.Channels
              for stride in towards 1 stride do
                  strided kernel stride convolution.Bias convolution.Channels
              for channels in channels convolution do
                  strided kernel stride convolution.Bias channels ]
        | QnADown down ->
            let like attention channels : Transition =
                QnADownsampling(
                    attention,
                    Channels = channels,
                    Stride = down.Stride,
                    Skip = down.Skip,
                    MlpRatio = down.MlpRatio,
                    LayerScale = down.LayerScale
                )

            [ PatchMerging(Channels = down.Channels)
              QnADownsampling(down.Attention)
              QnADownsampling(down.Attention, Channels = down.Channels)
              QnADownsampling(down.Attention, Channels = down.Channels, Stride = down.Stride)
              for qna in SimplerAttentions.ofQnA down.Attention do
                  like qna down.Channels
              for channels in channels down do
                  like down.Attention channels ]
        | QnAUp up ->
            let like attention channels : Transition =
                QnAUpsampling(
                    attention,
                    Channels = channels,
                    Factor = up.Factor,
                    MlpRatio = up.MlpRatio,
                    LayerScale = up.LayerScale
                )

            [ PatchMerging(Channels = up.Channels)
              QnAUpsampling(up.Attention)
              QnAUpsampling(up.Attention, Channels = up.Channels, Factor = up.Factor)
              for qna in SimplerAttentions.ofQnA up.Attention do
                  like qna up.Channels
              for channels in channels up do
                  like up.Attention channels ]

    otherThan transition parts

/// Average pooling, then fewer classes, heads and queries.
let head (head: Head) : Head list =
    [ for classes in towards 1 head.Classes do
          head.WithClasses classes
      match head with
      | QnAPool pool ->
          AveragePoolHead pool.Classes
          pool.With(heads = 1)
          pool.With(queries = 1)
          pool.With(skip = true)
      | ClassToken token -> AveragePoolHead token.Classes
      | AveragePool _ -> () ]
    |> otherThan head

// What follows makes whole models narrow, so that channels and heads need not go down one block at a time.

/// Channels halved, and even where they were: for stripes, which need two heads.
let private halved (channels: int) =
    if channels > 3 && channels % 2 = 0 then
        2 * ((channels + 2) / 4)
    else
        max 1 (channels / 2)

let private halvedIfGiven (channels: Nullable<int>) =
    if channels.HasValue then
        Nullable(halved channels.Value)
    else
        channels

/// Half the channels.
let narrowStem (stem: Stem) : Stem =
    match stem with
    | Patches patches -> patches.With(channels = halved patches.Channels)
    | Convolutions convolutions ->
        let narrow (convolution: Convolution) =
            Convolution(
                convolution.Kernel,
                convolution.Stride,
                halved convolution.Channels,
                Padding = convolution.Padding
            )

        convolutions.With(convolutions = ValueList.From(Seq.map narrow convolutions.Convolutions))

/// As few heads as there can be.
let narrowBlock (block: Block) : Block =
    block.With(attention = SimplerAttentions.narrow block.Attention)

let private narrowQnA (qna: QnAAttention) =
    SimplerAttentions.narrow qna :?> QnAAttention

/// As few heads as there can be, and half the channels where they are given.
let narrowTransition (transition: Transition) : Transition =
    let channels = halvedIfGiven transition.Channels

    match transition with
    | Merging _ -> PatchMerging(Channels = channels)
    | Strided convolution -> strided convolution.Kernel convolution.Stride convolution.Bias channels
    | QnADown down ->
        QnADownsampling(
            narrowQnA down.Attention,
            Channels = channels,
            Stride = down.Stride,
            Skip = down.Skip,
            MlpRatio = down.MlpRatio,
            LayerScale = down.LayerScale
        )
    | QnAUp up ->
        QnAUpsampling(
            narrowQnA up.Attention,
            Channels = channels,
            Factor = up.Factor,
            MlpRatio = up.MlpRatio,
            LayerScale = up.LayerScale
        )

/// One head of pooling.
let narrowHead (head: Head) : Head =
    match head with
    | QnAPool pool -> pool.With(heads = 1)
    | AveragePool _
    | ClassToken _ -> head
