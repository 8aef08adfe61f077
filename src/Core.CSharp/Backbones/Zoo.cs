using System.IO.Enumeration;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// The models of both papers and the backbones that they are compared with, by name. They are values: nothing is built, and
/// nothing here has weights.
/// </summary>
public static class Zoo
{
    private const string OfQnA = "moabarar/qna, qna_vit.py";
    private const string OfSwin = "timm 1.0.31";
    private const string OfPvt = "whai362/PVT, pvt.py";
    private const string OfPvtV2 = "whai362/PVT, pvt_v2.py";
    private const string OfCSwin = "microsoft/CSWin-Transformer, cswin.py";
    private const string OfNat = "SHI-Labs/Neighborhood-Attention-Transformer, nat.py";
    private const string OfDiNAT = "SHI-Labs/Neighborhood-Attention-Transformer, dinat.py";
    private const string OfSlide = "LeapLabTHU/Slide-Transformer, 6b1e184";

    private const string Window7 =
        "The official code with windows of 7: FLOPs are near the paper's, which those of the official configuration of 56 are not.";

    private const string AllMatch = "Strongly inferred: parameters, FLOPs, detection and segmentation figures all match.";
    private const string FlopsOfPlot = "Strongly inferred: FLOPs match. FLOPs and accuracy were read off a plot.";
    private const string SameRule = "By the same rule; nothing is published.";
    private const string BothMatch = "One of two readings: parameters and FLOPs match.";
    private const string FlopsAbove = "One of two readings: parameters match, FLOPs are 0.1 above the paper.";
    private const string NothingOfTwo = "One of two readings; nothing is published.";
    private const string OwnVariant = "QnA 3×3 in stages 1 and 2, with the backbone's heads; not a model of the paper.";

