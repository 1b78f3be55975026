// Where a seed takes place: providers in every dialect, their engines, routes and limits, as a real
// configuration and as plain data beside it. There are a few dozen worlds; a seed lives in one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config.h"
#include "dialects.h"
#include "random.h"

namespace spillway::sim {

// The end of every key. Nothing but the head of an upstream request may hold it.
inline constexpr std::string_view kSecretMark = "SECRET";

struct ProviderRow {
  std::string name;
  std::string url_mark;  // what its requests have in their URL
  DialectName dialect = DialectName::openai_chat;
  std::vector<std::string> keys;
  std::uint32_t quirks = 0;  // quirk::Set
};

struct EngineRow {
  std::string id;
  std::string model;
  std::size_t provider = 0;
  std::int64_t context_window = 0;  // 0: unknown
  bool tools = true;
  bool prefill = false;
  bool refuses_prefill = false;  // although it is said to take one
  Latency latency = Latency::standard;
};

// How a chat is routed, as far as it is a number.
struct Rules {
  int attempts_max = 4;
  int attempts_per_engine = 1;
  Millis rate_limit_wait_ms = 0;
  Timeouts timeouts;
  bool next_on_auth_error = false;
  bool next_on_content_filter = false;
  bool rescue = true;
};

struct RouteRow {
  std::string name;
  std::vector<std::size_t> chain;  // engines
  Rules rules;
};

struct World {
  std::vector<ProviderRow> providers;
  std::vector<EngineRow> engines;
  std::vector<RouteRow> routes;  // the first is the default
  Millis cooldown_ms = 0;
  std::size_t chats_max = 0;
  std::string client_key;  // empty: whoever is on this machine
  // What a client may guess: parts of keys, as they are and encoded. Never a whole one.
  std::vector<std::string> guesses;
  std::unique_ptr<const Config> config;

  [[nodiscard]] const ProviderRow& provider_of(std::size_t engine) const {
    return providers[engines[engine].provider];
  }
  [[nodiscard]] std::size_t keys_of(std::size_t engine) const {
    return provider_of(engine).keys.size();
  }
};

inline constexpr std::size_t kWorlds = 48;

// A world has two sets of secrets, as long and as many; guesses are of the first, in both.
enum class Secrets : std::uint8_t { first, second };

// Ends the program when the configuration is refused: that is a mistake of the simulation.
World make_world(std::uint64_t number, Secrets secrets);

// The members of a `spillway` object or a route, without its braces.
std::string print_rules(const Rules& rules);
Rules draw_rules(Random& random);

}  // namespace spillway::sim
