using System.Collections.Concurrent;
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
/// core, only takes fewer; the caller waits for no thread that has nothing in hand. The helpers are threads of their own,
/// asleep when idle, so that the tensor library's pool is left its cores. They wake within some 30 µs; a thread of the
/// runtime's pool often found itself on the caller's core, and came two milliseconds late.
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
        Helpers.Ask(loop, (int)threads - 1);
        loop.Work();
        loop.WaitAndRethrow();
    }

    /// <summary>What a helper can be asked for.</summary>
    private interface IShared
    {
        /// <summary>Takes pieces until none is left; never throws.</summary>
        void Work();
    }

    /// <summary>The threads that help, as many as were ever needed at a time.</summary>
    private static class Helpers
    {
        private static readonly ConcurrentQueue<IShared> Asked = new();
        private static readonly SemaphoreSlim Arrived = new(0);
        private static readonly Lock Growing = new();
        private static int _count;

        public static void Ask(IShared loop, int helpers)
        {
            if (Volatile.Read(ref _count) < helpers)
            {
                Grow(helpers);
            }
            for (var helper = 0; helper < helpers; helper++)
            {
                Asked.Enqueue(loop);
            }
            Arrived.Release(helpers);
        }

        private static void Grow(int helpers)
        {
            lock (Growing)
            {
                for (; _count < helpers; _count++)
                {
                    new Thread(Help) { IsBackground = true, Name = $"{nameof(WorkSharing)} {_count + 1}" }.Start();
                }
            }
        }

        private static void Help()
        {
            for (; ; )
            {
                Arrived.Wait();
                if (Asked.TryDequeue(out var loop))
                {
                    loop.Work();
                }
            }
        }
    }

    private sealed class Loop<TBody>(TBody body, long count, long piece) : IShared
        where TBody : struct, IRangeBody
    {
        private long _next;
        private long _done;
        private ExceptionDispatchInfo? _failure;

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
