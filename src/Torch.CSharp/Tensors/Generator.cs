namespace TorchSharp;

public static partial class torch
{
    /// <summary>A source of random numbers with a state that can be kept and put back.</summary>
    public class Generator : IDisposable
    {
        private Generator(nint handle, Device device)
        {
            if (handle == 0)
                TorchNative.ThrowLastError();
            Handle = handle;
            this.device = device;
        }

        public Generator(ulong seed = 0, Device? device = null)
            : this(
                TorchNative.tn_generator_new((int)(device?.type ?? DeviceType.CPU), device?.index ?? -1, seed),
                device ?? CPU)
        {
        }

        public nint Handle { get; private set; }

        public Device device { get; private set; }

        /// <summary>The one that operators use where none is given; each call makes another handle to it.</summary>
        public static Generator Default => OfDevice(CPU);

        internal static Generator OfDevice(Device device) =>
            new(TorchNative.tn_generator_default((int)device.type, device.index), device);

        public Tensor get_state() => TorchNative.Own(TorchNative.tn_generator_get_state(Handle));

        public void set_state(Tensor value)
        {
            TorchNative.Check(TorchNative.tn_generator_set_state(Handle, value is null ? 0 : value.Handle));
            GC.KeepAlive(value);
        }

        public Generator manual_seed(long seed)
        {
            TorchNative.Check(TorchNative.tn_generator_set_seed(Handle, (ulong)seed));
            return this;
        }

        public long seed()
        {
            var seed = DateTime.UtcNow.Ticks;
            manual_seed(seed);
            return seed;
        }

        public unsafe long initial_seed()
        {
            ulong seed;
            TorchNative.Check(TorchNative.tn_generator_seed(Handle, &seed));
            return (long)seed;
        }

        ~Generator() => Dispose(false);

        protected virtual void Dispose(bool disposing)
        {
            var handle = Handle;
            Handle = 0;
            if (handle != 0)
                TorchNative.tn_generator_free(handle);
        }

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }
    }

    public static Generator manual_seed(long seed)
    {
        TorchNative.Check(TorchNative.tn_manual_seed((ulong)seed));
        return Generator.Default;
    }

    public static long seed() => random.seed();

    public static long initial_seed() => random.initial_seed();

    public static Tensor get_rng_state() => random.get_rng_state();

    public static void set_rng_state(Tensor new_state) => random.set_rng_state(new_state);

    /// <summary>The default generator.</summary>
    public static partial class random
    {
        public static long seed() => Generator.Default.seed();

        public static long initial_seed() => Generator.Default.initial_seed();

        public static Generator manual_seed(long seed) => torch.manual_seed(seed);

        public static Tensor get_rng_state() => Generator.Default.get_state();

        public static void set_rng_state(Tensor new_state) => Generator.Default.set_state(new_state);
    }
}
