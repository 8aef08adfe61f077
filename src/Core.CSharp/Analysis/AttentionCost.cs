using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>The multiply-accumulates of attention layers, projections included.</summary>
internal static class AttentionCost
{
    /// <summary>The cost on the tokens of a map and a class token, which only attention to all tokens has.</summary>
    public static MultiplyAccumulates Of(Attention attention, MapShape map, int classTokens, bool mergedShifts) => attention switch
    {
        QnAAttention qna => OfQnA(qna, map, map, 1, Area(qna.Window)),
        SlideAttention slide => OfSlide(slide, map, mergedShifts),
        WindowAttention window => OfTiles(map, window.Window, window.Window),
        GlobalAttention global => OfGlobal(map, classTokens, global.LocallyEnhanced),
        SpatialReductionAttention reduced => OfReduction(reduced, map, classTokens),
        PooledAttention pooled => OfReduced(map.Tokens, Area(pooled.Pool), map.Channels, 1),
        CrossShapedAttention cross => OfCrossShaped(cross, map),
        NeighbourhoodAttention neighbourhood => OfNeighbourhood(neighbourhood, map),
        _ => throw new InvalidOperationException($"unknown attention {attention.GetType()}"),
    };

    /// <summary>
    /// QnA from a map to another. Every set of queries has its scores at every input token; an output token takes one set.
    /// </summary>
    public static MultiplyAccumulates OfQnA(QnAAttention qna, MapShape input, MapShape output, long sets, long area)
    {
        long width = qna.Width ?? output.Channels;
        long queries = qna.Queries;
        var values = input.Tokens * input.Channels * width;
        var outputs = output.Tokens * width * output.Channels;
        var scores = input.Tokens * input.Channels * sets * queries * qna.Heads;
        var aggregation = output.Tokens * area * queries * (width + qna.Heads);
        return new(values + outputs, 0, 0, scores + aggregation);
    }

    private static MultiplyAccumulates OfSlide(SlideAttention slide, MapShape map, bool mergedShifts)
    {
        var area = Area(slide.Window);
        var convolutions = slide.Deformed && !mergedShifts ? 2 : 1;
        return Projections(map.Tokens, map.Channels) + new MultiplyAccumulates(
            0, 0, convolutions * 2 * area * area * map.Channels * map.Tokens, 2 * area * map.Channels * map.Tokens);
    }

    /// <summary>Attention inside tiles of at most the given sides, the map padded to whole ones.</summary>
    private static MultiplyAccumulates OfTiles(MapShape map, int height, int width)
    {
        var tiles = Tiles.Over(map.Size, height, width);
        return Projections(tiles.Tokens, map.Channels)
            + new MultiplyAccumulates(0, 0, 0, 2 * tiles.Tokens * tiles.Area * map.Channels);
    }

    private static MultiplyAccumulates OfGlobal(MapShape map, int classTokens, bool locallyEnhanced)
    {
        var tokens = map.Tokens + classTokens;
        return Projections(tokens, map.Channels) + new MultiplyAccumulates(
            0, 0, locallyEnhanced ? 9 * map.Tokens * map.Channels : 0, 2 * tokens * tokens * map.Channels);
    }

    private static MultiplyAccumulates OfReduction(SpatialReductionAttention reduced, MapShape map, int classTokens)
    {
        var (tokens, reduction) = (map.Tokens + classTokens, Math.Max(1, reduced.Reduction));
        if (reduction == 1)
        {
            return OfGlobal(map, classTokens, locallyEnhanced: false);
        }
        var keys = map.Size.DividedBy(reduction);
        return OfReduced(tokens, (long)keys.Height * keys.Width, map.Channels, reduction);
    }

    /// <summary>Attention to fewer keys, each convolved from a square of tokens.</summary>
    private static MultiplyAccumulates OfReduced(long tokens, long keys, long channels, long kernel) => new(
        2 * (tokens + keys) * channels * channels, 0, keys * channels * channels * kernel * kernel, 2 * tokens * keys * channels);

    /// <summary>Half of the channels in vertical stripes, half in horizontal ones. Every half pads the map for itself.</summary>
    private static MultiplyAccumulates OfCrossShaped(CrossShapedAttention cross, MapShape map)
    {
        var half = map.Channels / 2L;
        var vertical = Tiles.Over(map.Size, map.Size.Height, cross.Stripe);
        var horizontal = Tiles.Over(map.Size, cross.Stripe, map.Size.Width);
        return Projections(map.Tokens, map.Channels) + new MultiplyAccumulates(
            0, 0, 9 * half * (vertical.Tokens + horizontal.Tokens),
            2 * half * ((vertical.Tokens * vertical.Area) + (horizontal.Tokens * horizontal.Area)));
    }

    private static MultiplyAccumulates OfNeighbourhood(NeighbourhoodAttention neighbourhood, MapShape map)
    {
        var shortest = (long)neighbourhood.Window * neighbourhood.Dilation;
        var tokens = Math.Max(shortest, map.Size.Height) * Math.Max(shortest, map.Size.Width);
        // Padded before queries, keys and values, and cut off before the output's projection.
        return new(
            ((3 * tokens) + map.Tokens) * map.Channels * map.Channels, 0, 0,
            2 * tokens * Area(neighbourhood.Window) * map.Channels);
    }

    /// <summary>Queries, keys, values and outputs of all tokens.</summary>
    private static MultiplyAccumulates Projections(long tokens, long channels) => new(4 * tokens * channels * channels, 0, 0, 0);

    private static long Area(long side) => side * side;

    /// <summary>Tiles that cover a map, and the tokens in them, padding included.</summary>
    private readonly record struct Tiles(long Tokens, long Area)
    {
        public static Tiles Over(ImageSize map, int height, int width)
        {
            // An image without pixels is a mistake that validation names; here it has one tile.
            long rows = Math.Max(1, Math.Min(height, map.Height)), columns = Math.Max(1, Math.Min(width, map.Width));
            var count = Ceiling(map.Height, rows) * Ceiling(map.Width, columns);
            return new(count * rows * columns, rows * columns);
        }

        private static long Ceiling(long length, long divisor) => (length + divisor - 1) / divisor;
    }
}
