// What must be true of engines and keys, kept beside the core and without looking into it: who is
// surely ready, who is surely cooling. Between the two lies what the simulation does not judge (a
// cooldown that may be over, a failure that has two readings).
#pragma once

#include <vector>

#include "clock.h"
#include "kinds.h"
#include "refusal.h"
#include "world.h"

namespace spillway::sim {

class Standings {
 public:
  void reset(const World& world);

  void began(Instant now, std::size_t engine, std::uint32_t exchange);
  // `kinds`: what the failure may be called. `whole`: all of the provider's words were read.
  void failed(Instant now, std::size_t engine, std::size_t key, std::uint32_t exchange,
              KindSet kinds, const Hint& hint, bool whole, bool to_key);
  // `key` and when the attempt with it began.
  void succeeded(Instant now, std::size_t engine, std::size_t key, std::uint32_t exchange,
                 Instant began);
  // It may have answered: whoever goes on with an answer shows it late, or never.
  void may_have_succeeded(std::size_t engine, std::size_t key, std::uint32_t exchange);
  // It ended and said nothing about the engine.
  void let_go(std::size_t engine, std::uint32_t exchange);

  [[nodiscard]] bool surely_ready(std::size_t engine) const;
  // Why it is surely not to be called now; nullptr when it may be.
  [[nodiscard]] const char* surely_cooling(Instant now, std::size_t engine) const;
  [[nodiscard]] bool may_be_denied(std::size_t engine) const { return engines_[engine].denied; }
  [[nodiscard]] bool key_surely_ready(std::size_t provider, std::size_t key) const;
  [[nodiscard]] bool key_surely_cooling(Instant now, std::size_t provider, std::size_t key) const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Standing {
    bool ready = true;            // never blamed, or taken back since
    Instant until;                // surely cooling before
    std::uint32_t probe = kNone;  // the first exchange since the last blame, while it is open
    Instant probe_until;
    // False once it is open whether a success took the blame back: then so is whose the probe is,
    // until an exchange begins when no other has yet to tell.
    bool sure = true;
    bool blamed = true;                 // surely, if it is not ready
    bool denied = false;                // to one of its keys: which of them may be used is open
    std::vector<std::uint32_t> untold;  // exchanges that have begun and told nothing yet

    void tell(std::uint32_t exchange);
  };
  struct Key {
    bool ready = true;
    Instant until;
    Instant failed_at;  // not earlier than the core knows of it
  };
  void blame(Standing& standing, std::uint32_t exchange, Instant until);
  void doubt(Standing& standing, std::uint32_t exchange);
  [[nodiscard]] const Key& key(std::size_t provider, std::size_t index) const;
  Key& key(std::size_t provider, std::size_t index);

  const World* world_ = nullptr;
  std::vector<Standing> engines_;
  std::vector<std::vector<Key>> keys_;  // by provider
};

}  // namespace spillway::sim
