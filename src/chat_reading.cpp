// Reading an attempt's answer: response, frames, events, refusals, and how it ends.

#include <algorithm>
#include <array>

#include "chat_machine.h"
#include "text.h"

namespace spillway {

namespace {

bool is_content(const Event& event) {
  return std::holds_alternative<Text>(event) || std::holds_alternative<Reasoning>(event) ||
         std::holds_alternative<Refusal>(event) || std::holds_alternative<ToolCall>(event) ||
         std::holds_alternative<ToolArguments>(event) || std::holds_alternative<ToolInput>(event);
}

// What servers send for the connection's sake.
SPILLWAY_RARE bool is_heartbeat(std::string_view text) {
  const std::string word = lowered(text);
  const bool has_letter = std::any_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (static_cast<unsigned char>(c) & 0x80) != 0;
  });
  static constexpr std::array<std::string_view, 9> kWords{
      "null", "true", "false", "ping", "pong", "ok", "heartbeat", "keepalive", "keep-alive"};
  return !has_letter || std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

// What a client that did not ask for usage does not expect.
SPILLWAY_APART bool tells_only_usage(const Events& events) {
  bool counted = false;
  for (const Event& event : events) {
    if (std::holds_alternative<Counted>(event)) {
      counted = true;
    } else if (!std::holds_alternative<Started>(event)) {
      return false;
    }
  }
  return counted;
}

}  // namespace

void Chat::take(Instant now, const input::Response& response) {
  if (state_ != ChatState::trying) return;
  attempt_->headers_at = now;
  attempt_->status = response.status;
  attempt_->record->status = response.status;
  const ResponseHead head = read_response_head(response.status, response.head);
  const bool good = response.status >= 200 && response.status < 300;
  state_ = good && may_answer(head) ? ChatState::listening : ChatState::refused;
  if (head.content_type.find("event-stream") == std::string_view::npos)
    attempt_->head = response.head;
  arm(now);
}

void Chat::take(Instant now, const input::Chunk& chunk) {
  if (state_ == ChatState::refused) return take_refusal(now, chunk.bytes);
  if (state_ != ChatState::listening && state_ != ChatState::committed) return;
  // No engine is asked any more. Not when the first content came: that went to the client at once.
  if (state_ == ChatState::committed && request_ != nullptr && !may_be_rescued()) let_go_request();
  if (attempt_->body_kind == BodyKind::unknown && !find_body_kind(chunk.bytes))
    return take_refusal(now, chunk.bytes);
  if (attempt_->is_whole()) return take_whole(now, chunk.bytes);
  if (state_ == ChatState::listening && attempt_->mode == Mode::splice)
    attempt_->held.append(chunk.bytes);
  attempt_->framing.feed(chunk.bytes);
  drain_frames(now);
}

// False for a page, which is no answer.
bool Chat::find_body_kind(std::string_view bytes) {
  Attempt& attempt = *attempt_;
  attempt.body_kind = body_kind_of(bytes);
  if (attempt.body_kind == BodyKind::page) {
    state_ = ChatState::refused;
    return false;
  }
  // What was to be passed on as it is is something else: it is told in the client's dialect.
  const BodyKind expected = attempt.target.stream ? BodyKind::events : BodyKind::json;
  if (attempt.body_kind == expected || attempt.body_kind == BodyKind::unknown ||
      (attempt.mode == Mode::whole && request_->verbatim))
    return true;
  attempt.target.stream = true;  // of JSON, which comes at once, the silence counts too
  attempt.mode = Mode::translate;
  attempt.held.clear();
  return true;
}

void Chat::let_go_request() {
  request_.reset();
  seat_.give_bytes();
}

void Chat::take_refusal(Instant now, std::string_view bytes) {
  attempt_->body.append(bytes.substr(0, limits::error_body_bytes_max - attempt_->body.size()));
  if (attempt_->body.size() == limits::error_body_bytes_max) read_refusal(now, true);
}

void Chat::take_whole(Instant now, std::string_view bytes) {
  attempt_->content_at = now;
  if (attempt_->body.size() + bytes.size() > limits::answer_bytes_max)
    return fail(now, FailureKind::protocol, "the answer is too large");
  attempt_->body.append(bytes);
  arm(now);
}

