using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>What a check is asked for.</summary>
/// <param name="Quick">A few small cases of each kernel.</param>
/// <param name="Only">The kernel, or models; none: all.</param>
/// <param name="Element">The element type; none: all.</param>
/// <param name="Mode">What is done with the cases.</param>
/// <param name="Part">Which of several processes this one is, from 0: each takes some of the cases.</param>
/// <param name="Parts">Of how many.</param>
internal sealed record CheckOptions(bool Quick, string? Only, ScalarType? Element, CheckMode Mode, int Part = 0, int Parts = 1)
{
    /// <summary>What can be asked for alone that is no kernel.</summary>
    public const string Models = "models";

    private static readonly string[] Subjects = [.. Grid.Kernels, Models];

    /// <summary>Whether a subject is asked for.</summary>
    public bool Wants(string subject) => Only is null || Only == subject;

    /// <summary>Reads the command line.</summary>
    /// <exception cref="ArgumentException">It has something that there is not.</exception>
    public static CheckOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new CheckOptions(false, null, null, CheckMode.Device);
        for (var index = 0; index < arguments.Length; index++)
        {
            options = (arguments[index], index + 1 < arguments.Length ? arguments[index + 1] : null) switch
            {
                ("--quick", _) => options with { Quick = true },
                ("--emulated", _) when options.Mode == CheckMode.Device => options with { Mode = CheckMode.Emulated },
                ("--emulated", _) => options,
                ("--list", _) => options with { Mode = CheckMode.List },
                ("--compile", _) => options with { Mode = CheckMode.Compile },
                ("--only", { } subject) when Subjects.Contains(subject) => Next(options with { Only = subject }, ref index),
                ("--only", _) => throw new ArgumentException($"--only needs one of {string.Join(", ", Subjects)}"),
                ("--element", { } type) when Grid.ElementNamed(type) is { } element =>
                    Next(options with { Element = element }, ref index),
                ("--part", { } part) when PartOf(part) is var (one, of) =>
                    Next(options with { Part = one - 1, Parts = of }, ref index),
                ("--part", _) => throw new ArgumentException("--part needs two numbers, such as 1/4"),
                ("--element", _) => throw new ArgumentException("--element needs float32, float16 or bfloat16"),
                var (other, _) => throw new ArgumentException($"check has no '{other}'; --help tells what it has"),
            };
        }
        return options;
    }

    private static (int One, int Of)? PartOf(string text) =>
        text.Split('/') is [var first, var second] && int.TryParse(first, out var one) && int.TryParse(second, out var of)
            && one >= 1 && one <= of
            ? (one, of)
            : null;

    private static CheckOptions Next(CheckOptions options, ref int index)
    {
        index++;
        return options;
    }
}

/// <summary>What is done with the cases.</summary>
internal enum CheckMode
{
    /// <summary>They run on the CUDA device.</summary>
    Device,

    /// <summary>They run on the host, which plays one.</summary>
    Emulated,

    /// <summary>Their launches are listed.</summary>
    List,

    /// <summary>Their kernels are compiled.</summary>
    Compile,
}
