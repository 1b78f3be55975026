#include "simulation.h"

#include <algorithm>

#include "../lent.h"
#include "json.h"
#include "quirk.h"

namespace spillway::sim {

namespace {

// 2026-01-01T00:00:00Z
constexpr Instant kStart = Instant::at_ms(1'767'225'600'000);
constexpr Millis kDay = 24 * 60 * limits::minute_ms;
// One seed in so many is a crowd, so that thousands of chats share a router.
constexpr std::size_t kCrowdOneIn = 4096;
constexpr std::int64_t kCrowdMax = 3000;
// Longer than any cooldown, any wait and any chat.
constexpr Millis kRest = limits::gone_ms + limits::cooldown_ms_max;
constexpr std::uint32_t kStepsPerChatMax = 3000;

}  // namespace

Simulation::Simulation(const std::vector<World>& worlds, std::uint64_t seed, Coverage& coverage,
                       Tally& tally, Trace* trace)
    : world_(worlds[seed % worlds.size()]),
      random_(seed),
      swarm_(random_),
      coverage_(coverage),
      tally_(tally),
      trace_(trace),
      gateway_(std::make_unique<Gateway>(*world_.config, *this)) {}

std::optional<Violation> Simulation::run() {
  now_ = kStart + random_.between(0, kDay);
  if (trace_ != nullptr) trace_->begin(now_);
  standings_.reset(world_);
  begun_.assign(world_.engines.size(), 0);
  refuse_usage_.assign(world_.engines.size(), false);
  draw();
  while (!agenda_.empty() && !violation_) {
    const Entry entry = agenda_.take();
    now_ = std::max(now_, entry.at);
    play(entry);
    if (++steps_ > steps_max_) violate("liveness", "the simulation does not come to rest");
  }
  if (!violation_) check_end();
  return std::move(violation_);
}

// --- drawing

void Simulation::draw() {
  draw_moods();
  const bool crowd = random_.one_in(kCrowdOneIn);
  const std::int64_t chats = crowd ? random_.between(1000, kCrowdMax) : random_.between(1, 6);
  const Millis span = random_.percent(20) ? 0 : random_.between(0, crowd ? 20'000 : 12'000);
  chats_.reserve(static_cast<std::size_t>(chats) + 8);
  for (std::int64_t chat = 0; chat < chats; ++chat)
    add_chat(now_ + random_.between(0, span), Time::storm);
  if (random_.one_in(8)) add_visit(now_ + random_.between(0, span));
  calm_at_ = now_ + span + random_.between(0, 3000);
  for (std::size_t left = 1 + random_.below(2); left > 0; --left)
    add_chat(calm_at_ + random_.between(0, 2000), Time::calm);
  const Instant rested_at = calm_at_ + kRest;
  add_chat(rested_at, Time::rested);
  if (random_.one_in(3)) add_chat(rested_at + kRest, Time::rested);
  steps_max_ = static_cast<std::uint32_t>(chats_.size()) * kStepsPerChatMax;
}

void Simulation::draw_moods() {
  moods_.resize(world_.engines.size());
  constexpr std::array<unsigned, 6> percents{0, 0, 15, 40, 70, 100};
  for (Mood& mood : moods_) {
    mood.percent = random_.pick(percents);
    if (random_.one_in(6)) mood.always = swarm_.draw(random_);
    // Answers that break off are what most can be made of.
    constexpr std::array<Fault, 4> breaks{Fault::cut, Fault::stall, Fault::early_end,
                                          Fault::error_after_content};
    const Fault broken = random_.pick(breaks);
    if (swarm_.on(broken) && random_.one_in(4)) mood.always = broken;
  }
  key_faults_.resize(world_.providers.size());
  constexpr std::array<Fault, 4> kinds{Fault::auth, Fault::auth, Fault::quota, Fault::rate_limited};
  for (std::size_t provider = 0; provider < key_faults_.size(); ++provider) {
    auto& faults = key_faults_[provider];
    faults.assign(world_.providers[provider].keys.size(), Fault::none);
    const Fault kind = random_.pick(kinds);
    if (!swarm_.on(kind) || !random_.percent(40)) continue;
    for (Fault& fault : faults)
      if (random_.percent(50)) fault = kind;
  }
}

void Simulation::add_chat(Instant at, Time time) {
  const auto number = static_cast<std::uint32_t>(chats_.size());
  Chat& chat = chats_.emplace_back();
  AskWishes wishes;
  wishes.sound = time != Time::storm;
  wishes.patient = wishes.sound;
  chat.ask = draw_ask(random_, world_, number + 1, wishes);
  chat.time = time;
  chat.native = swarm_.strikes(random_, Fault::native_pipe);
  schedule(at, Due::open, number);
}

void Simulation::add_visit(Instant at) {
  const auto number = static_cast<std::uint32_t>(chats_.size());
  Chat& chat = chats_.emplace_back();
  Visit visit = draw_visit(random_, world_);
  chat.is_chat = false;
  chat.visit_status = visit.status;
  chat.ask.head = std::move(visit.head);
  chat.ask.body = std::move(visit.body);
  chat.ask.stream = false;
  schedule(at, Due::open, number);
}

void Simulation::schedule(Instant at, Due due, std::uint32_t subject, std::uint32_t generation) {
  agenda_.add({at, random_.bits(), due, subject, generation});
}

// When it leaves, and when it stops reading: often right where it matters.
void Simulation::draw_client_faults(std::uint32_t number) {
  const Chat& chat = chats_[number];
  if (chat.time != Time::storm) return;
  if (swarm_.strikes(random_, Fault::client_leaves) && random_.percent(40)) {
    constexpr std::array<Millis, 4> ranges{0, 5, 300, 5000};
    schedule(now_ + random_.between(0, random_.pick(ranges)), Due::leave, number);
  }
  if (chat.responded && swarm_.strikes(random_, Fault::client_stalls))
    for (std::size_t left = 1 + random_.below(2); left > 0; --left)
      schedule(now_ + random_.between(0, chat.ask.rules.timeouts.idle_ms), Due::stall, number);
}

Fault Simulation::draw_fault(const Exchange& exchange) {
  if (now_ >= calm_at_) return Fault::none;
  const std::size_t provider = world_.engines[exchange.engine].provider;
  if (exchange.key != kNoKey && key_faults_[provider][exchange.key] != Fault::none)
    return key_faults_[provider][exchange.key];
  const Mood& mood = moods_[exchange.engine];
  if (mood.always != Fault::none) return mood.always;
  return random_.percent(mood.percent) ? swarm_.draw(random_) : Fault::none;
}

void Simulation::make_plan(Exchange& exchange, std::uint32_t number, bool streamed,
                           std::string_view body, Continuation continuation) {
  const Chat& chat = chats_[exchange.chat];
  const ProviderRow& provider = world_.provider_of(exchange.engine);
  const auto has = [&provider](quirk::Set quirks) { return (provider.quirks & quirks) != 0; };
  const bool openai = provider.dialect == DialectName::openai_chat;
  const bool asks_usage = body.find(R"("include_usage":true)") != std::string_view::npos;
  Order order;
  order.dialect = provider.dialect;
  order.exchange = number + 1;
  order.model = world_.engines[exchange.engine].model;
  if (exchange.key != kNoKey) order.key = provider.keys[exchange.key];
  order.guess = chat.ask.guess;
  order.streamed = streamed;
  order.usage = !openai || has(quirk::usage_always | quirk::no_stream_options) || asks_usage;
  order.terminator = provider.dialect == DialectName::anthropic || (openai && !has(quirk::no_done));
  // Who asks for what no translation keeps gets the provider's stream as it is.
  order.think_tags = has(quirk::think_tags) && !chat.ask.verbatim;
  order.irregular = has(quirk::irregular_stream) && !chat.ask.verbatim;
  order.tools = chat.ask.tools;
  const std::string client_text = json::unescaped(JsonText::trusted(chat.reading.told().text));
  order.rescues = exchange.rescues;
  order.continuation = std::move(continuation);
  if (exchange.rescues) order.client_text = client_text;
  order.headers_ms = chat.ask.rules.timeouts.headers_ms;
  order.first_content_ms = first_content_ms(chat, exchange, chat.ask.rules.timeouts);
  order.idle_ms = chat.ask.rules.timeouts.idle_ms;
  order.total_ms = chat.ask.rules.timeouts.total_ms;
  const bool prefilled = order.continuation.prefilled;
  Fault fault = draw_fault(exchange);
  if (fault == Fault::prefill_refused && !prefilled) fault = Fault::none;
  if (fault == Fault::addition_refused && (!openai || !asks_usage)) fault = Fault::none;
  const auto has_refused = [this, &exchange](std::uint32_t each) {
    const Exchange& earlier = *exchanges_[each];
    return earlier.engine == exchange.engine && earlier.whole &&
           earlier.plan.fault == Fault::addition_refused;
  };
  if (asks_usage && (refuse_usage_[exchange.engine] ||
                     std::any_of(chat.exchanges.begin(), chat.exchanges.end(), has_refused)))
    violate("retry", "an engine is asked for usage again that has refused that");
  if (fault == Fault::none && prefilled && world_.engines[exchange.engine].refuses_prefill)
    fault = Fault::prefill_refused;
  exchange.plan = sim::make_plan(random_, order, fault, now_);
  if (exchange.rescues) ++tally_.rescues;
  if (order.continuation.asked) ++tally_.joints[static_cast<std::size_t>(exchange.plan.joint)];
  // Mostly what failed: only then does the chat live on to hear of it.
  exchange.goes_on = exchange.plan.fault == Fault::none
                         ? swarm_.strikes(random_, Fault::late_inputs)
                         : swarm_.on(Fault::late_inputs);
}

// --- playing

void Simulation::play(const Entry& entry) {
  switch (entry.due) {
    case Due::open:
      return open(entry.subject);
    case Due::exchange:
      return play_exchange(entry);
    case Due::tap:
      return deliver_copy(entry.subject);
    case Due::timer:
      return fire_timer(entry);
    case Due::leave:
      return leave(entry.subject);
    case Due::stall:
      return stall(entry.subject);
  }
}

void Simulation::open(std::uint32_t number) {
  Chat& chat = chats_[number];
  chat.id = ChatId{static_cast<std::int32_t>(by_id_.size() + 1)};
  by_id_.push_back(number);
  chat.opened = true;
  chat.opened_at = now_;
  chat.reading.begin(false);
  // Whoever may not ask, or asks too much, is told so; anyone else, that there is no room.
  const int refused = chat.ask.refused_status;
  if (chat.is_chat && refused != 401 && open_chats_ >= world_.chats_max)
    chat.ask.refused_status = 503;
  if (chat.ask.racing.on && chat.ask.refused_status == 0)
    hedges_saved_ = std::min(hedges_saved_ + chat.ask.racing.extra_per_mille,
                             std::int64_t{1000} * limits::hedges_saved_max);
  ++open_chats_;
  tally_.together_max = std::max<std::uint64_t>(tally_.together_max, open_chats_);
  if (trace_ != nullptr)
    say("chat " + std::to_string(by_id_.size()) + " asks " +
        Trace::shown(chat.ask.body.empty() ? chat.ask.head : chat.ask.body));
  current_ = number;
  const Lent head(chat.ask.head);
  const ChatId id = gateway_->open(now_, random_.bits() >> 11, head.view());
  if (id != chat.id) violate("host", "open() gave another chat than it acted for");
  give_body(number);
  check_step(number);
  current_ = kNone;
  if (!chats_[number].closed) draw_client_faults(number);
}

// The request's body, if it is asked for, in one piece or in several.
void Simulation::give_body(std::uint32_t number) {
  const std::string_view body = chats_[number].ask.body;
  std::size_t at = 0;
  using Rest = input::Body::Rest;
  while (chats_[number].reads && gateway_->is_arriving(chats_[number].id)) {
    const std::size_t left = body.size() - at;
    const std::size_t size = random_.percent(70) ? left : random_.below(left + 1);
    const Lent piece(body.substr(at, size));
    at += size;
    gateway_->step(now_, input::Body{chats_[number].id, piece.view(),
                                     at == body.size() ? Rest::none : Rest::more});
  }
}

void Simulation::stall(std::uint32_t number) {
  Chat& chat = chats_[number];
  if (!chat.responded || chat.ended || chat.left || stalled(chat)) return;
  const Millis idle = chat.ask.rules.timeouts.idle_ms;
  chat.stalled_until = now_ + random_.between(1, idle * 3);
  chat.stalled_ever = true;
  ++tally_.injected[static_cast<std::size_t>(Fault::client_stalls)];
  if (trace_ != nullptr)
    say("chat " + std::to_string(static_cast<int>(chat.id)) + " takes no bytes for " +
        std::to_string(chat.stalled_until - now_) + " ms");
}

void Simulation::leave(std::uint32_t number) {
  Chat& chat = chats_[number];
  // A host may notice only after the answer's end.
  if (chat.left || (chat.closed && !swarm_.on(Fault::late_inputs))) return;
  ++tally_.injected[static_cast<std::size_t>(Fault::client_leaves)];
  if (!chat.closed) chat.left = true;
  step(number, Column::close, input::Close{chat.id}, {});
}

void Simulation::fire_timer(const Entry& entry) {
  Chat& chat = chats_[entry.subject];
  if (entry.generation != chat.timer) return;
  // Hosts clear the timer of a chat that is over, or come too late to do so.
  if (chat.closed && !swarm_.on(Fault::late_inputs)) return;
  const bool reading = !stalled(chat) && !is_copying(chat);
  chat.wake_at = Instant::never();
  // While nothing is read, silence is no one's fault.
  for (const std::uint32_t number : {chat.current, chat.rival}) {
    if (reading || number == kNone) continue;
    Exchange& exchange = *exchanges_[number];
    exchange.content_sure = exchange.content_maybe = now_;
    if (exchange.has_head) exchange.headers_at = now_;
  }
  step(entry.subject, reading ? Column::wake : Column::wake_stalled, input::Wake{chat.id, reading},
       {});
}

}  // namespace spillway::sim
