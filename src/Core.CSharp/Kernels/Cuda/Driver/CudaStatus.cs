namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>The driver's status codes that call for an answer of their own (CUresult of the CUDA driver API).</summary>
internal static class CudaStatus
{
    /// <summary>The call succeeded.</summary>
    public const int Success = 0;

    /// <summary>There is no device, or none is visible.</summary>
    public const int NoDevice = 100;

    /// <summary>Whether the device lacks what a launch asks for: memory, or registers and shared memory of a block.</summary>
    /// <param name="status">The driver's status.</param>
    public static bool IsRefusal(int status) => status is 2 or 701;

    /// <summary>What helps against a status; none: nothing that is known.</summary>
    /// <param name="status">The driver's status.</param>
    public static string? RemedyFor(int status) => status switch
    {
        2 => "free tensors that are no longer needed, or take smaller batches",
        NoDevice => "nvidia-smi lists the devices; CUDA_VISIBLE_DEVICES hides some",
        101 => "the device's number is beyond the last visible one; nvidia-smi lists the devices",
        200 or 209 or 218 or 222 =>
            "the driver may be older than the NVRTC that compiled it: update the driver, or name an older NVRTC by "
            + Nvrtc.Variable,
        500 => "the source has no kernel of that name",
        700 or 715 or 716 or 717 or 718 or 719 =>
            "this or an earlier kernel of the process failed: CUDA_LAUNCH_BLOCKING=1 or compute-sanitizer shows which one; "
            + "the process must start anew",
        701 => "a block takes more registers or shared memory than the device has",
        803 => "the driver's library and its kernel module differ: restart the machine after an update of the driver",
        804 => "this device does not take the forward-compatible driver that was found",
        802 => "the devices are not ready yet: on machines with NVSwitch the fabric manager must run",
        >= 900 and <= 908 => "run the model once before it is captured, so that its kernels are compiled and chosen",
        999 => "nvidia-smi and the kernel's log may say more",
        _ => null,
    };
}

/// <summary>The attributes of a device that are asked for (CUdevice_attribute).</summary>
internal enum DeviceAttribute
{
    /// <summary>Bytes of shared memory of a block.</summary>
    SharedMemoryPerBlock = 8,

    /// <summary>Multiprocessors.</summary>
    Multiprocessors = 16,

    /// <summary>The compute capability's major number.</summary>
    Major = 75,

    /// <summary>The compute capability's minor number.</summary>
    Minor = 76,

    /// <summary>Bytes of shared memory of a block whose kernel asks for more than usual; 0: it cannot.</summary>
    SharedMemoryOnRequest = 97,
}
