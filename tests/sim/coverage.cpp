#include "coverage.h"

#include <string>

namespace spillway::sim {

namespace {

constexpr std::array<std::string_view, kStates> kStateNames{
    "trying", "refused", "listening", "committed", "closing", "waiting", "gone"};
constexpr std::array<std::string_view, kColumns> kColumnNames{
    "response", "chunk",         "end",        "error",    "wake",      "wake_stalled",
    "close",    "late_response", "late_chunk", "late_end", "late_error"};

// Why a cell cannot be reached; nullptr when it can.
const char* unreachable(ChatState state, Column column) {
  const bool upstream = column == Column::response || column == Column::chunk ||
                        column == Column::end || column == Column::error;
  if (state == ChatState::gone && upstream)
    return "gone: the chat has cancelled what was open, so what still comes is late";
  if (state == ChatState::waiting && upstream)
    return "waiting: no exchange is open, so what still comes is late";
  if (state == ChatState::trying && column == Column::chunk)
    return "trying: a host gives the response before its body";
  if (column == Column::response && state != ChatState::trying)
    return "response: a host gives one for each exchange, and it ends `trying`";
  return nullptr;
}

template <class Take>
void for_each_cell(Take take) {
  for (std::size_t state = 0; state < kStates; ++state)
    for (std::size_t column = 0; column < kColumns; ++column)
      take(static_cast<ChatState>(state), static_cast<Column>(column));
}

}  // namespace

std::string_view name_of(ChatState state) { return kStateNames[static_cast<std::size_t>(state)]; }
std::string_view name_of(Column column) { return kColumnNames[static_cast<std::size_t>(column)]; }

void Coverage::add(const Coverage& other) {
  for (std::size_t state = 0; state < kStates; ++state)
    for (std::size_t column = 0; column < kColumns; ++column)
      cells_[state][column] += other.cells_[state][column];
}

std::uint64_t Coverage::steps() const {
  std::uint64_t sum = 0;
  for (const auto& row : cells_)
    for (const std::uint64_t cell : row) sum += cell;
  return sum;
}

std::size_t Coverage::missing() const {
  std::size_t missing = 0;
  for_each_cell([&](ChatState state, Column column) {
    const std::uint64_t met =
        cells_[static_cast<std::size_t>(state)][static_cast<std::size_t>(column)];
    if (met == 0 && unreachable(state, column) == nullptr) ++missing;
  });
  return missing;
}

void Coverage::print(std::FILE* out) const {
  std::fprintf(out, "%-10s", "");
  for (const std::string_view name : kColumnNames)
    std::fprintf(out, "%14.*s", static_cast<int>(name.size()), name.data());
  for (std::size_t state = 0; state < kStates; ++state) {
    std::fprintf(out, "\n%-10s", std::string(kStateNames[state]).c_str());
    for (std::size_t column = 0; column < kColumns; ++column) {
      const std::uint64_t met = cells_[state][column];
      const bool reachable =
          unreachable(static_cast<ChatState>(state), static_cast<Column>(column)) == nullptr;
      if (met == 0) {
        std::fprintf(out, "%14s", reachable ? "MISSING" : "-");
      } else {
        std::fprintf(out, "%13llu%s", static_cast<unsigned long long>(met), reachable ? " " : "!");
      }
    }
  }
  std::size_t reachable = 0;
  for_each_cell([&](ChatState state, Column column) {
    if (unreachable(state, column) == nullptr) ++reachable;
  });
  std::fprintf(out, "\n%zu of %zu reachable cells met", reachable - missing(), reachable);
  std::fprintf(out, "; not reachable (-):\n");
  std::string last;
  for_each_cell([&](ChatState state, Column column) {
    const char* const reason = unreachable(state, column);
    if (reason == nullptr || last.find(reason) != std::string::npos) return;
    last += reason;
    std::fprintf(out, "  %s\n", reason);
  });
}

}  // namespace spillway::sim
