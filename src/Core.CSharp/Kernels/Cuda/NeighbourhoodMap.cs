using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>The sizes of one neighbourhood attention.</summary>
internal readonly record struct NeighbourhoodMap
{
    /// <summary>The sizes of a projected map <c>[B, H, W, 3C]</c>.</summary>
    public NeighbourhoodMap(Tensor projected, int heads, int window, int dilation, bool hasBias)
    {
        var sizes = projected.shape;
        (Element, Batch, Height, Width) =
            (CudaElement.Of(projected.dtype), checked((int)sizes[0]), checked((int)sizes[1]), checked((int)sizes[2]));
        (Heads, Depth, Window, Dilation, HasBias) = (heads, checked((int)(sizes[3] / 3 / heads)), window, dilation, hasBias);
    }

    /// <summary>The constant ELEMENT.</summary>
    public string Element { get; }

    /// <summary>Images.</summary>
    public int Batch { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>Columns.</summary>
    public int Width { get; }

    /// <summary>Heads, <c>h</c>.</summary>
    public int Heads { get; }

    /// <summary>Channels of a head, <c>d</c>.</summary>
    public int Depth { get; }

    /// <summary>Side of the window, <c>k</c>.</summary>
    public int Window { get; }

    /// <summary>Step between the tokens of a window.</summary>
    public int Dilation { get; }

    /// <summary>Whether there are biases.</summary>
    public bool HasBias { get; }

    /// <summary><c>1/√d</c>.</summary>
    public float Scale => (float)(1 / Math.Sqrt(Depth));
}
