using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Data;

/// <summary>An image in memory, one byte a pixel and channel: what image files are read to and written from.</summary>
public sealed class PixelImage
{
    /// <summary>The most pixels that an image may have: 64 Mi, more than any camera of one sensor takes.</summary>
    public const long LargestPixels = 1L << 26;

    private readonly byte[] _pixels;

    /// <summary>An image of given pixels.</summary>
    /// <param name="size">Height and width.</param>
    /// <param name="channels">1: grey; 2: grey and opacity; 3: red, green, blue; 4: with opacity.</param>
    /// <param name="pixels">Row by row, the channels of a pixel side by side; the image keeps this array.</param>
    /// <exception cref="ArgumentException">A side or the number of channels is no such, or there are other pixels.</exception>
    public PixelImage(ImageSize size, int channels, byte[] pixels)
    {
        ArgumentNullException.ThrowIfNull(pixels);
        if (size.Height < 1 || size.Width < 1 || (long)size.Height * size.Width > LargestPixels)
        {
            throw new ArgumentException(
                $"the image is {size}; it must have 1 to {LargestPixels:N0} pixels", nameof(size));
        }
        if (channels is < 1 or > 4)
            throw new ArgumentException($"the image has {channels} channels; it must have 1 to 4", nameof(channels));
        if (pixels.Length != (long)size.Height * size.Width * channels)
        {
            throw new ArgumentException(
                $"there are {pixels.Length:N0} bytes; an image of {size} with {channels} channels has "
                + $"{(long)size.Height * size.Width * channels:N0}", nameof(pixels));
        }
        Size = size;
        Channels = channels;
        _pixels = pixels;
    }

    /// <summary>Height and width.</summary>
    public ImageSize Size { get; }

    /// <summary>1: grey; 2: grey and opacity; 3: red, green, blue; 4: with opacity.</summary>
    public int Channels { get; }

    /// <summary>Row by row, the channels of a pixel side by side.</summary>
    public ReadOnlyMemory<byte> Pixels => _pixels;

    /// <summary>An image of a tensor.</summary>
    /// <param name="tensor">Bytes, <c>[C, H, W]</c>.</param>
    /// <exception cref="ArgumentException">The tensor has another type or rank.</exception>
    public static PixelImage FromTensor(torch.Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (tensor.dtype != torch.ScalarType.Byte || tensor.ndim != 3)
        {
            throw new ArgumentException(
                $"the tensor is {tensor.dtype} of shape [{string.Join(", ", tensor.shape)}]; "
                + "it must be bytes of shape [C, H, W]", nameof(tensor));
        }
        using var scope = torch.NewDisposeScope();
        var bytes = tensor.cpu().permute(1, 2, 0).contiguous().bytes.ToArray();
        return new PixelImage(
            new ImageSize((int)tensor.shape[1], (int)tensor.shape[2]), (int)tensor.shape[0], bytes);
    }

    /// <summary>The image as a tensor.</summary>
    /// <returns>Bytes, <c>[C, H, W]</c>.</returns>
    public torch.Tensor ToTensor()
    {
        using var scope = torch.NewDisposeScope();
        return torch.tensor(_pixels, [Size.Height, Size.Width, Channels])
            .permute(2, 0, 1)
            .contiguous()
            .MoveToOuterDisposeScope();
    }

    /// <summary>The same picture, grey or coloured. Opacity is left out, as torchvision's loader does.</summary>
    /// <param name="channels">
    /// 1: grey, by the luma of ITU-R BT.601, <c>0.299 r + 0.587 g + 0.114 b</c>; 3: red, green, blue, all equal for grey ones.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">Another number of channels is asked for.</exception>
    public PixelImage WithChannels(int channels)
    {
        if (channels is not (1 or 3))
            throw new ArgumentOutOfRangeException(nameof(channels), channels, "pictures have 1 channel or 3");
        if (channels == Channels)
            return this;
        var result = new byte[(long)Size.Height * Size.Width * channels];
        var isGrey = Channels <= 2;
        for (int from = 0, to = 0; from < _pixels.Length; from += Channels, to += channels)
        {
            if (channels == 1)
                result[to] = isGrey ? _pixels[from] : Luma(_pixels[from], _pixels[from + 1], _pixels[from + 2]);
            else if (isGrey)
                result.AsSpan(to, 3).Fill(_pixels[from]);
            else
                _pixels.AsSpan(from, 3).CopyTo(result.AsSpan(to));
        }
        return new PixelImage(Size, channels, result);
    }

    /// <summary>
    /// The picture at another size, undistorted: what stands out beyond the wanted proportions is cut off evenly on both
    /// sides, and the rest is resized, bilinear with antialiasing.
    /// </summary>
    /// <param name="size">The size wanted.</param>
    public PixelImage Fit(ImageSize size)
    {
        if (size == Size)
            return this;
        var height = Math.Min(Size.Height, Proportional(Size.Width, size.Height, size.Width));
        var width = Math.Min(Size.Width, Proportional(Size.Height, size.Width, size.Height));
        using var scope = torch.NewDisposeScope();
        var cut = ToTensor()
            .narrow(1, (Size.Height - height) / 2, height)
            .narrow(2, (Size.Width - width) / 2, width);
        if (height == size.Height && width == size.Width)
            return FromTensor(cut);
        var resized = torch.nn.functional.interpolate(
            cut.to(torch.ScalarType.Float32).unsqueeze(0),
            [size.Height, size.Width],
            mode: torch.InterpolationMode.Bilinear,
            antialias: true);
        return FromTensor(resized.squeeze(0).round().clamp(0, 255).to(torch.ScalarType.Byte));
    }

    /// <summary>The side that goes with another as two sides go together, at least 1.</summary>
    private static int Proportional(int side, int part, int whole) =>
        (int)Math.Clamp((((long)side * part) + (whole / 2)) / whole, 1, int.MaxValue);

    private static byte Luma(byte red, byte green, byte blue) =>
        (byte)(((299 * red) + (587 * green) + (114 * blue) + 500) / 1000);
}
