#include "config.h"

#include <algorithm>

#include "config_field.h"
#include "dialect.h"
#include "json.h"
#include "limits.h"
#include "registry.h"
#include "text.h"

namespace spillway {

namespace {

// --- reading what a user wrote
// ----------------------------------------------------------------------------------

constexpr Word<Auth> kAuthWords[] = {{"bearer", Auth::bearer},
                                     {"x-api-key", Auth::x_api_key},
                                     {"x-goog-api-key", Auth::x_goog_api_key},
                                     {"api-key", Auth::api_key},
                                     {"none", Auth::none}};
constexpr Word<CostBand> kCostWords[] = {{"free", CostBand::free},
                                         {"low", CostBand::low},
                                         {"mid", CostBand::mid},
                                         {"high", CostBand::high}};
constexpr Word<Latency> kLatencyWords[] = {
    {"fast", Latency::fast}, {"standard", Latency::standard}, {"reasoning", Latency::reasoning}};
constexpr Word<OnFailure> kOnFailureWords[] = {{"stop", OnFailure::stop},
                                               {"next", OnFailure::next}};

std::size_t index_of(const std::vector<Provider>& providers, std::string_view name) {
  const auto found =
      std::find_if(providers.begin(), providers.end(),
                   [name](const Provider& provider) { return provider.name == name; });
  return static_cast<std::size_t>(found - providers.begin());
}

SPILLWAY_RARE bool refuse_engines(const Field& field) {
  return field.refuse("expected at most " + std::to_string(limits::chain_max) + " engines");
}

bool read_chain(const Field& field, std::vector<std::string>& chain) {
  chain.clear();
  const bool read =
      field.elements("an array of engines, each \"provider:model\"", [&chain](const Field& engine) {
        if (chain.size() == limits::chain_max) return refuse_engines(engine);
        return engine.text(chain.emplace_back());
      });
  return read && (!chain.empty() || field.refuse("expected at least one engine"));
}

bool read_timeouts(const Field& field, Timeouts& timeouts) {
  return field.members([&timeouts](const std::string& name, const Field& member) {
    struct Row {
      std::string_view name;
      Millis Timeouts::* value;
    };
    constexpr Row rows[] = {{"headers_ms", &Timeouts::headers_ms},
                            {"first_content_ms", &Timeouts::first_content_ms},
                            {"idle_ms", &Timeouts::idle_ms},
                            {"total_ms", &Timeouts::total_ms}};
    for (const Row& row : rows)
      if (row.name == name) {
        // 0 gives the choice back to the engine's latency profile; no other deadline has one.
        const std::int64_t min = row.value == &Timeouts::first_content_ms ? 0 : 1;
        return member.integer(timeouts.*row.value, min, limits::timeout_ms_max);
      }
    return member.unknown("headers_ms, first_content_ms, idle_ms, total_ms");
  });
}

bool read_hedge(const Field& field, Hedge& hedge) {
  if (field.type() == json::Type::boolean) return field.boolean(hedge.on);
  if (field.type() != json::Type::object) return field.expected("true, false or an object");
  hedge.on = true;
  return field.members([&hedge](const std::string& name, const Field& member) {
    if (name == "after") {
      constexpr Word<Millis> words[] = {{"p95", 0}};
      if (member.type() == json::Type::string) return member.word(hedge.after_ms, words);
      return member.integer(hedge.after_ms, 1, limits::timeout_ms_max);
    }
    if (name == "max_extra") return member.share(hedge.extra_per_mille);
    if (name == "tools") return member.boolean(hedge.tools);
    return member.unknown("after, max_extra, tools");
  });
}

bool read_keep_alive(const Field& field, KeepAlive& keep_alive) {
  return field.members([&keep_alive](const std::string& name, const Field& member) {
    if (name == "every_ms") return member.integer(keep_alive.every_ms, 0, limits::timeout_ms_max);
    if (name == "before_content_ms")
      return member.integer(keep_alive.before_content_ms, 0, limits::timeout_ms_max);
    return member.unknown("every_ms, before_content_ms");
  });
}

bool read_policy_member(const std::string& name, const Field& field, Policy& policy) {
  if (name == "chain") return read_chain(field, policy.chain);
  if (name == "attempts_max") return field.integer(policy.attempts_max, 1, limits::attempts_max);
  if (name == "attempts_per_engine")
    return field.integer(policy.attempts_per_engine, 1, limits::attempts_max);
  if (name == "rate_limit_wait_ms")
    return field.integer(policy.rate_limit_wait_ms, 0, limits::timeout_ms_max);
  if (name == "timeouts") return read_timeouts(field, policy.timeouts);
  if (name == "on_auth_error") return field.word(policy.on_auth_error, kOnFailureWords);
  if (name == "on_content_filter") return field.word(policy.on_content_filter, kOnFailureWords);
  if (name == "hedge") return read_hedge(field, policy.hedge);
  if (name == "keep_alive") return read_keep_alive(field, policy.keep_alive);
  if (name == "rescue") return field.boolean(policy.rescue);
  if (name == "strict") return field.boolean(policy.strict);
  return field.unknown(
      "chain, attempts_max, attempts_per_engine, rate_limit_wait_ms, timeouts, on_auth_error, "
      "on_content_filter, hedge, keep_alive, rescue, strict");
}

bool is_name(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
             std::string_view::npos;
}

bool consists_of(std::string_view text, char first, char last) {
  for (const char c : text)
    if (c < first || c > last) return false;
  return true;
}

// What any runtime takes as the value of a header: RFC 9110 section 5.5 allows more, fetch less.
bool is_header_value(std::string_view text) { return consists_of(text, ' ', '~'); }

// RFC 9110 section 5.6.2, token.
bool is_header_name(std::string_view text) {
  for (const char c : text)
    if (!is_name({&c, 1}) && std::string_view("!#$%&'*+^`|~").find(c) == std::string_view::npos)
      return false;
  return !text.empty();
}

// What a base URL may consist of: a path is appended to it.
bool is_url_text(std::string_view text) {
  return consists_of(text, '!', '~') && text.find_first_of("?#") == std::string_view::npos;
}
constexpr std::string_view kExpectedUrl =
    "expected a URL of printable ASCII, without white space, query or fragment";

// What access-control-allow-origin may say; a browser compares it byte by byte with its own.
bool is_origin(std::string_view text) {
  if (text.empty() || text == "*") return true;
  constexpr std::string_view after_scheme = "://";
  const std::size_t scheme = text.find(after_scheme);
  if (scheme == std::string_view::npos || !consists_of(text, '!', '~')) return false;
  const std::string_view host = text.substr(scheme + after_scheme.size());
  return !host.empty() && host.find_first_of("/,*") == std::string_view::npos;
}

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

std::string lowered(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return lower;
}

// What the host gives as the environment, as it stands in the input.
struct Variable {
  std::string_view name;
  JsonText value;
};
using Environment = std::vector<Variable>;

class Loader {
 public:
  explicit Loader(Config& config) : config_(config) {}