void Chat::drain_frames(Instant now) {
  shared_.out.clear();
  // What comes behind the terminator is no part of the answer, whatever it says.
  while (const auto frame = attempt_->framing.next())
    if (!attempt_->done && !take_frame(now, *frame)) return;
  if ((attempt_->framing.overflowed() || attempt_->transcript.overflowed()) && !take_overflow(now))
    return;
  after_frames(now);
}

// False when the attempt is over.
bool Chat::take_overflow(Instant now) {
  const bool is_event = attempt_->framing.overflowed();
  // The client may read on where the copy cannot be followed; nothing that is written would fit.
  if (is_event && attempt_->mode == Mode::splice && state_ == ChatState::committed) {
    attempt_->told = true;
    attempt_->content_at = now;
    if (!attempt_->open) return true;
  }
  return take_problem(now, failed(FailureKind::protocol,
                                  is_event ? "an event is too large" : "the answer is too large"));
}

// False when the attempt is over.
bool Chat::take_frame(Instant now, const Frame& frame) {
  Events& events = shared_.events;
  events.clear();
  provider().dialect->decode_frame(frame, events);
  Attempt& attempt = *attempt_;
  for (const Event& event : events)
    if (!take_event(now, event)) return false;
  if (attempt.transcript.finished() && provider().dialect->ends_with_usage && !attempt.over() &&
      tells_only_usage(events)) {
    attempt.counted_last = true;
    attempt.finished_at = now;
  }
  if (attempt.mode == Mode::relay && !attempt.done) relay(frame);
  return true;
}

// Passes a frame on as it is: not one that says nothing, nor usage that the client did not ask for.
void Chat::relay(const Frame& frame) {
  const Events& events = shared_.events;
  if (events.empty() || std::holds_alternative<Remark>(*events.begin())) return;
  if (!surface_.tells_usage() && tells_only_usage(events)) return;
  std::string& out = state_ == ChatState::listening ? attempt_->held : shared_.out;
  const Dialect& dialect = *provider().dialect;
  const auto is_usage = [](const Event& event) { return std::holds_alternative<Counted>(event); };
  if (!counts_apart(attempt_->target, dialect) ||
      std::none_of(events.begin(), events.end(), is_usage))
    return Surface::relay(frame, out);
  std::string recounted(frame.data);
  dialect.include_reasoning(recounted);
  Surface::relay({frame.event, recounted, frame.data_lines}, out);
}

bool Chat::take_event(Instant now, const Event& event) {
  Attempt& attempt = *attempt_;
  if (const auto* failure = std::get_if<Failed>(&event)) return take_failure(now, *failure);
  if (const auto* garbled = std::get_if<Garbled>(&event))
    return take_problem(
        now, failed(FailureKind::protocol, std::string("unreadable event: ") + garbled->problem));
  if (const auto* remark = std::get_if<Remark>(&event)) {
    take_remark(*remark);
    return true;
  }
  if (const auto* started = std::get_if<Started>(&event)) {
    if (attempt.id.empty()) take_name(started->id, attempt.id);
    if (attempt.model.empty()) take_name(started->model, attempt.model);
    return true;
  }
  if (std::holds_alternative<Done>(event)) {
    attempt.done = true;
    attempt.finished_at = now;
    return true;
  }
  if (std::holds_alternative<Finished>(event)) {
    attempt.finished_at = now;
    attempt.went_on = false;
  } else if (is_content(event)) {
    attempt.content_at = now;
    attempt.went_on = attempt.transcript.finished();
  }
  shared_.parts.clear();
  attempt.transcript.take(event, shared_.parts);
  print_parts(now);
  return true;
}

// What a provider calls its answer or its model is told with every event, and logged.
void Chat::take_name(JsonText given, std::string& name) {
  if (given.escaped().size() > limits::answer_name_bytes_max) return;
  name = given.escaped();
  std::string plain = json::unescaped(given);
  if (!shared_.config.redact(plain)) return;
  name.clear();
  json::append_escaped(name, plain);
}

