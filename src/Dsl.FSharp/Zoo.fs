namespace LocalAttention.Dsl

open LocalAttention.Core.Specification

/// QnA-ViT (arXiv 2112.11435, table 1).
[<RequireQualifiedAccess>]
module QnAViT =
    /// 15.7 million parameters, windows of 3×3.
    let tiny: Architecture = LocalAttention.Core.Backbones.QnAViT.Tiny

    /// The tiny one with windows of 7×7.
    let tiny7x7: Architecture = LocalAttention.Core.Backbones.QnAViT.Tiny7x7

    /// 25.0 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.QnAViT.Small

    /// 55.7 million parameters.
    let base_: Architecture = LocalAttention.Core.Backbones.QnAViT.Base

/// Swin Transformer (arXiv 2103.14030, table 7).
[<RequireQualifiedAccess>]
module Swin =
    /// 28.3 million parameters.
    let tiny: Architecture = LocalAttention.Core.Backbones.Swin.Tiny

    /// 49.6 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.Swin.Small

    /// 87.8 million parameters.
    let base_: Architecture = LocalAttention.Core.Backbones.Swin.Base

/// Pyramid Vision Transformer (arXiv 2102.12122, table 1).
[<RequireQualifiedAccess>]
module Pvt =
    /// 13.2 million parameters.
    let tiny: Architecture = LocalAttention.Core.Backbones.Pvt.Tiny

    /// 24.5 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.Pvt.Small

    /// 44.2 million parameters.
    let medium: Architecture = LocalAttention.Core.Backbones.Pvt.Medium

    /// 61.4 million parameters.
    let large: Architecture = LocalAttention.Core.Backbones.Pvt.Large

/// PVTv2 (arXiv 2106.13797, table 1).
[<RequireQualifiedAccess>]
module PvtV2 =
    /// 3.7 million parameters.
    let b0: Architecture = LocalAttention.Core.Backbones.PvtV2.B0

    /// 14.0 million parameters.
    let b1: Architecture = LocalAttention.Core.Backbones.PvtV2.B1

    /// 25.4 million parameters.
    let b2: Architecture = LocalAttention.Core.Backbones.PvtV2.B2

    /// 22.6 million parameters: keys are 7×7 pooled tokens.
    let b2Linear: Architecture = LocalAttention.Core.Backbones.PvtV2.B2Linear

    /// 45.2 million parameters.
    let b3: Architecture = LocalAttention.Core.Backbones.PvtV2.B3

    /// 62.6 million parameters.
    let b4: Architecture = LocalAttention.Core.Backbones.PvtV2.B4

    /// 82.0 million parameters.
    let b5: Architecture = LocalAttention.Core.Backbones.PvtV2.B5

/// CSWin Transformer (arXiv 2107.00652, table 1).
[<RequireQualifiedAccess>]
module CSwin =
    /// 22.3 million parameters.
    let tiny: Architecture = LocalAttention.Core.Backbones.CSwin.Tiny

    /// 34.6 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.CSwin.Small

    /// 77.4 million parameters.
    let base_: Architecture = LocalAttention.Core.Backbones.CSwin.Base

    /// 173.3 million parameters.
    let large: Architecture = LocalAttention.Core.Backbones.CSwin.Large

/// Neighborhood Attention Transformer (arXiv 2204.07143, table 3).
[<RequireQualifiedAccess>]
module Nat =
    /// 20.0 million parameters.
    let mini: Architecture = LocalAttention.Core.Backbones.Nat.Mini

    /// 27.9 million parameters.
    let tiny: Architecture = LocalAttention.Core.Backbones.Nat.Tiny

    /// 50.7 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.Nat.Small

    /// 89.8 million parameters.
    let base_: Architecture = LocalAttention.Core.Backbones.Nat.Base

/// Dilated Neighborhood Attention Transformer (arXiv 2209.15001, table 3).
[<RequireQualifiedAccess>]
module DiNAT =
    /// 20.0 million parameters.
    let mini: Architecture = LocalAttention.Core.Backbones.DiNAT.Mini

    /// 27.9 million parameters.
    let tiny: Architecture = LocalAttention.Core.Backbones.DiNAT.Tiny

    /// 50.7 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.DiNAT.Small

    /// 89.8 million parameters.
    let base_: Architecture = LocalAttention.Core.Backbones.DiNAT.Base

    /// 200.9 million parameters.
    let large: Architecture = LocalAttention.Core.Backbones.DiNAT.Large

/// Slide-Swin (arXiv 2304.04237): Swin with Slide Attention in the first two stages.
[<RequireQualifiedAccess>]
module SlideSwin =
    /// 28.3 million parameters.
    let tiny: Architecture = LocalAttention.Core.Backbones.SlideSwin.Tiny

    /// 49.7 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.SlideSwin.Small

    /// 87.9 million parameters.
    let base_: Architecture = LocalAttention.Core.Backbones.SlideSwin.Base

    /// The tiny one with windows of 7, as Swin has them, in its last stages.
    let tinyWindow7: Architecture = LocalAttention.Core.Backbones.SlideSwin.TinyWindow7

    /// The small one with windows of 7.
    let smallWindow7: Architecture =
        LocalAttention.Core.Backbones.SlideSwin.SmallWindow7

    /// The base one with windows of 7.
    let baseWindow7: Architecture = LocalAttention.Core.Backbones.SlideSwin.BaseWindow7

