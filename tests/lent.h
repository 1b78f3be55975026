// Bytes lent for one call: exactly as long as they are, gone when the call has returned. A
// sanitizer sees a byte read beyond them, and a view that was kept.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>

namespace spillway {

class Lent {
 public:
  explicit Lent(std::string_view bytes) : size_(bytes.size()), data_(new char[size_]) {
    std::copy(bytes.begin(), bytes.end(), data_.get());
  }
  [[nodiscard]] std::string_view view() const { return {data_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> data_;  // not zeroed: chunks are many
};

}  // namespace spillway