// Whether the host passes the body on by itself: what is read here is a copy, behind the client.
bool Chat::is_piped() const {
  return attempt_->mode == Mode::splice && state_ == ChatState::committed && attempt_->open;
}

bool Chat::take_failure(Instant now, const Failed& failure) {
  if (failure.body.empty()) return take_problem(now, ended_with(json::unescaped(failure.finish)));
  Attempt& attempt = *attempt_;
  ResponseHead head;
  head.status = attempt.status;
  attempt.told = attempt.told || (attempt.mode == Mode::splice && state_ == ChatState::committed &&
                                  Surface::is_error(failure.body));
  return take_problem(now, classify(now, head, without_keys(failure.body), engine().model()));
}

// What is wrong with an event. False when the attempt is over: not while the client is piped to,
// which may be further already, and may think otherwise.
bool Chat::take_problem(Instant now, const Failure& failure) {
  if (!is_piped()) {
    fail(now, failure);
    return false;
  }
  Attempt& attempt = *attempt_;
  ++attempt.record->ignored_events;
  if (!attempt.found || attempt.found->kind == FailureKind::protocol) attempt.found = failure;
  return true;
}

void Chat::take_remark(const Remark& remark) {
  ++attempt_->record->ignored_events;
  if (!is_heartbeat(remark.text))
    attempt_->remark = beginning(remark.text, limits::stray_bytes_max);
}

// A stream that ended early: for the reason that it gave in passing, if it gave one.
Failure Chat::broken_off(Instant now, std::string_view what) const {
  const std::string_view stray = attempt_->framing.stray();
  const std::string_view said = stray.empty() ? attempt_->remark : stray;
  if (said.empty()) return failed(FailureKind::network, what);
  ResponseHead head;
  head.status = attempt_->status;
  Failure failure = classify(now, head, without_keys(said), engine().model());
  if (failure.kind == FailureKind::server) failure.kind = FailureKind::network;
  failure.reason = failed(failure.kind, std::string(what) + ": " + failure.reason).reason;
  return failure;
}

// What a provider says of a failure. Keys go first: neither what it is read as nor where it is cut
// may depend on them.
std::string Chat::without_keys(std::string_view body) const {
  std::string text(body.substr(0, limits::error_body_bytes_max));
  (void)shared_.config.redact(text);
  return text;
}

void Chat::identify(Instant now) {
  Attempt& attempt = *attempt_;
  attempt.printed = true;
  std::string model = attempt.model;
  if (model.empty()) json::append_escaped(model, engine().model());
  surface_.identify(now, attempt.id.empty() ? "chatcmpl-" + report_.request_id : attempt.id,
                    std::move(model));
}

void Chat::print_parts(Instant now) {
  if (rescue_) return print_joined();
  if (keeps_text_)
    for (const Part& part : shared_.parts) remember(part);
  if (attempt_->mode != Mode::translate || !surface_.streams() || shared_.parts.empty()) return;
  Attempt& attempt = *attempt_;
  if (!attempt.printed) identify(now);
  std::string& out = state_ == ChatState::listening ? attempt.held : shared_.out;
  for (const Part& part : shared_.parts) surface_.print(part, out);
}

// Once a chunk has been read: what of it may go to the client, and whether the answer is over.
void Chat::after_frames(Instant now) {
  Attempt& attempt = *attempt_;
  if (state_ == ChatState::listening) {
    const bool has_content = attempt.transcript.has_content();
    if (attempt.told_all() && (!has_content || !surface_.streams())) return conclude(now);
    // Of what is held to be spliced, an event that is not whole yet does not count: it may be the
    // first content, and has a bound of its own.
    const std::size_t begun =
        attempt.mode == Mode::splice ? attempt.framing.unfinished().size() : 0;
    if (is_contradicted()) return fail(now, FailureKind::empty, kDoesNotJoin);
    if (racing_ && has_content) settle_race(now);
    if (has_content && !surface_.streams()) {
      gather_rest();
    } else if (has_content) {
      if (is_joined()) commit(now);
    } else if (attempt.held.size() - begun > limits::held_bytes_max) {
      return fail(now, FailureKind::protocol, "too much came before the first content");
    }
  }
  if (state_ == ChatState::committed) {
    flush();
    // The terminator goes out at once; the response ends with the exchange, whose connection can
    // then be used again.
    if (attempt.over() && attempt.mode != Mode::splice) return conclude(now);
    if (attempt.overdue && deadline() <= now) return expire(now);
  }
  arm(now);
}

