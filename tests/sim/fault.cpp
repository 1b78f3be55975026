#include "fault.h"

namespace spillway::sim {

namespace {

constexpr std::array<std::string_view, kFaults> kNames{
    "none",
    "refused",
    "hung_up",
    "silence",
    "slow_headers",
    "rate_limited",
    "server_error",
    "overloaded",
    "gateway_page",
    "upstream_timeout",
    "auth",
    "quota",
    "bad_request",
    "context_too_long",
    "content_refused",
    "denied",
    "model_gone",
    "model_denied",
    "too_large",
    "redirect",
    "prefill_refused",
    "addition_refused",
    "page",
    "nothing",
    "empty_answer",
    "slow_content",
    "pings_only",
    "flood",
    "oversized_event",
    "error_before_content",
    "bad_json",
    "error_after_content",
    "stall",
    "cut",
    "early_end",
    "no_terminator",
    "double_terminator",
    "no_finish",
    "behind_the_end",
    "lingering",
    "unknown_events",
    "comments",
    "heartbeats",
    "drip",
    "odd_framing",
    "wrong_label",
    "whole_answer",
    "usage_in_parts",
    "early_finish",
    "chunk_splits",
    "late_inputs",
    "early_timers",
    "late_timers",
    "native_pipe",
    "client_leaves",
    "client_stalls",
};
static_assert(!kNames.back().empty());

}  // namespace

std::string_view name_of(Fault fault) { return kNames[static_cast<std::size_t>(fault)]; }

Swarm::Swarm(Random& random) {
  constexpr std::array<unsigned, 4> densities{12, 35, 60, 100};
  const unsigned density = random.pick(densities);
  for (std::size_t fault = 1; fault < kFaults; ++fault) {
    if (!random.percent(density)) continue;
    weights[fault] = static_cast<std::uint8_t>(1 + random.below(8));
    if (fault < kUpstreamFaults) total += weights[fault];
  }
  // Eight megabytes a time: seldom, or nothing else would be simulated.
  std::uint8_t& oversized = weights[static_cast<std::size_t>(Fault::oversized_event)];
  if (oversized > 0 && total > oversized && !random.one_in(64)) {
    total -= oversized;
    oversized = 0;
  }
}

Fault Swarm::draw(Random& random) const {
  if (total == 0) return Fault::none;
  std::uint32_t left = random.below(total);
  for (std::size_t fault = 1; fault < kUpstreamFaults; ++fault) {
    if (left < weights[fault]) return static_cast<Fault>(fault);
    left -= weights[fault];
  }
  return Fault::none;
}

}  // namespace spillway::sim
