// Finding the byte that ends a run: a block of bytes at a time, the rest one by one. Sixteen with
// WebAssembly's SIMD (in every runtime since 2021), eight in a plain word elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif

namespace spillway::scan {

#ifdef __wasm_simd128__

// Which bytes of a block are meant.
class Marks {
 public:
  explicit Marks(v128_t lanes) : lanes_(lanes) {}
  friend Marks operator|(Marks a, Marks b) { return Marks(wasm_v128_or(a.lanes_, b.lanes_)); }
  // The first of them, or the block's size when there is none.
  [[nodiscard]] unsigned first() const {
    return static_cast<unsigned>(__builtin_ctz(wasm_i8x16_bitmask(lanes_) | 1U << 16));
  }

 private:
  v128_t lanes_;
};

class Block {
 public:
  static constexpr std::ptrdiff_t size = 16;
  explicit Block(const char* at) : bytes_(wasm_v128_load(at)) {}
  [[nodiscard]] Marks equal_to(char byte) const {
    return Marks(wasm_i8x16_eq(bytes_, wasm_i8x16_splat(byte)));
  }
  // Control characters, and bytes that are not ASCII: both are below a space as signed numbers.
  [[nodiscard]] Marks not_printable() const {
    return Marks(wasm_i8x16_lt(bytes_, wasm_i8x16_splat(' ')));
  }

 private:
  v128_t bytes_;
};

#else

// The high bit of each byte that is meant; exact for the lowest one, which is all that is asked.
class Marks {
 public:
  explicit constexpr Marks(std::uint64_t highs) : highs_(highs) {}
  friend constexpr Marks operator|(Marks a, Marks b) { return Marks(a.highs_ | b.highs_); }
  [[nodiscard]] unsigned first() const {
    return highs_ == 0 ? 8 : static_cast<unsigned>(__builtin_ctzll(highs_)) >> 3;
  }

 private:
  std::uint64_t highs_;
};

class Block {
 public:
  static constexpr std::ptrdiff_t size = 8;
  explicit Block(const char* at) { std::memcpy(&word_, at, sizeof word_); }
  [[nodiscard]] Marks equal_to(char byte) const {
    const std::uint64_t rest = word_ ^ (kOnes * static_cast<unsigned char>(byte));
    return Marks((rest - kOnes) & ~rest & kHighs);
  }
  [[nodiscard]] Marks not_printable() const {
    return Marks((((word_ - kOnes * ' ') & ~word_) | word_) & kHighs);
  }

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  static constexpr std::uint64_t kHighs = 0x8080808080808080ULL;
  std::uint64_t word_ = 0;
};

#endif

// The first byte in [at, end) that `marks` and `is_meant` tell, else end. `marks(Block)` and
// `is_meant(char)` say the same.
template <class MarksOf, class IsMeant>
const char* find(const char* at, const char* end, MarksOf marks, IsMeant is_meant) {
  while (end - at >= Block::size) {
    const unsigned first = marks(Block(at)).first();
    at += first;
    if (first != Block::size) return at;
  }
  while (at < end && !is_meant(*at)) ++at;
  return at;
}

}  // namespace spillway::scan
