#include "json.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "json_text.h"
#include "limits.h"
#include "rare.h"

namespace spillway {

namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::array kPowersOfTen{1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// The double nearest to a number of few digits: one product or quotient of two that are exact, so
// it is rounded once (W. D. Clinger, How to Read Floating Point Numbers Accurately, 1990). Whatever
// people write is of this kind.
std::optional<double> short_double(std::string_view span) {
  constexpr std::uint64_t exact = 1ULL << 53;
  const bool negative = span.front() == '-';
  std::size_t at = negative ? 1 : 0;
  std::uint64_t digits = 0;
  int scale = 0;
  for (bool fraction = false; at < span.size() && (span[at] | 0x20) != 'e'; ++at) {
    if (span[at] == '.') {
      fraction = true;
      continue;
    }
    if (digits >= exact / 10) return std::nullopt;
    digits = digits * 10 + static_cast<std::uint64_t>(span[at] - '0');
    if (fraction) --scale;
  }
  if (at < span.size()) {
    const bool below = span[++at] == '-';
    if (!is_digit(span[at])) ++at;
    constexpr int exponent_max = 99;
    int exponent = 0;
    for (; at < span.size(); ++at) {
      exponent = exponent * 10 + (span[at] - '0');
      if (exponent > exponent_max) return std::nullopt;
    }
    scale += below ? -exponent : exponent;
  }
  const auto power = static_cast<std::size_t>(scale < 0 ? -scale : scale);
  if (power >= kPowersOfTen.size()) return std::nullopt;
  const auto whole = static_cast<double>(digits);
  const double value = scale < 0 ? whole / kPowersOfTen[power] : whole * kPowersOfTen[power];
  return negative ? -value : value;
}

SPILLWAY_RARE std::optional<double> any_double(std::string_view span) {
  std::array<char, limits::number_digits_max + 1> text{};
  std::memcpy(text.data(), span.data(), span.size());
  const double value = std::strtod(text.data(), nullptr);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

// The value of a number's span, if it is short enough to look at and finite.
SPILLWAY_RARE std::optional<double> to_double(std::string_view span) {
  if (span.empty() || span.size() > limits::number_digits_max) return std::nullopt;
  const std::optional<double> value = short_double(span);
  return value ? value : any_double(span);
}

SPILLWAY_RARE std::optional<std::int64_t> whole_of(std::optional<double> value) {
  constexpr double exact = 9007199254740992.0;  // 2^53: from here on a double may be rounded
  if (!value || *value <= -exact || *value >= exact) return std::nullopt;
  const auto whole = static_cast<std::int64_t>(*value);
  return static_cast<double>(whole) == *value ? std::optional(whole) : std::nullopt;
}

}  // namespace

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

void MemberName::unescape() {
  append_unescaped(own_, JsonText::trusted(escaped_));
  plain_ = own_;
}

void Reader::take_white() {
  while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
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
  key_.set(inside);
  if (has_escapes_) key_.unescape();
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
      return take_unicode_escape();
    default:
      return false;
  }
}

bool Reader::take_unicode_escape() {
  const unsigned unit = unit_at(at_ - 1, end_);
  if (unit == kNoUnit) return false;
  at_ += kUnitBytes - 1;
  if (!is_half(unit)) return true;
  if (is_high_half(unit) && is_low_half(unit_at(at_, end_))) {
    at_ += kUnitBytes;
  } else {
    has_halves_ = true;
  }
  return true;
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
  if (span.empty()) return std::nullopt;
  const bool negative = span.front() == '-';
  const std::uint64_t magnitude_max = static_cast<std::uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  std::uint64_t magnitude = 0;
  for (const char c : span.substr(negative ? 1 : 0)) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    // 1e3 and 1.0 are whole numbers too. What is too large is so as a double as well.
    if (!is_digit(c) || magnitude > (magnitude_max - digit) / 10) return whole_of(to_double(span));
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

bool is_empty(std::string_view value) {
  if (value == "null") return true;
  if (value.size() < 2 || std::string_view("\"[{").find(value.front()) == std::string_view::npos)
    return false;
  const std::string_view inside = value.substr(1, value.size() - 2);
  const std::size_t filled = inside.find_first_not_of(" \n\r\t");
  return value.front() == '"' ? inside.empty() : filled == std::string_view::npos;
}

bool valid(std::string_view text, Type type) {
  Reader in(text);
  if (type != Type::none && in.peek() != type) return false;
  return in.finish();
}

}  // namespace json
}  // namespace spillway
