// The loops around a micro-kernel, the same for floats and integers.
//
// One operand of a Dot is cut into slivers of `ROWS` rows, the other into panels of `COLUMNS`;
// both are packed so that a kernel reads them in the order of k. A kernel computes one sliver by
// one panel over one chunk of k. Tiling is over rows and columns alone, so it cannot change the
// order of additions inside an element.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "plan.h"
#include "transpose.h"

namespace verifiable {

// Packed rows are kept for the next tile up to this size; beyond, a chunk at a time.
constexpr i64 KEPT_BYTES = 2 << 20;

// Where so few panels pass by a sliver, packing it would not pay.
constexpr i64 FEW_PANELS = 16;

inline i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }

// The panel that comes next, fetched while this one is at work: a little for each step of a kernel,
// since a processor has few fetches under way and would wait for many at once.
struct Ahead {
    const char* at;
    i64 step;

    void touch() {
        __builtin_prefetch(at, 0, 2);
        at += step;
    }
    void touch_lines() {
        for (i64 line = 0; line < step; line += 64) __builtin_prefetch(at + line, 0, 2);
        at += step;
    }
};

// Kernels: element types `Left`, `Right`, `Sum`; `ROWS`, `COLUMNS`, `GROUP` (elements of k that are
// packed and multiplied together); what dot_f32.cpp has besides.
template <class Kernels>
class DotDriver {
    using Left = typename Kernels::Left;
    using Right = typename Kernels::Right;
    using Sum = typename Kernels::Sum;
    static constexpr i64 ROWS = Kernels::ROWS;
    static constexpr i64 COLUMNS = Kernels::COLUMNS;
    static constexpr i64 GROUP = Kernels::GROUP;

  public:
    DotDriver(const Run& run, const Dot& dot, const DotPart& part, Scratch& scratch)
        : dot_(dot), left_(dot.swapped ? dot.b : dot.a), right_(dot.swapped ? dot.a : dot.b),
          part_(part), scratch_(scratch) {
        l0_ = dot.swapped ? part.n0 : part.m0;
        l1_ = dot.swapped ? part.n1 : part.m1;
        r0_ = dot.swapped ? part.m0 : part.n0;
        r1_ = dot.swapped ? part.m1 : part.n1;
        left_step_ = dot.swapped ? 1 : part.ld;
        right_step_ = dot.swapped ? part.ld : 1;
        groups_ = ceil_div(dot.k, GROUP);
        chunk_ = Kernels::chunk(dot);
        left_batch_ = part.batch % left_.batch.extent;
        right_batch_ = part.batch % right_.batch.extent;
        if (!left_.constant) left_data_ = run.address(left_.at);
        if (!right_.constant) right_data_ = run.address(right_.at);
    }

    void compute() {
        if (dot_.k == 0) return clear();
        i64 slivers = ceil_div(l1_ - l0_, ROWS), panels = ceil_div(r1_ - r0_, COLUMNS);
        direct_ = Kernels::direct(left_) && panels <= FEW_PANELS;
        left_whole_ = left_.constant || direct_ ||
                      keep(slivers * ROWS * sizeof(Left), part_.left_again || slivers == 1);
        right_whole_ = right_.constant || keep(panels * COLUMNS * sizeof(Right), part_.right_again);
        if (left_whole_ && !left_.constant && !direct_) fill_left(slivers);
        if (right_whole_ && !right_.constant) fill_right(panels);
        scratch_.cells.reserve(slivers * panels * ROWS * COLUMNS * (i64)sizeof(Sum));
        if (slivers == 1 && left_whole_ && right_whole_) return narrow(panels);
        for (i64 k0 = 0; k0 < dot_.k; k0 += chunk_) {
            i64 k1 = std::min(k0 + chunk_, dot_.k);
            if (!left_whole_) pack_left(k0, k1, slivers, scratch_.left);
            if (!right_whole_) pack_right(k0, k1, panels, scratch_.right);
            // A block of slivers stays in the second cache while panels pass by.
            constexpr i64 BLOCK = std::max<i64>(1, 160 / ROWS);
            for (i64 s0 = 0; s0 < slivers; s0 += BLOCK) {
                i64 s1 = std::min(s0 + BLOCK, slivers);
                for (i64 p = 0; p < panels; ++p) {
                    const bool last = p + 1 == panels;
                    const auto next = (const char*)right_at(last ? p : p + 1, k0);
                    const i64 line = GROUP * COLUMNS * (i64)sizeof(Right);
                    const i64 share = last ? 0 : ceil_div(line, s1 - s0);
                    const i64 bytes = share * ceil_div(k1 - k0, GROUP);
                    for (i64 s = s0; s < s1; ++s)
                        cell(s, p, k0, k1, {next + (s - s0) * bytes, share});
                }
            }
        }
    }

