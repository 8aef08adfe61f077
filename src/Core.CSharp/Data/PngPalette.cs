using System.Buffers.Binary;

namespace LocalAttention.Core.Data;

/// <summary>From the samples of a PNG file to bytes: through the palette where there is one, with opacity where it is said.</summary>
internal sealed class PngPalette
{
    private readonly PngHeader _header;

    // The palette, three bytes a colour; opacities of its first colours; the one colour that is transparent elsewhere.
    private readonly byte[] _colours;
    private readonly byte[] _opacities;
    private readonly int[]? _transparent;

    private PngPalette(PngHeader header, byte[] colours, byte[] opacities, int[]? transparent)
    {
        _header = header;
        _colours = colours;
        _opacities = opacities;
        _transparent = transparent;
    }

    /// <summary>Channels of the image that is read.</summary>
    public int Channels =>
        (_header.Colour == PngColour.Palette ? 3 : _header.Samples) + (_opacities.Length > 0 || _transparent is not null ? 1 : 0);

    /// <exception cref="DataFileException">The palette or the transparency is missing or of a wrong length.</exception>
    public static PngPalette Read(string path, PngHeader header, byte[] content, PngChunks chunks)
    {
        var colours = chunks.Palette is { } palette ? content[palette] : [];
        var transparency = chunks.Transparency is { } range ? content[range] : null;
        switch (header.Colour)
        {
            case PngColour.Palette:
                CheckPalette(path, header, colours, transparency);
                return new PngPalette(header, colours, transparency ?? [], transparent: null);
            case PngColour.Grey or PngColour.Colours when transparency is not null:
                if (transparency.Length != 2 * header.Samples)
                {
                    throw new DataFileException(
                        path, $"the chunk tRNS has {transparency.Length} bytes; with this colour type it must have {2 * header.Samples}");
                }
                var samples = new int[header.Samples];
                for (var i = 0; i < samples.Length; i++)
                    samples[i] = BinaryPrimitives.ReadUInt16BigEndian(transparency.AsSpan(2 * i));
                return new PngPalette(header, [], [], samples);
            default:
                return new PngPalette(header, [], [], transparent: null);
        }
    }

    /// <summary>Writes the channels of one pixel.</summary>
    /// <param name="path">The file.</param>
    /// <param name="row">The bytes of the pixel's row.</param>
    /// <param name="column">The pixel in it.</param>
    /// <param name="pixel">Where its channels go.</param>
    /// <exception cref="DataFileException">The pixel's colour is not in the palette.</exception>
    public void Paint(string path, ReadOnlySpan<byte> row, int column, Span<byte> pixel)
    {
        var (samples, depth) = (_header.Samples, _header.Depth);
        if (_header.Colour == PngColour.Palette)
        {
            var place = PngScanline.Sample(row, column, depth);
            if (place >= _colours.Length / 3)
            {
                throw new DataFileException(
                    path, $"a pixel has colour {place}; the palette's {_colours.Length / 3} colours are counted from 0");
            }
            _colours.AsSpan(3 * place, 3).CopyTo(pixel);
            if (_opacities.Length > 0)
                pixel[3] = place < _opacities.Length ? _opacities[place] : byte.MaxValue;
            return;
        }
        var isTransparent = _transparent is not null;
        for (var i = 0; i < samples; i++)
        {
            var sample = PngScanline.Sample(row, (column * samples) + i, depth);
            pixel[i] = PngScanline.ToByte(sample, depth);
            isTransparent = isTransparent && sample == _transparent![i];
        }
        if (_transparent is not null)
            pixel[samples] = isTransparent ? byte.MinValue : byte.MaxValue;
    }

    private static void CheckPalette(string path, PngHeader header, byte[] colours, byte[]? opacities)
    {
        var most = 1 << header.Depth;
        if (colours.Length == 0 || colours.Length % 3 != 0 || colours.Length / 3 > most)
        {
            throw new DataFileException(
                path,
                colours.Length == 0
                    ? "there is no chunk PLTE; with colour type 3 there must be one with colours"
                    : $"the chunk PLTE has {colours.Length} bytes; it must have 3 for each of at most {most} colours");
        }
        if (opacities?.Length > colours.Length / 3)
        {
            throw new DataFileException(
                path, $"the chunk tRNS has {opacities.Length} opacities; the palette has {colours.Length / 3} colours");
        }
    }
}
