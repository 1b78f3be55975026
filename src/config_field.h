// One value of a config and where it stands. Reading a value that is not as expected fills the
// problem: the first one stays, with the path of the field and what was expected there.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config.h"
#include "json.h"
#include "rare.h"
#include "text.h"

namespace spillway {

// Nothing of a message is made before it is needed: a start reads dozens of fields, all of them
// good.
class Field {
 public:
  // `value` is one valid JSON value. It outlives the field, and so does `path`.
  Field(std::string_view value, std::string_view path, ConfigProblem& problem)
      : value_(value), name_(path), problem_(problem) {}

  SPILLWAY_RARE bool refuse(std::string_view message) const {
    if (problem_.message.empty()) problem_ = {path(), std::string(message)};
    return false;
  }
  SPILLWAY_RARE bool expected(std::string_view what) const {
    return refuse("expected " + std::string(what) + ", got " + std::string(with_article(type())));
  }
  // A member of this one, which it must not outlive; `name` neither.
  [[nodiscard]] Field at(std::string_view name, std::string_view value) const {
    return {*this, name, value};
  }
  // For a message about a member that is not there.
  [[nodiscard]] Field missing(std::string_view name) const { return at(name, "null"); }
  [[nodiscard]] json::Type type() const { return json::Reader(value_).peek(); }
  [[nodiscard]] std::string_view value() const { return value_; }
  // "routes.fast.chain[2]"
  [[nodiscard]] std::string path() const {
    std::string path = parent_ == nullptr ? "" : parent_->path();
    if (index_ != kNoElement) return path + "[" + std::to_string(index_) + "]";
    if (!path.empty()) path += '.';
    path += name_;
    return path;
  }

  // Whether `text`, which stands here, is JSON.
  [[nodiscard]] bool holds_json(std::string_view text) const {
    json::Reader in(text);
    in.skip();
    return in.finish() || refuse_json(in);
  }
  // Calls read(name, field) for each member; false when it is no object or a read was refused.
  template <class Read>
  bool members(const Read& read) const {
    return each_member(&read, [](const void* it, const std::string& name, const Field& field) {
      return (*static_cast<const Read*>(it))(name, field);
    });
  }
  template <class Read>
  bool elements(std::string_view what, const Read& read) const {
    return each_element(what, &read, [](const void* it, const std::string&, const Field& field) {
      return (*static_cast<const Read*>(it))(field);
    });
  }

  bool text(JsonText& out) const {
    const auto text = json::Reader(value_).string();
    if (!text) return expected("a string");
    out = *text;
    return true;
  }
  bool text(std::string& out) const {
    JsonText text;
    if (!this->text(text)) return false;
    out = json::unescaped(text);
    return true;
  }
  // A text that is kept: a client writes some of them.
  bool text(std::string& out, std::size_t bytes_max) const {
    JsonText text;
    if (!this->text(text)) return false;
    if (text.escaped().size() > json::kEscapeBytesMax * bytes_max) return refuse_length(bytes_max);
    out = json::unescaped(text);
    return out.size() <= bytes_max || refuse_length(bytes_max);
  }
  bool name(std::string& out) const { return text(out, limits::name_bytes_max); }
  bool boolean(bool& out) const {
    const auto value = json::Reader(value_).boolean();
    if (!value) return expected("true or false");
    out = *value;
    return true;
  }
  bool integer(std::int64_t& out, std::int64_t min, std::int64_t max) const {
    const auto number = json::Reader(value_).integer();
    if (!number || *number < min || *number > max) return out_of_range(min, max);
    out = *number;
    return true;
  }
  template <class Integer>
  bool integer(Integer& out, std::int64_t min, std::int64_t max) const {
    std::int64_t number = 0;
    if (!integer(number, min, max)) return false;
    out = static_cast<Integer>(number);
    return true;
  }
  // A number from 0 to 1, in thousandths.
  bool share(std::int64_t& per_mille) const {
    const auto number = json::Reader(value_).number();
    if (!number || *number < 0 || *number > 1) return refuse_value("a number from 0 to 1");
    per_mille = static_cast<std::int64_t>(std::nearbyint(*number * 1000));
    return true;
  }
  bool price(Price& out) const {
    const auto usd = json::Reader(value_).number();
    constexpr double usd_max = 1e6;
    if (!usd || *usd < 0 || *usd > usd_max)
      return refuse_value("USD per million tokens, a number of 0 or more");
    out = Price::usd_per_million(*usd);
    return true;
  }
  // One of `words`, which are in the order of the values from 0 on.
  template <class Value>
  bool word(Value& out, std::span<const std::string_view> words) const {
    const std::size_t index = index_in(words);
    if (index == words.size()) return refuse_word(words);
    out = static_cast<Value>(index);
    return true;
  }
  // A list of names, each a bit.
  bool bits(quirk::Set& out, std::span<const quirk::Name> names) const {
    out = 0;
    return elements("an array of names", [&out, names](const Field& name) {
      std::string text;
      if (!name.text(text)) return false;
      for (const quirk::Name& row : names)
        if (row.name == text) {
          out |= row.bit;
          return true;
        }
      return name.refuse_name(names);
    });
  }
  // `choices` were all there is.
  SPILLWAY_RARE [[nodiscard]] bool refuse_choice(const std::string& choices) const {
    return refuse("expected one of " + choices + ", got " + quoted());
  }
  static void add_choice(std::string& choices, std::string_view word) {
    if (!choices.empty()) choices += ", ";
    choices += word;
  }

