// Writing JSON, and what text looks like inside a string and outside.

#include "json_text.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "json.h"
#include "rare.h"
#include "text.h"

namespace spillway {

namespace {

void append_utf8(std::string& out, unsigned code) {
  const auto put = [&out](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

[[maybe_unused]] bool is_plain(std::string_view text) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  return skip_plain(begin, end) == end;
}

}  // namespace

JsonText JsonText::plain(std::string_view text) {
  assert(is_plain(text));
  return JsonText(text);
}

namespace json {

void Writer::comma() {
  if (comma_) out_.push_back(',');
  comma_ = true;
}

Writer& Writer::open(char bracket) {
  comma();
  out_.push_back(bracket);
  comma_ = false;
  return *this;
}

Writer& Writer::close(char bracket) {
  out_.push_back(bracket);
  comma_ = true;
  return *this;
}

Writer& Writer::key(std::string_view plain) {
  assert(is_plain(plain));
  comma();
  out_.push_back('"');
  out_.append(plain);
  out_.append("\":");
  comma_ = false;
  return *this;
}

Writer& Writer::key(JsonText name) {
  begin_text();
  out_.append(name.escaped());
  out_.append("\":");
  comma_ = false;
  return *this;
}

Writer& Writer::any_key(std::string_view name) {
  std::string escaped;
  append_escaped(escaped, name);
  return key(JsonText::trusted(escaped));
}

Writer& Writer::begin_text() {
  comma();
  out_.push_back('"');
  return *this;
}

Writer& Writer::end_text() {
  out_.push_back('"');
  return *this;
}

namespace {

// One character that is no plain ASCII, or must not stand in a string as it is. Returns its end.
SPILLWAY_RARE const char* append_special(std::string& out, const char* at, const char* end) {
  constexpr std::string_view hex = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(*at);
  if (byte >= 0x80) {
    const std::size_t length = utf8_length(at, end);
    out.append(length == 0 ? kReplacement : std::string_view(at, length));
    return at + (length == 0 ? 1 : length);
  }
  switch (byte) {
    case '"':
      out.append("\\\"");
      break;
    case '\\':
      out.append("\\\\");
      break;
    case '\n':
      out.append("\\n");
      break;
    case '\r':
      out.append("\\r");
      break;
    case '\t':
      out.append("\\t");
      break;
    default:
      out.append("\\u00");
      out.push_back(hex[byte >> 4]);
      out.push_back(hex[byte & 15]);
  }
  return at + 1;
}

}  // namespace

Writer& Writer::text(JsonText text) {
  begin_text();
  out_.append(text.escaped());
  return end_text();
}

Writer& Writer::string(std::string_view plain) {
  begin_text();
  append_escaped(out_, plain);
  return end_text();
}

Writer& Writer::integer(std::int64_t value) {
  comma();
  append_integer(out_, value);
  return *this;
}

Writer& Writer::raw(std::string_view value) {
  comma();
  out_.append(value);
  return *this;
}

void append_escaped(std::string& out, std::string_view plain) {
  const char* at = plain.data();
  const char* const end = at + plain.size();
  while (at < end) {
    const char* const stop = skip_plain(at, end);
    out.append(at, static_cast<std::size_t>(stop - at));
    at = stop == end ? end : append_special(out, stop, end);
  }
}

namespace {

unsigned unit_in(std::string_view escaped, std::size_t at) {
  return at < escaped.size() ? unit_at(escaped.data() + at, escaped.data() + escaped.size())
                             : kNoUnit;
}

// What the \uXXXX at `at` stands for, with the other half of a pair. Returns its end.
SPILLWAY_RARE std::size_t append_unit(std::string& out, std::string_view escaped, std::size_t at) {
  const unsigned unit = unit_in(escaped, at);
  at += kUnitBytes;
  if (!is_half(unit)) {
    append_utf8(out, unit);
    return at;
  }
  const unsigned low = is_high_half(unit) ? unit_in(escaped, at) : kNoUnit;
  if (!is_low_half(low)) {
    out.append(kReplacement);
    return at;
  }
  append_utf8(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
  return at + kUnitBytes;
}

// What the escape at `at` stands for. Returns its end.
SPILLWAY_APART std::size_t append_escape(std::string& out, std::string_view escaped,
                                         std::size_t at) {
  const char kind = escaped[at + 1];
  if (kind == 'u') return append_unit(out, escaped, at);
  at += 2;
  // Quote, backslash, slash stand for themselves.
  constexpr std::string_view letters = "bfnrt";
  constexpr std::string_view controls = "\b\f\n\r\t";
  const std::size_t letter = letters.find(kind);
  out.push_back(letter == std::string_view::npos ? kind : controls[letter]);
  return at;
}

}  // namespace

void append_unescaped(std::string& out, JsonText text) {
  const std::string_view escaped = text.escaped();
  for (std::size_t at = 0; at < escaped.size();) {
    const std::size_t stop = std::min(escaped.find('\\', at), escaped.size());
    out.append(escaped.substr(at, stop - at));
    at = stop == escaped.size() ? stop : append_escape(out, escaped, stop);
  }
}

std::string unescaped(JsonText text) {
  std::string out;
  append_unescaped(out, text);
  return out;
}

namespace {

// Unicode's White_Space, and what Python strips beside it.
constexpr bool is_white(unsigned code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
         code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

// Bytes of the white space that begins at `at`, 0 when something else does.
SPILLWAY_RARE std::size_t white_length(std::string_view escaped, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(escaped[at + i]); };
  if (byte(0) == '\\') {
    if (byte(1) == 'u') return is_white(unit_in(escaped, at)) ? kUnitBytes : 0;
    return std::string_view("fnrt").find(escaped[at + 1]) != std::string_view::npos ? 2 : 0;
  }
  if (byte(0) < 0x80) return byte(0) == ' ' ? 1 : 0;
  const std::size_t length = utf8_length(escaped.data() + at, escaped.data() + escaped.size());
  unsigned code = 0;
  if (length == 2) code = (byte(0) & 0x1FU) << 6 | (byte(1) & 0x3FU);
  if (length == 3) code = (byte(0) & 0x0FU) << 12 | (byte(1) & 0x3FU) << 6 | (byte(2) & 0x3FU);
  return is_white(code) ? length : 0;
}

}  // namespace

bool is_blank(JsonText text) {
  const std::string_view escaped = text.escaped();
  for (std::size_t at = 0; at < escaped.size();) {
    const auto byte = static_cast<unsigned char>(escaped[at]);
    if (byte > ' ' && byte < 0x80 && byte != '\\') return false;
    const std::size_t white = white_length(escaped, at);
    if (white == 0) return false;
    at += white;
  }
  return true;
}

JsonText without_white_end(JsonText text) {
  const std::string_view escaped = text.escaped();
  std::size_t size = 0;
  for (std::size_t at = 0; at < escaped.size();) {
    const std::size_t white = white_length(escaped, at);
    at += white != 0 ? white : escaped[at] == '\\' ? 2 : 1;
    if (white == 0) size = at;
  }
  return JsonText::trusted(escaped.substr(0, size));
}

void mend_halves(std::string& text, std::size_t begin) {
  for (std::size_t at = text.find('\\', begin); at < text.size(); at = text.find('\\', at)) {
    const unsigned unit = unit_in(text, at);
    if (unit == kNoUnit) {
      at += 2;
    } else if (is_high_half(unit) && is_low_half(unit_in(text, at + kUnitBytes))) {
      at += 2 * kUnitBytes;
    } else {
      if (is_half(unit)) text.replace(at + 2, 4, "fffd");
      at += kUnitBytes;
    }
  }
}

std::string quoted(JsonText text) {
  constexpr std::size_t bytes_max = kEscapeBytesMax * limits::quote_bytes_max;
  std::string_view span = text.escaped();
  if (span.size() <= bytes_max) return quote(unescaped(text));
  span = beginning(span, bytes_max);
  // Not in the middle of an escape: the last of an odd number of backslashes begins one.
  const std::size_t escape = span.find_last_of('\\');
  if (escape != std::string_view::npos && span.size() - escape < kEscapeBytesMax) {
    const std::size_t plain = span.find_last_not_of('\\', escape) + 1;
    if ((escape - plain) % 2 == 0) span = span.substr(0, escape);
  }
  return quote(unescaped(JsonText::trusted(span)) + "…");
}

bool equals(JsonText text, std::string_view plain) {
  if (text.escaped().size() > kEscapeBytesMax * plain.size()) return false;
  if (text.escaped().find('\\') == std::string_view::npos) return text.escaped() == plain;
  return unescaped(text) == plain;
}

void append_integer(std::string& out, std::int64_t value) {
  std::array<char, 20> digits;  // 19 and a sign
  std::size_t at = digits.size();
  auto rest = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  do {
    digits[--at] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (value < 0) digits[--at] = '-';
  out.append(digits.data() + at, digits.size() - at);
}

void append_decimal(std::string& out, std::int64_t units, int decimals) {
  assert(decimals >= 0 && decimals <= 18);
  std::array<char, 24> digits{};  // 19 digits, a point and a sign
  char* const end = digits.data() + digits.size();
  char* at = end;
  auto rest = units < 0 ? 0 - static_cast<std::uint64_t>(units) : static_cast<std::uint64_t>(units);
  while (decimals > 0 && rest % 10 == 0) {
    rest /= 10;
    --decimals;
  }
  int written = 0;
  while (rest != 0 || written <= decimals) {
    if (written == decimals && decimals != 0) *--at = '.';
    *--at = static_cast<char>('0' + rest % 10);
    rest /= 10;
    ++written;
  }
  if (units < 0) *--at = '-';
  out.append(at, end);
}

}  // namespace json
}  // namespace spillway
