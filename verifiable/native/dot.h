// Floats of rows, packed: element k of row i at to[k * STEP + i], zeros where there is no row.
#pragma once

#include "dot_driver.h"
#include "transpose.h"

namespace verifiable {

struct DotGrain {
    i64 rows, columns;
};

void dot_floats(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch);
void pack_constant_floats(Rows& rows, const Packing& packing);
DotGrain float_grain();

// Integers: the way that a Dot may go at most, and that of one run.
Products products_of(const Dot& dot, Products fastest);
Products products_of_run(const Run& run, const Dot& dot);
// Whether the columns of a tile are to run along m, if they may.
bool integers_are_swapped(const Dot& dot, bool may_swap);
void dot_integers(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch);
void pack_constant_integers(Dot& dot, Rows& rows, const Packing& packing);
DotGrain integer_grain(Products products);

// Those of dot_quads.cpp.
bool has_quad_products();
void dot_quads(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch);
void pack_constant_quads(Rows& rows, const Packing& packing);

// Those of dot_tiles.cpp.
bool has_tile_products();
DotGrain tile_grain();
void dot_tiles(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch);
void pack_constant_tiles(Rows& rows, const Packing& packing);

// Those of planes.cpp. Has a Dot whose patches allow it read them by quads.
void read_by_quads(Dot& dot);
// Before the parts of such a Dot are computed.
void make_planes(const Run& run, const Dot& dot);

// Work of `count` rows in slivers; fewer than four do not fill the units for fma.
inline i64 sliver_cost(i64 count, i64 rows) {
    i64 rest = count % rows;
    return count - rest + (rest ? std::max<i64>(rest, std::min<i64>(rows, 4)) : 0);
}

inline bool swap_is_cheaper(const Dot& dot, const DotGrain& grain) {
    i64 plain = sliver_cost(dot.m, grain.rows) * ceil_div(dot.n, grain.columns);
    i64 swapped = sliver_cost(dot.n, grain.rows) * ceil_div(dot.m, grain.columns);
    return swapped * 10 < plain * 9;
}

template <i64 STEP>
void pack_floats(const Rows& rows, const float* from, i64 first, i64 stop, i64 k0, i64 k1,
                 float* to) {
    const i64 count = stop - first;
    if (count < STEP) std::memset(to, 0, (k1 - k0) * STEP * sizeof(float));
    if (rows.k.unit()) {
        const float* row[STEP];
        for (i64 i = 0; i < count; ++i) row[i] = from + rows.row[first + i];
        i64 k = k0;
        if (count == STEP) {
#if defined(__AVX2__)
            if constexpr (STEP % 8 == 0) {
                for (; k + 8 <= k1; k += 8)
                    for (i64 i = 0; i < STEP; i += 8) {
                        const float* eight[8];
                        for (int j = 0; j < 8; ++j) eight[j] = row[i + j] + k;
                        transpose_8x8(eight, to + (k - k0) * STEP + i, STEP);
                    }
            }
#endif
            for (; k < k1; ++k)
                for (i64 i = 0; i < STEP; ++i) to[(k - k0) * STEP + i] = row[i][k];
            return;
        }
        for (; k < k1; ++k)
            for (i64 i = 0; i < count; ++i) to[(k - k0) * STEP + i] = row[i][k];
        return;
    }
    if (rows.row.run(first, stop - 1)) {
        const float* at = from + rows.row[first];
        for (i64 k = k0; k < k1; ++k, to += STEP) {
            const float* line = at + rows.k[k];
            if (count == STEP) {
                for (i64 i = 0; i < STEP; ++i) to[i] = line[i];
            } else {
                for (i64 i = 0; i < count; ++i) to[i] = line[i];
            }
        }
        return;
    }
    i64 offset[STEP];
    for (i64 i = 0; i < count; ++i) offset[i] = rows.row[first + i];
    // Rows of patches: a few runs of neighbours. Each is copied as whole vectors; the next run, or the
    // next k, writes over what was too much.
    constexpr int RUNS = 4;
    i64 start[RUNS + 1] = {0};
    int runs = 1;
    for (i64 i = 1; i < count && runs <= RUNS; ++i)
        if (offset[i] != offset[i - 1] + 1) start[runs++] = i;
    if (rows.margin && runs <= RUNS) {
        for (i64 k = k0; k < k1; ++k, to += STEP) {
            const float* line = from + rows.k[k];
            for (int r = 0; r < runs; ++r)
                for (i64 v = start[r]; v < STEP; v += LANES)
                    store(to + v, load(line + offset[start[r]] + (v - start[r])));
        }
        return;
    }
    for (i64 k = k0; k < k1; ++k, to += STEP) {
        const float* line = from + rows.k[k];
        for (i64 i = 0; i < count; ++i) to[i] = line[offset[i]];
    }
}

}  // namespace verifiable
