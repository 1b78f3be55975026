// What was injected, and what became of the chats that met it.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>

#include "continuation.h"
#include "fault.h"

namespace spillway::sim {

enum class Fate : std::uint8_t {
  completed,
  failed,  // an error, told before anything else
  cut,     // an error in the middle of the answer
  left,    // the client went away
  count
};
inline constexpr std::size_t kFates = static_cast<std::size_t>(Fate::count);

// How an answer went through, as the log says it.
inline constexpr std::array<std::string_view, 4> kModes{"splice", "relay", "translate", "whole"};

struct Tally {
  std::uint64_t chats = 0;
  std::uint64_t exchanges = 0;
  std::uint64_t together_max = 0;  // chats open at once
  std::array<std::uint64_t, kFates> fates{};
  std::array<std::uint64_t, kModes.size()> modes{};
  std::uint64_t hedges = 0;  // exchanges with a second engine beside a slow one
  std::uint64_t hedges_won = 0;
  std::uint64_t begun_early = 0;  // responses that began with a comment
  std::uint64_t rescues = 0;      // exchanges that were to go on with an answer
  std::uint64_t rescued = 0;      // answers that several engines made, and that became whole
  std::array<std::uint64_t, kJoints> joints{};  // how they went on
  std::array<std::uint64_t, kFaults> injected{};
  std::array<std::array<std::uint64_t, kFates>, kFaults> by_fault{};

  void add(const Tally& other);
  void print(std::FILE* out) const;
};

}  // namespace spillway::sim
