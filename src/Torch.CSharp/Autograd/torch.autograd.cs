using static TorchSharp.TorchNative;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Gradients as values, and functions with gradients of one's own.</summary>
    public static unsafe partial class autograd
    {
        public static IList<Tensor> grad(
            IList<Tensor> outputs,
            IList<Tensor> inputs,
            IList<Tensor>? grad_outputs = null,
            bool retain_graph = false,
            bool create_graph = false,
            bool allow_unused = false)
        {
            var results = new nint[inputs.Count];
            BackwardErrors.Clear();
            fixed (nint* output = Handles(outputs), input = Handles(inputs), gradient = Handles(grad_outputs), result = results)
            {
                var succeeded = tn_grad(
                    output, outputs.Count, input, inputs.Count, gradient, grad_outputs?.Count ?? 0,
                    Flag(retain_graph), Flag(create_graph), Flag(allow_unused), result);
                KeepAlive(outputs, inputs, grad_outputs);
                BackwardErrors.Check(succeeded);
            }

            return [.. results.Select(handle => new Tensor(handle))];
        }

        public static void backward(
            IList<Tensor> tensors,
            IList<Tensor>? grad_tensors = null,
            bool? retain_graph = null,
            bool create_graph = false,
            IList<Tensor>? inputs = null)
        {
            BackwardErrors.Clear();
            fixed (nint* tensor = Handles(tensors), gradient = Handles(grad_tensors), input = Handles(inputs))
            {
                var succeeded = tn_backward(
                    tensor, tensors.Count, gradient, grad_tensors?.Count ?? 0,
                    Flag(retain_graph ?? create_graph), Flag(create_graph), input, inputs?.Count ?? 0);
                KeepAlive(tensors, grad_tensors, inputs);
                BackwardErrors.Check(succeeded);
            }
        }

        public static void backward(
            Tensor tensor,
            IList<Tensor>? grad_tensors = null,
            bool? retain_graph = null,
            bool create_graph = false,
            IList<Tensor>? inputs = null) =>
            backward([tensor], grad_tensors, retain_graph, create_graph, inputs);

        public static void backward(
            Tensor tensor,
            Tensor grad_tensor,
            bool? retain_graph = null,
            bool create_graph = false,
            IList<Tensor>? inputs = null) =>
            backward([tensor], [grad_tensor], retain_graph, create_graph, inputs);

        public static AnomalyMode detect_anomaly(bool check_nan = true) => new(true, check_nan);

        public static AnomalyMode set_detect_anomaly(bool mode, bool check_nan = true) => new(mode, check_nan);

        internal static nint[]? Handles(IEnumerable<Tensor?>? tensors) =>
            tensors?.Select(tensor => tensor is null || tensor.IsInvalid ? 0 : tensor.Handle).ToArray();

        private static byte Flag(bool value) => value ? (byte)1 : (byte)0;

        private static void KeepAlive(params ReadOnlySpan<object?> owners)
        {
            foreach (var owner in owners)
                GC.KeepAlive(owner);
        }
    }
}
