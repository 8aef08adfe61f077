using System.Globalization;
using System.Text;
using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>Writes the elements of a tensor in the styles of <see cref="TensorStringStyle"/>.</summary>
internal sealed class TensorPrinter(string format, int width, CultureInfo culture, string newLine)
{
    private const string Ellipsis = "...";

    /// <summary>Matrix after matrix, each under its place; columns as wide as their widest element.</summary>
    internal string Julia(Tensor tensor)
    {
        var text = new StringBuilder(tensor.ToString());
        switch (tensor.Dimensions)
        {
            case 0:
                return text.Append(", value = ").Append(Element(tensor)).ToString();
            case 1:
                text.Append(newLine);
                using (var row = tensor.unsqueeze(0))
                    AppendMatrix(text, row);
                break;
            case 2:
                text.Append(newLine);
                AppendMatrix(text, tensor);
                break;
            default:
                AppendMatrices(text, tensor, "");
                break;
        }

        return text.ToString();
    }

    /// <summary>Nested brackets; long dimensions show their ends only.</summary>
    internal string Numpy(Tensor tensor) =>
        Nested(tensor, new Notation("[", "]", ", ", "", dimensions => string.Concat(Enumerable.Repeat(newLine, (int)dimensions - 1))), tensor.Dimensions);

    /// <summary>An initialiser of an array; long dimensions show their ends only.</summary>
    internal string CSharp(Tensor tensor)
    {
        var (name, suffix) = tensor.dtype switch
        {
            ScalarType.Bool => ("bool", ""),
            ScalarType.Byte => ("byte", ""),
            ScalarType.Int8 => ("sbyte", ""),
            ScalarType.Int16 => ("short", ""),
            ScalarType.Int32 => ("int", ""),
            ScalarType.Int64 => ("long", "L"),
            ScalarType.Float16 => ("float16", "f"),
            ScalarType.BFloat16 => ("bfloat16", "f"),
            ScalarType.Float32 => ("float", "f"),
            ScalarType.Float64 => ("double", ""),
            ScalarType.ComplexFloat32 => ("complex32", ""),
            _ => ("complex64", ""),
        };
        var head = $"{tensor}, value = ";
        if (tensor.Dimensions == 0)
            return head + Element(tensor);
        var type = $"{name} [{new string(',', (int)tensor.Dimensions - 1)}] ";
        var items = Nested(tensor, new Notation("{", "}", ", ", suffix, _ => "," + newLine), tensor.Dimensions);
        return tensor.Dimensions == 1
            ? head + type + items
            : $"{head}{newLine}{type}{{{newLine} {items[1..^1]}{newLine}}}";
    }

    private void AppendMatrices(StringBuilder text, Tensor tensor, string place)
    {
        for (var i = 0L; i < tensor.size(0); i++)
        {
            using var part = tensor[i];
            if (part.Dimensions > 2)
            {
                AppendMatrices(text, part, place + i + ",");
                continue;
            }

            text.Append(newLine).Append(culture, $"[{place}{i},..,..] =").Append(newLine);
            AppendMatrix(text, part);
        }
    }

    private void AppendMatrix(StringBuilder text, Tensor matrix)
    {
        var rows = Enumerable.Range(0, (int)matrix.size(0)).Select(i => Row(matrix, i)).ToList();
        var columns = rows.Count == 0 ? 0 : rows.Min(row => row.Count);
        var widths = Enumerable.Range(0, columns).Select(j => rows.Max(row => row[j].Length)).ToArray();
        foreach (var row in rows)
        {
            for (var j = 0; j < columns; j++)
                text.Append(' ').Append(row[j].PadLeft(widths[j]));
            text.Append(columns < matrix.size(1) ? " " + Ellipsis : "").Append(newLine);
        }
    }

    /// <summary>As many elements of a row as leave room for an ellipsis.</summary>
    private List<string> Row(Tensor matrix, int row)
    {
        var elements = new List<string>();
        var left = width;
        for (var j = 0L; j < matrix.size(1); j++)
        {
            using var element = matrix[row, j];
            var text = Element(element);
            if (left < text.Length + Ellipsis.Length + 1)
                break;
            elements.Add(text);
            left -= text.Length + 1;
        }

        return elements;
    }

    private string Nested(Tensor tensor, Notation notation, long depth)
    {
        var dimensions = tensor.Dimensions;
        if (dimensions == 0)
            return Element(tensor) + notation.Suffix;
        var count = tensor.size(0);
        var most = dimensions == 1 ? MaxColumns : MaxRows;
        var trailing = most / 2;
        var leading = most - trailing;
        var indent = dimensions == 1 ? "" : new string(' ', (int)(depth - dimensions + 1));
        var text = new StringBuilder(notation.Open);
        for (var i = 0L; i < count; i++)
        {
            if (count > most && i == leading)
            {
                text.Append(dimensions == 1 ? Ellipsis + " " : new string(' ', (int)(depth - dimensions)) + " " + Ellipsis
                    + (notation.Open == "[" ? notation.Between(dimensions) : newLine));
                i = count - trailing;
            }

            using var part = tensor[i];
            text.Append(i == 0 ? "" : indent).Append(Nested(part, notation, depth));
            if (i < count - 1)
                text.Append(dimensions == 1 ? notation.Comma : notation.Between(dimensions));
        }

        return text.Append(notation.Close).ToString();
    }

    private string Element(Tensor element)
    {
        using var value = element.ToScalar();
        return element.dtype switch
        {
            ScalarType.Bool => value.ToBoolean().ToString(culture),
            ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float32 => value.ToSingle().ToString(format, culture),
            ScalarType.Float64 => value.ToDouble().ToString(format, culture),
            ScalarType.ComplexFloat32 or ScalarType.ComplexFloat64 => Complex(value.ToComplexFloat64()),
            _ => value.ToInt64().ToString(culture),
        };
    }

    private string Complex(System.Numerics.Complex value)
    {
        var imaginary = value.Imaginary.ToString(format, culture) + "i";
        return value switch
        {
            { Imaginary: 0 } => value.Real.ToString(format, culture),
            { Real: 0 } => imaginary,
            _ => value.Real.ToString(format, culture) + "+" + imaginary,
        };
    }

    /// <param name="Open">Before the parts of a dimension.</param>
    /// <param name="Close">After them.</param>
    /// <param name="Comma">Between elements.</param>
    /// <param name="Suffix">After each element.</param>
    /// <param name="Between">Between the parts of a tensor with that many dimensions, two or more.</param>
    private sealed record Notation(string Open, string Close, string Comma, string Suffix, Func<long, string> Between);
}
