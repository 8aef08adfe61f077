using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels;

/// <summary>A loop's body, for a part of its range.</summary>
internal interface IRangeBody
{
    void Run(long begin, long end);
}

/// <summary>
/// Loops shared by several threads: as many as the tensor library uses (<c>torch.get_num_threads()</c>), the caller among
/// them.
/// </summary>
/// <remarks>
/// Threads take the next piece of the range when they are done with one, so that a thread that wakes late, or shares its
/// core, only takes fewer; the caller waits for no thread that has nothing in hand. The helpers are the runtime's pool,
/// which sleeps when idle: the tensor library's own pool is left its cores.
/// </remarks>
internal static class WorkSharing
{
    // Enough that the last pieces are short, few enough that taking one costs nothing beside it.
    private const long PiecesPerThread = 8;

    /// <summary>Runs a body over 0 to <paramref name="count"/> − 1, in pieces of at least <paramref name="grain"/>.</summary>
    /// <exception cref="Exception">What the body threw, first come.</exception>
    public static void For<TBody>(TBody body, long count, long grain = 1)
        where TBody : struct, IRangeBody
    {
        if (count <= 0)
        {
            return;
        }
        var threads = Math.Min(get_num_threads(), (count + grain - 1) / grain);
        if (threads <= 1)
        {
            body.Run(0, count);
            return;
        }
        var piece = Math.Max(grain, count / (threads * PiecesPerThread));
        var loop = new Loop<TBody>(body, count, piece);
        for (var helper = 1; helper < threads; helper++)
        {
            ThreadPool.UnsafeQueueUserWorkItem(loop, preferLocal: false);
        }
        loop.Work();
        loop.WaitAndRethrow();
    }

    private sealed class Loop<TBody>(TBody body, long count, long piece) : IThreadPoolWorkItem
        where TBody : struct, IRangeBody
    {
        private long _next;
        private long _done;
        private ExceptionDispatchInfo? _failure;

        void IThreadPoolWorkItem.Execute() => Work();

        public void Work()
        {
            for (; ; )
            {
                var begin = Interlocked.Add(ref _next, piece) - piece;
                if (begin >= count)
                {
                    return;
                }
                var end = Math.Min(count, begin + piece);
                try
                {
                    body.Run(begin, end);
                }
                catch (Exception exception)
                {
                    Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);
                }
                Interlocked.Add(ref _done, end - begin);
            }
        }

        /// <summary>Waits for pieces in hand: each is short, so spinning and yielding beats sleeping.</summary>
        public void WaitAndRethrow()
        {
            var spinner = new SpinWait();
            while (Interlocked.Read(ref _done) < count)
            {
                spinner.SpinOnce(sleep1Threshold: -1);
            }
            _failure?.Throw();
        }
    }
}
