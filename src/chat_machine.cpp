#include "chat_machine.h"

#include <algorithm>

namespace spillway {

namespace {

std::string seconds_text(Millis ms) {
  std::string text;
  json::append_decimal(text, ms, 3);
  return text + " s";
}

bool is_content(const Event& event) {
  return std::holds_alternative<Text>(event) || std::holds_alternative<Reasoning>(event) ||
         std::holds_alternative<Refusal>(event) || std::holds_alternative<ToolCall>(event) ||
         std::holds_alternative<ToolArguments>(event) || std::holds_alternative<ToolInput>(event);
}

}  // namespace

Chat::Chat(RouterShared& shared, ChatOpening opening, Instant now)
    : shared_(shared),
      id_(opening.id),
      request_(std::move(opening.request)),
      surface_(*request_->dialect, request_->stream, request_->include_usage, std::move(opening.headers)),
      opened_(now),
      random_state_(opening.seed) {
  report_.request_id = std::move(opening.request_id);
  report_.requested = request_->model;
  report_.stream = request_->stream;
}

// splitmix64: every chat has its own, so that one chat replays from its seed alone.
std::uint64_t Chat::random() {
  random_state_ += 0x9E3779B97F4A7C15ULL;
  std::uint64_t bits = random_state_;
  bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9ULL;
  bits = (bits ^ bits >> 27) * 0x94D049BB133111EBULL;
  return bits ^ bits >> 31;
}

// --- choosing an engine -----------------------------------------------------------------------------------------

void Chat::start(Instant now) {
  std::vector<Engine> engines;
  ConfigProblem problem;
  switch (resolve(shared_.config, *request_, policy_, engines, problem)) {
    case Resolution::ok: break;
    case Resolution::unknown_model:
      return answer_error(now, {404, "invalid_request_error", "model_not_found", problem.message, problem.path}, -1);
    case Resolution::bad_policy:
      return answer_error(now, {400, "invalid_request_error", "invalid_policy", problem.message, problem.path}, -1);
  }
  for (Engine& engine : engines) chain_.push_back({std::move(engine)});
  if (skip_unfit(now)) try_next(now);
}

// Takes out the engines that cannot serve this request. When none is left, says so and gives false.
bool Chat::skip_unfit(Instant now) {
  bool any = false;
  bool any_ready = false;
  bool all_too_small = true;
  std::string reasons;
  for (Candidate& candidate : chain_) {
    const Provider& provider = shared_.config.provider_of(candidate.engine);
    const std::string_view reason = unfit(*request_, candidate.engine, provider);
    any = any || reason.empty();
    if (reason.empty()) continue;
    candidate.out = true;
    report_.skipped.push_back({candidate.engine.id, reason});
    if (!provider.ready()) {
      reasons += (reasons.empty() ? "" : ", ") + candidate.engine.id + " needs " + provider.missing;
      continue;
    }
    any_ready = true;
    all_too_small = all_too_small && reason == "context_window";
    reasons += (reasons.empty() ? "" : ", ") + candidate.engine.id + " lacks " + std::string(reason);
  }
  if (any) return true;
  if (!any_ready) {
    answer_error(now, {503, "server_error", "no_provider_key",
                       "No engine of this request can be called: " + reasons + ". Set one of these variables.", ""}, -1);
  } else if (all_too_small) {
    answer_error(now, {400, "invalid_request_error", "context_length_exceeded",
                       "The request is about " + std::to_string(request_->input_tokens_estimate) +
                           " tokens, more than any engine of this request takes: " + reasons, "messages"}, -1);
  } else {
    answer_error(now, {400, "invalid_request_error", "unsupported", "No engine can take this request: " + reasons,
                       "model"}, -1);
  }
  return false;
}

// The first engine of the chain that may be called; when all are cooling, the one that is soonest back.
std::optional<std::size_t> Chat::pick(Instant now) const {
  std::optional<std::size_t> best;
  Instant best_at = Instant::never();
  for (std::size_t index = 0; index < chain_.size(); ++index) {
    if (chain_[index].out) continue;
    const Engine& engine = chain_[index].engine;
    const std::size_t keys = shared_.config.provider_of(engine).keys.size();
    const Instant ready_at = std::max({now, shared_.health.engine_ready_at(now, engine.id),
                                       shared_.health.key_ready_at(now, engine.provider, keys)});
    if (!best || ready_at < best_at) {
      best = index;
      best_at = ready_at;
    }
  }
  return best;
}

void Chat::try_next(Instant now) {
  for (;;) {
    const auto candidate = pick(now);
    if (!candidate || static_cast<int>(report_.attempts.size()) >= policy_.attempts_max) return give_up(now);
    if (begin(now, *candidate)) return;
  }
}

void Chat::again(Instant now, std::size_t candidate) {
  const bool spent = static_cast<int>(report_.attempts.size()) >= policy_.attempts_max;
  if (spent || !begin(now, candidate)) give_up(now);
}

// Starts an upstream exchange. False when the engine would lose something that a strict request does not allow.
bool Chat::begin(Instant now, std::size_t index) {
  Candidate& candidate = chain_[index];
  const Engine& engine = candidate.engine;
  const Provider& provider = shared_.config.provider_of(engine);
  Target target;
  target.model = engine.model();
  target.quirks = provider.quirks | engine.quirks;
  target.output_tokens_max = engine.output_tokens_max;
  target.stream = request_->stream || !request_->verbatim;
  target.ask_usage = request_->include_usage || (target.quirks & quirk::usage_always) == 0;
  target.reasons = (engine.capabilities & capability::reasoning) != 0;

  auto attempt = std::make_unique<Attempt>(provider, target, random());
  std::string body;
  json::Writer writer(body);
  provider.dialect->encode_request(*request_, target, writer, attempt->dropped);
  if (policy_.strict && !attempt->dropped.empty()) {
    candidate.out = true;
    report_.skipped.push_back({engine.id, "strict"});
    return false;
  }
  if (!surface_.streams()) attempt->transcript.gather();
  attempt->mode = choose_mode(surface_.dialect(), provider, target, *request_);
  first_content_ms_ = first_content_ms(policy_, engine, *request_);
  attempt->candidate = index;
  attempt->started = now;
  const Secret* key = nullptr;
  if (!provider.keys.empty()) {
    attempt->key = shared_.health.take_key(now, engine.provider, provider.keys.size());
    key = &provider.keys[attempt->key];
  }
  shared_.health.began(now, engine.id);
  ++candidate.attempts;
  report_.attempts.push_back({engine.id, "", 0, 0});

  attempt->exchange = ExchangeId{shared_.next_exchange++};
  shared_.exchanges[attempt->exchange] = id_;
  attempt_ = std::move(attempt);
  state_ = ChatState::trying;
  shared_.out.clear();
  write_request_head(provider, target, key, shared_.out);
  shared_.actions.fetch(attempt_->exchange, shared_.out, body);
  arm(now);
  return true;
}

// --- reading the upstream ---------------------------------------------------------------------------------------

void Chat::take(Instant now, const input::Response& response) {
  if (state_ != ChatState::trying) return;
  attempt_->headers_at = now;
  attempt_->status = response.status;
  report_.attempts.back().status = response.status;
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
  if (state_ == ChatState::refused) {
    attempt_->body.append(chunk.bytes.substr(0, limits::error_body_bytes_max - attempt_->body.size()));
    if (attempt_->body.size() == limits::error_body_bytes_max) read_refusal(now);
    return;
  }
  if (state_ != ChatState::listening && state_ != ChatState::committed) return;
  if (!attempt_->target.stream) {
    attempt_->content_at = now;
    if (attempt_->body.size() + chunk.bytes.size() > limits::answer_bytes_max)
      return fail(now, failed(FailureKind::protocol, "the answer is too large"));
    attempt_->body.append(chunk.bytes);
    return arm(now);
  }
  if (state_ == ChatState::listening && attempt_->mode == Mode::splice) attempt_->held.append(chunk.bytes);
  attempt_->framing.feed(chunk.bytes);
  drain_frames(now);
}

void Chat::drain_frames(Instant now) {
  shared_.out.clear();
  while (const auto frame = attempt_->framing.next())
    if (!take_frame(now, *frame)) return;
  if (attempt_->framing.overflowed()) return fail(now, failed(FailureKind::protocol, "an event is too large"));
  if (attempt_->transcript.overflowed()) return fail(now, failed(FailureKind::protocol, "the answer is too large"));
  after_frames(now);
}

// False when the attempt is over.
bool Chat::take_frame(Instant now, const Frame& frame) {
  Events& events = shared_.events;
  events.clear();
  provider().dialect->decode_frame(frame, events);
  const std::size_t told = static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [](const Event& event) {
    return !std::holds_alternative<Started>(event) && !std::holds_alternative<Counted>(event);
  }));
  const bool only_usage =
      told == 0 && std::any_of(events.begin(), events.end(), [](const Event& event) { return std::holds_alternative<Counted>(event); });
  const bool is_end = attempt_->done;
  for (const Event& event : events)
    if (!take_event(now, event)) return false;
  if (attempt_->mode == Mode::relay && !only_usage && attempt_->done == is_end)
    Surface::relay(frame, state_ == ChatState::listening ? attempt_->held : shared_.out);
  return true;
}

