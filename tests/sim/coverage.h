// Which inputs have met which states. A cell is one state of a chat and one kind of input; "late"
// is an input for an exchange that the core has cancelled, which hosts may still deliver.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>

#include "router.h"

namespace spillway::sim {

enum class Column : std::uint8_t {
  response,
  chunk,
  end,
  error,
  wake,
  wake_stalled,
  close,
  late_response,
  late_chunk,
  late_end,
  late_error,
  count
};
inline constexpr std::size_t kColumns = static_cast<std::size_t>(Column::count);
inline constexpr std::size_t kStates = static_cast<std::size_t>(ChatState::gone) + 1;

class Coverage {
 public:
  void count(ChatState state, Column column) {
    ++cells_[static_cast<std::size_t>(state)][static_cast<std::size_t>(column)];
  }
  void add(const Coverage& other);

  [[nodiscard]] std::uint64_t steps() const;
  // Reachable cells that nothing has met.
  [[nodiscard]] std::size_t missing() const;
  void print(std::FILE* out) const;

 private:
  std::array<std::array<std::uint64_t, kColumns>, kStates> cells_{};
};

std::string_view name_of(ChatState state);
std::string_view name_of(Column column);

}  // namespace spillway::sim
