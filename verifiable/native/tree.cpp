#include "tree.h"

#include <algorithm>

#include "sha256.h"

namespace verifiable {

namespace {

constexpr u8 LEAF = 0, NODE = 1;  // crypto.merkle.Tag
constexpr i64 NODE_BYTES = 2 * DIGEST;

// Bytes that one task hashes; a thread needs some microseconds for them.
constexpr i64 TASK = 6 << 10;

i64 leaves_of(const Pieces& p) { return (p.span + p.size - 1) / p.size; }

// Messages of one size that are hashed as soon as there are enough.
class Batch {
  public:
    Batch(u8 tag, i64 size, int width) : tag_(tag), size_(size), width_(width) {}

    void add(const u8* from, u8* to) {
        from_[count_] = from;
        to_[count_] = to;
        if (++count_ == ABREAST) end();
    }

    void end() {
        if (count_) hash_messages(tag_, count_, from_, size_, width_, to_);
        count_ = 0;
    }

    // The message that `add` takes next may lie here until `end`.
    u8* room() { return room_[count_]; }

  private:
    u8 tag_;
    i64 size_;
    int width_;
    int count_ = 0;
    const u8* from_[ABREAST];
    u8* to_[ABREAST];
    u8 room_[ABREAST][NODE_BYTES];
};

// Calls `work` for first .. stop of 0 .. count, in parts of about TASK bytes.
template <class Work>
void in_parts(Pool* pool, i64 count, i64 bytes, const Work& work) {
    const i64 part = std::max<i64>(TASK / std::max<i64>(bytes, 1) / ABREAST, 1) * ABREAST;
    const i64 parts = (count + part - 1) / part;
    if (!pool || parts < 2) return work(0, count);
    pool->run(parts, [&](i64 p, int) { work(p * part, std::min(p * part + part, count)); });
}

// One level over another: `trees` trees of `width` nodes.
void hash_level(Pool* pool, i64 trees, i64 width, const u8* pad, const u8* below, u8* above) {
    const i64 half = (width + 1) / 2;
    in_parts(pool, trees * half, NODE_BYTES, [&](i64 first, i64 stop) {
        Batch batch(NODE, NODE_BYTES, 1);
        for (i64 node = first; node < stop; ++node) {
            const i64 place = node % half * 2;
            const u8* pair = below + (node / half * width + place) * DIGEST;
            if (place + 1 == width) {
                u8* padded = batch.room();
                std::memcpy(padded, pair, DIGEST);
                std::memcpy(padded + DIGEST, pad, DIGEST);
                pair = padded;
            }
            batch.add(pair, above + node * DIGEST);
        }
        batch.end();
    });
}

// All levels of some trees over `rows`; returns where the roots stand.
u8* hash_levels(Pool* pool, i64 trees, i64 width, const u8* pads, u8* rows) {
    for (; width > 1; width = (width + 1) / 2, pads += DIGEST) {
        u8* above = rows + trees * width * DIGEST;
        hash_level(pool, trees, width, pads, rows, above);
        rows = above;
    }
    return rows;
}

}  // namespace

void hash_pieces(Pool* pool, u8 tag, const Pieces& p, u8* digests) {
    const i64 whole = p.span / p.size, rest = p.span % p.size, each = whole + (rest > 0);
    in_parts(pool, p.spans * whole, p.size, [&](i64 first, i64 stop) {
        Batch batch(tag, p.size, p.width);
        for (i64 piece = first; piece < stop; ++piece) {
            const i64 span = piece / whole, place = piece % whole;
            batch.add(p.data + span * p.span + place * p.size,
                      digests + (span * each + place) * DIGEST);
        }
        batch.end();
    });
    if (!rest) return;
    in_parts(pool, p.spans, rest, [&](i64 first, i64 stop) {
        Batch batch(tag, rest, p.width);
        for (i64 span = first; span < stop; ++span)
            batch.add(p.data + span * p.span + whole * p.size,
                      digests + (span * each + whole) * DIGEST);
        batch.end();
    });
}

i64 count_nodes(const Pieces& p) {
    i64 count = p.spans * leaves_of(p);
    for (i64 width = leaves_of(p); width > 1;) count += p.spans * (width = (width + 1) / 2);
    for (i64 width = p.spans; width > 1;) count += width = (width + 1) / 2;
    return count;
}

const u8* hash_tree(Pool* pool, const Pieces& p, const u8* pads, u8* rows) {
    hash_pieces(pool, LEAF, p, rows);
    u8* roots = hash_levels(pool, p.spans, leaves_of(p), pads, rows);
    return hash_levels(pool, 1, p.spans, pads, roots);
}

}  // namespace verifiable
