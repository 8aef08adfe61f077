using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>One way from a map to the next: a token reads the product of some rows and some columns.</summary>
internal readonly record struct ReadingPath(AxisRule Rows, AxisRule Columns)
{
    /// <summary>The inputs that some outputs read.</summary>
    public void AddReads(PixelSet outputs, PixelSet inputs)
    {
        var (rows, columns) = (Rows.Masks(), Columns.Masks());
        var reads = new ulong[PixelSet.WordsFor(inputs.Size.Width)];
        ReadOnlySpan<ulong> previous = [];
        for (var row = 0; row < outputs.Size.Height; row++)
        {
            ReadOnlySpan<ulong> tokens = outputs.RowWords(row);
            if (!tokens.ContainsAnyExcept(0UL))
            {
                continue;
            }
            // Rows of one outline, as there are many, read the same columns.
            if (!tokens.SequenceEqual(previous))
            {
                Array.Clear(reads);
                foreach (var column in PixelSet.Members(tokens))
                {
                    PixelSet.Join(reads, columns[column]);
                }
                previous = tokens;
            }
            foreach (var input in PixelSet.Members(rows[row]))
            {
                PixelSet.Join(inputs.RowWords(input), reads);
            }
        }
    }
}

/// <summary>A layer, or a part of one, that brings tokens together or tells places apart.</summary>
/// <param name="Part">The part of the architecture that it belongs to.</param>
/// <param name="What">Its name, as reasons begin with it.</param>
/// <param name="Input">Size of the map that enters.</param>
/// <param name="Output">Size of the map that leaves.</param>
/// <param name="Paths">The ways in which tokens are read; a token reads what any of them reads.</param>
internal sealed record MixingStep(Part Part, string What, ImageSize Input, ImageSize Output, IReadOnlyList<ReadingPath> Paths)
{
    /// <summary>Why equal tokens at different places differ behind the step, whatever the shift; none: they do not.</summary>
    public string? TellsPlacesApart { get; init; }

    /// <summary>What stands beyond the border of the map, as reasons name it.</summary>
    public string Beyond { get; init; } = "zero padding";

    /// <summary>Input tokens per output token.</summary>
    public (int Numerator, int Denominator) Scale { get; init; } = (1, 1);

    /// <summary>The inputs that some outputs depend on.</summary>
    public PixelSet ReadsOf(PixelSet outputs)
    {
        var inputs = new PixelSet(Input);
        foreach (var path in Paths)
        {
            path.AddReads(outputs, inputs);
        }
        return inputs;
    }
}
