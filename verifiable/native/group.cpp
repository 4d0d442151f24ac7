// Groups: cut into blocks of rows and columns, each computed from its first node to its last while
// it is in the cache.
#include <algorithm>

#include "dot.h"
#include "pool.h"
#include "tile.h"

namespace verifiable {

namespace {

// Elements of a block without a Dot: two tensors of floats fill half of the first cache.
constexpr i64 BLOCK_ELEMENTS = 2048;
// The same of a block with one node, which passes by each element once anyhow.
constexpr i64 LONE_ELEMENTS = 16384;
// Bytes of a block of a Dot's result that later nodes work on.
constexpr i64 DOT_BYTES = 256 << 10;

i64 round_up(i64 x, i64 step) { return ceil_div(x, step) * step; }

// Equal parts of `extent`, multiples of `step`, none above `most`.
i64 part(i64 extent, i64 most, i64 step) {
    i64 parts = std::max<i64>(1, ceil_div(extent, std::max(most, step)));
    return round_up(ceil_div(extent, parts), step);
}

struct Cut {
    i64 rows, columns;
};

Cut cut_dot(const Group& group, const Tile& wanted, int threads) {
    const Dot& dot = *group.dot;
    const DotGrain grain = dot.dtype == F32 ? float_grain() : integer_grain(dot.products);
    const Rows& left = dot.swapped ? dot.b : dot.a;
    const Rows& right = dot.swapped ? dot.a : dot.b;
    const i64 l = dot.swapped ? dot.n : dot.m, r = dot.swapped ? dot.m : dot.n;
    const i64 depth = std::max<i64>(1, std::min(dot.k, dot.chunk));
    i64 lp, rp;
    if (left.constant && !right.constant) {
        // Panels are packed on the way; all slivers pass by each.
        lp = round_up(l, grain.rows);
        rp = std::min((128 << 10) / (depth * 4), (128 << 10) / (lp * 4)) / grain.columns;
        rp = std::clamp<i64>(rp, 4, 16) * grain.columns;
    } else {
        lp = part(l, 24 * grain.rows, grain.rows);
        rp = right.constant || r * dot.k * 4 <= KEPT_BYTES / 2 ? r : 256;
        if (group.nodes.size() > 1) rp = std::min(rp, std::max<i64>(256, DOT_BYTES / 4 / lp));
        rp = std::min<i64>(rp, 1024);
    }
    if (group.whole_rows) {
        if (dot.swapped) {
            lp = round_up(l, grain.rows);
        } else {
            rp = round_up(r, grain.columns);
            lp = std::max(grain.rows, std::min(lp, DOT_BYTES / 4 / std::max<i64>(rp, 1)));
        }
    }
    // Enough parts for every thread, but none too small to be worth its packing.
    auto parts = [&] { return dot.batches * ceil_div(l, lp) * ceil_div(r, rp); };
    if (threads > 1 && !(group.whole_rows && !dot.swapped))
        while (parts() < 3 * threads && rp > 8 * grain.columns) rp = part(r, rp / 2, grain.columns);
    if (threads > 1 && !(group.whole_rows && dot.swapped))
        while (parts() < 2 * threads && lp > 4 * grain.rows) lp = part(l, lp / 2, grain.rows);
    i64 rows = dot.swapped ? rp : lp, columns = dot.swapped ? lp : rp;
    if (wanted.rows) rows = wanted.rows;
    if (wanted.columns && !group.whole_rows) columns = wanted.columns;
    return {round_up(rows, dot.swapped ? grain.columns : grain.rows),
            round_up(columns, dot.swapped ? grain.rows : grain.columns)};
}

Cut cut_rows(const Group& group, const Tile& wanted, int threads) {
    i64 nodes = 0;
    for (const Node& node : group.nodes) nodes += node.kind != Node::NONE;
    const i64 most = nodes > 1 ? BLOCK_ELEMENTS : LONE_ELEMENTS;
    i64 rows = std::max<i64>(1, most / std::max<i64>(1, group.width));
    i64 columns = group.whole_rows ? group.width : std::min(group.width, BLOCK_ELEMENTS);
    while (threads > 1 && rows > 1 && ceil_div(group.rows, rows) < threads &&
           group.rows * group.width > BLOCK_ELEMENTS / 2)
        rows = ceil_div(rows, 2);
    if (wanted.rows) rows = wanted.rows;
    if (wanted.columns && !group.whole_rows) columns = wanted.columns;
    return {rows, columns};
}

// While they come into the cache for the block's nodes.
bool inputs_hold_numbers(const Block& block) {
    const i64 width = block.group.width, columns = block.columns();
    const bool whole = columns == width;
    for (const Place& input : block.group.inputs) {
        auto first = (const std::uint32_t*)block.run.address(input) + block.r0 * width + block.c0;
        if (whole && holds_other_nan(first, block.rows() * width)) return false;
        for (i64 r = 0; r < block.rows() && !whole; ++r)
            if (holds_other_nan(first + r * width, columns)) return false;
    }
    return true;
}

}  // namespace

void run_group(const Run& run, const Group& group) {
    const bool has_dot = group.dot != nullptr;
    const i64 batches = has_dot ? group.dot->batches : 1;
    const i64 rows = has_dot ? group.dot->m : group.rows, width = group.width;
    if (batches == 0 || rows == 0 || (width == 0 && !group.whole_rows)) return;
    const int threads = run.pool->size();
    const Cut cut =
        has_dot ? cut_dot(group, run.tile, threads) : cut_rows(group, run.tile, threads);
    const i64 row_parts = ceil_div(rows, cut.rows);
    const i64 column_parts = std::max<i64>(1, ceil_div(width, std::max<i64>(1, cut.columns)));
    // Neighbouring tasks share what was packed last.
    const bool rows_first = has_dot && !(group.dot->swapped ? group.dot->a : group.dot->b).constant;
    for (Scratch& s : *run.scratch) s.left_holds[0] = s.right_holds[0] = -1;

    const bool swapped = has_dot && group.dot->swapped;
    const bool left_again = (swapped ? row_parts : column_parts) > 1 && !rows_first;
    const bool right_again = (swapped ? column_parts : row_parts) > 1 && rows_first;

    const bool integers = has_dot && group.dot->dtype == I32;
    const Products products = integers ? products_of_run(run, *group.dot) : Products::WIDE;

    if (has_dot && group.dot->planes) make_planes(run, *group.dot);

    auto work = [&](i64 task, int thread) {
        i64 batch = task / (row_parts * column_parts), rest = task % (row_parts * column_parts);
        i64 row = rows_first ? rest % row_parts : rest / column_parts;
        i64 column = rows_first ? rest / row_parts : rest % column_parts;
        i64 m0 = row * cut.rows, m1 = std::min(m0 + cut.rows, rows);
        i64 c0 = column * cut.columns, c1 = std::min(c0 + cut.columns, width);
        Scratch& scratch = (*run.scratch)[thread];
        Block block{run, group, scratch, batch * rows + m0, batch * rows + m1, c0, c1};
        scratch.tiles.reserve(group.scratch_bytes * block.size());
        if (!inputs_hold_numbers(block)) *run.bad_input = true;
        for (const Node& node : group.nodes) {
            switch (node.kind) {
                case Node::DOT: {
                    const Buffer& b = group.buffers[node.buffer];
                    DotPart part{batch, m0, m1, c0, c1, block.first(b), block.step(b), left_again,
                                 right_again, products};
                    if (node.dtype == F32) {
                        dot_floats(run, *group.dot, part, scratch);
                    } else {
                        dot_integers(run, *group.dot, part, scratch);
                    }
                    break;
                }
                case Node::MAP: run_map(block, node); break;
                case Node::REDUCE: run_reduce(block, node); break;
                case Node::SOFTMAX: run_softmax(block, node); break;
                case Node::CENTRE: run_centre(block, node); break;
                case Node::SCALE: run_scale(block, node); break;
                case Node::NONE: break;
            }
        }
    };
    const i64 tasks = batches * row_parts * column_parts;
    const i64 cost = batches * rows * std::max<i64>(width, 1) * (has_dot ? group.dot->k : 8);
    if (cost < 1 << 16) {
        for (i64 task = 0; task < tasks; ++task) work(task, 0);
    } else {
        run.pool->run(tasks, work);
    }
}

}  // namespace verifiable
