#include "registry.h"

#include <algorithm>

#include "adapters.h"
#include "text.h"

namespace spillway::registry {

namespace {

enum class DialectId : std::uint8_t { openai_chat, anthropic, gemini };

struct ProviderRow {
  std::string_view name, title;
  DialectId dialect;
  std::string_view base_url;
  Auth auth;
  std::string_view keys;     // separated by commas
  std::string_view headers;  // "name: value" lines
  quirk::Set quirks;
};
struct EngineRow {
  std::string_view provider, model;
  std::int32_t context_window, output_tokens_max;
  std::int32_t price_in, price_out, price_cache_read, price_cache_write;  // as Price keeps them
  CostBand cost;
  Latency latency;
  capability::Set capabilities;
  quirk::Set quirks;
};
struct RouteRow {
  std::string_view name;
  std::string_view chain;  // separated by spaces
};

#include "registry.inc"

const Dialect* const kDialects[] = {&adapters::openai_chat, &adapters::anthropic,
                                    &adapters::gemini};

}  // namespace

const Dialect* find_dialect(std::string_view name) {
  for (const Dialect* dialect : kDialects)
    if (dialect->name == name) return dialect;
  return nullptr;
}

std::string dialect_names() {
  std::string names;
  for (const Dialect* dialect : kDialects) {
    if (!names.empty()) names += ", ";
    names += dialect->name;
  }
  return names;
}

std::vector<Provider> providers() {
  std::vector<Provider> providers(std::size(kProviderRows));
  auto at = providers.begin();
  for (const ProviderRow& row : kProviderRows) {
    Provider& provider = *at++;
    provider.name = row.name;
    provider.title = row.title;
    provider.dialect = kDialects[static_cast<std::size_t>(row.dialect)];
    provider.base_url = row.base_url;
    provider.auth = row.auth;
    provider.quirks = row.quirks;
    split(row.keys, ',',
          [&provider](std::string_view key) { provider.key_names.emplace_back(key); });
    split(row.headers, '\n', [&provider](std::string_view line) {
      const std::size_t colon = line.find(": ");
      provider.headers.push_back(
          {std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
    });
  }
  return providers;
}

std::vector<Engine> engines(const std::vector<Provider>& providers) {
  std::vector<Engine> engines(std::size(kEngineRows));
  auto at = engines.begin();
  for (const EngineRow& row : kEngineRows) {
    Engine& engine = *at++;
    engine.id = row.provider;
    engine.id += ':';
    engine.id += row.model;
    const auto provider =
        std::find_if(providers.begin(), providers.end(),
                     [&row](const Provider& known) { return known.name == row.provider; });
    engine.provider = static_cast<std::size_t>(provider - providers.begin());
    engine.context_window = row.context_window;
    engine.output_tokens_max = row.output_tokens_max;
    engine.price_in = {row.price_in};
    engine.price_out = {row.price_out};
    engine.price_cache_read = {row.price_cache_read};
    engine.price_cache_write = {row.price_cache_write};
    engine.cost = row.cost;
    engine.latency = row.latency;
    engine.capabilities = row.capabilities;
    engine.quirks = row.quirks;
  }
  return engines;
}

std::vector<Route> routes() {
  std::vector<Route> routes(std::size(kRouteRows));
  auto at = routes.begin();
  for (const RouteRow& row : kRouteRows) {
    Route& route = *at++;
    route.name = row.name;
    split(row.chain, ' ',
          [&route](std::string_view engine) { route.policy.chain.emplace_back(engine); });
  }
  return routes;
}

std::string_view default_route() { return kDefaultRoute; }

}  // namespace spillway::registry
