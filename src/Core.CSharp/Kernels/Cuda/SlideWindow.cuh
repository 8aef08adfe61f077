// The window of Slide Attention, and how the table of its weights is laid out.
//
// Constants: WINDOW, the odd side k; SHIFTS, 1 where the weight only shifts and the table has the bias alone.
#pragma once

#include "Device.cuh"

#define AREA (WINDOW * WINDOW)
#define RADIUS (WINDOW / 2)

// Samples whose sums are in registers at a time, and how they are padded in the table of weights.
#define SAMPLES (AREA <= 25 ? AREA : 16)
#define SAMPLES_PADDED ((SAMPLES + 3) / 4 * 4)
#define BLOCKS ((AREA + SAMPLES - 1) / SAMPLES)
#define AREA_PADDED (BLOCKS * SAMPLES_PADDED)

// What a sample is made of: positions of the window, and last the bias.
#define TAPS (SHIFTS ? 1 : AREA + 1)
