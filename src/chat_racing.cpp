// Asking two engines at once: when one is slower to its first content than it usually is, a second
// one starts. The first content wins; the loser is cancelled.
//
// attempt_ and state_ are always those of the attempt that is dealt with; the other one waits in
// rival_ and rival_state_. So everything else is written as if there were one.

#include "chat_machine.h"

namespace spillway {

bool Chat::turn_to(ExchangeId exchange) {
  const auto is_it = [exchange](const std::unique_ptr<Attempt>& attempt) {
    return attempt && attempt->open && attempt->exchange == exchange;
  };
  if (is_it(attempt_)) return true;
  if (!is_it(rival_)) return false;
  turn();
  return true;
}

void Chat::turn() {
  std::swap(attempt_, rival_);
  std::swap(state_, rival_state_);
}

// An attempt has begun: when it counts as slow.
void Chat::expect_slowness(Instant now) {
  const Hedge& hedge = policy_.hedge;
  racing_ = attempt_->target.stream && !rescue_;
  hedge_at_ = Instant::never();
  if (!racing_ || hedged_ || (!request_->tools.empty() && !hedge.tools)) return;
  const Millis usual = hedge.after_ms > 0 ? hedge.after_ms : shared_.pace.p95(engine().id);
  if (usual >= 0) hedge_at_ = now + usual;
}

void Chat::hedge(Instant now) {
  hedge_at_ = Instant::never();
  const bool is_waiting = state_ == ChatState::trying || state_ == ChatState::listening;
  if (!racing_ || !is_waiting || is_spent(0)) return;
  // Nobody is called for this who is cooling.
  const Candidate* const slow = attempt_->candidate;
  Candidate* other = pick(now, slow);
  if (other == nullptr || ready_at(now, *other) > now || !shared_.pace.spend()) return;
  hedged_ = true;
  rival_ = std::move(attempt_);
  rival_state_ = state_;
  for (; other != nullptr && ready_at(now, *other) <= now; other = pick(now, slow))
    if (begin(now, *other)) return;
  continue_with_rival(now);
}

// The attempt has content, or is over and good without: it answers.
void Chat::settle_race(Instant now) {
  racing_ = false;
  hedge_at_ = Instant::never();
  learn(*attempt_->candidate, now - attempt_->started);
  // It takes longer than this: else one that always loses would never be known as slow.
  if (rival_) learn(*rival_->candidate, now - rival_->started);
  drop_rival(now, kCancelled);
}

// Of engines that a client alone has named nothing is kept: they would push out the real ones.
void Chat::learn(const Candidate& candidate, Millis wait) {
  if (candidate.assumed == nullptr) shared_.pace.learn(candidate.engine->id, wait);
}

void Chat::drop_rival(Instant now, std::string_view outcome) {
  if (!rival_) return;
  turn();
  hang_up();
  shared_.health.let_go(engine().id, attempt_->exchange);
  record(now, outcome);
  turn();
  rival_.reset();
}

// The attempt is over and no answer: the other one is still asked.
void Chat::continue_with_rival(Instant now) {
  attempt_ = std::move(rival_);
  state_ = rival_state_;
  text_.clear();
  joinable_ = true;
  arm(now);
}

}  // namespace spillway
