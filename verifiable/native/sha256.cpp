// FIPS 180-4, by the SHA instructions of x86. One message alone waits for its own last round most of
// the time, so several are hashed side by side; three fill the units. A processor without them is
// left to hashlib, which no plain code of ours would beat.
//
// The tag shifts everything by a byte: no word of a message lies in memory as one, and each is put
// together of two neighbours. So elements are turned over on the way and copied nowhere.
//
// Check: pytest tests/engines/test_native_hash.py
#include "sha256.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace verifiable {

using std::int64_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

#if defined(__x86_64__)

namespace {

// Fractional parts of the square and cube roots of the first primes (FIPS 180-4, 5.3.3, 4.2.2).
const uint32_t START[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
alignas(16) const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

const int64_t BLOCK = 64;

#define WITH_SHA __attribute__((target("sha,ssse3,sse4.1")))
#define INLINE inline __attribute__((always_inline))

bool find_sha() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1)) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

// Turns over the bytes of each word.
WITH_SHA INLINE __m128i turned(__m128i words) {
    return _mm_shuffle_epi8(
        words, _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
}

// Four words as they follow each other in the message, were it not for the tag.
template <int WIDTH>
WITH_SHA INLINE __m128i words_at(const uint8_t* p) {
    const __m128i raw = _mm_loadu_si128((const __m128i*)p);
    if (WIDTH == 1) return turned(raw);
    return WIDTH == 8 ? _mm_shuffle_epi32(raw, 0xB1) : raw;
}

// The instructions keep the words a, b, e, f in one register and c, d, g, h in another.
template <int N>
struct States {
    __m128i abef[N], cdgh[N];
};

template <int N>
WITH_SHA INLINE void add_block(States<N>& s, __m128i (&w)[N][4]) {
    const States<N> before = s;
#pragma GCC unroll 16
    for (int t = 0; t < 16; ++t) {
        const __m128i k = _mm_load_si128((const __m128i*)(K + 4 * t));
#pragma GCC unroll 4
        for (int i = 0; i < N; ++i) {
            __m128i sum = _mm_add_epi32(w[i][t % 4], k);
            s.cdgh[i] = _mm_sha256rnds2_epu32(s.cdgh[i], s.abef[i], sum);
            sum = _mm_shuffle_epi32(sum, 0x0E);
            s.abef[i] = _mm_sha256rnds2_epu32(s.abef[i], s.cdgh[i], sum);
            if (t < 12) {
                // Words 4t + 16 to 4t + 19 take the place of 4t to 4t + 3.
                const __m128i last = w[i][(t + 3) % 4];
                __m128i next = _mm_sha256msg1_epu32(w[i][t % 4], w[i][(t + 1) % 4]);
                next = _mm_add_epi32(next, _mm_alignr_epi8(last, w[i][(t + 2) % 4], 4));
                w[i][t % 4] = _mm_sha256msg2_epu32(next, last);
            }
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
        s.abef[i] = _mm_add_epi32(s.abef[i], before.abef[i]);
        s.cdgh[i] = _mm_add_epi32(s.cdgh[i], before.cdgh[i]);
    }
}

// The last bytes of a message in its order: one that was left over, those of `size` bytes of whole
// elements, 0x80, zeros, the length in bits. Returns how many blocks they are.
template <int WIDTH>
int write_end(uint8_t (&end)[2 * BLOCK], uint8_t left, const uint8_t* p, int64_t size,
              uint64_t bits) {
    std::memset(end, 0, sizeof end);
    end[0] = left;
    for (int64_t i = 0; i < size; ++i) end[1 + i] = p[i ^ (WIDTH - 1)];
    end[1 + size] = 0x80;
    const int blocks = size + 10 > BLOCK ? 2 : 1;
    for (int i = 0; i < 8; ++i) end[blocks * BLOCK - 8 + i] = uint8_t(bits >> (56 - 8 * i));
    return blocks;
}

template <int N, int WIDTH>
WITH_SHA void hash(uint8_t tag, const uint8_t* const* from, int64_t size, uint8_t* const* to) {
    States<N> s;
    __m128i before[N];  // words of which the low byte of the last is not yet hashed
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
        s.abef[i] = _mm_set_epi32(START[0], START[1], START[4], START[5]);
        s.cdgh[i] = _mm_set_epi32(START[2], START[3], START[6], START[7]);
        before[i] = _mm_set1_epi32(tag);
    }
    const int64_t whole = size / BLOCK * BLOCK, rest = size - whole;
    const uint64_t bits = 8 * (uint64_t(size) + 1);
    __m128i w[N][4];
    for (int64_t at = 0; at < whole; at += BLOCK) {
#pragma GCC unroll 4
        for (int i = 0; i < N; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) {
                const __m128i here = words_at<WIDTH>(from[i] + at + 16 * j);
                const __m128i left = _mm_alignr_epi8(here, before[i], 12);
                w[i][j] = _mm_or_si128(_mm_slli_epi32(left, 24), _mm_srli_epi32(here, 8));
                before[i] = here;
            }
        add_block<N>(s, w);
    }
    if (rest == 0) {
#pragma GCC unroll 4
        for (int i = 0; i < N; ++i) {
            const uint32_t left = (uint32_t)_mm_extract_epi32(before[i], 3);
            w[i][0] = _mm_set_epi32(0, 0, 0, int(left << 24 | 0x800000));
            w[i][1] = w[i][2] = _mm_setzero_si128();
            w[i][3] = _mm_set_epi32(int(uint32_t(bits)), int(uint32_t(bits >> 32)), 0, 0);
        }
        add_block<N>(s, w);
    } else {
        uint8_t end[N][2 * BLOCK];
        int blocks = 0;
#pragma GCC unroll 4
        for (int i = 0; i < N; ++i) {
            const uint8_t left = (uint8_t)_mm_extract_epi32(before[i], 3);
            blocks = write_end<WIDTH>(end[i], left, from[i] + whole, rest, bits);
        }
        for (int b = 0; b < blocks; ++b) {
#pragma GCC unroll 4
            for (int i = 0; i < N; ++i)
#pragma GCC unroll 4
                for (int j = 0; j < 4; ++j)
                    w[i][j] = words_at<1>(end[i] + b * BLOCK + 16 * j);
            add_block<N>(s, w);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
        // From the highest lane down: a, b, e, f and c, d, g, h.
        const __m128i ab_cd = _mm_unpackhi_epi64(s.cdgh[i], s.abef[i]);
        const __m128i ef_gh = _mm_unpacklo_epi64(s.cdgh[i], s.abef[i]);
        _mm_storeu_si128((__m128i*)to[i], turned(_mm_shuffle_epi32(ab_cd, 0x1B)));
        _mm_storeu_si128((__m128i*)(to[i] + 16), turned(_mm_shuffle_epi32(ef_gh, 0x1B)));
    }
}

template <int WIDTH>
void hash_some(uint8_t tag, int count, const uint8_t* const* from, int64_t size,
               uint8_t* const* to) {
    if (count == 3) return hash<3, WIDTH>(tag, from, size, to);
    if (count == 2) return hash<2, WIDTH>(tag, from, size, to);
    return hash<1, WIDTH>(tag, from, size, to);
}

}  // namespace

bool has_sha() {
    static const bool found = find_sha();
    return found;
}

void hash_messages(uint8_t tag, int count, const uint8_t* const* from, int64_t size, int width,
                   uint8_t* const* to) {
    if (width == 1) return hash_some<1>(tag, count, from, size, to);
    if (width == 4) return hash_some<4>(tag, count, from, size, to);
    return hash_some<8>(tag, count, from, size, to);
}

#else

bool has_sha() { return false; }
void hash_messages(uint8_t, int, const uint8_t* const*, int64_t, int, uint8_t* const*) {}

#endif

}  // namespace verifiable
