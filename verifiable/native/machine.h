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
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
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

// Memory aligned to cache lines, with room to read or write a vector past its end. What is large comes
// from the system in huge pages, if it has such: without, one core of a virtual machine read packed
// weights at 12 GB/s instead of 17, since it looks up a page for every 4 KiB. It must be new for that,
// and aligned_alloc would give some that was in use before.
class Memory {
  public:
    Memory() = default;
    Memory(Memory&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, -1)) {}
    Memory& operator=(Memory&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Memory() { free(); }

    u8* reserve(i64 bytes) {
        if (bytes > size_) {
            free();
            const i64 room = round_up(bytes + 256, 64);
            data_ = is_large(bytes) ? map(room) : (u8*)std::aligned_alloc(64, room);
            if (!data_) throw std::bad_alloc();
            size_ = bytes;
        }
        return data_;
    }
    u8* data() const { return data_; }

  private:
    static i64 round_up(i64 x, i64 step) { return (x + step - 1) / step * step; }

#if defined(__linux__)
    static constexpr i64 HUGE_PAGE = 2 << 20;

    static bool is_large(i64 bytes) { return bytes >= HUGE_PAGE; }

    // Mapped memory begins at a page; what lies before the first huge page of it is given back.
    static u8* map(i64 room) {
        room = round_up(room, PAGE);
        void* whole = mmap(nullptr, room + HUGE_PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (whole == MAP_FAILED) return nullptr;
        u8* first = (u8*)round_up((i64)whole, HUGE_PAGE);
        const i64 before = first - (u8*)whole;
        if (before) munmap(whole, before);
        munmap(first + room, HUGE_PAGE - before);
        madvise(first, room, MADV_HUGEPAGE);  // a wish: a system without says no, and all is well
        return first;
    }

    void free() {
        if (data_ && is_large(size_)) {
            munmap(data_, round_up(round_up(size_ + 256, 64), PAGE));
        } else {
            std::free(data_);
        }
        data_ = nullptr;
        size_ = -1;
    }

    static constexpr i64 PAGE = 64 << 10;  // a multiple of any system's
#else
    static bool is_large(i64) { return false; }
    static u8* map(i64) { return nullptr; }

    void free() {
        std::free(data_);
        data_ = nullptr;
        size_ = -1;
    }
#endif

    u8* data_ = nullptr;
    i64 size_ = -1;
};

// Memory for many things that live as long as it does, end to end: most of them are smaller than a
// huge page, and so none is without one.
class Room {
  public:
    // Aligned to cache lines; a vector may be read past the end.
    u8* take(i64 bytes) {
        const i64 wanted = (bytes + 64 + 63) / 64 * 64;
        if (wanted > left_) {
            // Larger and larger parts; what is not touched of the last one costs nothing.
            part_ = 2 * part_ < MOST ? 2 * part_ : MOST;
            part_ = wanted > part_ ? wanted : part_;
            parts_.emplace_back();
            next_ = parts_.back().reserve(part_);
            left_ = part_;
        }
        u8* found = next_;
        next_ += wanted;
        left_ -= wanted;
        return found;
    }

  private:
    static constexpr i64 MOST = 32 << 20;

    std::vector<Memory> parts_;
    u8* next_ = nullptr;
    i64 left_ = 0, part_ = 32 << 10;
};

}  // namespace verifiable
