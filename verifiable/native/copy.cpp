// View, Concat and Gather: elements moved, none computed.
#include <algorithm>

#include "dot.h"
#include "pool.h"

namespace verifiable {

namespace {

// Bytes below which one thread is faster than several.
constexpr i64 SMALL = 1 << 16;

// Of few bytes: moves of one size that overlap, since a call of memcpy would cost more.
template <i64 SIZE>
inline void move_ends(u8* to, const u8* from, i64 bytes) {
    u8 low[SIZE], high[SIZE];
    std::memcpy(low, from, SIZE);
    std::memcpy(high, from + bytes - SIZE, SIZE);
    std::memcpy(to, low, SIZE);
    std::memcpy(to + bytes - SIZE, high, SIZE);
}

void copy_bytes(u8* to, const u8* from, i64 bytes) {
    if (bytes > 256) {
        std::memcpy(to, from, bytes);
    } else if (bytes > 32) {
        for (i64 i = 0; i < bytes - 32; i += 32) std::memcpy(to + i, from + i, 32);
        std::memcpy(to + bytes - 32, from + bytes - 32, 32);
    } else if (bytes >= 16) {
        move_ends<16>(to, from, bytes);
    } else if (bytes >= 8) {
        move_ends<8>(to, from, bytes);
    } else if (bytes >= 4) {
        move_ends<4>(to, from, bytes);
    } else if (bytes >= 2) {
        move_ends<2>(to, from, bytes);
    } else if (bytes == 1) {
        *to = *from;
    }
}

// Margins are one or two elements mostly.
template <class T>
void fill_line(T* to, i64 count, T fill) {
    if (count > 2) {
        std::fill_n(to, count, fill);
    } else if (count > 0) {
        to[0] = to[count - 1] = fill;
    }
}

template <class T>
void copy_line(T* to, i64 to_step, const T* from, i64 step, i64 low, i64 high, i64 extent, T fill) {
    if (to_step == 1) {
        fill_line(to, low, fill);
        fill_line(to + high, extent - high, fill);
        if (step == 1) {
            copy_bytes((u8*)(to + low), (const u8*)(from + low), (high - low) * (i64)sizeof(T));
        } else if (step == 0) {
            if (low < high) std::fill(to + low, to + high, *from);
        } else if (step == 2) {
            for (i64 i = low; i < high; ++i) to[i] = from[2 * i];
        } else {
            for (i64 i = low; i < high; ++i) to[i] = from[i * step];
        }
        return;
    }
    for (i64 i = 0; i < extent; ++i)
        to[i * to_step] = i >= low && i < high ? from[i * step] : fill;
}

// to[i * to_step + j] = from[i + j * step]
template <class T>
void transpose(T* to, i64 to_step, const T* from, i64 step, i64 rows, i64 columns) {
    constexpr i64 BLOCK = 16;
    for (i64 j0 = 0; j0 < columns; j0 += BLOCK) {
        i64 j1 = std::min(j0 + BLOCK, columns);
        for (i64 i0 = 0; i0 < rows; i0 += BLOCK) {
            i64 i1 = std::min(i0 + BLOCK, rows);
#if defined(__AVX2__)
            if (sizeof(T) == 4 && j1 - j0 == BLOCK && i1 - i0 == BLOCK) {
                for (i64 j = j0; j < j1; j += 8)
                    for (i64 i = i0; i < i1; i += 8) {
                        const float* lines[8];
                        for (int l = 0; l < 8; ++l) lines[l] = (const float*)from + i + (j + l) * step;
                        transpose_8x8(lines, (float*)to + i * to_step + j, to_step);
                    }
                continue;
            }
#endif
            for (i64 i = i0; i < i1; ++i)
                for (i64 j = j0; j < j1; ++j) to[i * to_step + j] = from[i + j * step];
        }
    }
}

template <class T>
void copy_elements(const Run& run, const Copy& c) {
    const int rank = (int)c.extents.size();
    i64 total = 1;
    for (i64 e : c.extents) total *= e;
    if (!total) return;
    T fill;
    std::memcpy(&fill, &c.fill, sizeof(T));
    const T* from = (const T*)run.address(c.from);
    T* to = (T*)run.address(c.to);
    if (rank == 0) {
        *to = *from;
        return;
    }
    const int last = rank - 1;
    // Where the last axis jumps and another one is contiguous, both are walked in blocks.
    int other = -1;
    if (c.strides[last] != 1 && c.strides[last] != 0 && c.out_strides[last] == 1 &&
        !c.low[last] && c.high[last] == c.extents[last])
        for (int d = 0; d < last; ++d)
            if (c.strides[d] == 1 && c.extents[d] >= 8 && !c.low[d] && c.high[d] == c.extents[d])
                other = d;
    i64 lines = 1;
    for (int d = 0; d < last; ++d)
        if (d != other) lines *= c.extents[d];
    auto work = [&](i64 first, i64 stop) {
        std::vector<i64> at(last);
        for (i64 d = last - 1, rest = first; d >= 0; --d) {
            if (d == other) continue;
            at[d] = rest % c.extents[d];
            rest /= c.extents[d];
        }
        for (i64 line = first; line < stop; ++line) {
            i64 source = 0, target = 0;
            bool inside = true, carry = true;
            for (int d = last - 1; d >= 0; --d) {
                if (d == other) continue;
                const i64 i = at[d];
                inside &= i >= c.low[d] && i < c.high[d];
                source += i * c.strides[d];
                target += i * c.out_strides[d];
                // To the next line.
                at[d] = carry ? (i + 1 < c.extents[d] ? i + 1 : 0) : i;
                carry = carry && !at[d];
            }
            i64 extent = c.extents[last];
            if (other >= 0 && inside) {
                transpose(to + target, c.out_strides[other], from + source, c.strides[last],
                          c.extents[other], extent);
            } else {
                i64 times = other >= 0 ? c.extents[other] : 1;
                i64 step = other >= 0 ? c.out_strides[other] : 0;
                for (i64 i = 0; i < times; ++i)
                    copy_line(to + target + i * step, c.out_strides[last], from + source,
                              c.strides[last], inside ? c.low[last] : 0,
                              inside ? c.high[last] : 0, extent, fill);
            }
        }
    };
    i64 bytes = total * (i64)sizeof(T);
    i64 tasks = bytes < SMALL ? 1 : std::min<i64>(lines, 4 * run.pool->size());
    run.pool->run(tasks, [&](i64 task, int) {
        work(lines * task / tasks, lines * (task + 1) / tasks);
    });
}

}  // namespace

void run_copy(const Run& run, const Copy& copy) {
    switch (copy.size) {
        case 1: copy_elements<u8>(run, copy); break;
        case 4: copy_elements<std::uint32_t>(run, copy); break;
        default: copy_elements<std::uint64_t>(run, copy); break;
    }
}

void run_gather(const Run& run, const Gather& g) {
    const u8* x = run.address(g.x);
    const u8* index = run.address(g.index);
    u8* to = run.address(g.to);
    const i64 line = g.inner * g.size, lines = g.n * g.j;
    auto work = [&](i64 first, i64 stop) {
        for (i64 i = first; i < stop; ++i) {
            i64 b = i / g.j, at = b % g.index_batches * g.j + i % g.j;
            i64 k = g.index_dtype == I64 ? ((const i64*)index)[at] : ((const std::int32_t*)index)[at];
            if (k < 0) k += g.k;
            if (k < 0 || k >= g.k) {
                std::memset(to + i * line, 0, line);
            } else if (g.size == 4 && g.inner == 1) {
                ((std::uint32_t*)to)[i] = ((const std::uint32_t*)x)[b * g.k + k];
            } else {
                std::memcpy(to + i * line, x + (b * g.k + k) * line, line);
            }
        }
    };
    i64 tasks = lines * line < SMALL ? 1 : std::min<i64>(lines, 4 * run.pool->size());
    run.pool->run(tasks, [&](i64 task, int) {
        work(lines * task / tasks, lines * (task + 1) / tasks);
    });
}

}  // namespace verifiable
