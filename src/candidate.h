// An engine of a chat's chain, and how it has fared in this chat.
#pragma once

#include <array>
#include <list>
#include <memory>

#include "clock.h"
#include "config.h"
#include "quirk.h"

namespace spillway {

struct Candidate {
  const Engine* engine = nullptr;         // of the config, or
  std::unique_ptr<const Engine> assumed;  // one that the config does not know
  int attempts = 0;
  std::array<int, kRepeatableKinds> repeats{};  // asked again after each kind of failure
  std::size_t keys_failed = 0;                  // attempts that failed by their key
  bool out = false;                             // not to be tried (again) for this chat
  bool refuses_prefill = false;
  quirk::Set refused_ours = 0;  // asked again without what was not the client's
  Instant back_at = Instant();  // as its provider said when it failed
};

// In order of preference.
using Chain = std::list<Candidate>;

}  // namespace spillway