bool Chat::take_event(Instant now, const Event& event) {
  Attempt& attempt = *attempt_;
  if (const auto* failure = std::get_if<Failed>(&event)) {
    ResponseHead head;
    head.status = attempt.status;
    attempt.told = attempt.mode == Mode::splice && state_ == ChatState::committed;
    fail(now, classify(now, head, failure->body));
    return false;
  }
  if (const auto* garbled = std::get_if<Garbled>(&event)) {
    fail(now, failed(FailureKind::protocol, std::string("unreadable event: ") + garbled->problem));
    return false;
  }
  if (const auto* started = std::get_if<Started>(&event)) {
    if (attempt.id.empty()) attempt.id = started->id.escaped();
    if (attempt.model.empty()) attempt.model = started->model.escaped();
    return true;
  }
  if (std::holds_alternative<Done>(event)) {
    attempt.done = true;
    return true;
  }
  if (std::holds_alternative<Finished>(event)) attempt.finished_at = now;
  if (is_content(event)) attempt.content_at = now;
  shared_.parts.clear();
  attempt.transcript.take(event, shared_.parts);
  print_parts(now);
  return true;
}

void Chat::print_parts(Instant now) {
  if (attempt_->mode != Mode::translate || !surface_.streams() || shared_.parts.empty()) return;
  Attempt& attempt = *attempt_;
  if (!attempt.printed) {
    attempt.printed = true;
    std::string model = attempt.model;
    if (model.empty()) json::append_escaped(model, engine().model());
    surface_.identify(now, attempt.id.empty() ? "chatcmpl-" + report_.request_id : attempt.id, std::move(model));
  }
  std::string& out = state_ == ChatState::listening ? attempt.held : shared_.out;
  for (const Part& part : shared_.parts) surface_.print(part, out);
}

