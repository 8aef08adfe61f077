// Any operator by name: arguments are boxed as its schema asks, the dispatcher does the rest.
#include "internal.h"

#include <ATen/core/Generator.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <ATen/core/stack.h>

#include <cstdlib>
#include <cstring>
#include <limits>

namespace torch_native {
namespace {

using c10::IValue;
using c10::TypeKind;

// libtorch's optional is its own type in 1.x and the standard one later: ask it.
template <class T>
struct Rebind;
template <template <class> class Template, class Inner>
struct Rebind<Template<Inner>> {
    template <class T>
    using to = Template<T>;
};
using SomeOptional = std::decay_t<decltype(std::declval<const c10::Argument&>().N())>;
using OptionalTensor = Rebind<SomeOptional>::to<at::Tensor>;

[[noreturn]] void refuse(const c10::Argument& argument, const char* given) {
    TORCH_CHECK(false, "argument '", argument.name(), "' takes ", argument.type()->str(), ", not ", given);
    std::abort();  // not reached; TORCH_CHECK is not marked so
}

const char* name_of(tn_kind kind) {
    static const char* const names[] = {"nothing",         "a tensor",          "an integer", "a float",  "a bool",
                                        "a list of integers", "a list of floats", "a list of bools", "a list of tensors",
                                        "a string",        "a device",          "a generator", "a complex number"};
    return names[kind];
}

int64_t as_integer(const tn_value& value, const c10::Argument& argument) {
    switch (value.kind) {
        case tn_int:
        case tn_bool:
            return value.integer;
        case tn_double:
            if (value.real == static_cast<double>(static_cast<int64_t>(value.real)))
                return static_cast<int64_t>(value.real);
            refuse(argument, "a fraction");
        default:
            refuse(argument, name_of(value.kind));
    }
}

double as_real(const tn_value& value, const c10::Argument& argument) {
    switch (value.kind) {
        case tn_int:
        case tn_bool:
            return static_cast<double>(value.integer);
        case tn_double:
            return value.real;
        default:
            refuse(argument, name_of(value.kind));
    }
}

IValue as_number(const tn_value& value, const c10::Argument& argument) {
    switch (value.kind) {
        case tn_int:
            return value.integer;
        case tn_bool:
            return value.integer != 0;
        case tn_double:
            return value.real;
        case tn_complex:
            return c10::complex<double>(value.real, value.imaginary);
        default:
            refuse(argument, name_of(value.kind));
    }
}

// A single value for a list of fixed length N stands for N of it, as in Python.
size_t repeats(const c10::Argument& argument) {
    const auto length = argument.N();
    return length ? static_cast<size_t>(*length) : 1;
}

IValue as_list(const tn_value& value, const c10::Type& element, const c10::Argument& argument) {
    switch (element.kind()) {
        case TypeKind::TensorType: {
            c10::List<at::Tensor> list;
            if (value.kind == tn_tensor_value) {
                list.push_back(borrow(reinterpret_cast<tn_tensor>(value.integer)));
            } else if (value.kind == tn_tensor_list) {
                list.reserve(value.length);
                for (int32_t i = 0; i < value.length; ++i)
                    list.push_back(borrow(static_cast<const tn_tensor*>(value.pointer)[i]));
            } else {
                refuse(argument, name_of(value.kind));
            }
            return list;
        }
        case TypeKind::OptionalType: {
            c10::List<OptionalTensor> list;
            if (value.kind != tn_tensor_list)
                refuse(argument, name_of(value.kind));
            for (int32_t i = 0; i < value.length; ++i) {
                auto tensor = borrow(static_cast<const tn_tensor*>(value.pointer)[i]);
                list.push_back(tensor.defined() ? OptionalTensor(std::move(tensor)) : OptionalTensor());
            }
            return list;
        }
        case TypeKind::FloatType: {
            c10::List<double> list;
            if (value.kind == tn_double_list)
                for (int32_t i = 0; i < value.length; ++i)
                    list.push_back(static_cast<const double*>(value.pointer)[i]);
            else if (value.kind == tn_int_list)
                for (int32_t i = 0; i < value.length; ++i)
                    list.push_back(static_cast<double>(static_cast<const int64_t*>(value.pointer)[i]));
            else
                for (size_t i = 0; i < repeats(argument); ++i)
                    list.push_back(as_real(value, argument));
            return list;
        }
        case TypeKind::BoolType: {
            c10::List<bool> list;
            if (value.kind == tn_bool_list)
                for (int32_t i = 0; i < value.length; ++i)
                    list.push_back(static_cast<const int64_t*>(value.pointer)[i] != 0);
            else
                for (size_t i = 0; i < repeats(argument); ++i)
                    list.push_back(as_integer(value, argument) != 0);
            return list;
        }
        default: {  // int, and what schemas fake as int: SymInt, ScalarType, Layout, MemoryFormat
            c10::List<int64_t> list;
            if (value.kind == tn_int_list) {
                // A list of one for a fixed length is left to the operator: most expand it themselves.
                list.reserve(value.length);
                for (int32_t i = 0; i < value.length; ++i)
                    list.push_back(static_cast<const int64_t*>(value.pointer)[i]);
            } else {
                for (size_t i = 0; i < repeats(argument); ++i)
                    list.push_back(as_integer(value, argument));
            }
            return list;
        }
    }
}

IValue box(const tn_value& value, const c10::Type& type, const c10::Argument& argument) {
    switch (type.kind()) {
        case TypeKind::OptionalType:
            if (value.kind == tn_none)
                return {};
            return box(value, *type.containedType(0), argument);
        case TypeKind::TensorType:
            if (value.kind == tn_none)
                return at::Tensor();
            if (value.kind != tn_tensor_value)
                refuse(argument, name_of(value.kind));
            return borrow(reinterpret_cast<tn_tensor>(value.integer));
        case TypeKind::ListType:
            if (value.kind == tn_none)
                refuse(argument, name_of(value.kind));
            return as_list(value, *type.containedType(0), argument);
        case TypeKind::FloatType:
            return as_real(value, argument);
        case TypeKind::BoolType:
            return as_integer(value, argument) != 0;
        case TypeKind::NumberType:
            return as_number(value, argument);
        case TypeKind::StringType:
            if (value.kind != tn_string)
                refuse(argument, name_of(value.kind));
            return std::string(static_cast<const char*>(value.pointer), value.length);
        case TypeKind::DeviceObjType:
            if (value.kind != tn_device)
                refuse(argument, name_of(value.kind));
            return c10::Device(static_cast<c10::DeviceType>(static_cast<int32_t>(value.integer & 0xffffffff)),
                               static_cast<c10::DeviceIndex>(value.integer >> 32));
        case TypeKind::GeneratorType: {
            if (value.kind != tn_generator_value)
                refuse(argument, name_of(value.kind));
            auto* impl = reinterpret_cast<c10::GeneratorImpl*>(value.integer);
            c10::raw::intrusive_ptr::incref(impl);
            return at::Generator(c10::intrusive_ptr<c10::GeneratorImpl>::reclaim(impl));
        }
        default:
            if (value.kind == tn_none)
                refuse(argument, name_of(value.kind));
            return as_integer(value, argument);
    }
}

tn_value unbox(IValue&& value) {
    tn_value result{};
    if (value.isTensor()) {
        result.kind = tn_tensor_value;
        result.pointer = hand_over(std::move(value).toTensor());
    } else if (value.isTensorList()) {
        const auto list = value.toTensorVector();
        auto* handles = static_cast<tn_tensor*>(std::malloc(sizeof(tn_tensor) * (list.size() + 1)));
        for (size_t i = 0; i < list.size(); ++i)
            handles[i] = hand_over(list[i]);
        result.kind = tn_tensor_list;
        result.length = static_cast<int32_t>(list.size());
        result.pointer = handles;
    } else if (value.isDouble()) {
        result.kind = tn_double;
        result.real = value.toDouble();
    } else if (value.isBool()) {
        result.kind = tn_bool;
        result.integer = value.toBool() ? 1 : 0;
    } else if (value.isInt()) {
        result.kind = tn_int;
        result.integer = value.toInt();
    } else if (value.isComplexDouble()) {
        const auto number = value.toComplexDouble();
        result.kind = tn_complex;
        result.real = number.real();
        result.imaginary = number.imag();
    }
    return result;
}

void release(const tn_value& value) {
    if (value.kind == tn_tensor_value) {
        adopt(static_cast<tn_tensor>(const_cast<void*>(value.pointer)));
    } else if (value.kind == tn_tensor_list) {
        auto* handles = static_cast<tn_tensor*>(const_cast<void*>(value.pointer));
        for (int32_t i = 0; i < value.length; ++i)
            adopt(handles[i]);
        std::free(handles);
    }
}

}  // namespace
}  // namespace torch_native

