// Dot of i8 or u8 with i8, exact in i32, so its order is free. There are two ways, both exact:
//
// WideKernels: pairs of products are summed in one instruction, in 16 x 16 -> 32 bits. That cannot
// saturate: 2 * 255 * 128 < 2^31.
//
// NarrowKernels: twice as many products at a time, in 8 x 8 -> 16 bits, and up to four such sums
// are added before they are widened. That fits if no element of the operand without a sign is
// above 127, which is looked up before each Dot, and if weights of one sign that are added up stay
// below 258 = 32767 / 127, which is found out once, for each stretch of GROUP elements of k.
#include "bytes.h"
#include "dot.h"

namespace verifiable {

namespace {

using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;

struct WideKernels {
    using Left = u8;
    using Right = u8;
    using Sum = std::int32_t;
    static constexpr i64 ROWS = LANES == 16 ? 14 : LANES == 8 ? 6 : 4;
    static constexpr i64 COLUMNS = 2 * LANES;
    static constexpr i64 GROUP = 16;
    static constexpr bool HAS_LINE = false;
    enum Mode { SIGNED, UNSIGNED, BYTES_LEFT, BYTES_RIGHT, MODES };
    static constexpr int QUADS = GROUP / 4;
    static constexpr int LIMIT = 258;

    static bool direct(const Rows&) { return false; }

    static int mode(bool, const Rows& left, const Rows& right, unsigned left_bits,
                    unsigned right_bits) {
        if (right.constant && !left.constant && left_bits < 128) return BYTES_LEFT;
        if (left.constant && !right.constant && right_bits < 128) return BYTES_RIGHT;
        return left.dtype == U8 ? UNSIGNED : SIGNED;
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
                     const u8* levels) {
        if constexpr (MODE == BYTES_LEFT || MODE == BYTES_RIGHT) {
            narrow_tile<M, MODE == BYTES_LEFT>(depth, a, b, c, ld, first, levels);
        } else {
            wide_rows<0, M, MODE == UNSIGNED>(depth, a, b, c, ld, first);
        }
    }

    // As many rows at a time as there are registers for.
    template <int FIRST, int M, bool IS_UNSIGNED>
    static void wide_rows(i64 depth, const u8* a, const u8* b, Sum* c, i64 ld, bool first) {
        constexpr int MOST = LANES == 16 ? 7 : 3;
        constexpr int COUNT = M - FIRST < MOST ? M - FIRST : MOST;
        wide_tile<COUNT, IS_UNSIGNED>(depth, a + 4 * FIRST, b, c + FIRST * ld, ld, first);
        if constexpr (FIRST + COUNT < M)
            wide_rows<FIRST + COUNT, M, IS_UNSIGNED>(depth, a, b, c, ld, first);
    }

    template <int M, bool IS_UNSIGNED>
    static void wide_tile(i64 depth, const u8* a, const u8* b, Sum* c, i64 ld, bool first) {
        Ints sums[M][4];
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) sums[i][j] = Ints{};
        for (i64 quad = 0; quad < depth * QUADS; ++quad, a += 4 * ROWS, b += 4 * COLUMNS) {
            Shorts w[4];
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) w[j] = widened<false>(b + j * WIDTH / 2);
#pragma GCC unroll 16
            for (int i = 0; i < M; ++i) {
                Shorts x = widened_4<IS_UNSIGNED>(a + 4 * i);
#pragma GCC unroll 4
                for (int j = 0; j < 4; ++j) sums[i][j] += pairs_of_shorts(x, w[j]);
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            finish(halves(sums[i][0], sums[i][1]), c + i * ld, first);
            finish(halves(sums[i][2], sums[i][3]), c + i * ld + LANES, first);
        }
    }

