// Days as texts, "2026-12-01" (ISO 8601), in UTC. As texts they compare as they follow each other.
#pragma once

#include <string>
#include <string_view>

#include "clock.h"
#include "rare.h"

namespace spillway {

// The day of that moment.
SPILLWAY_RARE std::string date_of(Instant at);
SPILLWAY_RARE bool is_date(std::string_view text);

}  // namespace spillway
