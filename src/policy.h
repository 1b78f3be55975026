// The decisions of routing, as pure functions and one table: which engines a request may go to, and
// what a failure means.
#pragma once

#include <string_view>

#include "candidate.h"
#include "chat.h"
#include "config.h"
#include "failure.h"
#include "rare.h"

namespace spillway {

// Why an engine cannot take a request: asked before calling it.
enum class Unfit : std::uint8_t {
  no,  // it can
  retired,
  no_key,
  dialect,
  vision,
  image_url,
  files,
  file_id,
  audio,
  empty_turn,
  tools,
  json_schema,
  json_mode,
  context_window,
};
Unfit unfit(const ChatRequest& request, const Engine& engine, Instant now);
// A word for logs.
std::string_view name_of(Unfit why);
// The field of the request that asks for more than the engine can.
std::string_view field_of(Unfit why, const ChatRequest& request);
// What is said of the engine: "takes no images".
SPILLWAY_RARE std::string explain(Unfit why, const ChatRequest& request, const Engine& engine);

enum class Resolution : std::uint8_t { ok, unknown_model, bad_policy, not_allowed };

// The chain that `request` names: an engine, a route, a bare model name, or several of these.
// `policy` is changed by the route and by the request's own `spillway` object; `problem` says what
// is wrong, if anything. `client`: who asks, and so what may be named and set; nullptr: whoever
// shows no key, who may all. Behind an engine that has ended stands its successor.
Resolution resolve(const Config& config, const Client* client, const ChatRequest& request,
                   Instant now, Policy& policy, Chain& chain, ConfigProblem& problem);

// How long `engine` may take to its first content.
Millis first_content_ms(const Timeouts& timeouts, const Engine& engine, const ChatRequest& request);

// Who is set aside after a failure, so that later chats do not run into it.
enum class Blame : std::uint8_t {
  nobody,
  engine,       // for the cooldown
  engine_long,  // until a human has acted
  key,          // for the cooldown; the engine when it has no other key
  key_long,
};

enum class Then : std::uint8_t {
  same_engine,  // again, after wait_ms
  next_key,     // the same engine with another key
  next_engine,
  larger_engine,  // an engine with a larger context window
  stop,           // this is the answer
};

struct Situation {
  int attempts_on_engine = 1;   // made so far on the engine that failed, this one included
  int repeats_on_engine = 0;    // of these, after a failure of this kind
  int attempts_left = INT_MAX;  // that the chat may still make
  bool has_other_key = false;   // its provider has a key that is not set aside
  Millis waited_ms = 0;         // on rate limits, in this chat
  Millis left_ms = INT64_MAX;   // until the chat's total deadline
  // Until another engine of the chain may be called; -1 when there is none.
  Millis other_engine_ms = -1;
  std::uint64_t random = 0;  // for jitter
};

struct Verdict {
  Then then = Then::next_engine;
  Millis wait_ms = 0;  // same_engine: so long from now
};

Blame blame(FailureKind kind);
// Whether another engine may go on with an answer that broke off for this.
bool may_go_on(FailureKind kind);
SPILLWAY_RARE Verdict judge(const Failure& failure, const Policy& policy,
                            const Situation& situation);

// Of several failures of one chat, the one with the highest rank is told to the client.
int usefulness(FailureKind kind);

}  // namespace spillway
