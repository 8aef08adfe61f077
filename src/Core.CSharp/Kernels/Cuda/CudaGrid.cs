namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>The extent of one launch.</summary>
/// <param name="X">Blocks along x, up to 2³¹ − 1.</param>
/// <param name="Y">Blocks along y, up to 65535.</param>
/// <param name="Z">Blocks along z, up to 65535.</param>
/// <param name="Threads">Threads of a block, along x alone, a multiple of 32 up to 1024.</param>
/// <param name="SharedBytes">Shared memory of a block.</param>
internal readonly record struct CudaGrid(long X, int Y, int Z, int Threads, int SharedBytes);
