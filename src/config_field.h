// One value of a config and where it stands. Reading a value that is not as expected fills the problem: the first one stays, with the
// path of the field and what was expected there.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "config.h"

namespace spillway {

using Tree = nlohmann::json;

template <class Value>
struct Word {
  std::string_view word;
  Value value;
};

inline std::string_view kind_of(const Tree& value) {
  switch (value.type()) {
    case Tree::value_t::object: return "an object";
    case Tree::value_t::array: return "an array";
    case Tree::value_t::string: return "a string";
    case Tree::value_t::boolean: return "a boolean";
    case Tree::value_t::null: return "null";
    default: return "a number";
  }
}

class Field {
 public:
  Field(const Tree& value, std::string path, ConfigProblem& problem)
      : value_(value), path_(std::move(path)), problem_(problem) {}

  bool refuse(std::string message) const {
    if (problem_.message.empty()) problem_ = {path_, std::move(message)};
    return false;
  }
  bool expected(std::string_view what) const {
    return refuse("expected " + std::string(what) + ", got " + std::string(kind_of(value_)));
  }
  [[nodiscard]] Field at(std::string_view name, const Tree& value) const {
    return {value, path_.empty() ? std::string(name) : path_ + "." + std::string(name), problem_};
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const Tree& value() const { return value_; }

  // Calls read(name, field) for each member; false when it is no object or a read was refused.
  template <class Read>
  bool members(Read read) const {
    if (!value_.is_object()) return expected("an object");
    for (auto member = value_.begin(); member != value_.end(); ++member)
      if (!read(member.key(), at(member.key(), member.value()))) return false;
    return true;
  }
  template <class Read>
  bool elements(std::string_view what, Read read) const {
    if (!value_.is_array()) return expected(what);
    for (std::size_t index = 0; index < value_.size(); ++index)
      if (!read(Field(value_[index], path_ + "[" + std::to_string(index) + "]", problem_))) return false;
    return true;
  }

  bool text(std::string& out) const {
    if (!value_.is_string()) return expected("a string");
    out = value_.get_ref<const std::string&>();
    return true;
  }
  bool boolean(bool& out) const {
    if (!value_.is_boolean()) return expected("true or false");
    out = value_.get<bool>();
    return true;
  }
  template <class Integer>
  bool integer(Integer& out, std::int64_t min, std::int64_t max) const {
    const std::string range = "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
    if (!value_.is_number()) return expected(range);
    const double number = value_.get<double>();
    if (number != std::floor(number) || number < static_cast<double>(min) || number > static_cast<double>(max))
      return refuse("expected " + range + ", got " + value_.dump());
    out = static_cast<Integer>(number);
    return true;
  }
  bool price(Price& out) const {
    if (!value_.is_number() || value_.get<double>() < 0 || value_.get<double>() > 1e6)
      return value_.is_number() ? refuse("expected USD per million tokens, 0 or more, got " + value_.dump())
                                : expected("a number: USD per million tokens");
    out = Price::usd_per_million(value_.get<double>());
    return true;
  }
  template <class Value, std::size_t N>
  bool word(Value& out, const Word<Value> (&words)[N]) const {
    std::string choices;
    for (const Word<Value>& row : words) {
      if (value_.is_string() && value_.get_ref<const std::string&>() == row.word) {
        out = row.value;
        return true;
      }
      choices += (choices.empty() ? "" : ", ") + std::string(row.word);
    }
    if (!value_.is_string()) return expected("one of " + choices);
    return refuse("expected one of " + choices + ", got \"" + value_.get_ref<const std::string&>() + "\"");
  }
  // A list of names, each a bit.
  template <class Rows>
  bool bits(std::uint32_t& out, const Rows& rows) const {
    out = 0;
    return elements("an array of names", [&out, &rows](const Field& name) {
      std::string text;
      if (!name.text(text)) return false;
      std::string choices;
      for (const auto& row : rows) {
        if (row.name == text) {
          out |= row.bit;
          return true;
        }
        choices += (choices.empty() ? "" : ", ") + std::string(row.name);
      }
      return name.refuse("expected one of " + choices + ", got \"" + text + "\"");
    });
  }
  [[nodiscard]] bool unknown(std::string_view choices) const {
    return refuse("unknown field; expected one of " + std::string(choices));
  }

 private:
  const Tree& value_;
  std::string path_;
  ConfigProblem& problem_;
};

}  // namespace spillway
