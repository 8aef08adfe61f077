namespace TorchSharp;

// Several tensors made one, and grids.
public static partial class torch
{
    public static Tensor cat(IList<Tensor> tensors, long dim = 0) => Concatenated([.. tensors], dim);

    public static Tensor cat(Tensor[] tensors, long dim = 0) => Concatenated(tensors, dim);

    public static Tensor cat(ReadOnlySpan<Tensor> tensors, long dim = 0) => Concatenated(tensors.ToArray(), dim);

    public static Tensor concat(IList<Tensor> tensors, long dim = 0) => cat(tensors, dim);

    public static Tensor concat(Tensor[] tensors, long dim = 0) => cat(tensors, dim);

    public static Tensor concat(ReadOnlySpan<Tensor> tensors, long dim = 0) => cat(tensors, dim);

    public static Tensor concatenate(IList<Tensor> tensors, long axis = 0) => cat(tensors, axis);

    public static Tensor concatenate(Tensor[] tensors, long axis = 0) => cat(tensors, axis);

    public static Tensor concatenate(ReadOnlySpan<Tensor> tensors, long axis = 0) => cat(tensors, axis);

    public static Tensor stack(IEnumerable<Tensor> tensors, long dim = 0) => Aten.Call("stack", tensors.ToArray(), dim);

    public static Tensor hstack(IEnumerable<Tensor> tensors) => Aten.Call("hstack", tensors.ToArray());

    public static Tensor hstack(IList<Tensor> tensors) => Aten.Call("hstack", tensors.ToArray());

    public static Tensor hstack(params Tensor[] tensors) => Aten.Call("hstack", tensors);

    public static Tensor hstack(ReadOnlySpan<Tensor> tensors) => Aten.Call("hstack", tensors.ToArray());

    public static Tensor vstack(IList<Tensor> tensors) => Aten.Call("vstack", tensors.ToArray());

    public static Tensor vstack(Tensor[] tensors) => Aten.Call("vstack", tensors);

    public static Tensor vstack(ReadOnlySpan<Tensor> tensors) => Aten.Call("vstack", tensors.ToArray());

    public static Tensor dstack(IEnumerable<Tensor> tensors) => Aten.Call("dstack", tensors.ToArray());

    public static Tensor dstack(IList<Tensor> tensors) => Aten.Call("dstack", tensors.ToArray());

    public static Tensor dstack(params Tensor[] tensors) => Aten.Call("dstack", tensors);

    public static Tensor dstack(ReadOnlySpan<Tensor> tensors) => Aten.Call("dstack", tensors.ToArray());

    public static Tensor column_stack(IList<Tensor> tensors) => Aten.Call("column_stack", tensors.ToArray());

    public static Tensor column_stack(params Tensor[] tensors) => Aten.Call("column_stack", tensors);

    public static Tensor column_stack(ReadOnlySpan<Tensor> tensors) => Aten.Call("column_stack", tensors.ToArray());

    public static Tensor row_stack(IList<Tensor> tensors) => Aten.Call("row_stack", tensors.ToArray());

    public static Tensor row_stack(params Tensor[] tensors) => Aten.Call("row_stack", tensors);

    public static Tensor row_stack(ReadOnlySpan<Tensor> tensors) => Aten.Call("row_stack", tensors.ToArray());

    public static Tensor block_diag(params Tensor[] tensors) => Aten.Call("block_diag", tensors);

    public static Tensor cartesian_prod(IList<Tensor> tensors) => Aten.Call("cartesian_prod", tensors.ToArray());

    public static Tensor cartesian_prod(params Tensor[] tensors) => Aten.Call("cartesian_prod", tensors);

    public static Tensor cartesian_prod(ReadOnlySpan<Tensor> tensors) => Aten.Call("cartesian_prod", tensors.ToArray());

    public static Tensor combinations(Tensor input, int r = 2, bool with_replacement = false) =>
        Aten.Call("combinations", input, r, with_replacement);

    public static Tensor[] meshgrid(IEnumerable<Tensor> tensors, string indexing = "ij") =>
        Aten.CallList("meshgrid.indexing", tensors.ToArray(), indexing);

    public static IList<Tensor> broadcast_tensors(params Tensor[] tensors) => Aten.CallList("broadcast_tensors", tensors);

    public static Size broadcast_shapes(params long[][] shapes)
    {
        var rank = shapes.Max(shape => shape.Length);
        var result = new long[rank];
        Array.Fill(result, 1);
        foreach (var shape in shapes)
        {
            for (var i = 0; i < shape.Length; i++)
            {
                var place = rank - shape.Length + i;
                if (shape[i] == 1 || shape[i] == result[place])
                    continue;
                if (result[place] != 1)
                {
                    throw new ArgumentException(
                        $"the shapes [{string.Join("], [", shapes.Select(s => string.Join(", ", s)))}] differ in dimension "
                        + $"{place}: {result[place]} and {shape[i]}; they must be equal there, or one of them 1",
                        nameof(shapes));
                }

                result[place] = shape[i];
            }
        }

        return new Size(result);
    }

    public static IEnumerable<Tensor> atleast_1d(params Tensor[] input) => input.Select(tensor => tensor.atleast_1d());

    public static IEnumerable<Tensor> atleast_2d(params Tensor[] input) => input.Select(tensor => tensor.atleast_2d());

    public static IEnumerable<Tensor> atleast_3d(params Tensor[] input) => input.Select(tensor => tensor.atleast_3d());

    public static Tensor einsum(string equation, params Tensor[] tensors) => Aten.Call("einsum", equation, tensors);

    public static Tensor chain_matmul(params Tensor[] matrices) => Aten.Call("chain_matmul", matrices);

    public static Tensor complex(Tensor real, Tensor imag) => Aten.Call("complex", real, imag);

    public static Tensor polar(Tensor abs, Tensor angle) => Aten.Call("polar", abs, angle);

    public static Tensor real(Tensor input) => input.real;

    public static Tensor imag(Tensor input) => input.imag;

    public static Tensor where(Tensor condition, Tensor x, Tensor y) => x.where(condition, y);

    public static Tensor[] where(Tensor condition) => Aten.CallList("where", condition);

    public static Tensor gather(Tensor input, long dim, Tensor index, bool sparse_grad = false) =>
        Aten.Call("gather", input, dim, index, sparse_grad);

    public static Tensor movedim(Tensor input, long source, long destination) => input.movedim([source], [destination]);

    public static Tensor moveaxis(Tensor input, long source, long destination) => input.moveaxis([source], [destination]);

    public static Tensor[] unbind(Tensor tensor, int dim = 0) => tensor.unbind(dim);

    public static Tensor softmax(Tensor input, int dim, ScalarType? dtype = null) => input.softmax(dim, dtype);

    public static Tensor norm(Tensor input) => input.norm();

    public static Tensor negative_(Tensor input) => input.neg_();

    public static Tensor multiply_(Tensor left, Tensor right) => left.mul_(right);

    public static Tensor multiply_(Tensor left, Scalar right) => left.mul_(right);

    public static Tensor divide_(Tensor left, Scalar right) => left.divide_(right);

    public static Tensor trapz(Tensor y, double dx = 1, long dim = -1) => y.trapezoid(dx, dim);

    public static Tensor trapz(Tensor y, Tensor x, long dim = -1) => y.trapezoid(x, dim);

    private static Tensor Concatenated(Tensor[] tensors, long dim) => tensors.Length switch
    {
        0 => throw new ArgumentException("There is nothing to concatenate.", nameof(tensors)),
        1 => tensors[0].alias(),
        _ => Aten.Call("cat", tensors, dim),
    };
}