    template <int M, bool LEFT_IS_UNSIGNED>
    static void narrow_tile(i64 depth, const u8* a, const u8* b, Sum* c, i64 ld, bool first,
                            const u8* levels) {
        Ints low[M], high[M];
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) low[i] = high[i] = Ints{};
        for (i64 group = 0; group < depth; ++group) {
            if (levels[group] == 4) {
                add_group<M, 4, LEFT_IS_UNSIGNED>(a, b, low, high);
            } else if (levels[group] == 2) {
                add_group<M, 2, LEFT_IS_UNSIGNED>(a, b, low, high);
            } else {
                add_group<M, 1, LEFT_IS_UNSIGNED>(a, b, low, high);
            }
            a += GROUP * ROWS;
            b += GROUP * COLUMNS;
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            finish(low[i], c + i * ld, first);
            finish(high[i], c + i * ld + LANES, first);
        }
    }

    template <int M, int LEVEL, bool LEFT_IS_UNSIGNED>
    static inline __attribute__((always_inline)) void add_group(const u8* a, const u8* b,
                                                                Ints* low, Ints* high) {
        const Shorts ones = Shorts{} + 1;
#pragma GCC unroll 4
        for (int q0 = 0; q0 < QUADS; q0 += LEVEL) {
#pragma GCC unroll 16
            for (int i = 0; i < M; ++i) {
                Shorts first, second;
#pragma GCC unroll 4
                for (int q = q0; q < q0 + LEVEL; ++q) {
                    Bytes x = broadcast_4(a + 4 * (q * ROWS + i));
                    Bytes y = *(const Bytes*)(b + 4 * q * COLUMNS);
                    Bytes z = *(const Bytes*)(b + 4 * q * COLUMNS + WIDTH);
                    Shorts p = LEFT_IS_UNSIGNED ? pairs_of_bytes(x, y) : pairs_of_bytes(y, x);
                    Shorts r = LEFT_IS_UNSIGNED ? pairs_of_bytes(x, z) : pairs_of_bytes(z, x);
                    first = q == q0 ? p : first + p;
                    second = q == q0 ? r : second + r;
                }
                low[i] += pairs_of_shorts(first, ones);
                high[i] += pairs_of_shorts(second, ones);
            }
        }
    }

    static void finish(Ints sum, Sum* c, bool first) {
        if (!first) sum = sum + *(const Ints*)c;
        *(Ints*)c = sum;
    }

    // Element k of row i at to[(k / 4 * STEP + i) * 4 + k % 4], zeros up to the next whole group.
    template <i64 STEP>
    static void pack(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                         i64 k1, u8* to) {
        const u8* from = data + rows.batch[batch];
        const i64 count = stop - first, whole = (k1 - k0) / 4 * 4;
        const i64 padded = ceil_div(k1 - k0, GROUP) * GROUP;
        if (count < STEP) {
            std::memset(to, 0, padded * STEP);
        } else {
            std::memset(to + whole * STEP, 0, (padded - whole) * STEP);
        }
        i64 offset[STEP];
        for (i64 i = 0; i < count; ++i) offset[i] = rows.row[first + i];
        i64 k = k0;
        if (rows.k.unit()) {
            for (; k < k0 + whole; k += 4, to += 4 * STEP)
                for (i64 i = 0; i < count; ++i) {
                    std::uint32_t quad;
                    std::memcpy(&quad, from + offset[i] + k, 4);
                    std::memcpy(to + 4 * i, &quad, 4);
                }
        } else {
            pack_lines<STEP>(rows, from, offset, count, k0, k0 + whole, to);
            k = k0 + whole;
            to += whole * STEP;
        }
        for (; k < k1; ++k) {
            const u8* line = from + rows.k[k];
            for (i64 i = 0; i < count; ++i) to[4 * i + (k - k0) % 4] = line[offset[i]];
        }
    }

