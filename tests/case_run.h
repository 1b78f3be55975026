// Plays a scenario: a host with scripted providers, a client that takes everything, and a clock
// that jumps from one event to the next. Checks on every step what must hold in any situation.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "case.h"
#include "config.h"

namespace spillway::cases {

// How upstream bodies are cut into chunks. A burst's chunks come at one instant, each as a heap
// copy of exactly its size that is freed after the call, so that a sanitizer sees an overread and a
// view that was kept.
struct Chunking {
  enum class Kind : std::uint8_t { whole, bytes, split } kind = Kind::whole;
  // split: the body of this upstream answer (counted over the whole scenario) is cut once, at this
  // byte.
  std::size_t answer = 0;
  std::size_t at = 0;
};

struct UpstreamRequest {
  std::string head;  // JSON {method, url, headers}
  std::string body;
  friend bool operator==(const UpstreamRequest&, const UpstreamRequest&) = default;
};

struct ChatRun {
  std::vector<UpstreamRequest> requests;
  bool responded = false;
  bool left = false;  // the client did
  bool spliced = false;
  int status = 0;
  std::string head;  // JSON of headers
  std::string body;
  std::vector<std::string> logs;
  friend bool operator==(const ChatRun&, const ChatRun&) = default;
};

struct Playback {
  std::vector<ChatRun> chats;
  // What no host may see and did: actions out of order, for another chat, of exchanges that are
  // over.
  std::vector<std::string> violations;
};

// A loaded configuration, or why it was refused.
struct Loaded {
  std::unique_ptr<const Config> config;
  ConfigProblem problem;
};
Loaded load(const Scenario& scenario);

Playback play(const Scenario& scenario, const Config& config, const Chunking& chunking);

// What is wrong with the bytes that went out, whatever the case expects: requests, responses and
// logs that do not parse, streams without an end, keys that are told.
std::vector<std::string> faults_of(const Scenario& scenario, const Playback& run);

// --- how a run is written in a case file

std::string text_of(const UpstreamRequest& request);
std::string text_of(const ChatRun& chat, bool all_headers);
// The events that the provider's dialect reads out of an answer, one a line; of an answer that is
// no stream, what kind of failure it is.
std::string events_of(const Config& config, const UpstreamRequest& request,
                      const UpstreamAnswer& answer);

// Bytes in the bodies of all upstream answers, in order.
std::vector<std::size_t> body_sizes(const Scenario& scenario);

}  // namespace spillway::cases
