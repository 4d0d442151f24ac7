// SHA-256 of messages that are a tag byte and then elements in big-endian order.
#pragma once

#include <cstdint>

namespace verifiable {

constexpr std::int64_t DIGEST = 32;

// How many messages may be hashed at a time.
constexpr int ABREAST = 16;
// From how many on it pays to hash each in a lane of a vector.
constexpr int FEWEST_LANES = 10;

// Whether the processor has the instructions that `hash_messages` needs.
bool has_sha();

// Hashes `count` messages, 1 .. ABREAST of them. Each is `tag` and then `size` bytes at `from`: whole
// elements of `width` (1, 4 or 8) bytes in the order of this machine, which are turned over.
void hash_messages(std::uint8_t tag, int count, const std::uint8_t* const* from, std::int64_t size,
                   int width, std::uint8_t* const* to);

// The same by one vector; false if this build has none as wide as that, and nothing is done.
bool hash_in_lanes(std::uint8_t tag, int count, const std::uint8_t* const* from,
                   std::int64_t size, int width, std::uint8_t* const* to);

}  // namespace verifiable
