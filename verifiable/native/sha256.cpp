// FIPS 180-4, by the SHA instructions of x86. One message alone waits for its own last round most of
// the time, so several are hashed side by side; three fill the units. With vectors of 512 bits it is
// faster still to hash sixteen by plain instructions, one in each lane (sha256_lanes.cpp). A processor
// without the instructions is left to hashlib, which no plain code of ours would beat.
//
// The tag shifts everything by a byte: no word of a message lies in memory as one, and each is put
// together of two neighbours. So elements are turned over on the way and copied nowhere.
//
// Check: pytest tests/engines/test_native_hash.py
#include "sha256.h"

#include <algorithm>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "sha256_parts.h"

namespace verifiable {

#if defined(__x86_64__)

namespace {

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
    if (count >= FEWEST_LANES && hash_in_lanes(tag, count, from, size, width, to)) return;
    constexpr int ABREAST = 3;
    for (int done = 0; done < count; done += ABREAST) {
        const int some = std::min(ABREAST, count - done);
        if (width == 1) {
            hash_some<1>(tag, some, from + done, size, to + done);
        } else if (width == 4) {
            hash_some<4>(tag, some, from + done, size, to + done);
        } else {
            hash_some<8>(tag, some, from + done, size, to + done);
        }
    }
}

#else

bool has_sha() { return false; }
void hash_messages(uint8_t, int, const uint8_t* const*, int64_t, int, uint8_t* const*) {}

#endif

}  // namespace verifiable
