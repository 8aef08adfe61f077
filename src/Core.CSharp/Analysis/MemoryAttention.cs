using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>The allocations of attention layers on one map.</summary>
/// <param name="layers">The layers around them.</param>
/// <param name="map">The map.</param>
/// <param name="batch">Images.</param>
/// <param name="classTokens">Tokens beside the map's.</param>
internal sealed class MemoryAttention(MemoryLayers layers, MapShape map, long batch, int classTokens)
{
    private MemoryTape Tape => layers.Tape;

    private long Channels => map.Channels;

    private long Tokens => batch * (map.Tokens + classTokens);

    private long Elements => Tokens * Channels;

    public SimulatedTensor Of(SimulatedTensor input, Attention attention) => Tape.Scope(() => attention switch
    {
        QnAAttention qna => QnA(input, qna, map, map, 1, (long)qna.Window * qna.Window),
        SlideAttention slide => layers.IsFused ? FusedSlide(input, slide) : Slide(input, slide),
        WindowAttention window => layers.IsFused
            ? FusedTokens(input, window.Heads)
            : Windows(input, window),
        GlobalAttention global => Global(input, global),
        SpatialReductionAttention { Reduction: 1 } whole => Whole(
            layers.Linear(input, Tokens, Channels, 3 * Channels, copiesWeight: true), whole.Heads),
        SpatialReductionAttention reduced => Reduced(input, reduced),
        PooledAttention pooled => Pooled(input, pooled),
        CrossShapedAttention cross => CrossShaped(input, cross),
        NeighbourhoodAttention neighbourhood => Neighbourhood(input, neighbourhood),
        _ => throw new InvalidOperationException($"unknown attention {attention.GetType()}"),
    });

    /// <summary>Attention of fused kernels to windows or to all tokens: nothing of the scores' size.</summary>
    private SimulatedTensor FusedTokens(SimulatedTensor input, int heads)
    {
        var attended = FusedTokens(layers.Linear(input, Tokens, Channels, 3 * Channels), Elements, heads);
        return layers.Linear(attended, Tokens, Channels, Channels);
    }

    private SimulatedTensor FusedTokens(SimulatedTensor projected, long elements, long heads) => Tape.Apply(
        [projected], elements, saved: [projected], savesResult: true, extra: 2 * Tokens * heads);

    private SimulatedTensor Global(SimulatedTensor input, GlobalAttention global)
    {
        var projected = layers.Linear(input, Tokens, Channels, 3 * Channels);
        if (!global.LocallyEnhanced)
        {
            return Whole(projected, global.Heads);
        }
        var attended = AttendWhole(projected, global.Heads);
        var enhanced = layers.Convolution(Tape.Part(projected, Elements), 9 * Channels, Elements, Channels, copied: Elements);
        return layers.Linear(layers.Add(attended, enhanced, Elements), Tokens, Channels, Channels);
    }

    private SimulatedTensor Whole(SimulatedTensor projected, int heads) =>
        layers.Linear(AttendWhole(projected, heads), Tokens, Channels, Channels);

    private SimulatedTensor AttendWhole(SimulatedTensor projected, int heads) => layers.IsFused
        ? FusedTokens(projected, Elements, heads)
        : DotProducts(projected, Elements, map.Tokens + classTokens, heads, batch, biases: 0);

    private SimulatedTensor Reduced(SimulatedTensor input, SpatialReductionAttention reduced)
    {
        long reduction = reduced.Reduction;
        var queries = layers.Linear(input, Tokens, Channels, Channels);
        var size = map.Size.DividedBy(reduced.Reduction);
        var keys = (long)size.Height * size.Width;
        var patches = map.Size.IsMultipleOf(reduced.Reduction)
            ? input
            : Tape.Apply([input], batch * keys * reduction * reduction * Channels);
        var smaller = layers.Convolution(patches, reduction * reduction * Channels * Channels, batch * keys * Channels, Channels);
        var normalised = layers.Norm(smaller, batch * keys, Channels);
        return AttendTo(queries, normalised, keys, reduced.Heads);
    }

