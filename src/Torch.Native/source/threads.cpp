// libtorch's thread pool: its size, and a loop on it for the caller's own kernels.
#include "internal.h"

#include <ATen/Parallel.h>

using namespace torch_native;

int32_t tn_threads() {
    return at::get_num_threads();
}

bool tn_set_threads(int32_t count) {
    return succeeded([&] {
        // Without this first, the pool's lazy start would put its own default back.
        at::init_num_threads();
        at::set_num_threads(count);
    });
}

int32_t tn_interop_threads() {
    return static_cast<int32_t>(at::get_num_interop_threads());
}

bool tn_set_interop_threads(int32_t count) {
    return succeeded([&] { at::set_num_interop_threads(count); });
}

bool tn_parallel_for(int64_t begin, int64_t end, int64_t grain, tn_range_body body, void* state) {
    return succeeded([&] {
        at::parallel_for(begin, end, grain, [=](int64_t first, int64_t last) { body(first, last, state); });
    });
}

bool tn_in_parallel_region() {
    return at::in_parallel_region();
}
