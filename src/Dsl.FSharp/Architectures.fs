namespace LocalAttention.Dsl

open LocalAttention.Core.Specification

/// Whole backbones: a stem, stages, a head, and what holds for all of them.
[<AutoOpen>]
module Architectures =
    // ------------------------------------------------------------------------------------------ stems

    /// <summary>Patches of <c>size</c>×<c>size</c> pixels, each projected to a token of <c>channels</c>.</summary>
    /// <example><code lang="fsharp">backbone "small" (patchify 4 64) |> stages [ stage (2 * qna 3 |> heads 8) ]</code></example>
    let patchify (size: int) (channels: int) : PatchStem = PatchStem(size, channels)

    /// Whether the projection of patches has a bias, as it does unless said.
    let patchBias (biased: bool) (patches: PatchStem) : PatchStem = patches.With(bias = biased)

    /// Whether tokens are normalised after the projection, as they are unless said.
    let patchNorm (normalised: bool) (patches: PatchStem) : PatchStem = patches.With(norm = normalised)

    /// <summary>Convolutions in a row, each given as kernel, stride and channels.</summary>
    /// <example><code lang="fsharp">backbone "small" (convolutions [ 3, 2, 24; 3, 2, 48 ])</code></example>
    let convolutions (layers: (int * int * int) list) : ConvolutionStem =
        layers |> List.map Convolution |> ValueList.From |> ConvolutionStem

    /// Whether the stem's convolutions have biases: not unless said.
    let convolutionBias (biased: bool) (stem: ConvolutionStem) : ConvolutionStem = stem.With(bias = biased)

    /// <summary>Zeros on each side of the map before each of the stem's convolutions: half the kernel unless said.</summary>
    /// <example><code lang="fsharp">backbone "cswin" (convolutions [ 7, 4, 64 ] |> convolutionPadding 2 |> convolutionBias true)</code></example>
    let convolutionPadding (zeros: int) (stem: ConvolutionStem) : ConvolutionStem =
        let padded (convolution: Convolution) =
            Convolution(convolution.Kernel, convolution.Stride, convolution.Channels, Padding = zeros)

        stem.With(convolutions = ValueList.From(Seq.map padded stem.Convolutions))

    /// <summary>No norm and no activation between the stem's convolutions; the one norm stands after the last: NAT's.</summary>
    /// <example><code lang="fsharp">backbone "nat" (convolutions [ 3, 2, 32; 3, 2, 64 ] |> plainBetween |> convolutionBias true)</code></example>
    let plainBetween (stem: ConvolutionStem) : ConvolutionStem = stem.With(activatedBetween = false)

    // ------------------------------------------------------------------------------------------ heads

    /// <summary>The mean of all tokens and a linear layer to <c>classes</c> logits.</summary>
    /// <example><code lang="fsharp">QnAViT.tiny |> head (classify 10)</code></example>
    let classify (classes: int) : Head = AveragePoolHead classes

    /// <summary>
    /// A class token among those of the last stage, and a linear layer to <c>classes</c> logits. The last stage attends to all
    /// tokens whatever their places: <c>globalAttention</c> or <c>spatialReduction 1</c>.
    /// </summary>
    /// <example><code lang="fsharp">Pvt.tiny |> head (classifyByToken 10)</code></example>
    let classifyByToken (classes: int) : Head = ClassTokenHead classes

    /// The mean of all tokens, without a classifier: what a backbone ends in unless told otherwise.
    let pooledFeatures: Head = AveragePoolHead 0

    // ------------------------------------------------------------------------------------------ the whole

    /// <summary>
    /// A backbone of a name and a stem. It has no stages until it is given some, and ends in pooled features until it is
    /// given a head.
    /// </summary>
    /// <example><code lang="fsharp">
    /// let small =
    ///     backbone "small" (patchify 4 32)
    ///     |> stages
    ///         [ stage (2 * qna 3 |> heads 4) |> downsample (qna 3 |> heads 8)
    ///           stage (2 * qna 3 |> heads 8) ]
    ///     |> head (classify 10)
    /// </code></example>
    let backbone (name: string) (stem: Stem) : Architecture =
        Architecture(name, stem, ValueList.From [], pooledFeatures)

    /// Another name.
    let named (name: string) (architecture: Architecture) : Architecture = architecture.With(name = name)

    /// Another stem.
    let stem (stem: Stem) (architecture: Architecture) : Architecture = architecture.With(stem = stem)

    /// <summary>The stages, first to last, in place of those it had.</summary>
    /// <example><code lang="fsharp">
    /// backbone "pyramid" (patchify 4 32)
    /// |> stages [ for count in [ 2; 2; 6 ] -> stage (count * slide 3 |> heads 4) |> downsample merge ]
    /// </code></example>
    let stages (stages: Stage list) (architecture: Architecture) : Architecture =
        architecture.With(stages = ValueList.From stages)

    /// <summary>Another head.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> head (classifyByQna (10, heads = 24))</code></example>
    let head (head: Head) (architecture: Architecture) : Architecture = architecture.With(head = head)

    /// <summary>Another number of classes for the same kind of head.</summary>
    /// <example><code lang="fsharp">SlideSwin.tiny |> classes 10</code></example>
    let classes (count: int) (architecture: Architecture) : Architecture =
        architecture.With(head = architecture.Head.WithClasses count)

    /// Channels of the image: 3 for colour, which is the default, 1 for grey.
    let imageChannels (channels: int) (architecture: Architecture) : Architecture =
        architecture.With(imageChannels = channels)

    /// The rate of stochastic depth at the last block; it rises linearly from 0 at the first.
    let dropPath (rate: float) (architecture: Architecture) : Architecture =
        architecture.With(dropPath = rate)

    /// What is done where a map is not a multiple of what divides it: <c>SizePolicy.Pad</c>, the default, or <c>SizePolicy.Exact</c>.
    let sizePolicy (policy: SizePolicy) (architecture: Architecture) : Architecture =
        architecture.With(sizePolicy = policy)

    /// What the official codebases do differently: <c>pytorch</c>, the default, <c>flax</c>, <c>pvt</c>, <c>cswin</c> or <c>nat</c>.
    let conventions (conventions: Conventions) (architecture: Architecture) : Architecture =
        architecture.With(conventions = conventions)

    /// The conventions of Swin and Slide-Transformer.
    let pytorch: Conventions = Conventions.PyTorch

    /// The conventions of the official QnA code.
    let flax: Conventions = Conventions.Flax

    /// The conventions of PVT and PVTv2.
    let pvt: Conventions = Conventions.Pvt

    /// The conventions of CSWin.
    let cswin: Conventions = Conventions.CSwin

    /// The conventions of NAT and DiNAT.
    let nat: Conventions = Conventions.Nat

    /// The activation of MLPs and convolutional stems.
    let activation (activation: Activation) (architecture: Architecture) : Architecture =
        architecture.With(conventions = architecture.Conventions.With(activation = activation))

    /// The ε of layer norms: of every one, unless <c>embeddingNormEpsilon</c> says otherwise.
    let normEpsilon (epsilon: float) (architecture: Architecture) : Architecture =
        architecture.With(conventions = architecture.Conventions.With(normEpsilon = epsilon))

    /// The ε of the layer norms in stems, in transitions, and inside attention with reduced keys.
    let embeddingNormEpsilon (epsilon: float) (architecture: Architecture) : Architecture =
        architecture.With(conventions = architecture.Conventions.With(embeddingNormEpsilon = epsilon))

    /// How weights start.
    let initialization (initialization: Initialization) (architecture: Architecture) : Architecture =
        architecture.With(conventions = architecture.Conventions.With(initialization = initialization))

    /// Whose names parameters have in checkpoints.
    let parameterNaming (naming: ParameterNaming) (architecture: Architecture) : Architecture =
        architecture.With(conventions = architecture.Conventions.With(naming = naming))

