namespace LocalAttention.Core.Backbones;

/// <summary>Models of one design in several sizes.</summary>
/// <param name="Name">As the models' names begin: <c>pvt-v2</c>.</param>
/// <param name="Title">As the paper writes it: <c>PVTv2</c>.</param>
/// <param name="Paper">The paper's number on arXiv.</param>
public sealed record ZooFamily(string Name, string Title, string Paper)
{
    /// <summary>Windows, every second one shifted.</summary>
    public static ZooFamily Swin { get; } = new("swin", "Swin", "2103.14030");

    /// <summary>Attention to a map that patches made smaller.</summary>
    public static ZooFamily Pvt { get; } = new("pvt", "PVT", "2102.12122");

    /// <summary>The same with overlapping patches, or with pooled keys.</summary>
    public static ZooFamily PvtV2 { get; } = new("pvt-v2", "PVTv2", "2106.13797");

    /// <summary>Stripes in two directions.</summary>
    public static ZooFamily CSwin { get; } = new("cswin", "CSWin", "2107.00652");

    /// <summary>Neighbourhoods.</summary>
    public static ZooFamily Nat { get; } = new("nat", "NAT", "2204.07143");

    /// <summary>Neighbourhoods, every second one dilated.</summary>
    public static ZooFamily DiNAT { get; } = new("dinat", "DiNAT", "2209.15001");

    /// <summary>Query and attend.</summary>
    public static ZooFamily QnAViT { get; } = new("qna-vit", "QnA-ViT", "2112.11435");

    /// <summary>Swin with Slide Attention.</summary>
    public static ZooFamily SlideSwin { get; } = new("slide-swin", "Slide-Swin", "2304.04237");

    /// <summary>PVT with Slide Attention.</summary>
    public static ZooFamily SlidePvt { get; } = new("slide-pvt", "Slide-PVT", "2304.04237");

    /// <summary>PVTv2 with Slide Attention.</summary>
    public static ZooFamily SlidePvtV2 { get; } = new("slide-pvt-v2", "Slide-PVTv2", "2304.04237");

    /// <summary>CSWin with Slide Attention.</summary>
    public static ZooFamily SlideCSwin { get; } = new("slide-cswin", "Slide-CSWin", "2304.04237");

    /// <summary>NAT with Slide Attention.</summary>
    public static ZooFamily SlideNat { get; } = new("slide-nat", "Slide-NAT", "2304.04237");

    /// <summary>Swin with QnA; not of the paper.</summary>
    public static ZooFamily QnASwin { get; } = new("qna-swin", "QnA-Swin", "2112.11435");

    /// <summary>PVT with QnA; not of the paper.</summary>
    public static ZooFamily QnAPvt { get; } = new("qna-pvt", "QnA-PVT", "2112.11435");

    /// <summary>PVTv2 with QnA; not of the paper.</summary>
    public static ZooFamily QnAPvtV2 { get; } = new("qna-pvt-v2", "QnA-PVTv2", "2112.11435");

    /// <summary>CSWin with QnA; not of the paper.</summary>
    public static ZooFamily QnACSwin { get; } = new("qna-cswin", "QnA-CSWin", "2112.11435");

    /// <summary>NAT with QnA; not of the paper.</summary>
    public static ZooFamily QnANat { get; } = new("qna-nat", "QnA-NAT", "2112.11435");

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
