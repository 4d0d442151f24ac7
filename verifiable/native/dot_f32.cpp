// Dot of floats: one chain of fma per chunk and element, in the order of k, from +0; the chunks'
// totals are added in order, then +0.
#include "dot.h"

namespace verifiable {

namespace {

struct FloatKernels : NothingKnown {
    using Left = float;
    using Right = float;
    using Sum = float;
    static constexpr i64 ROWS = LANES == 16 ? 14 : LANES == 8 ? 6 : 4;
    static constexpr i64 COLUMNS = 2 * LANES;
    static constexpr i64 GROUP = 1;
    static constexpr bool HAS_LINE = true;
    static constexpr int MODES = 2;

    static i64 chunk(const Dot& dot) { return dot.chunk; }

    // Whether a kernel may read rows where they lie.
    static bool direct(const Rows& left) {
        return !left.constant && left.k.unit() && left.row.plain();
    }

    static int mode(bool direct, const Rows&, const Rows&) { return direct; }
    static const Packed& packed(const Rows& rows) { return rows.packed; }

    // M rows by COLUMNS columns over `depth` elements; adds to `c` unless this is the first chunk.
    // Packed rows of `a` lie interleaved, and those of the next sliver `step` elements on; else rows
    // lie `step` apart.
    template <int M, int DIRECT>
    static void tile(i64 depth, const float* a, i64 step, const float* b, float* c, i64 ld,
                     bool first, bool last, const void*, Ahead ahead) {
        Floats low[M], high[M];
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            low[i] = high[i] = Floats{};
            __builtin_prefetch(c + i * ld, 1);
        }
        for (i64 k = 0; k < depth; ++k, a += DIRECT ? 1 : ROWS, b += COLUMNS) {
            Floats b0 = load(b), b1 = load(b + LANES);
            if (!DIRECT) __builtin_prefetch(a + step);
            ahead.touch();
#pragma GCC unroll 16
            for (int i = 0; i < M; ++i) {
                Floats ai = broadcast(a + i * (DIRECT ? step : 1));
                low[i] = fma(ai, b0, low[i]);
                high[i] = fma(ai, b1, high[i]);
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            finish(low[i], c + i * ld, first, last);
            finish(high[i], c + i * ld + LANES, first, last);
        }
    }

    // One row by four panels, `panel` elements apart: enough chains to hide the latency of fma.
    static void line(i64 depth, const float* a, i64 step, const float* b, i64 panel, float* c,
                     bool first, bool last) {
        Floats sums[8];
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) sums[j] = Floats{};
        for (i64 k = 0; k < depth; ++k, a += step, b += COLUMNS) {
            Floats ak = splat(*a);
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j)
                sums[j] = fma(ak, load(b + j / 2 * panel + j % 2 * LANES), sums[j]);
        }
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) finish(sums[j], c + j * LANES, first, last);
    }

    static void finish(Floats sum, float* c, bool first, bool last) {
        if (!first) sum = load(c) + sum;
        if (last) sum = one_nan(sum + 0.0f);
        store(c, sum);
    }

    static void pack_left(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                          i64 k1, float* to) {
        const float* from = (const float*)data + rows.batch[batch];
        pack_floats<ROWS>(rows, from, first, stop, k0, k1, to);
    }

    static void pack_right(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop,
                           i64 k0, i64 k1, float* to) {
        const float* from = (const float*)data + rows.batch[batch];
        pack_floats<COLUMNS>(rows, from, first, stop, k0, k1, to);
    }
};

}  // namespace

void dot_floats(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch) {
    DotDriver<FloatKernels>(run, dot, part, scratch).compute();
}

void pack_constant_floats(Rows& rows, const Packing& packing) {
    pack_all<FloatKernels>(rows, packing, rows.packed);
}

DotGrain float_grain() { return {FloatKernels::ROWS, FloatKernels::COLUMNS}; }

}  // namespace verifiable
