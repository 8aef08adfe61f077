// CUDA, where libtorch was built with it. Only the stream needs CUDA's own headers (TORCH_NATIVE_CUDA).
#include "internal.h"

#include <torch/cuda.h>

#if defined(TORCH_NATIVE_CUDA)
#include <c10/cuda/CUDAStream.h>
#endif

using namespace torch_native;

bool tn_cuda_available() {
    return guarded(false, [] { return torch::cuda::is_available(); });
}

bool tn_cudnn_available() {
    return guarded(false, [] { return torch::cuda::cudnn_is_available(); });
}

int32_t tn_cuda_devices() {
    return guarded(int32_t{0}, [] { return static_cast<int32_t>(torch::cuda::device_count()); });
}

bool tn_cuda_synchronize(int32_t device) {
    return succeeded([&] { torch::cuda::synchronize(device); });
}

void* tn_cuda_current_stream(int32_t device) {
#if defined(TORCH_NATIVE_CUDA)
    return guarded<void*>(nullptr, [&] {
        return static_cast<void*>(c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device)).stream());
    });
#else
    (void)device;
    return nullptr;
#endif
}
