// Dot of bytes where four products are summed in 32 bits by one instruction (VNNI): of an operand
// without a sign and a constant one with a sign.
//
// Where the other operand has a sign as well, its bits of value -128 are turned over when it is
// packed. It is then 128 too large: sums begin with -128 times those of the constant's rows, its
// `corrections`.
//
// Check: pytest tests/engines/test_same_bits.py
#include "bytes.h"
#include "dot.h"
#include "quads.h"

namespace verifiable {

namespace {

using i32 = std::int32_t;

struct QuadKernels {
    using Left = u8;
    using Right = u8;
    using Sum = i32;
    static constexpr i64 ROWS = LANES == 16 ? 14 : LANES == 8 ? 6 : 4;
    static constexpr i64 COLUMNS = 2 * LANES;
    static constexpr i64 GROUP = 4;
    static constexpr bool HAS_LINE = false;
    static constexpr int MODES = 2;

    static i64 chunk(const Dot&) { return 1024; }
    static bool direct(const Rows&) { return false; }
    static const Packed& packed(const Rows& rows) { return rows.packed; }

    // The operand without a sign is left in mode 0, right in mode 1.
    static int mode(bool, const Rows& left, const Rows&) { return left.constant; }

    // What a sum has too much where the other operand's sign was turned over.
    template <i64 STEP>
    static void learn(Packed& packed, const u8* rows, i64 depth) {
        for (i64 i = 0; i < STEP; ++i) {
            i64 sum = 0;
            for (i64 k = 0; k < depth; ++k)
                sum += (std::int8_t)rows[(k / 4 * STEP + i) * 4 + k % 4];
            packed.corrections.push_back((i32)(-128 * sum));
        }
    }

    static const void* known(const Rows& rows, const Rows& other, i64 number, i64 step, i64, i64) {
        return other.dtype == I8 ? rows.packed.corrections.data() + number * step : nullptr;
    }

    template <int M, int MODE>
    static void tile(i64 depth, const u8* a, i64, const u8* b, i32* c, i64 ld, bool first, bool,
                     const void* known, Ahead ahead) {
        auto corrections = (const i32*)known;
        Ints low[M], high[M];
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            if (!first) {
                low[i] = *(const Ints*)(c + i * ld);
                high[i] = *(const Ints*)(c + i * ld + LANES);
            } else if (corrections) {
                low[i] = MODE ? Ints{} + corrections[i] : *(const Ints*)corrections;
                high[i] = MODE ? low[i] : *(const Ints*)(corrections + LANES);
            } else {
                low[i] = high[i] = Ints{};
            }
        }
        for (i64 k = 0; k < depth; ++k, a += GROUP * ROWS, b += GROUP * COLUMNS) {
            const Bytes b0 = *(const Bytes*)b, b1 = *(const Bytes*)(b + WIDTH);
            ahead.touch();
#pragma GCC unroll 16
            for (int i = 0; i < M; ++i) {
                const Bytes ai = broadcast_4(a + GROUP * i);
                if (MODE) {
                    add_quads(low[i], b0, ai);
                    add_quads(high[i], b1, ai);
                } else {
                    add_quads(low[i], ai, b0);
                    add_quads(high[i], ai, b1);
                }
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            *(Ints*)(c + i * ld) = low[i];
            *(Ints*)(c + i * ld + LANES) = high[i];
        }
    }

    // The constant keeps its sign, and what never had one has nothing to turn.
    static u8 turn(const Rows& rows) { return !rows.constant && rows.dtype == I8 ? 0x80 : 0; }

    static void pack_left(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                          i64 k1, u8* to) {
        QuadPacker<ROWS, GROUP>(rows, data, batch, first, stop, k0, k1, turn(rows), to).pack();
    }

    static void pack_right(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop,
                           i64 k0, i64 k1, u8* to) {
        QuadPacker<COLUMNS, GROUP>(rows, data, batch, first, stop, k0, k1, turn(rows), to).pack();
    }
};

}  // namespace

bool has_quad_products() { return has_quads(); }

void dot_quads(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch) {
    DotDriver<QuadKernels>(run, dot, part, scratch).compute();
}

void pack_constant_quads(Rows& rows, const Packing& packing) {
    pack_all<QuadKernels>(rows, packing, rows.packed);
}

}  // namespace verifiable
