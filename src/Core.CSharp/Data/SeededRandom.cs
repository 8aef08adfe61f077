namespace LocalAttention.Core.Data;

/// <summary>
/// Random numbers that depend on a seed, a use and a position alone, and on no library's generator: any step of a training
/// can be made again without replaying those before it. SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
/// number generators, 2014).
/// </summary>
internal sealed class SeededRandom
{
    private const ulong Increment = 0x9E3779B97F4A7C15;

    private ulong _state;

    /// <param name="seed">The user's seed.</param>
    /// <param name="use">What the numbers are for: different uses are independent.</param>
    /// <param name="position">The epoch or step that they belong to.</param>
    public SeededRandom(long seed, Use use, long position = 0) =>
        _state = Mix(Mix(Mix((ulong)seed) + (ulong)use) + (ulong)position);

    /// <summary>What random numbers are for.</summary>
    public enum Use
    {
        /// <summary>Dividing a data set.</summary>
        Split,

        /// <summary>The order of an epoch's images.</summary>
        Order,

        /// <summary>Crops, flips and mixtures of a step.</summary>
        Augmentation,

        /// <summary>The tensor library's generator in a step: stochastic depth.</summary>
        Model,
    }

    /// <summary>64 random bits.</summary>
    public ulong NextBits()
    {
        var bits = BitsAfter(_state);
        _state += Increment;
        return bits;
    }

    /// <summary>The 64 random bits that SplitMix64 gives from a state.</summary>
    public static ulong BitsAfter(ulong state) => Mix(state + Increment);

    /// <summary>A number from 0, below 1.</summary>
    public double NextDouble() => (NextBits() >> 11) * (1.0 / (1L << 53));

    /// <summary>A whole number from 0, below <paramref name="limit"/>.</summary>
    public long NextBelow(long limit) => (long)Math.BigMul(NextBits(), (ulong)limit, out _);

    /// <summary>The numbers from 0 below <paramref name="count"/> in random order.</summary>
    public long[] Permutation(long count)
    {
        var order = new long[count];
        for (long i = 0; i < count; i++)
        {
            var j = NextBelow(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }

    /// <summary>A number of the symmetric beta distribution, as the share of one of two gamma variates.</summary>
    public double NextBeta(double alpha)
    {
        var first = NextGamma(alpha);
        var second = NextGamma(alpha);
        return first + second > 0 ? first / (first + second) : 0.5;
    }

    // Marsaglia and Tsang: A simple method for generating gamma variables, 2000.
    private double NextGamma(double shape)
    {
        if (shape < 1)
            return NextGamma(shape + 1) * Math.Pow(1 - NextDouble(), 1 / shape);
        var d = shape - (1.0 / 3);
        var c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            var x = NextNormal();
            var v = 1 + (c * x);
            if (v <= 0)
                continue;
            v = v * v * v;
            if (Math.Log(1 - NextDouble()) < (0.5 * x * x) + d - (d * v) + (d * Math.Log(v)))
                return d * v;
        }
    }

    // Box and Muller.
    private double NextNormal() =>
        Math.Sqrt(-2 * Math.Log(1 - NextDouble())) * Math.Cos(2 * Math.PI * NextDouble());

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