// Once a chunk has been read: what of it may go to the client, and whether the answer is over.
void Chat::after_frames(Instant now) {
  Attempt& attempt = *attempt_;
  if (state_ == ChatState::listening) {
    if (attempt.done && !attempt.transcript.has_content()) return conclude(now);
    if (surface_.streams() && attempt.transcript.has_content()) {
      commit(now);
    } else if (attempt.held.size() > limits::held_bytes_max) {
      return fail(now, failed(FailureKind::protocol, "too much came before the first content"));
    }
  }
  if (state_ == ChatState::committed) {
    flush();
    // The terminator goes out at once; the response ends with the exchange, whose connection can then be used again.
    if (attempt.done && attempt.mode != Mode::splice) return conclude(now);
  }
  arm(now);
}

void Chat::take(Instant now, const input::End&) {
  Attempt& attempt = *attempt_;
  attempt.open = false;
  switch (state_) {
    case ChatState::trying: return fail(now, failed(FailureKind::network, "the connection ended before a response"));
    case ChatState::refused: return read_refusal(now);
    case ChatState::closing: return complete(now);
    case ChatState::listening:
    case ChatState::committed: break;
    case ChatState::waiting:
    case ChatState::gone: return;
  }
  if (!attempt.target.stream) return read_whole(now);
  if (attempt.mode == Mode::splice) attempt.tail = attempt.framing.unfinished();
  attempt.framing.end();
  drain_frames(now);
  if (attempt_.get() != &attempt || state_ == ChatState::waiting || state_ == ChatState::gone) return;
  if (state_ == ChatState::closing) return complete(now);
  if (attempt.transcript.finished() || attempt.done) {
    conclude(now);
    if (state_ == ChatState::closing) complete(now);
    return;
  }
  fail(now, failed(FailureKind::network, "the stream ended before the answer was finished"));
}

void Chat::take(Instant now, const input::Error& error) {
  attempt_->open = false;
  if (state_ == ChatState::closing) return complete(now);
  fail(now, failed(FailureKind::network, error.reason));
}

