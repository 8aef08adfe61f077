using System.Text.Json.Serialization;

namespace LocalAttention.Core.Specification;

/// <summary>
/// A way in which the tokens of a map attend to each other. The hierarchy is closed: the two layers of this library,
/// <see cref="QnAAttention"/> and <see cref="SlideAttention"/>; local attention that they are compared with,
/// <see cref="WindowAttention"/>, <see cref="NeighbourhoodAttention"/>, <see cref="CrossShapedAttention"/>; and attention to
/// the whole map, <see cref="SpatialReductionAttention"/>, <see cref="PooledAttention"/>, <see cref="GlobalAttention"/>. F#
/// matches it through one complete active pattern.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(QnAAttention), "qna")]
[JsonDerivedType(typeof(SlideAttention), "slide")]
[JsonDerivedType(typeof(WindowAttention), "window")]
[JsonDerivedType(typeof(GlobalAttention), "global")]
[JsonDerivedType(typeof(SpatialReductionAttention), "reduction")]
[JsonDerivedType(typeof(PooledAttention), "pooled")]
[JsonDerivedType(typeof(CrossShapedAttention), "crossShaped")]
[JsonDerivedType(typeof(NeighbourhoodAttention), "neighbourhood")]
public abstract record Attention
{
    private protected Attention(int heads) => Heads = heads;

    /// <summary>Heads that the channels are divided among.</summary>
    public int Heads { get; init; }

    /// <summary>The short name of the kind, as tables write it: <c>qna</c>, <c>slide</c>, <c>window</c>.</summary>
    public abstract string Kind { get; }

    /// <summary>The same attention with another number of heads.</summary>
    public Attention WithHeads(int heads) => this with { Heads = heads };
}

/// <summary>In which order a joint projection lays out queries, keys and values.</summary>
public enum QkvOrder
{
    /// <summary>All queries, all keys, all values, each divided into heads: Swin.</summary>
    QkvMajor,

    /// <summary>For each head its query, key and value: QnA-ViT's window attention, Slide Attention.</summary>
    HeadMajor,
}
