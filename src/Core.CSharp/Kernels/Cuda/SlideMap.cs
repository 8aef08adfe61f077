using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>The sizes of one Slide Attention, as its CUDA kernels take them.</summary>
internal readonly record struct SlideMap
{
    /// <summary>The sizes of a projected map <c>[B, H, W, h, 3, d]</c>.</summary>
    /// <param name="projected">The map.</param>
    /// <param name="window">Side of the window, odd.</param>
    /// <param name="padding">What stands outside the map.</param>
    /// <param name="shifts">Whether the weight only shifts.</param>
    /// <exception cref="ArgumentException">No kernel computes the element type.</exception>
    public SlideMap(Tensor projected, int window, EdgePadding padding, bool shifts)
    {
        var sizes = projected.shape;
        (Element, ElementSize) = (CudaElement.Of(projected.dtype), (int)projected.ElementSize);
        (Batch, Height, Width) = (sizes[0], checked((int)sizes[1]), checked((int)sizes[2]));
        (Heads, Depth) = (checked((int)sizes[3]), checked((int)sizes[5]));
        (Window, Padding, Shifts) = (window, padding, shifts);
    }

    /// <summary>The constant ELEMENT.</summary>
    public string Element { get; }

    /// <summary>Bytes of an element.</summary>
    public int ElementSize { get; }

    /// <summary>Images, <c>B</c>.</summary>
    public long Batch { get; }

    /// <summary>Rows, <c>H</c>.</summary>
    public int Height { get; }

    /// <summary>Columns, <c>W</c>.</summary>
    public int Width { get; }

    /// <summary>Heads, <c>h</c>.</summary>
    public int Heads { get; }

    /// <summary>Channels of a head, <c>d</c>.</summary>
    public int Depth { get; }

    /// <summary>Side of the window, <c>k</c>.</summary>
    public int Window { get; }

    /// <summary>What stands outside the map.</summary>
    public EdgePadding Padding { get; }

    /// <summary>Whether the weight only shifts.</summary>
    public bool Shifts { get; init; }

    /// <summary><c>k²</c>.</summary>
    public int Area => Window * Window;

    /// <summary>Samples whose sums are in registers at a time: <c>SAMPLES</c> of <c>SlideWindow.cuh</c>.</summary>
    public int Samples => Area <= 25 ? Area : 16;

    /// <summary>The same with padding, <c>SAMPLES_PADDED</c>.</summary>
    public int SamplesPadded => Ceiling(Samples, 4) * 4;

    /// <summary>Blocks of samples, <c>BLOCKS</c>.</summary>
    public int Blocks => Ceiling(Area, Samples);

    /// <summary>All samples, each block padded: <c>AREA_PADDED</c>.</summary>
    public int AreaPadded => Blocks * SamplesPadded;

    /// <summary>What a sample is made of, <c>TAPS</c>: positions of the window, unless it only shifts, and the bias.</summary>
    public int Taps => Shifts ? 1 : Area + 1;

    /// <summary>Neighbouring elements of a head that one instruction moves, <c>PACK</c>.</summary>
    public int Pack
    {
        get
        {
            var pack = 16 / ElementSize;
            while (Depth % pack != 0)
            {
                pack /= 2;
            }
            return pack;
        }
    }

    /// <summary>What tells one map from another in a question to the device.</summary>
    public override string ToString() =>
        $"{Element} {Batch}x{Height}x{Width} heads={Heads} depth={Depth} window={Window} {Padding} shifts={Shifts}";

    /// <summary>The quotient, rounded up.</summary>
    public static int Ceiling(int value, int unit) => (value + unit - 1) / unit;
}