// The body of a response that is no stream has been read.
void Chat::read_refusal(Instant now) {
  const ResponseHead head = read_response_head(attempt_->status, attempt_->head);
  Failure failure = classify(now, head, attempt_->body);
  const bool good = attempt_->status >= 200 && attempt_->status < 300;
  if (good && failure.kind == FailureKind::server)
    failure = failed(FailureKind::protocol, "expected a stream, got " + std::string(head.content_type));
  fail(now, std::move(failure));
}

// An answer that was asked for whole: checked, then passed as it is.
void Chat::read_whole(Instant now) {
  shared_.events.clear();
  provider().dialect->decode_body(attempt_->body, shared_.events);
  for (const Event& event : shared_.events)
    if (!take_event(now, event)) return;
  if (!attempt_->transcript.finished())
    return fail(now, failed(FailureKind::protocol, "the answer has no finish reason"));
  conclude(now);
  if (state_ == ChatState::closing) complete(now);
}

// --- answering the client ---------------------------------------------------------------------------------------

void Chat::flush() {
  if (!shared_.out.empty()) shared_.actions.write(id_, shared_.out);
  shared_.out.clear();
}

// The first content is here: from now on this engine is the one that answers.
void Chat::commit(Instant now) {
  state_ = ChatState::committed;
  report_.first_content_ms = now - opened_;
  report_.mode = name_of(attempt_->mode);
  record(now, "ok");
  shared_.health.succeeded(engine().id);
  shared_.actions.respond(id_, 200, surface_.answer_head(report_.attempts, attempt_->dropped));
  if (!attempt_->held.empty()) shared_.actions.write(id_, attempt_->held);
  std::string().swap(attempt_->held);
  if (attempt_->mode == Mode::splice && attempt_->open) shared_.actions.splice(id_, attempt_->exchange);
  request_.reset();
}

// The answer is all there: prints its end. An answer with nothing in it is a failure, while that can still be mended.
void Chat::conclude(Instant now) {
  Attempt& attempt = *attempt_;
  const FinishReason reason = attempt.transcript.reason();
  if (!attempt.transcript.has_content() && reason != FinishReason::length) {
    if (reason == FinishReason::content_filter)
      return fail(now, failed(FailureKind::content_filter, "the provider's policy stopped the answer"));
    return fail(now, failed(FailureKind::empty, "the answer is empty"));
  }
  shared_.out.clear();
  shared_.parts.clear();
  attempt.transcript.close(shared_.parts);
  print_parts(now);
  if (surface_.streams()) {
    if (state_ == ChatState::listening) commit(now);
    const bool has_terminator = attempt.mode == Mode::splice && attempt.done;
    if (!attempt.tail.empty()) shared_.out += "\n\n";
    if (!has_terminator) surface_.print_terminator(shared_.out);
    flush();
  }
  attempt.finished_at = now;
  state_ = ChatState::closing;
  arm(now);
}

// The answer has been printed and its exchange is over (or was given up).
void Chat::complete(Instant now) {
  Attempt& attempt = *attempt_;
  if (!surface_.streams()) {
    report_.first_content_ms = now - opened_;
    report_.mode = name_of(attempt.mode);
    record(now, "ok");
    shared_.health.succeeded(engine().id);
    shared_.out.clear();
    if (attempt.mode == Mode::whole) {
      shared_.out += attempt.body;
    } else {
      std::string model = attempt.model;
      if (model.empty()) json::append_escaped(model, engine().model());
      surface_.identify(now, attempt.id.empty() ? "chatcmpl-" + report_.request_id : attempt.id, std::move(model));
      surface_.print(attempt.transcript.answer(), shared_.out);
    }
    shared_.actions.respond(id_, 200, surface_.answer_head(report_.attempts, attempt.dropped));
    flush();
  }
  shared_.actions.end(id_);
  leave(now, Outcome::completed);
}

// A stream that the client is reading has failed: the client is told in its own dialect, never that it is finished.
void Chat::cut(Instant now, const Failure& failure) {
  ClientError error = client_error(failure, engine().id + " failed in the middle of its answer: " + failure.reason);
  shared_.config.redact(error.message);
  report_.error_code = error.code;
  report_.reason = error.message;
  report_.attempts.back().outcome = name_of(failure.kind);
  Attempt& attempt = *attempt_;
  if (attempt.mode == Mode::splice && attempt.tail.empty()) {
    while (attempt.framing.next()) continue;  // what came behind the failure has gone to the client too
    attempt.tail = attempt.framing.unfinished();
  }
  shared_.out.clear();
  if (!attempt.told) surface_.print_stream_error(error, attempt.tail, shared_.out);
  flush();
  shared_.actions.end(id_);
  leave(now, Outcome::cut);
}

