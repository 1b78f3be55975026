// The configuration: providers, engines, routes and limits, as immutable data after load().
//
// Built in is adapters/registry.json, compiled to constant rows, so that start-up parses none of
// it. What a user gives (config texts, then the variable SPILLWAY_CONFIG) merges over it, member by
// member.
#pragma once

#include <array>
#include <climits>
#include <cmath>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client.h"
#include "clock.h"
#include "failure.h"
#include "limits.h"
#include "quirk.h"
#include "rare.h"
#include "secret.h"

namespace spillway {

struct Dialect;

// How a key travels: `authorization: Bearer`, or a header of that name.
enum class Auth : std::uint8_t { bearer, x_api_key, x_goog_api_key, api_key, none };

enum class CostBand : std::uint8_t { free, low, mid, high };

// How long an engine may take to its first content: 5 s, 10 s, 60 s by default.
enum class Latency : std::uint8_t { fast, standard, reasoning };

namespace capability {
using Set = std::uint32_t;
inline constexpr Set vision = 1U << 0;
inline constexpr Set tools = 1U << 1;
inline constexpr Set json_mode = 1U << 2;
inline constexpr Set json_schema = 1U << 3;
inline constexpr Set reasoning = 1U << 4;
inline constexpr Set prefill = 1U << 5;
inline constexpr Set files = 1U << 6;  // documents: PDF at least
inline constexpr Set audio = 1U << 7;
// What a model of a known provider is taken to have when the registry does not know it.
inline constexpr Set assumed = vision | tools | json_mode | json_schema | reasoning | files | audio;

using quirk::Name;
inline constexpr std::array kNames{Name{"vision", vision},       Name{"tools", tools},
                                   Name{"json_mode", json_mode}, Name{"json_schema", json_schema},
                                   Name{"reasoning", reasoning}, Name{"prefill", prefill},
                                   Name{"files", files},         Name{"audio", audio}};
}  // namespace capability

// Money per token, in 10^-12 USD: a price of 0.59 USD per million tokens is 590,000. Unknown is
// negative.
struct Price {
  std::int64_t picodollars = -1;
  static Price usd_per_million(double usd) {
    return {usd < 0 ? -1 : static_cast<std::int64_t>(std::nearbyint(usd * 1e6))};
  }
  [[nodiscard]] constexpr bool known() const { return picodollars >= 0; }
};

struct Header {
  std::string name;
  std::string value;
};

struct Provider {
  std::string name;        // groq
  std::string title;       // Groq
  std::size_t number = 0;  // its place among the providers
  const Dialect* dialect = nullptr;
  std::string base_url;  // no slash at its end
  Auth auth = Auth::bearer;
  std::list<std::string> key_names;
  std::list<Header> headers;
  quirk::Set quirks = 0;
  bool built_in = false;  // a row of the registry: what it takes and how it answers is recorded
  bool simulated = false;
  bool splice = true;  // its streams may go to the client before they are read
  // Found in the environment
  std::list<Secret> keys;
  std::string
      missing;  // what the environment lacks: the provider is skipped; empty when it can serve

  [[nodiscard]] bool ready() const { return missing.empty(); }
};

struct Engine {
  std::string id;  // groq:openai/gpt-oss-120b
  const Provider* provider = nullptr;
  std::int64_t context_window = 0;  // tokens; 0 unknown
  std::int64_t output_tokens_max = 0;
  Price price_in, price_out, price_cache_read, price_cache_write;
  CostBand cost = CostBand::mid;
  Latency latency = Latency::standard;
  capability::Set capabilities = capability::assumed;
  quirk::Set quirks = 0;
  std::string ends;       // the day on which its provider ends it (date.h); empty: none is known
  std::string successor;  // who is asked in its place from then on

