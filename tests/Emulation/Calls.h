// Kernels by their names, and their arguments as a launch brings them.
#pragma once

#include <utility>

struct half;
struct bfloat16;

namespace emulated {

// As the launching side numbers them.
enum class Kind : unsigned char { read, write, update, int32, int64, single };

// Whether an argument of that kind is a tensor, whether its bytes come with the launch, and whether they go back.
inline bool is_tensor(Kind kind) { return kind <= Kind::update; }
inline bool is_given(Kind kind) { return kind == Kind::read || kind == Kind::update; }
inline bool is_changed(Kind kind) { return kind == Kind::write || kind == Kind::update; }

// What an argument is, and a pointer's elements as the tensor library numbers them, or -1 for others.
struct Parameter {
    Kind kind;
    int element;
};

template <typename T>
inline constexpr int element_number = -1;
template <>
inline constexpr int element_number<unsigned char> = 0;
template <>
inline constexpr int element_number<int> = 3;
template <>
inline constexpr int element_number<long long> = 4;
template <>
inline constexpr int element_number<half> = 5;
template <>
inline constexpr int element_number<float> = 6;
template <>
inline constexpr int element_number<double> = 7;
template <>
inline constexpr int element_number<bfloat16> = 15;

// A parameter of some type, from an argument's bits.
template <typename T>
struct Unboxed;

template <typename T>
struct Unboxed<const T*> {
    static constexpr Parameter parameter{Kind::read, element_number<T>};
    static const T* from(unsigned long long bits) { return reinterpret_cast<const T*>(bits); }
};

template <typename T>
struct Unboxed<T*> {
    static constexpr Parameter parameter{Kind::write, element_number<T>};
    static T* from(unsigned long long bits) { return reinterpret_cast<T*>(bits); }
};

template <>
struct Unboxed<int> {
    static constexpr Parameter parameter{Kind::int32, -1};
    static int from(unsigned long long bits) { return static_cast<int>(bits); }
};

template <>
struct Unboxed<long long> {
    static constexpr Parameter parameter{Kind::int64, -1};
    static long long from(unsigned long long bits) { return static_cast<long long>(bits); }
};

template <>
struct Unboxed<float> {
    static constexpr Parameter parameter{Kind::single, -1};
    static float from(unsigned long long bits) {
        union {
            unsigned bits;
            float real;
        } both;
        both.bits = static_cast<unsigned>(bits);
        return both.real;
    }
};

// Calls a kernel with arguments whose types are known only when it runs.
template <auto Function>
struct Thunk;

template <typename... T, void (*Function)(T...)>
struct Thunk<Function> {
    static constexpr int count = sizeof...(T);
    static constexpr Parameter parameters[sizeof...(T) + 1] = {Unboxed<T>::parameter...};

    static void call(const unsigned long long* bits) { call(bits, std::index_sequence_for<T...>()); }

private:
    template <std::size_t... Index>
    static void call([[maybe_unused]] const unsigned long long* bits, std::index_sequence<Index...>) {
        Function(Unboxed<T>::from(bits[Index])...);
    }
};

// A kernel that the executable has.
struct Entry {
    const char* name;
    int count;
    const Parameter* parameters;
    void (*call)(const unsigned long long* bits);
};

// Defined beside the kernels.
extern const Entry entries[];
extern const int entry_count;

}  // namespace emulated

#define EMULATED_ENTRY(kernel) \
    { #kernel, emulated::Thunk<&kernel>::count, emulated::Thunk<&kernel>::parameters, &emulated::Thunk<&kernel>::call }
