// The C ABI of Torch.Native: libtorch seen through a keyhole. Operators are not wrapped one by one: `tn_call` hands
// boxed arguments to libtorch's dispatcher by operator name. What the dispatcher does not know (memory, autograd,
// generators, threads, devices) has its few functions here.
//
// Conventions. A tensor handle is an owned reference to libtorch's TensorImpl, freed by `tn_tensor_free`; 0 stands for
// the undefined tensor. A function that can fail returns a negative count, `false` or 0 as written beside it, and
// `tn_error` then has the text, for the calling thread. No C++ exception leaves the library.
#pragma once

#include <cstdint>

#if defined(_WIN32)
#define TN_API extern "C" __declspec(dllexport)
#else
#define TN_API extern "C" __attribute__((visibility("default")))
#endif

typedef struct tn_tensor_impl* tn_tensor;
typedef struct tn_generator_impl* tn_generator;
typedef struct tn_operator_impl* tn_operator_handle;
typedef struct tn_graph_impl* tn_graph;

// ---- Boxed values -------------------------------------------------------------------------------------------------

enum tn_kind : int32_t {
    tn_none = 0,
    tn_tensor_value = 1,
    tn_int = 2,
    tn_double = 3,
    tn_bool = 4,
    tn_int_list = 5,     // int64_t[length]
    tn_double_list = 6,  // double[length]
    tn_bool_list = 7,    // int64_t[length], 0 or 1
    tn_tensor_list = 8,  // tn_tensor[length]; 0: undefined, or absent in a list of optionals
    tn_string = 9,       // UTF-8, `length` bytes
    tn_device = 10,      // type in the low half, index in the high half
    tn_generator_value = 11,
    tn_complex = 12,     // `real` and `imaginary`
};

struct tn_value {
    tn_kind kind;
    int32_t length;
    union {
        int64_t integer;
        double real;
        const void* pointer;
    };
    double imaginary;
};

// ---- Errors and the library ---------------------------------------------------------------------------------------

TN_API const char* tn_error();
TN_API const char* tn_version();  // libtorch's, as "1.13.1"

// ---- Operators ----------------------------------------------------------------------------------------------------

// An operator by name ("aten::add") and overload ("Tensor"); 0 if this libtorch has none such. Handles live for ever.
TN_API tn_operator_handle tn_operator(const char* name, const char* overload);

// Calls it; arguments by position in the schema's order, missing ones take the schema's defaults. Returns the number of
// results, or -1. Result tensors are owned by the caller; a result list is freed by `tn_list_free` (not its tensors).
TN_API int32_t tn_call(tn_operator_handle op, const tn_value* arguments, int32_t count, tn_value* results, int32_t capacity);
TN_API void tn_list_free(void* list);

// ---- Tensors ------------------------------------------------------------------------------------------------------

typedef void (*tn_release)(void* state);

TN_API void tn_tensor_free(tn_tensor tensor);
TN_API tn_tensor tn_tensor_share(tn_tensor tensor);  // another reference to the same tensor

// A contiguous tensor on the CPU with a copy of the memory.
TN_API tn_tensor tn_tensor_copy_of(const void* data, const int64_t* sizes, int32_t dimensions, int32_t dtype);
// A contiguous tensor over the caller's memory; `release(state)` is called when the last reference to it is gone,
// and also when the call fails.
TN_API tn_tensor tn_tensor_over(void* data, const int64_t* sizes, int32_t dimensions, int32_t dtype, tn_release release, void* state);

TN_API int64_t tn_tensor_dimensions(tn_tensor tensor);
TN_API int64_t tn_tensor_elements(tn_tensor tensor);
TN_API int64_t tn_tensor_element_size(tn_tensor tensor);
TN_API int32_t tn_tensor_dtype(tn_tensor tensor);
TN_API int32_t tn_tensor_device_type(tn_tensor tensor);
TN_API int32_t tn_tensor_device_index(tn_tensor tensor);
TN_API bool tn_tensor_sizes(tn_tensor tensor, int64_t* sizes);      // false: it has none (nested)
TN_API bool tn_tensor_strides(tn_tensor tensor, int64_t* strides);  // false: it has none (sparse)
TN_API int64_t tn_tensor_storage_offset(tn_tensor tensor);          // -1: it has none
TN_API bool tn_tensor_is_contiguous(tn_tensor tensor);
TN_API bool tn_tensor_is_sparse(tn_tensor tensor);
TN_API bool tn_tensor_is_pinned(tn_tensor tensor);
TN_API void* tn_tensor_data(tn_tensor tensor);            // 0 with an error, or 0 for no elements
TN_API int64_t tn_tensor_storage_bytes(tn_tensor tensor);  // -1: it has none
TN_API int64_t tn_tensor_version(tn_tensor tensor);

// Indexing with numpy's rules. The integers are start (or the index, or the flag), stop and step.
enum tn_index_kind : int32_t { tn_index_none, tn_index_ellipsis, tn_index_integer, tn_index_boolean, tn_index_slice, tn_index_tensor };

struct tn_index_item {
    tn_index_kind kind;
    int32_t reserved;
    int64_t start, stop, step;
    tn_tensor tensor;
};

// The part at these places of the leading dimensions.
TN_API tn_tensor tn_tensor_select(tn_tensor tensor, const int64_t* places, int32_t count);
TN_API tn_tensor tn_tensor_index(tn_tensor tensor, const tn_index_item* items, int32_t count);
TN_API bool tn_tensor_index_put(tn_tensor tensor, const tn_index_item* items, int32_t count, tn_tensor value);

// ---- Autograd -----------------------------------------------------------------------------------------------------

