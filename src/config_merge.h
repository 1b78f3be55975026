// What a user wrote, merged over a config, member by member.
#pragma once

#include "config_field.h"

namespace spillway {

// `root` is one whole config. False when it is refused: its problem says why.
bool merge_config(Config& config, const Field& root);
// False when a route names an engine, or the config a route, that is not there.
bool check_config(const Config& config, ConfigProblem& problem);

}  // namespace spillway
