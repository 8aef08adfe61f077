using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// Rows of one head between the tensors and working memory, where they stand in chunks of channels that fill whole vectors:
/// <c>[chunks, columns, lanes]</c>, zeros behind the last channel.
/// </summary>
internal static unsafe class SlideStaging
{
    /// <summary>Reads a row of tokens, each element times a factor.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="source">The head's channels of the row's first token.</param>
    /// <param name="stride">Elements from one token to the next.</param>
    /// <param name="factor">What each element is multiplied by.</param>
    /// <param name="target">Where the first token of the first chunk goes.</param>
    /// <param name="columns">Tokens of a chunk in the staged row.</param>
    /// <param name="buffer">Room for one token's padded channels.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Read<TStorage, TStored, TLanes, TVector, T>(
        in SlideShape shape, TStored* source, int stride, T factor, T* target, int columns, T* buffer)
        where TStorage : struct, IStorage<TStored, T>
        where TStored : unmanaged
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var whole = shape.Depth / lanes;
        var rest = shape.Depth % lanes;
        var chunkSize = columns * lanes;
        var times = TLanes.Broadcast(factor);
        for (var token = 0; token < shape.Width; token++, source += stride, target += lanes)
        {
            T* channels;
            if (typeof(TStored) == typeof(T))
            {
                channels = (T*)source;
            }
            else
            {
                TStorage.Read(source, buffer, shape.Depth);
                channels = buffer;
            }
            for (var chunk = 0; chunk < whole; chunk++)
            {
                TLanes.Store(TLanes.Multiply(times, TLanes.Load(channels + (chunk * lanes))), target + (chunk * chunkSize));
            }
            if (rest > 0)
            {
                var last = TLanes.LoadFirst(channels + (whole * lanes), rest);
                TLanes.Store(TLanes.Multiply(times, last), target + (whole * chunkSize));
            }
        }
    }

    /// <summary>Writes a row of tokens, each element times a factor.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="source">Where the first token of the first chunk stands.</param>
    /// <param name="columns">Tokens of a chunk in the staged row.</param>
    /// <param name="factor">What each element is multiplied by.</param>
    /// <param name="target">The head's channels of the row's first token.</param>
    /// <param name="stride">Elements from one token to the next.</param>
    /// <param name="buffer">Room for one token's padded channels.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write<TStorage, TStored, TLanes, TVector, T>(
        in SlideShape shape, T* source, int columns, T factor, TStored* target, int stride, T* buffer)
        where TStorage : struct, IStorage<TStored, T>
        where TStored : unmanaged
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var whole = shape.Depth / lanes;
        var rest = shape.Depth % lanes;
        var chunkSize = columns * lanes;
        var times = TLanes.Broadcast(factor);
        for (var token = 0; token < shape.Width; token++, source += lanes, target += stride)
        {
            var channels = typeof(TStored) == typeof(T) ? (T*)target : buffer;
            for (var chunk = 0; chunk < whole; chunk++)
            {
                TLanes.Store(TLanes.Multiply(times, TLanes.Load(source + (chunk * chunkSize))), channels + (chunk * lanes));
            }
            if (rest > 0)
            {
                var last = TLanes.Multiply(times, TLanes.Load(source + (whole * chunkSize)));
                TLanes.StoreFirst(last, channels + (whole * lanes), rest);
            }
            if (typeof(TStored) != typeof(T))
            {
                TStorage.Write(buffer, target, shape.Depth);
            }
        }
    }

    /// <summary>Reads a row of the extended map of keys or values: what stands outside the map included.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="map">The projected map.</param>
    /// <param name="image">Which image.</param>
    /// <param name="head">Which head.</param>
    /// <param name="part">1 for keys, 2 for values.</param>
    /// <param name="row">Which row, from <c>−r</c> to <c>H − 1 + r</c>.</param>
    /// <param name="target">The staged row, <c>[chunks, Columns, lanes]</c>.</param>
    /// <param name="buffer">Room for one token's padded channels.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ReadExtended<TStorage, TStored, TLanes, TVector, T>(
        in SlideShape shape, TStored* map, long image, int head, int part, int row, T* target, T* buffer)
        where TStorage : struct, IStorage<TStored, T>
        where TStored : unmanaged
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var source = shape.Resolve(row, shape.Height);
        if (source < 0)
        {
            new Span<T>(target, shape.ExtendedRowSize).Clear();
            return;
        }
        Read<TStorage, TStored, TLanes, TVector, T>(
            shape, map + shape.ProjectedAt(image, source, 0, head, part), shape.TokenStride, T.One,
            target + (shape.Radius * lanes), shape.Columns, buffer);
        for (var column = 0; column < shape.Columns; column++)
        {
            if (column == shape.Radius)
            {
                column += shape.Width;
                if (column == shape.Columns)
                {
                    break;
                }
            }
            var isReached = column < shape.Width + (2 * shape.Radius);
            var inside = isReached ? shape.Resolve(column - shape.Radius, shape.Width) : -1;
            for (var chunk = 0; chunk < shape.Chunks; chunk++)
            {
                var start = target + ((long)chunk * shape.Columns * lanes);
                var value = inside < 0 ? TLanes.Zero : TLanes.Load(start + ((inside + shape.Radius) * lanes));
                TLanes.Store(value, start + (column * lanes));
            }
        }
    }
}