  private:
    bool keep(i64 bytes_of_k, bool again) const {
        return dot_.k <= chunk_ || (again && bytes_of_k * dot_.k <= KEPT_BYTES);
    }

    void clear() {
        for (i64 m = 0; m < part_.m1 - part_.m0; ++m)
            std::fill_n((Sum*)part_.out + m * part_.ld, part_.n1 - part_.n0, Sum{});
    }

    // Few rows: each panel passes through once, from its first chunk to its last.
    void narrow(i64 panels) {
        i64 rows = l1_ - l0_;
        constexpr i64 WIDE = 4;
        for (i64 p = 0; p < panels;) {
            bool wide = Kernels::HAS_LINE && rows == 1 && right_step_ == 1 && p + WIDE <= panels &&
                        (p + WIDE) * COLUMNS <= r1_ - r0_;
            for (i64 k0 = 0; k0 < dot_.k; k0 += chunk_) {
                i64 k1 = std::min(k0 + chunk_, dot_.k);
                if (wide) {
                    if constexpr (Kernels::HAS_LINE) Kernels::line(ceil_div(k1 - k0, GROUP), line_at(k0), direct_ ? 1 : ROWS,
                                  right_at(p, k0), groups_ * GROUP * COLUMNS, out(0, p), k0 == 0,
                                  k1 == dot_.k);
                } else {
                    cell(0, p, k0, k1, {(const char*)right_at(p, k0), 0});
                }
            }
            p += wide ? WIDE : 1;
        }
    }

    // The only row of the left operand.
    const Left* line_at(i64 k0) const {
        if (!direct_) return left_at(0, k0);
        return (const Left*)left_data_ + left_.batch[left_batch_] + left_.row[l0_] + k0;
    }

    Sum* out(i64 sliver, i64 panel) const {
        return (Sum*)part_.out + sliver * ROWS * left_step_ + panel * COLUMNS * right_step_;
    }

    const Left* left_at(i64 sliver, i64 k0) const {
        if (left_.constant) {
            i64 number = l0_ / ROWS + sliver;
            i64 count = ceil_div(left_.row.extent, ROWS);
            return (const Left*)Kernels::packed(left_).data +
                   ((left_batch_ * count + number) * groups_ * GROUP + k0) * ROWS;
        }
        i64 depth = left_whole_ ? groups_ * GROUP : depth_;
        return (const Left*)scratch_.left.data() + (sliver * depth + (left_whole_ ? k0 : 0)) * ROWS;
    }

    const Right* right_at(i64 panel, i64 k0) const {
        if (right_.constant) {
            i64 number = r0_ / COLUMNS + panel;
            i64 count = ceil_div(right_.row.extent, COLUMNS);
            return (const Right*)Kernels::packed(right_).data +
                   ((right_batch_ * count + number) * groups_ * GROUP + k0) * COLUMNS;
        }
        i64 depth = right_whole_ ? groups_ * GROUP : depth_;
        return (const Right*)scratch_.right.data() +
               (panel * depth + (right_whole_ ? k0 : 0)) * COLUMNS;
    }

