// What json.cpp and json_text.cpp both ask of the bytes of a string. Each has its own copy: the one
// is built for speed, the other for size.
#pragma once

#include <cstddef>

#include "scan.h"

namespace spillway {

// The first byte in [at, end) that is no plain inside of a string: quote, backslash, control,
// non-ASCII.
static inline const char* skip_plain(const char* at, const char* end) {
  return scan::find(
      at, end,
      [](scan::Block block) {
        return block.equal_to('"') | block.equal_to('\\') | block.not_printable();
      },
      [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte == '"' || byte == '\\' || byte < 0x20 || byte >= 0x80;
      });
}

// Length of the valid UTF-8 sequence at `at` (RFC 3629: no overlong forms, no surrogates), 0 if
// there is none.
static inline std::size_t utf8_length(const char* at, const char* end) {
  const auto byte = [at](int i) { return static_cast<unsigned char>(at[i]); };
  const auto tail = [&byte](int i) { return (byte(i) & 0xC0) == 0x80; };
  const auto left = end - at;
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return left >= 2 && tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (left < 3 || !tail(1) || !tail(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    if (lead == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (left < 4 || !tail(1) || !tail(2) || !tail(3)) return 0;
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

static constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// What the escape \uXXXX at `at` stands for, one unit of UTF-16; more than any when there is none.
static constexpr unsigned kNoUnit = 0x10000;
static constexpr std::size_t kUnitBytes = 6;
static inline unsigned unit_at(const char* at, const char* end) {
  if (end - at < static_cast<std::ptrdiff_t>(kUnitBytes) || at[0] != '\\' || at[1] != 'u')
    return kNoUnit;
  unsigned unit = 0;
  for (int i = 2; i < 6; ++i) {
    const int digit = hex_digit(at[i]);
    if (digit < 0) return kNoUnit;
    unit = unit * 16 + static_cast<unsigned>(digit);
  }
  return unit;
}

// Units that mean a character only in pairs, a high one and a low one.
static constexpr bool is_half(unsigned unit) { return unit >= 0xD800 && unit <= 0xDFFF; }
static constexpr bool is_high_half(unsigned unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
static constexpr bool is_low_half(unsigned unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

}  // namespace spillway
