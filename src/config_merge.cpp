#include "config_merge.h"

#include <algorithm>

#include "config_member.h"
#include "http_text.h"
#include "limits.h"
#include "registry.h"
#include "text.h"

namespace spillway {

namespace {

// The words of an enumeration, in its order.
constexpr std::string_view kAuthWords[] = {"bearer", "x-api-key", "x-goog-api-key", "api-key",
                                           "none"};
constexpr std::string_view kCostWords[] = {"free", "low", "mid", "high"};
constexpr std::string_view kLatencyWords[] = {"fast", "standard", "reasoning"};
constexpr std::string_view kOnFailureWords[] = {"stop", "next"};
constexpr std::string_view kHedgeAfterWords[] = {"p95"};  // Hedge::after_ms, 0

// --- a route, and the `spillway` object of a request

SPILLWAY_RARE bool refuse_engines(const Field& field) {
  return field.refuse("expected at most " + std::to_string(limits::chain_max) + " engines");
}

bool read_chain(Route& route, const Field& field) {
  std::list<std::string>& chain = route.chain;
  chain.clear();
  const bool read =
      field.elements("an array of engines, each \"provider:model\"", [&chain](const Field& engine) {
        if (chain.size() == limits::chain_max) return refuse_engines(engine);
        return engine.text(chain.emplace_back());
      });
  return read && (!chain.empty() || field.refuse("expected at least one engine"));
}

constexpr Member<Timeouts> kTimeoutsMembers[] = {
    {"headers_ms", &Timeouts::headers_ms, 1, limits::timeout_ms_max},
    // 0 gives the choice back to the engine's latency profile; no other deadline has one.
    {"first_content_ms", &Timeouts::first_content_ms, 0, limits::timeout_ms_max},
    {"idle_ms", &Timeouts::idle_ms, 1, limits::timeout_ms_max},
    {"total_ms", &Timeouts::total_ms, 1, limits::timeout_ms_max},
};

bool read_hedge_after(Hedge& hedge, const Field& field) {
  if (field.type() == json::Type::string) return field.word(hedge.after_ms, kHedgeAfterWords);
  return field.integer(hedge.after_ms, 1, limits::timeout_ms_max);
}

constexpr Member<Hedge> kHedgeMembers[] = {
    {"after", read_hedge_after},
    {"max_extra",
     [](Hedge& hedge, const Field& field) { return field.share(hedge.extra_per_mille); }},
    {"tools", &Hedge::tools},
};

bool read_hedge(Route& route, const Field& field) {
  if (field.type() == json::Type::boolean) return field.boolean(route.hedge.on);
  if (field.type() != json::Type::object) return field.expected("true, false or an object");
  route.hedge.on = true;
  return read_members(field, kHedgeMembers, route.hedge);
}

constexpr Member<KeepAlive> kKeepAliveMembers[] = {
    {"every_ms", &KeepAlive::every_ms, 0, limits::timeout_ms_max},
    {"before_content_ms", &KeepAlive::before_content_ms, 0, limits::timeout_ms_max},
};

constexpr Member<Route> kRouteMembers[] = {
    {"chain", read_chain},
    {"attempts_max", &Route::attempts_max, 1, limits::attempts_max},
    {"attempts_per_engine", &Route::attempts_per_engine, 1, limits::attempts_max},
    {"rate_limit_wait_ms", &Route::rate_limit_wait_ms, 0, limits::timeout_ms_max},
    {"timeouts",
     [](Route& route, const Field& field) {
       return read_members(field, kTimeoutsMembers, route.timeouts);
     }},
    {"on_auth_error",
     [](Route& route, const Field& field) {
       return field.word(route.on_auth_error, kOnFailureWords);
     }},
    {"on_content_filter",
     [](Route& route, const Field& field) {
       return field.word(route.on_content_filter, kOnFailureWords);
     }},
    {"hedge", read_hedge},
    {"keep_alive",
     [](Route& route, const Field& field) {
       return read_members(field, kKeepAliveMembers, route.keep_alive);
     }},
    {"rescue", &Route::rescue},
    {"strict", &Route::strict},
};

// --- providers

// Whether each { of a base URL begins a {NAME}.
bool has_whole_names(std::string_view url) {
  for (std::size_t open = url.find('{'); open != std::string_view::npos; open = url.find('{')) {
    const std::size_t close = url.find('}', open);
    if (close == std::string_view::npos || !is_name(url.substr(open + 1, close - open - 1)))
      return false;
    url.remove_prefix(close);
  }
  return true;
}

SPILLWAY_RARE bool refuse_dialect(const Field& field) {
  return field.refuse_choice(registry::dialect_names());
}

SPILLWAY_RARE bool refuse_no_dialect(const Field& field) {
  return field.refuse("missing; expected one of " + registry::dialect_names());
}

bool read_dialect(Provider& provider, const Field& field) {
  std::string name;
  if (!field.text(name)) return false;
  provider.dialect = registry::find_dialect(name);
  return provider.dialect != nullptr || refuse_dialect(field);
}

bool read_base_url(Provider& provider, const Field& field) {
  std::string& url = provider.base_url;
  if (!field.text(url)) return false;
  while (!url.empty() && url.back() == '/') url.pop_back();
  const bool absolute =
      starts_with(url, "http://") || starts_with(url, "https://") || starts_with(url, "{");
  if (!absolute) return field.refuse("expected a URL that begins with http:// or https://");
  if (!has_whole_names(url))
    return field.refuse("expected the name of an environment variable between each { and its }");
  return is_url_text(url) || field.refuse(kExpectedUrl);
}

bool read_keys(Provider& provider, const Field& field) {
  provider.key_names.clear();
  return field.elements("an array of names of environment variables",
                        [&provider](const Field& key) {
                          return key.text(provider.key_names.emplace_back()) &&
                                 (is_name(provider.key_names.back()) ||
                                  key.refuse("expected the name of an environment variable"));
                        });
}

bool read_header(Provider& provider, const std::string& name, const Field& field) {
  std::string text;
  if (!is_header_name(name))
    return field.refuse("expected a header name: letters, digits and !#$%&'*+-.^_`|~");
  if (!field.text(text)) return false;
  if (!is_header_value(text)) return field.refuse("expected a header value of printable ASCII");
  const std::string lower = lowered(name);
  const auto known = std::find_if(provider.headers.begin(), provider.headers.end(),
                                  [&lower](const Header& header) { return header.name == lower; });
  Header& header = known == provider.headers.end() ? provider.headers.emplace_back() : *known;
  header.name = lower;
  header.value = text;
  return true;
}

constexpr Member<Provider> kProviderMembers[] = {
    {"name", &Provider::title},
    {"dialect", read_dialect},
    {"base_url", read_base_url},
    {"keys", read_keys},
    {"auth",
     [](Provider& provider, const Field& field) { return field.word(provider.auth, kAuthWords); }},
    {"headers", read_each<Provider, read_header>},
    {"quirks", &Provider::quirks, quirk::kNames},
    {"simulated", &Provider::simulated},
};

bool merge_provider(Config& config, const std::string& name, const Field& field) {
  if (!is_name(name)) return field.refuse("expected a name of letters, digits, '_', '-' and '.'");
  Provider* provider = find_named(config.providers, name);
  if (provider == nullptr) {
    const std::size_t number = config.providers.size();
    provider = &config.providers.emplace_back();
    provider->name = provider->title = name;
    provider->number = number;
  }
  if (!read_members(field, kProviderMembers, *provider)) return false;
  if (provider->dialect == nullptr) return refuse_no_dialect(field.missing("dialect"));
  if (provider->base_url.empty())
    return field.missing("base_url").refuse("missing; expected a URL");
  return true;
}

// --- engines

constexpr std::int64_t kTokensMax = 1'000'000'000;

constexpr Member<Engine> kEngineMembers[] = {
    {"context_window", &Engine::context_window, 1, kTokensMax},
    {"max_output", &Engine::output_tokens_max, 1, kTokensMax},
    {"price_in", &Engine::price_in},
    {"price_out", &Engine::price_out},
    {"price_cache_read", &Engine::price_cache_read},
    {"price_cache_write", &Engine::price_cache_write},
    {"cost",
     [](Engine& engine, const Field& field) { return field.word(engine.cost, kCostWords); }},
    {"latency",
     [](Engine& engine, const Field& field) { return field.word(engine.latency, kLatencyWords); }},
    {"capabilities", &Engine::capabilities, capability::kNames},
    {"quirks", &Engine::quirks, quirk::kNames},
};

bool merge_engine(Config& config, const std::string& id, const Field& field) {
  Engine* engine = find_named(config.engines, id);
  if (engine == nullptr) {
    const Provider* provider = config.provider_in(id);
    if (provider == nullptr)
      return field.refuse("expected \"provider:model\" with a known provider");
    engine = &config.engines.emplace_back();
    engine->id = id;
    engine->provider = provider;
  }
  return read_members(field, kEngineMembers, *engine);
}

// --- routes, limits and the rest

bool merge_route(Config& config, const std::string& name, const Field& field) {
  if (!is_name(name))
    return field.refuse("expected a name of letters, digits, '_', '-' and '.', without ':'");
  Route* route = find_named(config.routes, name);
  if (route == nullptr) {
    route = &config.routes.emplace_back();
    route->name = name;
  }
  if (!read_members(field, kRouteMembers, *route)) return false;
  return !route->chain.empty() ||
         field.missing("chain").refuse(
             "missing; expected an array of engines, each \"provider:model\"");
}

constexpr Member<Config> kCorsMembers[] = {
    {"origin",
     [](Config& config, const Field& field) {
       return field.text(config.cors_origin) &&
              (is_origin(config.cors_origin) ||
               field.refuse("expected one origin such as \"https://app.example\", \"*\" for any or "
                            "\"\" for none"));
     }},
};

constexpr Member<Config> kLimitsMembers[] = {
    {"request_bytes_max",
     [](Config& config, const Field& field) {
       return field.integer(config.request_bytes_max, 1, limits::request_bytes_max);
     }},
    {"chats_max",
     [](Config& config, const Field& field) {
       return field.integer(config.chats_max, 1, limits::chats_max);
     }},
    {"cooldown_ms", &Config::cooldown_ms, 0, limits::cooldown_ms_max},
};

constexpr std::string_view kEngines = "engines";
constexpr Member<Config> kConfigMembers[] = {
    {"providers", read_each<Config, merge_provider>},
    {kEngines, read_each<Config, merge_engine>},
    {"routes", read_each<Config, merge_route>},
    {"default_route", &Config::default_route},
    {"cors",
     [](Config& config, const Field& field) { return read_members(field, kCorsMembers, config); }},
    {"limits", [](Config& config,
                  const Field& field) { return read_members(field, kLimitsMembers, config); }},
};

SPILLWAY_RARE bool refuse_engine(const Route& route, const std::string& engine,
                                 ConfigProblem& problem) {
  const auto& chain = route.chain;
  const auto index = std::distance(chain.begin(), std::find(chain.begin(), chain.end(), engine));
  problem = {"routes." + route.name + ".chain[" + std::to_string(index) + "]",
             "expected \"provider:model\" with a known provider, got \"" + engine + "\""};
  return false;
}

SPILLWAY_RARE bool refuse_default_route(const std::string& name, ConfigProblem& problem) {
  problem = {"default_route", "expected the name of a route, got \"" + name + "\""};
  return false;
}

}  // namespace

bool merge_config(Config& config, const Field& root) {
  // Engines come last: they name providers, wherever these stand.
  const auto pass = [&config, &root](bool engines) {
    return root.members([&config, engines](const std::string& name, const Field& field) {
      return (name == kEngines) != engines ||
             read_member<Config>(name, field, kConfigMembers, config);
    });
  };
  return pass(false) && pass(true);
}

bool check_config(const Config& config, ConfigProblem& problem) {
  for (const Route& route : config.routes)
    for (const std::string& engine : route.chain)
      if (config.find_engine(engine) == nullptr && config.provider_in(engine) == nullptr)
        return refuse_engine(route, engine, problem);
  return config.find_route(config.default_route) != nullptr ||
         refuse_default_route(config.default_route, problem);
}

bool read_route(std::string_view json, std::string_view path, Route& route,
                ConfigProblem& problem) {
  const Field root(json, path, problem);
  return root.holds_json(json) && read_members(root, kRouteMembers, route);
}

}  // namespace spillway
