// What `/` answers: what runs here and where to go on, for a person in a browser and for a program.
#pragma once

#include <string>
#include <string_view>

#include "config.h"
#include "rare.h"

namespace spillway {

// A page of HTML without scripts. `origin`: the scheme and host that the request came to.
[[nodiscard]] SPILLWAY_RARE std::string front_page(const Config& config, std::string_view origin);
// The same as JSON.
[[nodiscard]] SPILLWAY_RARE std::string front_json(const Config& config);

}  // namespace spillway
