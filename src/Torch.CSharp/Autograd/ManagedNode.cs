using System.Runtime.InteropServices;
using static TorchSharp.TorchNative;

namespace TorchSharp;

public static partial class torch
{
    public static unsafe partial class autograd
    {
        /// <summary>
        /// The managed half of one graph node: kept alive by the native half through a <see cref="GCHandle"/>, which the
        /// native half frees when it goes.
        /// </summary>
#pragma warning disable CA1001 // The context lives and dies with the graph node: there is no one to dispose it
        private sealed class ManagedNode
        {
            private readonly IManagedFunction function;
            private readonly AutogradContext context = new();
            private readonly bool[] isTensor;

            private ManagedNode(IManagedFunction function, object[] arguments)
            {
                this.function = function;
                isTensor = Array.ConvertAll(arguments, argument => argument is Tensor { IsInvalid: false });
            }

            internal static List<Tensor> Apply(IManagedFunction function, object[] arguments)
            {
                var node = new ManagedNode(function, arguments);
                List<Tensor> outputs;
                using (new AutoGradMode(false))
                    outputs = function.Forward(node.context, arguments);
                return node.Record([.. arguments.OfType<Tensor>().Where(tensor => !tensor.IsInvalid)], outputs);
            }

            private List<Tensor> Record(Tensor[] inputs, List<Tensor> outputs)
            {
                var saved = context.TensorsToSave;
                var dirty = context.DirtyTensors;
                var constant = context.NonDifferentiableTensors;
                var results = new nint[outputs.Count];
                var state = GCHandle.ToIntPtr(GCHandle.Alloc(this));
                fixed (nint* input = Handles(inputs), output = Handles(outputs), save = Handles(saved),
                       change = Handles(dirty), without = Handles(constant), result = results)
                {
                    var call = new FunctionCall
                    {
                        Inputs = input,
                        InputCount = inputs.Length,
                        Outputs = output,
                        OutputCount = outputs.Count,
                        Saved = save,
                        SavedCount = saved.Count,
                        Dirty = change,
                        DirtyCount = dirty.Count,
                        NonDifferentiable = without,
                        NonDifferentiableCount = constant.Count,
                        MaterializeGrads = context.MaterializeGrads ? 1 : 0,
                        Backward = &Backward,
                        Release = &Release,
                        State = state,
                    };
                    // Before the call: a node that nothing needs is gone, and this object's handle with it, when it returns.
                    context.Recorded();
                    Check(tn_function_apply(&call, result));
                }

                GC.KeepAlive(inputs);
                GC.KeepAlive(outputs);
                GC.KeepAlive(saved);
                GC.KeepAlive(dirty);
                GC.KeepAlive(constant);
                var wrapped = new List<Tensor>(results.Length);
                foreach (var result in results)
                    wrapped.Add(new Tensor(result));

                return wrapped;
            }

            [UnmanagedCallersOnly]
            private static void Release(nint state) => GCHandle.FromIntPtr(state).Free();

            [UnmanagedCallersOnly]
            private static byte* Backward(nint state, nint native, nint* grads, int gradCount, nint* inputGrads, int inputCount)
            {
                try
                {
                    var node = (ManagedNode)GCHandle.FromIntPtr(state).Target!;
                    // The engine lets go of gradients and saved tensors step by step. In the caller's scope, the objects
                    // that stand for them here would hold all of them until the whole backward pass is over.
                    using var scope = DisposeScopeManager.ThreadSingleton.CurrentDisposeScope is null ? null : NewDisposeScope();
                    var received = new List<Tensor>(gradCount);
                    for (var i = 0; i < gradCount; i++)
                        received.Add(new Tensor(grads[i]));
                    node.Backward(native, received, new Span<nint>(inputGrads, inputCount));
                    return null;
                }
                catch (Exception exception)
                {
                    return BackwardErrors.Keep(exception);
                }
            }

            private void Backward(nint native, List<Tensor> received, Span<nint> inputGrads)
            {
                var grads = context.During(native, () => function.Backward(context, received));
                if (grads.Count > isTensor.Length && grads.Skip(isTensor.Length).All(IsAbsent))
                    grads = grads.GetRange(0, isTensor.Length);
                if (grads.Count != isTensor.Length)
                {
                    throw new NotImplementedException(
                        $"Function {function.Name} returned an incorrect number of gradients (expected {isTensor.Length}), "
                        + $"got {grads.Count}");
                }

                var next = 0;
                for (var i = 0; i < isTensor.Length; i++)
                {
                    if (isTensor[i])
                    {
                        inputGrads[next++] = IsAbsent(grads[i]) ? 0 : tn_tensor_share(grads[i].Handle);
                    }
                    else if (!IsAbsent(grads[i]))
                    {
                        throw new NotImplementedException(
                            $"Function {function.Name} returned a gradient different that is defined at position {i + 1}, "
                            + "but the corresponding forward input was not a Tensor");
                    }
                }

                GC.KeepAlive(grads);
            }

            private static bool IsAbsent(Tensor? tensor) => tensor is null || tensor.IsInvalid;
        }
#pragma warning restore CA1001
    }
}
