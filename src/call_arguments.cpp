#include "call_arguments.h"

#include <algorithm>
#include <string_view>

#include "json_text.h"

namespace spillway {

namespace {

// One character as it is written inside a JSON string: how many bytes, and what it is, as far as
// the structure of JSON is made of it; anything else is 'x'.
struct Unit {
  std::size_t size;
  char c;
};

Unit unit_at(std::string_view escaped) {
  if (escaped[0] != '\\') return {1, escaped[0]};
  const std::string_view unit = escaped.substr(0, escaped.substr(0, 2) == "\\u" ? 6 : 2);
  if (unit.size() == 6) {
    const int low = hex_digit(unit[4]) * 16 + hex_digit(unit[5]);
    return {6, unit.substr(2, 2) == "00" && low < 0x80 ? static_cast<char>(low) : 'x'};
  }
  const char second = unit.back();
  if (second == '"' || second == '\\') return {2, second};
  return {unit.size(), second == 'n' || second == 't' || second == 'r' ? ' ' : 'x'};
}

}  // namespace

void CallArguments::take(char c, std::string_view written) {
  const bool is_white = c == ' ' || c == '\n' || c == '\t' || c == '\r';
  begun_ = begun_ || !is_white;
  if (!is_white || in_string_)  // FNV-1a
    for (const char byte : written)
      hash_ = (hash_ ^ static_cast<unsigned char>(byte)) * 0x100000001B3ULL;
  if (escaped_) {
    escaped_ = false;
  } else if (in_string_) {
    escaped_ = c == '\\';
    in_string_ = c != '"';
  } else if (c == '"') {
    in_string_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if ((c == '}' || c == ']') && depth_ > 0) {
    whole_ = --depth_ == 0;
  }
}

JsonText CallArguments::follow(JsonText fragment) {
  const std::string_view text = fragment.escaped();
  std::size_t at = 0;
  while (at < text.size() && !whole_) {
    const Unit unit = unit_at(text.substr(at));
    take(unit.c, text.substr(at, unit.size));
    at += std::min(unit.size, text.size() - at);
  }
  return JsonText::trusted(text.substr(0, at));
}

}  // namespace spillway
