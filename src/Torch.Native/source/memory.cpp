// Exact count of the bytes that CPU tensors hold, by an allocator that counts and passes on.
#include "internal.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstring>

#if defined(__linux__)
#include <malloc.h>
#define TN_BLOCK_BYTES(pointer) malloc_usable_size(pointer)
#elif defined(__APPLE__)
#include <malloc/malloc.h>
#define TN_BLOCK_BYTES(pointer) malloc_size(pointer)
#else
#define TN_BLOCK_BYTES(pointer) 0
#endif

namespace torch_native {
namespace {

std::atomic<int64_t> live_bytes{0};
static_assert(sizeof(live_bytes) == sizeof(int64_t), "read through a plain pointer from outside");

c10::DeleterFnPtr free_block = nullptr;

void counted_free(void* block) {
    if (block == nullptr)
        return;
    live_bytes.fetch_sub(static_cast<int64_t>(TN_BLOCK_BYTES(block)), std::memory_order_relaxed);
    free_block(block);
}

// libtorch changed `allocate` from const to not, and added `copy_data`, between 1.13 and 2.x: whichever of these the
// base class declares is overridden, and the rest are ordinary members.
class CountingAllocator final : public c10::Allocator {
public:
    explicit CountingAllocator(c10::Allocator* inner) : inner_(inner) {}

    c10::DataPtr allocate(size_t bytes) const {
        auto block = inner_->allocate(bytes);
        auto* memory = block.get();
        if (memory == nullptr)
            return block;
        live_bytes.fetch_add(static_cast<int64_t>(TN_BLOCK_BYTES(memory)), std::memory_order_relaxed);
        block.release_context();
        return {memory, memory, &counted_free, block.device()};
    }

    c10::DataPtr allocate(size_t bytes) {
        return static_cast<const CountingAllocator*>(this)->allocate(bytes);
    }

    c10::DeleterFnPtr raw_deleter() const {
        return &counted_free;
    }

    void copy_data(void* target, const void* source, std::size_t bytes) const {
        std::memcpy(target, source, bytes);
    }

private:
    c10::Allocator* inner_;
};

// Installed once, before the first tensor of the caller; blocks allocated before keep their own deleter.
void install() {
    auto* inner = c10::GetCPUAllocator();
    free_block = inner->raw_deleter();
    if (free_block == nullptr)
        return;  // an allocator whose blocks cannot be freed by pointer is left as it is, uncounted
    static CountingAllocator counting(inner);
    constexpr uint8_t above_the_default = 1;
    c10::SetCPUAllocator(&counting, above_the_default);
}

}  // namespace
}  // namespace torch_native

const int64_t* tn_live_bytes() {
    static const bool installed = torch_native::succeeded(torch_native::install);
    (void)installed;
    return reinterpret_cast<const int64_t*>(&torch_native::live_bytes);
}
