// The built-in providers, engines and routes: adapters/registry.json, compiled to rows of
// constants.
#pragma once

#include <string_view>

#include "config.h"

namespace spillway::registry {

// The dialect of that name, nullptr when there is none.
const Dialect* find_dialect(std::string_view name);
// All their names, for messages: "openai_chat, anthropic, gemini".
std::string dialect_names();

// Adds them to a config that has none.
void add_to(Config& config);

}  // namespace spillway::registry