    private SimulatedTensor Pooled(SimulatedTensor input, PooledAttention pooled)
    {
        var keys = (long)pooled.Pool * pooled.Pool;
        var cells = Tape.Apply([input], batch * keys * Channels);
        var projected = layers.Linear(cells, batch * keys, Channels, Channels);
        var activated = layers.Pointwise(layers.Norm(projected, batch * keys, Channels), batch * keys * Channels);
        var queries = layers.Linear(input, Tokens, Channels, Channels);
        return AttendTo(queries, activated, keys, pooled.Heads);
    }

    /// <summary>To the keys and values of other tokens, which every backend computes by standard operators.</summary>
    private SimulatedTensor AttendTo(SimulatedTensor queries, SimulatedTensor others, long keys, long heads)
    {
        var both = Tape.Views(layers.Linear(others, batch * keys, Channels, 2 * Channels), 2);
        var scaled = layers.Times(queries, Elements);
        var attended = Attend(scaled, both[0], both[1], Elements, Tokens, keys, heads, batch, biases: 0);
        return layers.Linear(attended, Tokens, Channels, Channels);
    }

    private SimulatedTensor CrossShaped(SimulatedTensor input, CrossShapedAttention cross)
    {
        var vertical = Stripes(input, map.Size.Height, Math.Min(cross.Stripe, map.Size.Width), cross.Heads / 2);
        var horizontal = Stripes(input, Math.Min(cross.Stripe, map.Size.Height), map.Size.Width, cross.Heads / 2);
        // Side by side; each half's gradient is a part of the whole's.
        var joined = Tape.Apply([vertical, horizontal], Elements);
        return layers.Linear(joined, Tokens, Channels, Channels);
    }

    private SimulatedTensor Stripes(SimulatedTensor input, long height, long width, long heads)
    {
        var half = Channels / 2;
        // Rows of the whole width lie as they are; so do columns of a single image, which steps through memory reach.
        var covers = width >= map.Size.Width || (batch == 1 && width == 1);
        var stripes = batch * (Padded(map.Size.Height, height) / height) * (Padded(map.Size.Width, width) / width);
        var (tokens, pads) = (stripes * height * width, stripes * height * width != Tokens);
        var elements = tokens * half;
        var projected = layers.Linear(input, Tokens, Channels, 3 * half, copiesWeight: true);
        var values = Tape.Part(projected, Tokens * half);
        SimulatedTensor attended;
        if (layers.IsFused)
        {
            attended = FusedTokens(projected, Tokens * half, heads);
        }
        else
        {
            var padded = pads ? Tape.Apply([projected], 3 * elements) : projected;
            var divided = covers ? padded : layers.Copy(padded, 3 * elements);
            attended = DotProducts(divided, elements, height * width, heads, stripes, pads ? 1 : 0);
            attended = covers ? attended : layers.Copy(attended, elements);
        }
        var cut = pads ? layers.Copy(values, elements) : values;
        cut = covers ? cut : layers.Copy(cut, elements);
        var enhanced = layers.Convolution(cut, 9 * half, elements, half, copied: covers ? elements : 0);
        enhanced = covers ? enhanced : layers.Copy(enhanced, elements);
        return layers.Add(attended, enhanced, Tokens * half);
    }

    private SimulatedTensor Neighbourhood(SimulatedTensor input, NeighbourhoodAttention neighbourhood)
    {
        var (window, area) = ((long)neighbourhood.Window, (long)neighbourhood.Window * neighbourhood.Window);
        var shortest = window * neighbourhood.Dilation;
        long height = Math.Max(shortest, map.Size.Height), width = Math.Max(shortest, map.Size.Width);
        var tokens = batch * height * width;
        var (elements, scores) = (tokens * Channels, tokens * area * neighbourhood.Heads);
        var padded = tokens == Tokens ? input : Tape.Apply([input], elements);
        var projected = layers.Linear(padded, tokens, Channels, 3 * Channels);
        if (layers.IsFused)
        {
            return layers.Linear(Tape.Apply([projected], elements, saved: [projected]), Tokens, Channels, Channels);
        }
        var queries = layers.Times(Tape.Part(projected, elements), elements);
        var rows = Tape.Apply([Tape.Part(projected, 2 * elements)], 2 * elements * window);
        var gathered = Tape.Views(Tape.Apply([rows], 2 * elements * area), 2);
        var products = Tape.Apply(
            [queries, gathered[0]], elements * area, saved: [queries, gathered[0]], slopeWorkspace: elements * area);
        var logits = Tape.Apply([products], scores, passesSlope: true);
        if (neighbourhood.PositionBias)
        {
            logits = layers.Add(logits, logits, scores);
        }
        var weights = Tape.Apply([layers.Copy(logits, scores)], scores, savesResult: true);
        var shares = Tape.Apply(
            [weights, gathered[1]], elements * area, saved: [weights, gathered[1]], slopeWorkspace: elements * area);
        var attended = Tape.Apply([shares], elements, passesSlope: true);
        return layers.Linear(attended, Tokens, Channels, Channels);
    }

