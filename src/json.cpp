#include "json.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "limits.h"
#include "scan.h"

namespace spillway {

namespace {

// The first byte in [at, end) that is no plain inside of a string: quote, backslash, control,
// non-ASCII.
const char* skip_plain(const char* at, const char* end) {
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
std::size_t utf8_length(const char* at, const char* end) {
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

constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

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

// The value of a number's span, if it is short enough to look at and finite.
std::optional<double> to_double(std::string_view span) {
  if (span.empty() || span.size() > limits::number_digits_max) return std::nullopt;
  std::array<char, limits::number_digits_max + 1> text{};
  std::memcpy(text.data(), span.data(), span.size());
  const double value = std::strtod(text.data(), nullptr);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace

JsonText JsonText::plain(std::string_view text) {
  assert(skip_plain(text.data(), text.data() + text.size()) == text.data() + text.size());
  return JsonText(text);
}

namespace json {

std::string_view with_article(Type type) {
  switch (type) {
    case Type::object:
      return "an object";
    case Type::array:
      return "an array";
    case Type::string:
      return "a string";
    case Type::number:
      return "a number";
    case Type::boolean:
      return "a boolean";
    case Type::null:
      return "null";
    case Type::none:
      break;
  }
  return "nothing";
}

// Providers write hardly any: one comparison tells that there is none.
void Reader::white() {
  while (at_ < end_ && static_cast<unsigned char>(*at_) <= ' ' &&
         (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t'))
    ++at_;
}

void Reader::fail(const char* problem) {
  if (problem_ == nullptr) problem_ = problem;
  pending_ = false;
}

Type Reader::peek() {
  if (!pending_) return Type::none;
  white();
  if (at_ == end_) return Type::none;
  switch (*at_) {
    case '{':
      return Type::object;
    case '[':
      return Type::array;
    case '"':
      return Type::string;
    case 't':
    case 'f':
      return Type::boolean;
    case 'n':
      return Type::null;
    default:
      return *at_ == '-' || is_digit(*at_) ? Type::number : Type::none;
  }
}

bool Reader::enter(Type type) {
  if (peek() == type) return descend();
  skip();
  return false;
}

bool Reader::enter_object() { return enter(Type::object); }
bool Reader::enter_array() { return enter(Type::array); }

// Steps over the bracket that opens a container.
bool Reader::descend() {
  if (depth_ == limits::json_depth_max) {
    fail("nested too deeply");
    return false;
  }
  ++depth_;
  ++at_;
  comma_ = false;
  pending_ = false;
  return true;
}

// At a place where the innermost container may end: leaves it, or steps over the comma to its next
// value.
bool Reader::leave(char close) {
  if (pending_) skip();
  if (!ok()) return true;
  white();
  if (at_ == end_) {
    fail("the text ends inside a value");
    return true;
  }
  if (*at_ == close) {
    ++at_;
    --depth_;
    comma_ = true;
    return true;
  }
  if (comma_) {
    if (*at_ != ',') {
      fail(close == '}' ? "expected , or }" : "expected , or ]");
      return true;
    }
    ++at_;
    white();
  }
  return false;
}

bool Reader::next_member() {
  if (leave('}')) return false;
  std::string_view inside;
  if (at_ == end_ || *at_ != '"') {
    fail("expected a member name in quotes");
    return false;
  }
  if (!take_string(inside)) return false;
  white();
  if (at_ == end_ || *at_ != ':') {
    fail("expected : after a member name");
    return false;
  }
  ++at_;
  key_ = inside;
  if (!unescaped_key_.empty()) unescaped_key_.clear();
  if (has_escapes_) append_unescaped(unescaped_key_, JsonText::trusted(inside));
  comma_ = true;
  pending_ = true;
  return true;
}

bool Reader::next_element() {
  if (leave(']')) return false;
  comma_ = true;
  pending_ = true;
  if (peek() == Type::none) fail("expected a value");
  return ok();
}

bool Reader::take_escape() {
  ++at_;
  if (at_ == end_) return false;
  switch (*at_) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
      ++at_;
      return true;
    case 'u':
      if (end_ - at_ < 5) return false;
      for (int i = 1; i <= 4; ++i)
        if (hex_digit(at_[i]) < 0) return false;
      at_ += 5;
      return true;
    default:
      return false;
  }
}

// Steps over a run of non-ASCII characters: in most scripts they come one after another.
bool Reader::take_utf8() {
  while (at_ < end_ && static_cast<unsigned char>(*at_) >= 0x80) {
    const std::size_t length = utf8_length(at_, end_);
    if (length == 0) return false;
    at_ += length;
  }
  return true;
}

bool Reader::take_string(std::string_view& inside) {
  const char* start = ++at_;
  has_escapes_ = false;
  for (;;) {
    at_ = skip_plain(at_, end_);
    if (at_ == end_) {
      fail("a string is not closed");
      return false;
    }
    const auto byte = static_cast<unsigned char>(*at_);
    if (byte == '"') break;
    if (byte == '\\') {
      has_escapes_ = true;
      if (!take_escape()) {
        fail("an invalid escape in a string");
        return false;
      }
    } else if (byte < 0x20) {
      fail("a raw control character in a string");
      return false;
    } else if (!take_utf8()) {
      fail("a string is not valid UTF-8");
      return false;
    }
  }
  inside = std::string_view(start, static_cast<std::size_t>(at_ - start));
  ++at_;
  return true;
}

bool Reader::take_number() {
  const auto digits = [this] {
    const char* first = at_;
    while (at_ < end_ && is_digit(*at_)) ++at_;
    return at_ != first;
  };
  if (*at_ == '-') ++at_;
  if (at_ < end_ && *at_ == '0') {
    ++at_;
  } else if (!digits()) {
    return false;
  }
  if (at_ < end_ && *at_ == '.') {
    ++at_;
    if (!digits()) return false;
  }
  if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ < end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (!digits()) return false;
  }
  return true;
}

bool Reader::take_literal(std::string_view word) {
  if (std::string_view(at_, static_cast<std::size_t>(end_ - at_)).substr(0, word.size()) != word)
    return false;
  at_ += word.size();
  return true;
}

bool Reader::take_scalar(Type type) {
  bool taken = false;
  std::string_view inside;
  pending_ = false;
  switch (type) {
    case Type::string:
      return take_string(inside);
    case Type::number:
      taken = take_number();
      break;
    case Type::boolean:
      taken = take_literal(*at_ == 't' ? "true" : "false");
      break;
    case Type::null:
      taken = take_literal("null");
      break;
    default:
      break;
  }
  if (!taken) fail(at_ == end_ ? "the text ends inside a value" : "expected a value");
  return taken;
}

// Steps over a whole object or array without recursion, remembering which it is at each level.
void Reader::take_container() {
  std::array<bool, limits::json_depth_max + 1> is_object;  // set on the way down: [1] to [depth_]
  const unsigned floor = depth_;
  do {
    if (depth_ > floor && !(is_object[depth_] ? next_member() : next_element())) {
      if (!ok()) return;
      continue;  // one level up
    }
    const Type type = peek();
    if (type == Type::object || type == Type::array) {
      if (!descend()) return;
      is_object[depth_] = type == Type::object;
    } else if (!take_scalar(type)) {
      return;
    }
  } while (depth_ > floor);
}

std::string_view Reader::raw() {
  const Type type = peek();
  const char* start = at_;
  if (type == Type::object || type == Type::array) {
    take_container();
  } else {
    take_scalar(type);
  }
  if (!ok()) return {};
  return {start, static_cast<std::size_t>(at_ - start)};
}

// The span of the next value if it is of this type, else nothing. Takes it either way.
std::string_view Reader::take(Type type) {
  const bool wanted = peek() == type;
  const std::string_view span = raw();
  return wanted ? span : std::string_view();
}

std::optional<JsonText> Reader::string() {
  std::string_view inside;
  if (peek() != Type::string) {
    skip();
    return std::nullopt;
  }
  pending_ = false;
  return take_string(inside) ? std::optional(JsonText::trusted(inside)) : std::nullopt;
}

std::optional<bool> Reader::boolean() {
  const std::string_view span = take(Type::boolean);
  if (span.empty()) return std::nullopt;
  return span == "true";
}

std::optional<double> Reader::number() { return to_double(take(Type::number)); }

std::optional<std::int64_t> Reader::integer() {
  const std::string_view span = take(Type::number);
  if (span.find_first_of(".eE") != std::string_view::npos) {
    constexpr double exact = 9007199254740992.0;  // 2^53: from here on a double may be rounded
    const std::optional<double> value = to_double(span);
    if (!value || *value <= -exact || *value >= exact) return std::nullopt;
    const auto whole = static_cast<std::int64_t>(*value);
    return static_cast<double>(whole) == *value ? std::optional(whole) : std::nullopt;
  }
  if (span.empty()) return std::nullopt;
  const bool negative = span.front() == '-';
  const std::uint64_t magnitude_max = static_cast<std::uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  std::uint64_t magnitude = 0;
  for (const char c : span.substr(negative ? 1 : 0)) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (magnitude > (magnitude_max - digit) / 10) return std::nullopt;
    magnitude = magnitude * 10 + digit;
  }
  return static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
}

bool Reader::null() { return peek() == Type::null && take_scalar(Type::null); }

bool Reader::finish() {
  if (!ok()) return false;
  if (depth_ != 0) {
    fail("the text ends inside a value");
    return false;
  }
  if (pending_) skip();
  if (!ok()) return false;
  white();
  if (at_ != end_) fail("more text after the value");
  return ok();
}

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
  comma();
  out_.push_back('"');
  append_escaped(out_, plain);
  out_.append("\":");
  comma_ = false;
  return *this;
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
  append_decimal(out_, value, 0);
  return *this;
}

Writer& Writer::raw(std::string_view value) {
  comma();
  out_.append(value);
  return *this;
}

void append_escaped(std::string& out, std::string_view plain) {
  constexpr std::string_view hex = "0123456789abcdef";
  const char* at = plain.data();
  const char* const end = at + plain.size();
  while (at < end) {
    const char* stop = skip_plain(at, end);
    out.append(at, stop);
    at = stop;
    if (at == end) break;
    const auto byte = static_cast<unsigned char>(*at);
    if (byte >= 0x80) {
      const std::size_t length = utf8_length(at, end);
      out.append(length == 0 ? kReplacement : std::string_view(at, length));
      at += length == 0 ? 1 : length;
      continue;
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
    ++at;
  }
}

void append_unescaped(std::string& out, JsonText text) {
  const std::string_view escaped = text.escaped();
  std::size_t at = 0;
  while (at < escaped.size()) {
    const std::size_t stop = std::min(escaped.find('\\', at), escaped.size());
    out.append(escaped.substr(at, stop - at));
    at = stop;
    if (at == escaped.size()) break;
    const char kind = escaped[at + 1];
    at += 2;
    switch (kind) {
      case 'b':
        out.push_back('\b');
        continue;
      case 'f':
        out.push_back('\f');
        continue;
      case 'n':
        out.push_back('\n');
        continue;
      case 'r':
        out.push_back('\r');
        continue;
      case 't':
        out.push_back('\t');
        continue;
      case 'u':
        break;
      default:
        out.push_back(kind);
        continue;  // quote, backslash, slash stand for themselves
    }
    const unsigned unit = hex4(escaped.data() + at);
    at += 4;
    if (unit < 0xD800 || unit > 0xDFFF) {
      append_utf8(out, unit);
      continue;
    }
    const bool paired = unit < 0xDC00 && escaped.substr(at, 2) == "\\u";
    const unsigned low = paired ? hex4(escaped.data() + at + 2) : 0;
    if (low >= 0xDC00 && low <= 0xDFFF) {
      append_utf8(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
      at += 6;
    } else {
      out.append(kReplacement);
    }
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

bool valid(std::string_view text, Type type) {
  Reader in(text);
  if (type != Type::none && in.peek() != type) return false;
  return in.finish();
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
