// Dot of i8 or u8 with i8, exact in i32, so its order is free. There are four ways, all exact:
//
// WideKernels: pairs of products are summed in one instruction, in 16 x 16 -> 32 bits. That cannot
// saturate: 2 * 255 * 128 < 2^31.
//
// NarrowKernels: twice as many products at a time, in 8 x 8 -> 16 bits, and up to four such sums
// are added before they are widened. That fits if no element of the operand without a sign is
// above 127, which is looked up before each Dot, and if weights of one sign that are added up stay
// below 258 = 32767 / 127, which is found out once, for each stretch of GROUP elements of k.
//
// QuadKernels and TileKernels, in files of their own, where a processor sums four products in 32
// bits by one instruction, or those of whole tiles.
#include "amx.h"
#include "bytes.h"
#include "dot.h"
#include "quads.h"

namespace verifiable {

namespace {

using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;

struct WideKernels : NothingKnown {
    using Left = i16;
    using Right = i8;
    using Sum = i32;
    static constexpr i64 ROWS = LANES == 16 ? 14 : LANES == 8 ? 6 : 4;
    static constexpr i64 COLUMNS = 2 * LANES;
    static constexpr i64 GROUP = 2;
    static constexpr bool HAS_LINE = true;
    static constexpr int MODES = 1;

    static i64 chunk(const Dot&) { return 1024; }

    static const Packed& packed(const Rows& rows) { return rows.packed; }
    static int mode(bool, const Rows&, const Rows&) { return 0; }

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

    template <int M, int>
    static void tile(i64 depth, const i16* a, i64, const i8* b, i32* c, i64 ld, bool first, bool,
                     const void*, Ahead ahead) {
        Ints low[M], high[M];
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) low[i] = high[i] = Ints{};
        for (i64 k = 0; k < depth; ++k, a += 2 * ROWS, b += 2 * COLUMNS) {
            ahead.touch();
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
        i64 offset[COLUMNS];
        for (i64 i = first; i < stop; ++i) offset[i - first] = rows.row[i];
        for (i64 i = 0; i < COLUMNS; i += 16) {
            constexpr i64 BYTES = 2 * std::min<i64>(COLUMNS, 16);
            each_lines<2>(rows, data + rows.batch[batch], offset + i,
                          std::clamp<i64>(stop - first - i, 0, 16), k0, k1,
                          [&](i64 k, const Line* lines) {
                              u8 pairs[32];
                              interleave_pairs(lines, pairs);
                              std::memcpy(to + (k - k0) * COLUMNS + 2 * i, pairs, BYTES);
                          });
        }
    }
};

struct NarrowKernels {
    using Left = u8;
    using Right = u8;
    using Sum = i32;
    static constexpr i64 ROWS = WideKernels::ROWS;
    static constexpr i64 COLUMNS = WideKernels::COLUMNS;
    static constexpr i64 GROUP = 16;
    static constexpr bool HAS_LINE = false;
    static constexpr int MODES = 2;
    static constexpr int QUADS = GROUP / 4;
    static constexpr int LIMIT = 258;

    static i64 chunk(const Dot&) { return 1024; }
    static bool direct(const Rows&) { return false; }
    static const Packed& packed(const Rows& rows) { return rows.packed_narrow; }
    static const void* known(const Rows& rows, const Rows&, i64 number, i64, i64 groups, i64 group) {
        return rows.packed_narrow.levels.data() + number * groups + group;
    }

    // The operand without a sign is the one that is no constant: left in mode 0, right in mode 1.
    static int mode(bool, const Rows& left, const Rows&) { return left.constant; }

    template <i64 STEP>
    static void learn(Packed& packed, const u8* rows, i64 depth) {
        for (i64 k = 0; k < depth; k += GROUP) packed.levels.push_back(level<STEP>(rows + k * STEP));
    }

