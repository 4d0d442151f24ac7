// Elements of four bytes, rows to columns.
#pragma once

#include "machine.h"

namespace verifiable {

#if defined(__AVX2__)
// Eight rows by eight columns: to[k * step + i] = rows[i][k].
inline void transpose_8x8(const float* const rows[8], float* to, i64 step) {
    __m256 r[8], s[8];
    for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(rows[i]);
    for (int i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int h = 0; h < 8; h += 4)
        for (int i = 0; i < 2; ++i) {
            r[h + 2 * i] = _mm256_shuffle_ps(s[h + i], s[h + i + 2], 0x44);
            r[h + 2 * i + 1] = _mm256_shuffle_ps(s[h + i], s[h + i + 2], 0xee);
        }
    for (int k = 0; k < 4; ++k) {
        _mm256_storeu_ps(to + k * step, _mm256_permute2f128_ps(r[k], r[k + 4], 0x20));
        _mm256_storeu_ps(to + (k + 4) * step, _mm256_permute2f128_ps(r[k], r[k + 4], 0x31));
    }
}

// Four rows by four columns.
inline void transpose_4x4(const float* const rows[4], float* to, i64 step) {
    __m128 r[4];
    for (int i = 0; i < 4; ++i) r[i] = _mm_loadu_ps(rows[i]);
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
    for (int k = 0; k < 4; ++k) _mm_storeu_ps(to + k * step, r[k]);
}
#endif

// ROWS rows of COLUMNS side by side: to[j * step + i] = from[i * COLUMNS + j].
template <i64 ROWS, i64 COLUMNS>
inline void transpose_tile(const float* from, float* to, i64 step) {
#if defined(__AVX2__)
    // Of a number of rows that is no multiple, the last block does some once more.
    constexpr i64 SIZE = ROWS >= 8 ? 8 : 4;
    static_assert(COLUMNS % SIZE == 0 && ROWS >= SIZE);
    for (i64 i0 = 0; i0 < ROWS; i0 += SIZE) {
        const i64 i = i0 + SIZE <= ROWS ? i0 : ROWS - SIZE;
        for (i64 j = 0; j < COLUMNS; j += SIZE) {
            const float* rows[SIZE];
            for (i64 r = 0; r < SIZE; ++r) rows[r] = from + (i + r) * COLUMNS + j;
            if constexpr (SIZE == 8) {
                transpose_8x8(rows, to + j * step + i, step);
            } else {
                transpose_4x4(rows, to + j * step + i, step);
            }
        }
    }
#else
    for (i64 j = 0; j < COLUMNS; ++j)
        for (i64 i = 0; i < ROWS; ++i) to[j * step + i] = from[i * COLUMNS + j];
#endif
}

}  // namespace verifiable
