namespace TorchSharp;

/// <summary>What one thread's tensors and dispose scopes did since the last reset.</summary>
public class ThreadDisposeScopeStatistics
{
    public LifetimeStatistics TensorStatistics { get; } = new();

    public LifetimeStatistics PackedSequenceStatistics { get; } = new();

    public long CreatedOutsideScopeCount => Total(s => s.CreatedOutsideScopeCount);

    public long DisposedOutsideScopeCount => Total(s => s.DisposedOutsideScopeCount);

    public long CreatedInScopeCount => Total(s => s.CreatedInScopeCount);

    public long DisposedInScopeCount => Total(s => s.DisposedInScopeCount);

    public long AttachedToScopeCount => Total(s => s.AttachedToScopeCount);

    public long DetachedFromScopeCount => Total(s => s.DetachedFromScopeCount);

    public long ThreadTotalLiveCount => Total(s => s.ThreadTotalLiveCount);

    public void Reset()
    {
        TensorStatistics.Reset();
        PackedSequenceStatistics.Reset();
    }

    public override string ToString() =>
        LifetimeStatistics.Describe(
            ThreadTotalLiveCount,
            CreatedOutsideScopeCount,
            DisposedOutsideScopeCount,
            CreatedInScopeCount,
            DisposedInScopeCount,
            AttachedToScopeCount,
            DetachedFromScopeCount);

    private long Total(Func<LifetimeStatistics, long> count) => count(TensorStatistics) + count(PackedSequenceStatistics);
}

/// <summary>How many objects of one kind were created, disposed and moved, in and out of scopes.</summary>
public class LifetimeStatistics
{
    public long CreatedOutsideScopeCount { get; internal set; }

    public long DisposedOutsideScopeCount { get; internal set; }

    public long CreatedInScopeCount { get; internal set; }

    public long DisposedInScopeCount { get; internal set; }

    public long AttachedToScopeCount { get; internal set; }

    public long DetachedFromScopeCount { get; internal set; }

    public long ThreadTotalLiveCount =>
        CreatedInScopeCount - DisposedInScopeCount + (CreatedOutsideScopeCount - DisposedOutsideScopeCount);

    public void Reset()
    {
        CreatedOutsideScopeCount = 0;
        DisposedOutsideScopeCount = 0;
        CreatedInScopeCount = 0;
        DisposedInScopeCount = 0;
        AttachedToScopeCount = 0;
        DetachedFromScopeCount = 0;
    }

    public override string ToString() =>
        Describe(
            ThreadTotalLiveCount,
            CreatedOutsideScopeCount,
            DisposedOutsideScopeCount,
            CreatedInScopeCount,
            DisposedInScopeCount,
            AttachedToScopeCount,
            DetachedFromScopeCount);

    internal static string Describe(
        long live, long createdOutside, long disposedOutside, long createdIn, long disposedIn, long attached, long detached) =>
        $"ThreadTotalLiveCount: {live}; CreatedOutsideScopeCount: {createdOutside}; DisposedOutsideScopeCount: {disposedOutside}; "
        + $"CreatedInScopeCount: {createdIn}; DisposedInScopeCount: {disposedIn}; AttachedToScopeCount: {attached}; "
        + $"DetachedFromScopeCount: {detached}";
}
