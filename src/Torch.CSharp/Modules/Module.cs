using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <summary>The base of every neural-network module: a tree of parameters, buffers and submodules.</summary>
        /// <remarks>
        /// A derived class keeps its parts in fields and calls <see cref="RegisterComponents"/> at the end of its
        /// constructor; the field's name, or its <see cref="ComponentNameAttribute"/>, becomes the part's name.
        /// </remarks>
        public partial class Module : IDisposable
        {
            private bool _training = true;
            private bool _disposed;

            /// <summary>The module's own name, for messages; it plays no part in the names of parameters.</summary>
            protected string? name;

            /// <summary>Makes an empty module in training mode.</summary>
            protected Module(string name) => this.name = name;

            ~Module() => Dispose(false);

            /// <summary>The module's own name.</summary>
            public virtual string GetName() => string.IsNullOrEmpty(name) ? GetType().Name : name;

            /// <summary>Whether the module is in training mode.</summary>
            public virtual bool training => _training;

            /// <summary>Puts the module and everything below it into training mode, or out of it.</summary>
            public virtual void train(bool train = true)
            {
                _training = train;
                foreach (var (_, child) in named_children())
                    child.train(train);
            }

            /// <summary>Puts the module and everything below it into evaluation mode.</summary>
            public virtual void eval() => train(false);

            /// <summary>Calls <paramref name="fn"/> on every submodule, deepest first, and then on the module itself.</summary>
            public virtual Module apply(Action<Module> fn)
            {
                foreach (var (_, child) in _internal_submodules)
                    child.apply(fn);
                fn(this);
                return this;
            }

            /// <summary>Forgets the gradients of all parameters, or fills them with zeros.</summary>
            public virtual void zero_grad(bool set_to_none = true)
            {
                foreach (var (_, parameter) in named_parameters())
                {
                    using var grad = parameter.grad;
                    if (grad is null)
                        continue;
                    if (set_to_none)
                        parameter.grad = null;
                    else
                        grad.zero_();
                }
            }

            /// <summary>Frees the parameters and buffers of the module and of everything below it.</summary>
            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            /// <summary>Frees the tensors; from the finaliser nothing is done, since every tensor has its own.</summary>
            protected virtual void Dispose(bool disposing)
            {
                if (!disposing || _disposed)
                    return;
                _disposed = true;
                foreach (var (_, (buffer, _)) in _internal_buffers)
                    buffer.DetachFromDisposeScope().Dispose();
                foreach (var (_, parameter) in named_parameters(false))
                    parameter.DetachFromDisposeScope().Dispose();
                foreach (var (_, child) in named_children())
                    child.Dispose();
            }
        }
    }
}
