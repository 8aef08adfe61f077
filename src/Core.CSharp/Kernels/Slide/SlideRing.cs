using System.Numerics;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// The <c>k</c> extended rows that a row's windows reach, staged. Going one row down replaces the topmost alone.
/// </summary>
internal readonly unsafe struct SlideRing<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly SlideShape _shape;
    private readonly T* _rows;
    private readonly T** _window;

    /// <summary>Takes its memory.</summary>
    public SlideRing(in SlideShape shape, Scratch scratch)
    {
        _shape = shape;
        _rows = scratch.Take<T>((long)shape.Window * shape.ExtendedRowSize);
        _window = (T**)scratch.Take<nint>(shape.Window);
    }

    /// <summary>Bytes that it takes.</summary>
    public static nuint Size(in SlideShape shape) =>
        Scratch.Size<T>((long)shape.Window * shape.ExtendedRowSize) + Scratch.Size<nint>(shape.Window);

    /// <summary>Where a row stands, <c>−r</c> to <c>H − 1 + r</c>.</summary>
    public T* Row(int row) => _rows + ((long)((row + _shape.Radius) % _shape.Window) * _shape.ExtendedRowSize);

    /// <summary>The rows that the windows of a row reach, top to bottom, each from an offset on.</summary>
    public T** Window(int row, int offset)
    {
        for (var position = 0; position < _shape.Window; position++)
        {
            _window[position] = Row(row - _shape.Radius + position) + offset;
        }
        return _window;
    }

    /// <summary>
    /// For each position of a row's windows, padded to whole blocks by repeating the last, where it stands from an offset on.
    /// </summary>
    public void Positions(int row, int offset, T** positions)
    {
        for (var position = 0; position < _shape.PaddedArea; position++)
        {
            var (down, right) = Math.DivRem(Math.Min(position, _shape.Area - 1), _shape.Window);
            positions[position] = Row(row - _shape.Radius + down) + offset + (right * _shape.Lanes);
        }
    }
}
