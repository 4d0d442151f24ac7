// Map: a scalar program, applied to a block of elements step by step.
//
// A step is one loop over up to BLOCK elements, which stay in the first cache from step to step.
// An operand that is one element all along a row is never spread out.
#include <algorithm>

#include "tile.h"

namespace verifiable {

namespace {

constexpr i64 BLOCK = MAP_BLOCK;
// Rows shorter than this are taken several at a time.
constexpr i64 SHORT = 128;
constexpr int MOST = 4;  // operands of a scalar function

void spread(void* to, const void* one, int size, i64 n) {
    switch (size) {
        case 1: std::memset(to, *(const u8*)one, n); break;
        case 4: std::fill_n((std::uint32_t*)to, n, *(const std::uint32_t*)one); break;
        default: std::fill_n((std::uint64_t*)to, n, *(const std::uint64_t*)one); break;
    }
}

template <class T>
void pick(T* to, const T* from, i64 step, i64 n) {
    for (i64 i = 0; i < n; ++i) to[i] = from[i * step];
}

void collect(void* to, const u8* from, i64 step, int size, i64 n) {
    if (step == 1) {
        std::memcpy(to, from, n * size);
        return;
    }
    if (step == 0) {
        spread(to, from, size, n);
        return;
    }
    switch (size) {
        case 1: pick((u8*)to, from, step, n); break;
        case 4: pick((std::uint32_t*)to, (const std::uint32_t*)from, step, n); break;
        default: pick((std::uint64_t*)to, (const std::uint64_t*)from, step, n); break;
    }
}

// An operand, seen from a block.
struct Source {
    const u8* base;
    const Axis* axis;  // of an operand from outside
    i64 r0, row_step, inner;
    int size;

    const u8* row(i64 r) const {
        return base + (axis ? (*axis)[r0 + r] : r * row_step) * size;
    }
    bool single() const { return inner == 0 && (axis ? axis->plain() && !axis->stride : !row_step); }
    bool dense(i64 columns) const {
        return inner == 1 && (axis ? axis->plain() && (axis->stride == columns || axis->extent == 1)
                                   : row_step == columns);
    }
};

class Program {
  public:
    Program(const Block& block, const Node& node)
        : node_(node), inputs_((i64)node.operands.size()), spare_(inputs_ + node.registers) {
        memory_ = block.scratch.registers.reserve((spare_ + MOST + 1) * node.register_bytes);
    }

    u8* input_memory(i64 i) const { return memory_ + i * node_.register_bytes; }
    u8* output_memory() const { return memory_ + (spare_ + MOST) * node_.register_bytes; }

    void bind(i64 input, const void* data, bool single) {
        data_[input] = data;
        single_[input] = single;
    }

    // Applies the program to n elements.
    void run(u8* out, i64 n) {
        const i64 literals = (i64)node_.literals.size();
        for (i64 i = 0; i < literals; ++i) bind(inputs_ + i, &node_.literals[i], true);
        for (size_t s = 0; s < node_.steps.size(); ++s) {
            const ScalarStep& step = node_.steps[s];
            const bool last = s + 1 == node_.steps.size();
            const void* in[MOST];
            int mask = 0;
            for (i64 j = 0; j < step.arity; ++j) {
                in[j] = data_[step.reads[j]];
                mask |= single_[step.reads[j]] << j;
            }
            const bool all = mask == (1 << step.arity) - 1;
            i64 target = inputs_ + literals + step.writes;
            u8* to = memory_ + (inputs_ + step.writes) * node_.register_bytes;
            if (all) {
                step.kernel[0](to, in, 1);
                if (last) spread(out, to, (int)itemsize(node_.dtype), n);
                bind(target, to, true);
                continue;
            }
            Kernel kernel = step.kernel[mask];
            if (!kernel) {
                for (i64 j = 0; j < step.arity; ++j)
                    if (mask >> j & 1) {
                        u8* full = memory_ + (spare_ + j) * node_.register_bytes;
                        int size = j == 0 && step.chooses ? 1 : (int)itemsize(step.dtype);
                        spread(full, in[j], size, n);
                        in[j] = full;
                    }
                kernel = step.kernel[0];
            }
            kernel(last ? out : to, in, n);
            bind(target, to, false);
        }
    }