    /// <summary>All of them, family by family, small to large.</summary>
    public static ValueList<ZooEntry> All { get; } =
    [
        new(ZooFamily.QnAViT, QnAViT.Tiny, new(16, 2.5, 81.7), OfQnA),
        new(ZooFamily.QnAViT, QnAViT.Tiny7x7, new(16, 2.6, 82.0), OfQnA),
        new(ZooFamily.QnAViT, QnAViT.Small, new(25, 4.4, 83.2), OfQnA),
        new(ZooFamily.QnAViT, QnAViT.Base, new(56, 9.7, 83.9), OfQnA),

        new(ZooFamily.Swin, Swin.Tiny, new(29, 4.5, 81.3), OfSwin),
        new(ZooFamily.Swin, Swin.Small, new(50, 8.7, 83.0), OfSwin),
        new(ZooFamily.Swin, Swin.Base, new(88, 15.4, 83.5), OfSwin),

        new(ZooFamily.Pvt, Pvt.Tiny, new(13.2, 1.9, 75.1), OfPvt),
        new(ZooFamily.Pvt, Pvt.Small, new(24.5, 3.8, 79.8), OfPvt),
        new(ZooFamily.Pvt, Pvt.Medium, new(44.2, 6.7, 81.2), OfPvt),
        new(ZooFamily.Pvt, Pvt.Large, new(61.4, 9.8, 81.7), OfPvt),

        new(ZooFamily.PvtV2, PvtV2.B0, new(3.4, 0.6, 70.5), OfPvtV2, "The official repository says 3.7 million parameters."),
        new(ZooFamily.PvtV2, PvtV2.B1, new(13.1, 2.1, 78.7), OfPvtV2, "The official repository says 14.0 million parameters."),
        new(ZooFamily.PvtV2, PvtV2.B2, new(25.4, 4.0, 82.0), OfPvtV2),
        new(ZooFamily.PvtV2, PvtV2.B2Linear, new(22.6, 3.9, 82.1), OfPvtV2),
        new(ZooFamily.PvtV2, PvtV2.B3, new(45.2, 6.9, 83.2), OfPvtV2, "The official repository says 83.1%."),
        new(ZooFamily.PvtV2, PvtV2.B4, new(62.6, 10.1, 83.6), OfPvtV2),
        new(ZooFamily.PvtV2, PvtV2.B5, new(82.0, 11.8, 83.8), OfPvtV2),

        new(ZooFamily.CSwin, CSwin.Tiny, new(23, 4.3, 82.7), OfCSwin, "The official repository says 82.8%."),
        new(ZooFamily.CSwin, CSwin.Small, new(35, 6.9, 83.6), OfCSwin),
        new(ZooFamily.CSwin, CSwin.Base, new(78, 15.0, 84.2), OfCSwin),
        new(
            ZooFamily.CSwin, CSwin.Large, new(173, 31.5, 86.5), OfCSwin,
            "Accuracy after pre-training on ImageNet-22K. The official code has 33.1 GFLOPs."),

        new(ZooFamily.Nat, Nat.Mini, new(20, 2.7, 81.8), OfNat),
        new(ZooFamily.Nat, Nat.Tiny, new(28, 4.3, 83.2), OfNat),
        new(ZooFamily.Nat, Nat.Small, new(51, 7.8, 83.7), OfNat),
        new(ZooFamily.Nat, Nat.Base, new(90, 13.7, 84.3), OfNat),

        new(ZooFamily.DiNAT, DiNAT.Mini, new(20, 2.7, 81.8), OfDiNAT),
        new(ZooFamily.DiNAT, DiNAT.Tiny, new(28, 4.3, 82.7), OfDiNAT),
        new(
            ZooFamily.DiNAT, DiNAT.Small, new(51, 7.8, 83.8), OfDiNAT,
            "Without layer scale, as in the official code, where nat-small has it."),
        new(ZooFamily.DiNAT, DiNAT.Base, new(90, 13.7, 84.4), OfDiNAT),
        new(ZooFamily.DiNAT, DiNAT.Large, new(200, 30.6, 86.6), OfDiNAT, "Accuracy after pre-training on ImageNet-22K."),

        new(ZooFamily.SlideSwin, SlideSwin.Tiny, new(29, 4.6, 82.3), OfSlide),
        new(ZooFamily.SlideSwin, SlideSwin.Small, new(51, 8.9, 83.7), OfSlide),
        new(ZooFamily.SlideSwin, SlideSwin.Base, new(89, 15.5, 84.2), OfSlide),
        new(ZooFamily.SlideSwin, SlideSwin.TinyWindow7, new(29, 4.6, 82.3), ZooEntry.Derived, Window7),
        new(ZooFamily.SlideSwin, SlideSwin.SmallWindow7, new(51, 8.9, 83.7), ZooEntry.Derived, Window7),
        new(ZooFamily.SlideSwin, SlideSwin.BaseWindow7, new(89, 15.5, 84.2), ZooEntry.Derived, Window7),

        new(ZooFamily.SlidePvt, SlidePvt.Tiny, new(12.2, 2.0, 78.0), ZooEntry.Derived, AllMatch),
        new(ZooFamily.SlidePvt, SlidePvt.Small, new(22.7, 4.0, 81.7), ZooEntry.Derived, AllMatch),
        new(
            ZooFamily.SlidePvt, SlidePvt.Medium, new(null, 6.8, 82.9), ZooEntry.Derived,
            "Strongly inferred: FLOPs and detection figures match. FLOPs and accuracy were read off a plot."),
        new(ZooFamily.SlidePvt, SlidePvt.Large, PaperFigures.None, ZooEntry.Derived, SameRule),

        new(ZooFamily.SlidePvtV2, SlidePvtV2.B0, PaperFigures.None, ZooEntry.Derived, SameRule),
        new(
            ZooFamily.SlidePvtV2, SlidePvtV2.B1, new(13.0, 2.2, 79.5), ZooEntry.Derived,
            "Strongly inferred: parameters, FLOPs and detection figures match."),
        new(
            ZooFamily.SlidePvtV2, SlidePvtV2.B2, new(22.8, 4.2, 82.7), ZooEntry.Derived,
            "Strongly inferred: FLOPs and detection figures match. The published 22.8 million parameters do not; probably a misprint for 23.6."),
        new(ZooFamily.SlidePvtV2, SlidePvtV2.B3, new(null, 7.1, 83.8), ZooEntry.Derived, FlopsOfPlot),
        new(ZooFamily.SlidePvtV2, SlidePvtV2.B4, new(null, 10.3, 84.1), ZooEntry.Derived, FlopsOfPlot),
        new(ZooFamily.SlidePvtV2, SlidePvtV2.B5, PaperFigures.None, ZooEntry.Derived, SameRule),

        new(
            ZooFamily.SlideCSwin, SlideCSwin.Tiny, new(null, 4.1, 83.2), ZooEntry.Derived,
            "Stages guessed. FLOPs and accuracy were read off a plot; the FLOPs, 4.14, are not reproduced."),
        new(
            ZooFamily.SlideCSwin, SlideCSwin.Small, new(35, 6.9, 84.0), ZooEntry.Derived,
            "Stages guessed: parameters and FLOPs match, as they would with stage 1 alone."),
        new(
            ZooFamily.SlideCSwin, SlideCSwin.Base, new(78, 15.0, 84.7), ZooEntry.Derived,
            "Stages guessed: parameters as far as those of CSWin-B do, and FLOPs match, as they would with stage 1 alone."),

        new(
            ZooFamily.SlideNat, SlideNat.MiniStage1, new(null, 2.7, 82.4), ZooEntry.Derived,
            "One of two readings; FLOPs match. FLOPs and accuracy were read off a plot."),
        new(
            ZooFamily.SlideNat, SlideNat.MiniStages12, new(null, 2.7, 82.4), ZooEntry.Derived,
            "One of two readings; FLOPs would round to 2.8. FLOPs and accuracy were read off a plot."),
        new(ZooFamily.SlideNat, SlideNat.TinyStage1, new(28, 4.3, 83.6), ZooEntry.Derived, BothMatch),
        new(ZooFamily.SlideNat, SlideNat.TinyStages12, new(28, 4.3, 83.6), ZooEntry.Derived, FlopsAbove),
        new(ZooFamily.SlideNat, SlideNat.SmallStage1, new(51, 7.8, 84.3), ZooEntry.Derived, BothMatch),
        new(ZooFamily.SlideNat, SlideNat.SmallStages12, new(51, 7.8, 84.3), ZooEntry.Derived, FlopsAbove),
        new(ZooFamily.SlideNat, SlideNat.BaseStage1, PaperFigures.None, ZooEntry.Derived, NothingOfTwo),
        new(ZooFamily.SlideNat, SlideNat.BaseStages12, PaperFigures.None, ZooEntry.Derived, NothingOfTwo),

        .. WithQnA(ZooFamily.QnASwin, Swin.Tiny, Swin.Small, Swin.Base),
        .. WithQnA(ZooFamily.QnAPvt, Pvt.Tiny, Pvt.Small, Pvt.Medium, Pvt.Large),
        .. WithQnA(ZooFamily.QnAPvtV2, PvtV2.B0, PvtV2.B1, PvtV2.B2, PvtV2.B3, PvtV2.B4, PvtV2.B5),
        .. WithQnA(ZooFamily.QnACSwin, CSwin.Tiny, CSwin.Small, CSwin.Base),
        .. WithQnA(ZooFamily.QnANat, Nat.Mini, Nat.Tiny, Nat.Small, Nat.Base),
    ];

