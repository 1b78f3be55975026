#include "tally.h"

#include <algorithm>
#include <string>

namespace spillway::sim {

namespace {

constexpr std::array<const char*, kFates> kFateNames{"completed", "failed", "cut", "client left"};

unsigned long long number(std::uint64_t value) { return value; }

}  // namespace

void Tally::add(const Tally& other) {
  chats += other.chats;
  exchanges += other.exchanges;
  together_max = std::max(together_max, other.together_max);
  for (std::size_t fate = 0; fate < kFates; ++fate) fates[fate] += other.fates[fate];
  for (std::size_t mode = 0; mode < kModes.size(); ++mode) modes[mode] += other.modes[mode];
  hedges += other.hedges;
  hedges_won += other.hedges_won;
  begun_early += other.begun_early;
  rescues += other.rescues;
  rescued += other.rescued;
  for (std::size_t joint = 0; joint < kJoints; ++joint) joints[joint] += other.joints[joint];
  for (std::size_t fault = 0; fault < kFaults; ++fault) {
    injected[fault] += other.injected[fault];
    for (std::size_t fate = 0; fate < kFates; ++fate)
      by_fault[fault][fate] += other.by_fault[fault][fate];
  }
}

void Tally::print(std::FILE* out) const {
  std::fprintf(out, "%-22s%12s", "fault", "injected");
  for (const char* const name : kFateNames) std::fprintf(out, "%13s", name);
  std::fprintf(out, "\n");
  for (std::size_t fault = 1; fault < kFaults; ++fault) {
    const std::string_view name = name_of(static_cast<Fault>(fault));
    std::fprintf(out, "%-22.*s%12llu", static_cast<int>(name.size()), name.data(),
                 number(injected[fault]));
    for (const std::uint64_t chats_so : by_fault[fault])
      std::fprintf(out, "%13llu", number(chats_so));
    std::fprintf(out, "\n");
  }
  std::fprintf(out, "%-22s%12llu", "all chats", number(chats));
  for (const std::uint64_t chats_so : fates) std::fprintf(out, "%13llu", number(chats_so));
  std::fprintf(out, "\nanswers by mode:");
  for (std::size_t mode = 0; mode < kModes.size(); ++mode)
    std::fprintf(out, " %s %llu", kModes[mode].data(), number(modes[mode]));
  std::fprintf(out, "\nasked beside a slow engine: %llu, of whom %llu answered", number(hedges),
               number(hedges_won));
  std::fprintf(out, "\nresponses begun with a comment: %llu", number(begun_early));
  std::fprintf(out, "\nanswers gone on with and whole: %llu; asked to go on: %llu, of whom",
               number(rescued), number(rescues));
  for (std::size_t joint = 0; joint < kJoints; ++joint)
    std::fprintf(out, " %s %llu", std::string(name_of(static_cast<Joint>(joint))).c_str(),
                 number(joints[joint]));
  std::fprintf(out, "\n");
}

}  // namespace spillway::sim
