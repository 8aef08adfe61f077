// Random number generators.
#include "internal.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/Generator.h>

#include <mutex>

namespace torch_native {
namespace {

tn_generator hand_over_generator(at::Generator generator) {
    return reinterpret_cast<tn_generator>(generator.unsafeReleaseGeneratorImpl());
}

at::Generator borrow_generator(tn_generator handle) {
    auto* impl = reinterpret_cast<c10::GeneratorImpl*>(handle);
    c10::raw::intrusive_ptr::incref(impl);
    return at::Generator(c10::intrusive_ptr<c10::GeneratorImpl>::reclaim(impl));
}

const at::Generator& default_generator(int32_t device_type, int32_t device_index) {
    return at::globalContext().defaultGenerator(
        c10::Device(static_cast<c10::DeviceType>(device_type), static_cast<c10::DeviceIndex>(device_index)));
}

}  // namespace
}  // namespace torch_native

using namespace torch_native;

tn_generator tn_generator_new(int32_t device_type, int32_t device_index, uint64_t seed) {
    return guarded<tn_generator>(nullptr, [&] {
        if (static_cast<c10::DeviceType>(device_type) == c10::DeviceType::CPU)
            return hand_over_generator(at::detail::createCPUGenerator(seed));
        auto generator = default_generator(device_type, device_index).clone();
        generator.set_current_seed(seed);
        return hand_over_generator(std::move(generator));
    });
}

tn_generator tn_generator_default(int32_t device_type, int32_t device_index) {
    return guarded<tn_generator>(nullptr, [&] { return hand_over_generator(default_generator(device_type, device_index)); });
}

void tn_generator_free(tn_generator generator) {
    succeeded([&] { c10::intrusive_ptr<c10::GeneratorImpl>::reclaim(reinterpret_cast<c10::GeneratorImpl*>(generator)); });
}

bool tn_generator_set_seed(tn_generator generator, uint64_t seed) {
    return succeeded([&] {
        auto target = borrow_generator(generator);
        std::lock_guard<std::mutex> lock(target.mutex());
        target.set_current_seed(seed);
    });
}

bool tn_generator_seed(tn_generator generator, uint64_t* seed) {
    return succeeded([&] { *seed = borrow_generator(generator).current_seed(); });
}

tn_tensor tn_generator_get_state(tn_generator generator) {
    return guarded<tn_tensor>(nullptr, [&] {
        auto source = borrow_generator(generator);
        std::lock_guard<std::mutex> lock(source.mutex());
        return hand_over(source.get_state());
    });
}

bool tn_generator_set_state(tn_generator generator, tn_tensor state) {
    return succeeded([&] {
        TORCH_CHECK(state != nullptr, "the state of a generator is a tensor of bytes, not null");
        auto target = borrow_generator(generator);
        std::lock_guard<std::mutex> lock(target.mutex());
        target.set_state(borrow(state));
    });
}

bool tn_manual_seed(uint64_t seed) {
    return succeeded([&] { at::manual_seed(seed); });
}
