// One upstream exchange made for a chat: the request that starts it and what has been read of its
// answer.
#pragma once

#include <memory>
#include <optional>
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
#include "rare.h"
#include "transcript.h"

namespace spillway {

// How an answer reaches the client.
enum class Mode : std::uint8_t {
  splice,     // the host pipes the upstream's bytes natively; the core sees a copy
  relay,      // frames pass as they are once they are read, but some must not
  translate,  // events → parts → the client's dialect
  whole,      // one body, the provider's own
};
std::string_view name_of(Mode mode);

// Whether output and reasoning tokens are counted beside each other, and mended where they are
// passed on.
bool counts_apart(const Target& target, const Dialect& dialect);

// The cheapest mode that loses nothing.
Mode choose_mode(const Dialect& client, const Provider& provider, const Target& target,
                 const ChatRequest& request);

// What the body of a good response is, by its first byte, whatever its label says.
enum class BodyKind : std::uint8_t {
  unknown,  // nothing of it has come
  events,
  json,
  page,  // no answer at all
};
// By the first bytes that came.
SPILLWAY_APART BodyKind body_kind_of(std::string_view bytes);

struct Attempt {
  Attempt(const Provider& provider, const Target& target, std::uint64_t seed)
      : target(target), framing(provider.dialect->framing), transcript(target.quirks, seed) {}
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  SPILLWAY_RARE ~Attempt() = default;

  // The answer is all there as far as one can tell: some providers give no finish reason, some no
  // terminator, some a finish reason that is not the end.
  [[nodiscard]] bool finished() const { return done || (transcript.finished() && !went_on); }
  // Nothing more is to come but the end of the connection.
  [[nodiscard]] bool over() const { return done || counted_last; }
  // Nothing more of it is passed on: of a piped body the terminator is.
  [[nodiscard]] bool told_all() const { return done || (counted_last && mode != Mode::splice); }
  // Its body is one JSON value, asked for or not.
  [[nodiscard]] bool is_whole() const { return !target.stream || body_kind == BodyKind::json; }

  ExchangeId exchange = ExchangeId::none;
  bool open = true;                 // the exchange has not ended
  Candidate* candidate = nullptr;   // of the chat's chain
  AttemptRecords::iterator record;  // in the chat's report
  std::size_t key = 0;
  Target target;
  Mode mode = Mode::translate;
  Dropped dropped;
  Instant started;
  Millis headers_ms = 0;        // until the response
  Millis first_content_ms = 0;  // its engine's deadline
  Millis fair_headers_ms = 0;   // the same, if the request had no say
  Millis fair_content_ms = 0;
  Instant headers_at;
  Instant content_at;  // the last content
  Instant finished_at;
  int status = 0;
  Framing framing;
  Transcript transcript;
  BodyKind body_kind = BodyKind::unknown;
  bool done = false;             // the dialect's terminator came
  bool counted_last = false;     // usage came behind the finish reason, which ends some dialects
  bool went_on = false;          // content came behind the finish reason
  bool is_empty_answer = false;  // it ended well and said nothing
  bool printed = false;          // the answer has been identified to the surface
  std::string id;                // of the answer, as the provider named it; escaped
  std::string model;
  std::string head;    // response headers, where the response may be a refusal
  std::string body;    // of a refusal, or of an answer that was not streamed
  std::string remark;  // the last that may tell why the stream ends early
  std::string held;    // for the client, once there is content
  std::string tail;    // spliced: the part of an event that the client has got at the end
  Millis lag_ms = 0;   // gathered: what has come may be handed over so much later
  bool told = false;   // spliced: the client has the end, or an error of the provider's own
  // Spliced: what is wrong by the copy. The client is ahead of it, and may read to the end.
  std::optional<Failure> found;
  bool overdue = false;  // spliced: a deadline has passed, and the copy was behind
};

// Writes the head of the upstream request: JSON {method, url, headers}. `key` may be null: no
// authorization.
void write_request_head(const Provider& provider, const Target& target, const Secret* key,
                        std::string& out);

// The headers that matter, as views into `json`.
ResponseHead read_response_head(int status, std::string_view json);

// Whether a good response may be an answer: a page is none.
bool may_answer(const ResponseHead& head);

}  // namespace spillway
