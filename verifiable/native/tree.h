// Leaves and nodes of the Merkle trees of tensors (verifiable/crypto/merkle.py, crypto/tree.py).
#pragma once

#include "machine.h"
#include "pool.h"

namespace verifiable {

// Pieces that lie end to end: `spans` of `span` bytes, each cut into pieces of `size` bytes and a
// shorter one of what is left. Elements of `width` bytes are turned over if that is not 1.
struct Pieces {
    const u8* data;
    i64 spans, span, size;
    int width;
};

// Digests of all pieces, in order, each after the byte `tag`. Without a pool one thread does it.
void hash_pieces(Pool* pool, u8 tag, const Pieces& pieces, u8* digests);

// Nodes of all levels that `hash_tree` makes.
i64 count_nodes(const Pieces& pieces);

// Each span is a tree with its pieces for leaves. `rows` gets the leaves and then all nodes over
// them, level by level, first of each tree up to its root, then of the tree over the roots. `pads`
// are what a level is filled up with, by its height. Returns where the last root stands.
const u8* hash_tree(Pool* pool, const Pieces& pieces, const u8* pads, u8* rows);

}  // namespace verifiable
