// Dot of i8 or u8 with i8, exact in i32, so its order is free.
//
// Products of two neighbours in k are summed in one instruction, in 16 x 16 -> 32 bits, which
// cannot saturate: 2 * 255 * 128 < 2^31. (The 8-bit instruction of AVX2 saturates at 16 bits.)
#include "dot.h"

namespace verifiable {

namespace {

using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;

struct IntegerKernels {
    using Left = i16;
    using Right = i8;
    using Sum = i32;
    static constexpr i64 ROWS = LANES == 16 ? 14 : LANES == 8 ? 6 : 4;
    static constexpr i64 COLUMNS = 2 * LANES;
    static constexpr i64 GROUP = 2;

    static i64 chunk(const Dot&) { return 1024; }

    // Lanes of i32: a pair of `b` in each lane times the pair `pair`.
    static Ints pairs(Ints sum, i32 pair, const i8* b) {
#if defined(__AVX512BW__) && LANES == 16
        __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)b));
        return sum + (Ints)_mm512_madd_epi16(wide, _mm512_set1_epi32(pair));
#elif defined(__AVX2__) && LANES == 8
        __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)b));
        return sum + (Ints)_mm256_madd_epi16(wide, _mm256_set1_epi32(pair));
#else
        i32 low = (i16)(pair & 0xffff), high = pair >> 16;
        Ints r = sum;
        for (int i = 0; i < LANES; ++i) r[i] += low * b[2 * i] + high * b[2 * i + 1];
        return r;
#endif
    }

    // Left rows are widened when they are packed.
    static bool direct(const Rows&) { return false; }

    template <int M, bool>
    static void tile(i64 depth, const i16* a, i64, const i8* b, i32* c, i64 ld, bool first, bool) {
        Ints low[M], high[M];
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) low[i] = high[i] = Ints{};
        for (i64 k = 0; k < depth; ++k, a += 2 * ROWS, b += 2 * COLUMNS) {
#pragma GCC unroll 16
            for (int i = 0; i < M; ++i) {
                i32 pair;
                std::memcpy(&pair, a + 2 * i, 4);
                low[i] = pairs(low[i], pair, b);
                high[i] = pairs(high[i], pair, b + 2 * LANES);
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            finish(low[i], c + i * ld, first);
            finish(high[i], c + i * ld + LANES, first);
        }
    }

    static void line(i64 depth, const i16* a, i64, const i8* b, i64 panel, i32* c, bool first,
                     bool) {
        Ints sums[8];
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) sums[j] = Ints{};
        for (i64 k = 0; k < depth; ++k, a += 2 * ROWS, b += 2 * COLUMNS) {
            i32 pair;
            std::memcpy(&pair, a, 4);
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j)
                sums[j] = pairs(sums[j], pair, b + j / 2 * panel + j % 2 * 2 * LANES);
        }
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) finish(sums[j], c + j * LANES, first);
    }

    static void finish(Ints sum, i32* c, bool first) {
        if (!first) sum = sum + *(const Ints*)c;
        *(Ints*)c = sum;
    }

    template <class From, i64 STEP, class To>
    static void pack(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                     i64 k1, To* to) {
        const From* from = (const From*)data + rows.batch[batch];
        i64 count = stop - first;
        if (count < STEP || (k1 - k0) % 2)
            std::memset(to, 0, ceil_div(k1 - k0, 2) * 2 * STEP * sizeof(To));
        i64 offset[STEP];
        for (i64 i = 0; i < count; ++i) offset[i] = rows.row[first + i];
        for (i64 k = k0; k < k1; ++k) {
            const From* line = from + rows.k[k];
            To* pair = to + (k - k0) / 2 * 2 * STEP + (k - k0) % 2;
            for (i64 i = 0; i < count; ++i) pair[2 * i] = (To)line[offset[i]];
        }
    }

    static void pack_left(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                          i64 k1, i16* to) {
        if (rows.dtype == U8) {
            pack<u8, ROWS>(rows, data, batch, first, stop, k0, k1, to);
        } else {
            pack<i8, ROWS>(rows, data, batch, first, stop, k0, k1, to);
        }
    }

    static void pack_right(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop,
                           i64 k0, i64 k1, i8* to) {
        pack<i8, COLUMNS>(rows, data, batch, first, stop, k0, k1, to);
    }
};

}  // namespace

void dot_integers(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch) {
    DotDriver<IntegerKernels>(run, dot, part, scratch).compute();
}

void pack_constant_integers(Rows& rows, bool left, const u8* data) {
    left ? pack_all<IntegerKernels, true>(rows, data) : pack_all<IntegerKernels, false>(rows, data);
}

DotGrain integer_grain() { return {IntegerKernels::ROWS, IntegerKernels::COLUMNS}; }

}  // namespace verifiable
