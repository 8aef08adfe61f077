namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// The bytes that reading a file may still allocate. Readers take from it before they allocate, so that a small file that
/// promises much is refused instead of believed.
/// </summary>
internal sealed class AllocationBudget(string path, long fileLength)
{
    private long _left = Of(fileLength);

    /// <summary>What a file of a length may take.</summary>
    public static long Of(long fileLength) =>
        fileLength > (long.MaxValue - WeightsFile.Allowance) / WeightsFile.LargestFactor
            ? long.MaxValue
            : (WeightsFile.LargestFactor * fileLength) + WeightsFile.Allowance;

    /// <exception cref="CheckpointException">More would be taken than the file may.</exception>
    public void Take(long bytes)
    {
        if (bytes > _left)
        {
            throw new CheckpointException(
                path,
                $"what the file describes takes more than {WeightsFile.LargestFactor} times its {fileLength:N0} bytes; "
                    + "no checkpoint of a model does");
        }
        _left -= bytes;
    }
}
