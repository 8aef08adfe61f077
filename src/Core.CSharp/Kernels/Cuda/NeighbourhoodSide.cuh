// Whom a token sees along one side of the map, and who sees it. Constant: WINDOW (k, odd).
#pragma once
#include "Device.cuh"

#define RADIUS (WINDOW / 2)
#define AREA (WINDOW * WINDOW)
#define OFFSETS (2 * WINDOW - 1)

// One side of the small map of tokens with one residue modulo the dilation.
struct Side {
    int residue, dilation, length;

    DEVICE Side(int tokens, int step, int remainder)
        : residue(remainder), dilation(step), length((tokens - remainder + step - 1) / step) {}

    DEVICE long long token(int place) const { return static_cast<long long>(place) * dilation + residue; }

    // The first key that a query sees: windows that reach over the edge are shifted inwards.
    DEVICE int first_key(int query) const { return min(max(query - RADIUS, 0), length - WINDOW); }

    // The first and last query that see a key: at the edges those of shifted windows too.
    DEVICE int first_query(int key) const { return key < WINDOW ? 0 : key - RADIUS; }
    DEVICE int last_query(int key) const { return key >= length - WINDOW ? length - 1 : key + RADIUS; }
};
