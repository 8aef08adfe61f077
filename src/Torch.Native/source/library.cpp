// Errors, version, settings, and what happens when the library is loaded.
#include "internal.h"

#include <ATen/Context.h>
#include <torch/version.h>

#include <cstdlib>
#include <cstring>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace torch_native {
namespace {

thread_local std::string last_error;

#if defined(__GLIBC__)
long from_environment(const char* name, long otherwise) {
    const char* text = std::getenv(name);
    if (text == nullptr || *text == '\0')
        return otherwise;
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    return *end == '\0' && value >= 0 ? value : otherwise;
}

// glibc gives large blocks back to the kernel at every free, so each new activation page-faults through all of its
// memory: five times the cost of the arithmetic for an element-wise operator. Keeping the blocks costs no peak memory,
// for what is kept is what was in use. Zero leaves glibc's own value.
__attribute__((constructor)) void keep_freed_blocks() {
    constexpr long gigabyte = 1L << 30;
    constexpr long largest_of_older_glibc = 32L << 20;

    const long threshold = from_environment("LOCALATTENTION_MALLOC_MMAP_THRESHOLD", gigabyte);
    if (threshold != 0 && mallopt(M_MMAP_THRESHOLD, static_cast<int>(threshold)) == 0)
        mallopt(M_MMAP_THRESHOLD, static_cast<int>(largest_of_older_glibc));
    if (const long trim = from_environment("LOCALATTENTION_MALLOC_TRIM_THRESHOLD", gigabyte); trim != 0)
        mallopt(M_TRIM_THRESHOLD, static_cast<int>(trim));
    if (const long top = from_environment("LOCALATTENTION_MALLOC_TOP_PAD", 64L << 20); top != 0)
        mallopt(M_TOP_PAD, static_cast<int>(top));
}
#endif

struct Setting {
    const char* name;
    bool (*get)();
    void (*set)(bool);
};

#if TORCH_VERSION_MAJOR >= 2
namespace warnings = c10::WarningUtils;
#else
namespace warnings = c10::Warning;
#endif

const Setting settings[] = {
    {"deterministic", [] { return at::globalContext().deterministicAlgorithms(); },
     [](bool on) {
         auto& context = at::globalContext();
         context.setDeterministicAlgorithms(on, context.deterministicAlgorithmsWarnOnly());
     }},
    {"deterministic_warn_only", [] { return at::globalContext().deterministicAlgorithmsWarnOnly(); },
     [](bool on) {
         auto& context = at::globalContext();
         context.setDeterministicAlgorithms(context.deterministicAlgorithms(), on);
     }},
    {"warn_always", [] { return warnings::get_warnAlways(); }, [](bool on) { warnings::set_warnAlways(on); }},
    {"allow_tf32_cublas", [] { return at::globalContext().allowTF32CuBLAS(); },
     [](bool on) { at::globalContext().setAllowTF32CuBLAS(on); }},
    {"allow_tf32_cudnn", [] { return at::globalContext().allowTF32CuDNN(); },
     [](bool on) { at::globalContext().setAllowTF32CuDNN(on); }},
    {"onednn", [] { return at::globalContext().userEnabledMkldnn(); },
     [](bool on) { at::globalContext().setUserEnabledMkldnn(on); }},
};

const Setting* find_setting(const char* name) {
    for (const auto& setting : settings)
        if (std::strcmp(setting.name, name) == 0)
            return &setting;
    return nullptr;
}

}  // namespace

void set_error(std::string text) {
    last_error = std::move(text);
}

}  // namespace torch_native

using namespace torch_native;

const char* tn_error() {
    return last_error.c_str();
}

const char* tn_version() {
    return TORCH_VERSION;
}

int32_t tn_get_setting(const char* name) {
    const auto* setting = find_setting(name);
    return setting == nullptr ? -1 : guarded(int32_t{-1}, [&] { return static_cast<int32_t>(setting->get()); });
}

bool tn_set_setting(const char* name, int32_t value) {
    const auto* setting = find_setting(name);
    return setting != nullptr && succeeded([&] { setting->set(value != 0); });
}