    void cell(i64 sliver, i64 panel, i64 k0, i64 k1, Ahead ahead) {
        i64 rows = std::min(ROWS, l1_ - l0_ - sliver * ROWS);
        i64 columns = std::min(COLUMNS, r1_ - r0_ - panel * COLUMNS);
        const Left* a = direct_ ? nullptr : left_at(sliver, k0);
        const Right* b = right_at(panel, k0);
        Sum* c = out(sliver, panel);
        i64 depth = ceil_div(k1 - k0, GROUP);
        bool first = k0 == 0, last = k1 == dot_.k;
        auto kernel = table(Kernels::mode(direct_, left_, right_))[rows];
        const void* known = known_at(sliver, panel, k0);
        if (direct_) {
            a = (const Left*)left_data_ + left_.batch[left_batch_] +
                left_.row[l0_ + sliver * ROWS] + k0;
        }
        const i64 depth_of_sliver = left_whole_ ? groups_ * GROUP : depth_;
        const i64 step = direct_ ? left_.row.stride : depth_of_sliver * ROWS;
        if (columns == COLUMNS && right_step_ == 1) {
            kernel(depth, a, step, b, c, left_step_, first, last, known, ahead);
            return;
        }
        // Part of a panel, or columns apart: totals are kept aside until the last chunk.
        const i64 number = sliver * ceil_div(r1_ - r0_, COLUMNS) + panel;
        Sum* cells = (Sum*)scratch_.cells.data() + number * ROWS * COLUMNS;
        kernel(depth, a, step, b, cells, COLUMNS, first, last, known, ahead);
        if (!last) return;
        if (right_step_ == 1) {
            for (i64 i = 0; i < rows; ++i)
                std::copy_n(cells + i * COLUMNS, columns, c + i * left_step_);
        } else if (left_step_ == 1 && rows == ROWS && columns == COLUMNS) {
            static_assert(sizeof(Sum) == sizeof(float));
            transpose_tile<ROWS, COLUMNS>((const float*)cells, (float*)c, right_step_);
        } else {
            for (i64 j = 0; j < columns; ++j)
                for (i64 i = 0; i < rows; ++i)
                    c[i * left_step_ + j * right_step_] = cells[i * COLUMNS + j];
        }
    }

    void pack_left(i64 k0, i64 k1, i64 slivers, Memory& memory) {
        depth_ = ceil_div(k1 - k0, GROUP) * GROUP;
        Left* to = (Left*)memory.reserve(slivers * depth_ * ROWS * sizeof(Left));
        for (i64 s = 0; s < slivers; ++s) {
            i64 first = l0_ + s * ROWS;
            Kernels::pack_left(left_, left_data_, left_batch_, first, std::min(first + ROWS, l1_),
                               k0, k1, to + s * depth_ * ROWS);
        }
        scratch_.left_holds[0] = -1;
    }

    void pack_right(i64 k0, i64 k1, i64 panels, Memory& memory) {
        depth_ = ceil_div(k1 - k0, GROUP) * GROUP;
        Right* to = (Right*)memory.reserve(panels * depth_ * COLUMNS * sizeof(Right));
        for (i64 p = 0; p < panels; ++p) {
            i64 first = r0_ + p * COLUMNS;
            Kernels::pack_right(right_, right_data_, right_batch_, first,
                                std::min(first + COLUMNS, r1_), k0, k1, to + p * depth_ * COLUMNS);
        }
        scratch_.right_holds[0] = -1;
    }

    void fill_left(i64 slivers) {
        std::array<i64, 3> wanted{left_batch_, l0_, l1_};
        if (scratch_.left_holds == wanted) return;
        pack_left(0, dot_.k, slivers, scratch_.left);
        scratch_.left_holds = wanted;
    }

    void fill_right(i64 panels) {
        std::array<i64, 3> wanted{right_batch_, r0_, r1_};
        if (scratch_.right_holds == wanted) return;
        pack_right(0, dot_.k, panels, scratch_.right);
        scratch_.right_holds = wanted;
    }

