// Clients: who may use this router, which engines they reach, and how much one request of theirs
// may cost. One row of the config each; SPILLWAY_KEYS makes one named `default`.
//
// A client without `routes` and `engines` reaches everything. With `routes` it names these alone;
// with `engines` nothing it asks ever goes to another engine, whatever route, list or model it
// names; with `routes` alone it names no engine.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include "limits.h"
#include "quirk.h"
#include "rare.h"
#include "secret.h"

namespace spillway {

struct ConfigProblem;
struct Policy;

// Who shows no key: this machine under a development server, and the program that embeds the
// router. Bound by nothing but the config.
inline constexpr std::string_view kLocalClient = "local";
inline constexpr std::string_view kEmbeddedClient = "embedded";

// The fields of a request's `spillway` object that a client may set to more than its route has.
namespace may_set {
using Set = std::uint32_t;
inline constexpr Set attempts_max = 1U << 0;
inline constexpr Set attempts_per_engine = 1U << 1;
inline constexpr Set rate_limit_wait_ms = 1U << 2;
inline constexpr Set timeouts = 1U << 3;
inline constexpr Set on_auth_error = 1U << 4;
inline constexpr Set on_content_filter = 1U << 5;
inline constexpr Set hedge = 1U << 6;
inline constexpr Set keep_alive = 1U << 7;
inline constexpr Set rescue = 1U << 8;
inline constexpr Set repeat = 1U << 9;

using quirk::Name;
inline constexpr std::array kNames{Name{"attempts_max", attempts_max},
                                   Name{"attempts_per_engine", attempts_per_engine},
                                   Name{"repeat", repeat},
                                   Name{"rate_limit_wait_ms", rate_limit_wait_ms},
                                   Name{"timeouts", timeouts},
                                   Name{"on_auth_error", on_auth_error},
                                   Name{"on_content_filter", on_content_filter},
                                   Name{"hedge", hedge},
                                   Name{"keep_alive", keep_alive},
                                   Name{"rescue", rescue}};
}  // namespace may_set

struct Client {
  std::string name;
  std::size_t number = 0;   // its place among the clients
  bool is_default = false;  // SPILLWAY_KEYS gives its keys, each to somebody else
  // Variables that hold keys, and digests ("sha256:…").
  std::list<std::string> key_sources;
  bool names_routes = false;  // `routes` is given
  std::list<std::string> routes;
  bool names_engines = false;      // `engines` is given
  std::list<std::string> engines;  // "groq:*": every engine whose id begins so
  may_set::Set may_set = 0;        // `policy`
  int attempts_max = 0;       // upstream requests of one request in all; 0: as the route has it
  std::size_t chats_max = 0;  // of all its keys together; 0: no bound of its own
  std::size_t request_bytes_max = 0;  // 0: the config's

  [[nodiscard]] bool reaches_everything() const { return !names_routes && !names_engines; }
  // Whether it may name this route, and what is left of the route's chain for it.
  [[nodiscard]] SPILLWAY_RARE bool reaches_route(std::string_view route) const;
  // Whether a request of its ever goes to this engine.
  [[nodiscard]] SPILLWAY_RARE bool reaches_engine(std::string_view id) const;
  // Whether it may name this engine itself.
  [[nodiscard]] bool names_engine(std::string_view id) const {
    return (names_engines || !names_routes) && reaches_engine(id);
  }
  // "the routes a, b and the engines groq:*", for messages.
  [[nodiscard]] SPILLWAY_RARE std::string reach() const;
};

// A key of a client, plain or as its digest.
struct ClientKey {
  const Client* client = nullptr;
  std::size_t number = 0;  // its place among the keys of all clients
  bool is_digest = false;  // 64 hexadecimal digits in lower case
  Secret text;
};

// Whether `client` may ask for this policy where its route has `route`: nothing that costs more
// than the route and the row allow. False: `problem` names the field, and what the client may set.
SPILLWAY_RARE bool may_ask(const Client& client, const Policy& route, const Policy& asked,
                           ConfigProblem& problem);

}  // namespace spillway
