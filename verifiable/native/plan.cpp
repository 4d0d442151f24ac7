// Reads a plan from its words, and packs constants.
#include "plan.h"

#include "dot.h"

namespace verifiable {

namespace {

// Where constants are, what they are packed for, and into what.
struct Constants {
    u8* const* slots;
    Products products;
    Room& room;
};

Place read_place(Words& w) {
    Place p;
    p.slot = w.next();
    p.offset = w.next();
    return p;
}

Axis read_axis(Words& w) {
    Axis axis;
    std::vector<i64> parts = w.list();
    axis.extent = 1;
    for (size_t p = 0; p + 1 < parts.size(); p += 2) axis.extent *= parts[p];
    if (parts.size() == 2) {
        axis.stride = parts[1];
    } else if (parts.size() > 2) {
        axis.parts = std::move(parts);
        axis.tabulate();
    }
    return axis;
}

Rows read_rows(Words& w) {
    Rows rows;
    rows.at = read_place(w);
    rows.dtype = (int)w.next();
    rows.constant = w.next();
    rows.margin = w.next();
    rows.batch = read_axis(w);
    rows.row = read_axis(w);
    rows.k = read_axis(w);
    return rows;
}

std::unique_ptr<Dot> read_dot(Words& w, const Constants& how) {
    auto dot = std::make_unique<Dot>();
    dot->dtype = (int)w.next();
    dot->batches = w.next();
    dot->m = w.next();
    dot->n = w.next();
    dot->k = w.next();
    dot->chunk = w.next();
    bool may_swap = w.next();
    dot->a = read_rows(w);
    dot->b = read_rows(w);
    if (dot->dtype == F32) {
        dot->swapped = may_swap && swap_is_cheaper(*dot, float_grain());
    } else {
        dot->products = products_of(*dot, how.products);
        dot->swapped = integers_are_swapped(*dot, may_swap);
        if (dot->products >= Products::QUADS) read_by_quads(*dot);
    }
    if (w.bad()) return dot;
    for (Rows* rows : {&dot->a, &dot->b})
        if (rows->constant) {
            bool left = (rows == &dot->a) != dot->swapped;
            const Packing packing{left, how.slots[rows->at.slot] + rows->at.offset, how.room};
            dot->dtype == F32 ? pack_constant_floats(*rows, packing)
                              : pack_constant_integers(*dot, *rows, packing);
        }
    return dot;
}

ScalarStep read_step(Words& w, bool& known) {
    ScalarStep step;
    step.function = (int)w.next();
    step.dtype = (int)w.next();
    step.chooses = w.next();
    step.writes = w.next();
    std::vector<i64> reads = w.list();
    step.arity = (i64)reads.size();
    known = known && step.arity >= 1 && step.arity <= 4;
    if (!known) return step;
    for (i64 j = 0; j < step.arity; ++j) step.reads[j] = reads[j];
    for (int mask = 0; mask < 16; ++mask)
        step.kernel[mask] = scalar_kernel(step.function, step.dtype, mask);
    known = step.kernel[0] != nullptr;
    return step;
}

Node read_node(Words& w, bool& known) {
    Node node;
    node.kind = (decltype(node.kind))w.next();
    node.dtype = (int)w.next();
    node.column = w.next();
    node.buffer = w.next();
    i64 operands = w.next();
    for (i64 i = 0; i < operands && !w.bad(); ++i) {
        Operand o;
        o.node = w.next();
        o.dtype = (int)w.next();
        o.inner = 1;
        o.at = {0, 0};
        if (o.node < 0) {
            o.at = read_place(w);
            o.inner = w.next();
            o.row = read_axis(w);
            o.along = read_axis(w);
        }
        node.operands.push_back(std::move(o));
    }
    node.fold = w.next();
    node.chunk = w.next();
    node.registers = w.next();
    node.register_bytes = w.next();
    for (i64 literal : w.list()) node.literals.push_back((std::uint64_t)literal);
    i64 steps = w.next();
    for (i64 i = 0; i < steps && !w.bad() && known; ++i) node.steps.push_back(read_step(w, known));
    return node;
}

void read_group(Words& w, Group& group, const Constants& how, bool& known) {
    group.rows = w.next();
    group.width = w.next();
    group.whole_rows = w.next();
    if (w.next()) group.dot = read_dot(w, how);
    i64 buffers = w.next();
    group.scratch_bytes = 0;
    for (i64 i = 0; i < buffers && !w.bad(); ++i) {
        Buffer b;
        b.scratch = w.next();
        b.itemsize = (int)w.next();
        b.column = w.next();
        b.at = read_place(w);
        if (b.scratch) {
            b.at.offset = group.scratch_bytes;
            group.scratch_bytes += b.itemsize;
        }
        group.buffers.push_back(b);
    }
    i64 inputs = w.next();
    for (i64 i = 0; i < inputs && !w.bad(); ++i) group.inputs.push_back(read_place(w));
    i64 nodes = w.next();
    for (i64 i = 0; i < nodes && !w.bad() && known; ++i) group.nodes.push_back(read_node(w, known));
    if (!w.bad() && known) join_nodes(group);
}

void read_copy(Words& w, Copy& copy) {
    copy.size = (int)w.next();
    copy.from = read_place(w);
    copy.to = read_place(w);
    copy.extents = w.list();
    copy.strides = w.list();
    copy.out_strides = w.list();
    copy.low = w.list();
    copy.high = w.list();
    copy.fill = (std::uint64_t)w.next();
}

void read_gather(Words& w, Gather& g) {
    g.size = (int)w.next();
    g.x = read_place(w);
    g.index = read_place(w);
    g.to = read_place(w);
    g.index_dtype = (int)w.next();
    g.n = w.next();
    g.k = w.next();
    g.inner = w.next();
    g.j = w.next();
    g.index_batches = w.next();
}

}  // namespace

std::unique_ptr<Plan> read_plan(Words w, u8* const* slots, Products products) {
    auto plan = std::make_unique<Plan>();
    const Constants how{slots, products, plan->room};
    bool known = true;
    while (w.more() && known) {
        auto operation = std::make_unique<Operation>();
        operation->kind = (decltype(operation->kind))w.next();
        switch (operation->kind) {
            case Operation::GROUP:
                read_group(w, operation->group, how, known);
                break;
            case Operation::COPY: read_copy(w, operation->copy); break;
            case Operation::GATHER: read_gather(w, operation->gather); break;
            default: known = false;
        }
        plan->operations.push_back(std::move(operation));
    }
    if (w.bad() || !known) return nullptr;
    return plan;
}

}  // namespace verifiable