    // How many quads of a group may be added up in 16 bits: 4, 2 or 1.
    template <i64 STEP>
    static u8 level(const u8* group) {
        u8 found = QUADS;
        for (i64 i = 0; i < STEP; ++i)
            for (int pair = 0; pair < 2; ++pair)
                while (found > 1 && !fits<STEP>(group + 4 * i + 2 * pair, found)) found /= 2;
        return found;
    }

    template <i64 STEP>
    static bool fits(const u8* first, int quads) {
        for (int q0 = 0; q0 < QUADS; q0 += quads) {
            int above = 0, below = 0;
            for (int q = q0; q < q0 + quads; ++q)
                for (int e = 0; e < 2; ++e) {
                    int w = (std::int8_t)first[q * 4 * STEP + e];
                    w > 0 ? above += w : below -= w;
                }
            if (above > LIMIT || below > LIMIT) return false;
        }
        return true;
    }

    template <int M, int MODE>
    static void tile(i64 depth, const u8* a, i64, const u8* b, Sum* c, i64 ld, bool first, bool,
                     const void* known, Ahead ahead) {
        auto levels = (const u8*)known;
        half_tile<M, MODE == 0>(depth, a, b, c, ld, first, levels, ahead);
        half_tile<M, MODE == 0>(depth, a, b + WIDTH, c + LANES, ld, first, levels, {ahead.at, 0});
    }

    // One vector of columns at a time: for as many sums of 16 bits there are registers beside
    // those of 32.
    template <int M, bool LEFT_IS_UNSIGNED>
    static void half_tile(i64 depth, const u8* a, const u8* b, Sum* c, i64 ld, bool first,
                          const u8* levels, Ahead ahead) {
        Ints sums[M];
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) sums[i] = Ints{};
        for (i64 group = 0; group < depth; ++group) {
            ahead.touch_lines();
            if (levels[group] == 4) {
                add_group<M, 4, LEFT_IS_UNSIGNED>(a, b, sums);
            } else if (levels[group] == 2) {
                add_group<M, 2, LEFT_IS_UNSIGNED>(a, b, sums);
            } else {
                add_group<M, 1, LEFT_IS_UNSIGNED>(a, b, sums);
            }
            a += GROUP * ROWS;
            b += GROUP * COLUMNS;
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) finish(sums[i], c + i * ld, first);
    }

    template <int M, int LEVEL, bool LEFT_IS_UNSIGNED>
    static inline __attribute__((always_inline)) void add_group(const u8* a, const u8* b,
                                                                Ints* sums) {
        a = from_here(a);
        b = from_here(b);
        const Shorts ones = Shorts{} + 1;
#pragma GCC unroll 4
        for (int q0 = 0; q0 < QUADS; q0 += LEVEL) {
            Shorts pairs[M];
#pragma GCC unroll 4
            for (int q = q0; q < q0 + LEVEL; ++q) {
                Bytes y = *(const Bytes*)(b + 4 * q * COLUMNS);
#pragma GCC unroll 16
                for (int i = 0; i < M; ++i) {
                    Bytes x = broadcast_4(a + 4 * (q * ROWS + i));
                    Shorts both = LEFT_IS_UNSIGNED ? pairs_of_bytes(x, y) : pairs_of_bytes(y, x);
                    pairs[i] = q == q0 ? both : pairs[i] + both;
                    pin(pairs[i]);
                }
            }
#pragma GCC unroll 16
            for (int i = 0; i < M; ++i) {
                sums[i] += pairs_of_shorts(pairs[i], ones);
                pin(sums[i]);
            }
        }
    }

    static void finish(Ints sum, Sum* c, bool first) {
        if (!first) sum = sum + *(const Ints*)c;
        *(Ints*)c = sum;
    }

    static void pack_left(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                          i64 k1, u8* to) {
        QuadPacker<ROWS, GROUP>(rows, data, batch, first, stop, k0, k1, 0, to).pack();
    }

