#include "config_merge.h"

#include <algorithm>

#include "config_member.h"
#include "date.h"
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
constexpr std::string_view kUpstreamWords[] = {"stream", "whole"};
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
        return engine.name(chain.emplace_back());
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

// The short form: what was said of these kinds before no longer holds.
bool read_attempts_per_engine(Route& route, const Field& field) {
  for (const FailureKind kind : kRepeatedAlike)
    route.repeats[static_cast<std::size_t>(kind)] = Policy::kOpen;
  return field.integer(route.attempts_per_engine, 1, limits::attempts_max);
}

SPILLWAY_RARE bool refuse_repeat(const std::string& name, const Field& field) {
  std::string kinds;
  bool is_kind = false;
  for (std::size_t index = 0; index < kFailureKinds; ++index) {
    const std::string_view kind = name_of(static_cast<FailureKind>(index));
    if (index < kRepeatableKinds) Field::add_choice(kinds, kind);
    is_kind = is_kind || kind == name;
  }
  return field.refuse((is_kind ? "the same engine would fail again; expected one of "
                               : "unknown field; expected one of ") +
                      kinds);
}

bool read_repeat(Route& route, const Field& field) {
  return field.members([&route](const std::string& name, const Field& member) {
    for (std::size_t index = 0; index < kRepeatableKinds; ++index)
      if (name_of(static_cast<FailureKind>(index)) == name)
        return member.integer(route.repeats[index], 0, limits::repeats_max);
    return refuse_repeat(name, member);
  });
}

constexpr Member<Route> kRescueMembers[] = {
    {"instruction",
     [](Route& route, const Field& field) {
       return field.text(route.go_on, limits::instruction_bytes_max) &&
              (!trimmed(route.go_on).empty() ||
               field.refuse("expected the words that ask an engine to go on"));
     }},
};

bool read_rescue(Route& route, const Field& field) {
  if (field.type() == json::Type::boolean) return field.boolean(route.rescue);
  if (field.type() != json::Type::object) return field.expected("true, false or an object");
  route.rescue = true;
  return read_members(field, kRescueMembers, route);
}

