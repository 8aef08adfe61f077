namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>A CUDA device, reached through its driver.</summary>
internal static class DrivenDevice
{
    /// <summary>The device of that number.</summary>
    /// <param name="index">The number, as the tensor library counts.</param>
    /// <param name="obstacle">Why there is none.</param>
    public static ICudaDevice? Find(int index, out string? obstacle)
    {
        obstacle = $"there is no CUDA device {index}";
        return null;
    }
}
