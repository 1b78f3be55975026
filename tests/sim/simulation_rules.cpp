// The rules of every step. They know what the providers were scripted to do and what the client
// got; of the core they ask nothing but the state of a chat and how many there are.

#include <algorithm>
#include <cstring>

#include "json.h"
#include "simulation.h"
#include "text.h"

namespace spillway::sim {

using enum FailureKind;

void Simulation::violate(const char* rule, std::string what) {
  if (violation_) return;
  violation_ = Violation{rule, std::move(what)};
  if (trace_ != nullptr) say_action("BROKEN RULE " + std::string(rule));
}

void Simulation::see(std::string_view bytes) {
  see(static_cast<std::uint64_t>(now_.ms()));
  see(current_);
  for (const char c : bytes) see(static_cast<unsigned char>(c));
}

void Simulation::mix(std::string_view bytes) {
  mix(bytes.size());
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    mix(word);
    bytes.remove_prefix(sizeof word);
  }
  for (const char c : bytes) mix(static_cast<unsigned char>(c));
}

// --- who may act

Simulation::Chat* Simulation::acting(ChatId id, const char* action) {
  const auto told = [action](const char* why) { return std::string(action) + " " + why; };
  if (current_ == kNone) {
    violate("order", told("outside of a step"));
    return nullptr;
  }
  Chat& chat = chats_[current_];
  if (chat.id != id) {
    violate("isolation", told("for another chat"));
    return nullptr;
  }
  if (chat.left) violate("order", told("after the client left"));
  if (chat.ended) violate("order", told("after the end"));
  return violation_ ? nullptr : &chat;
}

void Simulation::check_secret(std::string_view bytes, const char* where) {
  if (bytes.find(kSecretMark) != std::string_view::npos)
    violate("secret", std::string(where) + " holds a key: " + std::string(bytes.substr(0, 400)));
}

// --- time

