// One upstream exchange made for a chat: the request that starts it and what has been read of its
// answer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "actions.h"
#include "attempt_record.h"
#include "candidate.h"
#include "clock.h"
#include "config.h"
#include "dialect.h"
#include "failure.h"
#include "framing.h"
#include "transcript.h"

namespace spillway {

// How an answer reaches the client.
enum class Mode : std::uint8_t {
  splice,     // the host pipes the upstream's bytes natively; the core sees a copy
  relay,      // frames pass as they are, but some must not
  translate,  // events → parts → the client's dialect
  whole,      // one body, the provider's own (asked for what cannot be translated)
};
std::string_view name_of(Mode mode);

// The cheapest mode that loses nothing. `asked_usage`: usage was asked for; `include_usage`: by the
// client.
Mode choose_mode(const Dialect& client, const Provider& provider, const Target& target,
                 const ChatRequest& request);

struct Attempt {
  Attempt(const Provider& provider, const Target& target, std::uint64_t seed)
      : target(target), framing(provider.dialect->framing), transcript(target.quirks, seed) {}
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  SPILLWAY_RARE ~Attempt() = default;

  // The answer is all there; some providers give no finish reason, some no terminator.
  [[nodiscard]] bool finished() const { return done || transcript.finished(); }

  ExchangeId exchange = ExchangeId::none;
  bool open = true;                 // the exchange has not ended
  Candidate* candidate = nullptr;   // of the chat's chain
  AttemptRecords::iterator record;  // in the chat's report
  std::size_t key = 0;
  Target target;
  Mode mode = Mode::translate;
  Dropped dropped;
  Instant started;
  Millis first_content_ms = 0;  // its engine's deadline
  Instant headers_at;
  Instant content_at;  // the last content
  Instant finished_at;
  int status = 0;
  Framing framing;
  Transcript transcript;
  bool done = false;     // the dialect's terminator came
  bool printed = false;  // the answer has been identified to the surface
  std::string id;        // of the answer, as the provider named it; escaped
  std::string model;
  std::string head;      // response headers, kept for classify() when the exchange is refused
  std::string body;      // of a refusal, or of an answer that was not streamed
  std::string held;      // for the client, once there is content
  std::string tail;      // spliced: the part of an event that the client has got at the end
  bool told = false;     // spliced: the provider's own error has reached the client
  bool overdue = false;  // spliced: a deadline has passed, and the copy was behind
};

// Writes the head of the upstream request: JSON {method, url, headers}. `key` may be null: no
// authorization.
void write_request_head(const Provider& provider, const Target& target, const Secret* key,
                        std::string& out);

// The headers that matter, as views into `json`.
ResponseHead read_response_head(int status, std::string_view json);

// Whether a response with this head can be the stream that was asked for.
bool may_stream(const ResponseHead& head);

}  // namespace spillway