    private SimulatedTensor Windows(SimulatedTensor input, WindowAttention window)
    {
        long height = Math.Min(window.Window, map.Size.Height), width = Math.Min(window.Window, map.Size.Width);
        var tokens = batch * Padded(map.Size.Height, height) * Padded(map.Size.Width, width);
        var shifted = window.Shifted && !window.Covers(map.Size);
        var divided = tokens == Tokens ? input : layers.Copy(input, tokens * Channels);
        divided = shifted ? layers.Copy(divided, tokens * Channels) : divided;
        divided = window.Covers(map.Size) ? divided : layers.Copy(divided, tokens * Channels);
        var masked = shifted || tokens != Tokens;
        var projected = layers.Linear(divided, tokens, Channels, 3 * Channels);
        if (masked)
        {
            // The mask of one image's windows, and its sum with the biases of each head.
            Tape.Apply([], tokens / batch * height * width * (1 + window.Heads));
        }
        var attended = DotProducts(
            projected, tokens * Channels, height * width, window.Heads, tokens / (height * width), window.PositionBias || masked ? 1 : 0);
        var joined = layers.Linear(attended, tokens, Channels, Channels);
        joined = window.Covers(map.Size) ? joined : layers.Copy(joined, tokens * Channels);
        return shifted ? layers.Copy(joined, tokens * Channels) : joined;
    }

    /// <summary>Queries, keys and values in one tensor, to the attended values of each of its sequences.</summary>
    private SimulatedTensor DotProducts(
        SimulatedTensor projected, long elements, long length, long heads, long sequences, int biases)
    {
        var parts = Tape.Views(projected, 3);
        return Attend(
            layers.Times(parts[0], elements), parts[1], parts[2], elements, sequences * length, length, heads, sequences, biases);
    }

    /// <summary>Products of scaled queries with so many keys, softmax, products with values.</summary>
    private SimulatedTensor Attend(
        SimulatedTensor queries, SimulatedTensor keys, SimulatedTensor values, long elements, long tokens, long length, long heads,
        long sequences, int biases)
    {
        var scores = tokens * length * heads;
        // Products of many matrices copy what is not in their order, and let go of it unless its gradient needs it. Of one
        // sequence, or one head, heads stand in order already.
        var copies = sequences > 1 && heads > 1;
        var logits = Product(queries, keys, scores, copies, copies);
        for (var bias = 0; bias < biases; bias++)
        {
            logits = layers.Add(logits, logits, scores);
        }
        var weights = Tape.Apply([logits], scores, savesResult: true);
        var attended = Product(weights, values, elements, copiesLeft: false, copies);
        return heads > 1 ? layers.Copy(attended, elements) : attended;
    }

    private SimulatedTensor Product(SimulatedTensor left, SimulatedTensor right, long elements, bool copiesLeft, bool copiesRight)
    {
        var first = copiesLeft ? layers.Copy(left, left.Size / Tape.ElementSize) : left;
        var second = copiesRight ? layers.Copy(right, right.Size / Tape.ElementSize) : right;
        var product = Tape.Apply([first, second], elements, saved: [first, second]);
        if (copiesLeft)
        {
            Tape.Dispose(first);
        }
        if (copiesRight)
        {
            Tape.Dispose(second);
        }
        return product;
    }

