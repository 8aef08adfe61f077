using System.Runtime.CompilerServices;

namespace TorchSharp;

/// <summary>
/// Makes the collector see native memory. A managed <see cref="torch.Tensor"/> is a hundred bytes whatever it holds, so
/// code without <c>Dispose</c> would fill the machine long before .NET thought of collecting. Torch.Native counts the
/// bytes that tensors hold; when a new tensor finds them past a threshold, unreachable tensors are collected and
/// finalised there and then.
/// </summary>
/// <remarks>
/// The threshold is what keeps this cheap: a quarter above the largest amount that recent collections found in use
/// (or a fixed slack, if more), so a steady loop collects about once a step and a loop that disposes, hardly ever.
/// A collection never runs on the finaliser thread, which would wait for itself.
/// </remarks>
internal static unsafe class NativeMemoryPressure
{
    /// <summary>How far past the last in-use amount garbage may always grow.</summary>
    private const long SlackBytes = 32L << 20;

    /// <summary>How much garbage is tolerated in relation to what is in use.</summary>
    private const double Tolerance = 1.25;

    /// <summary>Tensors of no size still cost a few hundred native bytes each.</summary>
    private const long SlackHandles = 32_768;

    /// <summary>A training step may be several peaks long: remember the in-use amounts of this many collections.</summary>
    private const int Memory = 8;

    private static readonly long* LiveBytes = TorchNative.LiveBytes;
    private static readonly long[] InUse = new long[Memory];
    private static readonly Lock Gate = new();
    private static int next;
    private static long byteThreshold = SlackBytes;
    private static long handleThreshold = SlackHandles;
    private static long handles;

    [ThreadStatic] private static bool isFinalizer;

    /// <summary>The tensors alive as far as the managed side knows: not yet disposed or finalised.</summary>
    internal static long Handles => Volatile.Read(ref handles);

    internal static long Bytes => Volatile.Read(ref *LiveBytes);

    /// <summary>The most bytes that tensors held at once since <see cref="ResetPeak"/>, for tests and measurements.</summary>
    internal static long PeakBytes => TorchNative.tn_peak_bytes(0);

    /// <summary>Begins to look for a new peak, from what tensors hold now.</summary>
    internal static void ResetPeak() => _ = TorchNative.tn_peak_bytes(1);

    /// <summary>Collections that this class has asked for, for tests and measurements.</summary>
    internal static int Collections { get; private set; }

    /// <summary>Counts a new tensor, and collects garbage first where there is too much.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Created()
    {
        var count = Interlocked.Increment(ref handles);
        if (Volatile.Read(ref *LiveBytes) > Volatile.Read(ref byteThreshold) || count > Volatile.Read(ref handleThreshold))
            Relieve();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Freed() => Interlocked.Decrement(ref handles);

    /// <summary>Marks this thread as the finaliser's, which must not collect.</summary>
    internal static void OnFinalizer() => isFinalizer = true;

    /// <summary>Collects whatever can be, regardless of thresholds: for a failed allocation.</summary>
    internal static void Collect()
    {
        if (isFinalizer)
            return;
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Relieve()
    {
        // Another thread's collection does for this one too; waiting for it could deadlock with a finaliser that the
        // other thread waits for.
        if (isFinalizer || !Gate.TryEnter())
            return;
        try
        {
            Collections++;
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: false);
            GC.WaitForPendingFinalizers();

            var bytes = Bytes;
            InUse[next] = bytes;
            next = (next + 1) % Memory;
            var high = 0L;
            foreach (var amount in InUse)
                high = Math.Max(high, amount);
            Volatile.Write(ref byteThreshold, Math.Max((long)(high * Tolerance), bytes + SlackBytes));
            Volatile.Write(ref handleThreshold, (long)(Handles * Tolerance) + SlackHandles);
        }
        finally
        {
            Gate.Exit();
        }
    }
}
