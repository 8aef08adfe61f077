// Checks and measures the CUDA kernels on a device: see Usage.
using LocalAttention.Gpu;
using LocalAttention.Gpu.Bench;
using LocalAttention.Gpu.Check;

const string Usage =
    """
    check [OPTIONS]   holds every kernel to the composite, on the device and in float64 on the processor
      --quick           a few small cases of each kernel, one way of each
      --only KERNEL     slide, qna, neighbourhood or window; or models: whole models, and their CUDA graphs
      --element TYPE    float32, float16 or bfloat16
      --part I/N        the I-th of N parts of it, for processes side by side
      --emulated        on the emulated device, in place of a real one
      --list            what is launched, in every way: file, function, constants, separated by tabs; runs nothing
      --compile         compiles by NVRTC what --list lists, for compute capability 8.0; runs nothing
    bench [OPTIONS]   measures ours and the peers in turns
      --peers FILE      eng/gpu/peers.py
      --python FILE     the Python that has PyTorch; python3 by default
      --results FOLDER  where the JSON file goes
      --only NAME…      some of the works, * standing for any letters
      --quick           few repetitions
      --cpu             a rehearsal of it all without a device, on small maps: its times mean nothing
    """;

try
{
    switch (args)
    {
        case ["check", .. var rest]:
            return Checking.Run(CheckOptions.Parse(rest));
        case ["bench", .. var rest]:
            return Benchmark.Run(BenchOptions.Parse(rest));
        case ["--help" or "-h"]:
            Console.WriteLine(Usage);
            return ExitCode.Success;
        default:
            throw new ArgumentException($"what is asked is '{string.Join(' ', args)}'\n{Usage}");
    }
}
catch (ArgumentException mistake) when (mistake.Source == typeof(ExitCode).Assembly.GetName().Name)
{
    Console.Error.WriteLine($"gpu: {mistake.Message}");
    return ExitCode.Usage;
}
