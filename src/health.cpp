#include "health.h"

#include <algorithm>

namespace spillway {

Instant Health::engine_ready_at(Instant now, std::string_view engine) const {
  const auto found = engines_.find(engine);
  if (found == engines_.end()) return now;
  const Standing& standing = found->second;
  return std::max(standing.until, standing.probe_until);
}

void Health::began(Instant now, std::string_view engine, ExchangeId attempt) {
  const auto found = engines_.find(engine);
  if (found == engines_.end() || found->second.probe_until > now) return;
  found->second.probe = attempt;
  found->second.probe_until = now + cooldown_ms_;
}

void Health::succeeded(Instant now, std::string_view engine, ExchangeId attempt) {
  const auto found = engines_.find(engine);
  if (found == engines_.end()) return;
  const Standing& standing = found->second;
  const bool refutes_failure = standing.asked_until <= now && now < standing.until;
  if (standing.probe == attempt || refutes_failure) engines_.erase(found);
}

void Health::let_go(std::string_view engine, ExchangeId attempt) {
  const auto found = engines_.find(engine);
  if (found != engines_.end()) found->second.end_probe(attempt);
}

Health::Standing& Health::standing(std::string_view engine) {
  const auto found = engines_.find(engine);
  if (found != engines_.end()) return found->second;
  if (engines_.size() >= limits::health_entries_max) {
    const auto stalest = std::min_element(
        engines_.begin(), engines_.end(),
        [](const auto& a, const auto& b) { return a.second.until < b.second.until; });
    engines_.erase(stalest);
  }
  return engines_[std::string(engine)];
}

Instant Health::failed(Instant now, std::string_view engine, ExchangeId attempt, Millis asked_ms,
                       FailureKind reason) {
  Standing& known = standing(engine);
  // Chats that fail side by side, or against a cooldown because nothing else was left, count as one
  // failure.
  if (known.failures == 0 || known.until <= now) ++known.failures;
  const Millis doubled = cooldown_ms_ << std::min(known.failures - 1, 10);
  const Millis wait = std::min(asked_ms >= 0 ? asked_ms : doubled, limits::cooldown_ms_max);
  if (known.until <= now + wait) known.reason = reason;
  known.until = std::max(known.until, now + wait);
  if (asked_ms >= 0) known.asked_until = std::max(known.asked_until, now + wait);
  known.end_probe(attempt);
  return known.until;
}

void Health::set_aside(Instant now, std::string_view engine, ExchangeId attempt, Millis wait,
                       FailureKind reason) {
  Standing& known = standing(engine);
  ++known.failures;
  known.reason = reason;
  known.until = known.asked_until = now + wait;
  known.end_probe(attempt);
}

Instant Health::key_until(std::size_t provider, std::size_t key, std::string_view engine) const {
  const auto found = keys_.find({provider, key});
  Instant until = found == keys_.end() ? Instant() : found->second.until;
  for (const Denial& denial : denials_)
    if (denial.key == key && denial.engine == engine)
      until = std::max(until, denial.standing.until);
  return until;
}

Instant Health::key_ready_at(Instant now, std::size_t provider, std::size_t keys,
                             std::string_view engine) const {
  Instant soonest = keys == 0 ? now : Instant::never();
  for (std::size_t key = 0; key < keys; ++key)
    soonest = std::min(soonest, key_until(provider, key, engine));
  return soonest;
}

std::size_t Health::take_key(Instant now, std::size_t provider, std::size_t keys,
                             std::string_view engine) {
  std::size_t& turn = turns_[provider];
  std::size_t best = turn % keys;
  for (std::size_t step = 0; step < keys; ++step) {
    const std::size_t key = (turn + step) % keys;
    if (key_until(provider, key, engine) <= now) {
      best = key;
      break;
    }
    if (key_until(provider, key, engine) < key_until(provider, best, engine)) best = key;
  }
  turn = best + 1;
  return best;
}

void Health::leave_key_out(Instant now, std::size_t provider, std::size_t key, Millis wait,
                           FailureKind reason) {
  KeyStanding& known = keys_[{provider, key}];
  known.since = now;
  if (now + wait < known.until) return;
  known.until = now + wait;
  known.reason = reason;
}

void Health::cool_key(Instant now, std::size_t provider, std::size_t key, Millis asked_ms,
                      FailureKind reason) {
  // A provider may ask for no wait at all; yet the chat that the key has just failed is to find
  // another one or none, or it would spend its attempts on this one.
  constexpr Millis wait_min = 1;
  leave_key_out(
      now, provider, key,
      std::clamp(asked_ms >= 0 ? asked_ms : cooldown_ms_, wait_min, limits::cooldown_ms_max),
      reason);
}

void Health::set_key_aside(Instant now, std::size_t provider, std::size_t key, FailureKind reason) {
  leave_key_out(now, provider, key, limits::set_aside_ms, reason);
}

void Health::deny(Instant now, std::string_view engine, std::size_t key, FailureKind reason) {
  std::erase_if(denials_, [&](const Denial& denial) {
    return denial.standing.until <= now || (denial.key == key && denial.engine == engine);
  });
  if (denials_.size() >= limits::health_entries_max) denials_.erase(denials_.begin());
  denials_.push_back({std::string(engine), key, {now + limits::set_aside_ms, now, reason}});
}

void Health::key_succeeded(std::size_t provider, std::size_t key, Instant began,
                           std::string_view engine) {
  const auto found = keys_.find({provider, key});
  if (found != keys_.end() && found->second.since < began) keys_.erase(found);
  std::erase_if(denials_, [&](const Denial& denial) {
    return denial.key == key && denial.engine == engine && denial.standing.since < began;
  });
}

const Health::KeyStanding* Health::cooling_key(Instant now, std::size_t provider,
                                               std::size_t key) const {
  const auto found = keys_.find({provider, key});
  return found == keys_.end() || found->second.until <= now ? nullptr : &found->second;
}

}  // namespace spillway
