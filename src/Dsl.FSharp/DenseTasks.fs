namespace LocalAttention.Dsl

open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.DenseTasks
open LocalAttention.Core.Specification
open TorchSharp

/// Segmentation and detection on any backbone: pyramids of maps, feature pyramid networks, semantic FPN.
[<AutoOpen>]
module DenseTasks =
    /// <summary>The map of each stage with its stride and channels, without a tensor: what <c>features</c> computes.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The architecture has mistakes.</exception>
    /// <example><code lang="fsharp">[ for level in pyramid Swin.tiny -> level.Stride, string level.Map ]</code></example>
    let pyramid (architecture: Architecture) : PyramidLevel list = List.ofSeq (Pyramid.Of architecture)

    /// <summary>The same for images of another size.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The architecture has mistakes, or does not take that size.</exception>
    /// <example><code lang="fsharp">Swin.tiny |> pyramidAt 800 1280</code></example>
    let pyramidAt (height: int) (width: int) (architecture: Architecture) : PyramidLevel list =
        List.ofSeq (Pyramid.Of(architecture, ImageSize(height, width)))

    /// <summary>
    /// A feature pyramid network for detectors (arXiv 1612.03144): levels of the same channels, one for each stage and one
    /// behind the last. A value; <c>buildPyramid</c> makes the model.
    /// </summary>
    /// <param name="channels">Channels of the levels: 256 in Mask R-CNN.</param>
    /// <param name="architecture">The backbone.</param>
    /// <example><code lang="fsharp">let detector = SlidePvt.tiny |> featurePyramid 256 |> buildPyramid</code></example>
    let featurePyramid (channels: int) (architecture: Architecture) : FeaturePyramid =
        FeaturePyramid(architecture, Channels = channels)

    /// <summary>
    /// Semantic FPN (arXiv 1901.02446), the segmentation head that PVT and Slide Transformer are compared with. A value;
    /// <c>buildSegmenter</c> makes the model.
    /// </summary>
    /// <param name="classes">Classes: 150 in ADE20K.</param>
    /// <param name="architecture">The backbone.</param>
    /// <example><code lang="fsharp">(SlidePvt.tiny |> semanticFpn 150).Cost(ImageSize(512, 2048), true).Total</code></example>
    let semanticFpn (classes: int) (architecture: Architecture) : SemanticFpn =
        SemanticFpn(architecture, classes)

    /// <summary>The model of a feature pyramid, its parameters drawn at random.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The backbone has mistakes.</exception>
    let buildPyramid (pyramid: FeaturePyramid) : FeaturePyramidModel = pyramid.Build()

    /// <summary>The model of a segmenter, its parameters drawn at random.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The backbone or the head has mistakes.</exception>
    /// <example><code lang="fsharp">let segmenter = Swin.tiny |> semanticFpn 150 |> buildSegmenter</code></example>
    let buildSegmenter (semantic: SemanticFpn) : SemanticFpnModel = semantic.Build()

    /// <summary>The levels of images, <c>[B, C, H, W]</c> each, finest first, without gradients or stochastic depth.</summary>
    /// <param name="images"><c>[B, channels, H, W]</c>.</param>
    /// <param name="model">The model.</param>
    let levels (images: torch.Tensor) (model: FeaturePyramidModel) : torch.Tensor list =
        let training = model.training
        model.eval ()

        try
            use _ = torch.no_grad ()
            List.ofSeq (model.forward images)
        finally
            model.train training

    /// <summary>Logits of every pixel, <c>[B, classes, H, W]</c>, without gradients, stochastic depth or dropout.</summary>
    /// <param name="images"><c>[B, channels, H, W]</c>.</param>
    /// <param name="model">The model.</param>
    /// <example><code lang="fsharp">let classes = (segmenter |> segment images).argmax 1L</code></example>
    let segment (images: torch.Tensor) (model: SemanticFpnModel) : torch.Tensor =
        let training = model.training
        model.eval ()

        try
            use _ = torch.no_grad ()
            model.forward images
        finally
            model.train training

    /// <summary>The segmenter with the backbone's parameters of a classifier, a pre-trained one for example. It is the same object.</summary>
    /// <exception cref="T:System.ArgumentException">The classifier's architecture is another one.</exception>
    /// <example><code lang="fsharp">segmenter |> segmentingWith (load "swin-tiny.safetensors")</code></example>
    let segmentingWith (classifier: Backbone) (model: SemanticFpnModel) : SemanticFpnModel =
        model.load_backbone classifier
        model

    /// <summary>The feature pyramid with the backbone's parameters of a classifier. It is the same object.</summary>
    /// <exception cref="T:System.ArgumentException">The classifier's architecture is another one.</exception>
    let pyramidWith (classifier: Backbone) (model: FeaturePyramidModel) : FeaturePyramidModel =
        model.load_backbone classifier
        model

    /// <summary>What a backbone costs a dense task at an image size: multiply-accumulates of its stages, shifts merged.</summary>
    /// <example><code lang="fsharp">((SlidePvt.tiny |> backboneCost 800 1280) - (Pvt.tiny |> backboneCost 800 1280)).Total // −21.4 billion</code></example>
    let backboneCost (height: int) (width: int) (architecture: Architecture) : MultiplyAccumulates =
        MultiplyAccumulates.OfFeatures(architecture, ImageSize(height, width), mergedShifts = true)
