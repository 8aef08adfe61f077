namespace LocalAttention.Core.Export;

/// <summary>ONNX's operators, as far as backbones need them, with the shapes that they give.</summary>
internal sealed partial class OnnxGraph
{
    /// <summary>The version of ONNX's operators that is written: the first with layer norms.</summary>
    public const int OperatorSet = 17;

    /// <summary><c>a + b</c>, broadcast as in NumPy.</summary>
    public OnnxValue Add(OnnxValue left, OnnxValue right) => Pointwise("Add", left, right);

    /// <summary><c>a - b</c>, broadcast as in NumPy.</summary>
    public OnnxValue Subtract(OnnxValue left, OnnxValue right) => Pointwise("Sub", left, right);

    /// <summary><c>a · b</c>, broadcast as in NumPy.</summary>
    public OnnxValue Multiply(OnnxValue left, OnnxValue right) => Pointwise("Mul", left, right);

    /// <summary><c>a / b</c>, broadcast as in NumPy.</summary>
    public OnnxValue Divide(OnnxValue left, OnnxValue right) => Pointwise("Div", left, right);

    /// <summary>An operator of every element alone: <c>Erf</c>, <c>Relu</c>, <c>Sigmoid</c>.</summary>
    public OnnxValue Each(string operation, OnnxValue value) => Apply(operation, [value], value.Shape);

    /// <summary>The product of matrices in the last two dimensions; those before are broadcast.</summary>
    public OnnxValue MatrixProduct(OnnxValue left, OnnxValue right)
    {
        var before = Broadcast([.. left.Shape.SkipLast(2)], [.. right.Shape.SkipLast(2)]);
        return Apply("MatMul", [left, right], [.. before, left.Shape[^2], right.Shape[^1]]);
    }

    /// <summary>Other dimensions for the same elements. The first may be <see cref="OnnxValue.FromBatch"/>.</summary>
    public OnnxValue Reshape(OnnxValue value, params long[] shape) =>
        value.Shape.SequenceEqual(shape) ? value : Apply("Reshape", [value, Integers("shape", shape)], shape);

    /// <summary>The dimensions in another order.</summary>
    public OnnxValue Transpose(OnnxValue value, params long[] order) => Apply(
        "Transpose", [value], [.. order.Select(axis => value.Shape[(int)axis])], OnnxAttribute.Of("perm", order));

    /// <summary>From tokens <c>[B, H, W, C]</c> to <c>[B, C, H, W]</c>.</summary>
    public OnnxValue ChannelsFirst(OnnxValue map) => Transpose(map, 0, 3, 1, 2);

    /// <summary>From <c>[B, C, H, W]</c> to tokens <c>[B, H, W, C]</c>.</summary>
    public OnnxValue ChannelsLast(OnnxValue map) => Transpose(map, 0, 2, 3, 1);

    /// <summary>The places of one dimension that constant indices name, in a dimension of their own where they are a matrix.</summary>
    /// <param name="value">What is picked from.</param>
    /// <param name="axis">The dimension.</param>
    /// <param name="places">The indices, row by row.</param>
    /// <param name="perRow">Columns of the matrix of indices; none: a list.</param>
    public OnnxValue Gather(OnnxValue value, int axis, long[] places, int? perRow = null)
    {
        long[] picked = perRow is { } columns ? [places.Length / columns, columns] : [places.Length];
        var flat = Apply(
            "Gather", [value, Integers("places", places)],
            [.. value.Shape.Take(axis), places.Length, .. value.Shape.Skip(axis + 1)], OnnxAttribute.Of("axis", axis));
        return Reshape(flat, [.. value.Shape.Take(axis), .. picked, .. value.Shape.Skip(axis + 1)]);
    }

    /// <summary>Part of one dimension.</summary>
    public OnnxValue Slice(OnnxValue value, int axis, long begin, long end) => Apply(
        "Slice",
        [value, Integers("begin", begin), Integers("end", end), Integers("axes", axis)],
        [.. value.Shape.Take(axis), end - begin, .. value.Shape.Skip(axis + 1)]);

    /// <summary>Equal parts of the last dimension.</summary>
    public OnnxValue[] Split(OnnxValue value, int parts)
    {
        long[] shape = [.. value.Shape.SkipLast(1), value.Width / parts];
        var name = _content.NameFor(Within("Split"));
        var outputs = Enumerable.Range(1, parts)
            .Select(part => new OnnxValue(_content.NameFor($"{name}, part {part}"), shape))
            .ToArray();
        AddNode("Split", name, [value], outputs, [OnnxAttribute.Of("axis", value.Shape.Count - 1)]);
        return outputs;
    }

    /// <summary>Values side by side along one dimension.</summary>
    public OnnxValue Join(int axis, params OnnxValue[] values) => Apply(
        "Concat",
        values,
        [.. values[0].Shape.Take(axis), values.Sum(value => value.Shape[axis]), .. values[0].Shape.Skip(axis + 1)],
        OnnxAttribute.Of("axis", axis));

