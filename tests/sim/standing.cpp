#include "standing.h"

#include <algorithm>

#include "limits.h"

namespace spillway::sim {

void Standings::reset(const World& world) {
  world_ = &world;
  engines_.assign(world.engines.size(), {});
  keys_.resize(world.providers.size());
  for (std::size_t provider = 0; provider < keys_.size(); ++provider)
    keys_[provider].assign(world.providers[provider].keys.size(), {});
}

void Standings::began(Instant now, std::size_t engine, std::uint32_t exchange) {
  Standing& standing = engines_[engine];
  standing.untold.push_back(exchange);
  standing.sure = standing.sure || standing.untold.size() == 1;
  if (standing.ready || !standing.sure) return;
  // A probe that takes too long makes room for another.
  if (standing.probe != kNone && now < standing.probe_until) return;
  standing.probe = exchange;
  standing.probe_until = now + world_->cooldown_ms;
}

void Standings::Standing::tell(std::uint32_t exchange) {
  untold.erase(std::remove(untold.begin(), untold.end(), exchange), untold.end());
}

void Standings::blame(Standing& standing, std::uint32_t exchange, Instant until) {
  standing.ready = false;
  standing.until = std::max(standing.until, until);
  // What began while it was open whether there was a blame may be no probe of this one.
  if (standing.probe == exchange || !standing.blamed) standing.probe = kNone;
  standing.blamed = true;
}

// Something happened, and it is not sure what.
void Standings::doubt(Standing& standing, std::uint32_t exchange) {
  standing.blamed = standing.blamed && !standing.ready;
  standing.ready = false;
  if (standing.probe == exchange) standing.probe = kNone;
}

void Standings::failed(Instant now, std::size_t engine, std::size_t key_index,
                       std::uint32_t exchange, KindSet kinds, const Hint& hint, bool whole,
                       bool to_key) {
  Standing& standing = engines_[engine];
  standing.tell(exchange);
  const std::size_t provider = world_->engines[engine].provider;
  const std::size_t keys = keys_[provider].size();
  const auto all = [kinds](KindSet set) { return (kinds & ~set) == 0; };
  if (all(kBlamesNobody)) return let_go(engine, exchange);
  // Some key of it may still be allowed to.
  if (to_key && keys > 1 && (kinds & kSetsEngineAside) != 0) {
    standing.denied = true;
    if (all(kSetsEngineAside)) return doubt(standing, exchange);
  }

  Millis wait = world_->cooldown_ms;
  if (hint.given()) {
    // A hint that was cut may be read as any wait, or none.
    wait = whole ? std::min(hint.from(now) - now, limits::cooldown_ms_max) : 0;
  }
  const bool by_key = all(kBlamesKey) && keys > 1;
  const bool key_aside = all(kSetsKeyAside) && keys > 0;
  if (by_key || key_aside) {
    Key& blamed = key(provider, key_index);
    blamed.ready = false;
    blamed.failed_at = now;
    blamed.until = std::max(blamed.until, now + (by_key ? wait : limits::set_aside_ms));
    return let_go(engine, exchange);
  }
  if (all(kBlamesEngine | kBlamesKey) && keys < 2) return blame(standing, exchange, now + wait);
  if (all(kBlamesEngine)) return blame(standing, exchange, now + wait);
  if (all(kSetsEngineAside)) return blame(standing, exchange, now + limits::gone_ms);
  if (all(kSetsKeyAside) && keys == 0) return blame(standing, exchange, now + limits::set_aside_ms);
  doubt(standing, exchange);
  if (keys == 0) return;
  Key& doubted = key(provider, key_index);
  doubted.ready = false;
  doubted.failed_at = now;
}

void Standings::succeeded(Instant now, std::size_t engine, std::size_t key_index,
                          std::uint32_t exchange, Instant began) {
  const std::size_t provider = world_->engines[engine].provider;
  if (!keys_[provider].empty()) {
    Key& used = key(provider, key_index);
    // Whoever began after it failed takes that back; of an older one it is open.
    used.ready = used.ready || used.failed_at < began;
    used.until = Instant();
  }
  Standing& standing = engines_[engine];
  standing.tell(exchange);
  if (standing.ready) return;
  // The probe settles it. Any other success may or may not: it began before the failure.
  const bool is_probe = standing.probe == exchange && now < standing.probe_until;
  standing.probe = kNone;
  standing.until = Instant();
  if (is_probe) {
    standing.ready = standing.blamed = true;
  } else {
    standing.sure = standing.blamed = false;
  }
}

void Standings::may_have_succeeded(std::size_t engine, std::size_t key_index,
                                   std::uint32_t exchange) {
  const std::size_t provider = world_->engines[engine].provider;
  if (!keys_[provider].empty()) key(provider, key_index).until = Instant();
  Standing& standing = engines_[engine];
  standing.tell(exchange);
  if (standing.ready) return;
  standing.probe = kNone;
  standing.until = Instant();
  standing.sure = standing.blamed = false;
}

void Standings::let_go(std::size_t engine, std::uint32_t exchange) {
  Standing& standing = engines_[engine];
  standing.tell(exchange);
  if (standing.probe == exchange) standing.probe = kNone;
}

const Standings::Key& Standings::key(std::size_t provider, std::size_t index) const {
  return keys_[provider][index];
}
Standings::Key& Standings::key(std::size_t provider, std::size_t index) {
  return keys_[provider][index];
}

bool Standings::key_surely_ready(std::size_t provider, std::size_t index) const {
  return key(provider, index).ready;
}
bool Standings::key_surely_cooling(Instant now, std::size_t provider, std::size_t index) const {
  return now < key(provider, index).until;
}

bool Standings::surely_ready(std::size_t engine) const {
  if (!engines_[engine].ready || engines_[engine].denied) return false;
  const auto& keys = keys_[world_->engines[engine].provider];
  return keys.empty() ||
         std::any_of(keys.begin(), keys.end(), [](const Key& k) { return k.ready; });
}

const char* Standings::surely_cooling(Instant now, std::size_t engine) const {
  const Standing& standing = engines_[engine];
  if (now < standing.until) return "is cooling";
  const auto& keys = keys_[world_->engines[engine].provider];
  if (!keys.empty() &&
      std::all_of(keys.begin(), keys.end(), [now](const Key& k) { return now < k.until; }))
    return "has no key that may be used";
  return nullptr;
}

}  // namespace spillway::sim
