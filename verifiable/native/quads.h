// Packing of bytes by fours of k, as kernels that multiply bytes want them.
#pragma once

#include <algorithm>

#include "dot.h"
#include "sixteen.h"

namespace verifiable {

// Rows first .. stop, elements k0 .. k1: element k of row i at
// to[((k - k0) / 4 * STEP + i) * 4 + (k - k0) % 4], up to the next multiple of GROUP elements.
// Bits of `turn` are turned over in each; what is none is 0 or `turn`.
template <i64 STEP, i64 GROUP>
class QuadPacker {
  public:
    QuadPacker(const Rows& rows, const u8* data, i64 batch, i64 first, i64 stop, i64 k0, i64 k1,
               u8 turn, u8* to)
        : rows_(rows), data_(data), from_(data + rows.batch[batch]), batch_(batch), first_(first),
          count_(stop - first), k0_(k0), k1_(k1), turn_(turn), to_(to) {
        for (i64 i = 0; i < count_; ++i) offset_[i] = rows.row[first + i];
    }

    void pack() {
        if (rows_.quads) return pack_quads();
        const i64 whole = (k1_ - k0_) / 4 * 4;
        const i64 padded = ceil_div(k1_ - k0_, GROUP) * GROUP;
        if (count_ < STEP) {
            std::memset(to_, 0, padded * STEP);
        } else {
            std::memset(to_ + whole * STEP, 0, (padded - whole) * STEP);
        }
        rows_.k.unit() ? pack_rows(whole) : pack_lines();
    }

  private:
    // Their bits were turned over when they were made.
    void pack_quads() {
        static_assert(sizeof(float) == 4);
        const i64 depth = k1_ - k0_, padded = ceil_div(depth, GROUP) * GROUP;
        const float* from = (const float*)data_ + rows_.batch[batch_];
        pack_floats<STEP>(rows_, from, first_, first_ + count_, k0_ / 4, k1_ / 4, (float*)to_);
        std::memset(to_ + depth * STEP, 0, (padded - depth) * STEP);
    }

    void pack_rows(i64 whole) {
        const std::uint32_t turn = turn_ * 0x01010101u;
        u8* to = to_;
        i64 k = k0_;
        for (; k < k0_ + whole; k += 4, to += 4 * STEP)
            for (i64 i = 0; i < count_; ++i) {
                std::uint32_t quad;
                std::memcpy(&quad, from_ + offset_[i] + k, 4);
                quad ^= turn;
                std::memcpy(to + 4 * i, &quad, 4);
            }
        for (; k < k1_; ++k) {
            const u8* line = from_ + rows_.k[k];
            for (i64 i = 0; i < count_; ++i) to[4 * i + (k - k0_) % 4] = line[offset_[i]] ^ turn_;
        }
    }

    // Where elements of one k lie side by side, as in patches: four such lines, interleaved.
    void pack_lines() {
        const Line turn = Line{} + turn_;
        for (i64 i = 0; i < std::min(count_, STEP); i += 16) {
            constexpr i64 BYTES = 4 * std::min<i64>(STEP, 16);
            each_lines<4>(rows_, from_, offset_ + i, std::clamp<i64>(count_ - i, 0, 16), k0_, k1_,
                          [&](i64 k, const Line* lines) {
                              const Line turned[4] = {lines[0] ^ turn, lines[1] ^ turn,
                                                      lines[2] ^ turn, lines[3] ^ turn};
                              u8 quads[64];
                              interleave_quads(turned, quads);
                              std::memcpy(to_ + (k - k0_) * STEP + 4 * i, quads, BYTES);
                          });
        }
    }

    const Rows& rows_;
    const u8 *data_, *from_;
    i64 batch_, first_, count_, k0_, k1_;
    u8 turn_;
    u8* to_;
    i64 offset_[STEP];
};

}  // namespace verifiable