void Chat::answer_error(Instant now, const ClientError& error, Millis retry_after_ms) {
  report_.error_code = error.code;
  report_.reason = error.message;
  std::string body;
  surface_.print_error(error, body);
  shared_.actions.respond(id_, error.status, surface_.error_head(report_.attempts, error, retry_after_ms));
  shared_.actions.write(id_, body);
  shared_.actions.end(id_);
  leave(now, Outcome::failed);
}

// No engine is left: the most useful of their reasons is the answer.
void Chat::give_up(Instant now) {
  if (!failure_) {
    answer_error(now, {400, "invalid_request_error", "unsupported",
                       "No engine takes every field of this strict request", "spillway.strict"}, -1);
    return;
  }
  std::string message = failure_->engine + ": " + failure_->failure.reason;
  if (report_.attempts.size() > 1) {
    message += " (no engine answered:";
    for (const AttemptRecord& attempt : report_.attempts) {
      message += ' ' + attempt.engine + '=';
      message += attempt.outcome;
    }
    message += ')';
  }
  ClientError error = client_error(failure_->failure, std::move(message));
  shared_.config.redact(error.message);
  shared_.config.redact(error.param);
  const bool may_wait = error.status == 429 || error.status == 503;
  answer_error(now, error, may_wait ? failure_->failure.retry_after_ms : -1);
}

// --- ending an attempt ------------------------------------------------------------------------------------------

void Chat::hang_up() {
  if (!attempt_) return;
  if (attempt_->open) shared_.actions.cancel(attempt_->exchange);
  attempt_->open = false;
  shared_.exchanges.erase(attempt_->exchange);
}

void Chat::record(Instant now, std::string_view outcome) {
  AttemptRecord& attempt = report_.attempts.back();
  attempt.outcome = outcome;
  attempt.duration_ms = now - attempt_->started;
}

void Chat::settle_health(Instant now, const Failure& failure) {
  Health& health = shared_.health;
  const Engine& failed_engine = engine();
  const std::size_t keys = provider().keys.size();
  switch (blame(failure.kind)) {
    case Blame::nobody: return health.let_go(failed_engine.id);
    case Blame::engine: health.failed(now, failed_engine.id, failure.retry_after_ms); return;
    case Blame::engine_long: return health.set_aside(now, failed_engine.id);
    case Blame::key:
      if (keys < 2) {
        health.failed(now, failed_engine.id, failure.retry_after_ms);
      } else {
        health.cool_key(now, failed_engine.provider, attempt_->key, failure.retry_after_ms);
        health.let_go(failed_engine.id);
      }
      return;
    case Blame::key_long:
      if (keys == 0) return health.set_aside(now, failed_engine.id);
      health.set_key_aside(now, failed_engine.provider, attempt_->key);
      return health.let_go(failed_engine.id);
  }
}

void Chat::fail(Instant now, Failure failure) {
  hang_up();
  settle_health(now, failure);
  if (state_ == ChatState::committed) return cut(now, failure);
  record(now, name_of(failure.kind));

  const std::size_t index = attempt_->candidate;
  const std::size_t keys = provider().keys.size();
  Situation situation;
  situation.attempts_on_engine = chain_[index].attempts;
  situation.has_other_key = keys > 1 && shared_.health.key_ready_at(now, engine().provider, keys) <= now;
  situation.waited_ms = waited_ms_;
  situation.random = random();
  const Verdict verdict = judge(failure, policy_, situation);
  if (!failure_ || usefulness(failure.kind) >= usefulness(failure_->failure.kind))
    failure_ = Remembered{failure, engine().id};

  switch (verdict.then) {
    case Then::stop: return give_up(now);
    case Then::next_key: return again(now, index);
    case Then::same_engine:
      if (failure.kind == FailureKind::rate_limited) waited_ms_ += verdict.wait_ms;
      waiting_candidate_ = index;
      wait_until_ = now + verdict.wait_ms;
      state_ = ChatState::waiting;
      return arm(now);
    case Then::larger_engine: {
      const std::int64_t window = engine().context_window;
      for (Candidate& candidate : chain_)
        if (candidate.engine.context_window <= window) candidate.out = true;
      break;
    }
    case Then::next_engine: break;
  }
  chain_[index].out = true;
  try_next(now);
}

