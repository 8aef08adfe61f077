using System.Collections;

namespace TorchSharp.Utils;

/// <summary>The numbers below a size in random order, drawn anew for every enumeration; with a seed always the same.</summary>
public class FisherYatesShuffler(long size, int? seed = null) : IEnumerable<long>
{
    public IEnumerator<long> GetEnumerator()
    {
        // The inside-out shuffle with TorchSharp's own way to draw long numbers, so that a seed gives the same order there.
        var random = seed is { } fixedSeed ? new Random(fixedSeed) : new Random();
        var order = new long[size];
        for (var next = 0L; next < size; next++)
        {
            var place = unchecked(((long)random.Next() << 32) + (uint)random.Next()) % (next + 1);
            order[next] = order[place];
            order[place] = next;
        }
        return ((IEnumerable<long>)order).GetEnumerator();
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
