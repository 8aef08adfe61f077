namespace TorchSharp;

public static partial class torch
{
    // Products of vectors and matrices.
    public partial class Tensor
    {
        public Tensor bmm(Tensor batch2) => Aten.Call("bmm", this, batch2);

        public Tensor ger(Tensor vec2) => Aten.Call("ger", this, vec2);

        public Tensor inner(Tensor vec2) => Aten.Call("inner", this, vec2);

        public Tensor inverse() => Aten.Call("inverse", this);

        public Tensor kron(Tensor other) => Aten.Call("kron", this, other);

        public Tensor outer(Tensor vec2) => Aten.Call("outer", this, vec2);

        public Tensor renorm(float p, long dim, float maxnorm) => Aten.Call("renorm", this, (double)p, dim, (double)maxnorm);

        public Tensor cholesky(bool upper = false) => Aten.Call("cholesky", this, upper);

        public Tensor cholesky_inverse(bool upper = false) => Aten.Call("cholesky_inverse", this, upper);

        public Tensor cholesky_solve(Tensor input2, bool upper = false) => Aten.Call("cholesky_solve", this, input2, upper);

        public Tensor det() => Aten.Call("det", this);

        public Tensor dot(Tensor target) => Aten.Call("dot", this, target);

        public Tensor logdet() => Aten.Call("logdet", this);

        public Tensor matmul(Tensor target) => Aten.Call("matmul", this, target);

        public Tensor matrix_exp() => Aten.Call("matrix_exp", this);

        public Tensor matrix_power(int n) => Aten.Call("matrix_power", this, n);

        public Tensor mm(Tensor target) => Aten.Call("mm", this, target);

        public Tensor mv(Tensor target) => Aten.Call("mv", this, target);

        public Tensor ormqr(Tensor tau, Tensor other, bool left = true, bool transpose = false) =>
            Aten.Call("ormqr", this, tau, other, left, transpose);

        public Tensor pinverse(double rcond = 1e-15, bool hermitian = false) =>
            Aten.Call("linalg_pinv", this, rcond, hermitian);

        public Tensor tensordot(Tensor b, (long, long)[] dims) =>
            tensordot(b, [.. dims.Select(pair => pair.Item1)], [.. dims.Select(pair => pair.Item2)]);

        public Tensor tensordot(Tensor b, long dims = 2)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(dims);
            return tensordot(b, [.. Enumerable.Range(0, (int)dims).Select(i => ndim - dims + i)], [.. Enumerable.Range(0, (int)dims).Select(i => (long)i)]);
        }

        public Tensor tensordot(Tensor b, long[] dims1, long[] dims2) => Aten.Call("tensordot", this, b, dims1, dims2);

        public Tensor vdot(Tensor target) => Aten.Call("vdot", this, target);
    }
}