TN_API bool tn_tensor_requires_grad(tn_tensor tensor);
TN_API bool tn_tensor_set_requires_grad(tn_tensor tensor, bool value);
TN_API bool tn_tensor_is_leaf(tn_tensor tensor);
TN_API tn_tensor tn_tensor_grad(tn_tensor tensor);
TN_API bool tn_tensor_set_grad(tn_tensor tensor, tn_tensor grad);
TN_API bool tn_tensor_set_data(tn_tensor tensor, tn_tensor data);

TN_API bool tn_grad_enabled();
TN_API void tn_set_grad_enabled(bool value);
TN_API void* tn_inference_mode_enter(bool value);
TN_API void tn_inference_mode_leave(void* guard);
TN_API bool tn_inference_mode_enabled();
TN_API bool tn_anomaly_enabled();
TN_API bool tn_anomaly_checks_nan();
TN_API void tn_set_anomaly(bool enabled, bool checks_nan);

TN_API bool tn_backward(const tn_tensor* tensors, int32_t count, const tn_tensor* grads, int32_t grad_count, bool retain_graph,
                        bool create_graph, const tn_tensor* inputs, int32_t input_count);
TN_API bool tn_grad(const tn_tensor* outputs, int32_t output_count, const tn_tensor* inputs, int32_t input_count,
                    const tn_tensor* grads, int32_t grad_count, bool retain_graph, bool create_graph, bool allow_unused,
                    tn_tensor* results);

// A function whose forward pass the caller has already computed and whose backward pass is a callback.
typedef struct tn_context_impl* tn_context;

// Gets the gradients of the outputs (owned by the callee, 0 for undefined) and writes those of the inputs (handing them
// over, 0 for undefined); returns null, or a static text saying what failed, valid until its next call on this thread.
typedef const char* (*tn_backward_callback)(void* state, tn_context context, const tn_tensor* grads, int32_t grad_count,
                                            tn_tensor* input_grads, int32_t input_count);

struct tn_function {
    const tn_tensor* inputs;
    const tn_tensor* outputs;
    const tn_tensor* saved;               // may hold 0
    const tn_tensor* dirty;               // inputs changed in place
    const tn_tensor* non_differentiable;  // outputs without gradient
    int32_t input_count, output_count, saved_count, dirty_count, non_differentiable_count;
    int32_t materialize_grads;  // undefined gradients reach the callback as zeros
    tn_backward_callback backward;
    tn_release release;
    void* state;  // released when the graph node is gone, and also when the call fails
};

// Writes `output_count` tensors: the outputs as the graph knows them.
TN_API bool tn_function_apply(const tn_function* function, tn_tensor* results);

// Inside the backward callback only: the number of saved tensors, or -1; and the tensors.
TN_API int32_t tn_context_saved(tn_context context, tn_tensor* saved, int32_t capacity);

// ---- Randomness ---------------------------------------------------------------------------------------------------

TN_API tn_generator tn_generator_new(int32_t device_type, int32_t device_index, uint64_t seed);
TN_API tn_generator tn_generator_default(int32_t device_type, int32_t device_index);
TN_API void tn_generator_free(tn_generator generator);
TN_API bool tn_generator_set_seed(tn_generator generator, uint64_t seed);
TN_API bool tn_generator_seed(tn_generator generator, uint64_t* seed);
TN_API tn_tensor tn_generator_get_state(tn_generator generator);
TN_API bool tn_generator_set_state(tn_generator generator, tn_tensor state);
TN_API bool tn_manual_seed(uint64_t seed);  // of every device

// ---- Threads ------------------------------------------------------------------------------------------------------

TN_API int32_t tn_threads();
TN_API bool tn_set_threads(int32_t count);
TN_API int32_t tn_interop_threads();
TN_API bool tn_set_interop_threads(int32_t count);

// Runs body(begin, end, state) over ranges that together are [begin, end), each at least `grain` long where possible,
// on libtorch's own pool. The body must not throw.
typedef void (*tn_range_body)(int64_t begin, int64_t end, void* state);
TN_API bool tn_parallel_for(int64_t begin, int64_t end, int64_t grain, tn_range_body body, void* state);
TN_API bool tn_in_parallel_region();

// ---- Memory -------------------------------------------------------------------------------------------------------

// Bytes that tensors on the CPU hold now, kept up to date by every allocation: read it through the pointer.
TN_API const int64_t* tn_live_bytes();
// The most that they ever held, or held since the last call with `reset`.
TN_API int64_t tn_peak_bytes(bool reset);

// ---- CUDA ---------------------------------------------------------------------------------------------------------

TN_API bool tn_cuda_available();
TN_API bool tn_cudnn_available();
TN_API int32_t tn_cuda_devices();
TN_API bool tn_cuda_synchronize(int32_t device);
TN_API void* tn_cuda_current_stream(int32_t device);  // 0 for the default stream, and where built without CUDA

// Records what the calling thread launches until the end, on a stream of the graph's own; 0 where that cannot be. A graph
// whose recording did not end well can only be freed. Replaying puts the whole on the current stream.
TN_API tn_graph tn_cuda_graph_begin(int32_t device);
TN_API bool tn_cuda_graph_end(tn_graph graph);
TN_API bool tn_cuda_graph_replay(tn_graph graph);
TN_API void tn_cuda_graph_free(tn_graph graph);

// ---- Settings -----------------------------------------------------------------------------------------------------

// By name: "deterministic", "deterministic_warn_only", "warn_always", "allow_tf32_cublas", "allow_tf32_cudnn",
// "allow_fp16_reduction", "onednn". Negative: no such setting.
TN_API int32_t tn_get_setting(const char* name);
TN_API bool tn_set_setting(const char* name, int32_t value);
