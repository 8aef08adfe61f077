namespace TorchSharp;

public static partial class torch
{
    /// <summary>
    /// A tensor of libtorch. It owns one reference to the native tensor: given up by <see cref="Dispose()"/>, by its
    /// <see cref="DisposeScope"/>, or by the finaliser, whichever comes first.
    /// </summary>
    public partial class Tensor : IDisposable
    {
        private static long peakCount;

        internal nint handle;

        internal Tensor(nint handle, bool register = true)
        {
            this.handle = handle;
            NativeMemoryPressure.Created();
            var count = NativeMemoryPressure.Handles;
            if (count > peakCount)
                peakCount = count;
            if (register)
                OwningDisposeScope = DisposeScopeManager.ThreadSingleton.RegisterOnCurrentDisposeScope(this);
        }

        internal DisposeScope? OwningDisposeScope { get; set; }

        public string? name { get; set; }

        public bool IsInvalid => handle == 0;

        /// <summary>The native tensor; an exception once it has been given up.</summary>
        public nint Handle
        {
            get
            {
                if (handle == 0)
                    throw new InvalidOperationException("Tensor invalid -- empty handle.");
                return handle;
            }
        }

        /// <summary>Tensors that are alive, as far as the managed side knows.</summary>
        public static long TotalCount => NativeMemoryPressure.Handles;

        public static long PeakCount => peakCount;

        public static Tensor UnsafeCreateTensor(nint handle) => new(handle);

        /// <summary>Gives the native tensor up to the caller, who must free it.</summary>
        public nint DecoupleFromNativeHandle()
        {
#pragma warning disable CA1816 // There is nothing left to finalise
            GC.SuppressFinalize(this);
#pragma warning restore CA1816
            var released = Handle;
            handle = 0;
            NativeMemoryPressure.Freed();
            return released;
        }

        /// <summary>Takes the native tensor out of this object, whose count the receiver takes over.</summary>
        internal nint MoveHandle()
        {
            var moved = handle;
            handle = 0;
            NativeMemoryPressure.Freed();
            return moved;
        }

        ~Tensor()
        {
            NativeMemoryPressure.OnFinalizer();
            Dispose(false);
        }

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            var released = Interlocked.Exchange(ref handle, 0);
            if (released == 0)
                return;
            // A scope belongs to one thread; the finaliser, which runs only once no scope holds the tensor, is not it.
            if (disposing)
            {
                DisposeScopeManager.ThreadSingleton.DisposingOnCurrentScope(this);
                OwningDisposeScope?.MarkAsDisposed(this);
            }

            NativeMemoryPressure.Freed();
            TorchNative.tn_tensor_free(released);
        }

        public Tensor MoveToOuterDisposeScope()
        {
            OwningDisposeScope?.MoveToOuter(this);
            return this;
        }

        public Tensor DetachFromDisposeScope()
        {
            OwningDisposeScope?.Detach(this);
            return this;
        }

        [Obsolete("The method name misspells 'Detach.' Use 'DetachFromDisposeScope' instead.", false)]
        public Tensor DetatchFromDisposeScope() => DetachFromDisposeScope();

        public Tensor MoveToOtherDisposeScope(Tensor other) => MoveToOtherDisposeScope(other.OwningDisposeScope);

        public Tensor MoveToOtherDisposeScope(DisposeScope? other)
        {
            if (OwningDisposeScope is null && other is not null)
                other.Attach(this);
            else
                OwningDisposeScope?.MoveToOther(other, this);
            return this;
        }

        public override bool Equals(object? obj) => obj is Tensor other && Equals(other);

        public override int GetHashCode() => base.GetHashCode();
    }
}
