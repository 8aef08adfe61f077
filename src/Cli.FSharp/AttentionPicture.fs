namespace LocalAttention.Cli

open System
open LocalAttention.Core.Data
open TorchSharp

/// Attention over the image that it looks at.
[<RequireQualifiedAccess>]
module AttentionPicture =
    /// From nothing to the most: dark, violet, orange, pale; lighter is more for every eye.
    let private stops =
        [| 0.0, (10.0, 8.0, 40.0)
           0.35, (120.0, 30.0, 110.0)
           0.7, (235.0, 105.0, 40.0)
           1.0, (252.0, 250.0, 180.0) |]

    let private colour (share: float) =
        let index =
            stops
            |> Array.findIndexBack (fun (at, _) -> at <= share)
            |> min (stops.Length - 2)

        let first, (r, g, b) = stops[index]
        let last, (r', g', b') = stops[index + 1]
        let part = (share - first) / (last - first)
        r + part * (r' - r), g + part * (g' - g), b + part * (b' - b)

    /// How much of the picture is the map; the rest is the image, in grey.
    let private opacity = 0.6

    /// <summary>The image in grey under a map in colours; the map's largest number has the lightest.</summary>
    /// <remarks>Images below 128 pixels are enlarged by a whole factor, so that there is something to see.</remarks>
    /// <param name="image">The image as the model saw it.</param>
    /// <param name="map">Numbers of 0 or more, <c>[h, w]</c>, of any size; brought to the image's, bilinear.</param>
    let draw (image: PixelImage) (map: torch.Tensor) : PixelImage =
        use _ = torch.NewDisposeScope()
        let enlarged = max 1 (256 / max image.Size.Height image.Size.Width)
        let size = image.Size.Times enlarged

        let wide =
            torch.nn.functional
                .interpolate(
                    map.``to``(torch.ScalarType.Float64).unsqueeze(0).unsqueeze(0),
                    size = [| int64 size.Height; int64 size.Width |],
                    mode = torch.InterpolationMode.Bilinear,
                    align_corners = Nullable false
                )
                .flatten()

        let shares = wide.data<float>().ToArray()
        let most = Array.max shares
        let grey = image.WithChannels(1).Fit size
        let pixels = Array.zeroCreate (3 * shares.Length)

        for index in 0 .. shares.Length - 1 do
            let red, green, blue =
                colour (
                    if most > 0.0 then
                        Math.Clamp(shares[index] / most, 0.0, 1.0)
                    else
                        0.0
                )

            let below = (1.0 - opacity) * float grey.Pixels.Span[index]

            for channel, value in [ 0, red; 1, green; 2, blue ] do
                pixels[3 * index + channel] <- byte (Math.Round(below + opacity * value))

        PixelImage(size, 3, pixels)
