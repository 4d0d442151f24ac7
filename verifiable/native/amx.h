// Tiles of 16 rows of 64 bytes, and products of two of them: the instructions of AMX, and what they
// do, for compilers and processors that have them not.
//
// Tiles 0 to 3 are sums, 16 x 16 of i32; 4 and 5 rows of a left operand, 64 bytes of k each; 6 and 7
// columns of a right one, four bytes of k for each of 16 columns in a row.
#pragma once

#include "machine.h"

#if defined(__linux__) && defined(__AVX512F__) && (defined(__clang__) || __GNUC__ >= 11)
#define HAS_AMX_ASSEMBLER
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace verifiable {

constexpr i64 TILE_ROWS = 16;
constexpr i64 TILE_BYTES = 64;

// Which operand has no sign: the left, the right, or none.
enum TileSigns : int { LEFT_UNSIGNED, RIGHT_UNSIGNED, BOTH_SIGNED };

#if defined(HAS_AMX_ASSEMBLER)

// Whether this processor has them and the system lets this process use them; asks for that once.
inline bool has_tiles() {
    static const bool found = [] {
        unsigned a = 0, b = 0, c = 0, d = 0;
        if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
        const bool tiles = d >> 24 & 1, bytes = d >> 25 & 1;
        constexpr int ASK_FOR_STATE = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, XTILEDATA
        return tiles && bytes && syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
    }();
    return found;
}

// All eight, whole, while it lives.
class Tiles {
  public:
    Tiles() {
        struct alignas(64) {
            u8 palette = 1, start = 0, reserved[14] = {};
            std::uint16_t bytes[16] = {};
            u8 rows[16] = {};
        } shape;
        for (int t = 0; t < 8; ++t) {
            shape.bytes[t] = TILE_BYTES;
            shape.rows[t] = TILE_ROWS;
        }
        asm volatile("ldtilecfg %0" ::"m"(shape));
    }
    ~Tiles() { asm volatile("tilerelease"); }
    Tiles(const Tiles&) = delete;

    template <int T>
    static void zero() {
        asm volatile("tilezero %%tmm%c0" ::"i"(T));
    }
    // Rows lie `step` bytes apart.
    template <int T>
    static void load(const void* from, i64 step) {
        asm volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(T), "r"(from), "r"(step) : "memory");
    }
    template <int T>
    static void store(void* to, i64 step) {
        asm volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(T), "r"(to), "r"(step) : "memory");
    }
    template <int SUM, int LEFT, int RIGHT, int SIGNS>
    static void add_products() {
        if constexpr (SIGNS == LEFT_UNSIGNED) {
            asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(SUM), "i"(LEFT), "i"(RIGHT));
        } else if constexpr (SIGNS == RIGHT_UNSIGNED) {
            asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(SUM), "i"(LEFT), "i"(RIGHT));
        } else {
            asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(SUM), "i"(LEFT), "i"(RIGHT));
        }
    }
};

#else

inline bool has_tiles() { return true; }

class Tiles {
  public:
    Tiles() {}
    template <int T>
    static void zero() {
        std::memset(at(T), 0, TILE_ROWS * TILE_BYTES);
    }
    template <int T>
    static void load(const void* from, i64 step) {
        for (i64 r = 0; r < TILE_ROWS; ++r)
            std::memcpy(at(T) + r * TILE_BYTES, (const u8*)from + r * step, TILE_BYTES);
    }
    template <int T>
    static void store(void* to, i64 step) {
        for (i64 r = 0; r < TILE_ROWS; ++r)
            std::memcpy((u8*)to + r * step, at(T) + r * TILE_BYTES, TILE_BYTES);
    }
    template <int SUM, int LEFT, int RIGHT, int SIGNS>
    static void add_products() {
        const u8 *left = at(LEFT), *right = at(RIGHT);
        auto sums = (std::uint32_t*)at(SUM);  // wrap
        auto number = [](u8 x, bool is_unsigned) { return is_unsigned ? (int)x : (std::int8_t)x; };
        for (i64 r = 0; r < TILE_ROWS; ++r)
            for (i64 k = 0; k < TILE_BYTES; ++k)
                for (i64 n = 0; n < TILE_ROWS; ++n)
                    sums[r * TILE_ROWS + n] += (std::uint32_t)(
                        number(left[r * TILE_BYTES + k], SIGNS == LEFT_UNSIGNED) *
                        number(right[k / 4 * TILE_BYTES + 4 * n + k % 4], SIGNS == RIGHT_UNSIGNED));
    }

  private:
    static u8* at(int tile) {
        alignas(64) thread_local u8 all[8][TILE_ROWS * TILE_BYTES];
        return all[tile];
    }
};

#endif

}  // namespace verifiable
