using LocalAttention.Core.Specification;

namespace LocalAttention.Bench.Roofline;

/// <summary>The passes that a layer cannot do without. Norms, activations and residual sums are free: part of a neighbour.</summary>
public static class LayerPasses
{
    /// <summary>Linear: every token times a matrix.</summary>
    public static Pass Linear(string name, double tokens, double inputs, double outputs) =>
        new(name, tokens * inputs * outputs, tokens * inputs, tokens * outputs, inputs * outputs);

    /// <summary>An attention layer.</summary>
    /// <param name="attention">The layer.</param>
    /// <param name="images">Images of the batch.</param>
    /// <param name="size">Of the map that enters.</param>
    /// <param name="channels">Channels that enter.</param>
    /// <param name="outputChannels">Channels that leave.</param>
    /// <param name="stride">Step between queries.</param>
    public static IEnumerable<Pass> Of(
        Attention attention, int images, ImageSize size, int channels, int outputChannels, int stride = 1)
    {
        ArgumentNullException.ThrowIfNull(attention);
        double tokens = (double)images * size.Height * size.Width;
        var left = (double)images * ((size.Height + stride - 1) / stride) * ((size.Width + stride - 1) / stride);
        return attention switch
        {
            SlideAttention slide => AroundQkv(tokens, channels, SlideKernel(slide, tokens, channels)),
            WindowAttention window => AroundQkv(
                tokens, channels, AttentionKernel(tokens, Math.Min((double)window.Window * window.Window, tokens / images), channels)),
            NeighbourhoodAttention neighbourhood => AroundQkv(
                tokens, channels, AttentionKernel(tokens, (double)neighbourhood.Window * neighbourhood.Window, channels)),
            GlobalAttention => AroundQkv(tokens, channels, AttentionKernel(tokens, tokens / images, channels)),
            QnAAttention qna => QnA(qna, tokens, left, channels, outputChannels),
            _ => throw new ArgumentException($"no roofline for '{attention.Kind}'", nameof(attention)),
        };
    }

    /// <summary>
    /// Slide's local part, both convolutions merged: on keys and on values <c>k²</c> samples of <c>k²</c> products each, and
    /// the two attention products.
    /// </summary>
    public static Pass SlideKernel(SlideAttention slide, double tokens, double channels)
    {
        ArgumentNullException.ThrowIfNull(slide);
        double area = slide.Window * slide.Window;
        var samples = slide.Deformed ? 2 * area * area : 0;
        return new Pass(
            "slide", tokens * channels * ((2 * area) + samples), 3 * tokens * channels, tokens * channels,
            channels / slide.Heads * area * area);
    }

    /// <summary>QnA's sums over windows as they are written: <c>k²·Nq·(C + h)</c> multiply-adds a token. FFT needs fewer.</summary>
    public static Pass QnAKernel(QnAAttention qna, double tokens, double left, double width)
    {
        ArgumentNullException.ThrowIfNull(qna);
        double area = qna.Window * qna.Window, columns = qna.Queries * qna.Heads;
        return new Pass(
            "qna", left * area * qna.Queries * (width + qna.Heads), tokens * (width + columns), left * width, 2 * area * columns);
    }

    /// <summary>Attention of every token to <paramref name="keys"/> others.</summary>
    public static Pass AttentionKernel(double tokens, double keys, double channels) =>
        new("attention", 2 * tokens * keys * channels, 3 * tokens * channels, tokens * channels, 0);

    private static Pass[] AroundQkv(double tokens, double channels, Pass kernel) =>
    [
        Linear("qkv", tokens, channels, 3 * channels), kernel, Linear("proj", tokens, channels, channels),
    ];

    private static Pass[] QnA(QnAAttention qna, double tokens, double left, double channels, double outputChannels)
    {
        var width = qna.Width ?? outputChannels;
        return
        [
            Linear("scores and values", tokens, channels, width + (qna.Queries * qna.Heads)),
            QnAKernel(qna, tokens, left, width),
            Linear("out", left, width, outputChannels),
        ];
    }
}
