// Gradients: flags, modes, the backward pass, and functions whose backward pass is the caller's.
#include "internal.h"

#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/custom_class.h>

#include <stdexcept>

struct tn_context_impl : torch::autograd::AutogradContext {};

namespace torch_native {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The caller's side of a graph node. The node owns it, so the caller's state lives exactly as long as the graph does.
struct Callback : torch::CustomClassHolder {
    tn_backward_callback backward;
    tn_release release;
    void* state;
    int32_t input_count;

    explicit Callback(const tn_function& function)
        : backward(function.backward), release(function.release), state(function.state), input_count(function.input_count) {}
    Callback(const Callback&) = delete;
    Callback& operator=(const Callback&) = delete;
    ~Callback() override {
        release(state);
    }
};

constexpr const char* callback_key = "callback";

// libtorch's own custom function: it wraps outputs, saves variables and materialises gradients by its own rules.
struct ManagedFunction : torch::autograd::Function<ManagedFunction> {
    static variable_list forward(AutogradContext* context, const tn_function* function, c10::intrusive_ptr<Callback> callback,
                                 at::TensorList) {
        context->saved_data[callback_key] = c10::IValue::make_capsule(std::move(callback));
        context->save_for_backward(borrow_all(function->saved, function->saved_count));
        context->mark_dirty(borrow_all(function->dirty, function->dirty_count));
        context->mark_non_differentiable(borrow_all(function->non_differentiable, function->non_differentiable_count));
        context->set_materialize_grads(function->materialize_grads != 0);
        return borrow_all(function->outputs, function->output_count);
    }

    static variable_list backward(AutogradContext* context, variable_list grads) {
        const auto capsule = context->saved_data[callback_key].toCapsule();
        const auto& callback = static_cast<const Callback&>(*capsule);

        std::vector<tn_tensor> handles;
        handles.reserve(grads.size());
        for (auto& grad : grads)
            handles.push_back(hand_over(std::move(grad)));
        std::vector<tn_tensor> results(callback.input_count, nullptr);
        const char* failure = callback.backward(
            callback.state, static_cast<tn_context>(context), handles.data(), static_cast<int32_t>(handles.size()),
            results.data(), callback.input_count);

        constexpr size_t no_tensors = 2;  // the arguments of `forward` before the inputs
        variable_list input_grads(no_tensors + results.size());
        for (size_t i = 0; i < results.size(); ++i)
            input_grads[no_tensors + i] = adopt(results[i]);
        if (failure != nullptr)
            throw std::runtime_error(failure);
        return input_grads;
    }
};

}  // namespace
}  // namespace torch_native

using namespace torch_native;

bool tn_tensor_requires_grad(tn_tensor tensor) {
    return guarded(false, [&] { return peek(tensor).requires_grad(); });
}

bool tn_tensor_set_requires_grad(tn_tensor tensor, bool value) {
    return succeeded([&] { borrow(tensor).set_requires_grad(value); });
}

bool tn_tensor_is_leaf(tn_tensor tensor) {
    return guarded(false, [&] { return borrow(tensor).is_leaf(); });
}

tn_tensor tn_tensor_grad(tn_tensor tensor) {
    return guarded<tn_tensor>(nullptr, [&] { return hand_over(borrow(tensor).mutable_grad()); });
}

bool tn_tensor_set_grad(tn_tensor tensor, tn_tensor grad) {
    return succeeded([&] {
        auto target = borrow(tensor);
        if (grad == nullptr)
            target.mutable_grad().reset();
        else
            target.mutable_grad() = borrow(grad);
    });
}

bool tn_tensor_set_data(tn_tensor tensor, tn_tensor data) {
    return succeeded([&] { borrow(tensor).set_data(borrow(data)); });
}

bool tn_grad_enabled() {
    return c10::GradMode::is_enabled();
}

void tn_set_grad_enabled(bool value) {
    c10::GradMode::set_enabled(value);
}

void* tn_inference_mode_enter(bool value) {
    return guarded<void*>(nullptr, [&] { return new c10::InferenceMode(value); });
}

void tn_inference_mode_leave(void* guard) {
    succeeded([&] { delete static_cast<c10::InferenceMode*>(guard); });
}

bool tn_inference_mode_enabled() {
    return c10::InferenceMode::is_enabled();
}

bool tn_anomaly_enabled() {
    return torch::autograd::AnomalyMode::is_enabled();
}

bool tn_anomaly_checks_nan() {
    return torch::autograd::AnomalyMode::should_check_nan();
}

void tn_set_anomaly(bool enabled, bool checks_nan) {
    torch::autograd::AnomalyMode::set_enabled(enabled, checks_nan);
}

bool tn_backward(const tn_tensor* tensors, int32_t count, const tn_tensor* grads, int32_t grad_count, bool retain_graph,
                 bool create_graph, const tn_tensor* inputs, int32_t input_count) {
    return succeeded([&] {
        torch::autograd::backward(borrow_all(tensors, count), borrow_all(grads, grad_count), retain_graph, create_graph,
                                  borrow_all(inputs, input_count));
    });
}

bool tn_grad(const tn_tensor* outputs, int32_t output_count, const tn_tensor* inputs, int32_t input_count,
             const tn_tensor* grads, int32_t grad_count, bool retain_graph, bool create_graph, bool allow_unused,
             tn_tensor* results) {
    return succeeded([&] {
        auto found = torch::autograd::grad(borrow_all(outputs, output_count), borrow_all(inputs, input_count),
                                           borrow_all(grads, grad_count), retain_graph, create_graph, allow_unused);
        for (size_t i = 0; i < found.size(); ++i)
            results[i] = hand_over(std::move(found[i]));
    });
}

bool tn_function_apply(const tn_function* function, tn_tensor* results) {
    return succeeded([&] {
        auto callback = c10::make_intrusive<Callback>(*function);
        const auto inputs = borrow_all(function->inputs, function->input_count);
        auto outputs = ManagedFunction::apply(function, std::move(callback), at::TensorList(inputs));
        for (size_t i = 0; i < outputs.size(); ++i)
            results[i] = hand_over(std::move(outputs[i]));
    });
}

int32_t tn_context_saved(tn_context context, tn_tensor* saved, int32_t capacity) {
    return guarded(int32_t{-1}, [&] {
        auto variables = context->get_saved_variables();
        TORCH_CHECK(static_cast<int64_t>(variables.size()) <= capacity, "room for ", capacity, " saved tensors, but there are ",
                    variables.size());
        for (size_t i = 0; i < variables.size(); ++i)
            saved[i] = hand_over(std::move(variables[i]));
        return static_cast<int32_t>(variables.size());
    });
}
