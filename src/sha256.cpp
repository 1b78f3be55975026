#include "sha256.h"

#include <bit>

namespace spillway {

namespace {

using Word = std::uint32_t;
constexpr std::size_t kBlockBytes = 64;

// The fractional parts of the cube roots of the first 64 primes (section 4.2.2).
constexpr std::array<Word, 64> kRounds{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// … and of the square roots of the first eight (section 5.3.3).
using State = std::array<Word, 8>;
constexpr State kStart{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

Word byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

// Section 6.2.2.
void take_block(State& state, std::string_view block) {
  std::array<Word, 64> words{};
  for (std::size_t at = 0; at < 16; ++at)
    words[at] = byte_at(block, 4 * at) << 24 | byte_at(block, 4 * at + 1) << 16 |
                byte_at(block, 4 * at + 2) << 8 | byte_at(block, 4 * at + 3);
  for (std::size_t at = 16; at < words.size(); ++at) {
    const Word low = words[at - 15];
    const Word high = words[at - 2];
    words[at] = words[at - 16] + (std::rotr(low, 7) ^ std::rotr(low, 18) ^ low >> 3) +
                words[at - 7] + (std::rotr(high, 17) ^ std::rotr(high, 19) ^ high >> 10);
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (std::size_t round = 0; round < words.size(); ++round) {
    const Word first = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                       ((e & f) ^ (~e & g)) + kRounds[round] + words[round];
    const Word second =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  const State made{a, b, c, d, e, f, g, h};
  for (std::size_t at = 0; at < state.size(); ++at) state[at] += made[at];
}

}  // namespace

std::string sha256_hex(std::string_view text) {
  // A one bit, zeros, and the length in bits fill the last block (section 5.1.1).
  std::string padded(text);
  padded += '\x80';
  while (padded.size() % kBlockBytes != kBlockBytes - 8) padded += '\0';
  const std::uint64_t bits = std::uint64_t{text.size()} * 8;
  for (int shift = 56; shift >= 0; shift -= 8) padded += static_cast<char>(bits >> shift & 0xFF);

  State state = kStart;
  for (std::size_t at = 0; at < padded.size(); at += kBlockBytes)
    take_block(state, std::string_view(padded).substr(at, kBlockBytes));

  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  for (const Word word : state)
    for (int shift = 28; shift >= 0; shift -= 4) hex += digits[word >> shift & 15];
  return hex;
}

}  // namespace spillway
