// Time as the core knows it: a number that comes in with every input. There is no clock in here.
#pragma once

#include <cstdint>

namespace spillway {

// A length of time, in milliseconds.
using Millis = std::int64_t;

// A point in time: milliseconds since the Unix epoch.
class Instant {
 public:
  constexpr Instant() = default;
  static constexpr Instant at_ms(std::int64_t ms) { return Instant(ms); }
  static constexpr Instant never() { return Instant(INT64_MAX); }

  [[nodiscard]] constexpr std::int64_t ms() const { return ms_; }
  [[nodiscard]] constexpr std::int64_t seconds() const { return ms_ / 1000; }
  friend constexpr bool operator==(Instant, Instant) = default;
  friend constexpr auto operator<=>(Instant a, Instant b) { return a.ms_ <=> b.ms_; }
  friend constexpr Instant operator+(Instant t, Millis d) {
    return t.ms_ == INT64_MAX ? t : Instant(t.ms_ + d);
  }
  friend constexpr Millis operator-(Instant a, Instant b) { return a.ms_ - b.ms_; }

 private:
  explicit constexpr Instant(std::int64_t ms) : ms_(ms) {}
  std::int64_t ms_ = 0;
};

}  // namespace spillway
