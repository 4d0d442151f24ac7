// Types that all sources of the cpu engine share: dtypes, vectors, memory.
//
// The sources are compiled once per instruction set (x86-64, v3, v4, or the host's own); LANES is
// how many floats a vector of the build holds. No result depends on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace verifiable {

using i64 = std::int64_t;
using u8 = std::uint8_t;

enum DType : int { F32, I8, U8, I32, I64, BOOL };

inline i64 itemsize(int dtype) {
    return dtype == F32 || dtype == I32 ? 4 : dtype == I64 ? 8 : 1;
}

// The tests compile the wide code for narrower machines by setting this.
#ifndef LANES
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
#endif

typedef float Floats __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef std::int32_t Ints __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

inline Floats splat(float x) {
#if LANES == 16
    return Floats{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#elif LANES == 8
    return Floats{x, x, x, x, x, x, x, x};
#else
    return Floats{x, x, x, x};
#endif
}

// One element in all lanes. Compilers load many of these ahead of their use and then run out of
// registers, so where it counts the load stays where it is written.
inline Floats broadcast(const float* p) {
#if defined(__AVX2__) && LANES == 8
    Floats r;
    asm volatile("vbroadcastss %1, %0" : "=x"(r) : "m"(*p));
    return r;
#else
    return splat(*p);
#endif
}

// One rounding per lane, on every machine.
inline Floats fma(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__) && LANES == 16
    return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && LANES == 8
    return (Floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__FP_FAST_FMAF)
    Floats r;
    for (int i = 0; i < LANES; ++i) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return r;
#else
    // The product is exact in binary64. Their sum is rounded to odd there, which makes rounding
    // it once more, to binary32, the same as rounding once (Boldo and Melquiond, 2008).
    typedef double Wide __attribute__((vector_size(LANES * 8)));
    typedef std::int64_t Bits __attribute__((vector_size(LANES * 8)));
    Wide p = __builtin_convertvector(a, Wide) * __builtin_convertvector(b, Wide);
    Wide z = __builtin_convertvector(c, Wide);
    Wide s = p + z;
    Wide back = s - p;
    Wide error = (p - (s - back)) + (z - back);
    Bits inexact = (Bits)((error > 0) | (error < 0));
    Bits even = ((Bits)s & 1) - 1;
    // Away from zero if the error has the sign of the sum, towards it else.
    Bits towards = ((Bits)error ^ (Bits)s) >> 63;
    Bits step = (towards | 1) & inexact & even;
    return __builtin_convertvector((Wide)((Bits)s + step), Floats);
#endif
}

inline Floats load(const float* p) { return *(const Floats*)p; }
inline void store(float* p, Floats x) { *(Floats*)p = x; }

constexpr std::uint32_t NAN_BITS = 0x7fc00000u;

// Whether floats hold a NaN other than that one.
inline bool holds_other_nan(const std::uint32_t* bits, i64 count) {
    std::uint32_t nan = 0;
    for (i64 i = 0; i < count; ++i) nan |= (bits[i] & 0x7fffffff) > 0x7f800000;
    if (!nan) return false;
    std::uint32_t other = 0;
    for (i64 i = 0; i < count; ++i)
        other |= (bits[i] & 0x7fffffff) > 0x7f800000 && bits[i] != NAN_BITS;
    return other;
}

inline Floats one_nan(Floats x) {
    Ints is_nan = x != x;
    return (Floats)(((Ints)x & ~is_nan) | ((Ints{} + (std::int32_t)NAN_BITS) & is_nan));
}

// Memory aligned to cache lines, with room to read or write a vector past its end.
class Memory {
  public:
    u8* reserve(i64 bytes) {
        if (bytes > size_) {
            data_.reset();
            size_ = -1;
            data_.reset((u8*)std::aligned_alloc(64, (bytes + 256 + 63) / 64 * 64));
            if (!data_) throw std::bad_alloc();
            size_ = bytes;
        }
        return data_.get();
    }
    u8* data() const { return data_.get(); }

  private:
    struct Free {
        void operator()(u8* p) const { std::free(p); }
    };
    std::unique_ptr<u8, Free> data_;
    i64 size_ = -1;
};

}  // namespace verifiable