  [[nodiscard]] std::string_view model() const {
    return std::string_view(id).substr(id.find(':') + 1);
  }
};

enum class OnFailure : std::uint8_t { stop, next };

// What an engine is asked for when the client does not stream. (One that does gets a stream.)
enum class Upstream : std::uint8_t { stream, whole };

struct Timeouts {
  Millis headers_ms = 10'000;  // request sent → response headers
  // response headers → first content; 0: by the engine's latency profile
  Millis first_content_ms = 0;
  Millis idle_ms = 15'000;    // between content
  Millis total_ms = 600'000;  // the whole chat
};

// A second engine is asked as well when the first is slow to its first content; the sooner one
// answers.
struct Hedge {
  bool on = false;
  Millis after_ms = 0;                 // 0: the engine's own 95th percentile, once it is learned
  std::int64_t extra_per_mille = 100;  // of all requests, so many more may be made
  bool tools = false;                  // requests with tools too
};

// Comments in a stream, for whoever ends a connection that is silent. 0: none.
struct KeepAlive {
  Millis every_ms = 15'000;
  // Since the request came. With it the response begins, so that a failure is told inside it.
  // Sooner than any platform that bounds it wants it to begin (25 s).
  Millis before_content_ms = 20'000;
};

// How one chat is routed.
struct Policy {
  int attempts_max = 4;  // upstream requests before the first content
  // … in all, also for an answer that breaks off: a client's row may bound it.
  int upstream_max = INT_MAX;
  int attempts_per_engine = 1;    // what `repeats` leaves open
  Millis rate_limit_wait_ms = 0;  // at most this long for the same engine when it is rate limited
  static constexpr std::int8_t kOpen = -1;
  // By kind of failure: how often the same engine is asked again after it.
  std::array<std::int8_t, kRepeatableKinds> repeats{kOpen, kOpen, kOpen, kOpen,
                                                    kOpen, kOpen, kOpen};
  Timeouts timeouts;
  // As the route has them, whatever the request made of them: who keeps these is not to blame.
  Timeouts fair;
  OnFailure on_auth_error = OnFailure::stop;
  OnFailure on_content_filter = OnFailure::stop;
  Upstream upstream = Upstream::stream;
  Hedge hedge;
  KeepAlive keep_alive;
  bool rescue = true;   // an answer that breaks off is gone on with by the next engine
  std::string go_on;    // what an engine is told that takes no beginning; empty: words of ours
  bool strict = false;  // an engine that would drop a field of the request is skipped

  // How often an engine may be asked again after failures of this kind.
  [[nodiscard]] SPILLWAY_RARE int repeats_after(FailureKind kind) const;
};

// What a chat can name. A request's `spillway` object has the same members.
struct Route : Policy {
  std::string name;
  std::list<std::string> chain;  // engine ids, in order of preference
};

// What a provider, an engine and a route are found by.
inline const std::string& name_of(const Provider& provider) { return provider.name; }
inline const std::string& name_of(const Engine& engine) { return engine.id; }
inline const std::string& name_of(const Route& route) { return route.name; }
inline const std::string& name_of(const Client& client) { return client.name; }
// nullptr when there is none.
template <class Rows>
[[nodiscard]] auto find_named(Rows& rows, std::string_view name) -> decltype(&rows.front()) {
  for (auto& row : rows)
    if (name_of(row) == name) return &row;
  return nullptr;
}

// The wrong field of a config (or of a request's `spillway` object), and what was expected there.
struct ConfigProblem {
  std::string path;
  std::string message;
};

class Config {
 public:
  Config() = default;
  // Engines point into it.
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;
  Config(Config&&) = default;
  Config& operator=(Config&&) = default;
  ~Config() = default;

  // Reads configure()'s input: {"config": [text …], "env": {name: text}}. nullptr when refused:
  // `problem` says why.
  static std::unique_ptr<const Config> load(std::string_view input, ConfigProblem& problem);

  [[nodiscard]] const Provider* find_provider(std::string_view name) const;
  [[nodiscard]] const Engine* find_engine(std::string_view id) const;
  [[nodiscard]] const Route* find_route(std::string_view name) const;
  // The engines that serve a model of this bare name, as a client of one provider writes it.
  [[nodiscard]] std::list<std::string> engines_of(std::string_view model) const;
  // The provider that an engine's id names; nullptr when there is none.
  [[nodiscard]] const Provider* provider_in(std::string_view id) const;
  // An engine that the registry does not know at a provider that it does, with assumed metadata.
  [[nodiscard]] std::optional<Engine> assume_engine(std::string_view id) const;
  // Hides every key that stands in `text` whole (redact.h); whether there was one.
  bool redact(std::string& text) const;

  std::list<Provider> providers;
  std::list<Engine> engines;
  std::list<Route> routes;
  std::string default_route;
  std::string cors_origin = "*";  // empty: no CORS headers
  std::size_t request_bytes_max = limits::request_bytes_max;
  std::size_t bodies_bytes_max = limits::bodies_bytes_max;
  std::size_t chats_max = limits::chats_max;
  // What one client may have of the chats and of the bytes of bodies.
  std::int64_t client_share_per_mille = limits::client_share_per_mille;
  Millis body_ms = limits::body_ms;
  Millis cooldown_ms = limits::cooldown_ms;
  // Without any, no one is served but the machine itself.
  std::list<Client> clients;
  std::list<ClientKey> client_keys;
};

// Changes `route` by the members of a `spillway` object, which stands at `path`.
bool read_route(std::string_view json, std::string_view path, Route& route, ConfigProblem& problem);

}  // namespace spillway
