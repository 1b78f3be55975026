// Everything that may go wrong, by name, and the swarm: which of it happens in one seed, and how
// often. Some faults are off in every seed, so that others are not always in their shadow.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "random.h"

namespace spillway::sim {

// In three groups: what an upstream exchange does, what the host does, what the client does.
enum class Fault : std::uint8_t {
  none,
  // no answer
  refused,
  hung_up,
  silence,
  slow_headers,
  // an answer that says no
  rate_limited,
  server_error,
  overloaded,
  gateway_page,
  upstream_timeout,
  auth,
  quota,
  bad_request,
  context_too_long,
  content_refused,
  denied,  // by somebody on the way: of the key nothing is said
  model_gone,
  model_denied,  // to this key
  too_large,
  redirect,
  prefill_refused,
  addition_refused,  // what asks for usage in a stream
  // an answer that is none
  page,
  nothing,
  empty_answer,
  slow_content,
  pings_only,
  flood,
  oversized_event,
  error_before_content,
  bad_json,
  // an answer that breaks
  error_after_content,
  stall,
  cut,
  early_end,
  // an answer that is odd, and whole
  no_terminator,
  double_terminator,
  no_finish,
  behind_the_end,
  lingering,
  unknown_events,
  comments,
  heartbeats,
  drip,
  odd_framing,
  wrong_label,
  whole_answer,  // to a request for a stream
  usage_in_parts,
  early_finish,  // a finish reason, and then more
  upstream_count,
  // the host
  chunk_splits = upstream_count,
  late_inputs,
  early_timers,
  late_timers,
  native_pipe,
  // the client
  client_leaves,
  client_stalls,
  count
};
inline constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::count);
inline constexpr std::size_t kUpstreamFaults = static_cast<std::size_t>(Fault::upstream_count);

std::string_view name_of(Fault fault);

struct Swarm {
  explicit Swarm(Random& random);

  // What an exchange does to a provider that is unwell.
  [[nodiscard]] Fault draw(Random& random) const;
  [[nodiscard]] bool on(Fault fault) const { return weights[static_cast<std::size_t>(fault)] > 0; }
  // In `weight` of 8 cases, for the faults of hosts and clients.
  [[nodiscard]] bool strikes(Random& random, Fault fault) const {
    return random.below(8) < weights[static_cast<std::size_t>(fault)];
  }

  std::array<std::uint8_t, kFaults> weights{};
  std::uint32_t total = 0;  // of the upstream faults
};

}  // namespace spillway::sim
