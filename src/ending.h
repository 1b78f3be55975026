// Engines that their providers end. Who ends on a day is gone from its first moment on, in UTC.
#pragma once

#include <list>
#include <string_view>

#include "clock.h"
#include "config.h"
#include "json.h"
#include "rare.h"

namespace spillway {

SPILLWAY_RARE bool has_ended(const Engine& engine, Instant now);

// What whoever runs this must know.
struct Endings {
  // Those that end soon, and those that have ended and stand in a route all the same.
  std::list<const Engine*> engines;
  struct LastDay {
    const Route* route = nullptr;
    std::string_view ends;
  };
  std::list<LastDay> routes;  // that have no engine left then

  [[nodiscard]] bool any() const { return !engines.empty(); }
  // Members of an object.
  SPILLWAY_RARE void write(json::Writer& out) const;
};
// Of engines that can be called until then.
SPILLWAY_RARE Endings endings(const Config& config, Instant now);

// Members of an engine's object.
SPILLWAY_RARE void write_ending(const Engine& engine, std::string_view name, json::Writer& out);

}  // namespace spillway
