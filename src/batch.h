// What one step makes of one kind, in order: events of a frame, parts of an answer. Its room is
// used again from step to step, so that a token allocates nothing. Most steps stay within the first
// room; to get more is code of its own (rare.h), which a vector would have wherever one is added.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "rare.h"

namespace spillway {

template <class Item>
class Batch {
  static_assert(std::is_trivially_copyable_v<Item> && std::is_trivially_destructible_v<Item>);

 public:
  using value_type = Item;

  Batch() = default;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() = default;

  template <class Value>
  Item& emplace_back(Value&& value) {
    if (size_ == room_size_) grow();
    return *std::construct_at(&room_[size_++], std::forward<Value>(value));
  }
  void clear() { size_ = 0; }
  // Takes back what comes behind the first `size`.
  void cut(std::size_t size) { size_ = std::min(size, size_); }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] const Item* begin() const { return room_; }
  [[nodiscard]] const Item* end() const { return room_ + size_; }
  [[nodiscard]] const Item& back() const { return room_[size_ - 1]; }
  [[nodiscard]] const Item& operator[](std::size_t index) const { return room_[index]; }
  Item& operator[](std::size_t index) { return room_[index]; }

 private:
  SPILLWAY_RARE void grow() {
    std::vector<Item> more(2 * room_size_);
    std::copy(begin(), end(), more.begin());
    more_.swap(more);
    room_ = more_.data();
    room_size_ = more_.size();
  }

  static constexpr std::size_t kFirst = 16;
  union Room {
    Room() {}  // nothing is in it yet
    std::array<Item, kFirst> items;
  };
  Room first_;
  std::vector<Item> more_;
  Item* room_ = first_.items.data();
  std::size_t room_size_ = kFirst;
  std::size_t size_ = 0;
};

}  // namespace spillway
