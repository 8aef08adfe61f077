// CUDA graphs: work of one stream recorded once, with the memory it used, and then launched as a whole.
#include "internal.h"

#if defined(TORCH_NATIVE_CUDA)
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>
#include <optional>
#endif

using namespace torch_native;

#if defined(TORCH_NATIVE_CUDA)
// A stream of its own while recording, for the default stream cannot be recorded.
struct tn_graph_impl {
    at::cuda::CUDAGraph graph;
    std::optional<c10::cuda::CUDAStreamGuard> recording;
};

tn_graph tn_cuda_graph_begin(int32_t device) {
    return guarded<tn_graph>(nullptr, [&] {
        auto graph = std::make_unique<tn_graph_impl>();
        const auto index = static_cast<c10::DeviceIndex>(device);
        graph->recording.emplace(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index));
        // What is under way must not mix with what is recorded.
        c10::cuda::device_synchronize();
        graph->graph.capture_begin();
        return graph.release();
    });
}

bool tn_cuda_graph_end(tn_graph graph) {
    const bool ended = succeeded([&] { graph->graph.capture_end(); });
    graph->recording.reset();
    return ended;
}

bool tn_cuda_graph_replay(tn_graph graph) {
    return succeeded([&] { graph->graph.replay(); });
}

void tn_cuda_graph_free(tn_graph graph) {
    // The destructor may find the driver gone already; there is nobody left to tell.
    succeeded([&] { delete graph; });
}
#else
namespace {
const char* const without_cuda = "Torch.Native was built without CUDA's headers: there are no CUDA graphs";
}

tn_graph tn_cuda_graph_begin(int32_t) {
    set_error(without_cuda);
    return nullptr;
}

bool tn_cuda_graph_end(tn_graph) {
    set_error(without_cuda);
    return false;
}

bool tn_cuda_graph_replay(tn_graph) {
    set_error(without_cuda);
    return false;
}

void tn_cuda_graph_free(tn_graph) {}
#endif
