// Follows the JSON text of a tool call's arguments, as its fragments come, to where its object
// ends: what is behind that is no part of it. What is compared is a hash of 64 bits.
#pragma once

#include <cstdint>
#include <string_view>

#include "json.h"
#include "rare.h"

namespace spillway {

class CallArguments {
 public:
  // The part of `fragment` that belongs to the arguments: all of it, or up to where they end.
  SPILLWAY_RARE JsonText follow(JsonText fragment);
  // Something other than white space has come.
  [[nodiscard]] bool begun() const { return begun_; }
  // The object is closed.
  [[nodiscard]] bool whole() const { return whole_; }
  // Whether both are whole and the same, but for white space between.
  [[nodiscard]] bool same(const CallArguments& other) const {
    return whole_ && other.whole_ && hash_ == other.hash_;
  }

 private:
  void take(char c, std::string_view written);

  std::uint64_t hash_ = 0;
  std::uint32_t depth_ = 0;
  bool begun_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
  bool whole_ = false;
};

}  // namespace spillway