    // Where elements of one k lie side by side, as in patches: four such lines, interleaved.
    template <i64 STEP>
    static void pack_lines(const Rows& rows, const u8* from, const i64* offset, i64 count,
                               i64 k0, i64 k1, u8* to) {
        constexpr int RUNS = 4;
        i64 start[RUNS + 1] = {0};
        int runs = 1;
        for (i64 i = 1; i < count && runs <= RUNS; ++i)
            if (offset[i] != offset[i - 1] + 1) start[runs++] = i;
        const bool by_vectors = rows.margin && STEP % 16 == 0 && runs <= RUNS;
        u8 lines[4][2 * STEP];
        std::memset(lines, 0, sizeof lines);
        for (i64 k = k0; k < k1; k += 4, to += 4 * STEP) {
            for (int e = 0; e < 4; ++e) {
                const u8* line = from + rows.k[k + e];
                if (by_vectors) {
                    // What is too much is written over by the next run.
                    for (int r = 0; r < runs; ++r)
                        std::memcpy(lines[e] + start[r], line + offset[start[r]], STEP);
                } else {
                    for (i64 i = 0; i < count; ++i) lines[e][i] = line[offset[i]];
                }
            }
            for (i64 i = 0; i < STEP; ++i)
                for (int e = 0; e < 4; ++e) to[4 * i + e] = lines[e][i];
        }
    }

    static void pack_left(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                          i64 k1, u8* to) {
        pack<ROWS>(rows, data, batch, first, stop, k0, k1, to);
    }

