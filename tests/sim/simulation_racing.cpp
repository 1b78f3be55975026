// The rules of who answers: a response may begin before that is known, and while one engine is slow
// a second one may be asked. The first of two that says something answers; the other one is
// cancelled, and nothing is held against it.

#include <algorithm>

#include "limits.h"
#include "simulation.h"

namespace spillway::sim {

using enum FailureKind;

// The response begins with a comment.
void Simulation::begin_early(Chat& chat) {
  chat.early = true;
  ++tally_.begun_early;
  const Millis after = chat.ask.comment_after_ms;
  if (!chat.ask.stream || after == 0 || now_ < chat.opened_at + after)
    violate("commit", "the response begins before any engine answers");
}

// No engine said more than one that said nothing and ended well: that one answers.
void Simulation::return_to_empty(Chat& chat, const std::function<bool(std::uint32_t)>& is_it) {
  const auto empty =
      std::find_if(chat.exchanges.rbegin(), chat.exchanges.rend(), [&](std::uint32_t number) {
        const Plan& plan = exchanges_[number]->plan;
        return is_it(number) && plan.fault == Fault::empty_answer && plan.may_succeed;
      });
  if (empty == chat.exchanges.rend()) return;
  if (chat.rival != kNone) {  // what made the chat stop was one of two
    if (cause_exchange_ == chat.rival) std::swap(chat.current, chat.rival);
    if (by_time() && total_deadline(chat) <= now_) {  // or the chat's time, and both were late
      judge(chat, *exchanges_[chat.rival], chat.rival);
    } else {
      lose(chat.rival);
    }
    chat.rival = kNone;
  }
  judge(chat, *exchanges_[chat.current], chat.current);
  check_given_up(chat);
  chat.current = *empty;
}

// From here on `engine` is the one that answers.
void Simulation::begin_answer(Chat& chat, std::string_view engine) {
  if (chat.exchanges.empty()) return violate("commit", "an answer without an attempt");
  chat.answered = true;
  chat.answered_at = now_;
  chat.answered_step = steps_;
  const auto is_it = [this, engine](std::uint32_t number) {
    return number != kNone && world_.engines[exchanges_[number]->engine].id == engine;
  };
  if (!is_it(chat.current) && is_it(chat.rival)) std::swap(chat.current, chat.rival);
  if (!is_it(chat.current)) return_to_empty(chat, is_it);
  if (!is_it(chat.current))
    return violate("client", "x-spillway-engine names an engine that was not asked");
  const std::uint32_t winner = chat.current;
  if (chat.rival != kNone) {
    if (exchanges_[chat.rival]->open())
      return violate("race", "an answer begins, and the other exchange is not cancelled");
    lose(chat.rival);
    chat.rival = kNone;
  }
  // The one that answers stands last.
  const auto place = std::find(chat.exchanges.begin(), chat.exchanges.end(), winner);
  std::rotate(place, place + 1, chat.exchanges.end());
  chat.first = chat.exchanges.size() - 1;
  if (!may_begin(sources_of(chat)))
    return violate("commit", "the answer begins before its provider has said anything");
  standings_.succeeded(now_, exchanges_[winner]->engine, exchanges_[winner]->key, winner,
                       exchanges_[winner]->started);
  if (exchanges_[winner]->hedges) ++tally_.hedges_won;
}

void Simulation::lose(std::uint32_t number) {
  Exchange& exchange = *exchanges_[number];
  exchange.lost = true;
  exchange.failed_at = now_;
  standings_.let_go(exchange.engine, number);
}

// Of two that are asked one may be over after this step: it failed, or it lost. Who has won may
// have failed at once, and then both are.
void Simulation::settle_race(Chat& chat) {
  if (chat.rival == kNone || chat.ended || chat.left) return;
  std::uint32_t over = chat.current;
  std::uint32_t other = chat.rival;
  const bool is_any_open = exchanges_[over]->open() || exchanges_[other]->open();
  if (is_any_open ? exchanges_[over]->open() : cause_exchange_ == over) std::swap(over, other);
  Exchange& exchange = *exchanges_[over];
  const Exchange& left = *exchanges_[other];
  if (exchange.open()) return;
  if (cause_exchange_ == other) {
    if (!left.plan.content.may_be_known(left.delivered) &&
        !left.plan.finish.may_be_known(left.delivered))
      return violate("race", "an attempt is cancelled, and the other one has said nothing");
    lose(over);
  } else {
    judge(chat, exchange, over);
    if ((exchange.kinds & set_of(context_too_long)) != 0) chat.windows_out = true;
    chat.unsure.push_back(exchange.engine);
  }
  chat.current = other;
  chat.rival = kNone;
}

// When another engine is to be asked beside the one that is waited for; never, as far as is known.
Instant Simulation::hedge_at(const Chat& chat) const {
  const Racing& racing = chat.ask.racing;
  if (!racing.on || racing.after_ms == 0 || chat.answered || chat.hedged || chat.current == kNone ||
      (chat.ask.tools && !racing.tools))
    return Instant::never();
  const Exchange& exchange = *exchanges_[chat.current];
  const Instant at = exchange.started + racing.after_ms;
  const bool is_waited_for = exchange.open() && exchange.plan.streamed &&
                             !exchange.plan.content.may_be_known(exchange.delivered) &&
                             !exchange.plan.finish.may_be_known(exchange.delivered);
  // Then it has been looked at, and there may have been no one to ask.
  return is_waited_for && now_ < at ? at : Instant::never();
}

// A second exchange while one is open.
void Simulation::check_hedge(Chat& chat, Exchange& next) {
  const Racing& racing = chat.ask.racing;
  const Exchange& slow = *exchanges_[chat.current];
  next.hedges = true;
  ++tally_.hedges;
  if (!racing.on || chat.answered || !slow.plan.streamed || chat.rival != kNone)
    return violate("order", "fetch while another exchange is open");
  if (chat.hedged) return violate("race", "a chat asks beside a slow engine twice");
  chat.hedged = true;
  if (chat.ask.tools && !racing.tools)
    return violate("race", "a request with tools is sent to two engines");
  if (!by_time()) return violate("race", "a second engine is asked for no reason");
  if (slow.plan.content.must_be_known(slow.delivered))
    return violate("race", "a second engine is asked, and the first one answers");
  if (racing.after_ms > 0 ? now_ < slow.started + racing.after_ms
                          : begun_[slow.engine] <= limits::pace_samples_min)
    return violate("race", "a second engine is asked too early");
  if (hedges_saved_ < 1000) return violate("race", "more engines are asked than the share allows");
  hedges_saved_ -= 1000;
  if (next.engine == slow.engine) return violate("race", "the slow engine itself is asked again");
  if (standings_.surely_cooling(now_, next.engine) != nullptr)
    violate("race", "an engine that is cooling is asked beside a slow one");
}

}  // namespace spillway::sim
