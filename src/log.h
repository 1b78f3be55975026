// Every log line leaves the core through here. It is JSON, and holds what clients and providers
// wrote: characters that a terminal obeys or that turn the reading order (DEL, C1 controls, line
// and paragraph separators, bidirectional controls) are escaped, so that no line can forge another.
#pragma once

#include <string_view>

#include "actions.h"
#include "rare.h"

namespace spillway {

// `line`: one valid JSON value.
SPILLWAY_APART void write_log(Actions& actions, LogLevel level, std::string_view line);

}  // namespace spillway