  bool merge(const Field& root);
  bool check(ConfigProblem& problem) const;
  bool find_keys(const Environment& env, ConfigProblem& problem);

 private:
  bool merge_all_but_engines(const Field& root);
  bool merge_provider(const std::string& name, const Field& field);
  bool merge_engine(const std::string& id, const Field& field);
  bool merge_route(const std::string& name, const Field& field);
  bool merge_limits(const Field& field);
  SPILLWAY_RARE bool add_digest(std::string_view hexadecimal);

  Config& config_;
};

bool Loader::merge(const Field& root) {
  // Engines come last: they name providers, wherever these stand.
  return merge_all_but_engines(root) && root.members([this](const std::string& name,
                                                            const Field& field) {
    return name != "engines" || field.members([this](const std::string& key, const Field& at) {
      return merge_engine(key, at);
    });
  });
}

bool Loader::merge_all_but_engines(const Field& root) {
  return root.members([this](const std::string& name, const Field& field) {
    if (name == "providers")
      return field.members(
          [this](const std::string& key, const Field& at) { return merge_provider(key, at); });
    if (name == "engines") return true;
    if (name == "routes")
      return field.members(
          [this](const std::string& key, const Field& at) { return merge_route(key, at); });
    if (name == "default_route") return field.text(config_.default_route);
    if (name == "limits") return merge_limits(field);
    if (name == "cors")
      return field.members([this](const std::string& key, const Field& at) {
        if (key != "origin") return at.unknown("origin");
        return at.text(config_.cors_origin) &&
               (is_origin(config_.cors_origin) ||
                at.refuse("expected one origin such as \"https://app.example\", \"*\" for any or "
                          "\"\" for none"));
      });
    return field.unknown("providers, engines, routes, default_route, cors, limits");
  });
}

bool Loader::merge_limits(const Field& field) {
  return field.members([this](const std::string& name, const Field& at) {
    if (name == "request_bytes_max")
      return at.integer(config_.request_bytes_max, 1, limits::request_bytes_max);
    if (name == "chats_max") return at.integer(config_.chats_max, 1, limits::chats_max);
    if (name == "cooldown_ms") return at.integer(config_.cooldown_ms, 0, limits::cooldown_ms_max);
    return at.unknown("request_bytes_max, chats_max, cooldown_ms");
  });
}

SPILLWAY_RARE bool refuse_dialect(const Field& field) {
  return field.refuse_choice(registry::dialect_names());
}

SPILLWAY_RARE bool refuse_no_dialect(const Field& field) {
  return field.refuse("missing; expected one of " + registry::dialect_names());
}

bool Loader::merge_provider(const std::string& name, const Field& field) {
  if (!is_name(name)) return field.refuse("expected a name of letters, digits, '_', '-' and '.'");
  const std::size_t index = index_of(config_.providers, name);
  const bool is_new = index == config_.providers.size();
  if (is_new) {
    config_.providers.emplace_back();
    config_.providers.back().name = config_.providers.back().title = name;
  }
  Provider& provider = config_.providers[index];
  const bool read = field.members([&provider](const std::string& member, const Field& at) {
    if (member == "name") return at.text(provider.title);
    if (member == "dialect") {
      std::string name;
      if (!at.text(name)) return false;
      provider.dialect = registry::find_dialect(name);
      return provider.dialect != nullptr || refuse_dialect(at);
    }
    if (member == "base_url") {
      if (!at.text(provider.base_url)) return false;
      while (!provider.base_url.empty() && provider.base_url.back() == '/')
        provider.base_url.pop_back();
      const std::string_view url = provider.base_url;
      const bool absolute =
          starts_with(url, "http://") || starts_with(url, "https://") || starts_with(url, "{");
      if (!absolute) return at.refuse("expected a URL that begins with http:// or https://");
      if (!has_whole_names(url))
        return at.refuse("expected the name of an environment variable between each { and its }");
      return is_url_text(url) || at.refuse(kExpectedUrl);
    }
    if (member == "keys") {
      provider.key_names.clear();
      return at.elements("an array of names of environment variables",
                         [&provider](const Field& key) {
                           return key.text(provider.key_names.emplace_back()) &&
                                  (is_name(provider.key_names.back()) ||
                                   key.refuse("expected the name of an environment variable"));
                         });
    }
    if (member == "auth") return at.word(provider.auth, kAuthWords);
    if (member == "headers") {
      return at.members([&provider](const std::string& header, const Field& value) {
        std::string text;
        if (!is_header_name(header))
          return value.refuse("expected a header name: letters, digits and !#$%&'*+-.^_`|~");
        if (!value.text(text)) return false;
        if (!is_header_value(text))
          return value.refuse("expected a header value of printable ASCII");
        const std::string name = lowered(header);
        const auto same = [&name](const Header& known) { return known.name == name; };
        provider.headers.erase(
            std::remove_if(provider.headers.begin(), provider.headers.end(), same),
            provider.headers.end());
        provider.headers.push_back({name, std::move(text)});
        return true;
      });
    }
    if (member == "quirks") return at.bits(provider.quirks, quirk::kNames);
    if (member == "simulated") return at.boolean(provider.simulated);
    return at.unknown("name, dialect, base_url, keys, auth, headers, quirks, simulated");
  });
  if (!read) return false;
  if (provider.dialect == nullptr) return refuse_no_dialect(field.missing("dialect"));
  if (provider.base_url.empty()) return field.missing("base_url").refuse("missing; expected a URL");
  return true;
}

bool Loader::merge_engine(const std::string& id, const Field& field) {
  const std::optional<Engine> assumed = config_.assume_engine(id);
  if (!assumed) return field.refuse("expected \"provider:model\" with a known provider");
  const auto known = std::find_if(config_.engines.begin(), config_.engines.end(),
                                  [&id](const Engine& engine) { return engine.id == id; });
  Engine& engine = known == config_.engines.end() ? config_.engines.emplace_back(*assumed) : *known;
  constexpr std::int64_t tokens_max = 1'000'000'000;
  return field.members([&engine](const std::string& member, const Field& at) {
    if (member == "context_window") return at.integer(engine.context_window, 1, tokens_max);
    if (member == "max_output") return at.integer(engine.output_tokens_max, 1, tokens_max);
    if (member == "price_in") return at.price(engine.price_in);
    if (member == "price_out") return at.price(engine.price_out);
    if (member == "price_cache_read") return at.price(engine.price_cache_read);
    if (member == "price_cache_write") return at.price(engine.price_cache_write);
    if (member == "cost") return at.word(engine.cost, kCostWords);
    if (member == "latency") return at.word(engine.latency, kLatencyWords);
    if (member == "capabilities") return at.bits(engine.capabilities, capability::kNames);
    if (member == "quirks") return at.bits(engine.quirks, quirk::kNames);
    return at.unknown(
        "context_window, max_output, price_in, price_out, price_cache_read, price_cache_write, "
        "cost, latency, "
        "capabilities, quirks");
  });
}

bool Loader::merge_route(const std::string& name, const Field& field) {
  if (!is_name(name))
    return field.refuse("expected a name of letters, digits, '_', '-' and '.', without ':'");
  const auto known = std::find_if(config_.routes.begin(), config_.routes.end(),
                                  [&name](const Route& route) { return route.name == name; });
  const bool is_new = known == config_.routes.end();
  Route& route = is_new ? config_.routes.emplace_back() : *known;
  route.name = name;
  if (!field.members([&route](const std::string& member, const Field& at) {
        return read_policy_member(member, at, route.policy);
      }))
    return false;
  return !route.policy.chain.empty() ||
         field.missing("chain").refuse(
             "missing; expected an array of engines, each \"provider:model\"");
}

SPILLWAY_RARE bool refuse_engine(const Route& route, std::size_t index, ConfigProblem& problem) {
  problem = {"routes." + route.name + ".chain[" + std::to_string(index) + "]",
             "expected \"provider:model\" with a known provider, got \"" +
                 route.policy.chain[index] + "\""};
  return false;
}

SPILLWAY_RARE bool refuse_default_route(const std::string& name, ConfigProblem& problem) {
  problem = {"default_route", "expected the name of a route, got \"" + name + "\""};
  return false;
}

// What can only be judged when everything is merged.
bool Loader::check(ConfigProblem& problem) const {
  for (const Route& route : config_.routes)
    for (std::size_t index = 0; index < route.policy.chain.size(); ++index)
      if (!config_.assume_engine(route.policy.chain[index]))
        return refuse_engine(route, index, problem);
  return config_.find_route(config_.default_route) != nullptr ||
         refuse_default_route(config_.default_route, problem);
}

bool read_environment(const Field& field, Environment& env) {
  json::Reader in(field.value());
  if (!in.enter_object()) return field.expected("an object");
  while (in.next_member()) {
    // No name that is looked for has escapes.
    const std::string_view name = in.escaped_key().escaped();
    Variable& variable = env.emplace_back(Variable{name, JsonText()});
    if (!field.at(name, in.raw()).text(variable.value)) return false;
  }
  return true;
}

// A variable's text without the white space around it (a key read from a file ends in a line end);
// empty when unset.
std::string text_of(const Environment& env, std::string_view name) {
  for (const Variable& variable : env)
    if (variable.name == name) {
      const std::string text = json::unescaped(variable.value);
      return std::string(trimmed(text));
    }
  return {};
}

// Not with the value itself: problems are logged.
SPILLWAY_RARE void refuse_variable(std::string_view name, std::string_view expected,
                                   ConfigProblem& problem) {
  if (problem.message.empty()) problem = {"env." + std::string(name), std::string(expected)};
}

// Fills {NAME} in a base URL from the environment; the name that is missing, or nothing.
std::string fill(std::string& url, const Environment& env, ConfigProblem& problem) {
  for (std::size_t open = url.find('{'); open != std::string::npos; open = url.find('{', open)) {
    const std::size_t close = url.find('}', open);
    if (close == std::string::npos) return {};
    const std::string_view name = std::string_view(url).substr(open + 1, close - open - 1);
    std::string value = text_of(env, name);
    while (!value.empty() && value.back() == '/') value.pop_back();
    if (value.empty()) return std::string(name);
    if (!is_url_text(value)) refuse_variable(name, kExpectedUrl, problem);
    // A host alone at the front of a URL (OLLAMA_HOST=127.0.0.1:11434) is one of this machine's:
    // plain HTTP.
    if (open == 0 && value.find("://") == std::string::npos) value.insert(0, "http://");
    url.replace(open, close - open + 1, value);
    open += value.size();
  }
  return {};
}

// False when there is no such variable.
bool add_key(Provider& provider, const Environment& env, std::string_view name,
             ConfigProblem& problem) {
  std::string text = text_of(env, name);
  if (text.empty()) return false;
  if (!is_header_value(text)) refuse_variable(name, "expected a key of printable ASCII", problem);
  for (const Secret& known : provider.keys)
    if (known.reveal() == text) return true;
  provider.keys.emplace_back(std::move(text));
  return true;
}

void find_provider_keys(Provider& provider, const Environment& env, ConfigProblem& problem) {
  for (const std::string& name : provider.key_names) {
    (void)add_key(provider, env, name, problem);
    for (int number = 2; number <= limits::keys_per_provider_max; ++number) {
      std::string numbered = name;
      numbered += '_';
      static_assert(limits::keys_per_provider_max < 100);
      if (number >= 10) numbered += static_cast<char>('0' + number / 10);
      numbered += static_cast<char>('0' + number % 10);
      if (!add_key(provider, env, numbered, problem)) break;
    }
  }
  provider.missing = fill(provider.base_url, env, problem);
  if (provider.missing.empty() && provider.keys.empty() && !provider.key_names.empty())
    provider.missing = provider.key_names.front();
}

bool is_digest(std::string_view text) {
  constexpr std::size_t hex_digits = 64;
  return text.size() == hex_digits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool Loader::add_digest(std::string_view hexadecimal) {
  return is_digest(config_.client_key_digests.emplace_back(lowered(hexadecimal)));
}

// False when something in the environment is not what it must be. An empty digest above all: it
// would let in whoever has no digest either.
bool Loader::find_keys(const Environment& env, ConfigProblem& problem) {
  for (Provider& provider : config_.providers) find_provider_keys(provider, env, problem);
  bool good = true;
  split(text_of(env, "SPILLWAY_KEYS"), ',', [this, &good](std::string_view key) {
    key = trimmed(key);
    constexpr std::string_view hashed = "sha256:";
    if (starts_with(key, hashed)) {
      good = add_digest(key.substr(hashed.size())) && good;
    } else if (!key.empty()) {
      config_.client_keys.emplace_back(std::string(key));
    }
  });
  if (!good)
    refuse_variable("SPILLWAY_KEYS", "expected 64 hexadecimal digits after each sha256:", problem);
  return problem.message.empty();
}

// Broken JSON is told with its place.
SPILLWAY_RARE bool refuse_json(const json::Reader& in, const Field& where) {
  return where.refuse("expected JSON: " + std::string(in.problem()) + " at byte " +
                      std::to_string(in.offset()));
}

bool check_json(std::string_view text, const Field& where) {
  json::Reader in(text);
  in.skip();
  return in.finish() || refuse_json(in, where);
}

SPILLWAY_RARE bool refuse_length(const Field& where) {
  return where.refuse("expected at most " + std::to_string(limits::config_bytes_max) +
                      " bytes of config");
}

}  // namespace

std::unique_ptr<const Config> Config::load(std::string_view input, ConfigProblem& problem) {
  const Field root(input, "", problem);
  if (!check_json(input, root)) return nullptr;
  auto config = std::make_unique<Config>();
  config->providers = registry::providers();
  config->engines = registry::engines(config->providers);
  config->routes = registry::routes();
  config->default_route = registry::default_route();

  Loader loader(*config);
  Environment env;
  std::size_t bytes = 0;
  const auto merge = [&loader, &problem, &bytes](std::string_view text, const Field& entry) {
    bytes += text.size();
    if (bytes > limits::config_bytes_max) return refuse_length(entry);
    if (trimmed(text).empty()) return true;
    return check_json(text, entry) && loader.merge(Field(text, "", problem));
  };
  const auto merge_entry = [&merge](const Field& entry) {
    std::string text;
    return entry.text(text) && merge(text, entry);
  };
  const bool read = root.members([&](const std::string& name, const Field& field) {
    if (name == "config") return field.elements("an array of texts", merge_entry);
    if (name == "env") return read_environment(field, env);
    return field.unknown("config, env");
  });
  constexpr std::string_view variable = "SPILLWAY_CONFIG";
  if (!read || !merge(text_of(env, variable), root.at(variable, input)) || !loader.check(problem) ||
      !loader.find_keys(env, problem))
    return nullptr;
  return config;
}

const Provider* Config::find_provider(std::string_view name) const {
  const std::size_t index = index_of(providers, name);
  return index == providers.size() ? nullptr : &providers[index];
}

const Engine* Config::find_engine(std::string_view id) const {
  const auto found = std::find_if(engines.begin(), engines.end(),
                                  [id](const Engine& engine) { return engine.id == id; });
  return found == engines.end() ? nullptr : &*found;
}

const Route* Config::find_route(std::string_view name) const {
  const auto found = std::find_if(routes.begin(), routes.end(),
                                  [name](const Route& route) { return route.name == name; });
  return found == routes.end() ? nullptr : &*found;
}

std::vector<std::string> Config::engines_of(std::string_view model) const {
  std::vector<std::string> ids;
  for (const Engine& engine : engines)
    if (engine.model() == model) ids.push_back(engine.id);
  return ids;
}

std::optional<Engine> Config::assume_engine(std::string_view id) const {
  if (const Engine* known = find_engine(id)) return *known;
  const std::size_t colon = id.find(':');
  if (colon == std::string_view::npos || colon + 1 == id.size()) return std::nullopt;
  Engine engine;
  engine.id = id;
  engine.provider = index_of(providers, id.substr(0, colon));
  if (engine.provider == providers.size()) return std::nullopt;
  return engine;
}

namespace {

constexpr std::size_t kKeyBytesMin = 6;  // shorter keys would eat ordinary words

SPILLWAY_RARE void hide_keys(const Config& config, std::string& text) {
  constexpr std::string_view mark = "[redacted]";
  // All of them are found before one is replaced: keys may begin, hold or overlap one another.
  std::string hidden(text.size(), '\0');
  const auto hide = [&text, &hidden](const Secret& secret) {
    const std::string_view key = secret.reveal();
    if (key.size() < kKeyBytesMin) return;
    for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1))
      for (std::size_t byte = 0; byte < key.size(); ++byte) hidden[at + byte] = 'x';
    // What a provider says may be cut, and so end inside a key.
    for (std::size_t size = std::min(key.size() - 1, text.size()); size >= kKeyBytesMin; --size)
      if (std::string_view(text).substr(text.size() - size) == key.substr(0, size)) {
        std::fill(hidden.end() - static_cast<std::ptrdiff_t>(size), hidden.end(), 'x');
        break;
      }
  };
  for (const Provider& provider : config.providers)
    for (const Secret& key : provider.keys) hide(key);
  for (const Secret& key : config.client_keys) hide(key);

