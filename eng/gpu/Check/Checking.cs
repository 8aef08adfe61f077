using System.Globalization;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.Cuda.Driver;
using LocalAttention.Cuda.Emulation;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>The command <c>check</c>.</summary>
internal static class Checking
{
    /// <summary>Does what is asked.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(CheckOptions options)
    {
        switch (options.Mode)
        {
            case CheckMode.List:
                foreach (var kernel in Listed(options))
                {
                    Console.WriteLine($"{kernel.File}\t{kernel.Function}\t{kernel.Constants}");
                }
                return ExitCode.Success;
            case CheckMode.Compile:
                return Compile(options);
            case CheckMode.Emulated:
                using (var emulated = new EmulatedDevice())
                {
                    return Cases(options, emulated, CPU);
                }
        }
        if (Device0(out var obstacle) is not { } device)
        {
            Console.Error.WriteLine($"check: no CUDA device: {obstacle}");
            return ExitCode.NoDevice;
        }
        var cases = Cases(options, device, CUDA);
        var models = options.Wants(CheckOptions.Models) && !options.Quick ? ModelCheck.Run(CUDA) : ExitCode.Success;
        return Math.Max(cases, models);
    }

    /// <summary>The first CUDA device, with the tensor library and a compiler for it.</summary>
    /// <param name="obstacle">Why there is none.</param>
    public static ICudaDevice? Device0(out string? obstacle)
    {
        if (!cuda.is_available())
        {
            obstacle = "the tensor library sees none";
            return null;
        }
        return CudaDevices.Find(DeviceType.CUDA, 0, out obstacle);
    }

    private static int Cases(CheckOptions options, ICudaDevice device, Device place)
    {
        var limits = device.Limits;
        Console.WriteLine(
            $"{limits.Name}, compute capability {limits.Architecture / 10.0:0.0}, {limits.Multiprocessors} multiprocessors");
        Console.WriteLine(
            $"{"kernel",-14} {"element",-9} {"problem",-42} {"ways",5} {"refused",7} {"error",6} {"composite",9}  same bits");
        var check = new CaseCheck(device, place, everyWay: !options.Quick);
        var (right, wrong) = (0, 0);
        foreach (var problem in Grid.Of(options))
        {
            var result = check.Of(problem);
            var subject = $"{problem.Kernel,-14} {Grid.NameOf(problem.Element),-9} {problem.Problem,-42}";
            var verdict = result.IsRight ? "" : $"   FAILED: {result.Failure ?? result.Where}";
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{subject} {result.Ways,5} {result.Refused,7} {result.Error,6:0.000} {result.Composite,9:0.000}  "
                + $"{(result.Repeats ? "yes" : "no")}{verdict}"));
            (right, wrong) = result.IsRight ? (right + 1, wrong) : (right, wrong + 1);
        }
        Console.WriteLine($"errors are shares of what they may be; {right} passed, {wrong} failed");
        return wrong == 0 ? ExitCode.Success : ExitCode.Failure;
    }

    private static IEnumerable<CudaKernel> Listed(CheckOptions options)
    {
        var list = new ListingDevice();
        using var played = CudaDevices.Play(list);
        foreach (var problem in Grid.Of(options))
        {
            using var scope = NewDisposeScope();
            _ = Evaluation.Of(problem, problem.Fused, problem.Element, CPU);
        }
        return list.Kernels;
    }

    private static int Compile(CheckOptions options)
    {
        var named = Environment.GetEnvironmentVariable(Nvrtc.Variable);
        if (Nvrtc.Load(named, new Version(int.MaxValue, 0), out var obstacle) is not { } compiler)
        {
            Console.Error.WriteLine($"check: {obstacle}");
            return ExitCode.NoDevice;
        }
        var target = compiler.TargetFor(DrivenDevice.LowestArchitecture);
        var units = Listed(options).DistinctBy(kernel => (kernel.File, kernel.Constants)).ToList();
        var failures = 0;
        Parallel.ForEach(units, unit =>
        {
            try
            {
                compiler.Compile(KernelSources.Embedded, unit.File, Nvrtc.OptionsOf(unit.Constants, target));
            }
            catch (CudaException error)
            {
                Interlocked.Increment(ref failures);
                Console.Error.WriteLine($"{unit.File} ({unit.Constants}): {error.Message}");
            }
        });
        Console.WriteLine($"NVRTC {compiler.Version}, {target}: {units.Count - failures} passed, {failures} failed");
        return failures == 0 ? ExitCode.Success : ExitCode.Failure;
    }
}
