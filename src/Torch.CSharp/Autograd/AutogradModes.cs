namespace TorchSharp;

/// <summary>Sets whether operators of this thread record gradients, until disposed.</summary>
internal sealed class AutoGradMode : IDisposable
{
    private readonly bool before = IsEnabled;

    public AutoGradMode(bool enabled) => TorchNative.tn_set_grad_enabled(enabled ? (byte)1 : (byte)0);

    public static bool IsEnabled => TorchNative.tn_grad_enabled() != 0;

    public void Dispose() => TorchNative.tn_set_grad_enabled(before ? (byte)1 : (byte)0);
}

/// <summary>libtorch's inference mode on this thread, until disposed.</summary>
internal sealed class InferenceMode(bool mode) : IDisposable
{
    private nint guard = TorchNative.tn_inference_mode_enter(mode ? (byte)1 : (byte)0);

    public static bool IsEnabled => TorchNative.tn_inference_mode_enabled() != 0;

    public void Dispose()
    {
        if (guard != 0)
            TorchNative.tn_inference_mode_leave(guard);
        guard = 0;
    }
}

/// <summary>Backward passes that say which forward operator made a gradient fail or turn NaN, until disposed.</summary>
public class AnomalyMode : IDisposable
{
    private readonly bool wasEnabled = IsEnabled;
    private readonly bool checkedNaN = ShouldCheckNaN;

    public AnomalyMode(bool enabled, bool check_nan = true) => Set(enabled, check_nan);

    public static bool IsEnabled => TorchNative.tn_anomaly_enabled() != 0;

    public static bool ShouldCheckNaN => TorchNative.tn_anomaly_checks_nan() != 0;

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
            Set(wasEnabled, checkedNaN);
    }

    private static void Set(bool enabled, bool checkNaN) =>
        TorchNative.tn_set_anomaly(enabled ? (byte)1 : (byte)0, checkNaN ? (byte)1 : (byte)0);
}

public static partial class torch
{
    public static IDisposable no_grad() => new AutoGradMode(false);

    public static IDisposable enable_grad(bool enabled = true) => new AutoGradMode(enabled);

    public static IDisposable set_grad_enabled(bool mode = true) => new AutoGradMode(mode);

    public static bool is_grad_enabled() => AutoGradMode.IsEnabled;

    public static IDisposable inference_mode(bool mode = true) => new InferenceMode(mode);

    public static bool is_inference_mode_enabled() => InferenceMode.IsEnabled;
}
