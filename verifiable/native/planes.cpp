// Bytes of four channels side by side, so that patches are made of quads; see Planes.
//
// Which four elements of k are added up together is free, sums of integers being exact: the constant
// operand is packed in the same order.
#include <algorithm>

#include "dot.h"
#include "pool.h"
#include "sixteen.h"

namespace verifiable {

namespace {

// Digits of an axis as an axis of its own, with a table unless that were large.
Axis axis_of(std::vector<i64> parts) {
    Axis axis;
    axis.extent = 1;
    for (size_t p = 0; p < parts.size(); p += 2) axis.extent *= parts[p];
    axis.parts = std::move(parts);
    axis.tabulate();
    return axis;
}

// How far an axis reaches; -1 if it goes backwards.
i64 reach_of(const Axis& axis) {
    if (axis.plain()) return axis.stride < 0 ? -1 : (axis.extent - 1) * axis.stride;
    i64 reach = 0;
    for (size_t p = 0; p < axis.parts.size(); p += 2) {
        if (axis.parts[p + 1] < 0) return -1;
        reach += (axis.parts[p] - 1) * axis.parts[p + 1];
    }
    return reach;
}

constexpr i64 AT_ONCE = 16;

// Four planes, `step` apart, as quads.
void interleave(const u8* from, i64 step, i64 span, u8 turn, u8* to) {
    if (span < AT_ONCE) {
        for (i64 i = 0; i < 4 * span; ++i) to[i] = from[i % 4 * step + i / 4] ^ turn;
        return;
    }
    const Line turned = Line{} + turn;
    for (i64 done = 0; done < span; done += AT_ONCE) {
        // The last may do some once more.
        const i64 at = std::min(done, span - AT_ONCE);
        Line lines[4];
        for (int e = 0; e < 4; ++e) lines[e] = load_some<1>(from + e * step + at) ^ turned;
        interleave_quads(lines, to + 4 * at);
    }
}

}  // namespace

void read_by_quads(Dot& dot) {
    Rows& constant = dot.a.constant ? dot.a : dot.b;
    Rows& patches = dot.a.constant ? dot.b : dot.a;
    const std::vector<i64> parts = patches.k.parts;
    if (!constant.constant || patches.constant || parts.size() < 4 || parts[0] % 4) return;
    if (!constant.k.unit() || parts[1] < 0) return;
    const Axis inner = axis_of({parts.begin() + 2, parts.end()});
    const i64 rows = reach_of(patches.row), others = reach_of(inner);
    const i64 span = 1 + rows + others;
    if (rows < 0 || others < 0 || span > parts[1]) return;

    const i64 groups = parts[0] / 4;
    constant.k = axis_of({groups, 4 * inner.extent, inner.extent, 1, 4, inner.extent});
    dot.planes = std::make_unique<Planes>();
    std::vector<i64> digits{groups, span};
    digits.insert(digits.end(), parts.begin() + 2, parts.end());
    Rows quads;
    quads.at = {PLANES, 0};
    quads.dtype = patches.dtype;
    quads.batch.extent = patches.batch.extent;
    quads.batch.stride = groups * span;
    quads.row = patches.row;
    quads.k = axis_of(std::move(digits));
    quads.margin = true;
    quads.constant = false;
    quads.quads = true;
    *dot.planes = {std::move(patches), groups, parts[1], span};
    patches = std::move(quads);
}

void make_planes(const Run& run, const Dot& dot) {
    const Planes& planes = *dot.planes;
    const Rows& source = planes.source;
    const u8 turn = dot.products == Products::QUADS && source.dtype == I8 ? 0x80 : 0;
    const i64 bytes = 4 * planes.span, tasks = source.batch.extent * planes.groups;
    u8* to = run.planes->reserve(tasks * bytes);
    const u8* from = run.address(source.at);
    run.pool->run(tasks, [&](i64 task, int) {
        const i64 batch = task / planes.groups, group = task % planes.groups;
        interleave(from + source.batch[batch] + 4 * group * planes.step, planes.step, planes.span,
                   turn, to + task * bytes);
    });
}

}  // namespace verifiable