    /// <summary>The families, in the order of <see cref="All"/>.</summary>
    public static ValueList<ZooFamily> Families { get; } = ValueList.From(All.Select(entry => entry.Family).Distinct());

    /// <summary>The entries whose name matches a pattern; <c>*</c> stands for any characters, <c>?</c> for one.</summary>
    /// <param name="pattern">The pattern, upper and lower case alike: <c>slide*</c>.</param>
    public static ValueList<ZooEntry> Find(string pattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        return ValueList.From(All.Where(entry => FileSystemName.MatchesSimpleExpression(pattern, entry.Name)));
    }

    /// <summary>The architecture of a name.</summary>
    /// <param name="name">The whole name: <c>slide-swin-tiny</c>.</param>
    /// <exception cref="ArgumentException">There is no such model; the message has the nearest names.</exception>
    public static Architecture Get(string name) => Entry(name).Architecture;

    /// <summary>The entry of a name: the architecture with its paper's figures.</summary>
    /// <param name="name">The whole name.</param>
    /// <exception cref="ArgumentException">There is no such model; the message has the nearest names.</exception>
    public static ZooEntry Entry(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return All.FirstOrDefault(entry => entry.Name == name) ?? throw new ArgumentException(Missing(name).ToString(), nameof(name));
    }

    /// <summary>What is wrong with a name that no model has, and which names are nearest.</summary>
    public static Problem Missing(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var nearest = NearestNames.Of(name, All.Select(entry => entry.Name), count: 3);
        return new Problem("zoo", $"there is no model '{name}'", $"the nearest names are {string.Join(", ", nearest)}");
    }

    private static IEnumerable<ZooEntry> WithQnA(ZooFamily family, params IEnumerable<Architecture> backbones) =>
        backbones.Select(backbone => new ZooEntry(family, Variants.QnA(backbone), PaperFigures.None, ZooEntry.Derived, OwnVariant));
}
