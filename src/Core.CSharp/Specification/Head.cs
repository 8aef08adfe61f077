using System.Text.Json.Serialization;

namespace LocalAttention.Core.Specification;

/// <summary>What turns the last map into logits. Closed: average pooling, QnA pooling, or a class token.</summary>
/// <param name="Classes">Logits; 0: the pooled features themselves.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AveragePoolHead), "averagePool")]
[JsonDerivedType(typeof(QnAPoolHead), "qnaPool")]
[JsonDerivedType(typeof(ClassTokenHead), "classToken")]
public abstract record Head(int Classes)
{
    /// <summary>The same head for another number of classes.</summary>
    public Head WithClasses(int classes) => this with { Classes = classes };
}

/// <summary>A norm, the mean of all tokens, a linear layer: <c>gap</c> in QnA-ViT, and Swin's.</summary>
/// <param name="Classes">Logits; 0: the pooled features themselves.</param>
public sealed record AveragePoolHead(int Classes) : Head(Classes);

/// <summary>
/// A learned token before those of the last stage, which all of its blocks treat as one of them; then a norm and a linear
/// layer on that token alone (ViT, arXiv 2010.11929, and PVT, arXiv 2102.12122). Attention of the last stage must be to
/// all tokens, whatever their places: global, or spatial reduction by 1.
/// </summary>
/// <param name="Classes">Logits; 0: the normalised class token itself.</param>
public sealed record ClassTokenHead(int Classes) : Head(Classes);

/// <summary>
/// A norm, one QnA window over the whole map, a linear layer: <c>qnav1</c>, and with the skip path <c>qnav2</c> in
/// QnA-ViT. Its window is the last map at the architecture's resolution, which must be square.
/// </summary>
/// <param name="Classes">Logits; 0: the pooled features themselves.</param>
/// <param name="Heads">Heads; they divide the channels of the last map.</param>
public sealed record QnAPoolHead(int Classes, int Heads) : Head(Classes)
{
    /// <summary>Learned queries.</summary>
    public int Queries { get; init; } = 2;

    /// <summary>Whether the mean of all tokens is added to the pooled token (<c>qnav2</c>).</summary>
    public bool Skip { get; init; } = true;

    /// <summary>The attention that pools; its window is the map, whatever is written here.</summary>
    public QnAAttention Attention => new(1, Heads) { Queries = Queries };

    /// <summary>A copy in which the given properties are replaced.</summary>
    public QnAPoolHead With(int? classes = null, int? heads = null, int? queries = null, bool? skip = null) => this with
    {
        Classes = classes ?? Classes,
        Heads = heads ?? Heads,
        Queries = queries ?? Queries,
        Skip = skip ?? Skip,
    };
}