    /// <summary>A constant around tokens <c>[B, H, W, C]</c> or images <c>[B, C, H, W]</c>.</summary>
    /// <param name="map">What is padded.</param>
    /// <param name="vertical">The dimension of the height; that of the width follows it.</param>
    /// <param name="top">Rows before.</param>
    /// <param name="left">Columns before.</param>
    /// <param name="bottom">Rows behind.</param>
    /// <param name="right">Columns behind.</param>
    /// <param name="constant">What stands there.</param>
    public OnnxValue Pad(OnnxValue map, int vertical, long top, long left, long bottom, long right, double constant = 0)
    {
        if (top + left + bottom + right == 0)
        {
            return map;
        }
        var pads = new long[8];
        (pads[vertical], pads[vertical + 1], pads[4 + vertical], pads[5 + vertical]) = (top, left, bottom, right);
        var shape = map.Shape.Select((size, axis) => size == OnnxValue.FromBatch ? size : size + pads[axis] + pads[4 + axis]);
        return Apply("Pad", [map, Integers("padding", pads), Number(constant)], [.. shape]);
    }

    /// <summary>A convolution of <c>[B, C, H, W]</c>.</summary>
    /// <param name="map">What is convolved.</param>
    /// <param name="weight"><c>[C', C / groups, k, k]</c>.</param>
    /// <param name="bias"><c>[C']</c>, or none.</param>
    /// <param name="stride">Step of the kernel.</param>
    /// <param name="padding">Zeros on each side.</param>
    /// <param name="groups">Groups of channels that do not mix.</param>
    public OnnxValue Convolve(OnnxValue map, OnnxValue weight, OnnxValue? bias, int stride = 1, int padding = 0, int groups = 1)
    {
        long kernel = weight.Shape[2];
        long Along(long length) => ((length + (2 * padding) - kernel) / stride) + 1;
        return Apply(
            "Conv",
            bias is null ? [map, weight] : [map, weight, bias],
            [map.Shape[0], weight.Shape[0], Along(map.Shape[2]), Along(map.Shape[3])],
            OnnxAttribute.Of("kernel_shape", kernel, kernel),
            OnnxAttribute.Of("strides", stride, stride),
            OnnxAttribute.Of("pads", padding, padding, padding, padding),
            OnnxAttribute.Of("group", groups));
    }

    /// <summary>The softmax of the last dimension.</summary>
    public OnnxValue Softmax(OnnxValue value) => Apply("Softmax", [value], value.Shape, OnnxAttribute.Of("axis", -1L));

    /// <summary>The sum over some dimensions, which go.</summary>
    public OnnxValue Sum(OnnxValue value, params int[] axes) => Apply(
        "ReduceSum",
        [value, Integers("axes", [.. axes.Select(axis => (long)axis)])],
        Without(value.Shape, axes),
        OnnxAttribute.Of("keepdims", 0L));

    /// <summary>The largest along some dimensions, which stay, of size one.</summary>
    public OnnxValue Largest(OnnxValue value, params int[] axes) => Apply(
        "ReduceMax",
        [value],
        [.. value.Shape.Select((size, axis) => axes.Contains(axis) ? 1 : size)],
        OnnxAttribute.Of("axes", [.. axes.Select(axis => (long)axis)]));

    /// <summary>The mean over some dimensions, which go.</summary>
    public OnnxValue Mean(OnnxValue value, params int[] axes) => Apply(
        "ReduceMean",
        [value],
        Without(value.Shape, axes),
        OnnxAttribute.Of("axes", [.. axes.Select(axis => (long)axis)]),
        OnnxAttribute.Of("keepdims", 0L));

    /// <summary>A constant <c>[1, …]</c> once for each image of a value: <c>[B, …]</c>.</summary>
    public OnnxValue ForEachImage(OnnxValue constant, OnnxValue like)
    {
        var batch = Apply("Shape", [like], [1], OnnxAttribute.Of("start", 0L), OnnxAttribute.Of("end", 1L));
        var shape = Apply(
            "Concat", [batch, Integers("shape", [.. constant.Shape.Skip(1)])], [constant.Shape.Count], OnnxAttribute.Of("axis", 0L));
        return Apply("Expand", [constant, shape], [OnnxValue.FromBatch, .. constant.Shape.Skip(1)]);
    }

    private OnnxValue Pointwise(string operation, OnnxValue left, OnnxValue right) =>
        Apply(operation, [left, right], Broadcast(left.Shape, right.Shape));

    private static long[] Broadcast(IReadOnlyList<long> left, IReadOnlyList<long> right)
    {
        var shape = new long[Math.Max(left.Count, right.Count)];
        for (var back = 1; back <= shape.Length; back++)
        {
            var (one, other) = (back <= left.Count ? left[^back] : 1, back <= right.Count ? right[^back] : 1);
            if (one != other && one != 1 && other != 1)
            {
                throw new InvalidOperationException($"[{string.Join(", ", left)}] and [{string.Join(", ", right)}] do not broadcast");
            }
            shape[^back] = one == 1 ? other : one;
        }
        return shape;
    }

    private static long[] Without(IReadOnlyList<long> shape, int[] axes) =>
        [.. shape.Where((_, axis) => !axes.Contains(axis))];
}