    private SimulatedTensor FusedSlide(SimulatedTensor input, SlideAttention slide)
    {
        var area = (long)slide.Window * slide.Window;
        var projected = layers.Linear(input, Tokens, Channels, 3 * Channels);
        var attended = Tape.Apply([projected], Elements, saved: [projected], extra: Tokens * slide.Heads * area);
        return layers.Linear(attended, Tokens, Channels, Channels);
    }

    private SimulatedTensor Slide(SimulatedTensor input, SlideAttention slide)
    {
        var area = (long)slide.Window * slide.Window;
        var scores = Tokens * slide.Heads * area;
        var projected = layers.Linear(input, Tokens, Channels, 3 * Channels);
        var parts = Tape.Views(projected, 3);
        var queries = layers.Times(parts[0], Elements);
        long rows = map.Size.Height + slide.Window - 1, columns = map.Size.Width + slide.Window - 1;
        var outside = batch * rows * columns * Channels;
        var joined = Tape.Apply([parts[1], parts[2]], 2 * Elements);
        var extended = Tape.Views(Tape.Apply([joined], 2 * outside), 2);
        var logits = Tape.Apply([queries], scores, saved: [queries], workspace: scores + Tokens);
        for (var position = 0; position < area; position++)
        {
            var products = Tape.Apply([queries, extended[0]], Elements, saved: [queries, extended[0]]);
            var part = Tape.Apply([products], scores, saved: [products]);
            Tape.Dispose(products);
            logits = Tape.InPlace(logits, part);
            Tape.Dispose(part);
        }
        var attention = Tape.Apply([logits], scores, savesResult: true);
        var attended = Tape.Apply([attention], Elements, saved: [attention]);
        for (var position = 0; position < area; position++)
        {
            var shares = Tape.Apply([attention], Elements, saved: [attention]);
            attended = Tape.InPlace(attended, shares, extended[1]);
            Tape.Dispose(shares);
        }
        return layers.Linear(attended, Tokens, Channels, Channels);
    }

    /// <summary>QnA from a map to another: a block's, a transition's.</summary>
    public SimulatedTensor QnA(SimulatedTensor input, QnAAttention qna, MapShape from, MapShape to, long sets, long area)
    {
        long width = qna.Width ?? to.Channels;
        var (tokens, outputs) = (batch * from.Tokens, batch * to.Tokens);
        var columns = sets * qna.Queries * qna.Heads;
        if (layers.IsFused)
        {
            var projected = layers.Linear(input, tokens, from.Channels, columns + width, qna.Bias);
            var aggregated = Tape.Apply(
                [projected], outputs * width, saved: [projected], slopeWorkspace: 2 * outputs / sets * columns);
            return layers.Linear(aggregated, outputs, width, to.Channels, qna.Bias);
        }
        var scores = layers.Linear(input, tokens, from.Channels, columns, bias: false);
        var values = layers.Linear(input, tokens, from.Channels, width, qna.Bias);
        var windows = outputs / sets * columns * area;
        var around = Tape.Apply([scores], Extended(from.Size, qna.Window) * columns);
        var stacked = Tape.Apply([around], windows);
        var biased = qna.Position == PositionBias.None ? stacked : layers.Add(stacked, stacked, windows);
        var weights = Tape.Apply([biased], windows, savesResult: true);
        if (qna.Scale != AttentionScale.None)
        {
            weights = Tape.Apply([weights], windows, saved: [weights], slopeWorkspace: windows);
        }
        var summed = Tape.Apply([weights], windows / qna.Queries, passesSlope: true);
        var extended = Tape.Apply([values], Extended(from.Size, qna.Window) * width);
        var sum = Tape.Apply([summed, extended], outputs * width, saved: [summed, extended]);
        return layers.Linear(layers.Copy(sum, outputs * width), outputs, width, to.Channels, qna.Bias);
    }

    private long Extended(ImageSize size, int window) => batch * (size.Height + window - 1L) * (size.Width + window - 1L);

    private static long Padded(long length, long divisor) => (length + divisor - 1) / divisor * divisor;
}
