// Vectors of 8- and 16-bit integers, for dot_int.cpp: the few instructions it is made of, and what
// they do, for compilers and processors that have them not.
#pragma once

#include "machine.h"

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
#if defined(__AVX2__) && LANES == 8
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

// Half a vector of bytes, in 16 bits each.
template <bool UNSIGNED>
inline Shorts widened(const u8* p) {
#if VECTOR_BITS == 512
    __m256i half = _mm256_loadu_si256((const __m256i*)p);
    return (Shorts)(UNSIGNED ? _mm512_cvtepu8_epi16(half) : _mm512_cvtepi8_epi16(half));
#elif VECTOR_BITS == 256
    __m128i half = _mm_loadu_si128((const __m128i*)p);
    return (Shorts)(UNSIGNED ? _mm256_cvtepu8_epi16(half) : _mm256_cvtepi8_epi16(half));
#else
    Shorts r;
    for (int i = 0; i < WIDTH / 2; ++i) r[i] = UNSIGNED ? p[i] : (std::int8_t)p[i];
    return r;
#endif
}

// Four bytes in 16 bits each, again and again.
template <bool UNSIGNED>
inline Shorts widened_4(const u8* p) {
#if VECTOR_BITS == 512 || VECTOR_BITS == 256
    Bytes four = broadcast_4(p);
#if VECTOR_BITS == 512
    __m256i half = _mm512_castsi512_si256((Raw)four);
    return (Shorts)(UNSIGNED ? _mm512_cvtepu8_epi16(half) : _mm512_cvtepi8_epi16(half));
#else
    __m128i half = _mm256_castsi256_si128((Raw)four);
    return (Shorts)(UNSIGNED ? _mm256_cvtepu8_epi16(half) : _mm256_cvtepi8_epi16(half));
#endif
#else
    Shorts r;
    for (int i = 0; i < WIDTH / 2; ++i) r[i] = UNSIGNED ? p[i % 4] : (std::int8_t)p[i % 4];
    return r;
#endif
}

// Sums of neighbouring lanes: those of `a`, then those of `b`.
inline Ints halves(Ints a, Ints b) {
#if VECTOR_BITS == 256
    return (Ints)_mm256_permute4x64_epi64(_mm256_hadd_epi32((Raw)a, (Raw)b), 0xd8);
#else
    Ints r;
    for (int i = 0; i < LANES / 2; ++i) {
        r[i] = a[2 * i] + a[2 * i + 1];
        r[LANES / 2 + i] = b[2 * i] + b[2 * i + 1];
    }
    return r;
#endif
}

}  // namespace verifiable
