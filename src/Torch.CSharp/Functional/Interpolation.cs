namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            /// <summary>Resizes the spatial dimensions of (N, C, ...) to a size or by a factor of each dimension.</summary>
            /// <exception cref="ArgumentException">Not exactly one of size and factor is given, or the mode does not suit the input.</exception>
            public static Tensor interpolate(Tensor x, long[]? size = null, double[]? scale_factor = null, InterpolationMode mode = InterpolationMode.Nearest, bool? align_corners = null, bool recompute_scale_factor = false, bool antialias = false)
            {
                var spatial = (int)x.ndim - 2;
                if (spatial is < 1 or > 3)
                    throw new ArgumentException($"interpolate needs (N, C, ...) with one to three spatial dimensions, not {x.ndim} dimensions.", nameof(x));
                if ((size is null) == (scale_factor is null))
                    throw new ArgumentException("interpolate needs either size or scale_factor, and not both.", nameof(size));
                var shape = x.shape;
                // One number stands for all dimensions.
                if (size is [var side])
                    size = [.. Enumerable.Repeat(side, spatial)];
                if (scale_factor is [var factor])
                    scale_factor = [.. Enumerable.Repeat(factor, spatial)];
                if (scale_factor is not null && (recompute_scale_factor || mode == InterpolationMode.Area))
                {
                    size = [.. scale_factor.Select((scale, dimension) => (long)Math.Floor(shape[dimension + 2] * scale))];
                    scale_factor = null;
                }
                if (antialias && (spatial != 2 || mode is not (InterpolationMode.Bilinear or InterpolationMode.Bicubic)))
                    throw new ArgumentException($"Antialiasing is for bilinear and bicubic resizing of images only, not for {mode} of {spatial} dimensions.", nameof(antialias));

                var corners = align_corners ?? false;
                return (mode, spatial) switch
                {
                    (InterpolationMode.Area, _) => Aten.Call($"adaptive_avg_pool{spatial}d", x, size),
                    (InterpolationMode.Nearest, _) => Aten.Call($"upsample_nearest{spatial}d.vec", x, size, scale_factor),
                    (InterpolationMode.NearestExact, _) => Aten.Call($"_upsample_nearest_exact{spatial}d.vec", x, size, scale_factor),
                    (InterpolationMode.Linear, 1) => Aten.Call("upsample_linear1d.vec", x, size, corners, scale_factor),
                    (InterpolationMode.Bilinear, 2) => Aten.Call(antialias ? "_upsample_bilinear2d_aa.vec" : "upsample_bilinear2d.vec", x, size, corners, scale_factor),
                    (InterpolationMode.Bicubic, 2) => Aten.Call(antialias ? "_upsample_bicubic2d_aa.vec" : "upsample_bicubic2d.vec", x, size, corners, scale_factor),
                    (InterpolationMode.Trilinear, 3) => Aten.Call("upsample_trilinear3d.vec", x, size, corners, scale_factor),
                    _ => throw new ArgumentException($"Mode {mode} is not for inputs of {spatial} spatial dimensions.", nameof(mode)),
                };
            }
        }
    }
}
