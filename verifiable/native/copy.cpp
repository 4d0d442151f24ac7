// View, Concat and Gather: elements moved, none computed.
#include <algorithm>

#include "dot.h"
#include "pool.h"

namespace verifiable {

namespace {

// Bytes below which one thread is faster than several.
constexpr i64 SMALL = 1 << 16;

template <class T>
void copy_line(T* to, i64 to_step, const T* from, i64 step, i64 low, i64 high, i64 extent, T fill) {
    if (to_step == 1) {
        std::fill(to, to + low, fill);
        std::fill(to + high, to + extent, fill);
        if (step == 1) {
            // Most lines are short: a call of memcpy would cost more than they do.
            if (high - low <= 16) {
                for (i64 i = low; i < high; ++i) to[i] = from[i];
            } else {
                std::memcpy(to + low, from + low, (high - low) * sizeof(T));
            }
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
        for (i64 line = first; line < stop; ++line) {
            i64 rest = line, source = 0, target = 0;
            bool inside = true;
            for (int d = last - 1; d >= 0; --d) {
                if (d == other) continue;
                i64 i = rest % c.extents[d];
                rest /= c.extents[d];
                inside &= i >= c.low[d] && i < c.high[d];
                source += i * c.strides[d];
                target += i * c.out_strides[d];
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
