#include "log.h"

#include <algorithm>
#include <string>

namespace spillway {

namespace {

struct Range {
  char32_t first, last;
};
constexpr Range kEscaped[] = {
    {0x61C, 0x61C},    // Arabic letter mark
    {0x200E, 0x200F},  // marks of direction
    {0x7F, 0x9F},      // DEL and C1: 0x9B begins what a terminal obeys
    {0x2028, 0x2029},  // line and paragraph separator
    {0x202A, 0x202E},  // embeddings and overrides
    {0x2066, 0x2069},  // isolates
};

// The character at `at`, if it has one to three bytes, and how many.
struct Character {
  char32_t code;
  std::size_t size;
};
Character character_at(std::string_view line, std::size_t at) {
  const auto byte = [line, at](std::size_t offset) {
    return at + offset < line.size() ? static_cast<unsigned char>(line[at + offset]) : 0U;
  };
  const unsigned lead = byte(0);
  if (lead < 0xC0) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {0, 4};
}

SPILLWAY_RARE std::string escaped(std::string_view line) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  for (std::size_t at = 0; at < line.size();) {
    const Character character = character_at(line, at);
    bool is_escaped = false;
    for (const Range& range : kEscaped)
      is_escaped = is_escaped || (range.first <= character.code && character.code <= range.last);
    if (is_escaped) {
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) out += hex[character.code >> shift & 15];
    } else {
      out += line.substr(at, character.size);
    }
    at += character.size;
  }
  return out;
}

// Whether there may be one: most lines are printable ASCII.
bool may_need_escapes(std::string_view line) {
  return std::any_of(line.begin(), line.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x7F; });
}

}  // namespace

void write_log(Actions& actions, LogLevel level, std::string_view line) {
  if (may_need_escapes(line)) return actions.log(level, escaped(line));
  actions.log(level, line);
}

}  // namespace spillway
