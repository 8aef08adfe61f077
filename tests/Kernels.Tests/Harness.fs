/// How a test says on which backend, at which vector width and on how many threads it runs.
module LocalAttention.Kernels.Tests.Harness

open LocalAttention.Core.Kernels
open LocalAttention.Core.Kernels.Simd
open TorchSharp

/// The vector widths of this machine, widest first.
let widths = List.ofSeq SimdWidths.Available

/// Runs with vectors of one width.
let atWidth (width: SimdWidth) (body: unit -> 'result) =
    use _ = SimdWidths.Force width
    body ()

/// Runs on a number of threads.
let onThreads (count: int) (body: unit -> 'result) =
    let before = torch.get_num_threads ()
    torch.set_num_threads count

    try
        body ()
    finally
        torch.set_num_threads before

/// Runs on one backend.
let on (backend: Backend) (body: unit -> 'result) =
    use _ = Backends.Use backend
    body ()