/// Properties with several forms.
[<AbstractClass; Sealed; AutoOpen>]
type Sizes =
    /// <summary>The side of the square images that a model is declared for.</summary>
    /// <param name="side">Pixels; 224 unless said.</param>
    /// <example><code lang="fsharp">QnAViT.tiny |> imageSize 384</code></example>
    static member imageSize(side: int) : Architecture -> Architecture =
        fun architecture -> architecture.With(resolution = ImageSize.Square side)

    /// <summary>The height and the width of the images that a model is declared for.</summary>
    /// <param name="height">Rows of pixels.</param>
    /// <param name="width">Columns of pixels.</param>
    /// <example><code lang="fsharp">SlideSwin.tiny |> imageSize (224, 320)</code></example>
    static member imageSize(height: int, width: int) : Architecture -> Architecture =
        fun architecture -> architecture.With(resolution = ImageSize(height, width))

    /// <summary>A head of one QnA window over the whole last map, and a linear layer to logits.</summary>
    /// <param name="classes">Logits.</param>
    /// <param name="heads">Heads; they divide the channels of the last map.</param>
    /// <param name="queries">Learned queries: 2 unless said.</param>
    /// <param name="skip">Whether the mean of all tokens is added, as it is unless said (<c>qnav2</c>).</param>
    /// <example><code lang="fsharp">QnAViT.tiny |> head (classifyByQna (1000, heads = 16))</code></example>
    static member classifyByQna(classes: int, heads: int, ?queries: int, ?skip: bool) : Head =
        QnAPoolHead(classes, heads, Queries = defaultArg queries 2, Skip = defaultArg skip true)