// The answer has begun, and its client has no use for a piece of it. Of one that is all but over
// the rest comes at once, but is given the same time: what came in one piece may come in two.
void Chat::gather_rest() {
  Attempt& attempt = *attempt_;
  if (attempt.lag_ms > 0) return;
  attempt.lag_ms =
      std::min(limits::gather_ms_max, policy_.timeouts.idle_ms / limits::gathers_a_silence);
  if (attempt.lag_ms > 0 && attempt.open && !attempt.finished())
    shared_.actions.gather(id_, attempt.exchange, attempt.lag_ms);
}

void Chat::take(Instant now, const input::End&) {
  Attempt& attempt = *attempt_;
  attempt.open = false;
  switch (state_) {
    case ChatState::trying:
      return fail(now, FailureKind::network, "the connection ended before a response");
    case ChatState::refused:
      return read_refusal(now, false);
    case ChatState::closing:
      return complete(now);
    case ChatState::listening:
    case ChatState::committed:
      break;
    case ChatState::waiting:
    case ChatState::gone:
      return;
  }
  if (attempt.is_whole()) return read_whole(now);
  if (attempt.mode == Mode::splice) attempt.tail = attempt.framing.unfinished();
  attempt.framing.end();
  drain_frames(now);
  if (attempt_.get() != &attempt || state_ == ChatState::waiting || state_ == ChatState::gone)
    return;
  if (state_ == ChatState::closing) return complete(now);
  if (attempt.done || attempt.transcript.finished()) return wind_up(now);
  // Where the copy could not be followed to its end, the client has that.
  if (attempt.mode == Mode::splice && attempt.framing.overflowed()) {
    attempt.tail = "\n\n";
    conclude(now);
    if (state_ == ChatState::closing) complete(now);
    return;
  }
  fail(now, broken_off(now, "the stream ended before the answer was finished"));
}

void Chat::take(Instant now, const input::Error& error) {
  attempt_->open = false;
  if (state_ == ChatState::closing) return complete(now);
  if (state_ == ChatState::refused) return read_refusal(now, true);
  fail(now, broken_off(now, error.reason));
}

// The body of a response that is no stream has been read, or what there is of it: its head says
// enough.
void Chat::read_refusal(Instant now, bool is_cut) {
  ResponseHead head = read_response_head(attempt_->status, attempt_->head);
  head.body_is_cut = is_cut;
  Failure failure = classify(now, head, without_keys(attempt_->body), engine().model());
  const bool good = attempt_->status >= 200 && attempt_->status < 300;
  std::string_view got = head.content_type;
  if (attempt_->body_kind == BodyKind::page) got = "a page";
  if (got.empty()) got = "none";
  if (good && failure.kind == FailureKind::server)
    failure = failed(FailureKind::protocol, "expected an answer, got " + std::string(got));
  fail(now, failure);
}

// An answer that came whole: checked, then told, or passed as it is where it may.
void Chat::read_whole(Instant now) {
  Attempt& attempt = *attempt_;
  shared_.events.clear();
  provider().dialect->decode_body(attempt.body, shared_.events);
  // What is no answer is read as an error, wherever in it that stands.
  const bool says_something =
      std::any_of(shared_.events.begin(), shared_.events.end(), [](const Event& event) {
        const auto* const started = std::get_if<Started>(&event);
        return is_content(event) || std::holds_alternative<Finished>(event) ||
               std::holds_alternative<Counted>(event) || std::holds_alternative<Failed>(event) ||
               (started != nullptr && !started->model.empty());
      });
  if (!says_something) return read_refusal(now, false);
  for (const Event& event : shared_.events)
    if (!take_event(now, event)) return;
  if (attempt.transcript.overflowed())
    return fail(now, FailureKind::protocol, "the answer is too large");
  // A whole body is over when it ends: some providers give no finish reason in it.
  conclude(now);
  if (state_ == ChatState::closing) complete(now);
}

}  // namespace spillway
