// Chains of nodes that models are full of, each run as one pass or two over a row while it is in
// the first cache: softmax, and the two halves of a layer normalisation. They give what their nodes
// give one by one, to the bit.
//
// SOFTMAX  MAX of x; e = exp(x - max); SUM of e; e / sum.
// CENTRE   SUM of x; c = x - sum share; c c; SUM of that. Both c and the sum are results.
// SCALE    (x s) w + b, where s is a column, w and b are the same for all rows.
#include <cmath>

#include "lanes.h"
#include "tile.h"

#include "canon.h"

namespace verifiable {

namespace {

enum Fold : i64 { SUM, MAX };

// Codes of verifiable.graph.vocabulary.Scalar, and those of scalar_kernels.h.
constexpr int ADD = 0, SUB = 1, MUL = 2, DIV = 3, EXP_OF_DIFFERENCE = 127;

constexpr float INFINITE = __builtin_inff();

// -- finding them

class Chain {
  public:
    Chain(Group& group, size_t first) : group_(group), first_(first) {}

    Node& at(size_t i) const { return group_.nodes[first_ + i]; }

    bool has(size_t count) const { return first_ + count <= group_.nodes.size(); }

    bool is_fold(size_t i, i64 fold) const {
        const Node& n = at(i);
        return n.kind == Node::REDUCE && n.fold == fold && n.operands[0].dtype == F32;
    }

    // A Map of floats with one row of elements for each of the group's.
    bool is_map(size_t i, size_t operands, size_t steps) const {
        const Node& n = at(i);
        if (n.kind != Node::MAP || n.dtype != F32 || n.column) return false;
        for (const Operand& o : n.operands)
            if (o.dtype != F32) return false;
        return n.operands.size() == operands && n.steps.size() == steps;
    }

    // Whether step s of node i is `function` of these registers, in this order or, where that is
    // the same, in the other. A step in the middle leaves NaNs as they come.
    bool is_step(size_t i, size_t s, int function, i64 a, i64 b) const {
        const ScalarStep& step = at(i).steps[s];
        const bool last = s + 1 == at(i).steps.size();
        if (step.function != function + (last ? 0 : RAW_RESULT)) return false;
        const bool turned = step.reads[0] == b && step.reads[1] == a;
        const bool may_turn = function == ADD || function == MUL;
        return (step.reads[0] == a && step.reads[1] == b) || (may_turn && turned);
    }

    bool reads(size_t i, size_t operand, size_t of) const {
        return at(i).operands[operand].node == (i64)(first_ + of);
    }

    // Whether node i is read by `by` nodes and in no other memory than `same` names.
    bool is_hidden(size_t i, int by, i64 same = -1) const {
        int readers = 0;
        for (const Node& n : group_.nodes) {
            bool found = false;
            for (const Operand& o : n.operands) found |= o.node == (i64)(first_ + i);
            readers += found;
        }
        const i64 buffer = at(i).buffer;
        return readers == by && (group_.buffers[buffer].scratch || buffer == same);
    }

    bool same(const Operand& a, const Operand& b) const {
        if (a.node >= 0 || b.node >= 0) return a.node == b.node;
        return a.at.slot == b.at.slot && a.at.offset == b.at.offset && a.inner == b.inner &&
               a.row.extent == b.row.extent && a.row.stride == b.row.stride &&
               a.row.parts == b.row.parts;
    }

    // Rows whose elements lie side by side.
    bool is_row(const Operand& o) const {
        if (o.node >= 0) return !group_.buffers[group_.nodes[o.node].buffer].column;
        return o.inner == 1 && o.along.extent <= 1;
    }

    bool is_column(const Operand& o) const {
        return o.node >= 0 && group_.buffers[group_.nodes[o.node].buffer].column;
    }

    // One row for all rows.
    bool is_shared(const Operand& o) const {
        return o.node < 0 && o.inner == 1 && o.row.plain() && o.row.stride == 0;
    }

