// Writing JSON, and what text looks like inside a string and outside.

#include "json_text.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "json.h"
#include "rare.h"

namespace spillway {

namespace {

// The four hex digits at `at`, which are known to be there.
unsigned hex4(const char* at) {
  unsigned value = 0;
  for (int i = 0; i < 4; ++i) value = value * 16 + static_cast<unsigned>(hex_digit(at[i]));
  return value;
}

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

// What the four digits at `at` stand for, with the other half of a pair. Returns their end.
SPILLWAY_RARE std::size_t append_unit(std::string& out, std::string_view escaped, std::size_t at) {
  const unsigned unit = hex4(escaped.data() + at);
  at += 4;
  if (unit < 0xD800 || unit > 0xDFFF) {
    append_utf8(out, unit);
    return at;
  }
  const bool paired = unit < 0xDC00 && escaped.substr(at, 2) == "\\u";
  const unsigned low = paired ? hex4(escaped.data() + at + 2) : 0;
  if (low < 0xDC00 || low > 0xDFFF) {
    out.append(kReplacement);
    return at;
  }
  append_utf8(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
  return at + 6;
}

// What the escape at `at` stands for. Returns its end.
SPILLWAY_APART std::size_t append_escape(std::string& out, std::string_view escaped,
                                         std::size_t at) {
  const char kind = escaped[at + 1];
  at += 2;
  if (kind == 'u') return append_unit(out, escaped, at);
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

bool equals(JsonText text, std::string_view plain) {
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
