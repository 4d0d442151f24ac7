// Vectors of sixteen bytes of elements that lie side by side, or nearly so.
#pragma once

#include <type_traits>

#include "plan.h"

namespace verifiable {

template <class T>
struct Sixteen {
    typedef T Vector __attribute__((vector_size(16)));
};

// Neighbours; or, of STEP 2, every other element, of which the last is the last that is read.
template <int STEP, class T>
inline typename Sixteen<T>::Vector load_some(const T* at) {
    using Vector = typename Sixteen<T>::Vector;
    constexpr int COUNT = 16 / sizeof(T);
    Vector low, high;
    std::memcpy(&low, at, 16);
    if constexpr (STEP == 1) return low;
    std::memcpy(&high, at + COUNT - 1, 16);
    if constexpr (COUNT == 16) {
        return __builtin_shuffle(low, high, Vector{0, 2, 4, 6, 8, 10, 12, 14,
                                                   17, 19, 21, 23, 25, 27, 29, 31});
    } else if constexpr (COUNT == 4) {
        return __builtin_shuffle(low, high, Vector{0, 2, 5, 7});
    } else {
        return __builtin_shuffle(low, high, Vector{0, 3});
    }
}

typedef Sixteen<u8>::Vector Line;

// Elements of up to sixteen rows of patches, of one k: a few runs of elements that lie one or two
// apart. Each run is read as a whole vector, so a little may be read past its end, and of all but
// the first before its start, but not before the first row.
class Lines {
  public:
    enum Mode { ONE_RUN, RUNS, RUNS_OF_EVERY_OTHER, APART };

    // `margin`: whether a vector may be read past the end of the rows.
    Lines(const i64* offsets, i64 count, bool margin) : count_(count) {
        for (i64 i = 0; i < count; ++i) offsets_[i] = offsets[i];
        mode_ = margin && count ? find_runs(1) ? RUNS : find_runs(2) ? RUNS_OF_EVERY_OTHER : APART
                                : APART;
        if (mode_ == RUNS && runs_ == 1 && count == 16) mode_ = ONE_RUN;
    }

    // Calls `work` with the way in which these lines are to be loaded, known to the compiler.
    template <class Work>
    void with_mode(Work work) const {
        switch (mode_) {
            case ONE_RUN: return work(std::integral_constant<Mode, ONE_RUN>{});
            case RUNS: return work(std::integral_constant<Mode, RUNS>{});
            case RUNS_OF_EVERY_OTHER:
                return work(std::integral_constant<Mode, RUNS_OF_EVERY_OTHER>{});
            case APART: return work(std::integral_constant<Mode, APART>{});
        }
    }

    // Zeros where there is no row.
    template <Mode MODE>
    Line load(const u8* from) const {
        if constexpr (MODE == ONE_RUN) return load_some<1>(from + offsets_[0]);
        Line all{};
        if constexpr (MODE == APART) {
            u8 each[16] = {};
            for (i64 i = 0; i < count_; ++i) each[i] = from[offsets_[i]];
            std::memcpy(&all, each, 16);
        } else {
            constexpr int STEP = MODE == RUNS ? 1 : 2;
            for (int r = 0; r < runs_; ++r) all |= load_some<STEP>(from + starts_[r]) & masks_[r];
        }
        return all;
    }

  private:
    static constexpr int MOST = 5;

    bool find_runs(i64 step) {
        runs_ = 0;
        for (i64 i = 0; i < count_; ++i) {
            if (i == 0 || offsets_[i] != offsets_[i - 1] + step) {
                if (runs_ == MOST) return false;
                starts_[runs_] = offsets_[i] - step * i;
                if (starts_[runs_] < offsets_[0]) return false;
                masks_[runs_++] = Line{};
            }
            masks_[runs_ - 1][i] = 0xff;
        }
        return true;
    }

    i64 count_;
    Mode mode_;
    int runs_ = 0;
    i64 offsets_[16], starts_[MOST];
    Line masks_[MOST];
};

// Calls `take(k, lines)` for each GROUP elements of k, where lines[e] are elements k + e of rows
// whose offsets are given, up to sixteen; zeros where there is no row or no k.
template <int GROUP, class Take>
void each_lines(const Rows& rows, const u8* from, const i64* offsets, i64 count, i64 k0, i64 k1,
                Take take) {
    const i64* table = rows.k.table.empty() ? nullptr : rows.k.table.data();
    const Lines found(offsets, count, rows.margin);
    found.with_mode([&](auto mode) {
        const Lines own = found;  // which no store of bytes can change
        for (i64 k = k0; k < k1; k += GROUP) {
            Line lines[GROUP];
#pragma GCC unroll 4
            for (int e = 0; e < GROUP; ++e)
                lines[e] = k + e < k1 ? own.load<decltype(mode)::value>(
                                            from + (table ? table[k + e] : rows.k[k + e]))
                                      : Line{};
            take(k, lines);
        }
    });
}

inline Line low_bytes(Line a, Line b) {
    return __builtin_shuffle(a, b, Line{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23});
}

inline Line high_bytes(Line a, Line b) {
    return __builtin_shuffle(a, b,
                             Line{8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
}

// Element e of row i at to[2 * i + e].
inline void interleave_pairs(const Line* lines, u8* to) {
    const Line both[2] = {low_bytes(lines[0], lines[1]), high_bytes(lines[0], lines[1])};
    std::memcpy(to, both, 32);
}

// Element e of row i at to[4 * i + e].
inline void interleave_quads(const Line* lines, u8* to) {
    typedef Sixteen<std::uint16_t>::Vector Pairs;
    constexpr Pairs LOW{0, 8, 1, 9, 2, 10, 3, 11}, HIGH{4, 12, 5, 13, 6, 14, 7, 15};
    const Pairs a = (Pairs)low_bytes(lines[0], lines[1]), b = (Pairs)low_bytes(lines[2], lines[3]);
    const Pairs c = (Pairs)high_bytes(lines[0], lines[1]);
    const Pairs d = (Pairs)high_bytes(lines[2], lines[3]);
    const Pairs all[4] = {__builtin_shuffle(a, b, LOW), __builtin_shuffle(a, b, HIGH),
                          __builtin_shuffle(c, d, LOW), __builtin_shuffle(c, d, HIGH)};
    std::memcpy(to, all, 64);
}

}  // namespace verifiable
