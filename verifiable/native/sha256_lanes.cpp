// Sixteen messages by plain instructions, one in each lane of a vector of 512 bits.
//
// Check: pytest tests/engines/test_native_hash.py
#include "sha256.h"

#if defined(__AVX512F__) && defined(__AVX512BW__)

// GCC's own headers start some vectors from nothing, and it warns of that (bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "sha256_parts.h"

namespace verifiable {

namespace {

using Lanes = __m512i;

constexpr int COUNT = 16;
static_assert(COUNT == ABREAST);

#define INLINE inline __attribute__((always_inline))

INLINE Lanes xor3(Lanes a, Lanes b, Lanes c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }

INLINE Lanes add(Lanes a, Lanes b) { return _mm512_add_epi32(a, b); }

template <int A, int B, int C>
INLINE Lanes turns(Lanes x) {
    return xor3(_mm512_ror_epi32(x, A), _mm512_ror_epi32(x, B), _mm512_ror_epi32(x, C));
}

template <int A, int B, int C>
INLINE Lanes turns_and_shift(Lanes x) {
    return xor3(_mm512_ror_epi32(x, A), _mm512_ror_epi32(x, B), _mm512_srli_epi32(x, C));
}

// Adds a block, word t of each message in w[t].
INLINE void add_block(Lanes (&state)[8], Lanes (&w)[16]) {
    Lanes s[8];
    for (int i = 0; i < 8; ++i) s[i] = state[i];
#pragma GCC unroll 64
    for (int t = 0; t < 64; ++t) {
        // a .. h are those names in turn, since each round passes them on by one.
        Lanes &d = s[(67 - t) % 8], &h = s[(71 - t) % 8];
        const Lanes a = s[(64 - t) % 8], b = s[(65 - t) % 8], c = s[(66 - t) % 8];
        const Lanes e = s[(68 - t) % 8], f = s[(69 - t) % 8], g = s[(70 - t) % 8];
        Lanes& word = w[t % 16];
        if (t >= 16) {
            const Lanes far = turns_and_shift<7, 18, 3>(w[(t + 1) % 16]);
            const Lanes near = turns_and_shift<17, 19, 10>(w[(t + 14) % 16]);
            word = add(add(word, far), add(w[(t + 9) % 16], near));
        }
        const Lanes choice = _mm512_ternarylogic_epi32(e, f, g, 0xCA);
        const Lanes most = _mm512_ternarylogic_epi32(a, b, c, 0xE8);
        const Lanes known = add(h, add(word, _mm512_set1_epi32((int)K[t])));
        const Lanes first = add(known, add(turns<6, 11, 25>(e), choice));
        d = add(d, first);
        h = add(first, add(turns<2, 13, 22>(a), most));
    }
    for (int i = 0; i < 8; ++i) state[i] = add(state[i], s[i]);
}

// Rows to columns: lane i of x[j] is lane j of x[i] before.
INLINE void transpose(Lanes (&x)[16]) {
    Lanes y[16];
    for (int i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; ++j) {
            x[i + 2 * j] = _mm512_unpacklo_epi64(y[i + j], y[i + j + 2]);
            x[i + 2 * j + 1] = _mm512_unpackhi_epi64(y[i + j], y[i + j + 2]);
        }
    // x[4 q + j] holds, of rows 4 q .. 4 q + 3, columns j, j + 4, j + 8 and j + 12.
    for (int j = 0; j < 4; ++j) {
        y[j] = _mm512_shuffle_i32x4(x[j], x[4 + j], 0x88);
        y[4 + j] = _mm512_shuffle_i32x4(x[j], x[4 + j], 0xDD);
        y[8 + j] = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0x88);
        y[12 + j] = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0xDD);
    }
    for (int j = 0; j < 4; ++j) {
        x[j] = _mm512_shuffle_i32x4(y[j], y[8 + j], 0x88);
        x[8 + j] = _mm512_shuffle_i32x4(y[j], y[8 + j], 0xDD);
        x[4 + j] = _mm512_shuffle_i32x4(y[4 + j], y[12 + j], 0x88);
        x[12 + j] = _mm512_shuffle_i32x4(y[4 + j], y[12 + j], 0xDD);
    }
}