  private:
    Group& group_;
    size_t first_;
};

bool is_softmax(const Chain& c) {
    if (!c.has(4) || !c.is_fold(0, MAX) || !c.is_map(1, 2, 1) || !c.is_fold(2, SUM)) return false;
    if (!c.is_map(3, 2, 1)) return false;
    const Operand& x = c.at(0).operands[0];
    return c.is_row(x) && c.same(x, c.at(1).operands[0]) && c.reads(1, 1, 0) && c.reads(2, 0, 1) &&
           c.reads(3, 0, 1) && c.reads(3, 1, 2) && c.is_step(1, 0, EXP_OF_DIFFERENCE, 0, 1) &&
           c.is_step(3, 0, DIV, 0, 1) && c.is_hidden(0, 1) && c.is_hidden(2, 1) &&
           c.is_hidden(1, 2, c.at(3).buffer);
}

bool is_centre(const Chain& c) {
    if (!c.has(4) || !c.is_fold(0, SUM) || !c.is_map(1, 2, 2) || !c.is_map(2, 1, 1)) return false;
    if (!c.is_fold(3, SUM) || c.at(1).literals.size() != 1) return false;
    const Operand& x = c.at(0).operands[0];
    const i64 mean = 3 + c.at(1).steps[0].writes;
    return c.is_row(x) && c.same(x, c.at(1).operands[0]) && c.reads(1, 1, 0) && c.reads(2, 0, 1) &&
           c.reads(3, 0, 2) && c.is_step(1, 0, MUL, 1, 2) && c.is_step(1, 1, SUB, 0, mean) &&
           c.is_step(2, 0, MUL, 0, 0) && c.is_hidden(0, 1) && c.is_hidden(2, 1);
}

bool is_scale(const Chain& c) {
    if (!c.has(2) || !c.is_map(0, 3, 2) || !c.is_map(1, 2, 1)) return false;
    const auto& x = c.at(0).operands;
    const i64 scaled = 3 + c.at(0).steps[0].writes;
    return c.is_row(x[0]) && c.is_column(x[1]) && c.is_shared(x[2]) && c.reads(1, 0, 0) &&
           c.is_shared(c.at(1).operands[1]) && c.is_step(0, 0, MUL, 0, 1) &&
           c.is_step(0, 1, MUL, scaled, 2) && c.is_step(1, 0, ADD, 0, 1) &&
           c.is_hidden(0, 1, c.at(1).buffer);
}

// Whether an operand is an input that the group was to look at; if so, it need not any more.
bool takes_over(Group& group, const Operand& x) {
    if (x.node >= 0) return false;
    for (size_t i = 0; i < group.inputs.size(); ++i)
        if (group.inputs[i].slot == x.at.slot) {
            group.inputs.erase(group.inputs.begin() + (std::ptrdiff_t)i);
            return true;
        }
    return false;
}

// -- running them

struct Line {
    const u8* base;
    const Axis* axis;
    i64 r0, step;