Millis Simulation::first_content_ms(const Chat& chat, const Exchange& exchange,
                                    const Timeouts& timeouts) const {
  if (timeouts.first_content_ms > 0) return timeouts.first_content_ms;
  const Latency latency =
      chat.ask.reasons ? Latency::reasoning : world_.engines[exchange.engine].latency;
  constexpr std::array<Millis, 3> by_latency{5'000, 10'000, 60'000};
  return by_latency[static_cast<std::size_t>(latency)];
}

// How long nothing may come: of a gathered answer some may be on its way to the core.
Millis Simulation::idle_ms(const Exchange& exchange, const Timeouts& timeouts) {
  return timeouts.idle_ms + exchange.lag + exchange.lag / 2;
}

// Whether one of these deadlines has really passed.
bool Simulation::overdue(const Chat& chat, const Exchange& exchange,
                         const Timeouts& timeouts) const {
  if (chat.opened_at + timeouts.total_ms <= now_) return true;
  const Plan& plan = exchange.plan;
  if (!plan.streamed) return false;
  if (!exchange.has_head || plan.refusal) return exchange.started + timeouts.headers_ms <= now_;
  if (plan.content.may_be_known(exchange.delivered) &&
      (plan.content.must_be_known(exchange.delivered) ||
       exchange.content_maybe + idle_ms(exchange, timeouts) <= now_))
    return exchange.content_sure + idle_ms(exchange, timeouts) <= now_;
  return exchange.headers_at + first_content_ms(chat, exchange, timeouts) <= now_;
}

// Who is set aside when an attempt was late: nobody, when the route would have allowed it more
// time.
KindSet Simulation::blamed_kinds(const Chat& chat, const Exchange& exchange, KindSet kinds) const {
  const Timeouts& own = chat.ask.rules.timeouts;
  Timeouts fair = chat.ask.fair;
  fair.total_ms = limits::timeout_ms_max;  // each is held against its like
  const bool refused = exchange.plan.refusal && exchange.has_head;
  if (!by_time() || (kinds & set_of(timeout)) == 0) return kinds;
  // When the chat's own time is over, what that says of the engine is not judged.
  if (total_deadline(chat) <= now_) return kAnyKind;
  const bool same = own.headers_ms == fair.headers_ms && own.idle_ms == fair.idle_ms &&
                    own.first_content_ms == fair.first_content_ms;
  if (refused || same) return kinds;
  if (kinds != set_of(timeout) || chat.stalled_ever) return kAnyKind;
  if (!overdue(chat, exchange, fair)) return set_of(empty);
  const Plan& plan = exchange.plan;
  if (!exchange.has_head) return kinds;
  // By every way to see it.
  Instant latest = exchange.headers_at + first_content_ms(chat, exchange, fair);
  if (plan.content.may_be_known(exchange.delivered))
    latest = std::max(latest, exchange.content_maybe + idle_ms(exchange, fair));
  return latest <= now_ ? kinds : kAnyKind;
}

// The latest point in time at which the core must look again, whatever it has seen by now.
Instant Simulation::latest_deadline(const Chat& chat) const {
  Instant latest = total_deadline(chat);
  for (const std::uint32_t number : {chat.current, chat.rival})
    if (number != kNone) latest = std::min(latest, latest_deadline(chat, *exchanges_[number]));
  if (chat.ask.stream && chat.ask.comment_after_ms > 0 && !chat.responded)
    latest = std::min(latest, std::max(now_, chat.opened_at + chat.ask.comment_after_ms));
  return std::min(latest, hedge_at(chat));
}

Instant Simulation::latest_deadline(const Chat& chat, const Exchange& exchange) const {
  const Instant total = total_deadline(chat);
  const Plan& plan = exchange.plan;
  const Timeouts& timeouts = chat.ask.rules.timeouts;
  if (!exchange.open() || !plan.streamed) return total;
  if (!exchange.has_head || plan.refusal)
    return std::min(total, exchange.started + timeouts.headers_ms);
  Instant latest;
  if (!plan.content.must_be_known(exchange.delivered))
    latest = exchange.headers_at + first_content_ms(chat, exchange, timeouts);
  if (plan.content.may_be_known(exchange.delivered) || (plan.is_one_body && exchange.delivered > 0))
    latest = std::max(latest, exchange.content_maybe + idle_ms(exchange, timeouts));
  // By its label an answer, by its first byte none.
  if (plan.fault == Fault::page) latest = std::max(latest, exchange.started + timeouts.headers_ms);
  if (plan.finish.may_be_known(exchange.delivered))
    latest = std::max(latest, std::max(exchange.finish_maybe, exchange.content_maybe) +
                                  idle_ms(exchange, timeouts) + limits::finish_grace_ms);
  return std::min(total, latest);
}

// --- why an exchange failed

// What the failure of an exchange that the running step gave up may be called.
KindSet Simulation::possible_kinds(const Chat& chat, const Exchange& exchange) const {
  const Plan& plan = exchange.plan;
  KindSet kinds = kNoKind;
  if (total_deadline(chat) <= now_) kinds |= set_of(timeout);
  if (by_time()) {
    const bool refused = plan.refusal && exchange.has_head;
    if (overdue(chat, exchange, chat.ask.rules.timeouts))
      kinds |= refused ? plan.kinds | plan.kinds_cut : set_of(timeout);
    // What is finished and then waited for in vain is judged as it stands.
    if (plan.fault == Fault::early_finish && plan.finish.may_be_known(exchange.delivered))
      kinds |= set_of(empty);
    const bool is_page = plan.fault == Fault::page && exchange.delivered > 0;
    // What is wrong with a piped body is told where it ends, or comes to nothing more.
    const bool was_piped = chat.spliced == exchange.number;
    if (is_page || was_piped || plan.finish.may_be_known(exchange.delivered)) kinds |= plan.kinds;
    return kinds;
  }
  if (cause_ == Column::close) return kinds;
  kinds |= plan.kinds;
  if (plan.refusal &&
      (exchange.delivered < plan.body.size() || plan.body.size() > limits::error_body_bytes_max))
    kinds |= plan.kinds_cut;
  return kinds;
}

// An attempt has been given up: was there a reason, and who is set aside for it?
void Simulation::judge(Chat& chat, Exchange& exchange, std::uint32_t number) {
  if (exchange.judged) return;
  exchange.judged = true;
  exchange.failed_at = now_;
  exchange.kinds = possible_kinds(chat, exchange);
  exchange.whole = !exchange.plan.refusal || (exchange.delivered == exchange.plan.body.size() &&
                                              exchange.delivered <= limits::error_body_bytes_max);
  if (exchange.kinds == kNoKind && chat.stalled_ever) exchange.kinds = set_of(timeout);
  if (exchange.kinds == kNoKind)
    return violate("false failure", "an attempt is given up whose provider did nothing wrong: " +
                                        std::string(name_of(exchange.plan.fault)));
  if (exchange.plan.names_addition && exchange.whole && !chat.ask.verbatim &&
      (exchange.kinds & set_of(timeout)) == 0)
    refuse_usage_[exchange.engine] = true;
  standings_.failed(now_, exchange.engine, exchange.key, number,
                    blamed_kinds(chat, exchange, exchange.kinds), exchange.plan.hint,
                    exchange.whole, exchange.plan.to_key);
}

// --- which engine is asked

void Simulation::check_choice(std::uint32_t number, const Continuation& continuation) {
  Chat& chat = chats_[current_];
  Exchange& next = *exchanges_[number];
  if (chat.left || chat.ended) return violate("order", "fetch for a chat that is over");
  if (!chat.is_chat || chat.ask.refused_status != 0)
    return violate("request", "fetch for a request that cannot be served");
  if (attempts_of(chat).least >= chat.ask.rules.attempts_max)
    return violate("budget", "more attempts than attempts_max");
  if (!contains(chat.ask.fit, next.engine))
    return violate("choice", "an engine is asked that is not in the chain or cannot serve this");
  if (contains(chat.given_up, next.engine))
    return violate("choice", "an engine is asked again that had been given up");
  if (has_open_exchange(chat)) {
    check_hedge(chat, next);
  } else if (!chat.exchanges.empty()) {
    settle_race(chat);
    Exchange& last = *exchanges_[chat.current];
    judge(chat, last, chat.current);
    if (violation_) return;
    if (chat.answered) check_rescue(chat, last, next, continuation);
    if (violation_) return;
    check_retry(chat, last, next);
    const bool again = last.engine == next.engine;
    if ((last.kinds & set_of(rate_limited)) != 0 && again) chat.waited_ms += now_ - last.failed_at;
    if ((last.kinds & set_of(context_too_long)) != 0) chat.windows_out = true;
    if (again || violation_) return;
    chat.given_up.push_back(last.engine);
  }
  check_order(chat, next);
}

Simulation::Range Simulation::attempts_of(const Chat& chat) const {
  Range attempts;
  for (std::size_t index = 0; index < chat.exchanges.size(); ++index) {
    const Exchange& exchange = *exchanges_[chat.exchanges[index]];
    ++attempts.least;
    ++attempts.most;
    if (!chat.answered || index < chat.first) continue;
    const bool answers = index == chat.first || exchange.answers;
    if (answers) attempts.most = 0;
    if (answers || exchange.may_answer) attempts.least = 0;
  }
  return attempts;
}

Simulation::Range Simulation::rescues_of(const Chat& chat) const {
  Range rescues;
  if (!chat.answered || chat.exchanges.size() <= chat.first + 1) return rescues;
  rescues = {1, 1};  // the one with which the answer began has broken off
  for (std::size_t index = chat.first + 1; index + 1 < chat.exchanges.size(); ++index) {
    const Exchange& exchange = *exchanges_[chat.exchanges[index]];
    if (exchange.answers) ++rescues.least;
    if (exchange.answers || exchange.may_answer) ++rescues.most;
  }
  return rescues;
}

// An answer has begun and another attempt is made: to go on with it, from what the client has.
void Simulation::check_rescue(const Chat& chat, const Exchange& last, const Exchange& next,
                              const Continuation& continuation) {
  const Told& told = chat.reading.told();
  if (chat.status != 200 || !chat.ask.stream)
    return violate("order", "fetch after the response has begun");
  if (!chat.ask.rules.rescue || chat.ask.verbatim)
    return violate("rescue", "an answer is gone on with, and that is switched off");
  if (!told.calls.empty() || !told.refusal.empty())
    return violate("rescue", "an answer with a call or a refusal in it is gone on with");
  if (chat.reading.over() != Reading::Over::no)
    return violate("rescue", "an answer is gone on with whose end has been told");
  if (rescues_of(chat).least >= limits::rescues_max && (last.answers || !last.rescues))
    return violate("rescue", "an answer is gone on with too often");
  // What the provider of a piped stream says was wrong the client has read.
  const bool was_piped = chat.spliced == last.number;
  if (was_piped && (last.kinds & (set_of(network) | set_of(timeout))) == 0)
    return violate("rescue", "an answer is gone on with behind its provider's own error");
  const std::string text = json::unescaped(JsonText::trusted(told.text));
  if (continuation.asked == text.empty())
    return violate("rescue", "the request to go on does not have what the client has");
  if (!continuation.asked) return;
  // Some dialects let no prefill end in white space.
  const std::string_view missing =
      std::string_view(text).substr(std::min(text.size(), continuation.begun.size()));
  std::string escaped;
  json::append_escaped(escaped, missing);
  const bool is_white = json::is_blank(JsonText::trusted(escaped)) && continuation.prefilled;
  if (!starts_with(text, continuation.begun) || !(missing.empty() || is_white))
    return violate("rescue", "an engine is to go on from \"" + continuation.begun +
                                 "\", and the client has \"" + text + "\"");
  if (!continuation.prefilled) return;
  if (!world_.engines[next.engine].prefill)
    return violate("rescue", "an engine is given a beginning that it does not take");
  for (const std::uint32_t each : chat.exchanges) {
    const Exchange& exchange = *exchanges_[each];
    const bool refused =
        exchange.plan.continuation.prefilled && exchange.kinds == set_of(bad_request);
    if (refused && exchange.engine == next.engine)
      return violate("rescue", "an engine is given a beginning again that it has refused");
  }
}

// The client has been told something of the engine that goes on.
void Simulation::note_answering(Chat& chat) {
  if (!chat.answered) return;
  Exchange& exchange = *exchanges_[chat.exchanges.back()];
  if (!exchange.rescues || exchange.answers) return;
  const Told& told = chat.reading.told();
  exchange.answers =
      !told.calls.empty() || !told.finish.empty() ||
      json::unescaped(JsonText::trusted(told.text)).size() > exchange.plan.client_text.size();
}

// Whether the engine has refused in this chat what the router itself had added.
bool Simulation::has_refused_ours(const Chat& chat, std::size_t engine) const {
  return std::any_of(chat.exchanges.begin(), chat.exchanges.end(), [&](std::uint32_t each) {
    const Exchange& exchange = *exchanges_[each];
    return exchange.engine == engine && exchange.plan.fault == Fault::addition_refused &&
           exchange.judged;
  });
}

// Whether what failed may be followed by another attempt, and by this one.
void Simulation::check_retry(const Chat& chat, const Exchange& last, const Exchange& next) {
  const Rules& rules = chat.ask.rules;
  const auto surely = [&last](KindSet set) { return (last.kinds & ~set) == 0; };
  const std::size_t keys = world_.keys_of(last.engine);
  const bool other_key = keys > 1 && last.key != next.key;
  const bool same = last.engine == next.engine;
  const std::string told = " after " + names_of(last.kinds);
  KindSet terminal = set_of(bad_request);
  if (!rules.next_on_content_filter) terminal |= set_of(content_filter);
  if (!rules.next_on_auth_error && !(same && other_key)) terminal |= set_of(auth);
  // An engine that refuses what others take may be peculiar in more ways.
  if (has_refused_ours(chat, last.engine)) terminal = kNoKind;
  // The request to go on is ours: what one engine refuses of it another may take.
  if (surely(terminal) && !next.rescues) return violate("terminal", "another attempt" + told);
  if (!same) {
    const std::int64_t window = world_.engines[last.engine].context_window;
    const std::int64_t larger = world_.engines[next.engine].context_window;
    if (surely(set_of(context_too_long)) && window > 0 && larger > 0 && larger <= window)
      violate("choice", "an engine whose window is no larger" + told);
    return;
  }
  KindSet may = kNoKind;
  if (last.plan.fault == Fault::addition_refused) may |= set_of(bad_request);
  if (last.plan.continuation.prefilled) may |= set_of(bad_request);
  // Who was answering is not asked to go on itself.
  if (next.rescues && (!last.rescues || last.answers))
    return violate("rescue", "the engine whose answer broke off is asked to go on with it");
  if (other_key) may |= kBlamesKey | kSetsKeyAside;
  if (other_key && last.plan.to_key) may |= set_of(model_not_found);
  if (rules.rate_limit_wait_ms > 0) may |= set_of(rate_limited);
  int failed_alike = 0;
  std::size_t keys_failed = 0;
  for (const std::uint32_t each : chat.exchanges) {
    const Exchange& exchange = *exchanges_[each];
    if (exchange.engine != next.engine) continue;
    if (exchange.kinds == last.kinds) ++failed_alike;
    if (!exchange.lost && (exchange.kinds & ~(kBlamesKey | kSetsKeyAside)) == 0) ++keys_failed;
  }
  if (failed_alike < rules.attempts_per_engine) may |= kRetried;
  if (keys_failed >= keys) may &= ~kSetsKeyAside;
  if (keys_failed >= keys && rules.rate_limit_wait_ms == 0) may &= ~kBlamesKey;
  if ((last.kinds & may) == 0) return violate("retry", "the same engine again" + told);
  if (other_key) return;
  if (last.plan.hint.given() && last.whole && now_ < last.plan.hint.from(last.failed_at))
    violate("retry", "the same engine before the time that it asked for");
  const Millis late = 100 * static_cast<Millis>(chat.exchanges.size());  // timers
  const Millis waited = chat.waited_ms + (now_ - last.failed_at);
  if (surely(set_of(rate_limited)) && waited > rules.rate_limit_wait_ms + late)
    violate("retry", "waited longer for a rate limit than the policy allows");
}

// The first engine of the chain that may be called; none that is cooling while another is ready.
void Simulation::check_order(const Chat& chat, const Exchange& next) {
  const char* const cooling = standings_.surely_cooling(now_, next.engine);
  bool before = true;
  for (const std::size_t engine : chat.ask.fit) {
    if (engine == next.engine) {
      before = false;
      continue;
    }
    if (contains(chat.given_up, engine) || contains(chat.unsure, engine)) continue;
    if (!standings_.surely_ready(engine) || chat.windows_out) continue;
    if (next.hedges && engine == exchanges_[chat.current]->engine) continue;
    const std::string& ready = world_.engines[engine].id;
    if (cooling != nullptr)
      return violate("cooldown", "an engine is asked that " + std::string(cooling) + ", and " +
                                     ready + " is ready");
    if (before) return violate("choice", ready + " stands before it in the chain and is ready");
  }
  if (next.key == kNoKey || standings_.may_be_denied(next.engine)) return;
  const std::size_t provider = world_.engines[next.engine].provider;
  if (!standings_.key_surely_cooling(now_, provider, next.key)) return;
  for (std::size_t key = 0; key < world_.providers[provider].keys.size(); ++key)
    if (standings_.key_surely_ready(provider, key))
      return violate("cooldown", "a key is used that is set aside, and another is ready");
}

bool Simulation::has_open_exchange(const Chat& chat) const {
  return std::any_of(chat.exchanges.begin(), chat.exchanges.end(),
                     [this](std::uint32_t each) { return exchanges_[each]->open(); });
}

// --- the answer

Sources Simulation::sources_of(const Chat& chat) const {
  Sources sources;
  sources.first = chat.answered ? chat.first : 0;
  for (const std::uint32_t number : chat.exchanges) {
    const Exchange& exchange = *exchanges_[number];
    const bool piped = chat.pipes() && chat.spliced == number;
    sources.all.push_back({&exchange.plan, piped ? exchange.arrived : exchange.delivered});
  }
  return sources;
}

void Simulation::check_client(std::uint32_t number) {
  const Chat& chat = chats_[number];
  if (!chat.reading.problem().empty()) return violate("client", chat.reading.problem());
  if (chat.status != 200 || !chat.is_chat || !chat.ask.stream) return;
  if (!chat.answered) {
    if (!chat.reading.told().empty()) violate("commit", "an answer that no engine has begun");
    return;
  }
  const std::string fault = fault_of_beginning(chat.reading.told(), sources_of(chat));
  if (!fault.empty()) violate("answer", fault);
}

// --- after every step

void Simulation::check_step(std::uint32_t number) {
  Chat& chat = chats_[number];
  settle_race(chat);
  note_answering(chat);
  check_client(number);
  if (violation_ || chat.closed) return;
  if (chat.ended || chat.left) {
    close(number);
  } else {
    check_pending(number);
  }
  if (gateway_->router().chats() > open_chats_)
    violate("leak", "the router holds chats that are over");
}

void Simulation::check_pending(std::uint32_t number) {
  Chat& chat = chats_[number];
  if (!chat.is_chat || chat.ask.refused_status != 0)
    return violate("order", "what can be answered at once is not");
  const ChatState state = gateway_->router().state_of(chat.id);
  if (state == ChatState::gone) return violate("order", "a chat is gone without an end");
  if (state == ChatState::waiting && has_open_exchange(chat))
    return violate("order", "an exchange is open while the chat waits");
  if (state != ChatState::waiting && state != ChatState::closing && !has_open_exchange(chat))
    return violate("liveness", "a chat has neither an exchange nor a wait");
  // What is over without an answer has failed, even if the same engine is asked again later.
  if (state == ChatState::waiting) {
    judge(chat, *exchanges_[chat.current], chat.current);
    if (violation_) return;
  }
  if (chat.rival == kNone &&
      std::count_if(chat.exchanges.begin(), chat.exchanges.end(),
                    [this](std::uint32_t each) { return exchanges_[each]->open(); }) > 1)
    return violate("race", "two exchanges are open, and one answers");
  // The copy of a spliced body may be behind: then one second look is taken.
  Instant deadline = std::max(latest_deadline(chat), chat.second_look);
  if (cause_ == Column::wake_stalled && chat.spliced != kNone && chat.second_look == Instant() &&
      (deadline <= now_ || chat.wake_at > deadline))
    deadline = chat.second_look = now_ + limits::splice_lag_ms;
  if (chat.wake_at > deadline)
    return violate("deadline", "no wake-up is asked for at " +
                                   std::to_string(deadline - chat.opened_at) +
                                   " ms of the chat, when something must have happened");
  // A wake-up deals with all that is due.
  // Of two that are asked it deals with one, and asks to be woken at once.
  if (by_time() && deadline < now_ && chat.wake_at > now_)
    return violate("deadline", "a deadline has passed and nothing was done");
  if (!chat.ask.stream || chat.answered) return;
  for (const std::uint32_t each : chat.exchanges) {
    const Exchange& exchange = *exchanges_[each];
    if (exchange.open() && exchange.plan.content.must_be_known(exchange.delivered))
      return violate("commit", "content has come and is held back");
  }
}

}  // namespace spillway::sim
