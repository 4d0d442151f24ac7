// Sums of rows, in the order that Reduce defines, of elements that may be computed on the way.
#pragma once

#include <algorithm>

#include "machine.h"

namespace verifiable {

constexpr i64 SIDE = 32;  // sums that run side by side in a chunk
constexpr int VECTORS = SIDE / LANES;

// One vector of each of the sums that run side by side: 32 elements. Work on all of them is done
// step by step, since a processor looks too few instructions ahead to find the next element's.
struct Side {
    Floats v[VECTORS];
};

// Halves are added until one element is left.
inline float sum_of_lanes(Floats* lanes) {
    for (int half = VECTORS / 2; half; half /= 2)
        for (int v = 0; v < half; ++v) lanes[v] = lanes[v] + lanes[v + half];
#if defined(__AVX__) && LANES == 8
    __m256 all = (__m256)lanes[0];
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
    float rest[LANES];
    store(rest, lanes[0]);
    for (int half = LANES / 2; half; half /= 2)
        for (int l = 0; l < half; ++l) rest[l] = rest[l] + rest[l + half];
    return rest[0];
#endif
}

// Chunk of `width` floats: lane l adds x[l], x[l + 32], ... from +0, then halves are added.
template <class Change>
inline float sum_chunk(i64 width, const float* x, float* to, i64 ahead, Change change) {
    Side lanes{};
    i64 i = 0;
    for (; i + SIDE <= width; i += SIDE) {
        Side at;
        for (int v = 0; v < VECTORS; ++v) at.v[v] = load(x + i + v * LANES);
        if (ahead)
            for (int line = 0; line < SIDE; line += 16) {
                __builtin_prefetch(x + i + ahead + line);
                __builtin_prefetch(to + i + ahead + line, 1);
            }
        const Side summed = change(at);
        if (to)
            for (int v = 0; v < VECTORS; ++v) store(to + i + v * LANES, at.v[v]);
        for (int v = 0; v < VECTORS; ++v) lanes.v[v] = lanes.v[v] + summed.v[v];
    }
    if (i < width) {
        // A lane is never -0, so adding +0 to it changes nothing.
        float tail[SIDE] = {};
        std::memcpy(tail, x + i, (width - i) * sizeof(float));
        Side at;
        for (int v = 0; v < VECTORS; ++v) at.v[v] = load(tail + v * LANES);
        const Side summed = change(at);
        for (int v = 0; v < VECTORS; ++v) store(tail + v * LANES, at.v[v]);
        if (to) std::memcpy(to + i, tail, (width - i) * sizeof(float));
        for (int v = 0; v < VECTORS; ++v) store(tail + v * LANES, summed.v[v]);
        std::memset(tail + (width - i), 0, (SIDE - (width - i)) * sizeof(float));
        for (int v = 0; v < VECTORS; ++v) lanes.v[v] = lanes.v[v] + load(tail + v * LANES);
    }
    return sum_of_lanes(lanes.v);
}

// Sum of what `change` gives of a row, a Side at a time; and what it leaves in its argument to `to`,
// which may be x, unless that is null. What lies `ahead` of both, if not 0, comes into the cache.
template <class Change>
inline float sum_row(i64 width, i64 chunk, const float* x, float* to, i64 ahead,
                     Change change) {
    if (!width) return 0.0f;
    float total = sum_chunk(std::min(chunk, width), x, to, ahead, change);
    for (i64 i = chunk; i < width; i += chunk)
        total = total + sum_chunk(std::min(chunk, width - i), x + i, to ? to + i : nullptr, ahead,
                                  change);
    total = total + 0.0f;
    return total == total ? total : __builtin_nanf("");
}

}  // namespace verifiable
