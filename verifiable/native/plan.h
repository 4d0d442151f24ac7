// What the engine executes: operations over memory, read once from the words that
// verifiable/engines/cpu_words.py writes. The order of the fields is the order of the words.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "machine.h"
#include "scalar_kernels.h"

namespace verifiable {

class Words {
  public:
    Words(const i64* at, i64 count) : at_(at), end_(at + count) {}
    bool more() const { return at_ < end_; }
    i64 next() { return at_ < end_ ? *at_++ : (bad_ = true, 0); }
    std::vector<i64> list() {
        i64 n = next();
        if (n < 0 || n > end_ - at_) {
            bad_ = true;
            n = 0;
        }
        std::vector<i64> found(at_, at_ + n);
        at_ += n;
        return found;
    }
    bool bad() const { return bad_; }

  private:
    const i64* at_;
    const i64* end_;
    bool bad_ = false;
};

// A place in memory: one of the base pointers given with a run, and bytes from there.
struct Place {
    i64 slot, offset;
};

// Slot of planes, see Planes.
constexpr i64 PLANES = -1;

// Offsets in elements along an axis: multiples of a stride; or of an axis made of several, which
// are kept in a table unless that were large.
struct Axis {
    i64 extent = 0;
    i64 stride = 0;
    std::vector<i64> table;
    std::vector<i64> parts;  // extent, stride of each, outermost first

