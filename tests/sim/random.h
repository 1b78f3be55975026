// Chance, all of it from one seed: splitmix64. Every decision of a simulation is drawn from here,
// so that a seed replays.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace spillway::sim {

class Random {
 public:
  // Scrambled, so that the streams of neighbouring seeds are not parts of one another.
  explicit Random(std::uint64_t seed) : state_(scrambled(seed + 1)) {}

  std::uint64_t bits() {
    state_ += 0x9E3779B97F4A7C15ULL;
    return scrambled(state_);
  }
  // 0 … count - 1; 0 when there is nothing to choose from.
  std::uint32_t below(std::size_t count) {
    return static_cast<std::uint32_t>(((bits() >> 32) * static_cast<std::uint32_t>(count)) >> 32);
  }
  // Both ends included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return high <= low ? low : low + below(static_cast<std::size_t>(high - low + 1));
  }
  bool percent(unsigned chance) { return below(100) < chance; }
  bool one_in(std::size_t count) { return below(count) == 0; }

  template <class Item, std::size_t size>
  const Item& pick(const std::array<Item, size>& items) {
    return items[below(size)];
  }
  template <class Item>
  const Item& pick(const std::vector<Item>& items) {
    return items[below(items.size())];
  }

 private:
  static std::uint64_t scrambled(std::uint64_t bits) {
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9ULL;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EBULL;
    return bits ^ bits >> 31;
  }
  std::uint64_t state_;
};

}  // namespace spillway::sim
