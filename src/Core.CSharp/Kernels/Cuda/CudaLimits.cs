namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>What a device offers to a kernel.</summary>
/// <param name="Name">The device, as its maker names it.</param>
/// <param name="Architecture">Compute capability, ten times the major and the minor number: 80 for 8.0.</param>
/// <param name="Multiprocessors">Multiprocessors.</param>
/// <param name="SharedMemory">Bytes of shared memory that one block can have when it asks for more than the usual 48 KiB.</param>
internal sealed record CudaLimits(string Name, int Architecture, int Multiprocessors, int SharedMemory);