// Turns over the bytes of each word.
INLINE Lanes turned(Lanes words) {
    return _mm512_shuffle_epi8(
        words, _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1,
                                                   2, 3)));
}

// Sixteen words of each message, as they would follow each other without the tag.
template <int WIDTH>
INLINE void load_words(const uint8_t* const (&from)[COUNT], int64_t at, Lanes (&words)[16]) {
    for (int i = 0; i < COUNT; ++i) {
        const Lanes raw = _mm512_loadu_si512(from[i] + at);
        words[i] = WIDTH == 1   ? turned(raw)
                   : WIDTH == 8 ? _mm512_shuffle_epi32(raw, (_MM_PERM_ENUM)0xB1)
                                : raw;
    }
    transpose(words);
}

template <int WIDTH>
void hash(uint8_t tag, const uint8_t* const (&from)[COUNT], int64_t size,
          uint8_t* const (&to)[COUNT]) {
    Lanes state[8], words[16], w[16];
    for (int i = 0; i < 8; ++i) state[i] = _mm512_set1_epi32((int)START[i]);
    Lanes before = _mm512_set1_epi32(tag);  // its low byte is not yet hashed
    const int64_t whole = size / BLOCK * BLOCK, rest = size - whole;
    const uint64_t bits = 8 * (uint64_t(size) + 1);
    for (int64_t at = 0; at < whole; at += BLOCK) {
        load_words<WIDTH>(from, at, words);
        for (int t = 0; t < 16; ++t)
            w[t] = _mm512_or_si512(_mm512_slli_epi32(t ? words[t - 1] : before, 24),
                                   _mm512_srli_epi32(words[t], 8));
        before = words[15];
        add_block(state, w);
    }
    if (rest == 0) {
        for (Lanes& word : w) word = _mm512_setzero_si512();
        w[0] = _mm512_or_si512(_mm512_slli_epi32(before, 24), _mm512_set1_epi32(0x800000));
        w[14] = _mm512_set1_epi32((int)uint32_t(bits >> 32));
        w[15] = _mm512_set1_epi32((int)uint32_t(bits));
        add_block(state, w);
    } else {
        uint8_t end[COUNT][2 * BLOCK];
        const uint8_t* ends[COUNT];
        alignas(64) uint32_t left[COUNT];
        _mm512_store_si512(left, before);
        int blocks = 0;
        for (int i = 0; i < COUNT; ++i) {
            blocks = write_end<WIDTH>(end[i], (uint8_t)left[i], from[i] + whole, rest, bits);
            ends[i] = end[i];
        }
        for (int b = 0; b < blocks; ++b) {
            load_words<1>(ends, b * BLOCK, w);
            add_block(state, w);
        }
    }
    alignas(64) uint32_t digests[8][COUNT];
    for (int i = 0; i < 8; ++i) _mm512_store_si512(digests[i], turned(state[i]));
    for (int i = 0; i < COUNT; ++i)
        for (int word = 0; word < 8; ++word) std::memcpy(to[i] + 4 * word, &digests[word][i], 4);
}

}  // namespace

bool hash_in_lanes(uint8_t tag, int count, const uint8_t* const* from, int64_t size, int width,
                   uint8_t* const* to) {
    // Lanes that would have nothing to do hash the first message once more.
    uint8_t spare[DIGEST];
    const uint8_t* all_from[COUNT];
    uint8_t* all_to[COUNT];
    for (int i = 0; i < COUNT; ++i) {
        all_from[i] = from[i < count ? i : 0];
        all_to[i] = i < count ? to[i] : spare;
    }
    if (width == 1) {
        hash<1>(tag, all_from, size, all_to);
    } else if (width == 4) {
        hash<4>(tag, all_from, size, all_to);
    } else {
        hash<8>(tag, all_from, size, all_to);
    }
    return true;
}

}  // namespace verifiable

#else

namespace verifiable {

bool hash_in_lanes(std::uint8_t, int, const std::uint8_t* const*, std::int64_t, int,
                   std::uint8_t* const*) {
    return false;
}

}  // namespace verifiable

#endif