    // What is known of the constant operand's elements, of this sliver or panel, from k0 on.
    const void* known_at(i64 sliver, i64 panel, i64 k0) const {
        if (right_.constant) {
            i64 count = ceil_div(right_.row.extent, COLUMNS);
            i64 number = right_batch_ * count + r0_ / COLUMNS + panel;
            return Kernels::known(right_, left_, number, COLUMNS, groups_, k0 / GROUP);
        }
        if (left_.constant) {
            i64 count = ceil_div(left_.row.extent, ROWS);
            i64 number = left_batch_ * count + l0_ / ROWS + sliver;
            return Kernels::known(left_, right_, number, ROWS, groups_, k0 / GROUP);
        }
        return nullptr;
    }

    using Tile = void (*)(i64, const Left*, i64, const Right*, Sum*, i64, bool, bool, const void*,
                          Ahead);
    using Tiles = std::array<Tile, ROWS + 1>;

    template <int MODE, int... M>
    static constexpr Tiles kernels(std::integer_sequence<int, M...>) {
        return {nullptr, &Kernels::template tile<M + 1, MODE>...};
    }

    template <int... MODE>
    static constexpr std::array<Tiles, sizeof...(MODE)> modes(std::integer_sequence<int, MODE...>) {
        return {kernels<MODE>(std::make_integer_sequence<int, (int)ROWS>{})...};
    }

    static const Tiles& table(int mode) {
        static constexpr auto all = modes(std::make_integer_sequence<int, Kernels::MODES>{});
        return all[mode];
    }

    const Dot& dot_;
    const Rows& left_;
    const Rows& right_;
    const DotPart& part_;
    Scratch& scratch_;
    i64 l0_, l1_, r0_, r1_, left_step_, right_step_, groups_, chunk_, left_batch_, right_batch_;
    i64 depth_ = 0;
    bool left_whole_ = false, right_whole_ = false;
    bool direct_ = false;  // the left operand is read where it lies
    const u8* left_data_ = nullptr;
    const u8* right_data_ = nullptr;
};

// How a constant operand is packed: as the left one or the right one, from where, into what.
struct Packing {
    bool left;
    const u8* data;
    Room& room;
};

// All of a constant operand, batch after batch, in slivers or panels.
template <class Kernels, bool LEFT>
void pack_side(Rows& rows, const Packing& packing, Packed& packed) {
    using Element = std::conditional_t<LEFT, typename Kernels::Left, typename Kernels::Right>;
    constexpr i64 STEP = LEFT ? Kernels::ROWS : Kernels::COLUMNS;
    i64 depth = ceil_div(rows.k.extent, Kernels::GROUP) * Kernels::GROUP;
    i64 count = ceil_div(rows.row.extent, STEP);
    packed.data = packing.room.take(rows.batch.extent * count * depth * STEP * (i64)sizeof(Element));
    Element* to = (Element*)packed.data;
    for (i64 b = 0; b < rows.batch.extent; ++b)
        for (i64 i = 0; i < count; ++i, to += depth * STEP) {
            i64 stop = std::min((i + 1) * STEP, rows.row.extent);
            if constexpr (LEFT) {
                Kernels::pack_left(rows, packing.data, b, i * STEP, stop, 0, rows.k.extent, to);
            } else {
                Kernels::pack_right(rows, packing.data, b, i * STEP, stop, 0, rows.k.extent, to);
            }
            Kernels::template learn<STEP>(packed, to, depth);
        }
}

template <class Kernels>
void pack_all(Rows& rows, const Packing& packing, Packed& packed) {
    packing.left ? pack_side<Kernels, true>(rows, packing, packed)
                 : pack_side<Kernels, false>(rows, packing, packed);
}

// Of kernels that need to know nothing of constants.
struct NothingKnown {
    template <i64 STEP, class Element>
    static void learn(Packed&, const Element*, i64) {}
    static const void* known(const Rows&, const Rows&, i64, i64, i64, i64) { return nullptr; }
};

}  // namespace verifiable
