#include "mend.h"

#include <algorithm>
#include <array>

#include "json.h"
#include "limits.h"

namespace spillway {

namespace {

// Follows JSON that is known to be valid as far as it goes: only its structure, no checks.
class Follower {
 public:
  bool follow(std::string_view text);
  // `text` is what was followed.
  void close(std::string_view text, std::string& out) const;
  [[nodiscard]] bool has_member() const { return has_member_; }

 private:
  enum class Place : std::uint8_t { before_key, after_key, before_value, after_value };

  void take(char c);
  void take_in_string(char c);
  void close_string(std::string_view text, std::string& out) const;
  void close_literal(std::string& out) const;

  std::array<bool, limits::json_depth_max + 1> is_object_{};
  unsigned depth_ = 0;
  bool too_deep_ = false;
  bool ended_ = false;
  bool in_string_ = false;
  bool after_comma_ = false;
  bool has_member_ = false;  // the outermost object has one
  std::string escape_;       // an escape so far, from its backslash on
  bool high_ = false;        // right behind the escape of a high surrogate
  std::string literal_;      // a number, true, false or null so far
  Place place_ = Place::before_value;
};

constexpr std::size_t kUnicodeEscapeBytes = 6;  // \u0000

bool is_high_surrogate(std::string_view escape) {
  return escape.size() == kUnicodeEscapeBytes && (escape[2] | 0x20) == 'd' &&
         std::string_view("89abAB").find(escape[3]) != std::string_view::npos;
}

void Follower::take_in_string(char c) {
  if (!escape_.empty()) {
    escape_.push_back(c);
    if (escape_[1] == 'u' && escape_.size() < kUnicodeEscapeBytes) return;
    high_ = is_high_surrogate(escape_);
    escape_.clear();
    return;
  }
  if (c == '\\') {
    escape_.push_back(c);
    return;
  }
  high_ = false;
  if (c == '"') {
    in_string_ = false;
    place_ = place_ == Place::before_key ? Place::after_key : Place::after_value;
  }
}

void Follower::take(char c) {
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
    literal_.clear();
    return;
  }
  after_comma_ = c == ',';
  switch (c) {
    case '{':
    case '[':
      if (depth_ == limits::json_depth_max) {
        too_deep_ = true;
        break;
      }
      is_object_[++depth_] = c == '{';
      place_ = c == '{' ? Place::before_key : Place::before_value;
      break;
    case '}':
    case ']':
      if (depth_ > 0) --depth_;
      ended_ = depth_ == 0;
      place_ = Place::after_value;
      break;
    case ':':
      place_ = Place::before_value;
      break;
    case ',':
      place_ = is_object_[depth_] ? Place::before_key : Place::before_value;
      break;
    case '"':
      in_string_ = true;
      if (depth_ == 1) has_member_ = true;
      break;
    default:
      literal_.push_back(c);
      place_ = Place::after_value;
      return;
  }
  literal_.clear();
}

bool Follower::follow(std::string_view text) {
  for (const char c : text) {
    if (ended_ || too_deep_) return false;
    if (in_string_) {
      take_in_string(c);
    } else {
      take(c);
    }
    if (depth_ == 0) return false;
    // A number: nothing but its last byte is asked for, and no word begins with one of those.
    if (literal_.size() > limits::number_digits_max) literal_.erase(0, literal_.size() - 1);
  }
  return depth_ > 0 && is_object_[1] && !too_deep_;
}

// What completes the UTF-8 sequence that the end of `text` cuts (RFC 3629), if it cuts one.
std::string rest_of_sequence(std::string_view text) {
  constexpr std::size_t sequence_bytes_max = 4;
  for (std::size_t back = 1; back < sequence_bytes_max && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t bytes = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    if (back >= bytes) return {};
    std::string rest(bytes - back, '\x80');
    // Behind these two, a lower byte would make an overlong form.
    if (back == 1 && byte == 0xE0) rest[0] = '\xA0';
    if (back == 1 && byte == 0xF0) rest[0] = '\x90';
    return rest;
  }
  return {};
}

void Follower::close_string(std::string_view text, std::string& out) const {
  if (!in_string_) return;
  out += rest_of_sequence(text);
  // Half of a surrogate pair gets its other half: strict readers refuse one alone.
  constexpr std::string_view low = "\\udc00";
  if (high_) {
    out += low.substr(escape_.size());
  } else if (escape_.size() == 1) {
    out.push_back('\\');  // a lone backslash becomes an escaped one
  } else if (!escape_.empty()) {
    std::string whole = escape_;
    whole.resize(kUnicodeEscapeBytes, '0');
    out += whole.substr(escape_.size());
    if (is_high_surrogate(whole)) out += low;
  }
  out.push_back('"');
}

void Follower::close_literal(std::string& out) const {
  if (literal_.empty()) return;
  for (const std::string_view word : {"true", "false", "null"})
    if (word.substr(0, literal_.size()) == literal_) {
      out += word.substr(literal_.size());
      return;
    }
  const char last = literal_.back();
  if (last < '0' || last > '9') out.push_back('0');  // "-", "1." and "1e" want a digit
}

void Follower::close(std::string_view text, std::string& out) const {
  close_string(text, out);
  close_literal(out);
  const bool in_key = in_string_ && place_ == Place::before_key;
  if (in_key || place_ == Place::after_key) {
    out += ":null";
  } else if (!in_string_ && place_ == Place::before_value) {
    out += "null";
  } else if (!in_string_ && place_ == Place::before_key && after_comma_) {
    out += "\"\":null";
  }
  for (unsigned depth = depth_; depth > 1; --depth) out.push_back(is_object_[depth] ? '}' : ']');
}

}  // namespace

bool mend_object(std::string_view cut, std::string& out, bool& needs_comma) {
  Follower follower;
  if (!follower.follow(cut)) return false;
  follower.close(cut, out);
  needs_comma = follower.has_member();
  return true;
}

bool complete_object(std::string_view cut, std::string_view needed, std::string& out) {
  std::string object(cut);
  bool needs_comma = false;
  if (!mend_object(cut, object, needs_comma)) return false;
  object += '}';
  std::string more;
  const std::size_t colon = std::min(needed.find(':'), needed.size());
  bool has_needed = needed.empty();
  json::Reader in(object);
  if (in.enter_object())
    while (in.next_member()) {
      std::string name;
      json::Writer(name).string(in.key());
      const std::string_view value = in.raw();
      const bool is_whole = value.data() + value.size() <= object.data() + cut.size();
      if (needed.substr(0, colon) == name) {
        has_needed = is_whole && needed.substr(colon + 1) == value;
      } else if (!is_whole && !value.empty() && (value.front() == '{' || value.front() == '[')) {
        more = ',' + name + ":null";
      }
    }
  object.pop_back();
  if (!has_needed) {
    if (needs_comma) more += ',';
    more += needed;
  }
  out += object.substr(cut.size()) + more + '}';
  return true;
}

}  // namespace spillway
