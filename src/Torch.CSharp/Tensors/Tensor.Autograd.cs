using static TorchSharp.TorchNative;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public bool is_leaf => Alive(tn_tensor_is_leaf(Handle)) != 0;

        public bool requires_grad
        {
            get => Alive(tn_tensor_requires_grad(Handle)) != 0;
            set => Check(Alive(tn_tensor_set_requires_grad(Handle, value ? (byte)1 : (byte)0)));
        }

        public Tensor requires_grad_(bool requires_grad = true)
        {
            this.requires_grad = requires_grad;
            return this;
        }

        public Tensor with_requires_grad(bool requires_grad = true)
        {
            this.requires_grad = requires_grad;
            return this;
        }

        public void retain_grad() => Aten.Run("retain_grad", this);

        public Tensor? grad
        {
            get
            {
                var gradient = Alive(tn_tensor_grad(Handle));
                return gradient == 0 ? null : new Tensor(gradient);
            }

            set
            {
                Check(Alive(tn_tensor_set_grad(Handle, value is null ? 0 : value.Handle)));
                GC.KeepAlive(value);
            }
        }

        public void backward() => autograd.backward([this]);

        public void backward(
            IList<Tensor>? grad_tensors = null,
            bool retain_graph = false,
            bool create_graph = false,
            IList<Tensor>? inputs = null) =>
            autograd.backward([this], grad_tensors, retain_graph, create_graph, inputs);

        /// <summary>Replaces the data, keeping identity, graph and gradient: for parameters that move or change type.</summary>
        internal void SetData(Tensor data)
        {
            Check(Alive(tn_tensor_set_data(Handle, data.Handle)));
            GC.KeepAlive(data);
        }
    }
}
