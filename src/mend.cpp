#include "mend.h"

#include <array>

#include "limits.h"

namespace spillway {

namespace {

// Follows JSON that is known to be valid as far as it goes: only its structure, no checks.
class Follower {
 public:
  bool follow(std::string_view text);
  void close(std::string& out) const;
  [[nodiscard]] bool has_member() const { return has_member_; }

 private:
  enum class Place : std::uint8_t { before_key, after_key, before_value, after_value };

  void take(char c);
  void take_in_string(char c);
  void close_string(std::string& out) const;
  void close_literal(std::string& out) const;

  std::array<bool, limits::json_depth_max + 1> is_object_{};
  unsigned depth_ = 0;
  bool too_deep_ = false;
  bool ended_ = false;
  bool in_string_ = false;
  bool after_comma_ = false;
  bool has_member_ = false;     // the outermost object has one
  unsigned escape_left_ = 0;    // bytes of an escape still to come
  bool escape_began_ = false;   // the byte after a backslash comes next
  std::string literal_;         // a number, true, false or null so far
  Place place_ = Place::before_value;
};

void Follower::take_in_string(char c) {
  if (escape_began_) {
    escape_began_ = false;
    escape_left_ = c == 'u' ? 4 : 0;
  } else if (escape_left_ > 0) {
    --escape_left_;
  } else if (c == '\\') {
    escape_began_ = true;
  } else if (c == '"') {
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
    case ':': place_ = Place::before_value; break;
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
    if (literal_.size() > limits::number_digits_max) literal_.resize(1);
  }
  return depth_ > 0 && is_object_[1] && !too_deep_;
}

void Follower::close_string(std::string& out) const {
  if (!in_string_) return;
  if (escape_began_) out.push_back('\\');  // a lone backslash becomes an escaped one
  out.append(escape_left_, '0');
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

void Follower::close(std::string& out) const {
  close_string(out);
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
  follower.close(out);
  needs_comma = follower.has_member();
  return true;
}

}  // namespace spillway
