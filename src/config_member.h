// Tables of what the members of a config's objects set. One loop reads an object by its table: a
// comparison for each name would be most of what a start has to compile.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config_field.h"

namespace spillway {

// One member of an object that fills a T.
template <class T>
class Member {
 public:
  // For what no other kind reads. False: refused.
  using Read = bool (*)(T& object, const Field& field);

  constexpr Member(std::string_view name, std::string T::* text) : name_(name), kind_(text) {}
  constexpr Member(std::string_view name, bool T::* boolean) : name_(name), kind_(boolean) {}
  constexpr Member(std::string_view name, Price T::* price) : name_(name), kind_(price) {}
  constexpr Member(std::string_view name, int T::* count, std::int64_t min, std::int64_t max)
      : name_(name), kind_(Number<int>{count, min, max}) {}
  constexpr Member(std::string_view name, std::int64_t T::* count, std::int64_t min,
                   std::int64_t max)
      : name_(name), kind_(Number<std::int64_t>{count, min, max}) {}
  // A list of names, each a bit.
  constexpr Member(std::string_view name, quirk::Set T::* bits, std::span<const quirk::Name> names)
      : name_(name), kind_(Bits{bits, names}) {}
  constexpr Member(std::string_view name, Read read) : name_(name), kind_(read) {}

  [[nodiscard]] constexpr std::string_view name() const { return name_; }
  bool read(T& object, const Field& field) const {
    if (const auto* text = std::get_if<std::string T::*>(&kind_)) return field.text(object.**text);
    if (const auto* boolean = std::get_if<bool T::*>(&kind_))
      return field.boolean(object.**boolean);
    if (const auto* price = std::get_if<Price T::*>(&kind_)) return field.price(object.**price);
    if (const auto* bits = std::get_if<Bits>(&kind_))
      return field.bits(object.*bits->at, bits->names);
    if (const auto* count = std::get_if<Number<int>>(&kind_))
      return field.integer(object.*count->at, count->min, count->max);
    if (const auto* count = std::get_if<Number<std::int64_t>>(&kind_))
      return field.integer(object.*count->at, count->min, count->max);
    return (*std::get_if<Read>(&kind_))(object, field);
  }

 private:
  template <class Integer>
  struct Number {
    Integer T::* at;
    std::int64_t min, max;
  };
  struct Bits {
    quirk::Set T::* at;
    std::span<const quirk::Name> names;
  };

  std::string_view name_;
  std::variant<Read, std::string T::*, bool T::*, Price T::*, Bits, Number<int>,
               Number<std::int64_t>>
      kind_;
};

template <class T>
SPILLWAY_RARE bool refuse_member(const Field& field, std::span<const Member<T>> members) {
  std::string names;
  for (const Member<T>& member : members) Field::add_choice(names, member.name());
  return field.refuse("unknown field; expected one of " + names);
}

// Sets in `object` what its member `name` sets. False: refused, as the field's problem says.
template <class T>
[[gnu::noinline]] bool read_member(const std::string& name, const Field& field,
                                   std::span<const Member<T>> members, T& object) {
  for (const Member<T>& member : members)
    if (member.name() == name) return member.read(object, field);
  return refuse_member(field, members);
}

// The same for all of its members.
template <class T>
bool read_members(const Field& field, std::span<const Member<T>> members, T& object) {
  return field.members([members, &object](const std::string& name, const Field& member) {
    return read_member(name, member, members, object);
  });
}
// The same, with the member `last` behind the others wherever it stands.
template <class T>
bool read_members_with_last(const Field& field, std::span<const Member<T>> members,
                            std::string_view last, T& object) {
  const auto pass = [&](bool is_last) {
    return field.members([&, is_last](const std::string& name, const Field& member) {
      return (name == last) != is_last || read_member(name, member, members, object);
    });
  };
  return pass(false) && pass(true);
}

// A Read for an object whose members have names of the user's: each is read by `read`.
template <class T, bool (*read)(T& object, const std::string& name, const Field& field)>
bool read_each(T& object, const Field& field) {
  return field.members([&object](const std::string& name, const Field& member) {
    return read(object, name, member);
  });
}
template <class T, std::size_t N>
bool read_members(const Field& field, const Member<T> (&members)[N], T& object) {
  return read_members(field, std::span<const Member<T>>(members), object);
}
template <class T, std::size_t N>
bool read_members_with_last(const Field& field, const Member<T> (&members)[N],
                            std::string_view last, T& object) {
  return read_members_with_last(field, std::span<const Member<T>>(members), last, object);
}

}  // namespace spillway
