namespace LocalAttention.Dsl

open LocalAttention.Core.Analysis
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification

/// What a model costs, computed from its declaration: arithmetic, memory, time.
[<AutoOpen>]
module Costs =
    /// <summary>Multiply-accumulates of one image, by what does them: linear layers, MLPs, convolutions, attention.</summary>
    /// <example><code lang="fsharp">(macs Swin.tiny).Total // 4490566656L</code></example>
    let macs (architecture: Architecture) : MultiplyAccumulates = MultiplyAccumulates.Of architecture

    /// <summary>The same with both convolutions of each Slide layer merged, as at inference.</summary>
    /// <example><code lang="fsharp">(macsMerged SlideSwin.tiny).Total // 4697392128L</code></example>
    let macsMerged (architecture: Architecture) : MultiplyAccumulates =
        MultiplyAccumulates.Of(architecture, mergedShifts = true)

    /// <summary>Multiply-accumulates for images of another size.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> macsAt 800 1280</code></example>
    let macsAt (height: int) (width: int) (architecture: Architecture) : MultiplyAccumulates =
        MultiplyAccumulates.Of(architecture, ImageSize(height, width))

    /// <summary>Multiply-accumulates part by part.</summary>
    /// <example><code lang="fsharp">macsByPart Swin.tiny |> List.maxBy _.Cost.Total</code></example>
    let macsByPart (architecture: Architecture) : PartCost list =
        List.ofSeq (MultiplyAccumulates.Trace architecture)

    /// <summary>
    /// The most bytes of tensors that a batch needs at once beside parameters and images, for inference and for training, in
    /// float32 under a backend.
    /// </summary>
    /// <param name="backend">Whose layers compute.</param>
    /// <param name="batch">Images at once.</param>
    /// <param name="architecture">The architecture.</param>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The architecture has mistakes.</exception>
    /// <example><code lang="fsharp">(Swin.tiny |> peakMemoryOn Backend.Composite 32).Training</code></example>
    let peakMemoryOn (backend: Backend) (batch: int) (architecture: Architecture) : ActivationMemory =
        ActivationMemory.Of(architecture, batch, backend = backend)

    /// <summary>The same under the fused kernels for the CPU.</summary>
    /// <example><code lang="fsharp">(Swin.tiny |> peakMemory 32).Training / 1_000_000L // megabytes</code></example>
    let peakMemory (batch: int) (architecture: Architecture) : ActivationMemory =
        peakMemoryOn Backend.FusedCpu batch architecture

    /// <summary>An estimate of the seconds that one image takes on a machine, which <c>MachineProfile.Measure()</c> describes.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> latency (MachineProfile.Measure())</code></example>
    let latency (machine: MachineProfile) (architecture: Architecture) : float =
        LatencyEstimate.Of(architecture, machine).Seconds
