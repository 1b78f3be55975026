// Answering the client: the commit, the end of an answer, and every way to say that there is none.

#include <algorithm>

#include "chat_machine.h"

namespace spillway {

// When the client is to be told that it is still waited for. Not inside a body that is piped: it
// may stand in the middle of an event, and its provider has comments of its own.
Instant Chat::comment_at() const {
  const KeepAlive& keep_alive = policy_.keep_alive;
  const bool is_reading = state_ == ChatState::committed;
  if (!surface_.streams() || state_ == ChatState::closing || state_ == ChatState::gone ||
      (is_reading && attempt_->mode == Mode::splice))
    return Instant::never();
  if (!answering_)
    return embedded_ || keep_alive.before_content_ms == 0 ? Instant::never()
                                                          : opened_ + keep_alive.before_content_ms;
  if (keep_alive.every_ms == 0) return Instant::never();
  return (is_reading ? std::max(heard_at_, attempt_->content_at) : heard_at_) + keep_alive.every_ms;
}

void Chat::comment(Instant now, bool reading) {
  heard_at_ = now;
  if (!answering_) {
    answering_ = early_ = true;
    shared_.actions.respond(id_, 200, surface_.answer_head(report_.attempts, now - opened_, {}));
  } else if (!reading) {
    return;
  }
  shared_.actions.write(id_, ": keep-alive\n\n");
}

void Chat::flush() {
  if (!shared_.out.empty()) shared_.actions.write(id_, shared_.out);
  shared_.out.clear();
}

// The first content is here: from now on this engine is the one that answers.
void Chat::commit(Instant now) {
  state_ = ChatState::committed;
  record_answer(now);
  praise(now);
  if (report_.first_content_ms < 0) {
    report_.first_content_ms = now - opened_;
    report_.mode = name_of(attempt_->mode);
  }
  if (!answering_) {
    answering_ = true;
    shared_.actions.respond(
        id_, 200, surface_.answer_head(report_.attempts, now - opened_, attempt_->dropped));
  } else if (early_) {
    print_late_head();
  }
  if (!attempt_->held.empty()) shared_.actions.write(id_, attempt_->held);
  std::string().swap(attempt_->held);
  if (attempt_->mode == Mode::splice && attempt_->open)
    shared_.actions.splice(id_, attempt_->exchange);
}

// The response has begun without an engine: comments tell which one it is.
void Chat::print_late_head() {
  early_ = false;
  std::string late;
  surface_.print_late_head(report_.attempts, attempt_->dropped, late);
  shared_.actions.write(id_, late);
}

bool Chat::ended_well() const {
  const Transcript& transcript = attempt_->transcript;
  return transcript.finished() && transcript.reason() == FinishReason::stop;
}

// Whether an answer with nothing in it is what was asked for. (A model that ends its turn behind
// the result of a tool has nothing to add.)
bool Chat::is_answer_though_empty() const {
  const Transcript& transcript = attempt_->transcript;
  if (transcript.reason() == FinishReason::length) return true;
  if (!ended_well()) return false;
  // Asked to go on, an engine may have nothing to add either.
  if (rescue_) return rescue_->prefilled;
  return attempt_->is_empty_answer || transcript.met_stop_sequence() || answers_tool_;
}

// No engine said more than one that said nothing and ended well. False when there was none.
bool Chat::answer_with_nothing(Instant now) {
  if (attempt_ && attempt_->is_empty_answer) empty_ = std::move(attempt_);
  if (!empty_ || rescue_) return false;
  attempt_ = std::move(empty_);
  state_ = ChatState::listening;
  conclude(now);
  if (state_ == ChatState::closing) complete(now);
  return true;
}

// What was held to be piped is all there is: its client gets the events that were read, nothing of
// one that is wrong or has only begun.
void Chat::relay_held() {
  Attempt& attempt = *attempt_;
  attempt.mode = Mode::relay;
  attempt.tail.clear();
  const std::string held = std::exchange(attempt.held, {});
  Framing framing(provider().dialect->framing);
  const auto relay_events = [&] {
    while (const auto frame = framing.next()) {
      shared_.events.clear();
      provider().dialect->decode_frame(*frame, shared_.events);
      for (const Event& event : shared_.events)
        if (std::holds_alternative<Failed>(event) || std::holds_alternative<Garbled>(event) ||
            std::holds_alternative<Done>(event))
          return false;
      relay(*frame);
    }
    return true;
  };
  framing.feed(held);
  if (!relay_events() || !attempt.framing.unfinished().empty()) return;
  framing.end();
  relay_events();
}

// The answer is all there: prints its end. An answer with nothing in it is a failure, while that
// can still be mended.
void Chat::conclude(Instant now) {
  Attempt& attempt = *attempt_;
  if (state_ == ChatState::listening && attempt.mode == Mode::splice) relay_held();
  const FinishReason reason = attempt.transcript.reason();
  // First, for it may say what was held back as the beginning of a tag.
  shared_.parts.clear();
  if (attempt.is_empty_answer) {  // closed before
    shared_.parts.emplace_back(Opening{});
    shared_.parts.emplace_back(Closing{reason, attempt.transcript.usage()});
  } else {
    attempt.transcript.close(shared_.parts);
  }
  if (attempt.mode == Mode::translate && attempt.transcript.has_nameless_call())
    return fail(now, FailureKind::empty, "a tool call has no name");
  const bool is_empty = rescue_ ? !rescue_->said && !attempt.transcript.has_calls()
                                : !attempt.transcript.has_content();
  if (is_empty && !is_answer_though_empty()) {
    if (reason == FinishReason::content_filter)
      return fail(now, FailureKind::content_filter, "the provider's policy stopped the answer");
    attempt.is_empty_answer = !rescue_ && ended_well();
    return fail(now, FailureKind::empty, "the answer is empty");
  }
  if (racing_) settle_race(now);
  shared_.out.clear();
  print_parts(now);
  if (is_contradicted()) return fail(now, FailureKind::empty, kDoesNotJoin);
  if (surface_.streams()) {
    if (state_ == ChatState::listening) commit(now);
    const bool has_terminator = attempt.mode == Mode::splice && attempt.done;
    if (!has_terminator) {
      surface_.print_end(attempt.tail, shared_.out);
    } else if (!attempt.tail.empty()) {
      shared_.out += "\n\n";
    }
    flush();
  }
  attempt.finished_at = now;
  state_ = ChatState::closing;
  arm(now);
}

// What the client has of an event that will not be finished.
void Chat::keep_tail() {
  Attempt& attempt = *attempt_;
  if (attempt.mode != Mode::splice || !attempt.tail.empty()) return;
  // What came behind a failure has gone to the client too; nothing may follow its terminator.
  const std::string_view terminator = surface_.dialect().terminator;
  while (const auto frame = attempt.framing.next())
    if (!frame->data.empty() && terminator.find(frame->data) != std::string_view::npos)
      attempt.done = true;
  attempt.tail = attempt.framing.unfinished();
}

// The answer has its finish reason: usage and the terminator, if they are missing, are not waited
// for any longer.
void Chat::wind_up(Instant now) {
  hang_up();
  keep_tail();
  // A failure that the client was told of, or would have been.
  if (attempt_->found && attempt_->found->kind != FailureKind::protocol)
    return fail(now, *attempt_->found);
  conclude(now);
  if (state_ == ChatState::closing) complete(now);
}

// The answer has been printed and its exchange is over (or was given up).
void Chat::complete(Instant now) {
  Attempt& attempt = *attempt_;
  if (!surface_.streams()) {
    report_.first_content_ms = now - opened_;
    report_.mode = name_of(attempt.mode);
    record_answer(now);
    praise(now);
    shared_.out.clear();
    if (attempt.mode == Mode::whole) {
      const Dialect& dialect = *provider().dialect;
      if (counts_apart(attempt.target, dialect)) dialect.include_reasoning(attempt.body);
      shared_.out += attempt.body;
    } else {
      identify(now);
      surface_.print(attempt.transcript.answer(), shared_.out);
    }
    shared_.actions.respond(id_, 200,
                            surface_.answer_head(report_.attempts, now - opened_, attempt.dropped));
    flush();
  }
  shared_.actions.end(id_);
  leave(now, Outcome::completed);
}

namespace {

// What a provider says when it refuses our key or our account is about a secret, and may quote it,
// whole or in part: the client is told in words of ours. Of other failures: nothing.
std::string_view own_words(FailureKind kind) {
  if (kind == FailureKind::auth)
    return "the provider refuses this router's key; its operator must set a valid one";
  if (kind == FailureKind::quota_exhausted)
    return "this router's account at the provider is out of credit; its operator must add some";
  return {};
}

}  // namespace

// What the client is told of a failure. The log gets the provider's own words.
ClientError Chat::tell(const Remembered& failed, std::string_view joint) {
  const std::string_view own = own_words(failed.failure.kind);
  std::string message = failed.engine;
  message += joint;
  report_.reason = message + failed.failure.reason;
  (void)shared_.config.redact(report_.reason);
  message = own.empty() ? report_.reason : message.append(own);
  ClientError error = client_error(failed.failure, std::move(message));
  (void)shared_.config.redact(error.param);
  if (!own.empty()) error.param.clear();
  return error;
}

// A stream that the client is reading has failed: the client is told in its own dialect, never that
// it is finished.
void Chat::cut(Instant now, const Remembered& broke) {
  const ClientError error = tell(broke, " failed in the middle of its answer: ");
  report_.error_code = error.code;
  Attempt& attempt = *attempt_;
  keep_tail();
  shared_.out.clear();
  // Of what is piped the client may have the end, an error of the provider's own, or more than can
  // be followed.
  const bool has_end =
      (attempt.told && attempt.tail.empty()) ||
      (attempt.mode == Mode::splice && (attempt.done || attempt.framing.overflowed()));
  if (!has_end) surface_.print_stream_error(error, attempt.tail, shared_.out);
  flush();
  shared_.actions.end(id_);
  leave(now, Outcome::cut);
}

void Chat::answer_error(Instant now, const ClientError& error, Millis retry_after_ms) {
  report_.error_code = error.code;
  if (report_.reason.empty()) report_.reason = error.message;
  std::string body;
  if (answering_) {
    surface_.print_stream_error(error, {}, body);
  } else {
    surface_.print_error(error, body);
    shared_.actions.respond(
        id_, error.status,
        surface_.error_head(report_.attempts, now - opened_, error, retry_after_ms));
  }
  shared_.actions.write(id_, body);
  shared_.actions.end(id_);
  leave(now, Outcome::failed);
}

// No engine is left: the most useful of their reasons is the answer.
void Chat::give_up(Instant now) {
  drop_rival(now, kCancelled);
  if (answer_with_nothing(now)) return;
  if (rescue_) return cut(now, rescue_->broke);
  if (!failure_) {
    answer_error(
        now,
        {400, "invalid_request_error", "unsupported",
         "No engine takes every field of this strict request: " + refusals_, "spillway.strict"},
        -1);
    return;
  }
  ClientError error = tell(*failure_, ": ");
  if (report_.attempts.size() > 1) {
    std::string others = " (no engine answered:";
    for (const AttemptRecord& attempt : report_.attempts) {
      if (others.size() > limits::reason_bytes_max) continue;
      others += ' ' + attempt.engine + '=';
      others += attempt.outcome;
    }
    others += ')';
    error.message += others;
    report_.reason += others;
  }
  const FailureKind kind = failure_->failure.kind;
  const bool passes = kind == FailureKind::rate_limited || kind == FailureKind::overloaded;
  answer_error(now, error, passes ? retry_after_ms(now) : -1);
}

// How long until any engine of the chain is back, -1 when no provider has said anything of it.
Millis Chat::retry_after_ms(Instant now) const {
  Instant soonest = Instant::never();
  bool told = false;
  for (const Candidate& candidate : chain_) {
    const bool tried = candidate.attempts > 0;
    const Instant at = std::max(ready_at(now, candidate), candidate.back_at);
    told = told || now <= candidate.back_at;
    // One that was never asked cannot take the request, or its turn did not come; one that failed
    // and does not rest would fail again.
    if (tried ? now < at : !candidate.out) soonest = std::min(soonest, at);
  }
  return told && soonest != Instant::never() ? soonest - now : -1;
}

}  // namespace spillway
