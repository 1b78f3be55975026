#include "registry.h"

#include <span>

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
// Of the few engines that end.
struct EndingRow {
  std::string_view engine, ends, successor;
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

namespace {

void add_providers(Config& config) {
  for (const ProviderRow& row : kProviderRows) {
    const std::size_t number = config.providers.size();
    Provider& provider = config.providers.emplace_back();
    provider.number = number;
    provider.name = row.name;
    provider.title = row.title;
    provider.dialect = kDialects[static_cast<std::size_t>(row.dialect)];
    provider.base_url = row.base_url;
    provider.auth = row.auth;
    provider.quirks = row.quirks;
    provider.built_in = true;
    split(row.keys, ',',
          [&provider](std::string_view key) { provider.key_names.emplace_back() = key; });
    split(row.headers, '\n', [&provider](std::string_view line) {
      const std::size_t colon = line.find(": ");
      Header& header = provider.headers.emplace_back();
      header.name = line.substr(0, colon);
      header.value = line.substr(colon + 2);
    });
  }
}

void add_engines(Config& config) {
  const Provider* provider = nullptr;
  for (const EngineRow& row : kEngineRows) {
    // Those of one provider stand together.
    if (provider == nullptr || provider->name != row.provider)
      provider = config.find_provider(row.provider);
    Engine& engine = config.engines.emplace_back();
    engine.id = row.provider;
    engine.id += ':';
    engine.id += row.model;
    engine.provider = provider;
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
  for (const EndingRow& row : kEndingRows) {
    Engine& engine = *find_named(config.engines, row.engine);
    engine.ends = row.ends;
    engine.successor = row.successor;
  }
}

void add_routes(Config& config) {
  for (const RouteRow& row : kRouteRows) {
    Route& route = config.routes.emplace_back();
    route.name = row.name;
    split(row.chain, ' ',
          [&route](std::string_view engine) { route.chain.emplace_back() = engine; });
  }
  config.default_route = kDefaultRoute;
}

}  // namespace

void add_to(Config& config) {
  add_providers(config);
  add_engines(config);
  add_routes(config);
}

}  // namespace spillway::registry
