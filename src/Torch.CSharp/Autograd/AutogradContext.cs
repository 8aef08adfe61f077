namespace TorchSharp;

public static partial class torch
{
    public static unsafe partial class autograd
    {
        /// <summary>What the forward pass of a custom function leaves for its backward pass.</summary>
        public class AutogradContext : IDisposable
        {
            private readonly Dictionary<string, object?> data = [];
            private readonly Lock gate = new();
            private nint native;
            private int savedCount;

            internal AutogradContext()
            {
            }

            public bool MaterializeGrads { get; private set; } = true;

            internal List<Tensor> TensorsToSave { get; private set; } = [];

            internal List<Tensor> DirtyTensors { get; private set; } = [];

            internal List<Tensor> NonDifferentiableTensors { get; private set; } = [];

            public void save_for_backward(List<Tensor> tensors) => TensorsToSave = tensors;

            public void save_data(string key, object? value) => data[key] = value;

            public object get_data(string key) => data.GetValueOrDefault(key)!;

            public void mark_dirty(List<Tensor> tensors) => DirtyTensors = [.. tensors];

            public void mark_non_differentiable(List<Tensor> tensors) => NonDifferentiableTensors = [.. tensors];

            public void set_materialize_grads(bool value) => MaterializeGrads = value;

            /// <summary>The saved tensors, in their order; inside <c>backward</c> only, for the graph owns them.</summary>
            public List<Tensor> get_saved_variables()
            {
                lock (gate)
                {
                    if (native == 0)
                        return [];
                    var handles = new nint[savedCount];
                    int count;
                    fixed (nint* pointer = handles)
                        count = TorchNative.tn_context_saved(native, pointer, handles.Length);
                    if (count < 0)
                        TorchNative.ThrowLastError();
                    var saved = new List<Tensor>(count);
                    for (var i = 0; i < count; i++)
                        saved.Add(handles[i] == 0 ? null! : new Tensor(handles[i]));
                    return saved;
                }
            }

            /// <summary>Forgets what the graph now keeps, so that this object keeps no tensor alive.</summary>
            internal void Recorded()
            {
                savedCount = TensorsToSave.Count;
                TensorsToSave = [];
                DirtyTensors = [];
                NonDifferentiableTensors = [];
            }

            /// <summary>Runs one backward pass, during which the graph's side of this context is within reach.</summary>
            internal T During<T>(nint nativeContext, Func<T> backward)
            {
                var outer = native;
                native = nativeContext;
                try
                {
                    return backward();
                }
                finally
                {
                    native = outer;
                }
            }

            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            protected virtual void Dispose(bool disposing)
            {
                if (disposing)
                    data.Clear();
            }
        }
    }
}
