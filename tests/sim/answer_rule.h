// What of the providers' scripts a client may be told. This is the one place to change when an
// answer may come from more than one provider (a cut answer that another engine continues, two
// attempts at once): everything else in the simulation asks these three questions.
//
// Today: at every moment, what a client has been told is the beginning of one script, and it is all
// of that script when the answer claims to be finished.
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
using Sources = std::vector<Source>;

// Why this is not the beginning of an answer; empty when it is.
std::string fault_of_beginning(const Told& told, const Sources& sources);
// Why this is not a whole answer; empty when it is. `raw`: in the provider's own words.
std::string fault_of_whole(const Told& told, const Sources& sources, bool raw);
// Whether a provider has said anything that may be shown, so that the answer may begin.
bool may_begin(const Sources& sources);

}  // namespace spillway::sim
