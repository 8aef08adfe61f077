// Tensors from memory, what they are, and indexing.
#include "internal.h"

#include <ATen/ATen.h>
#include <ATen/TensorIndexing.h>

#include <memory>

namespace torch_native {
namespace {

std::vector<at::indexing::TensorIndex> to_indices(const tn_index_item* items, int32_t count) {
    std::vector<at::indexing::TensorIndex> indices;
    indices.reserve(count);
    for (int32_t i = 0; i < count; ++i) {
        const auto& item = items[i];
        switch (item.kind) {
            case tn_index_ellipsis:
                indices.emplace_back(at::indexing::Ellipsis);
                break;
            case tn_index_integer:
                indices.emplace_back(item.start);
                break;
            case tn_index_boolean:
                indices.emplace_back(item.start != 0);
                break;
            case tn_index_slice:
                indices.emplace_back(at::indexing::Slice(item.start, item.stop, item.step));
                break;
            case tn_index_tensor:
                indices.emplace_back(borrow(item.tensor));
                break;
            default:
                indices.emplace_back(at::indexing::None);
        }
    }
    return indices;
}

}  // namespace
}  // namespace torch_native

using namespace torch_native;

void tn_tensor_free(tn_tensor tensor) {
    succeeded([&] { adopt(tensor); });
}

tn_tensor tn_tensor_share(tn_tensor tensor) {
    return hand_over(borrow(tensor));
}

tn_tensor tn_tensor_copy_of(const void* data, const int64_t* sizes, int32_t dimensions, int32_t dtype) {
    return guarded<tn_tensor>(nullptr, [&] {
        const auto type = static_cast<at::ScalarType>(dtype);
        at::NoGradGuard no_grad;
        auto tensor = at::empty(at::IntArrayRef(sizes, dimensions), at::TensorOptions(type));
        if (const auto bytes = tensor.nbytes(); bytes != 0)
            std::memcpy(tensor.data_ptr(), data, bytes);
        return hand_over(std::move(tensor));
    });
}

tn_tensor tn_tensor_over(void* data, const int64_t* sizes, int32_t dimensions, int32_t dtype, tn_release release, void* state) {
    // The state has one owner from the first line on, so that every way out releases it once.
    std::shared_ptr<void> owner(state, release);
    return guarded<tn_tensor>(nullptr, [&] {
        const auto type = static_cast<at::ScalarType>(dtype);
        return hand_over(at::from_blob(
            data, at::IntArrayRef(sizes, dimensions), [owner](void*) {}, at::TensorOptions(type)));
    });
}

int64_t tn_tensor_dimensions(tn_tensor tensor) {
    return peek(tensor).dim();
}

int64_t tn_tensor_elements(tn_tensor tensor) {
    return peek(tensor).numel();
}

int64_t tn_tensor_element_size(tn_tensor tensor) {
    return static_cast<int64_t>(peek(tensor).itemsize());
}

int32_t tn_tensor_dtype(tn_tensor tensor) {
    return static_cast<int32_t>(c10::typeMetaToScalarType(peek(tensor).dtype()));
}

int32_t tn_tensor_device_type(tn_tensor tensor) {
    return static_cast<int32_t>(peek(tensor).device().type());
}

int32_t tn_tensor_device_index(tn_tensor tensor) {
    return peek(tensor).device().index();
}

bool tn_tensor_sizes(tn_tensor tensor, int64_t* sizes) {
    return succeeded([&] {
        const auto list = peek(tensor).sizes();
        std::copy(list.begin(), list.end(), sizes);
    });
}

bool tn_tensor_strides(tn_tensor tensor, int64_t* strides) {
    return succeeded([&] {
        const auto list = peek(tensor).strides();
        std::copy(list.begin(), list.end(), strides);
    });
}

int64_t tn_tensor_storage_offset(tn_tensor tensor) {
    return guarded(int64_t{-1}, [&] { return peek(tensor).storage_offset(); });
}

bool tn_tensor_is_contiguous(tn_tensor tensor) {
    return guarded(false, [&] { return peek(tensor).is_contiguous(); });
}

bool tn_tensor_is_sparse(tn_tensor tensor) {
    return guarded(false, [&] { return peek(tensor).is_sparse(); });
}

bool tn_tensor_is_pinned(tn_tensor tensor) {
    return guarded(false, [&] { return borrow(tensor).is_pinned(); });
}

void* tn_tensor_data(tn_tensor tensor) {
    return guarded<void*>(nullptr, [&] {
        set_error({});
        return borrow(tensor).data_ptr();
    });
}

int64_t tn_tensor_storage_bytes(tn_tensor tensor) {
    return guarded(int64_t{-1}, [&] { return static_cast<int64_t>(peek(tensor).storage().nbytes()); });
}

int64_t tn_tensor_version(tn_tensor tensor) {
    return guarded(int64_t{-1}, [&] { return borrow(tensor)._version(); });
}

tn_tensor tn_tensor_select(tn_tensor tensor, const int64_t* places, int32_t count) {
    return guarded<tn_tensor>(nullptr, [&] {
        auto part = borrow(tensor);
        for (int32_t i = 0; i < count; ++i)
            part = part.select(0, places[i]);
        return hand_over(std::move(part));
    });
}

tn_tensor tn_tensor_index(tn_tensor tensor, const tn_index_item* items, int32_t count) {
    return guarded<tn_tensor>(nullptr, [&] { return hand_over(borrow(tensor).index(to_indices(items, count))); });
}

bool tn_tensor_index_put(tn_tensor tensor, const tn_index_item* items, int32_t count, tn_tensor value) {
    return succeeded([&] { borrow(tensor).index_put_(to_indices(items, count), borrow(value)); });
}
