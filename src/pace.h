// How soon engines begin to answer, learned from their last answers, and how many requests may be
// hedged: sent to a second engine because the first is slower than usual. A value that changes only
// by the calls below.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "clock.h"
#include "limits.h"

namespace spillway {

class Pace {
 public:
  // An answer of `engine` began `wait` after it was asked for, or would have later.
  void learn(std::string_view engine, Millis wait);
  // 95 of 100 answers begin within this time; -1 until enough of them are known.
  [[nodiscard]] Millis p95(std::string_view engine) const;

  // One more request that may be hedged, if thousandths of a hedge for each are enough.
  void earn(std::int64_t thousandths);
  // Takes one hedge; false when the share of the requests is used up.
  bool spend();

 private:
  struct Engine {
    std::string id;
    std::array<std::uint32_t, limits::pace_samples_max> waits_ms{};  // a ring
    std::size_t learned = 0;
  };
  static constexpr std::int64_t kHedge = 1000;

  std::vector<Engine> engines_;
  std::size_t next_ = 0;  // to be forgotten when there are too many
  std::int64_t saved_ = kHedge;
};

}  // namespace spillway
