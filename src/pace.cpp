#include "pace.h"

#include <algorithm>

namespace spillway {

void Pace::learn(std::string_view engine, Millis wait) {
  auto known = std::find_if(engines_.begin(), engines_.end(),
                            [engine](const Engine& each) { return each.id == engine; });
  if (known == engines_.end()) {
    if (engines_.size() < limits::pace_engines_max) {
      known = engines_.emplace(engines_.end());
    } else {
      known = engines_.begin() + static_cast<std::ptrdiff_t>(next_++ % limits::pace_engines_max);
      *known = Engine();
    }
    known->id = engine;
  }
  known->waits_ms[known->learned++ % limits::pace_samples_max] =
      static_cast<std::uint32_t>(std::clamp<Millis>(wait, 0, limits::timeout_ms_max));
}

Millis Pace::p95(std::string_view engine) const {
  for (const Engine& each : engines_) {
    if (each.id != engine) continue;
    if (each.learned < limits::pace_samples_min) return -1;
    // Of 20 to 39 samples it is the last but one.
    static_assert(limits::pace_samples_min >= 20 && limits::pace_samples_max < 40);
    std::uint32_t longest = 0;
    std::uint32_t second = 0;
    for (std::size_t at = 0; at < std::min(each.learned, limits::pace_samples_max); ++at) {
      const std::uint32_t wait = each.waits_ms[at];
      second = std::max(second, std::min(wait, longest));
      longest = std::max(longest, wait);
    }
    return second;
  }
  return -1;
}

void Pace::earn(std::int64_t thousandths) {
  saved_ = std::min(saved_ + thousandths, limits::hedges_saved_max * kHedge);
}

bool Pace::spend() {
  if (saved_ < kHedge) return false;
  saved_ -= kHedge;
  return true;
}

}  // namespace spillway
