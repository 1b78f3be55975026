// The module's memory: what malloc() and free() are there. wasi-libc's own (dlmalloc) is 8 KB of
// code that every new isolate loads and compiles before its first byte, a fifth of its start.
//
// Blocks up to 32 KiB come in 40 sizes, at most a quarter apart, and go back to a list of their
// size, so both ways cost a few instructions however many there are. They are cut from runs, which
// stay runs: what one moment's streams took, the next one's find. Larger ones are taken from the
// first gap that fits, and gaps that touch become one.
//
// Nothing here knows WebAssembly, so that the tests can try it (tests/heap_test.cpp).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace spillway {

class Heap {
 public:
  // Gives `size` more bytes (a multiple of kGrain), aligned to kAlignment and never taken back;
  // nullptr when there are none.
  using Grow = void* (*)(std::size_t size);

  static constexpr std::size_t kAlignment = 8;
  static constexpr std::size_t kGrain = std::size_t{64} * 1024;

  explicit constexpr Heap(Grow grow) : grow_(grow) {}

  // At least `size` bytes, aligned to kAlignment; nullptr when memory is used up.
  void* take(std::size_t size) {
    if (size > kTakenMax) return nullptr;
    size += sizeof(Header);
    return size <= kSmallMax ? take_small(class_of(size)) : take_large(size);
  }

  // `block` came from take(), or is nullptr.
  void give(void* block) {
    if (block == nullptr) return;
    Header* const header = static_cast<Header*>(block) - 1;
    if (header->size <= kSmallMax) {
      push(header, class_of(header->size));
    } else {
      open_gap(header, header->size);
    }
  }

  // Memory that is there already: `begin` is aligned to kAlignment.
  void add(void* begin, std::size_t size) {
    size -= size % kStep;
    if (size > kSmallMax) open_gap(begin, size);
  }

 private:
  // In front of every block that is taken.
  struct alignas(kAlignment) Header {
    std::uint32_t size;  // with the header
  };
  // In a block that is not.
  struct Link {
    Link* next;
  };
  struct Gap {
    Gap* next;  // by address
    std::size_t size;
  };

  static constexpr std::size_t kSmallest = 16;
  static constexpr std::size_t kLinearMax = 128;  // steps of 16 up to here, then four a doubling
  static constexpr std::size_t kLinear = kLinearMax / kSmallest;
  static constexpr std::size_t kSmallMax = std::size_t{32} * 1024;
  static constexpr std::size_t kClasses = kLinear + 4 * 8;  // 128 · 2⁸ = 32 Ki
  static constexpr std::size_t kStep = 4096;                // of large ones
  static constexpr std::size_t kTakenMax = UINT32_MAX / 2;
  static_assert(sizeof(Header) == kAlignment && sizeof(Link) <= kSmallest - sizeof(Header));

  static std::size_t class_of(std::size_t size) {
    const std::size_t last = size - 1;
    if (last < kLinearMax) return last / kSmallest;
    const auto log = static_cast<std::size_t>(std::bit_width(last)) - 1;
    return kLinear + (log - 7) * 4 + (last >> (log - 2)) - 4;
  }
  static std::size_t size_of(std::size_t size_class) {
    if (size_class < kLinear) return (size_class + 1) * kSmallest;
    const std::size_t step = size_class - kLinear;
    return (step % 4 + 5) << (step / 4 + 5);
  }

  static void* begin(void* block, std::size_t size) {
    auto* const header = static_cast<Header*>(block);
    header->size = static_cast<std::uint32_t>(size);
    return header + 1;
  }

  void push(void* block, std::size_t size_class) {
    Link* const link = reinterpret_cast<Link*>(static_cast<Header*>(block) + 1);
    link->next = free_[size_class];
    free_[size_class] = link;
  }

  void* take_small(std::size_t size_class) {
    const std::size_t size = size_of(size_class);
    if (Link* const link = free_[size_class]) {
      free_[size_class] = link->next;
      return begin(reinterpret_cast<Header*>(link) - 1, size);
    }
    if (run_left_ < size) {
      // What is left of the last run serves smaller blocks.
      while (run_left_ >= kSmallest) {
        std::size_t fits = class_of(run_left_);
        if (size_of(fits) > run_left_) --fits;
        push(run_, fits);
        cut(size_of(fits));
      }
      void* const run = find_gap(kGrain);
      if (run == nullptr) return nullptr;
      run_ = static_cast<std::byte*>(run);
      run_left_ = kGrain;
    }
    void* const block = run_;
    cut(size);
    return begin(block, size);
  }
  void cut(std::size_t size) {
    run_ += size;
    run_left_ -= size;
  }

  void* take_large(std::size_t size) {
    size = (size + kStep - 1) / kStep * kStep;
    void* const block = find_gap(size);
    return block == nullptr ? nullptr : begin(block, size);
  }

  // The first gap that has `size` bytes, cut to it; memory grows when there is none.
  void* find_gap(std::size_t size) {
    for (;;) {
      for (Gap** at = &gaps_; *at != nullptr; at = &(*at)->next) {
        Gap* const gap = *at;
        if (gap->size < size) continue;
        if (gap->size == size) {
          *at = gap->next;
        } else {
          Gap* const rest = reinterpret_cast<Gap*>(reinterpret_cast<std::byte*>(gap) + size);
          *rest = {gap->next, gap->size - size};
          *at = rest;
        }
        return gap;
      }
      const std::size_t more = (size + kGrain - 1) / kGrain * kGrain;
      void* const memory = grow_(more);
      if (memory == nullptr) return nullptr;
      open_gap(memory, more);
    }
  }

  void open_gap(void* block, std::size_t size) {
    Gap** at = &gaps_;
    Gap* before = nullptr;
    for (; *at != nullptr && *at < block; at = &(*at)->next) before = *at;
    Gap* const gap = static_cast<Gap*>(block);
    *gap = {*at, size};
    *at = gap;
    join_next(gap);
    if (before != nullptr) join_next(before);
  }
  static void join_next(Gap* gap) {
    if (gap->next == nullptr ||
        reinterpret_cast<std::byte*>(gap) + gap->size != reinterpret_cast<std::byte*>(gap->next))
      return;
    gap->size += gap->next->size;
    gap->next = gap->next->next;
  }

  Grow grow_;
  std::array<Link*, kClasses> free_{};
  std::byte* run_ = nullptr;
  std::size_t run_left_ = 0;
  Gap* gaps_ = nullptr;
};

}  // namespace spillway
