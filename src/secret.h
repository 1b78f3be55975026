// A string that must not be seen: keys. It cannot be printed, compared or converted by accident;
// only reveal() shows it, and the few places that call it are the ones to review.
#pragma once

#include <string>
#include <string_view>

namespace spillway {

class Secret {
 public:
  explicit Secret(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] std::string_view reveal() const { return text_; }

 private:
  std::string text_;
};

// Whether two texts are equal, in a time that depends on the length of `given` alone.
[[nodiscard]] bool equal_in_constant_time(std::string_view given, std::string_view secret);

}  // namespace spillway
