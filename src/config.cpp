#include "config.h"

#include <algorithm>

#include "config_member.h"
#include "config_merge.h"
#include "http_text.h"
#include "limits.h"
#include "redact.h"
#include "registry.h"
#include "text.h"

namespace spillway {

namespace {

// What the host gives as the environment, as it stands in the input.
struct Variable {
  std::string_view name;
  JsonText value;
};
using Environment = std::list<Variable>;

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

// Puts a variable's value in the place of the {NAME} at `open`; its end.
SPILLWAY_RARE std::size_t fill_one(std::string& url, std::size_t open, std::size_t close,
                                   std::string value) {
  while (!value.empty() && value.back() == '/') value.pop_back();
  // A host alone at the front of a URL (OLLAMA_HOST=127.0.0.1:11434) is one of this machine's:
  // plain HTTP.
  if (open == 0 && value.find("://") == std::string::npos) value.insert(0, "http://");
  url.replace(open, close - open + 1, value);
  return open + value.size();
}

// Fills {NAME} in a base URL from the environment; the name that is missing, or nothing.
std::string fill(std::string& url, const Environment& env, ConfigProblem& problem) {
  for (std::size_t open = url.find('{'); open != std::string::npos; open = url.find('{', open)) {
    const std::size_t close = url.find('}', open);
    if (close == std::string::npos) return {};
    const std::string_view name = std::string_view(url).substr(open + 1, close - open - 1);
    std::string value = text_of(env, name);
    if (value.find_first_not_of('/') == std::string::npos) return std::string(name);
    if (!is_url_text(value)) refuse_variable(name, kExpectedUrl, problem);
    const std::string variable(name);  // in the URL, which changes
    open = fill_one(url, open, close, std::move(value));
    if (has_user(url)) refuse_variable(variable, kExpectedNoUser, problem);
  }
  return {};
}

// False when there is no such variable.
bool add_key(Provider& provider, const Environment& env, std::string_view name,
             ConfigProblem& problem) {
  std::string text = text_of(env, name);
  if (text.empty()) return false;
  if (!is_key(text)) refuse_variable(name, kExpectedKey, problem);
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

constexpr std::string_view kHashed = "sha256:";

bool is_digest(std::string_view text) {
  constexpr std::size_t hex_digits = 64;
  return text.size() == hex_digits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A key of a client, plain or hashed. False when it is not what it must be: an empty digest above
// all, which would let in whoever has no digest either.
SPILLWAY_RARE bool add_client_key(Config& config, const Client& client, std::string_view text,
                                  const Field& where) {
  const bool is_digest_text = lowered(text.substr(0, kHashed.size())) == kHashed;
  std::string key = is_digest_text ? lowered(text.substr(kHashed.size())) : std::string(text);
  if (is_digest_text && !is_digest(key))
    return where.refuse("expected 64 hexadecimal digits after each sha256:");
  if (!is_key(key)) return where.refuse(kExpectedKey);
  if (key.size() > limits::client_key_bytes_max)
    return where.refuse("expected keys of at most " + std::to_string(limits::client_key_bytes_max) +
                        " bytes");
  for (const ClientKey& known : config.client_keys) {
    if (known.is_digest != is_digest_text || known.text.reveal() != key) continue;
    if (known.client == &client) return true;
    return where.refuse("expected a key of its own, got one that client \"" + known.client->name +
                        "\" has too");
  }
  if (config.client_keys.size() == limits::client_keys_max)
    return where.refuse("expected at most " + std::to_string(limits::client_keys_max) +
                        " keys of clients");
  config.client_keys.push_back(
      {&client, config.client_keys.size(), is_digest_text, Secret(std::move(key))});
  return true;
}

// Several are separated by commas.
SPILLWAY_RARE bool add_client_keys(Config& config, const Client& client, std::string_view keys,
                                   const Field& where) {
  bool good = true;
  split(keys, ',', [&](std::string_view key) {
    key = trimmed(key);
    good = good && (key.empty() || add_client_key(config, client, key, where));
  });
  return good;
}

// The keys of a row, from the variables that it names.
SPILLWAY_RARE bool find_row_keys(Config& config, const Client& client, const Environment& env,
                                 const Field& row) {
  const Field keys = row.at("keys", "null");
  for (const std::string& source : client.key_sources) {
    const bool hashed = lowered(source.substr(0, kHashed.size())) == kHashed;
    const std::string text = hashed ? source : text_of(env, source);
    if (text.empty()) return keys.refuse("the environment has no " + source);
    if (!add_client_keys(config, client, text, keys)) return false;
  }
  return true;
}

// SPILLWAY_KEYS is the client `default`, for whoever is the only one: every engine whose provider
// has a key, as many attempts as are enough, deadlines of the config. A row of this name bounds it
// otherwise.
SPILLWAY_RARE Client& default_client(Config& config) {
  constexpr std::string_view name = "default";
  if (Client* const row = find_named(config.clients, name)) {
    row->is_default = true;
    return *row;
  }
  Client& made = config.clients.emplace_back();
  made.is_default = true;
  made.name = name;
  made.number = config.clients.size() - 1;
  made.attempts_max = limits::default_client_attempts_max;
  made.may_set = may_set::attempts_max | may_set::attempts_per_engine |
                 may_set::rate_limit_wait_ms | may_set::on_auth_error | may_set::on_content_filter |
                 may_set::keep_alive | may_set::rescue | may_set::repeat;
  return made;
}

SPILLWAY_RARE bool find_client_keys(Config& config, const Environment& env, const Field& root) {
  const Field rows = root.at("clients", "null");
  for (const Client& client : config.clients)
    if (!find_row_keys(config, client, env, rows.at(client.name, "null"))) return false;
  constexpr std::string_view variable = "SPILLWAY_KEYS";
  const std::string keys = text_of(env, variable);
  const Field env_field = root.at("env", "null");
  const bool has_keys = keys.find_first_not_of(", \t\r\n") != std::string::npos;
  return !has_keys ||
         add_client_keys(config, default_client(config), keys, env_field.at(variable, "null"));
}

bool find_keys(Config& config, const Environment& env, const Field& root, ConfigProblem& problem) {
  for (Provider& provider : config.providers) find_provider_keys(provider, env, problem);
  return problem.message.empty() && find_client_keys(config, env, root);
}

// What is being read: the input of configure().
struct Loading {
  Config& config;
  ConfigProblem& problem;
  Environment env;
  std::size_t bytes = 0;  // of config texts
};

SPILLWAY_RARE bool refuse_length(const Field& where) {
  return where.refuse("expected at most " + std::to_string(limits::config_bytes_max) +
                      " bytes of config");
}

// `where` is what holds the text, for messages about all of it.
bool merge_text(Loading& loading, std::string_view text, const Field& where) {
  loading.bytes += text.size();
  if (loading.bytes > limits::config_bytes_max) return refuse_length(where);
  return trimmed(text).empty() ||
         (where.holds_json(text) && merge_config(loading.config, Field(text, "", loading.problem)));
}

bool read_texts(Loading& loading, const Field& field) {
  return field.elements("an array of texts", [&loading](const Field& entry) {
    std::string text;
    return entry.text(text) && merge_text(loading, text, entry);
  });
}

bool read_environment(Loading& loading, const Field& field) {
  json::Reader in(field.value());
  if (!in.enter_object()) return field.expected("an object");
  while (in.next_member()) {
    // No name that is looked for has escapes.
    const std::string_view name = in.escaped_key().escaped();
    Variable& variable = loading.env.emplace_back();
    variable.name = name;
    if (!field.at(name, in.raw()).text(variable.value)) return false;
  }
  return true;
}

// A route may name an engine without a row, and so may an engine its successor: from here on it is
// one that the config names.
void add_named_engines(Config& config) {
  const auto add = [&config](const std::string& id) {
    if (config.find_engine(id) == nullptr) config.engines.push_back(*config.assume_engine(id));
  };
  for (const Route& route : config.routes)
    for (const std::string& id : route.chain) add(id);
  for (const Engine& engine : config.engines)
    if (!engine.successor.empty()) add(engine.successor);
}

constexpr Member<Loading> kInputMembers[] = {{"config", read_texts}, {"env", read_environment}};

}  // namespace

std::unique_ptr<const Config> Config::load(std::string_view input, ConfigProblem& problem) {
  const Field root(input, "", problem);
  if (!root.holds_json(input)) return nullptr;
  auto config = std::make_unique<Config>();
  registry::add_to(*config);

  constexpr std::string_view variable = "SPILLWAY_CONFIG";
  Loading loading{*config, problem, {}};
  if (!read_members(root, kInputMembers, loading) ||
      !merge_text(loading, text_of(loading.env, variable), root.at(variable, input)) ||
      !check_config(*config, problem))
    return nullptr;
  add_named_engines(*config);
  if (!find_keys(*config, loading.env, root, problem)) return nullptr;
  return config;
}

namespace {

SPILLWAY_RARE bool hide_keys(const Config& config, std::string& text) {
  Redaction redaction(text);
  for (const Provider& provider : config.providers)
    for (const Secret& key : provider.keys) redaction.hide(key);
  for (const ClientKey& key : config.client_keys)
    if (!key.is_digest) redaction.hide(key.text);
  std::string shown = redaction.shown();
  const bool any = shown != text;
  text = std::move(shown);
  return any;
}

}  // namespace

int Policy::repeats_after(FailureKind kind) const {
  const auto index = static_cast<std::size_t>(kind);
  if (index >= kRepeatableKinds) return 0;
  if (repeats[index] != kOpen) return repeats[index];
  if (kind == FailureKind::rate_limited) return rate_limit_wait_ms > 0 ? INT_MAX : 0;
  const bool alike =
      std::find(kRepeatedAlike.begin(), kRepeatedAlike.end(), kind) != kRepeatedAlike.end();
  return alike ? attempts_per_engine - 1 : 0;
}

const Provider* Config::find_provider(std::string_view name) const {
  return find_named(providers, name);
}

const Engine* Config::find_engine(std::string_view id) const { return find_named(engines, id); }

const Route* Config::find_route(std::string_view name) const { return find_named(routes, name); }

std::list<std::string> Config::engines_of(std::string_view model) const {
  std::list<std::string> ids;
  for (const Engine& engine : engines)
    if (engine.model() == model) ids.push_back(engine.id);
  return ids;
}

const Provider* Config::provider_in(std::string_view id) const {
  const std::size_t colon = id.find(':');
  if (colon == std::string_view::npos || colon + 1 == id.size()) return nullptr;
  return find_provider(id.substr(0, colon));
}

std::optional<Engine> Config::assume_engine(std::string_view id) const {
  if (const Engine* known = find_engine(id)) return *known;
  const Provider* provider = provider_in(id);
  if (provider == nullptr) return std::nullopt;
  Engine engine;
  engine.id = id;
  engine.provider = provider;
  return engine;
}

bool Config::redact(std::string& text) const {
  // Every answer's model is looked at. In base64 a key takes a third more than it has bytes.
  const bool is_plain = text.find_first_of("%\\") == std::string::npos;
  const std::size_t encoded_max = text.size() * 3 / 4;
  const auto may_stand = [&text, is_plain, encoded_max](const Secret& secret) {
    const std::string_view key = secret.reveal();
    if (key.size() < kHiddenKeyBytesMin || key.size() > text.size()) return false;
    return !is_plain || key.size() <= encoded_max || text.find(key) != std::string::npos;
  };
  bool any = std::any_of(
      client_keys.begin(), client_keys.end(),
      [&may_stand](const ClientKey& key) { return !key.is_digest && may_stand(key.text); });
  for (const Provider& provider : providers)
    any = any || std::any_of(provider.keys.begin(), provider.keys.end(), may_stand);
  return any && hide_keys(*this, text);
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
