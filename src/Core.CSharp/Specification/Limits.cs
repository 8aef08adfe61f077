namespace LocalAttention.Core.Specification;

/// <summary>
/// The largest values that a specification may hold. They are far beyond any published model, and small enough that no
/// product of them overflows 64 bits.
/// </summary>
internal static class Limits
{
    /// <summary>Side of an image or a map, in pixels or tokens. Its product with itself as a factor fits 32 bits.</summary>
    public const int Side = 32_768;

    public const int Channels = 65_536;

    public const int Window = 1_023;

    public const int Queries = 1_024;

    public const int Classes = 10_000_000;

    public const int MlpRatio = 256;

    public const long Parameters = 100_000_000_000;
}
