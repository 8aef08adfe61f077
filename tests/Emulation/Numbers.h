// Numbers of 16 bits, and products of tensor cores.
#pragma once

#include <string.h>

#include "Launch.h"

namespace emulated {

inline float float_from(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

inline unsigned bits_from(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

// IEEE 754 binary16 to binary32, exact.
inline float widen(unsigned short half_bits) {
    const unsigned sign = static_cast<unsigned>(half_bits & 0x8000u) << 16;
    const unsigned exponent = (half_bits >> 10) & 31u;
    const unsigned fraction = half_bits & 0x3ffu;
    if (exponent == 31) return float_from(sign | 0x7f800000u | fraction << 13);
    if (exponent != 0) return float_from(sign | (exponent + 112) << 23 | fraction << 13);
    // A subnormal: its fraction times 2⁻²⁴.
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
}

// Back, to nearest, ties to even.
inline unsigned short narrow(float value) {
    const unsigned bits = bits_from(value);
    const unsigned short sign = static_cast<unsigned short>((bits >> 16) & 0x8000u);
    const unsigned magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<unsigned short>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    // From half of the way between the largest number and what would follow it.
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u;
    // The significand with its leading one, and how many of its bits are dropped: more where the result is subnormal.
    unsigned significand, dropped, result;
    if (magnitude >= 0x38800000u) {
        significand = magnitude - (112u << 23);
        dropped = 13;
    } else {
        const unsigned exponent = magnitude >> 23;
        if (exponent < 102) return sign;
        significand = (magnitude & 0x7fffffu) | 0x800000u;
        dropped = 126 - exponent;
    }
    result = significand >> dropped;
    const unsigned rest = significand & ((1u << dropped) - 1);
    const unsigned tie = 1u << (dropped - 1);
    if (rest > tie || (rest == tie && (result & 1u) != 0)) result++;
    return static_cast<unsigned short>(sign | result);
}

// With the layout of Device.cuh: who holds which elements of A and B.
inline void add_to_sums(float* d, const Words* lanes, int lane, float (*value_of)(unsigned short bits)) {
    const auto element = [&](int from, int word, int column) {
        return value_of(static_cast<unsigned short>(lanes[from].at[word] >> (column % 2 * 16)));
    };
    // A[row][k] is in lane row % 8 * 4 + k % 8 / 2; B[k][column] in lane column * 4 + k % 8 / 2.
    const auto of_a = [&](int row, int k) { return element(row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2, k); };
    const auto of_b = [&](int k, int column) { return element(column * 4 + k % 8 / 2, 4 + k / 8, k); };
    for (int index = 0; index < 4; index++) {
        const int row = lane / 4 + index / 2 * 8;
        const int column = lane % 4 * 2 + index % 2;
        for (int k = 0; k < 16; k++) d[index] += of_a(row, k) * of_b(k, column);
    }
}

}  // namespace emulated
