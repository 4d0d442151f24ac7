// What verifiable/engines/cpu_library.py calls, through ctypes.
#include <algorithm>
#include <cstring>
#include <new>

#include "plan.h"
#include "pool.h"
#include "sha256.h"
#include "tree.h"

using namespace verifiable;

namespace {

struct Engine {
    explicit Engine(int threads) : pool(threads), scratch(threads) {}
    Pool pool;
    std::vector<Scratch> scratch;
    Memory planes;
    std::vector<u8> nodes;  // of a tree of which the root is all that is wanted
};

// Elements that one task looks at for a NaN.
constexpr i64 STRETCH = 1 << 15;

enum Status : int { DONE, NO_MEMORY, BAD_PLAN, BAD_INPUT };

// Calls `work` with the threads of an engine, or with none.
template <class Work>
int on_pool(void* engine, const Work& work) {
    try {
        if (engine) {
            auto& e = *(Engine*)engine;
            std::lock_guard<std::mutex> lock(e.pool.busy);
            work(&e.pool);
        } else {
            work(nullptr);
        }
    } catch (const std::bad_alloc&) {
        return NO_MEMORY;
    }
    return DONE;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// Which build this processor can run: 1 any, 3 x86-64-v3, 4 x86-64-v4.
int verifiable_level() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
              __builtin_cpu_supports("popcnt");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl");
    return v4 ? 4 : v3 ? 3 : 1;
#else
    return 1;
#endif
}

// Its name is what cpu_library.py and this file must agree on: the words of a plan, the calls.
int verifiable_version_4() { return 4; }

// Floats of a vector of this build.
int verifiable_lanes() { return LANES; }

// The fastest way of adding up products of integers, see Products, and whether one works.
int verifiable_fastest_products() { return (int)fastest_products(); }
int verifiable_adds_up(int products) { return can_add_up((Products)products); }

void* verifiable_engine_new(int threads) {
    try {
        return new Engine(threads);
    } catch (const std::exception&) {
        return nullptr;
    }
}

void verifiable_engine_free(void* engine) { delete (Engine*)engine; }

// Whether floats hold a NaN other than 0x7fc00000.
int verifiable_finds_nan(void* engine, const std::uint32_t* bits, i64 count) {
    auto& e = *(Engine*)engine;
    std::lock_guard<std::mutex> lock(e.pool.busy);
    std::atomic<bool> found{false};
    e.pool.run((count + STRETCH - 1) / STRETCH, [&](i64 task, int) {
        i64 first = task * STRETCH, stop = first + STRETCH < count ? first + STRETCH : count;
        if (holds_other_nan(bits + first, stop - first)) found = true;
    });
    return found;
}

// Reads a plan; `slots` need to be set for constants alone, which are packed now, for products that
// are added up in this way at most.
int verifiable_plan_new(const i64* words, i64 count, void* const* slots, int products,
                        void** plan) {
    try {
        FloatMode mode;
        *plan = read_plan(Words(words, count), (u8* const*)slots, (Products)products).release();
        return *plan ? DONE : BAD_PLAN;
    } catch (const std::bad_alloc&) {
        return NO_MEMORY;
    }
}

void verifiable_plan_free(void* plan) { delete (Plan*)plan; }

// How many chains of nodes run as one; see rows.cpp.
i64 verifiable_plan_joined(const void* plan) {
    i64 found = 0;
    for (const auto& operation : ((const Plan*)plan)->operations)
        for (const Node& node : operation->group.nodes) found += node.kind > Node::NONE;
    return found;
}

// Executes operations first .. stop of a plan over the memory that `slots` name.
int verifiable_plan_run(void* plan, void* engine, void* const* slots, i64 first, i64 stop,
                        i64 tile_rows, i64 tile_columns) {
    auto& e = *(Engine*)engine;
    std::lock_guard<std::mutex> lock(e.pool.busy);
    FloatMode mode;
    try {
        std::atomic<bool> bad_input{false};
        Run run{(u8* const*)slots, &e.pool, &e.scratch, {tile_rows, tile_columns}, &bad_input,
                &e.planes};
        for (i64 i = first; i < stop; ++i) {
            const Operation& operation = *((Plan*)plan)->operations[i];
            switch (operation.kind) {
                case Operation::GROUP: run_group(run, operation.group); break;
                case Operation::COPY: run_copy(run, operation.copy); break;
                case Operation::GATHER: run_gather(run, operation.gather); break;
            }
            if (bad_input) return BAD_INPUT;
        }
    } catch (const std::bad_alloc&) {
        return NO_MEMORY;
    }
    return DONE;
}

// Whether the next two work on this processor.
int verifiable_has_sha() { return has_sha(); }

// Hashes pieces, see tree.h; on this thread alone without an engine.
int verifiable_hash_pieces(void* engine, int tag, const void* data, i64 spans, i64 span, i64 size,
                           int width, void* digests) {
    return on_pool(engine, [&](Pool* pool) {
        hash_pieces(pool, (u8)tag, {(const u8*)data, spans, span, size, width}, (u8*)digests);
    });
}

// Hashes a tree, see tree.h, into `rows`; if that is null, no more than its root into `root`.
int verifiable_hash_tree(void* engine, const void* data, i64 trees, i64 span, i64 size, int width,
                         const void* pads, void* rows, void* root) {
    return on_pool(engine, [&](Pool* pool) {
        const Pieces pieces{(const u8*)data, trees, span, size, width};
        if (rows) {
            hash_tree(pool, pieces, (const u8*)pads, (u8*)rows);
            return;
        }
        std::vector<u8> own;
        std::vector<u8>& nodes = engine ? ((Engine*)engine)->nodes : own;
        nodes.resize(std::max(nodes.size(), size_t(count_nodes(pieces) * DIGEST)));
        const u8* top = hash_tree(pool, pieces, (const u8*)pads, nodes.data());
        std::memcpy(root, top, DIGEST);
    });
}
}
#pragma GCC visibility pop
