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

std::vector<Provider> providers();
// `providers` is what they index into.
std::vector<Engine> engines(const std::vector<Provider>& providers);
std::vector<Route> routes();
std::string_view default_route();

}  // namespace spillway::registry