constexpr std::string_view kRepeat = "repeat";
constexpr Member<Route> kRouteMembers[] = {
    {"chain", read_chain},
    {"attempts_max", &Route::attempts_max, 1, limits::attempts_max},
    {"attempts_per_engine", read_attempts_per_engine},
    {kRepeat, read_repeat},
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
    {"upstream",
     [](Route& route, const Field& field) { return field.word(route.upstream, kUpstreamWords); }},
    {"hedge", read_hedge},
    {"keep_alive",
     [](Route& route, const Field& field) {
       return read_members(field, kKeepAliveMembers, route.keep_alive);
     }},
    {"rescue", read_rescue},
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
  if (has_user(url)) return field.refuse(kExpectedNoUser);
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

// Only `regular_stream` says that a stream needs no repair.
bool read_provider_quirks(Provider& provider, const Field& field) {
  const quirk::Set kept = provider.quirks & quirk::irregular_stream;
  if (!field.bits(provider.quirks, quirk::kNames)) return false;
  provider.quirks |= kept;
  return true;
}

bool read_regular_stream(Provider& provider, const Field& field) {
  bool is_regular = false;
  if (!field.boolean(is_regular)) return false;
  provider.quirks &= ~quirk::irregular_stream;
  if (!is_regular) provider.quirks |= quirk::irregular_stream;
  return true;
}

constexpr std::string_view kRegularStream = "regular_stream";
constexpr Member<Provider> kProviderMembers[] = {
    {"name", &Provider::title},
    {"dialect", read_dialect},
    {"base_url", read_base_url},
    {"keys", read_keys},
    {"auth",
     [](Provider& provider, const Field& field) { return field.word(provider.auth, kAuthWords); }},
    {"headers", read_each<Provider, read_header>},
    {"quirks", read_provider_quirks},
    {kRegularStream, read_regular_stream},
    {"simulated", &Provider::simulated},
    {"splice", &Provider::splice},
};

bool merge_provider(Config& config, const std::string& name, const Field& field) {
  if (!is_name(name)) return field.refuse("expected a name of letters, digits, '_', '-' and '.'");
  Provider* provider = find_named(config.providers, name);
  if (provider == nullptr) {
    const std::size_t number = config.providers.size();
    provider = &config.providers.emplace_back();
    provider->name = provider->title = name;
    provider->number = number;
    // Nobody has recorded how it answers.
    provider->quirks = quirk::irregular_stream;
  }
  if (!read_members_with_last(field, kProviderMembers, kRegularStream, *provider)) return false;
  if (provider->dialect == nullptr) return refuse_no_dialect(field.missing("dialect"));
  if (provider->base_url.empty())
    return field.missing("base_url").refuse("missing; expected a URL");
  return true;
}

// --- engines

constexpr std::int64_t kTokensMax = 1'000'000'000;

bool read_ends(Engine& engine, const Field& field) {
  return field.text(engine.ends) &&
         (engine.ends.empty() || is_date(engine.ends) ||
          field.refuse("expected a day such as \"2026-12-01\", or \"\" for none"));
}

bool read_successor(Engine& engine, const Field& field) {
  return field.name(engine.successor) &&
         (engine.successor != engine.id || field.refuse("expected another engine"));
}

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
    {"ends", read_ends},
    {"successor", read_successor},
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

// --- clients

bool read_key_source(Client& client, const Field& field) {
  std::string& source = client.key_sources.emplace_back();
  if (!field.text(source)) return false;
  constexpr std::string_view hashed = "sha256:";
  return is_name(source) || lowered(source.substr(0, hashed.size())) == hashed ||
         field.refuse("expected the name of an environment variable, or sha256: and a digest");
}

template <std::list<std::string> Client::* names>
bool read_names(Client& client, std::string_view what, const Field& field) {
  (client.*names).clear();
  return field.elements(
      what, [&client](const Field& name) { return name.name((client.*names).emplace_back()); });
}

constexpr Member<Client> kClientMembers[] = {
    {"keys",
     [](Client& client, const Field& field) {
       client.key_sources.clear();
       return field.elements("an array of names of environment variables, or of sha256:…",
                             [&client](const Field& key) { return read_key_source(client, key); });
     }},
    {"routes",
     [](Client& client, const Field& field) {
       client.names_routes = true;
       return read_names<&Client::routes>(client, "an array of names of routes", field);
     }},
    {"engines",
     [](Client& client, const Field& field) {
       client.names_engines = true;
       return read_names<&Client::engines>(
           client, R"(an array of engines, each "provider:model" or "provider:*")", field);
     }},
    {"policy", &Client::may_set, may_set::kNames},
    {"attempts_max", &Client::attempts_max, 1, limits::attempts_max},
    {"chats_max",
     [](Client& client, const Field& field) {
       return field.integer(client.chats_max, 1, limits::chats_max);
     }},
    {"request_bytes_max",
     [](Client& client, const Field& field) {
       return field.integer(client.request_bytes_max, 1, limits::request_bytes_max);
     }},
};

bool merge_client(Config& config, const std::string& name, const Field& field) {
  if (!is_name(name)) return field.refuse("expected a name of letters, digits, '_', '-' and '.'");
  if (name == kLocalClient || name == kEmbeddedClient)
    return field.refuse("expected another name: this one stands for whoever shows no key");
  Client* client = find_named(config.clients, name);
  if (client == nullptr) {
    if (config.clients.size() == limits::clients_max)
      return field.refuse("expected at most " + std::to_string(limits::clients_max) + " clients");
    client = &config.clients.emplace_back();
    client->name = name;
    client->number = config.clients.size() - 1;
  }
  return read_members(field, kClientMembers, *client);
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
  if (!read_members_with_last(field, kRouteMembers, kRepeat, *route)) return false;
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
    {"body_ms", &Config::body_ms, 1, limits::timeout_ms_max},
    {"bodies_bytes_max",
     [](Config& config, const Field& field) {
       return field.integer(config.bodies_bytes_max, 1, limits::bodies_bytes_max_max);
     }},
    {"client_share",
     [](Config& config, const Field& field) { return field.share(config.client_share_per_mille); }},
};

constexpr std::string_view kEngines = "engines";
constexpr Member<Config> kConfigMembers[] = {
    {"providers", read_each<Config, merge_provider>},
    {kEngines, read_each<Config, merge_engine>},
    {"routes", read_each<Config, merge_route>},
    {"clients", read_each<Config, merge_client>},
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

SPILLWAY_RARE bool refuse_successor(const Engine& engine, ConfigProblem& problem) {
  problem = {"engines." + engine.id + ".successor",
             "expected \"provider:model\" with a known provider, got \"" + engine.successor + "\""};
  return false;
}

SPILLWAY_RARE bool refuse_default_route(const std::string& name, ConfigProblem& problem) {
  problem = {"default_route", "expected the name of a route, got \"" + name + "\""};
  return false;
}

}  // namespace

bool merge_config(Config& config, const Field& root) {
  // Engines name providers.
  return read_members_with_last(root, kConfigMembers, kEngines, config);
}

namespace {

// An element of a client's row.
SPILLWAY_RARE bool refuse_reach(const Client& client, std::string_view list, std::size_t index,
                                std::string_view expected, ConfigProblem& problem) {
  problem = {"clients." + client.name + "." + std::string(list) + "[" + std::to_string(index) + "]",
             "expected " + std::string(expected)};
  return false;
}

SPILLWAY_RARE bool check_client(const Config& config, const Client& client,
                                ConfigProblem& problem) {
  std::size_t index = 0;
  for (const std::string& id : client.engines) {
    if (id != "*" && config.provider_in(id) == nullptr)
      return refuse_reach(client, "engines", index,
                          R"("provider:model" or "provider:*" with a known provider)", problem);
    ++index;
  }
  index = 0;
  for (const std::string& name : client.routes) {
    const Route* const route = config.find_route(name);
    if (route == nullptr)
      return refuse_reach(client, "routes", index, "the name of a route", problem);
    const auto& chain = route->chain;
    if (std::none_of(chain.begin(), chain.end(),
                     [&client](const std::string& id) { return client.reaches_engine(id); }))
      return refuse_reach(client, "routes", index, "a route with one of the client's engines",
                          problem);
    ++index;
  }
  const bool needs_key = client.key_sources.empty() && client.name != "default";
  if (!needs_key) return true;
  problem = {"clients." + client.name + ".keys",
             "missing; expected names of environment variables, or sha256: and a digest"};
  return false;
}

}  // namespace

bool check_config(const Config& config, ConfigProblem& problem) {
  for (const Route& route : config.routes)
    for (const std::string& engine : route.chain)
      if (config.find_engine(engine) == nullptr && config.provider_in(engine) == nullptr)
        return refuse_engine(route, engine, problem);
  for (const Engine& engine : config.engines)
    if (!engine.successor.empty() && config.provider_in(engine.successor) == nullptr)
      return refuse_successor(engine, problem);
  for (const Client& client : config.clients)
    if (!check_client(config, client, problem)) return false;
  return config.find_route(config.default_route) != nullptr ||
         refuse_default_route(config.default_route, problem);
}

bool read_route(std::string_view json, std::string_view path, Route& route,
                ConfigProblem& problem) {
  const Field root(json, path, problem);
  return root.holds_json(json) && read_members_with_last(root, kRouteMembers, kRepeat, route);
}

}  // namespace spillway