 private:
  // One loop for every reader: a template of it would be most of the module's configuration code.
  using ReadField = bool (*)(const void* reader, const std::string& name, const Field& field);
  bool each_member(const void* reader, ReadField read) const {
    json::Reader in(value_);
    if (!in.enter_object()) return expected("an object");
    while (in.next_member()) {
      if (in.key().size() > limits::name_bytes_max) return refuse_member_name();
      const std::string name(in.key());
      if (!read(reader, name, at(name, in.raw()))) return false;
    }
    return true;
  }
  bool each_element(std::string_view what, const void* reader, ReadField read) const {
    json::Reader in(value_);
    if (!in.enter_array()) return expected(what);
    for (std::size_t index = 0; in.next_element(); ++index)
      if (!read(reader, {}, Field(*this, index, in.raw()))) return false;
    return true;
  }
  [[nodiscard]] std::size_t index_in(std::span<const std::string_view> words) const {
    const JsonText text = json::Reader(value_).string().value_or(JsonText());
    std::size_t index = 0;
    while (index < words.size() && !json::equals(text, words[index])) ++index;
    return index;
  }
  SPILLWAY_RARE bool refuse_word(std::span<const std::string_view> words) const {
    std::string choices;
    for (const std::string_view word : words) add_choice(choices, word);
    return refuse_choice(choices);
  }
  SPILLWAY_RARE bool refuse_name(std::span<const quirk::Name> names) const {
    std::string choices;
    for (const quirk::Name& row : names) add_choice(choices, row.name);
    return refuse_choice(choices);
  }
  // With the place of what is wrong.
  SPILLWAY_RARE bool refuse_json(const json::Reader& in) const {
    return refuse("expected JSON: " + std::string(in.problem()) + " at byte " +
                  std::to_string(in.offset()));
  }
  SPILLWAY_RARE [[nodiscard]] bool refuse_length(std::size_t bytes_max) const {
    return refuse("expected at most " + std::to_string(bytes_max) + " bytes");
  }
  SPILLWAY_RARE [[nodiscard]] bool refuse_member_name() const {
    return refuse("expected names of at most " + std::to_string(limits::name_bytes_max) + " bytes");
  }
  // The value as an error tells it.
  [[nodiscard]] std::string quoted() const { return quote(value_); }
  SPILLWAY_RARE [[nodiscard]] bool refuse_value(std::string_view expected) const {
    return refuse("expected " + std::string(expected) + ", got " + quoted());
  }
  SPILLWAY_RARE bool out_of_range(std::int64_t min, std::int64_t max) const {
    return refuse("expected a whole number from " + std::to_string(min) + " to " +
                  std::to_string(max) + ", got " + quoted());
  }

  Field(const Field& parent, std::string_view name, std::string_view value)
      : value_(value), parent_(&parent), name_(name), problem_(parent.problem_) {}
  Field(const Field& parent, std::size_t index, std::string_view value)
      : value_(value), parent_(&parent), index_(index), problem_(parent.problem_) {}

  static constexpr std::size_t kNoElement = SIZE_MAX;

  std::string_view value_;
  const Field* parent_ = nullptr;
  std::string_view name_;  // of a member; the path of a field without a parent
  std::size_t index_ = kNoElement;
  ConfigProblem& problem_;
};

}  // namespace spillway
