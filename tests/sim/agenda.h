// The virtual clock: what is due, in order of time. Nothing waits in here; the clock jumps from one
// entry to the next.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "clock.h"

namespace spillway::sim {

enum class Due : std::uint8_t {
  open,      // a client asks
  exchange,  // the next step of an exchange's plan
  tap,       // the core's copy of a body that is spliced natively or gathered
  timer,     // what wake() asked for
  leave,     // a client goes away
  stall,     // a client stops taking bytes
};

struct Entry {
  Instant at;
  // Among what is due at one instant, chance decides; it is part of the seed.
  std::uint64_t order = 0;
  Due due = Due::open;
  std::uint32_t subject = 0;
  std::uint32_t generation = 0;
};

class Agenda {
 public:
  void clear() { entries_.clear(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }

  void add(const Entry& entry) {
    entries_.push_back(entry);
    std::push_heap(entries_.begin(), entries_.end(), later);
  }
  Entry take() {
    std::pop_heap(entries_.begin(), entries_.end(), later);
    const Entry entry = entries_.back();
    entries_.pop_back();
    return entry;
  }

 private:
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }
  std::vector<Entry> entries_;
};

}  // namespace spillway::sim
