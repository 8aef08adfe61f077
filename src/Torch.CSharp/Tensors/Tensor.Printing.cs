using System.ComponentModel;
using System.Globalization;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>Shape, element type and device.</summary>
        public override string ToString() =>
            string.Create(
                CultureInfo.InvariantCulture,
                $"[{string.Join('x', shape)}], type = {dtype}, device = {device}");

        /// <summary>The elements too, if <paramref name="disamb"/>, in the style set for all tensors.</summary>
        public string ToString(
            bool disamb, string? fltFormat = null, int? width = null, CultureInfo? cultureInfo = null, string? newLine = null) =>
            disamb ? ToString(TensorStringStyle.Default, fltFormat, width, cultureInfo, newLine) : ToString();

        /// <summary>The tensor in a style; what is not given is as <see cref="set_printoptions(TensorStringStyle?, string?, int?, string?, int?, int?)"/> says.</summary>
        public string ToString(
            TensorStringStyle style, string? fltFormat = null, int? width = null, CultureInfo? cultureInfo = null, string? newLine = null)
        {
            if (style == TensorStringStyle.Default)
                style = torch.TensorStringStyle;
            if (device_type == DeviceType.META)
                style = TensorStringStyle.Metadata;
            var printer = new TensorPrinter(
                fltFormat ?? FloatFormat, width ?? LineWidth, cultureInfo ?? CultureInfo.CurrentCulture, newLine ?? NewLine);
            return style switch
            {
                TensorStringStyle.Metadata => ToString(),
                TensorStringStyle.Julia => printer.Julia(this),
                TensorStringStyle.Numpy => printer.Numpy(this),
                TensorStringStyle.CSharp => printer.CSharp(this),
                _ => throw new InvalidEnumArgumentException(nameof(style), (int)style, typeof(TensorStringStyle)),
            };
        }
    }
}
