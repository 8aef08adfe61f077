namespace LocalAttention.Gpu;

/// <summary>How the program ends; the scripts beside it end alike, and have more of their own (docs/gpu.md).</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>A kernel, or a peer's result, is not what it should be.</summary>
    public const int Failure = 1;

    /// <summary>The command line is not understood.</summary>
    public const int Usage = 2;

    /// <summary>There is no CUDA device, or nothing that compiles for one.</summary>
    public const int NoDevice = 3;
}
