// What the files of this library share: handles to tensors and back, and the guard that keeps exceptions inside.
#pragma once

#include "torch_native.h"

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <string>
#include <utility>
#include <vector>

namespace torch_native {

void set_error(std::string text);

// A tensor that shares the handle's reference, leaving the handle valid.
inline at::Tensor borrow(tn_tensor handle) {
    if (handle == nullptr)
        return {};
    auto* impl = reinterpret_cast<c10::TensorImpl*>(handle);
    c10::raw::intrusive_ptr::incref(impl);
    return at::Tensor(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim(impl));
}

// A tensor that takes the handle's reference over.
inline at::Tensor adopt(tn_tensor handle) {
    if (handle == nullptr)
        return {};
    return at::Tensor(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim(
        reinterpret_cast<c10::TensorImpl*>(handle)));
}

inline tn_tensor hand_over(at::Tensor tensor) {
    return tensor.defined() ? reinterpret_cast<tn_tensor>(tensor.unsafeReleaseTensorImpl()) : nullptr;
}

inline std::vector<at::Tensor> borrow_all(const tn_tensor* handles, int32_t count) {
    std::vector<at::Tensor> tensors;
    tensors.reserve(count);
    for (int32_t i = 0; i < count; ++i)
        tensors.push_back(borrow(handles[i]));
    return tensors;
}

// Peeks at a tensor without touching its reference count: for the getters.
inline c10::TensorImpl& peek(tn_tensor handle) {
    return *reinterpret_cast<c10::TensorImpl*>(handle);
}

// Runs the body; whatever it throws becomes the thread's error text and `failure` the result.
template <class Result, class Body>
Result guarded(Result failure, Body&& body) noexcept {
    try {
        return std::forward<Body>(body)();
    } catch (const c10::Error& error) {
        set_error(error.what_without_backtrace());
    } catch (const std::exception& error) {
        set_error(error.what());
    } catch (...) {
        set_error("libtorch failed without saying why");
    }
    return failure;
}

// The same for bodies without a result: true where they went through.
template <class Body>
bool succeeded(Body&& body) noexcept {
    return guarded(false, [&] {
        body();
        return true;
    });
}

}  // namespace torch_native