    const float* operator[](i64 r) const {
        return (const float*)base + (axis ? (*axis)[r0 + r] : r * step);
    }
};

Line line_of(const Block& block, const Operand& o) {
    if (o.node < 0) {
        return {block.run.address(o.at) + block.c0 * sizeof(float), &o.row, block.r0, 0};
    }
    const Buffer& b = block.group.buffers[block.group.nodes[o.node].buffer];
    return {block.first(b), nullptr, 0, block.step(b)};
}

// Elements to the row after the next, which is then in the cache when its turn comes; 0 where rows
// do not come from memory.
i64 two_rows(const Block& block, const Operand& o) { return o.node < 0 ? 2 * block.group.width : 0; }

// Of an input that nothing else looks at: a row from which a NaN came may hold one that is none of
// ours.
void look_at(const Block& block, const Node& node, const float* x, i64 width) {
    if (node.looks && holds_other_nan((const std::uint32_t*)x, width)) *block.run.bad_input = true;
}

struct Ends {
    float least, most;
    bool has_nan;
};

typedef std::uint32_t Unsigned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

// Calls `take` with all of a row, a Side at a time; the last is filled up with a copy of an element.
template <class Take>
void each_side(const float* x, i64 width, Take take) {
    i64 i = 0;
    for (; i + SIDE <= width; i += SIDE) take(x + i);
    if (i < width) {
        float tail[SIDE];
        std::fill_n(tail, SIDE, x[i]);
        std::memcpy(tail, x + i, (width - i) * sizeof(float));
        take(tail);
    }
}

// Of a row without a NaN.
Ends ends_of_numbers(const float* x, i64 width) {
    Side low, high;
    for (int v = 0; v < VECTORS; ++v) low.v[v] = high.v[v] = splat(*x);
    each_side(x, width, [&](const float* from) {
        for (int v = 0; v < VECTORS; ++v) {
            Floats at = load(from + v * LANES);
            low.v[v] = at < low.v[v] ? at : low.v[v];
            high.v[v] = at > high.v[v] ? at : high.v[v];
        }
    });
    Ends found{*x, *x, false};
    for (int v = 0; v < VECTORS; ++v)
        for (int l = 0; l < LANES; ++l) {
            found.least = std::min(found.least, low.v[v][l]);
            found.most = std::max(found.most, high.v[v][l]);
        }
    return found;
}

// Of -0 and +0 either may be an end; of a row with a NaN there are none.
//
// Bits of floats are looked at as integers, which is faster and finds NaNs as well, since they lie
// beyond the infinities. With a sign, the largest are the bits of the largest float or NaN above 0;
// without, those of the least float or NaN below 0.
Ends ends_of(const float* x, i64 width) {
    if (!width) return {INFINITE, -INFINITE, false};
    Ints above[VECTORS];
    Unsigned below[VECTORS];
    for (int v = 0; v < VECTORS; ++v) {
        above[v] = (Ints)splat(*x);
        below[v] = (Unsigned)above[v];
    }
    each_side(x, width, [&](const float* from) {
        for (int v = 0; v < VECTORS; ++v) {
            const Ints at = (Ints)load(from + v * LANES);
            above[v] = at > above[v] ? at : above[v];
            below[v] = (Unsigned)at > below[v] ? (Unsigned)at : below[v];
        }
    });
    for (int v = 1; v < VECTORS; ++v) {
        above[0] = above[v] > above[0] ? above[v] : above[0];
        below[0] = below[v] > below[0] ? below[v] : below[0];
    }
    std::int32_t most = above[0][0];
    std::uint32_t least = below[0][0];
    for (int l = 1; l < LANES; ++l) {
        most = std::max<std::int32_t>(most, above[0][l]);
        least = std::max<std::uint32_t>(least, below[0][l]);
    }
    if (most > 0x7f800000 || least > 0xff800000u) return {0.0f, 0.0f, true};
    // All above 0, or all below.
    if (most < 0 || least < 0x80000000u) return ends_of_numbers(x, width);
    return {canon_float((int)least), canon_float(most), false};
}

// canon_exp_f32 of what is not above 0 and no NaN; see canon_exp_below_zero. `NORMAL`: nor below
// NORMAL_EXP, where 2^n can be applied in one step with the same result.
constexpr float NORMAL_EXP = -86.0f;

template <bool NORMAL>
inline __attribute__((always_inline)) void exp_below_zero(Side& x) {
    Side n, p, power;
#define EACH(STEP) \
    _Pragma("GCC unroll 8") for (int v = 0; v < VECTORS; ++v) STEP
#define NEXT(COEFFICIENT) EACH(p.v[v] = fma(p.v[v], x.v[v], splat(COEFFICIENT)))
    const Floats least = splat(-104.0f), rounder = splat(CANON_ROUNDER + (NORMAL ? 0.0f : 64.0f));
    if (!NORMAL) EACH(x.v[v] = x.v[v] > least ? x.v[v] : least);
    EACH(power.v[v] = fma(x.v[v], splat(CANON_LOG2_E), rounder));
    EACH(n.v[v] = power.v[v] - rounder);
    EACH(x.v[v] = fma(n.v[v], splat(-CANON_LN2_HIGH), x.v[v]));
    EACH(x.v[v] = fma(n.v[v], splat(-CANON_LN2_LOW), x.v[v]));
    EACH(p.v[v] = fma(splat(0x1.6a4e74p-10f), x.v[v], splat(0x1.123980p-7f)));
    NEXT(0x1.5558aep-5f);
    NEXT(0x1.555492p-3f);
    NEXT(0x1.fffffcp-2f);
    NEXT(1.0f);
    NEXT(1.0f);
    EACH(x.v[v] = (Floats)((Ints)p.v[v] + ((Ints)power.v[v] << 23)));
    if (!NORMAL) EACH(x.v[v] = x.v[v] * splat(0x1p-64f));
#undef NEXT
#undef EACH
}

// Exponentials of x - most to `to`, and their sum.
template <bool NORMAL>
float exp_row(const float* x, i64 width, i64 chunk, i64 ahead, float most, float* to) {
    const Floats by = splat(most);
    return sum_row(width, chunk, x, to, ahead, [&](Side& at) {
        for (int v = 0; v < VECTORS; ++v) at.v[v] = at.v[v] - by;
        exp_below_zero<NORMAL>(at);
        return at;
    });
}

// Differences of which exponentials are above 2^-60; below that, and above 0, remainders of a division
// might not be exact.
constexpr float CLOSE = -40.0f;

// Whether an element is above 0, but below 2^-60; none is below 0.
[[maybe_unused]] bool has_tiny(const float* x, i64 width) {
    constexpr std::uint32_t BOUND = (127u - 60) << 23;
    auto bits = (const std::uint32_t*)x;
    std::uint32_t found = 0;
    for (i64 i = 0; i < width; ++i) found |= bits[i] - 1 < BOUND - 1;
    return found;
}

// Elements of 0 to 1 divided by a sum of theirs, which is at least 1 and below 2^31.
void divide_row(float* x, i64 width, float by, [[maybe_unused]] bool close) {
    i64 i = 0;
#if defined(__FMA__)
    // Each quotient is rounded once, but without waiting for the divider: its first correction
    // brings it within an ulp, and the second is then right, since `inverse` is the reciprocal
    // rounded to nearest and the remainder is exact (Markstein, 1990; Muller et al., Handbook of
    // Floating-Point Arithmetic, 4.7).
    if (close || !has_tiny(x, width)) {
        const Floats inverse = splat(1.0f / by), minus = splat(-by);
        for (; i + SIDE <= width; i += SIDE) {
            Side e, q, rest;
            for (int v = 0; v < VECTORS; ++v) e.v[v] = load(x + i + v * LANES);
            for (int v = 0; v < VECTORS; ++v) q.v[v] = e.v[v] * inverse;
            for (int turn = 0; turn < 2; ++turn) {
                for (int v = 0; v < VECTORS; ++v) rest.v[v] = fma(q.v[v], minus, e.v[v]);
                for (int v = 0; v < VECTORS; ++v) q.v[v] = fma(rest.v[v], inverse, q.v[v]);
            }
            for (int v = 0; v < VECTORS; ++v) store(x + i + v * LANES, q.v[v]);
        }
    }
#endif
    for (; i < width; ++i) x[i] = x[i] / by;
}

}  // namespace

void run_softmax(const Block& block, const Node& node) {
    const Line from = line_of(block, node.operands[0]);
    const Buffer& b = block.group.buffers[node.buffer];
    float* out = (float*)block.first(b);
    const i64 width = block.group.width, ahead = two_rows(block, node.operands[0]);
    for (i64 r = 0; r < block.rows(); ++r, out += block.step(b)) {
        const float* x = from[r];
        const Ends ends = ends_of(x, width);
        if (!ends.has_nan && std::fabs(ends.most) < INFINITE) {
            const float sum = ends.least - ends.most > NORMAL_EXP
                                  ? exp_row<true>(x, width, node.chunk, ahead, ends.most, out)
                                  : exp_row<false>(x, width, node.chunk, ahead, ends.most, out);
            divide_row(out, width, sum, ends.least - ends.most > CLOSE);
            continue;
        }
        look_at(block, node, x, width);
        const float most = ends.has_nan ? __builtin_nanf("") : ends.most;
        for (i64 i = 0; i < width; ++i) out[i] = canon_exp_f32(canon_raw_sub(x[i], most));
        float sum;
        fold_row(F32, SUM, node.chunk, out, width, &sum);
        for (i64 i = 0; i < width; ++i) out[i] = canon_div_f32(out[i], sum);
    }
}

void run_centre(const Block& block, const Node& node) {
    const Line from = line_of(block, node.operands[0]);
    const Buffer& b = block.group.buffers[node.centred];
    const Buffer& of_sums = block.group.buffers[node.buffer];
    float* centred = (float*)block.first(b);
    float* sums = (float*)block.first(of_sums);
    const i64 width = block.group.width, ahead = two_rows(block, node.operands[0]);
    for (i64 r = 0; r < block.rows(); ++r, centred += block.step(b)) {
        const float* x = from[r];
        float sum = 0.0f;
        fold_row(F32, SUM, node.fold, x, width, &sum);
        if (sum != sum) look_at(block, node, x, width);
        const Floats mean = splat(canon_raw_mul(sum, node.share));
        sums[r] = sum_row(width, node.chunk, x, centred, ahead, [&](Side& at) {
            Side squares;
            for (int v = 0; v < VECTORS; ++v) at.v[v] = one_nan(at.v[v] - mean);
            for (int v = 0; v < VECTORS; ++v) squares.v[v] = at.v[v] * at.v[v];
            return squares;
        });
    }
}

void run_scale(const Block& block, const Node& node) {
    const Line from = line_of(block, node.operands[0]), by = line_of(block, node.operands[1]);
    const float* weight = line_of(block, node.operands[2])[0];
    const float* bias = line_of(block, node.operands[3])[0];
    const Buffer& b = block.group.buffers[node.buffer];
    float* out = (float*)block.first(b);
    const i64 width = block.columns();
    for (i64 r = 0; r < block.rows(); ++r, out += block.step(b)) {
        const float* x = from[r];
        const float s = *by[r];
        i64 i = 0;
        for (; i + LANES <= width; i += LANES)
            store(out + i, one_nan(load(x + i) * splat(s) * load(weight + i) + load(bias + i)));
        for (; i < width; ++i) out[i] = canon_add_f32(x[i] * s * weight[i], bias[i]);
    }
}

void join_nodes(Group& group) {
    for (size_t i = 0; i < group.nodes.size(); ++i) {
        const Chain chain(group, i);
        auto join = [&](size_t last, Node::Kind kind) {
            for (size_t j = 0; j < last; ++j) chain.at(j).kind = Node::NONE;
            chain.at(last).kind = kind;
            i += last;
        };
        if (is_softmax(chain)) {
            chain.at(3).operands = chain.at(0).operands;
            chain.at(3).looks = takes_over(group, chain.at(0).operands[0]);
            chain.at(3).chunk = chain.at(2).chunk;
            join(3, Node::SOFTMAX);
        } else if (is_centre(chain)) {
            Node& whole = chain.at(3);
            whole.operands = chain.at(0).operands;
            whole.looks = takes_over(group, chain.at(0).operands[0]);
            whole.fold = chain.at(0).chunk;
            whole.centred = chain.at(1).buffer;
            const auto share = (std::uint32_t)chain.at(1).literals[0];
            std::memcpy(&whole.share, &share, sizeof(float));
            join(3, Node::CENTRE);
        } else if (is_scale(chain)) {
            Operand bias = chain.at(1).operands[1];
            chain.at(1).operands = chain.at(0).operands;
            chain.at(1).operands.push_back(std::move(bias));
            join(1, Node::SCALE);
        }
    }
}

}  // namespace verifiable
