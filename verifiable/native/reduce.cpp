// Folds of one row.
#include <algorithm>

#include "lanes.h"
#include "tile.h"

namespace verifiable {

namespace {

enum Fold : i64 { SUM, MAX, MIN, ARGMAX, ARGMIN };

float sum_floats(const float* x, i64 width, i64 chunk) {
    return sum_row(width, chunk, x, nullptr, 0, [](Side& at) { return at; });
}

// Integers in the order of the floats, -0 below +0, NaN on top; for MIN the order is turned over
// but for NaN. Tensors hold no NaN but 0x7fc00000.
template <bool LEAST, class I>
inline I key_of(I bits) {
    I key = bits ^ ((bits >> 31) & 0x7fffffff);
    if constexpr (LEAST) {
        I nan = -(I)(bits == (I{} + (std::int32_t)NAN_BITS));
        if constexpr (!std::is_integral_v<I>) nan = bits == (I{} + (std::int32_t)NAN_BITS);
        key = (~key & ~nan) | (nan & 0x7fffffff);
    }
    return key;
}

template <bool LEAST>
std::int32_t top_key(const std::int32_t* x, i64 width) {
    std::int32_t top = INT32_MIN;
    i64 i = 0;
    if (width >= 4 * LANES) {
        Ints best[4];
        for (int v = 0; v < 4; ++v) best[v] = Ints{} + INT32_MIN;
        for (; i + 4 * LANES <= width; i += 4 * LANES)
            for (int v = 0; v < 4; ++v) {
                Ints key = key_of<LEAST>(*(const Ints*)(x + i + v * LANES));
                best[v] = key > best[v] ? key : best[v];
            }
        for (int v = 0; v < 4; ++v)
            for (int l = 0; l < LANES; ++l) top = std::max<std::int32_t>(top, best[v][l]);
    }
    for (; i < width; ++i) top = std::max(top, key_of<LEAST>(x[i]));
    return top;
}

template <bool LEAST>
std::int32_t bits_of(std::int32_t key) {
    if (LEAST) {
        if (key == INT32_MAX) return (std::int32_t)NAN_BITS;
        key = ~key;
    }
    return key ^ ((key >> 31) & 0x7fffffff);
}

template <bool LEAST>
i64 place_of_top(const std::int32_t* x, i64 width) {
    std::int32_t top = top_key<LEAST>(x, width);
    for (i64 i = 0; i < width; ++i)
        if (key_of<LEAST>(x[i]) == top) return i;
    return 0;
}

void fold_floats(i64 fold, i64 chunk, const void* row, i64 width, void* out) {
    auto bits = (const std::int32_t*)row;
    switch (fold) {
        case SUM: *(float*)out = sum_floats((const float*)row, width, chunk); break;
        case MAX: *(std::int32_t*)out = bits_of<false>(top_key<false>(bits, width)); break;
        case MIN: *(std::int32_t*)out = bits_of<true>(top_key<true>(bits, width)); break;
        case ARGMAX: *(i64*)out = place_of_top<false>(bits, width); break;
        case ARGMIN: *(i64*)out = place_of_top<true>(bits, width); break;
    }
}

template <class T>
void fold_integers(i64 fold, const T* x, i64 width, void* out) {
    if (fold == SUM) {
        // Wraps; unsigned, since signed overflow is undefined in C++.
        std::make_unsigned_t<T> total = 0;
        for (i64 i = 0; i < width; ++i) total += (std::make_unsigned_t<T>)x[i];
        *(T*)out = (T)total;
        return;
    }
    T best = x[0];
    if (fold == MAX || fold == ARGMAX) {
        for (i64 i = 1; i < width; ++i) best = std::max(best, x[i]);
    } else {
        for (i64 i = 1; i < width; ++i) best = std::min(best, x[i]);
    }
    if (fold == MAX || fold == MIN) {
        *(T*)out = best;
    } else {
        *(i64*)out = std::find(x, x + width, best) - x;
    }
}

}  // namespace

void fold_row(int dtype, i64 fold, i64 chunk, const void* row, i64 width, void* out) {
    switch (dtype) {
        case F32: fold_floats(fold, chunk, row, width, out); break;
        case I8: fold_integers(fold, (const std::int8_t*)row, width, out); break;
        case I32: fold_integers(fold, (const std::int32_t*)row, width, out); break;
        case I64: fold_integers(fold, (const i64*)row, width, out); break;
        default: fold_integers(fold, (const u8*)row, width, out); break;
    }
}

namespace {

// Rows first .. stop, whose offsets grow by `step` from `base`.
template <bool LEAST>
void fold_strided(const std::int32_t* base, i64 step, const Operand& x, i64 width, i64 count,
                  std::int32_t* out) {
    for (i64 r = 0; r < count; ++r) out[r] = INT32_MIN;
    for (i64 i = 0; i < width; ++i) {
        const std::int32_t* at = base + (x.along.extent > 1 ? x.along[i] : i * x.inner);
        if (step == 1) {
            for (i64 r = 0; r < count; ++r) out[r] = std::max(out[r], key_of<LEAST>(at[r]));
        } else if (step == 2) {
            for (i64 r = 0; r < count; ++r) out[r] = std::max(out[r], key_of<LEAST>(at[2 * r]));
        } else {
            for (i64 r = 0; r < count; ++r) out[r] = std::max(out[r], key_of<LEAST>(at[r * step]));
        }
    }
    for (i64 r = 0; r < count; ++r) out[r] = bits_of<LEAST>(out[r]);
}

}  // namespace

bool fold_windows(const Block& block, const Node& node, const std::int32_t* base, u8* out) {
    constexpr i64 WIDEST = 64;
    const Operand& x = node.operands[0];
    const i64 width = block.group.width;
    if (x.dtype != F32 || (node.fold != MAX && node.fold != MIN) || width > WIDEST) return false;
    if (x.along.extent <= 1 && x.inner == 1 && width > 4) return false;
    auto to = (std::int32_t*)out;
    for (i64 r = block.r0; r < block.r1;) {
        const i64 start = x.row[r];
        i64 stop = r + 1, step = stop < block.r1 ? x.row[stop] - start : 0;
        while (stop < block.r1 && x.row[stop] == start + (stop - r) * step) ++stop;
        i64 count = stop - r;
        if (node.fold == MAX) {
            fold_strided<false>(base + start, step, x, width, count, to + (r - block.r0));
        } else {
            fold_strided<true>(base + start, step, x, width, count, to + (r - block.r0));
        }
        r = stop;
    }
    return true;
}

}  // namespace verifiable
