#include "chat_machine.h"

#include <algorithm>

#include "log.h"

namespace spillway {

namespace {

std::string seconds_text(Millis ms) {
  std::string text;
  json::append_decimal(text, ms, 3);
  return text + " s";
}

// What a provider's request has beside what the client's had.
constexpr std::size_t kMoreBytes = 1024;

// When the silence since the last content is too long. What came since may not have been handed
// over yet, by a timer that may be late.
Instant silent_at(const Attempt& attempt, const Timeouts& timeouts) {
  const Instant heard_at = std::max(attempt.content_at, attempt.finished_at);
  return heard_at + timeouts.idle_ms + attempt.lag_ms + attempt.lag_ms / 2;
}

// What breaks after the finish reason was only usage and the terminator: the answer is whole.
bool spares_finished(FailureKind kind) {
  return kind == FailureKind::network || kind == FailureKind::protocol ||
         kind == FailureKind::timeout;
}

}  // namespace

Chat::Chat(RouterShared& shared, ChatOpening&& opening, Instant now)
    : shared_(shared),
      id_(opening.id),
      seat_(std::move(opening.seat)),
      client_(opening.client),
      request_(std::move(opening.request)),
      surface_(*request_->dialect, request_->stream, request_->include_usage,
               std::move(opening.headers)),
      embedded_(opening.embedded),
      opened_(now),
      random_state_(opening.seed) {
  report_.request_id = std::move(opening.request_id);
  report_.client = opening.client_name;
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

// --- choosing an engine
// -----------------------------------------------------------------------------------------

void Chat::start(Instant now) {
  ConfigProblem problem;
  const Resolution resolution =
      resolve(shared_.config, client_, *request_, now, policy_, chain_, problem);
  if (resolution != Resolution::ok) return refuse_policy(now, resolution, problem);
  bool all_fit = !chain_.empty();
  for (const Candidate& candidate : chain_)
    all_fit = all_fit && unfit(*request_, *candidate.engine, now) == Unfit::no;
  if (!all_fit && !skip_unfit(now)) return;
  messages_ = request_->messages.size();
  answers_tool_ = request_->messages.back().role == Role::tool;
  keeps_text_ = policy_.rescue && surface_.streams() && !request_->verbatim && chain_.size() > 1 &&
                request_->messages.back().role != Role::assistant;
  if (policy_.hedge.on) shared_.pace.earn(policy_.hedge.extra_per_mille);
  try_next(now);
}

void Chat::refuse_policy(Instant now, Resolution resolution, const ConfigProblem& problem) {
  ClientError error{404, "invalid_request_error", "model_not_found", problem.message, problem.path};
  if (resolution == Resolution::bad_policy) {
    error.status = 400;
    error.code = "invalid_policy";
  } else if (resolution == Resolution::not_allowed) {
    error.status = 403;
    error.type = "permission_error";
    error.code = "not_allowed";
  }
  answer_error(now, error, -1);
}

void Chat::skip(Candidate& candidate, std::string_view word, std::string_view text) {
  candidate.out = true;
  report_.skipped.push_back({candidate.engine->id, word});
  if (refusals_.size() > limits::reason_bytes_max) return;
  if (!refusals_.empty()) refusals_ += "; ";
  refusals_ += candidate.engine->id + ' ';
  refusals_ += text;
}

// Takes out the engines that cannot serve this request. When none is left, says so and gives false.
bool Chat::skip_unfit(Instant now) {
  bool any = false;
  Misfits misfits;
  for (Candidate& candidate : chain_) {
    const Unfit why = unfit(*request_, *candidate.engine, now);
    any = any || why == Unfit::no;
    if (why == Unfit::no) continue;
    skip(candidate, name_of(why), explain(why, *request_, *candidate.engine));
    if (why == Unfit::retired) surface_.tell_skipped(candidate.engine->id, name_of(why));
    misfits.add(why, field_of(why, *request_));
  }
  if (!any) answer_error(now, none_fits(misfits), -1);
  return any;
}

void Chat::Misfits::add(Unfit why, std::string_view other) {
  all_retired = all_retired && why == Unfit::retired;
  if (why == Unfit::retired || why == Unfit::no_key) return;
  field = !any_ready || field == other ? other : "model";
  any_ready = true;
  all_too_small = all_too_small && why == Unfit::context_window;
}

ClientError Chat::none_fits(const Misfits& misfits) const {
  if (misfits.all_retired)
    return {404, "invalid_request_error", "model_not_found",
            "Every engine of this request is retired: " + refusals_, "model"};
  if (!misfits.any_ready)
    return {
        503, "server_error", "no_provider_key",
        "No engine of this request can be called: " + refusals_ + ". Set one of these variables.",
        ""};
  if (misfits.all_too_small)
    return {400, "invalid_request_error", "context_length_exceeded",
            "The request is about " + std::to_string(request_->input_tokens_estimate) +
                " tokens, more than any engine of this request takes: " + refusals_,
            std::string(misfits.field)};
  return {400, "invalid_request_error", "unsupported",
          "No engine can take this request: " + refusals_, std::string(misfits.field)};
}

Instant Chat::ready_at(Instant now, const Candidate& candidate) const {
  const Engine& engine = *candidate.engine;
  const std::size_t keys = engine.provider->keys.size();
  return std::max({now, shared_.health.engine_ready_at(now, engine.id),
                   shared_.health.key_ready_at(now, engine.provider->number, keys, engine.id)});
}

// The first engine of the chain that may be called; when all are cooling, the one that is soonest
// back.
Candidate* Chat::pick(Instant now, const Candidate* except) {
  Candidate* best = nullptr;
  Instant best_at = Instant::never();
  for (Candidate& candidate : chain_) {
    if (candidate.out || &candidate == except) continue;
    const Instant at = ready_at(now, candidate);
    if (best == nullptr || at < best_at) {
      best = &candidate;
      best_at = at;
    }
  }
  return best;
}

void Chat::try_next(Instant now) {
  for (;;) {
    Candidate* const candidate = pick(now);
    if (candidate == nullptr) return give_up(now);
    if (begin(now, *candidate)) return;
  }
}

void Chat::again(Instant now, Candidate& candidate) {
  if (!begin(now, candidate)) give_up(now);
}

// How many upstream requests may still be made, beside so many `before` that do not count.
int Chat::attempts_left(std::size_t before) const {
  const auto made = static_cast<int>(report_.attempts.size());
  return std::min(policy_.attempts_max - (made - static_cast<int>(before)),
                  policy_.upstream_max - made);
}

// A whole answer has its headers when there is one: they may take as long as its first content too.
// What cannot be asked for otherwise takes the time that the chat has.
Millis Chat::headers_ms(const Timeouts& timeouts, const Target& target,
                        Millis first_content_ms) const {
  if (target.stream) return timeouts.headers_ms;
  const bool is_choice = policy_.upstream == Upstream::whole && !request_->stream;
  return is_choice && !request_->verbatim ? timeouts.headers_ms + first_content_ms
                                          : timeouts.total_ms;
}

// Starts an upstream exchange. False when the engine would lose something that a strict request
// does not allow.
bool Chat::begin(Instant now, Candidate& candidate) {
  const Engine& engine = *candidate.engine;
  const Provider& provider = *engine.provider;
  Target target;
  target.model = engine.model();
  target.quirks =
      provider.quirks | engine.quirks | shared_.learned.of(engine.id) | candidate.refused_ours;
  target.output_tokens_max = engine.output_tokens_max;
  const bool wants_stream =
      request_->stream || (!request_->verbatim && policy_.upstream == Upstream::stream);
  target.stream = wants_stream && (target.quirks & quirk::no_stream) == 0;
  target.ask_usage = request_->include_usage || (target.quirks & quirk::usage_always) == 0;
  target.built_in = provider.built_in;
  target.reasons = (engine.capabilities & capability::reasoning) != 0;
  joinable_ = true;
  if (rescue_) {
    ask_to_go_on(candidate);
  } else {
    text_.clear();
  }

  auto attempt = std::make_unique<Attempt>(provider, target, random());
  std::string body;
  // At once: one that grows piece by piece takes three times its size.
  body.reserve(request_->body.size() + request_->body.size() / 32 + kMoreBytes);
  json::Writer writer(body);
  provider.dialect->encode_request(*request_, target, writer, attempt->dropped);
  if (policy_.strict && !attempt->dropped.empty()) {
    skip_lossy(candidate, attempt->dropped);
    return false;
  }
  if (!surface_.streams()) attempt->transcript.gather();
  attempt->mode =
      rescue_ ? Mode::translate : choose_mode(surface_.dialect(), provider, target, *request_);
  attempt->first_content_ms = first_content_ms(policy_.timeouts, engine, *request_);
  attempt->fair_content_ms = first_content_ms(policy_.fair, engine, *request_);
  attempt->headers_ms = headers_ms(policy_.timeouts, target, attempt->first_content_ms);
  attempt->fair_headers_ms = headers_ms(policy_.fair, target, attempt->fair_content_ms);
  attempt->candidate = &candidate;
  attempt->started = now;
  const Secret* key = nullptr;
  if (!provider.keys.empty()) {
    attempt->key =
        shared_.health.take_key(now, engine.provider->number, provider.keys.size(), engine.id);
    key = &*std::next(provider.keys.begin(), static_cast<std::ptrdiff_t>(attempt->key));
  }
  attempt->exchange = ExchangeId{shared_.next_exchange++};
  shared_.health.began(now, engine.id, attempt->exchange);
  ++candidate.attempts;
  report_.attempts.emplace_back().engine = engine.id;
  attempt->record = std::prev(report_.attempts.end());

  shared_.exchanges[attempt->exchange] = id_;
  if (attempt_ && attempt_->is_empty_answer) empty_ = std::move(attempt_);
  attempt_ = std::move(attempt);
  state_ = ChatState::trying;
  shared_.out.clear();
  write_request_head(provider, target, key, shared_.out);
  shared_.actions.fetch(attempt_->exchange, shared_.out, body);
  if (policy_.hedge.on) expect_slowness(now);
  shared_.out.clear();  // flush() is never to find this there
  arm(now);
  return true;
}

// Whether what was refused is not the client's: the engine is not asked for it again.
bool Chat::is_refusal_of_ours(const Failure& failure) {
  const Target& target = attempt_->target;
  if (!target.stream) return false;
  quirk::Set asked = quirk::no_stream;
  if (target.ask_usage) asked |= quirk::no_stream_options;
  const quirk::Set refused = refused_additions(failure, asked & ~target.quirks);
  if (refused == 0) return false;
  if (names_addition(failure) && request_ != nullptr && !request_->verbatim)
    shared_.learned.add(engine().id, refused, attempt_->candidate->assumed == nullptr);
  attempt_->candidate->refused_ours = refused;
  return true;
}

void Chat::skip_lossy(Candidate& candidate, const Dropped& dropped) {
  skip(candidate, "strict", "cannot take " + list_of(dropped));
}

// --- ending an attempt
// ------------------------------------------------------------------------------------------

void Chat::hang_up() {
  if (!attempt_) return;
  if (attempt_->open) shared_.actions.cancel(attempt_->exchange);
  attempt_->open = false;
  shared_.exchanges.erase(attempt_->exchange);
}

void Chat::record(Instant now, std::string_view outcome) {
  AttemptRecord& attempt = *attempt_->record;
  attempt.outcome = outcome;
  attempt.duration_ms = now - attempt_->started;
}

// The one that answers stands last.
void Chat::record_answer(Instant now) {
  record(now, "ok");
  AttemptRecords& records = report_.attempts;
  records.splice(records.end(), records, attempt_->record);
}

// The attempt has answered: what it used serves.
void Chat::praise(Instant now) {
  shared_.health.succeeded(now, engine().id, attempt_->exchange);
  shared_.health.key_succeeded(provider().number, attempt_->key, attempt_->started, engine().id);
}

void Chat::settle_health(Instant now, const Failure& failure) {
  Health& health = shared_.health;
  const Engine& failed_engine = engine();
  const ExchangeId attempt = attempt_->exchange;
  const std::size_t keys = provider().keys.size();
  const Blame blamed = failure.is_by_request ? Blame::nobody : blame(failure.kind);
  // What a client alone has named is nobody else's business: nothing of it is kept.
  const bool is_key = blamed == Blame::key_long || (blamed == Blame::key && keys >= 2);
  if (attempt_->candidate->assumed != nullptr && (!is_key || keys == 0)) return;
  switch (blamed) {
    case Blame::nobody:
      return health.let_go(failed_engine.id, attempt);
    case Blame::engine:
      health.failed(now, failed_engine.id, attempt, failure.retry_after_ms, failure.kind);
      return;
    case Blame::engine_long:
      if (failure.is_to_key && keys >= 2) {
        health.deny(now, failed_engine.id, attempt_->key, failure.kind);
        return health.let_go(failed_engine.id, attempt);
      }
      return health.set_aside(now, failed_engine.id, attempt, limits::gone_ms, failure.kind);
    case Blame::key:
      if (keys < 2) {
        health.failed(now, failed_engine.id, attempt, failure.retry_after_ms, failure.kind);
      } else {
        health.cool_key(now, failed_engine.provider->number, attempt_->key, failure.retry_after_ms,
                        failure.kind);
        health.let_go(failed_engine.id, attempt);
      }
      return;
    case Blame::key_long:
      if (keys == 0)
        return health.set_aside(now, failed_engine.id, attempt, limits::set_aside_ms, failure.kind);
      health.set_key_aside(now, failed_engine.provider->number, attempt_->key, failure.kind);
      return health.let_go(failed_engine.id, attempt);
  }
}

// How the chat stands once its attempt has failed.
Situation Chat::situation(Instant now, FailureKind kind) {
  const Candidate& candidate = *attempt_->candidate;
  const std::size_t keys = provider().keys.size();
  Situation situation;
  situation.attempts_on_engine = candidate.attempts;
  if (const auto index = static_cast<std::size_t>(kind); index < kRepeatableKinds)
    situation.repeats_on_engine = candidate.repeats[index];
  situation.attempts_left = attempts_left(rescue_ ? rescue_->attempts : 0);
  // As many as there are: a key that asks for no wait is ready again at once.
  situation.has_other_key =
      candidate.keys_failed < keys &&
      shared_.health.key_ready_at(now, engine().provider->number, keys, engine().id) <= now;
  situation.waited_ms = waited_ms_;
  situation.left_ms = opened_ + policy_.timeouts.total_ms - now;
  if (const Candidate* other = pick(now, &candidate))
    situation.other_engine_ms = ready_at(now, *other) - now;
  situation.random = random();
  return situation;
}

// Of several failures the most useful one is told.
void Chat::remember(const Failure& failure) {
  if (!failure_ || usefulness(failure.kind) >= usefulness(failure_->failure.kind))
    failure_ = Remembered{failure, engine().id};
}

void Chat::fail(Instant now, FailureKind kind, std::string_view reason) {
  fail(now, failed(kind, reason));
}

void Chat::fail(Instant now, const Failure& failure) {
  Attempt& attempt = *attempt_;
  if (attempt.found) {
    const Failure found = *std::exchange(attempt.found, std::nullopt);
    const bool is_ours = found.kind == FailureKind::protocol;
    if (!(is_ours && attempt.finished())) return fail(now, found);
  }
  if (attempt.target.stream && attempt.finished() && spares_finished(failure.kind))
    return wind_up(now);
  hang_up();
  // Of what the router had added nobody is to blame, the request least of all.
  const bool is_of_ours = is_refusal_of_ours(failure);
  const Failure counted = is_of_ours ? failed(FailureKind::empty, failure.reason) : failure;
  settle_health(now, counted);
  if (state_ == ChatState::committed) {
    flush();  // what came before the failure
    pay();
    attempt.record->outcome = name_of(failure.kind);
    if (!rescue(now, failure)) cut(now, {failure, engine().id});
    return;
  }
  record(now, name_of(failure.kind));

  Candidate& candidate = *attempt_->candidate;
  if (failure.retry_after_ms >= 0) candidate.back_at = now + failure.retry_after_ms;
  remember(counted);
  const Blame blamed = blame(failure.kind);
  if (blamed == Blame::key || blamed == Blame::key_long || failure.is_to_key)
    ++candidate.keys_failed;
  const Situation standing = situation(now, failure.kind);
  if ((standing.attempts_left <= 0 && !rival_) || standing.left_ms <= 0) return give_up(now);

  if (is_of_ours && !rival_) return again(now, candidate);
  const Verdict verdict = judge(failure, policy_, standing);
  if (rival_ && (verdict.then == Then::next_key || verdict.then == Then::same_engine))
    return continue_with_rival(now);
  switch (verdict.then) {
    case Then::stop:
      if (!rescue_ && candidate.refused_ours != 0) break;  // it may be peculiar in more ways
      if (!rescue_) return give_up(now);
      // What was refused is our request to go on: another engine may take it, or this one a
      // plainer.
      if (rescue_->prefilled && failure.kind == FailureKind::bad_request) {
        candidate.refuses_prefill = true;
        return again(now, candidate);
      }
      break;
    case Then::next_key:
      return again(now, candidate);
    case Then::same_engine:
      ++candidate.repeats[static_cast<std::size_t>(failure.kind)];
      if (failure.kind == FailureKind::rate_limited) waited_ms_ += verdict.wait_ms;
      waiting_candidate_ = &candidate;
      wait_until_ = now + verdict.wait_ms;
      state_ = ChatState::waiting;
      return arm(now);
    case Then::larger_engine: {
      const std::int64_t window = engine().context_window;
      for (Candidate& other : chain_)
        if (other.engine->context_window > 0 && other.engine->context_window <= window)
          other.out = true;
      break;
    }
    case Then::next_engine:
      break;
  }
  candidate.out = true;
  if (rival_) return continue_with_rival(now);
  try_next(now);
}

void Chat::take(Instant now, const input::Close&) {
  constexpr std::string_view outcome = "client_closed";
  drop_rival(now, outcome);
  hang_up();
  if (attempt_) {
    shared_.health.let_go(engine().id, attempt_->exchange);
    if (attempt_->record->outcome.empty()) record(now, outcome);
  }
  leave(now, Outcome::client_closed);
}

// The end of every chat: one log event.
void Chat::leave(Instant now, Outcome outcome) {
  hang_up();
  report_.outcome = outcome;
  report_.total_ms = now - opened_;
  const Engine* answered = nullptr;
  if (state_ == ChatState::committed || state_ == ChatState::closing) {
    pay();
    answered = &engine();
    if (attempt_->transcript.finished())
      report_.finish_reason = name_of(attempt_->transcript.reason());
  } else if (rescue_) {  // no engine could go on
    for (const Candidate& candidate : chain_)
      if (candidate.engine->id == rescue_->broke.engine) answered = candidate.engine;
  }
  const LogLevel level =
      outcome == Outcome::failed || outcome == Outcome::cut ? LogLevel::warn : LogLevel::info;
  const std::string_view provider_name =
      answered ? std::string_view(answered->provider->name) : std::string_view();
  write_log(shared_.actions, level, log_line(report_, answered, provider_name));
  state_ = ChatState::gone;
}

// --- deadlines
// --------------------------------------------------------------------------------------------------

Instant Chat::deadline() const {
  const Instant at = deadline_of(state_, attempt_.get());
  return rival_ ? std::min(at, deadline_of(rival_state_, rival_.get())) : at;
}

Instant Chat::deadline_of(ChatState state, const Attempt* attempt) const {
  const Timeouts& timeouts = policy_.timeouts;
  const Instant total = opened_ + timeouts.total_ms;
  switch (state) {
    case ChatState::waiting:
      return std::min(total, wait_until_);
    case ChatState::closing:
      return std::min(
          total, attempt->finished_at +
                     (surface_.streams() ? limits::finish_grace_ms : limits::terminator_grace_ms));
    case ChatState::trying:
    case ChatState::refused:
      return std::min(total, attempt->started + attempt->headers_ms);
    case ChatState::listening:
    case ChatState::committed:
      if (!attempt->target.stream) return total;
      if (attempt->over()) return std::min(total, attempt->finished_at + limits::finish_grace_ms);
      // A finish reason may not be the last: what follows has as long as any content.
      if (attempt->finished() || attempt->transcript.has_content() || attempt->is_whole())
        return std::min(total, silent_at(*attempt, timeouts));
      return std::min(total, attempt->headers_at + attempt->first_content_ms);
    case ChatState::gone:
      break;
  }
  return Instant::never();
}

// Asks for a wake-up no later than the deadline. An earlier one that is already asked for stays: it
// will look again. So a token, which only moves the deadline back, costs no timer.
void Chat::arm(Instant) {
  const Instant at = std::min({deadline(), hedge_at_, comment_at()});
  if (state_ == ChatState::gone || armed_ <= at) return;
  armed_ = at;
  shared_.actions.wake(id_, at);
}

void Chat::take(Instant now, const input::Wake& wake) {
  armed_ = Instant::never();
  // While the client takes no bytes, none are read: the provider is not to blame for the silence.
  for (Attempt* attempt : {attempt_.get(), rival_.get()})
    if (!wake.reading && attempt != nullptr) attempt->content_at = attempt->headers_at = now;
  if (hedge_at_ <= now) hedge(now);
  if (rival_ && deadline_of(state_, attempt_.get()) > now) turn();
  if (deadline_of(state_, attempt_.get()) > now) {
    if (comment_at() <= now) comment(now, wake.reading);
    return arm(now);
  }
  if (!wake.reading && may_be_behind()) {
    attempt_->overdue = true;
    armed_ = now + limits::splice_lag_ms;
    return shared_.actions.wake(id_, armed_);
  }
  expire(now);
}

// The client may have bytes of a spliced body that have not come here yet. What ends the stream
// must fit to all of them, so the next slice decides, or a second look: then it is the client that
// waits.
bool Chat::may_be_behind() const {
  return state_ == ChatState::committed && attempt_->mode == Mode::splice && attempt_->open &&
         !attempt_->overdue;
}

// A deadline has struck. Who would have had more time by the route is not to blame.
Failure Chat::late(Instant now, std::string_view what, Millis allowed_ms, Instant fair) const {
  std::string reason(what);
  reason += seconds_text(allowed_ms);
  Failure failure = failed(FailureKind::timeout, reason);
  failure.is_by_request = now < fair;
  return failure;
}

void Chat::expire(Instant now) {
  const Timeouts& timeouts = policy_.timeouts;
  const bool total = opened_ + timeouts.total_ms <= now;
  if (state_ == ChatState::closing) {
    hang_up();
    return complete(now);
  }
  const bool reading = state_ == ChatState::listening || state_ == ChatState::committed;
  if (reading && attempt_->finished()) return wind_up(now);
  if (total) {
    const Failure failure =
        late(now, "no whole answer within ", timeouts.total_ms, opened_ + policy_.fair.total_ms);
    if (state_ == ChatState::committed) return fail(now, failure);
    drop_rival(now, name_of(failure.kind));
    hang_up();
    if (attempt_) shared_.health.let_go(engine().id, attempt_->exchange);
    if (attempt_ && attempt_->record->outcome.empty()) record(now, name_of(failure.kind));
    failure_ = Remembered{failure, attempt_ ? engine().id : report_.requested};
    return give_up(now);
  }
  if (state_ == ChatState::waiting) return again(now, *waiting_candidate_);
  if (state_ == ChatState::refused) return read_refusal(now, true);
  if (!reading)
    return fail(now, late(now, "no response within ", attempt_->headers_ms,
                          attempt_->started + attempt_->fair_headers_ms));
  if (!attempt_->transcript.has_content())
    return fail(now, late(now, "no content within ", attempt_->first_content_ms,
                          attempt_->headers_at + attempt_->fair_content_ms));
  fail(now, late(now, "silent for ", timeouts.idle_ms, silent_at(*attempt_, policy_.fair)));
}

}  // namespace spillway
