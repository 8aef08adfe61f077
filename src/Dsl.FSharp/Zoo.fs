namespace LocalAttention.Dsl

open System
open System.IO.Enumeration
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

/// Slide-Swin (arXiv 2304.04237): Swin with Slide Attention in the first two stages.
[<RequireQualifiedAccess>]
module SlideSwin =
    /// 28.3 million parameters.
    let tiny: Architecture = LocalAttention.Core.Backbones.SlideSwin.Tiny

    /// 49.7 million parameters.
    let small: Architecture = LocalAttention.Core.Backbones.SlideSwin.Small

    /// 87.9 million parameters.
    let base_: Architecture = LocalAttention.Core.Backbones.SlideSwin.Base

/// The published models by name.
[<RequireQualifiedAccess>]
module Zoo =
    /// All of them.
    let models: Architecture list =
        [ QnAViT.tiny
          QnAViT.tiny7x7
          QnAViT.small
          QnAViT.base_
          Swin.tiny
          Swin.small
          Swin.base_
          SlideSwin.tiny
          SlideSwin.small
          SlideSwin.base_ ]

    /// <summary>Those whose name matches a pattern with <c>*</c> and <c>?</c>.</summary>
    /// <example><code lang="fsharp">Zoo.like "qna*" |> Printing.comparison |> printfn "%s"</code></example>
    let like (pattern: string) : Architecture list =
        models
        |> List.filter (fun model -> FileSystemName.MatchesSimpleExpression(pattern, model.Name))

    /// <summary>The one of a name, or what names there are.</summary>
    /// <example><code lang="fsharp">Zoo.find "swin-tiny" |> Result.map (classes 10)</code></example>
    let find (name: string) : Result<Architecture, Problem> =
        match models |> List.tryFind (fun model -> model.Name = name) with
        | Some model -> Ok model
        | None ->
            let names = String.Join(", ", models |> List.map _.Name)
            Error(Problem("zoo", $"there is no model '{name}'", $"use one of {names}"))
