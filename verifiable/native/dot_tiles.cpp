// Dot of bytes by tiles (AMX): 32 rows by 32 columns by 64 elements of k at a time, with or without
// a sign on either side.
//
// Check: pytest tests/engines/test_same_bits.py
#include "amx.h"
#include "dot.h"
#include "quads.h"

namespace verifiable {

namespace {

using i32 = std::int32_t;

struct TileKernels : NothingKnown {
    using Left = u8;
    using Right = u8;
    using Sum = i32;
    static constexpr i64 ROWS = 2 * TILE_ROWS;
    static constexpr i64 COLUMNS = 2 * TILE_ROWS;
    static constexpr i64 GROUP = TILE_BYTES;
    static constexpr bool HAS_LINE = false;
    static constexpr int MODES = 3;

    static i64 chunk(const Dot&) { return 1024; }
    static bool direct(const Rows&) { return false; }
    static const Packed& packed(const Rows& rows) { return rows.packed; }

    static int mode(bool, const Rows& left, const Rows& right) {
        return left.dtype == U8 ? LEFT_UNSIGNED : right.dtype == U8 ? RIGHT_UNSIGNED : BOTH_SIGNED;
    }

    template <int M, int SIGNS>
    static void tile(i64 depth, const u8* a, i64, const u8* b, i32* c, i64 ld, bool first, bool,
                     const void*, Ahead ahead) {
        constexpr bool BOTH = M > TILE_ROWS;
        if constexpr (M % TILE_ROWS == 0) return block<BOTH, SIGNS>(depth, a, b, c, ld, first, ahead);
        // Tiles are whole; rows beyond M are nobody's.
        i32 sums[ROWS * COLUMNS];
        if (!first)
            for (i64 i = 0; i < M; ++i) std::memcpy(sums + i * COLUMNS, c + i * ld, BYTES_OF_LINE);
        block<BOTH, SIGNS>(depth, a, b, sums, COLUMNS, first, ahead);
        for (i64 i = 0; i < M; ++i) std::memcpy(c + i * ld, sums + i * COLUMNS, BYTES_OF_LINE);
    }

    // 32 rows, or 16 if not BOTH.
    template <bool BOTH, int SIGNS>
    static __attribute__((noinline)) void block(i64 depth, const u8* a, const u8* b, i32* c,
                                                i64 ld, bool first, Ahead ahead) {
        i32* lower = c + TILE_ROWS * ld;
        const i64 step = ld * (i64)sizeof(i32);
        if (first) {
            Tiles::zero<0>();
            Tiles::zero<1>();
            Tiles::zero<2>();
            Tiles::zero<3>();
        } else {
            Tiles::load<0>(c, step);
            Tiles::load<1>(c + TILE_ROWS, step);
            if (BOTH) Tiles::load<2>(lower, step);
            if (BOTH) Tiles::load<3>(lower + TILE_ROWS, step);
        }
        for (i64 k = 0; k < depth; ++k, a += GROUP * ROWS, b += GROUP * COLUMNS) {
            ahead.touch_lines();
            Tiles::load<4>(a, TILE_BYTES);
            Tiles::load<6>(b, 4 * COLUMNS);
            Tiles::add_products<0, 4, 6, SIGNS>();
            Tiles::load<7>(b + TILE_BYTES, 4 * COLUMNS);
            Tiles::add_products<1, 4, 7, SIGNS>();
            if (BOTH) {
                Tiles::load<5>(a + TILE_ROWS * TILE_BYTES, TILE_BYTES);
                Tiles::add_products<2, 5, 6, SIGNS>();
                Tiles::add_products<3, 5, 7, SIGNS>();
            }
        }
        Tiles::store<0>(c, step);
        Tiles::store<1>(c + TILE_ROWS, step);
        if (BOTH) Tiles::store<2>(lower, step);
        if (BOTH) Tiles::store<3>(lower + TILE_ROWS, step);
    }

    // Element k of row i at to[(k / GROUP * ROWS + i) * GROUP + k % GROUP], zeros where there is
    // none.
    static void pack_left(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                          i64 k1, u8* to) {
        constexpr i64 QUAD = 4;
        const i64 size = rows.quads ? QUAD : 1;
        const i64 padded = ceil_div(k1 - k0, GROUP) * GROUP;
        if (stop - first < ROWS || padded > k1 - k0) std::memset(to, 0, padded * ROWS);
        for (i64 i = first; i < stop; ++i) {
            const u8* from = data + (rows.batch[batch] + rows.row[i]) * size;
            u8* line = to + (i - first) * GROUP;
            for (i64 k = k0; k < k1; k += GROUP, line += ROWS * GROUP) {
                const i64 count = std::min(GROUP, k1 - k);
                if (rows.k.unit() && count == GROUP) {
                    std::memcpy(line, from + k, GROUP);
                } else if (rows.quads) {
                    for (i64 e = 0; e < count; e += QUAD)
                        std::memcpy(line + e, from + rows.k[(k + e) / QUAD] * QUAD, QUAD);
                } else {
                    for (i64 e = 0; e < count; ++e) line[e] = from[rows.k[k + e]];
                }
            }
        }
    }

    static void pack_right(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop,
                           i64 k0, i64 k1, u8* to) {
        QuadPacker<COLUMNS, GROUP>(rows, data, batch, first, stop, k0, k1, 0, to).pack();
    }

    static constexpr i64 BYTES_OF_LINE = COLUMNS * sizeof(i32);
};

}  // namespace

bool has_tile_products() { return has_tiles(); }

DotGrain tile_grain() { return {TileKernels::ROWS, TileKernels::COLUMNS}; }

void dot_tiles(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch) {
    Tiles tiles;
    DotDriver<TileKernels>(run, dot, part, scratch).compute();
}

void pack_constant_tiles(Rows& rows, const Packing& packing) {
    pack_all<TileKernels>(rows, packing, rows.packed);
}

}  // namespace verifiable
