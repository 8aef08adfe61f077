namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            /// <summary>softmax(q·kᵀ / √d + mask)·v; a mask of flags says where to look, a mask of numbers is added.</summary>
            public static Tensor scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask = null, double p = 0.0, bool is_casual = false)
            {
                if (is_casual && attn_mask is not null)
                    throw new ArgumentException("Attention takes either a mask or is_casual, not both.", nameof(attn_mask));
                if (Aten.Has("scaled_dot_product_attention"))
                    return Aten.Call("scaled_dot_product_attention", query, key, value, attn_mask, p, is_casual);

                using var scope = NewDisposeScope();
                var scores = matmul(query, key.transpose(-2, -1)).mul(1 / Math.Sqrt(query.shape[^1]));
                var seen = is_casual ? ones([query.shape[^2], key.shape[^2]], ScalarType.Bool, query.device).tril() : attn_mask;
                if (seen is not null)
                    scores = seen.dtype == ScalarType.Bool ? scores.masked_fill(seen.logical_not(), double.NegativeInfinity) : scores.add(seen);
                var weights = softmax(scores, -1);
                if (p > 0)
                    weights = dropout(weights, p);
                return matmul(weights, value).MoveToOuterDisposeScope();
            }
        }
    }
}