    bool plain() const { return table.empty() && parts.empty(); }
    i64 operator[](i64 i) const {
        return plain() ? i * stride : table.empty() ? sum_of_parts(i) : table[i];
    }
    bool unit() const { return plain() && (stride == 1 || extent == 1); }
    // Whether first .. last lie one element apart each.
    bool run(i64 first, i64 last) const {
        if (plain()) return stride == 1 || first == last;
        for (i64 i = first; i < last; ++i)
            if ((*this)[i + 1] != (*this)[i] + 1) return false;
        return true;
    }
    void tabulate() {
        constexpr i64 LARGEST = 1 << 17;
        if (extent > LARGEST) return;
        table.reserve(extent);
        for (i64 i = 0; i < extent; ++i) table.push_back(sum_of_parts(i));
    }
    i64 sum_of_parts(i64 i) const {
        i64 sum = 0;
        for (i64 p = (i64)parts.size() - 2; p >= 0; p -= 2) {
            sum += i % parts[p] * parts[p + 1];
            i /= parts[p];
        }
        return sum;
    }
};

// A constant operand as one family of kernels reads it, and what the family wants to know of it.
struct Packed {
    u8* data = nullptr;
    std::vector<u8> levels;               // see dot_int.cpp
    std::vector<std::int32_t> corrections;  // see dot_quads.cpp
};

// Rows of an operand of a Dot.
struct Rows {
    Place at;
    int dtype;
    Axis batch, row, k;
    bool margin;  // whether a vector may be read past the end
    Packed packed, packed_narrow;
    bool constant;
    bool quads = false;  // whether each element is four of k, side by side
};

// Patches hold each element of an image many times. So bytes of four channels are put side by side
// once, for a whole image, and patches are then made of these quads.
struct Planes {
    Rows source;  // the operand as it was
    i64 groups;   // of four steps along the outermost digit of k
    i64 step;     // bytes of one such step
    i64 span;     // bytes of source that rows and the other digits of k reach
};

// How products of integers are added up, all to the same sums; each is faster than the one before,
// and there are fewer processors for it.
enum class Products : int { WIDE, NARROW, QUADS, TILES };

struct Dot {
    int dtype;  // of the result
    i64 batches, m, n, k, chunk;
    Rows a, b;
    bool swapped;  // whether the columns of a tile run along m
    Products products;  // of integers: NARROW where a run finds that its input allows it
    std::unique_ptr<Planes> planes;  // what a or b is made of, where it is quads
};

// What a Map or Reduce of a group reads: the result of a node, or memory outside.
struct Operand {
    i64 node;  // -1: outside
    Place at;
    int dtype;
    Axis row;
    i64 inner;  // stride along a row
    Axis along;  // of a row that has no one stride; a Reduce alone reads such
};

struct ScalarStep {
    int function;
    Kernel kernel[16];  // by which of its operands are one element alone
    std::array<i64, 4> reads;  // register or literal
    i64 arity;
    i64 writes;  // register
    int dtype;
    bool chooses;  // its first operand is a BOOL, whatever the others are
};

struct Node {
    // Those from NONE on come about in rows.cpp: NONE is done by a later node.
    enum Kind : i64 { DOT, MAP, REDUCE, NONE, SOFTMAX, CENTRE, SCALE } kind;
    int dtype;
    bool column;
    i64 buffer;
    std::vector<Operand> operands;
    // MAP: registers below operands.size() are operands, those below operands.size() +
    // literals.size() are literals, the rest are counted from there and may be written twice.
    std::vector<std::uint64_t> literals;
    std::vector<ScalarStep> steps;
    i64 registers, register_bytes;
    // REDUCE
    i64 fold, chunk;
    // SOFTMAX and CENTRE: whether they look for NaNs in what they read
    bool looks = false;
    // CENTRE
    i64 centred;  // buffer
    float share;
};

// Where nodes write: memory of the run, or scratch of the thread for the block at hand, where
// at.offset is what the buffers before it hold per element.
struct Buffer {
    bool scratch;
    Place at;
    int itemsize;
    bool column;
};

// Instructions that work on the same rows, run row block by row block.
struct Group {
    i64 rows, width;
    bool whole_rows;  // a node folds rows
    std::unique_ptr<Dot> dot;
    std::vector<Node> nodes;
    std::vector<Buffer> buffers;
    i64 scratch_bytes;  // of all scratch buffers, per element of a block
    std::vector<Place> inputs;  // floats, laid out as the group is, to be looked at for NaNs
};

// Elements by strides where the box holds, a fill elsewhere. Axes are the result's.
struct Copy {
    int size;  // of an element
    Place from, to;
    std::vector<i64> extents, strides, out_strides, low, high;
    std::uint64_t fill;
};

struct Gather {
    int size;
    Place x, index, to;
    int index_dtype;
    i64 n, k, inner, j, index_batches;
};

struct Operation {
    enum Kind : i64 { GROUP, COPY, GATHER } kind;
    Group group;
    Copy copy;
    Gather gather;
};

// Sizes a caller may force, to show that no bit depends on them; 0 leaves the choice.
struct Tile {
    i64 rows, columns;
};

class Pool;

// Memory of one thread, kept between operations.
struct Scratch {
    Memory left, right, cells, tiles, registers, line;
    // What `left` and `right` hold, so that neighbouring tasks pack it once.
    std::array<i64, 3> left_holds, right_holds;
};

struct Run {
    u8* const* slots;
    Pool* pool;
    std::vector<Scratch>* scratch;
    Tile tile;
    std::atomic<bool>* bad_input;  // set where a NaN is found that is none of ours
    Memory* planes;                // of the Dot at hand

    u8* address(const Place& p) const {
        return p.slot == PLANES ? planes->data() : slots[p.slot] + p.offset;
    }
};

struct Plan {
    Room room;  // for constants
    std::vector<std::unique_ptr<Operation>> operations;
};

// Null if the words are no plan or a scalar function is unknown. `products` is the fastest way that
// Dots of integers may go.
std::unique_ptr<Plan> read_plan(Words words, u8* const* slots, Products products);

// The fastest way of this build on this processor, and whether another works at all.
Products fastest_products();
bool can_add_up(Products products);

void run_group(const Run& run, const Group& group);
void run_copy(const Run& run, const Copy& copy);
void run_gather(const Run& run, const Gather& gather);

// Part of a Dot's result: rows m0 .. m1 and columns n0 .. n1 of one batch, the element of row m
// and column n at out[(m - m0) * ld + (n - n0)].
struct DotPart {
    i64 batch, m0, m1, n0, n1;
    void* out;
    i64 ld;
    bool left_again, right_again;  // the next part needs the same packed rows
    Products products;
};

// Has nodes of a group that are made for each other run as one.
void join_nodes(Group& group);

// One row, contiguous.
void fold_row(int dtype, i64 fold, i64 chunk, const void* row, i64 width, void* out);

}  // namespace verifiable