/// Slide-PVT (arXiv 2304.04237): PVT with Slide Attention in the first two stages, strongly inferred.
[<RequireQualifiedAccess>]
module SlidePvt =
    /// 12.2 million parameters.
    let tiny: Architecture = LocalAttention.Core.Backbones.SlidePvt.Tiny

    /// 22.7 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.SlidePvt.Small

    /// 42.5 million parameters.
    let medium: Architecture = LocalAttention.Core.Backbones.SlidePvt.Medium

    /// 58.6 million parameters; nothing is published of it.
    let large: Architecture = LocalAttention.Core.Backbones.SlidePvt.Large

/// Slide-PVTv2 (arXiv 2304.04237): PVTv2 with Slide Attention in the first two stages, strongly inferred.
[<RequireQualifiedAccess>]
module SlidePvtV2 =
    /// 3.4 million parameters; nothing is published of it.
    let b0: Architecture = LocalAttention.Core.Backbones.SlidePvtV2.B0

    /// 13.0 million parameters.
    let b1: Architecture = LocalAttention.Core.Backbones.SlidePvtV2.B1

    /// 23.6 million parameters.
    let b2: Architecture = LocalAttention.Core.Backbones.SlidePvtV2.B2

    /// 43.5 million parameters.
    let b3: Architecture = LocalAttention.Core.Backbones.SlidePvtV2.B3

    /// 59.8 million parameters.
    let b4: Architecture = LocalAttention.Core.Backbones.SlidePvtV2.B4

    /// 79.7 million parameters; nothing is published of it.
    let b5: Architecture = LocalAttention.Core.Backbones.SlidePvtV2.B5

/// Slide-CSWin (arXiv 2304.04237): CSWin with Slide Attention in the first two stages, which is a guess.
[<RequireQualifiedAccess>]
module SlideCSwin =
    /// 22.3 million parameters.
    let tiny: Architecture = LocalAttention.Core.Backbones.SlideCSwin.Tiny

    /// 34.7 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.SlideCSwin.Small

    /// 77.4 million parameters.
    let base_: Architecture = LocalAttention.Core.Backbones.SlideCSwin.Base

/// Slide-NAT (arXiv 2304.04237): NAT with Slide Attention in the first stage or in the first two; the paper is ambiguous.
[<RequireQualifiedAccess>]
module SlideNat =
    /// In the first stage.
    let miniStage1: Architecture = LocalAttention.Core.Backbones.SlideNat.MiniStage1

    /// In the first two stages.
    let miniStages12: Architecture = LocalAttention.Core.Backbones.SlideNat.MiniStages12

    /// In the first stage.
    let tinyStage1: Architecture = LocalAttention.Core.Backbones.SlideNat.TinyStage1

    /// In the first two stages.
    let tinyStages12: Architecture = LocalAttention.Core.Backbones.SlideNat.TinyStages12

    /// In the first stage.
    let smallStage1: Architecture = LocalAttention.Core.Backbones.SlideNat.SmallStage1

    /// In the first two stages.
    let smallStages12: Architecture =
        LocalAttention.Core.Backbones.SlideNat.SmallStages12

    /// In the first stage.
    let baseStage1: Architecture = LocalAttention.Core.Backbones.SlideNat.BaseStage1

    /// In the first two stages.
    let baseStages12: Architecture = LocalAttention.Core.Backbones.SlideNat.BaseStages12

/// Models of one design in several sizes: <c>ZooFamily.Pvt</c>.
type ZooFamily = LocalAttention.Core.Backbones.ZooFamily

/// A model with its family and what its paper says of it.
type ZooEntry = LocalAttention.Core.Backbones.ZooEntry

/// What a paper says of a model: parameters, FLOPs, accuracy.
type PaperFigures = LocalAttention.Core.Backbones.PaperFigures

/// <summary>
/// All models by name. The figures of their papers stand in the entries; what is computed, as by <c>parameters</c>, comes
/// from the architecture alone.
/// </summary>
[<RequireQualifiedAccess>]
module Zoo =
    type private Models = LocalAttention.Core.Backbones.Zoo

    /// <summary>Every model with its family, its paper's figures, and their source.</summary>
    /// <example><code lang="fsharp">Zoo.all |> List.filter (fun entry -> entry.Family = ZooFamily.SlidePvt)</code></example>
    let all: ZooEntry list = List.ofSeq Models.All

    /// The names of all models, family by family, small to large.
    let list: string list = all |> List.map _.Name

    /// The families, in the order of the models.
    let families: ZooFamily list = List.ofSeq Models.Families

    /// <summary>Those whose name matches a pattern with <c>*</c> and <c>?</c>.</summary>
    /// <example><code lang="fsharp">Zoo.find "slide*" |> List.map _.Architecture |> Printing.comparison |> printfn "%s"</code></example>
    let find (pattern: string) : ZooEntry list = List.ofSeq (Models.Find pattern)

    /// <summary>The model of a name.</summary>
    /// <exception cref="T:System.ArgumentException">There is no such model; the message has the nearest names. <c>tryGet</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">Zoo.get "slide-swin-tiny" |> classes 10 |> build</code></example>
    let get (name: string) : Architecture = Models.Get name

    /// <summary>The model of a name, or which names are nearest.</summary>
    /// <example><code lang="fsharp">Zoo.tryGet "swin-tiny" |> Result.map (classes 10)</code></example>
    let tryGet (name: string) : Result<Architecture, Problem> =
        match all |> List.tryFind (fun entry -> entry.Name = name) with
        | Some entry -> Ok entry.Architecture
        | None -> Error(Models.Missing name)

    /// The model of a name with its family and its paper's figures.
    let entry (name: string) : ZooEntry = Models.Entry name