  private:
    const Node& node_;
    i64 inputs_, spare_;
    u8* memory_;
    const void* data_[128];
    bool single_[128];
};

}  // namespace

void run_map(const Block& block, const Node& node) {
    const Buffer& target = block.group.buffers[node.buffer];
    i64 rows = block.rows(), columns = node.column ? 1 : block.columns();
    const int out_size = (int)itemsize(node.dtype);
    u8* out = block.first(target);
    i64 out_step = block.step(target);
    Source sources[3];
    const i64 inputs = (i64)node.operands.size();
    bool dense = out_step == columns || rows == 1;
    for (i64 i = 0; i < inputs; ++i) {
        const Operand& operand = node.operands[i];
        Source& s = sources[i];
        s.size = (int)itemsize(operand.dtype);
        if (operand.node >= 0) {
            const Buffer& b = block.group.buffers[block.group.nodes[operand.node].buffer];
            s = {block.first(b), nullptr, 0, block.step(b), b.column && !node.column ? 0 : 1, s.size};
            if (node.column) s.inner = 1;
        } else {
            s = {block.run.address(operand.at), &operand.row, block.r0, 0, operand.inner, s.size};
            if (!node.column) s.base += block.c0 * operand.inner * s.size;
            // One column: what a row holds is reached by its offset alone.
            if (node.column) s.inner = operand.row.plain() && !operand.row.stride ? 0 : 1;
        }
        dense = dense && (rows == 1 || s.single() || s.dense(columns));
    }
    if (dense) {
        columns *= rows;
        rows = 1;
    }
    Program program(block, node);
    if (rows == 1 || columns >= SHORT) {
        const i64 pieces = (columns + BLOCK - 1) / BLOCK;
        const i64 piece = pieces ? ((columns + pieces - 1) / pieces + 15) / 16 * 16 : 1;
        for (i64 r = 0; r < rows; ++r) {
            const u8* at[3];
            for (i64 i = 0; i < inputs; ++i) at[i] = sources[i].row(r);
            for (i64 c = 0; c < columns; c += piece) {
                i64 n = std::min(piece, columns - c);
                for (i64 i = 0; i < inputs; ++i) {
                    const Source& s = sources[i];
                    const u8* data = at[i] + c * s.inner * s.size;
                    if (s.inner > 1 || s.inner < 0) {
                        collect(program.input_memory(i), data, s.inner, s.size, n);
                        data = program.input_memory(i);
                    }
                    program.bind(i, data, s.inner == 0);
                }
                program.run(out + (r * out_step + c) * out_size, n);
            }
        }
        return;
    }
    const i64 step = std::max<i64>(1, BLOCK / columns);
    for (i64 first = 0; first < rows; first += step) {
        i64 some = std::min(step, rows - first), n = some * columns;
        for (i64 i = 0; i < inputs; ++i) {
            const Source& s = sources[i];
            if (s.single() || s.dense(columns)) {
                program.bind(i, s.row(first), s.single());
                continue;
            }
            u8* to = program.input_memory(i);
            for (i64 r = 0; r < some; ++r)
                collect(to + r * columns * s.size, s.row(first + r), s.inner, s.size, columns);
            program.bind(i, to, false);
        }
        if (out_step == columns) {
            program.run(out + first * out_step * out_size, n);
            continue;
        }
        u8* whole = program.output_memory();
        program.run(whole, n);
        for (i64 r = 0; r < some; ++r)
            std::memcpy(out + (first + r) * out_step * out_size, whole + r * columns * out_size,
                        columns * out_size);
    }
}

void run_reduce(const Block& block, const Node& node) {
    const Operand& operand = node.operands[0];
    const Buffer& target = block.group.buffers[node.buffer];
    const i64 width = block.group.width;
    const int size = (int)itemsize(operand.dtype), out_size = (int)itemsize(node.dtype);
    u8* out = block.first(target);
    const u8* base;
    i64 step = 0;
    if (operand.node >= 0) {
        const Buffer& b = block.group.buffers[block.group.nodes[operand.node].buffer];
        base = block.first(b);
        step = block.step(b);
    } else {
        base = block.run.address(operand.at);
    }
    if (operand.node < 0 && fold_windows(block, node, base, out)) return;
    for (i64 r = 0; r < block.rows(); ++r) {
        const u8* row = base + (operand.node >= 0 ? r * step : operand.row[block.r0 + r]) * size;
        if (operand.along.extent > 1) {
            u8* line = block.scratch.line.reserve(width * size);
            for (i64 i = 0; i < width; ++i)
                std::memcpy(line + i * size, row + operand.along[i] * size, size);
            row = line;
        } else if (operand.node < 0 && operand.inner != 1) {
            u8* line = block.scratch.line.reserve(width * size);
            collect(line, row, operand.inner, size, width);
            row = line;
        }
        fold_row(operand.dtype, node.fold, node.chunk, row, width, out + r * out_size);
    }
}

}  // namespace verifiable
