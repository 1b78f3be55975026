#include "config.h"

#include <algorithm>

#include "config_member.h"
#include "config_merge.h"
#include "http_text.h"
#include "limits.h"
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
    open = fill_one(url, open, close, std::move(value));
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

SPILLWAY_RARE bool add_digest(Config& config, std::string_view hexadecimal) {
  return is_digest(config.client_key_digests.emplace_back(lowered(hexadecimal)));
}

// False when something in the environment is not what it must be. An empty digest above all: it
// would let in whoever has no digest either.
bool find_keys(Config& config, const Environment& env, ConfigProblem& problem) {
  for (Provider& provider : config.providers) find_provider_keys(provider, env, problem);
  bool good = true;
  split(text_of(env, "SPILLWAY_KEYS"), ',', [&config, &good](std::string_view key) {
    key = trimmed(key);
    constexpr std::string_view hashed = "sha256:";
    if (starts_with(key, hashed)) {
      good = add_digest(config, key.substr(hashed.size())) && good;
    } else if (!key.empty()) {
      config.client_keys.emplace_back(std::string(key));
    }
  });
  if (!good)
    refuse_variable("SPILLWAY_KEYS", "expected 64 hexadecimal digits after each sha256:", problem);
  return problem.message.empty();
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
      !check_config(*config, problem) || !find_keys(*config, loading.env, problem))
    return nullptr;
  return config;
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

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t at = 0; at < given.size(); ++at) {
    const char other = secret.empty() ? '\0' : secret[at % secret.size()];
    difference |= static_cast<unsigned char>(given[at] ^ other);
  }
  return difference == 0;
}

}  // namespace spillway
