// One attempt, as it is told in x-spillway-attempts, server-timing and the log.
#pragma once

#include <list>
#include <string>
#include <string_view>

#include "clock.h"
#include "event.h"

namespace spillway {

struct AttemptRecord {
  std::string engine;
  std::string_view outcome;  // "ok" or the name of a FailureKind
  int status = 0;            // HTTP status of the provider, 0 when none came
  Millis duration_ms = 0;    // -1: nobody was asked
  int ignored_events = 0;    // of its stream, that say nothing or cannot be read
  bool answered = false;     // if only in part; then what it counted:
  Usage usage = {};
  std::int64_t cost_picodollars = -1;
};

// In the order in which they began, but the one that answered is the last. Each stays where it is
// when others come.
using AttemptRecords = std::list<AttemptRecord>;

}  // namespace spillway
