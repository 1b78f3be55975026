// Reading an attempt's answer: response, frames, events, refusals, and how it ends.

#include <algorithm>

#include "chat_machine.h"

namespace spillway {

namespace {

bool is_content(const Event& event) {
  return std::holds_alternative<Text>(event) || std::holds_alternative<Reasoning>(event) ||
         std::holds_alternative<Refusal>(event) || std::holds_alternative<ToolCall>(event) ||
         std::holds_alternative<ToolArguments>(event) || std::holds_alternative<ToolInput>(event);
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
  if (good && (!attempt_->target.stream || may_stream(head))) {
    state_ = ChatState::listening;
  } else {
    state_ = ChatState::refused;
    attempt_->head = response.head;
  }
  arm(now);
}

void Chat::take(Instant now, const input::Chunk& chunk) {
  if (state_ == ChatState::refused) return take_refusal(now, chunk.bytes);
  if (state_ != ChatState::listening && state_ != ChatState::committed) return;
  // No engine is asked any more. Not when the first content came: that went to the client at once.
  if (state_ == ChatState::committed && request_ != nullptr && !may_be_rescued()) request_.reset();
  if (!attempt_->target.stream) return take_whole(now, chunk.bytes);
  if (state_ == ChatState::listening && attempt_->mode == Mode::splice)
    attempt_->held.append(chunk.bytes);
  attempt_->framing.feed(chunk.bytes);
  drain_frames(now);
}

void Chat::take_refusal(Instant now, std::string_view bytes) {
  attempt_->body.append(bytes.substr(0, limits::error_body_bytes_max - attempt_->body.size()));
  if (attempt_->body.size() == limits::error_body_bytes_max) read_refusal(now);
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
  if (attempt_->framing.overflowed() || attempt_->transcript.overflowed())
    return fail(
        now, FailureKind::protocol,
        attempt_->framing.overflowed() ? "an event is too large" : "the answer is too large");
  after_frames(now);
}

// False when the attempt is over.
bool Chat::take_frame(Instant now, const Frame& frame) {
  Events& events = shared_.events;
  events.clear();
  provider().dialect->decode_frame(frame, events);
  for (const Event& event : events)
    if (!take_event(now, event)) return false;
  if (attempt_->mode == Mode::relay && !attempt_->done && !tells_only_usage(events))
    Surface::relay(frame, state_ == ChatState::listening ? attempt_->held : shared_.out);
  return true;
}

bool Chat::take_event(Instant now, const Event& event) {
  Attempt& attempt = *attempt_;
  if (const auto* failure = std::get_if<Failed>(&event)) {
    take_failure(now, *failure);
    return false;
  }
  if (const auto* garbled = std::get_if<Garbled>(&event)) {
    take_garbled(now, *garbled);
    return false;
  }
  if (const auto* started = std::get_if<Started>(&event)) {
    if (attempt.id.empty()) attempt.id = started->id.escaped();
    if (attempt.model.empty()) {
      attempt.model = started->model.escaped();
      shared_.config.redact(attempt.model);  // it is told and logged
    }
    return true;
  }
  if (std::holds_alternative<Done>(event)) {
    attempt.done = true;
    attempt.finished_at = now;
    return true;
  }
  if (std::holds_alternative<Finished>(event)) attempt.finished_at = now;
  if (is_content(event)) attempt.content_at = now;
  shared_.parts.clear();
  attempt.transcript.take(event, shared_.parts);
  print_parts(now);
  return true;
}

void Chat::take_failure(Instant now, const Failed& failure) {
  if (failure.body.empty()) return fail(now, ended_with(json::unescaped(failure.finish)));
  Attempt& attempt = *attempt_;
  ResponseHead head;
  head.status = attempt.status;
  attempt.told = attempt.mode == Mode::splice && state_ == ChatState::committed &&
                 Surface::is_error(failure.body);
  fail(now, classify(now, head, failure.body));
}

void Chat::take_garbled(Instant now, const Garbled& garbled) {
  fail(now, FailureKind::protocol, std::string("unreadable event: ") + garbled.problem);
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
    if (attempt.done && (!attempt.transcript.has_content() || !surface_.streams()))
      return conclude(now);
    // Of what is held to be spliced, an event that is not whole yet does not count: it may be the
    // first content, and has a bound of its own.
    const std::size_t begun =
        attempt.mode == Mode::splice ? attempt.framing.unfinished().size() : 0;
    if (is_contradicted()) return fail(now, FailureKind::empty, kDoesNotJoin);
    if (racing_ && attempt.transcript.has_content()) settle_race(now);
    if (surface_.streams() && attempt.transcript.has_content()) {
      if (is_joined()) commit(now);
    } else if (attempt.held.size() - begun > limits::held_bytes_max) {
      return fail(now, FailureKind::protocol, "too much came before the first content");
    }
  }
  if (state_ == ChatState::committed) {
    flush();
    // The terminator goes out at once; the response ends with the exchange, whose connection can
    // then be used again.
    if (attempt.done && attempt.mode != Mode::splice) return conclude(now);
    if (attempt.overdue && deadline() <= now) return expire(now);
  }
  arm(now);
}

void Chat::take(Instant now, const input::End&) {
  Attempt& attempt = *attempt_;
  attempt.open = false;
  switch (state_) {
    case ChatState::trying:
      return fail(now, FailureKind::network, "the connection ended before a response");
    case ChatState::refused:
      return read_refusal(now);
    case ChatState::closing:
      return complete(now);
    case ChatState::listening:
    case ChatState::committed:
      break;
    case ChatState::waiting:
    case ChatState::gone:
      return;
  }
  if (!attempt.target.stream) return read_whole(now);
  if (attempt.mode == Mode::splice) attempt.tail = attempt.framing.unfinished();
  attempt.framing.end();
  drain_frames(now);
  if (attempt_.get() != &attempt || state_ == ChatState::waiting || state_ == ChatState::gone)
    return;
  if (state_ == ChatState::closing) return complete(now);
  if (attempt.finished()) {
    conclude(now);
    if (state_ == ChatState::closing) complete(now);
    return;
  }
  fail(now, FailureKind::network, "the stream ended before the answer was finished");
}

void Chat::take(Instant now, const input::Error& error) {
  attempt_->open = false;
  if (state_ == ChatState::closing) return complete(now);
  if (state_ == ChatState::refused) return read_refusal(now);
  fail(now, FailureKind::network, error.reason);
}

// The body of a response that is no stream has been read, or what there is of it: its head says
// enough.
void Chat::read_refusal(Instant now) {
  const ResponseHead head = read_response_head(attempt_->status, attempt_->head);
  Failure failure = classify(now, head, attempt_->body);
  const bool good = attempt_->status >= 200 && attempt_->status < 300;
  if (good && failure.kind == FailureKind::server)
    failure =
        failed(FailureKind::protocol, "expected a stream, got " + std::string(head.content_type));
  fail(now, failure);
}

// An answer that was asked for whole: checked, then passed as it is.
void Chat::read_whole(Instant now) {
  shared_.events.clear();
  provider().dialect->decode_body(attempt_->body, shared_.events);
  for (const Event& event : shared_.events)
    if (!take_event(now, event)) return;
  // A whole body is over when it ends: some providers give no finish reason in it.
  conclude(now);
  if (state_ == ChatState::closing) complete(now);
}

}  // namespace spillway