void Chat::take(Instant now, const input::Close&) {
  hang_up();
  if (attempt_) {
    if (state_ != ChatState::closing) shared_.health.let_go(engine().id);
    if (report_.attempts.back().outcome.empty()) record(now, "client_closed");
  }
  leave(now, Outcome::client_closed);
}

// The end of every chat: one log event.
void Chat::leave(Instant now, Outcome outcome) {
  hang_up();
  report_.outcome = outcome;
  report_.total_ms = now - opened_;
  const Engine* answered = nullptr;
  if (attempt_ && report_.first_content_ms >= 0) {
    answered = &engine();
    report_.answered_model = attempt_->model;
    report_.usage = attempt_->transcript.usage();
    if (attempt_->transcript.finished()) report_.finish_reason = name_of(attempt_->transcript.reason());
  }
  const LogLevel level = outcome == Outcome::failed || outcome == Outcome::cut ? LogLevel::warn : LogLevel::info;
  shared_.actions.log(level, log_line(report_, answered, answered ? std::string_view(provider().name) : std::string_view()));
  state_ = ChatState::gone;
}

// --- deadlines --------------------------------------------------------------------------------------------------

Instant Chat::deadline() const {
  const Timeouts& timeouts = policy_.timeouts;
  const Instant total = opened_ + timeouts.total_ms;
  switch (state_) {
    case ChatState::waiting: return std::min(total, wait_until_);
    case ChatState::closing: return std::min(total, attempt_->finished_at + limits::finish_grace_ms);
    case ChatState::trying:
    case ChatState::refused:
      // A provider that was asked for a whole answer sends its headers when it has one.
      return attempt_->target.stream ? std::min(total, attempt_->started + timeouts.headers_ms) : total;
    case ChatState::listening:
    case ChatState::committed:
      if (!attempt_->target.stream) return total;
      if (attempt_->transcript.finished())
        return std::min(total, attempt_->finished_at + limits::finish_grace_ms);
      if (attempt_->transcript.has_content()) return std::min(total, attempt_->content_at + timeouts.idle_ms);
      return std::min(total, attempt_->headers_at + first_content_ms_);
    case ChatState::gone: break;
  }
  return Instant::never();
}

// Asks for a wake-up no later than the deadline. An earlier one that is already asked for stays: it will look again. So
// a token, which only moves the deadline back, costs no timer.
void Chat::arm(Instant) {
  const Instant at = deadline();
  if (state_ == ChatState::gone || armed_ <= at) return;
  armed_ = at;
  shared_.actions.wake(id_, at);
}

void Chat::take(Instant now, const input::Wake& wake) {
  armed_ = Instant::never();
  // While the client takes no bytes, none are read: the provider is not to blame for the silence.
  if (!wake.reading && state_ == ChatState::committed) attempt_->content_at = now;
  if (deadline() > now) return arm(now);
  expire(now);
}

void Chat::expire(Instant now) {
  const Timeouts& timeouts = policy_.timeouts;
  const bool total = opened_ + timeouts.total_ms <= now;
  if (state_ == ChatState::closing) {
    hang_up();
    return complete(now);
  }
  const bool reading = state_ == ChatState::listening || state_ == ChatState::committed;
  if (!total && reading && attempt_->transcript.finished()) {
    hang_up();
    conclude(now);
    if (state_ == ChatState::closing) complete(now);
    return;
  }
  if (total) {
    const Failure failure = failed(FailureKind::timeout, "no whole answer within " + seconds_text(timeouts.total_ms));
    if (state_ == ChatState::committed) return fail(now, failure);
    hang_up();
    if (attempt_) shared_.health.let_go(engine().id);
    if (attempt_ && report_.attempts.back().outcome.empty()) record(now, name_of(failure.kind));
    failure_ = Remembered{failure, attempt_ ? engine().id : report_.requested};
    return give_up(now);
  }
  if (state_ == ChatState::waiting) return again(now, waiting_candidate_);
  if (!reading)
    return fail(now, failed(FailureKind::timeout, "no response within " + seconds_text(timeouts.headers_ms)));
  if (!attempt_->transcript.has_content())
    return fail(now, failed(FailureKind::timeout, "no content within " + seconds_text(first_content_ms_)));
  fail(now, failed(FailureKind::timeout, "silent for " + seconds_text(timeouts.idle_ms)));
}

}  // namespace spillway
