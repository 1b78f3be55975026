// The host's side of the ABI, as docs/ARCHITECTURE.md describes it: fetches become plans, bytes
// reach the client natively before the core has its copy, timers are a little late, and what was
// cancelled may still say something.

#include <algorithm>

#include "../lent.h"
#include "json.h"
#include "simulation.h"
#include "text.h"

namespace spillway::sim {

namespace {

// Longer chunks reach the core in parts.
constexpr std::size_t kPartBytesMax = 256 * limits::KiB;
// A slice of the copy of a body that is spliced natively or gathered, and the pause between two of
// a spliced one that are not full.
constexpr std::size_t kTapBytes = 64 * limits::KiB;
constexpr Millis kTapPause = 2000;
constexpr Millis kTimerLateMax = 60;
constexpr Millis kTimerEarlyMax = 20;
constexpr Millis kLateMax = 600;
constexpr std::string_view kPing = ": ping\n\n";

std::string number_of(std::uint32_t index) { return std::to_string(index + 1); }

}  // namespace

// --- the core's actions

void Simulation::fetch(ExchangeId id, std::string_view head, std::string_view body) {
  mix(static_cast<std::uint64_t>(id));
  mix(head);
  mix(body);
  const auto number = static_cast<std::uint32_t>(exchanges_.size());
  if (static_cast<std::uint32_t>(id) != number + 1)
    return violate("host", "an exchange's id is not the next one");
  if (current_ == kNone) return violate("order", "fetch outside of a step");
  auto made = std::make_unique<Exchange>();
  Exchange& exchange = *made;
  exchange.number = number;
  exchange.chat = current_;
  exchange.started = now_;
  exchanges_.push_back(std::move(made));
  find_engine(exchange, head, body);
  if (violation_) return;
  Continuation continuation = read_continuation(body);
  see(body);
  see(exchange.engine);
  see(exchange.key);
  Chat& chat = chats_[current_];
  exchange.rescues = chat.answered;
  check_choice(number, continuation);
  const bool streamed = head.find(R"("accept":"text/event-stream")") != std::string_view::npos;
  if (streamed != (chat.ask.stream || !chat.ask.verbatim))
    violate("request", "the wrong kind of answer is asked for");
  chat.exchanges.push_back(number);
  if (exchange.hedges) chat.rival = chat.current;
  chat.current = number;
  ++begun_[exchange.engine];
  standings_.began(now_, exchange.engine, number);
  make_plan(exchange, number, streamed, body, std::move(continuation));
  ++tally_.exchanges;
  ++tally_.injected[static_cast<std::size_t>(exchange.plan.fault)];
  if (trace_ != nullptr)
    say_action("fetch " + number_of(number) + " " + world_.engines[exchange.engine].id +
               (exchange.key == kNoKey ? "" : " key " + std::to_string(exchange.key + 1)) +
               (exchange.hedges ? " beside a slow one" : "") +
               ", whose fault is: " + std::string(name_of(exchange.plan.fault)));
  schedule_step(number);
  // Whoever waits for an answer to go on may stop reading right then.
  if (exchange.rescues && random_.percent(40)) draw_client_faults(current_);
}

// Whom a request goes to: the URL tells the provider, the URL or the body the model, a header the
// key.
void Simulation::find_engine(Exchange& exchange, std::string_view head, std::string_view body) {
  if (body.find(kSecretMark) != std::string_view::npos)
    return violate("secret", "a request's body holds a key");
  if (!json::valid(body, json::Type::object)) return violate("request", "a body is no JSON object");
  if (!json::valid(head, json::Type::object)) return violate("request", "a head is no JSON object");
  for (std::size_t engine = 0; engine < world_.engines.size(); ++engine) {
    const ProviderRow& provider = world_.provider_of(engine);
    if (head.find(provider.url_mark) == std::string_view::npos) continue;
    const std::string& model = world_.engines[engine].model;
    const bool in_url = head.find("/" + model + ":") != std::string_view::npos;
    if (!in_url && body.find("\"model\":\"" + model + "\"") == std::string_view::npos) continue;
    exchange.engine = engine;
    std::size_t secrets = 0;
    for (std::size_t at = head.find(kSecretMark); at != std::string_view::npos;
         at = head.find(kSecretMark, at + 1))
      ++secrets;
    for (std::size_t key = 0; key < provider.keys.size(); ++key)
      if (head.find(provider.keys[key] + "\"") != std::string_view::npos) exchange.key = key;
    const bool wants_key = !provider.keys.empty();
    if (secrets != (wants_key ? 1U : 0U) || wants_key != (exchange.key != kNoKey))
      violate("secret", "a request does not carry one key of its own provider: " +
                            std::string(head.substr(0, 300)));
    return;
  }
  violate("request", "no engine has this address: " + std::string(head.substr(0, 300)));
}

void Simulation::cancel(ExchangeId id) {
  mix(static_cast<std::uint64_t>(id) + 1'000'000);
  const auto number = static_cast<std::uint32_t>(id) - 1;
  if (number >= exchanges_.size()) return violate("order", "cancel of an unknown exchange");
  Exchange& exchange = *exchanges_[number];
  say_action("cancel " + number_of(number));
  if (exchange.chat != current_) return violate("isolation", "cancel for another chat");
  if (!exchange.open()) return violate("order", "cancel of an exchange that is over");
  exchange.cancelled = true;
  // What is on its way comes soon, if it still comes.
  if (exchange.goes_on && exchange.step < exchange.plan.steps.size())
    schedule_exchange(now_ + random_.between(0, kLateMax), number);
  flush_held(chats_[exchange.chat]);
}

void Simulation::read(ChatId id) {
  Chat* const chat = acting(id, "read");
  say_action("read the body");
  if (chat == nullptr) return;
  if (chat->reads || chat->responded) return violate("order", "read of a body twice, or too late");
  chat->reads = true;
}

void Simulation::respond(ChatId id, int status, std::string_view head) {
  mix(static_cast<std::uint64_t>(status));
  mix(head);
  see(static_cast<std::uint64_t>(status));
  see(head);
  Chat* const chat = acting(id, "respond");
  if (trace_ != nullptr) say_action("respond " + std::to_string(status) + " " + std::string(head));
  if (chat == nullptr) return;
  if (chat->responded) return violate("order", "respond twice");
  chat->responded = true;
  chat->status = status;
  chat->head = head;
  chat->reading.begin(head.find("text/event-stream") != std::string_view::npos);
  check_secret(head, "the response's head");
  if (status == 200 && chat->is_chat) {
    const std::string engine = header_of(head, "x-spillway-engine");
    engine.empty() ? begin_early(*chat) : begin_answer(*chat, engine);
  }
  draw_client_faults(current_);
}

void Simulation::write(ChatId id, std::string_view bytes) {
  mix(bytes);
  Chat* const chat = acting(id, "write");
  if (trace_ != nullptr) say_action("write " + Trace::shown(bytes));
  if (chat == nullptr) return;
  if (!chat->responded) return violate("order", "write before respond");
  if (bytes.empty()) return violate("order", "write of nothing");
  check_secret(bytes, "the response's body");
  constexpr std::string_view late_head = ": x-spillway-engine: ";
  if (chat->early && !chat->answered && starts_with(bytes, late_head)) {
    const std::size_t end = bytes.find('\n');
    begin_answer(*chat, bytes.substr(late_head.size(), end - late_head.size()));
    constexpr std::string_view attempts = "\n: x-spillway-attempts: ";
    if (starts_with(bytes.substr(end), attempts)) {
      const std::size_t begin = end + attempts.size();
      chat->late_attempts = bytes.substr(begin, bytes.find('\n', begin) - begin);
    }
  }
  if (chat->spliced != kNone && piped_natively(chat->spliced)) {
    chat->held += bytes;  // until the pipe is through
  } else {
    to_client(*chat, bytes, is_own_of_provider(*chat, bytes));
  }
}

// What was held until the first content, when it goes out just as it came in.
bool Simulation::is_own_of_provider(const Chat& chat, std::string_view bytes) const {
  if (!chat.answered || chat.answered_step != steps_) return false;
  const Exchange& exchange = *exchanges_[chat.current];
  return bytes == std::string_view(exchange.plan.body).substr(0, exchange.delivered);
}

void Simulation::splice(ChatId id, ExchangeId exchange_id) {
  Chat* const chat = acting(id, "splice");
  const auto number = static_cast<std::uint32_t>(exchange_id) - 1;
  mix(number);
  say_action("splice " + number_of(number));
  if (chat == nullptr) return;
  if (!chat->answered || chat->answered_step != steps_)
    return violate("splice", "splice in another step than the answer begins");
  if (chat->spliced != kNone) return violate("splice", "splice twice");
  if (number >= exchanges_.size() || exchanges_[number]->chat != current_ ||
      !exchanges_[number]->open())
    return violate("splice", "splice of an exchange that is not open");
  chat->spliced = number;
  exchanges_[number]->tap_ready = now_;
  const Fault fault = exchanges_[number]->plan.fault;
  if (fault == Fault::error_after_content || fault == Fault::oversized_event)
    chat->reading.expect_late_error();
}

void Simulation::gather(ChatId id, ExchangeId exchange_id, Millis within) {
  Chat* const chat = acting(id, "gather");
  const auto number = static_cast<std::uint32_t>(exchange_id) - 1;
  mix(number);
  say_action("gather " + number_of(number) + " within " + std::to_string(within) + " ms");
  if (chat == nullptr) return;
  if (chat->ask.stream || chat->responded)
    return violate("gather", "gather of what a client is reading");
  if (number >= exchanges_.size() || exchanges_[number]->chat != current_ ||
      !exchanges_[number]->open())
    return violate("gather", "gather of an exchange that is not open");
  Exchange& exchange = *exchanges_[number];
  if (within <= 0 || exchange.lag > 0) return violate("gather", "gather twice, or without a time");
  if (!exchange.plan.content.may_be_known(exchange.delivered))
    return violate("gather", "gather before the first content");
  exchange.lag = within;
  exchange.tap_ready = now_ + within;
}

void Simulation::end(ChatId id) {
  mix(7);
  see("end");
  Chat* const chat = acting(id, "end");
  say_action("end");
  if (chat == nullptr) return;
  if (!chat->responded) return violate("order", "end before respond");
  chat->ended = true;
}

void Simulation::wake(ChatId id, Instant at) {
  mix(static_cast<std::uint64_t>(at.ms()));
  Chat* const chat = acting(id, "wake");
  if (trace_ != nullptr) say_action("wake in " + std::to_string(at - now_) + " ms");
  if (chat == nullptr) return;
  chat->wake_at = at;
  Millis off = 0;
  if (swarm_.strikes(random_, Fault::late_timers)) {
    off = random_.between(1, kTimerLateMax);
    ++tally_.injected[static_cast<std::size_t>(Fault::late_timers)];
  } else if (at - now_ > kTimerEarlyMax && swarm_.strikes(random_, Fault::early_timers)) {
    off = -random_.between(1, kTimerEarlyMax);
    ++tally_.injected[static_cast<std::size_t>(Fault::early_timers)];
  }
  schedule(std::max(now_, at + off), Due::timer, current_, ++chat->timer);
}

void Simulation::log(LogLevel, std::string_view line) {
  mix(line);
  say_action(std::string("log ") + std::string(line));
  check_secret(line, "the log");
  if (current_ == kNone) return violate("order", "log outside of a step");
  Chat& chat = chats_[current_];
  ++chat.logs;
  chat.line = line;
}

// --- upstream

void Simulation::schedule_step(std::uint32_t number) {
  const Exchange& exchange = *exchanges_[number];
  const Plan& plan = exchange.plan;
  if (exchange.step < plan.steps.size()) {
    const Millis after = plan.steps[exchange.step].after_ms;
    schedule_exchange(now_ + (exchange.cancelled ? std::min(after, kLateMax) : after), number);
  } else if (plan.ping_ms > 0 && exchange.open()) {
    schedule_exchange(now_ + plan.ping_ms, number);
  }
}

void Simulation::schedule_exchange(Instant at, std::uint32_t number) {
  schedule(at, Due::exchange, number, ++exchanges_[number]->planned);
}

void Simulation::play_exchange(const Entry& entry) {
  const std::uint32_t number = entry.subject;
  Exchange& exchange = *exchanges_[number];
  if (entry.generation != exchange.planned) return;
  if (exchange.over || (exchange.cancelled && !exchange.goes_on)) return;
  const Chat& chat = chats_[exchange.chat];
  // While the client takes nothing, the host reads nothing.
  // But a response comes as it comes.
  const bool is_read = exchange.step < exchange.plan.steps.size() &&
                       exchange.plan.steps[exchange.step].what != Step::What::head &&
                       exchange.has_head;
  if (!exchange.cancelled && is_read && stalled(chat) && !piped_natively(number))
    return schedule_exchange(chat.stalled_until, number);
  if (exchange.step >= exchange.plan.steps.size()) {
    ping(number);
    return schedule_step(number);
  }
  const Step& next = exchange.plan.steps[exchange.step++];
  switch (next.what) {
    case Step::What::head: {
      exchange.has_head = true;
      exchange.headers_at = now_;
      const Lent head(exchange.plan.head);
      step(exchange.chat, exchange.cancelled ? Column::late_response : Column::response,
           input::Response{ExchangeId{static_cast<std::int32_t>(number + 1)}, exchange.plan.status,
                           head.view()},
           exchange.plan.head);
      break;
    }
    case Step::What::bytes:
      arrive(number, next.upto);
      break;
    case Step::What::end:
    case Step::What::error:
      return finish(number, next.what);
  }
  // If it has been cancelled meanwhile, what comes next is planned already.
  if (!violation_ && entry.generation == exchange.planned) schedule_step(number);
}

// Between two events, and not part of the plan's body.
void Simulation::ping(std::uint32_t number) {
  const Exchange& exchange = *exchanges_[number];
  Chat& chat = chats_[exchange.chat];
  if (exchange.delivered < exchange.arrived) return;  // the copy is behind
  if (chat.spliced == number && exchange.open() && !chat.left) to_client(chat, kPing, true);
  deliver_bytes(number, kPing);
}

// The host pipes this exchange to the client itself, and copies it to the core.
bool Simulation::piped_natively(std::uint32_t number) const {
  const Exchange& exchange = *exchanges_[number];
  const Chat& chat = chats_[exchange.chat];
  return chat.pipes() && chat.spliced == number && exchange.open() && !chat.left;
}

// The host lets what comes of this exchange lie for a while. (Not every host does.)
bool Simulation::is_gathered(std::uint32_t number) const {
  const Exchange& exchange = *exchanges_[number];
  return exchange.lag > 0 && exchange.open() && chats_[exchange.chat].native;
}

// The copy is behind, or was a moment ago.
bool Simulation::is_copying(const Chat& chat) const {
  if (chat.spliced == kNone || !piped_natively(chat.spliced)) return false;
  const Exchange& exchange = *exchanges_[chat.spliced];
  return now_ < exchange.tap_ready || exchange.delivered < exchange.arrived;
}

void Simulation::arrive(std::uint32_t number, std::size_t upto) {
  Exchange& exchange = *exchanges_[number];
  std::size_t at = exchange.arrived;
  while (at < upto && !violation_) {
    if (exchange.cancelled && !exchange.goes_on) return;
    std::size_t end = std::min(upto, at + kPartBytesMax);
    if (end - at > 1 && swarm_.strikes(random_, Fault::chunk_splits)) {
      end = at + 1 + random_.below(end - at - 1);
      ++tally_.injected[static_cast<std::size_t>(Fault::chunk_splits)];
    }
    exchange.arrived = end;
    const std::string_view bytes = std::string_view(exchange.plan.body).substr(at, end - at);
    const bool is_piped = piped_natively(number);
    if (is_piped) {
      to_client(chats_[exchange.chat], bytes, true);
      check_client(exchange.chat);
    }
    if (is_piped || is_gathered(number)) {
      if (now_ >= exchange.tap_ready) {
        deliver_copy(number);
      } else if (!exchange.tap_due) {
        exchange.tap_due = true;
        schedule(exchange.tap_ready, Due::tap, number);
      }
    } else {
      deliver(number, end);
    }
    at = end;
  }
}

// The core gets the body up to `upto`. Of a spliced one the client has it first.
void Simulation::deliver(std::uint32_t number, std::size_t upto) {
  Exchange& exchange = *exchanges_[number];
  const std::size_t before = exchange.delivered;
  Chat& chat = chats_[exchange.chat];
  const std::string_view bytes = std::string_view(exchange.plan.body).substr(before, upto - before);
  if (bytes.empty()) return;
  const bool relayed = chat.spliced == number && !chat.pipes() && exchange.open() && !chat.left;
  if (relayed) to_client(chat, bytes, true);
  exchange.delivered = upto;
  if (exchange.open()) {
    exchange.read = upto;
    note_progress(exchange, before);
  }
  deliver_bytes(number, bytes);
}

void Simulation::deliver_bytes(std::uint32_t number, std::string_view bytes) {
  const Exchange& exchange = *exchanges_[number];
  const Lent chunk(bytes);
  step(exchange.chat, exchange.cancelled ? Column::late_chunk : Column::chunk,
       input::Chunk{ExchangeId{static_cast<std::int32_t>(number + 1)}, chunk.view()}, bytes);
}

void Simulation::deliver_copy(std::uint32_t number) {
  Exchange& exchange = *exchanges_[number];
  exchange.tap_due = false;
  while (exchange.delivered < exchange.arrived && !violation_) {
    if (!exchange.open()) return;
    deliver(number, std::min(exchange.arrived, exchange.delivered + kTapBytes));
  }
  exchange.tap_ready = now_ + (exchange.lag > 0 ? exchange.lag : kTapPause);
}

void Simulation::finish(std::uint32_t number, Step::What how) {
  Exchange& exchange = *exchanges_[number];
  if (piped_natively(number) || is_gathered(number)) {
    deliver_copy(number);  // the rest of it
    if (violation_ || !exchange.open()) return;
  }
  const bool late = exchange.cancelled;
  const ExchangeId id{static_cast<std::int32_t>(number + 1)};
  exchange.over = true;
  flush_held(chats_[exchange.chat]);
  if (how == Step::What::end) {
    exchange.ended = !late;
    return step(exchange.chat, late ? Column::late_end : Column::end, input::End{id}, {});
  }
  const Lent reason(exchange.plan.reason);
  step(exchange.chat, late ? Column::late_error : Column::error, input::Error{id, reason.view()},
       exchange.plan.reason);
}

void Simulation::note_progress(Exchange& exchange, std::size_t before) {
  const std::size_t now_at = exchange.delivered;
  const auto crossed = [before, now_at](std::size_t place) {
    return before < place && place <= now_at;
  };
  bool may_answer = false;
  for (const Place& place : exchange.plan.contents) {
    if (place.begun > now_at) break;
    if (crossed(place.begun) || crossed(place.told)) exchange.content_maybe = now_;
    if (crossed(place.told)) exchange.content_sure = now_;
    may_answer = true;
  }
  for (const Place& place : {exchange.plan.finish, exchange.plan.terminator})
    if (crossed(place.begun) || crossed(place.told)) {
      exchange.finish_maybe = now_;
      may_answer = true;
    }
  // A count behind the finish reason may be the end.
  const Place& usage = exchange.plan.usage;
  if (crossed(usage.begun) || crossed(usage.told)) exchange.finish_maybe = now_;
  if (exchange.plan.is_one_body) exchange.content_maybe = now_;
  if (exchange.rescues && may_answer) exchange.may_answer = true;
}

// --- the client's side

void Simulation::to_client(Chat& chat, std::string_view bytes, bool native) {
  if (native && trace_ != nullptr) say_action("natively to the client " + Trace::shown(bytes));
  mix(bytes);
  see(bytes);
  chat.reading.take(bytes, native);
}

void Simulation::flush_held(Chat& chat) {
  if (chat.held.empty()) return;
  to_client(chat, chat.held, false);
  chat.held.clear();
}

// --- one call into the core

template <class Event>
void Simulation::step(std::uint32_t number, Column column, const Event& event,
                      std::string_view shown) {
  if (violation_) return;
  Chat& chat = chats_[number];
  const ChatState before = gateway_->router().state_of(chat.id);
  // The state of a chat that asks two is that of the one it heard of last.
  if (chat.rival == kNone) coverage_.count(before, column);
  ++steps_;
  current_ = number;
  cause_ = column;
  if constexpr (requires { event.exchange; })
    cause_exchange_ = static_cast<std::uint32_t>(event.exchange) - 1;
  if (trace_ != nullptr) {
    std::string text = "chat " + std::to_string(static_cast<int>(chat.id)) + ", " +
                       std::string(name_of(before)) + ": " + std::string(name_of(column));
    if constexpr (requires { event.exchange; })
      text += " of " + std::to_string(static_cast<int>(event.exchange));
    if constexpr (requires { event.status; }) text += " " + std::to_string(event.status);
    if (!shown.empty()) text += " " + Trace::shown(shown);
    say(text);
  }
  // Whoever goes on with an answer may be joined to it at any step, and that counts as a success.
  if (!chat.exchanges.empty()) {
    const Exchange& last = *exchanges_[chat.exchanges.back()];
    if (last.may_answer && !last.answers)
      standings_.may_have_succeeded(last.engine, last.key, last.number);
  }
  gateway_->step(now_, event);
  check_step(number);
  current_ = kNone;
  cause_.reset();
  cause_exchange_ = kNone;
}

template void Simulation::step(std::uint32_t, Column, const input::Wake&, std::string_view);
template void Simulation::step(std::uint32_t, Column, const input::Close&, std::string_view);

}  // namespace spillway::sim
