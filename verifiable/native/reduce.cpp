// Folds of one row.
#include <algorithm>

#include "lanes.h"
#include "sixteen.h"
#include "tile.h"

namespace verifiable {

namespace {

enum Fold : i64 { SUM, MAX, MIN, ARGMAX, ARGMIN };

float sum_floats(const float* x, i64 width, i64 chunk) {
    return sum_row(width, chunk, x, nullptr, 0, [](Side& at) { return at; });
}

// All bits where an element is `one`, else none.
template <class I>
inline I where(I x, std::int32_t one) {
    if constexpr (std::is_integral_v<I>) {
        return -(I)(x == one);
    } else {
        return x == (I{} + one);
    }
}

// Integers in the order of the floats, -0 below +0, NaN on top; for MIN the order is turned over
// but for NaN. Tensors hold no NaN but 0x7fc00000.
template <bool LEAST, class I>
inline I key_of(I bits) {
    I key = bits ^ ((bits >> 31) & 0x7fffffff);
    if constexpr (LEAST) {
        const I nan = where(bits, (std::int32_t)NAN_BITS);
        key = (~key & ~nan) | (nan & 0x7fffffff);
    }
    return key;
}

// The float with this key.
template <bool LEAST, class I>
inline I bits_of(I key) {
    I nan = I{};
    if constexpr (LEAST) {
        nan = where(key, INT32_MAX);
        key = ~key;
    }
    const I bits = key ^ ((key >> 31) & 0x7fffffff);
    return (bits & ~nan) | (nan & (std::int32_t)NAN_BITS);
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

constexpr i64 WIDEST = 64;

// How the elements of a fold are compared: of two keys the larger one wins.
template <bool LEAST>
struct FloatOrder {
    using Element = std::int32_t;  // its bits
    template <class I>
    static I key(I bits) { return key_of<LEAST>(bits); }
    template <class I>
    static I element(I key) { return bits_of<LEAST>(key); }
};

template <class T, bool LEAST>
struct IntegerOrder {
    using Element = T;
    template <class I>
    static I key(I x) { return LEAST ? (I)~x : x; }
    template <class I>
    static I element(I key) { return LEAST ? (I)~key : key; }
};

// A row begins every STEP elements; its own lie at `offsets` from there.
template <class Order, int STEP, class T = typename Order::Element>
void fold_neighbours(const T* from, const i64* offsets, i64 width, i64 count, T* out) {
    constexpr i64 COUNT = 16 / sizeof(T);
    for (i64 done = 0; done < count; done += COUNT) {
        // The last may fold some rows once more.
        const i64 r = std::min(done, count - COUNT);
        auto best = Order::key(load_some<STEP>(from + r * STEP + offsets[0]));
        for (i64 i = 1; i < width; ++i) {
            const auto key = Order::key(load_some<STEP>(from + r * STEP + offsets[i]));
            best = key > best ? key : best;
        }
        best = Order::element(best);
        std::memcpy(out + r, &best, 16);
    }
}

template <class Order, class T = typename Order::Element>
void fold_apart(const T* from, i64 step, const i64* offsets, i64 width, i64 count, T* out) {
    for (i64 r = 0; r < count; ++r) {
        T best = Order::key(from[r * step + offsets[0]]);
        for (i64 i = 1; i < width; ++i)
            best = std::max<T>(best, Order::key(from[r * step + offsets[i]]));
        out[r] = Order::element(best);
    }
}

template <class Order, class T = typename Order::Element>
void fold_rows(const Block& block, const Operand& x, const T* from, T* out) {
    const i64 width = block.group.width;
    i64 offsets[WIDEST];
    for (i64 i = 0; i < width; ++i) offsets[i] = x.along.extent > 1 ? x.along[i] : i * x.inner;
    const bool plain = x.row.plain();
    const i64 extent = plain ? x.row.extent : x.row.parts[x.row.parts.size() - 2];
    const i64 step = plain ? x.row.stride : x.row.parts.back();
    for (i64 r = block.r0; r < block.r1;) {
        const i64 count = std::min(extent - r % extent, block.r1 - r);
        const T* at = from + x.row[r];
        T* to = out + (r - block.r0);
        if (step == 1 && count * (i64)sizeof(T) >= 16) {
            fold_neighbours<Order, 1>(at, offsets, width, count, to);
        } else if (step == 2 && count * (i64)sizeof(T) >= 16) {
            fold_neighbours<Order, 2>(at, offsets, width, count, to);
        } else {
            fold_apart<Order>(at, step, offsets, width, count, to);
        }
        r += count;
    }
}

template <bool LEAST>
void fold_rows_of(const Block& block, const Operand& x, const u8* from, u8* out) {
    switch (x.dtype) {
        case F32:
            return fold_rows<FloatOrder<LEAST>>(block, x, (const std::int32_t*)from,
                                                (std::int32_t*)out);
        case I8:
            return fold_rows<IntegerOrder<std::int8_t, LEAST>>(block, x, (const std::int8_t*)from,
                                                               (std::int8_t*)out);
        case I32:
            return fold_rows<IntegerOrder<std::int32_t, LEAST>>(
                block, x, (const std::int32_t*)from, (std::int32_t*)out);
        case I64:
            return fold_rows<IntegerOrder<i64, LEAST>>(block, x, (const i64*)from, (i64*)out);
        default: return fold_rows<IntegerOrder<u8, LEAST>>(block, x, from, out);
    }
}

}  // namespace

bool fold_windows(const Block& block, const Node& node, const u8* base, u8* out) {
    const Operand& x = node.operands[0];
    const i64 width = block.group.width;
    if ((node.fold != MAX && node.fold != MIN) || !width || width > WIDEST) return false;
    if (x.along.extent <= 1 && x.inner == 1 && width > 4) return false;
    node.fold == MAX ? fold_rows_of<false>(block, x, base, out)
                     : fold_rows_of<true>(block, x, base, out);
    return true;
}

}  // namespace verifiable