  std::string shown;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (hidden[at] == '\0') {
      shown += text[at];
    } else if (at == 0 || hidden[at - 1] == '\0') {
      shown += mark;
    }
  }
  text = std::move(shown);
}

}  // namespace

void Config::redact(std::string& text) const {
  const auto begins_in = [&text](const Secret& secret) {
    const std::string_view key = secret.reveal();
    return key.size() >= kKeyBytesMin &&
           text.find(key.substr(0, kKeyBytesMin)) != std::string::npos;
  };
  bool found = std::any_of(client_keys.begin(), client_keys.end(), begins_in);
  for (const Provider& provider : providers)
    for (const Secret& key : provider.keys) found = found || begins_in(key);
  if (found) hide_keys(*this, text);
}

bool read_policy(std::string_view json, std::string_view path, Policy& policy,
                 ConfigProblem& problem) {
  const Field root(json, path, problem);
  return check_json(json, root) &&
         root.members([&policy](const std::string& name, const Field& field) {
           return read_policy_member(name, field, policy);
         });
}

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t at = 0; at < given.size(); ++at) {
    const char other = secret.empty() ? '\0' : secret[at % secret.size()];
    difference |= static_cast<unsigned char>(given[at] ^ other);
  }
  return difference == 0;
}

}  // namespace spillway
