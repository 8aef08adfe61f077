// Exact count of the bytes that CPU tensors hold, by an allocator that counts and passes on; and, to find kernels that
// read or write beside a tensor, blocks with a protected page beside them.
#include "internal.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_map>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#define TN_HAS_PROTECTED_PAGES
#endif

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
std::atomic<int64_t> peak_bytes{0};

c10::DeleterFnPtr free_block = nullptr;

#if defined(TN_HAS_PROTECTED_PAGES)
// Every block in pages of its own, its end (or its start) at the edge of a page that no one may touch. Slow, and for
// tests alone: LOCALATTENTION_GUARD=end or =start, read once.
class GuardedPages {
public:
    static GuardedPages* if_asked_for() {
        static GuardedPages* const pages = [] {
            const char* const side = std::getenv("LOCALATTENTION_GUARD");
            const bool at_end = side != nullptr && std::strcmp(side, "end") == 0;
            const bool at_start = side != nullptr && std::strcmp(side, "start") == 0;
            return at_end || at_start ? new GuardedPages(at_end) : nullptr;
        }();
        return pages;
    }

    void* allocate(size_t bytes) {
        const size_t inner = (bytes + page_ - 1) / page_ * page_;
        const size_t all = inner + 2 * page_;
        auto* const pages = static_cast<char*>(mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (pages == MAP_FAILED)
            throw std::bad_alloc();
        if (mprotect(pages + page_, inner, PROT_READ | PROT_WRITE) != 0) {
            munmap(pages, all);
            throw std::bad_alloc();
        }
        char* const block = at_end_ ? pages + page_ + (inner - bytes) : pages + page_;
        const std::lock_guard<std::mutex> hold(lock_);
        mappings_[block] = {pages, all};
        return block;
    }

    bool free(void* block) {
        const std::lock_guard<std::mutex> hold(lock_);
        const auto found = mappings_.find(block);
        if (found == mappings_.end())
            return false;
        munmap(found->second.first, found->second.second);
        mappings_.erase(found);
        return true;
    }

private:
    explicit GuardedPages(bool at_end) : at_end_(at_end), page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {}

    const bool at_end_;
    const size_t page_;
    std::mutex lock_;
    std::unordered_map<void*, std::pair<void*, size_t>> mappings_;
};
#else
struct GuardedPages {
    static GuardedPages* if_asked_for() { return nullptr; }
    void* allocate(size_t) { return nullptr; }
    bool free(void*) { return false; }
};
#endif

void count(int64_t bytes) {
    const int64_t now = live_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    int64_t most = peak_bytes.load(std::memory_order_relaxed);
    while (now > most && !peak_bytes.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
    }
}

void counted_free(void* block) {
    if (block == nullptr)
        return;
    if (auto* const guarded = GuardedPages::if_asked_for(); guarded != nullptr && guarded->free(block))
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
        if (auto* const guarded = GuardedPages::if_asked_for(); guarded != nullptr && bytes > 0) {
            auto* const memory = guarded->allocate(bytes);
            return {memory, memory, &counted_free, c10::DeviceType::CPU};
        }
        auto block = inner_->allocate(bytes);
        auto* memory = block.get();
        if (memory == nullptr)
            return block;
        count(static_cast<int64_t>(TN_BLOCK_BYTES(memory)));
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

int64_t tn_peak_bytes(bool reset) {
    const int64_t most = torch_native::peak_bytes.load(std::memory_order_relaxed);
    if (reset)
        torch_native::peak_bytes.store(torch_native::live_bytes.load(std::memory_order_relaxed), std::memory_order_relaxed);
    return most;
}
