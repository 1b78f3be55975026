// Small tools for plain text.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "limits.h"

namespace spillway {

// Calls take(piece) for each piece of `text` between separators; empty pieces are left out.
template <class Take>
void split(std::string_view text, char separator, Take take) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end != 0) take(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view white = " \t\r\n";
  const std::size_t first = text.find_first_not_of(white);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(white) - first + 1);
}

// ASCII alone.
[[nodiscard]] inline std::string lowered(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return lower;
}

// At most `bytes_max` bytes of UTF-8, cut at a character.
[[nodiscard]] inline std::string_view beginning(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

// A text of a client's as an error quotes it: whole, or its beginning.
[[nodiscard]] inline std::string quote(std::string_view text) {
  if (text.size() <= limits::quote_bytes_max) return std::string(text);
  return std::string(beginning(text, limits::quote_bytes_max)) + "…";
}

[[nodiscard]] inline bool starts_with(std::string_view text, std::string_view beginning) {
  return text.substr(0, beginning.size()) == beginning;
}

}  // namespace spillway
