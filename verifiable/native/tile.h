// A block of a group's rows and columns, and where its nodes' elements are.
#pragma once

#include "plan.h"

namespace verifiable {

// Elements that a Map's steps are applied to at a time.
constexpr i64 MAP_BLOCK = 1024;

struct Block {
    const Run& run;
    const Group& group;
    Scratch& scratch;
    i64 r0, r1, c0, c1;

    i64 rows() const { return r1 - r0; }
    i64 columns() const { return c1 - c0; }

    // Elements that a scratch buffer has room for; a row without elements still has a sum.
    i64 size() const { return rows() * (columns() ? columns() : 1) + 16; }

    // Elements from one row of a node's buffer to the next.
    i64 step(const Buffer& b) const {
        return b.column ? 1 : b.scratch ? columns() : group.width;
    }

    // First element of the block in a node's buffer.
    u8* first(const Buffer& b) const {
        if (b.scratch) return scratch.tiles.data() + b.at.offset * size();
        return run.address(b.at) + (b.column ? r0 : r0 * group.width + c0) * b.itemsize;
    }
};

void run_map(const Block& block, const Node& node);
void run_reduce(const Block& block, const Node& node);
void run_softmax(const Block& block, const Node& node);
void run_centre(const Block& block, const Node& node);
void run_scale(const Block& block, const Node& node);

// MAX or MIN in many short rows that lie one stride apart, as the windows of a pool do.
// False if the node is none such, and nothing is done.
bool fold_windows(const Block& block, const Node& node, const u8* base, u8* out);

}  // namespace verifiable
