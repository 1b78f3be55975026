// What of the providers' scripts a client may be told. This is the one place to change when an
// answer may come from more than one provider: everything else in the simulation asks these three
// questions.
//
// At every moment, what a client has been told is the beginning of one script, or, when that broke
// off, what it had then and the beginning of what the engine that goes on adds to it; nothing
// twice, nothing left out, and calls from one engine alone. It is all of that when the answer
// claims to be finished.
#pragma once

#include <string>
#include <vector>

#include "client.h"
#include "plan.h"

namespace spillway::sim {

// An exchange that may have had a part in the answer.
struct Source {
  const Plan* plan = nullptr;
  std::size_t bytes = 0;  // of its body, as far as the client may know them
};

// The exchanges of one chat, in order; the last one has been asked last.
struct Sources {
  std::vector<Source> all;
  std::size_t first = 0;  // with which the answer began

  [[nodiscard]] bool empty() const { return all.empty(); }
  [[nodiscard]] const Source& last() const { return all.back(); }
};

// Why this is not the beginning of an answer; empty when it is.
std::string fault_of_beginning(const Told& told, const Sources& sources);
// Why this is not a whole answer; empty when it is. `raw`: in the provider's own words.
std::string fault_of_whole(const Told& told, const Sources& sources, bool raw);
// Whether a provider has said anything that may be shown, so that the answer may begin.
bool may_begin(const Sources& sources);

}  // namespace spillway::sim
