using LocalAttention.Bench.Works;

namespace LocalAttention.Bench.Running;

/// <summary>The two processes that run peers, started when first needed.</summary>
public sealed class PeerProcesses : IDisposable
{
    private readonly Dictionary<Place, PeerProcess> _processes = [];

    /// <summary>The process of a place.</summary>
    public PeerProcess this[Place place]
    {
        get
        {
            if (!_processes.TryGetValue(place, out var process))
            {
                _processes[place] = process = new PeerProcess(place == Place.TunedPyTorch);
            }
            return process;
        }
    }

    /// <summary>Forgets the works that are started.</summary>
    public void Release()
    {
        foreach (var process in _processes.Values)
        {
            process.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var process in _processes.Values)
        {
            process.Dispose();
        }
    }
}