using namespace torch_native;

struct tn_operator_impl {
    c10::OperatorHandle handle;
};

tn_operator_handle tn_operator(const char* name, const char* overload) {
    return guarded<tn_operator_handle>(nullptr, [&]() -> tn_operator_handle {
        const auto found = c10::Dispatcher::singleton().findSchema({name, overload});
        TORCH_CHECK(found, "libtorch ", tn_version(), " has no operator ", name, *overload == '\0' ? "" : ".", overload);
        return new tn_operator_impl{*found};
    });
}

int32_t tn_call(tn_operator_handle op, const tn_value* arguments, int32_t count, tn_value* results, int32_t capacity) {
    return guarded(int32_t{-1}, [&] {
        const auto& schema = op->handle.schema();
        const auto& parameters = schema.arguments();
        TORCH_CHECK(static_cast<size_t>(count) <= parameters.size(), schema.name(), " takes at most ", parameters.size(),
                    " arguments, not ", count);
        torch::jit::Stack stack;
        stack.reserve(parameters.size());
        for (size_t i = 0; i < parameters.size(); ++i) {
            if (static_cast<int32_t>(i) < count) {
                stack.push_back(box(arguments[i], *parameters[i].type(), parameters[i]));
            } else {
                const auto& otherwise = parameters[i].default_value();
                TORCH_CHECK(otherwise, schema.name(), " misses its argument '", parameters[i].name(), "'");
                stack.push_back(*otherwise);
            }
        }

        op->handle.callBoxed(&stack);

        TORCH_CHECK(static_cast<int64_t>(stack.size()) <= capacity, schema.name(), " returns ", stack.size(),
                    " values, more than the ", capacity, " asked for");
        int32_t written = 0;
        try {
            for (auto& value : stack)
                results[written] = unbox(std::move(value)), ++written;
        } catch (...) {
            while (written > 0)
                release(results[--written]);
            throw;
        }
        return written;
    });
}

void tn_list_free(void* list) {
    std::free(list);
}