    static void pack_right(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop,
                           i64 k0, i64 k1, u8* to) {
        pack<COLUMNS>(rows, data, batch, first, stop, k0, k1, to);
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
    static const Memory& packed(const Rows& rows) { return rows.packed_bytes; }
    static const std::vector<u8>& levels(const Rows& rows) { return rows.levels; }

    // The operand without a sign is the one that is no constant: left in mode 0, right in mode 1.
    static int mode(bool, const Rows& left) { return left.constant; }

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
                     const u8* levels) {
        Ints low[M], high[M];
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) low[i] = high[i] = Ints{};
        for (i64 group = 0; group < depth; ++group) {
            if (levels[group] == 4) {
                add_group<M, 4, MODE == 0>(a, b, low, high);
            } else if (levels[group] == 2) {
                add_group<M, 2, MODE == 0>(a, b, low, high);
            } else {
                add_group<M, 1, MODE == 0>(a, b, low, high);
            }
            a += GROUP * ROWS;
            b += GROUP * COLUMNS;
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            finish(low[i], c + i * ld, first);
            finish(high[i], c + i * ld + LANES, first);
        }
    }

    template <int M, int LEVEL, bool LEFT_IS_UNSIGNED>
    static inline __attribute__((always_inline)) void add_group(const u8* a, const u8* b,
                                                                Ints* low, Ints* high) {
#pragma GCC unroll 4
        for (int q0 = 0; q0 < QUADS; q0 += LEVEL) {
#pragma GCC unroll 16
            for (int i = 0; i < M; ++i) {
                add_quads<LEVEL, LEFT_IS_UNSIGNED>(low[i], a + 4 * (q0 * ROWS + i),
                                                   b + 4 * q0 * COLUMNS);
                add_quads<LEVEL, LEFT_IS_UNSIGNED>(high[i], a + 4 * (q0 * ROWS + i),
                                                   b + 4 * q0 * COLUMNS + WIDTH);
            }
        }
    }

    template <int LEVEL, bool LEFT_IS_UNSIGNED>
    static inline __attribute__((always_inline)) void add_quads(Ints& sum, const u8* a,
                                                                const u8* b) {
        Shorts total{};
#pragma GCC unroll 4
        for (int q = 0; q < LEVEL; ++q) {
            Bytes x = broadcast_4(a + 4 * q * ROWS);
            Bytes y = *(const Bytes*)(b + 4 * q * COLUMNS);
            Shorts both = LEFT_IS_UNSIGNED ? pairs_of_bytes(x, y) : pairs_of_bytes(y, x);
            total = q ? total + both : both;
        }
        sum += pairs_of_shorts(total, Shorts{} + 1);
        pin(sum);
    }

    static void finish(Ints sum, Sum* c, bool first) {
        if (!first) sum = sum + *(const Ints*)c;
        *(Ints*)c = sum;
    }

    // Element k of row i at to[(k / 4 * STEP + i) * 4 + k % 4], zeros up to the next whole group.
    template <i64 STEP>
    static void pack(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                         i64 k1, u8* to) {
        const u8* from = data + rows.batch[batch];
        const i64 count = stop - first, whole = (k1 - k0) / 4 * 4;
        const i64 padded = ceil_div(k1 - k0, GROUP) * GROUP;
        if (count < STEP) {
            std::memset(to, 0, padded * STEP);
        } else {
            std::memset(to + whole * STEP, 0, (padded - whole) * STEP);
        }
        i64 offset[STEP];
        for (i64 i = 0; i < count; ++i) offset[i] = rows.row[first + i];
        i64 k = k0;
        if (rows.k.unit()) {
            for (; k < k0 + whole; k += 4, to += 4 * STEP)
                for (i64 i = 0; i < count; ++i) {
                    std::uint32_t quad;
                    std::memcpy(&quad, from + offset[i] + k, 4);
                    std::memcpy(to + 4 * i, &quad, 4);
                }
        } else {
            pack_lines<STEP>(rows, from, offset, count, k0, k0 + whole, to);
            k = k0 + whole;
            to += whole * STEP;
        }
        for (; k < k1; ++k) {
            const u8* line = from + rows.k[k];
            for (i64 i = 0; i < count; ++i) to[4 * i + (k - k0) % 4] = line[offset[i]];
        }
    }

    // Where elements of one k lie side by side, as in patches: four such lines, interleaved.
    template <i64 STEP>
    static void pack_lines(const Rows& rows, const u8* from, const i64* offset, i64 count,
                               i64 k0, i64 k1, u8* to) {
        constexpr int RUNS = 4;
        i64 start[RUNS + 1] = {0};
        int runs = 1;
        for (i64 i = 1; i < count && runs <= RUNS; ++i)
            if (offset[i] != offset[i - 1] + 1) start[runs++] = i;
        const bool by_vectors = rows.margin && STEP % 16 == 0 && runs <= RUNS;
        u8 lines[4][2 * STEP];
        std::memset(lines, 0, sizeof lines);
        for (i64 k = k0; k < k1; k += 4, to += 4 * STEP) {
            for (int e = 0; e < 4; ++e) {
                const u8* line = from + rows.k[k + e];
                if (by_vectors) {
                    // What is too much is written over by the next run.
                    for (int r = 0; r < runs; ++r)
                        std::memcpy(lines[e] + start[r], line + offset[start[r]], STEP);
                } else {
                    for (i64 i = 0; i < count; ++i) lines[e][i] = line[offset[i]];
                }
            }
            for (i64 i = 0; i < STEP; ++i)
                for (int e = 0; e < 4; ++e) to[4 * i + e] = lines[e][i];
        }
    }

    static void pack_left(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0,
                          i64 k1, u8* to) {
        pack<ROWS>(rows, data, batch, first, stop, k0, k1, to);
    }

    static void pack_right(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop,
                           i64 k0, i64 k1, u8* to) {
        pack<COLUMNS>(rows, data, batch, first, stop, k0, k1, to);
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

bool dot_is_narrow(const Run& run, const Dot& dot) {
    const Rows& left = dot.swapped ? dot.b : dot.a;
    const Rows& right = dot.swapped ? dot.a : dot.b;
    // Few rows wait for memory alone, and the other way reads no more of it.
    if (left.constant == right.constant || left.row.extent < 3 || !dot.k) return false;
    return all_small(run, left.constant ? right : left);
}

void dot_integers(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch) {
    if (part.narrow) {
        DotDriver<NarrowKernels>(run, dot, part, scratch).compute();
    } else {
        DotDriver<WideKernels>(run, dot, part, scratch).compute();
    }
}

void pack_constant_integers(Rows& rows, bool left, const u8* data) {
    if (left) {
        pack_all<WideKernels, true>(rows, data, rows.packed);
        pack_all<NarrowKernels, true>(rows, data, rows.packed_bytes);
    } else {
        pack_all<WideKernels, false>(rows, data, rows.packed);
        pack_all<NarrowKernels, false>(rows, data, rows.packed_bytes);
    }
}

DotGrain integer_grain() { return {WideKernels::ROWS, WideKernels::COLUMNS}; }

}  // namespace verifiable