    static void pack_right(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop,
                           i64 k0, i64 k1, u8* to) {
        QuadPacker<COLUMNS, GROUP>(rows, data, batch, first, stop, k0, k1, 0, to).pack();
    }
};

// Whether every byte that an operand reaches is below 128.
bool all_small(const Run& run, const Rows& rows) {
    i64 least = 0, most = 0;
    for (const Axis* axis : {&rows.batch, &rows.row, &rows.k}) {
        auto widen = [&](i64 extent, i64 stride) {
            (stride < 0 ? least : most) += (extent - 1) * stride;
        };
        if (axis->plain()) {
            widen(axis->extent, axis->stride);
        } else {
            for (size_t p = 0; p < axis->parts.size(); p += 2)
                widen(axis->parts[p], axis->parts[p + 1]);
        }
    }
    const u8* data = run.address(rows.at);
    u8 bits = 0;
    for (i64 i = least; i <= most; ++i) bits |= data[i];
    return bits < 128;
}

}  // namespace

bool can_add_up(Products products) {
    switch (products) {
        case Products::WIDE:
        case Products::NARROW: return true;
        case Products::QUADS: return has_quad_products();
        case Products::TILES: return has_tile_products();
    }
    return false;
}

Products fastest_products() {
#if defined(HAS_AMX_ASSEMBLER)
    if (has_tile_products()) return Products::TILES;
#endif
#if defined(HAS_VNNI_ASSEMBLER)
    if (has_quad_products()) return Products::QUADS;
#endif
    return Products::NARROW;
}

Products products_of(const Dot& dot, Products fastest) {
    if (fastest == Products::TILES) return fastest;
    // Constants are taken for the operand with a sign.
    if (dot.a.constant == dot.b.constant || (dot.a.constant ? dot.a : dot.b).dtype != I8)
        return Products::WIDE;
    return fastest;
}

Products products_of_run(const Run& run, const Dot& dot) {
    if (dot.products != Products::NARROW) return dot.products;
    const Rows& left = dot.swapped ? dot.b : dot.a;
    const Rows& right = dot.swapped ? dot.a : dot.b;
    // Few rows wait for memory alone, and the wide way reads no more of it.
    const bool narrow =
        left.row.extent >= 3 && dot.k && all_small(run, left.constant ? right : left);
    return narrow ? Products::NARROW : Products::WIDE;
}

void dot_integers(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch) {
    switch (part.products) {
        case Products::WIDE: return DotDriver<WideKernels>(run, dot, part, scratch).compute();
        case Products::NARROW: return DotDriver<NarrowKernels>(run, dot, part, scratch).compute();
        case Products::QUADS: return dot_quads(run, dot, part, scratch);
        case Products::TILES: return dot_tiles(run, dot, part, scratch);
    }
}

void pack_constant_integers(Dot& dot, Rows& rows, const Packing& packing) {
    if (dot.products == Products::TILES) return pack_constant_tiles(rows, packing);
    if (dot.products == Products::QUADS) return pack_constant_quads(rows, packing);
    pack_all<WideKernels>(rows, packing, rows.packed);
    if (dot.products == Products::NARROW)
        pack_all<NarrowKernels>(rows, packing, rows.packed_narrow);
}

DotGrain integer_grain(Products products) {
    if (products == Products::TILES) return tile_grain();
    return {WideKernels::ROWS, WideKernels::COLUMNS};
}

bool integers_are_swapped(const Dot& dot, bool may_swap) {
    // A tile of a left operand is made of stretches of k, one of a right operand of quads.
    if (dot.products == Products::TILES) return may_swap && !dot.a.k.unit() && dot.b.k.unit();
    // Rows of the older ways have a sign on the right.
    if (dot.a.dtype == U8 && dot.products != Products::QUADS) return false;
    return may_swap && swap_is_cheaper(dot, integer_grain(dot.products));
}

}  // namespace verifiable
