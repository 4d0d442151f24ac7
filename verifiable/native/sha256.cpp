// SHA-256 of many pieces of one size, each after a tag byte: the leaves and nodes of Merkle trees
// (verifiable/crypto/merkle.py). FIPS 180-4, by the SHA instructions of x86, two pieces at a time,
// since one alone waits for its own last round most of the time. A processor without them is left
// to hashlib, which no plain code of ours would beat.
//
// Check: pytest tests/engines/test_native_hash.py
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace {

using std::int64_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

enum Status : int { DONE, NO_MEMORY, NO_INSTRUCTIONS };

#if defined(__x86_64__)
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

const int64_t BLOCK = 64, DIGEST = 32;

void store(uint8_t* p, uint32_t x) {
    for (int i = 0; i < 4; ++i) p[i] = uint8_t(x >> (24 - 8 * i));
}

#define WITH_SHA __attribute__((target("sha,ssse3,sse4.1")))

bool has_sha() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1)) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

// TOGETHER padded messages of `blocks` blocks each, one behind the other in memory.
template <int TOGETHER>
WITH_SHA void hash(const uint8_t* messages, int64_t blocks, uint8_t* out) {
    const __m128i big = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    // The instructions keep the words a, b, e, f in one register and c, d, g, h in another.
    __m128i abef[TOGETHER], cdgh[TOGETHER];
    for (int i = 0; i < TOGETHER; ++i) {
        abef[i] = _mm_set_epi32(START[0], START[1], START[4], START[5]);
        cdgh[i] = _mm_set_epi32(START[2], START[3], START[6], START[7]);
    }
    for (int64_t block = 0; block < blocks; ++block) {
        __m128i before[TOGETHER][2], w[TOGETHER][4];
        for (int i = 0; i < TOGETHER; ++i) {
            before[i][0] = abef[i];
            before[i][1] = cdgh[i];
            const uint8_t* p = messages + (i * blocks + block) * BLOCK;
            for (int j = 0; j < 4; ++j)
                w[i][j] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i*)(p + 16 * j)), big);
        }
#pragma GCC unroll 16
        for (int t = 0; t < 16; ++t) {
            const __m128i k = _mm_load_si128((const __m128i*)(K + 4 * t));
            for (int i = 0; i < TOGETHER; ++i) {
                __m128i sum = _mm_add_epi32(w[i][t % 4], k);
                cdgh[i] = _mm_sha256rnds2_epu32(cdgh[i], abef[i], sum);
                sum = _mm_shuffle_epi32(sum, 0x0E);
                abef[i] = _mm_sha256rnds2_epu32(abef[i], cdgh[i], sum);
                if (t < 12) {
                    // Words 4t + 16 to 4t + 19 take the place of 4t to 4t + 3.
                    const __m128i last = w[i][(t + 3) % 4];
                    __m128i next = _mm_sha256msg1_epu32(w[i][t % 4], w[i][(t + 1) % 4]);
                    next = _mm_add_epi32(next, _mm_alignr_epi8(last, w[i][(t + 2) % 4], 4));
                    w[i][t % 4] = _mm_sha256msg2_epu32(next, last);
                }
            }
        }
        for (int i = 0; i < TOGETHER; ++i) {
            abef[i] = _mm_add_epi32(abef[i], before[i][0]);
            cdgh[i] = _mm_add_epi32(cdgh[i], before[i][1]);
        }
    }
    for (int i = 0; i < TOGETHER; ++i) {
        uint8_t* to = out + i * DIGEST;
        // From the highest lane down: a, b, e, f and c, d, g, h.
        store(to, _mm_extract_epi32(abef[i], 3));
        store(to + 4, _mm_extract_epi32(abef[i], 2));
        store(to + 8, _mm_extract_epi32(cdgh[i], 3));
        store(to + 12, _mm_extract_epi32(cdgh[i], 2));
        store(to + 16, _mm_extract_epi32(abef[i], 1));
        store(to + 20, _mm_extract_epi32(abef[i], 0));
        store(to + 24, _mm_extract_epi32(cdgh[i], 1));
        store(to + 28, _mm_extract_epi32(cdgh[i], 0));
    }
}
#endif

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// Hashes `pieces` pieces of `size` bytes that lie end to end, each after the byte `tag`.
int verifiable_hash(int tag, const void* data, int64_t pieces, int64_t size, void* out) {
#if defined(__x86_64__)
    if (!has_sha()) return NO_INSTRUCTIONS;
    const int64_t length = size + 1;
    // 0x80, zeros, and the length in bits as 8 bytes fill up the last block.
    const int64_t blocks = (length + 9 + BLOCK - 1) / BLOCK;
    std::vector<uint8_t> messages;
    try {
        messages.assign(2 * blocks * BLOCK, 0);
    } catch (const std::bad_alloc&) {
        return NO_MEMORY;
    }
    for (int i = 0; i < 2; ++i) {
        uint8_t* message = messages.data() + i * blocks * BLOCK;
        message[0] = uint8_t(tag);
        message[length] = 0x80;
        store(message + blocks * BLOCK - 8, uint32_t(uint64_t(length) >> 29));
        store(message + blocks * BLOCK - 4, uint32_t(uint64_t(length) << 3));
    }
    const uint8_t* piece = (const uint8_t*)data;
    uint8_t* to = (uint8_t*)out;
    for (; pieces >= 2; pieces -= 2, piece += 2 * size, to += 2 * DIGEST) {
        std::memcpy(messages.data() + 1, piece, size);
        std::memcpy(messages.data() + blocks * BLOCK + 1, piece + size, size);
        hash<2>(messages.data(), blocks, to);
    }
    if (pieces) {
        std::memcpy(messages.data() + 1, piece, size);
        hash<1>(messages.data(), blocks, to);
    }
    return DONE;
#else
    (void)tag, (void)data, (void)pieces, (void)size, (void)out;
    return NO_INSTRUCTIONS;
#endif
}

}  // extern "C"
#pragma GCC visibility pop
