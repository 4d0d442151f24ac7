// Vectors of 8- and 16-bit integers, for dot_int.cpp: the few instructions it is made of, and what
// they do, for compilers and processors that have them not.
#pragma once

#include "machine.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace verifiable {

constexpr int WIDTH = LANES * 4;  // bytes of a vector

typedef std::int8_t Bytes __attribute__((vector_size(WIDTH), aligned(1), may_alias));
typedef std::int16_t Shorts __attribute__((vector_size(WIDTH), aligned(2), may_alias));

#if defined(__AVX512BW__) && LANES == 16
#define VECTOR_BITS 512
typedef __m512i Raw;
#elif defined(__AVX2__) && LANES == 8
#define VECTOR_BITS 256
typedef __m256i Raw;
#endif

// Four bytes in every lane of 32 bits.
inline Bytes broadcast_4(const u8* p) {
#if VECTOR_BITS == 256
    Bytes r;
    asm volatile("vpbroadcastd %1, %0" : "=x"(r) : "m"(*(const std::int32_t*)p));
    return r;
#else
    std::int32_t four;
    std::memcpy(&four, p, 4);
    return (Bytes)(Ints{} + four);
#endif
}

// Sums of two neighbouring products, unsigned by signed. Saturates at 16 bits: callers see to it
// that no sum gets there.
inline Shorts pairs_of_bytes(Bytes is_unsigned, Bytes is_signed) {
#if VECTOR_BITS == 512
    return (Shorts)_mm512_maddubs_epi16((Raw)is_unsigned, (Raw)is_signed);
#elif VECTOR_BITS == 256
    return (Shorts)_mm256_maddubs_epi16((Raw)is_unsigned, (Raw)is_signed);
#else
    Shorts r;
    for (int i = 0; i < WIDTH / 2; ++i) {
        int sum = (u8)is_unsigned[2 * i] * is_signed[2 * i] +
                  (u8)is_unsigned[2 * i + 1] * is_signed[2 * i + 1];
        r[i] = (std::int16_t)(sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum);
    }
    return r;
#endif
}

// Sums of two neighbouring products; these cannot overflow.
inline Ints pairs_of_shorts(Shorts a, Shorts b) {
#if VECTOR_BITS == 512
    return (Ints)_mm512_madd_epi16((Raw)a, (Raw)b);
#elif VECTOR_BITS == 256
    return (Ints)_mm256_madd_epi16((Raw)a, (Raw)b);
#else
    Ints r;
    for (int i = 0; i < LANES; ++i) r[i] = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    return r;
#endif
}

// The assemblers that come with older compilers do not know the instruction below.
#if VECTOR_BITS == 512 || (VECTOR_BITS == 256 && (defined(__clang__) || __GNUC__ >= 11))
#define HAS_VNNI_ASSEMBLER
#endif

// Adds sums of four neighbouring products, unsigned by signed, to lanes of 32 bits, which wrap. The
// instruction is newer than those that a build may use everywhere: see has_quads.
inline void add_quads(Ints& sum, Bytes is_unsigned, Bytes is_signed) {
#if defined(HAS_VNNI_ASSEMBLER) && VECTOR_BITS == 512
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(is_unsigned), "v"(is_signed));
#elif defined(HAS_VNNI_ASSEMBLER)
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(is_unsigned), "x"(is_signed));
#else
    for (int i = 0; i < LANES; ++i) {
        int four = 0;
        for (int e = 4 * i; e < 4 * i + 4; ++e) four += (u8)is_unsigned[e] * is_signed[e];
        sum[i] = (std::int32_t)((std::uint32_t)sum[i] + (std::uint32_t)four);
    }
#endif
}

// Whether this processor knows what add_quads is in this build.
inline bool has_quads() {
#if defined(HAS_VNNI_ASSEMBLER) && VECTOR_BITS == 512
    return __builtin_cpu_supports("avx512vnni");
#elif defined(HAS_VNNI_ASSEMBLER)
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);  // AVX-VNNI
#else
    return true;
#endif
}

// Holds a vector in a register here: compilers put sums off, or load ahead, and then run out of
// registers.
template <class Vector>
inline void pin(Vector& x) {
#if defined(VECTOR_BITS)
    asm volatile("" : "+v"(x));
#else
    (void)x;
#endif
}

// Keeps addresses from being computed before this place.
inline const u8* from_here(const u8* p) {
    asm volatile("" : "+r"(p));
    return p;
}

}  // namespace verifiable
