using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>The cases: windows and head widths crossed, and one thing after another changed.</summary>
internal static class Grid
{
    private static readonly (string Name, ScalarType Type)[] Elements =
        [("float32", ScalarType.Float32), ("float16", ScalarType.Float16), ("bfloat16", ScalarType.BFloat16)];

    /// <summary>The families of kernels.</summary>
    public static IReadOnlyList<string> Kernels { get; } = ["slide", "qna", "neighbourhood", "window"];

    /// <summary>An element type by its name, or none.</summary>
    public static ScalarType? ElementNamed(string name) =>
        Elements.FirstOrDefault(element => element.Name == name) is { Name: not null } found ? found.Type : null;

    /// <summary>An element type's name.</summary>
    public static string NameOf(ScalarType element) => Elements.First(known => known.Type == element).Name;

    /// <summary>The cases that are asked for; those of a quick check are small enough for an emulated device.</summary>
    public static IEnumerable<KernelCase> Of(CheckOptions options) =>
        (from kernel in Kernels
         where options.Wants(kernel)
         from element in Elements
         where options.Element is null || options.Element == element.Type
         from each in options.Quick ? Quick(kernel, element.Type) : Full(kernel, element.Type)
         select each)
        .Where((_, index) => index % options.Parts == options.Part);

    private static IEnumerable<KernelCase> Quick(string kernel, ScalarType element) => kernel switch
    {
        "slide" => [new SlideCase(element, 1, 5, 7, 2, 16, 3, EdgePadding.Zeros, Deformed: true)],
        "qna" => [new QnACase(element, 1, 6, 7, 2, 16, 3)],
        "neighbourhood" => [new NeighbourhoodCase(element, 1, 6, 7, 2, 16, 3)],
        _ => [new WindowCase(element, 1, 6, 7, 2, 16, 4, Shifted: true)],
    };

    private static IEnumerable<KernelCase> Full(string kernel, ScalarType element) => kernel switch
    {
        "slide" => Slide(element),
        "qna" => QnA(element),
        "neighbourhood" => Neighbourhood(element),
        _ => Window(element),
    };

    private static IEnumerable<KernelCase> Slide(ScalarType element)
    {
        var plain = new SlideCase(element, 2, 28, 30, 2, 32, 3, EdgePadding.Zeros, Deformed: true);
        return
        [
            plain,
            .. from window in (int[])[3, 5, 7]
               from depth in (int[])[8, 24, 64, 128]
               select plain with { Window = window, Depth = depth },
            .. from padding in Enum.GetValues<EdgePadding>() select plain with { Padding = padding, Window = 5, Height = 9 },
            .. from window in (int[])[3, 7] select plain with { Window = window, Deformed = false },
            plain with { Window = 9, Heads = 1, Height = 13, Width = 11 },
            plain with { Window = 1, Depth = 7 },
            plain with { Height = 1, Width = 3 },
            plain with { Batch = 4, Height = 56, Width = 56, Heads = 3 },
        ];
    }

    private static IEnumerable<KernelCase> QnA(ScalarType element)
    {
        var plain = new QnACase(element, 2, 28, 30, 4, 8, 3);
        return
        [
            plain,
            .. from window in (int[])[3, 5, 7]
               from depth in (int[])[8, 16, 64, 128]
               select plain with { Window = window, Depth = depth },
            .. from stride in (int[])[2, 3] select plain with { Stride = stride },
            .. from queries in (int[])[1, 3, 4] select plain with { Queries = queries },
            plain with { Upsampling = 2 },
            plain with { Window = 15 },
            plain with { Depth = 12, Heads = 3 },
            plain with { Height = 7, Width = 7, Window = 7, Padding = 0 },
            plain with { Batch = 4, Height = 56, Width = 56, Heads = 8 },
        ];
    }

    private static IEnumerable<KernelCase> Neighbourhood(ScalarType element)
    {
        var plain = new NeighbourhoodCase(element, 2, 28, 30, 2, 32, 7);
        return
        [
            plain,
            .. from window in (int[])[3, 7, 13]
               from depth in (int[])[8, 24, 64, 128]
               select plain with { Window = window, Depth = depth },
            .. from dilation in (int[])[2, 4] select plain with { Dilation = dilation },
            plain with { Biased = false },
            plain with { Depth = 5 },
            plain with { Height = 7, Width = 7 },
            plain with { Batch = 4, Height = 56, Width = 56, Heads = 3 },
        ];
    }

    private static IEnumerable<KernelCase> Window(ScalarType element)
    {
        var plain = new WindowCase(element, 2, 28, 28, 2, 32, 7, Shifted: true);
        return
        [
            plain,
            .. from window in (int[])[7, 12, 14]
               from depth in (int[])[8, 24, 64, 128]
               select plain with { Window = window, Depth = depth },
            plain with { Shifted = false },
            plain with { Height = 23, Width = 17 },
            plain with { Window = 56, Height = 28, Width = 28 },
            plain with { Order = QkvOrder.HeadMajor },
            plain with { Window = 4, Depth = 5 },
            plain with { Batch = 4, Height = 56, Width = 56, Heads = 3 },
        ];
    }
}
