// What is known about each engine and each key: who is cooling down, who is on probation. A value
// that changes only by the calls below; every call takes `now`.
//
// An engine that failed cools down: 60 s, or what the provider asked for, doubling while it keeps
// failing. When the cooldown is over it is half open: one attempt probes it, the others still go
// elsewhere, until the probe has told. Attempts that began before the failure end later: what they
// tell does not end a probe, nor a wait that the provider asked for.
//
// A key that failed is left out likewise, but has no probe: when all keys of its provider are left
// out, the one that is soonest back is used. An attempt with it that began after it was set aside
// and succeeds ends that; an older one ends nothing. A key that may not use one engine is left out
// of that one alone.
//
// Of each the reason is known: the kind of the failure that made it wait as long as it does.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actions.h"
#include "clock.h"
#include "failure.h"
#include "limits.h"
#include "rare.h"

namespace spillway {

class Health {
 public:
  explicit Health(Millis cooldown_ms = limits::cooldown_ms) : cooldown_ms_(cooldown_ms) {}

  // When `engine` may be called again: not later than `now` when it may be called at once.
  [[nodiscard]] Instant engine_ready_at(Instant now, std::string_view engine) const;
  // An attempt begins. Of an engine that failed it is the probe, unless one is out.
  void began(Instant now, std::string_view engine, ExchangeId attempt);
  void succeeded(Instant now, std::string_view engine, ExchangeId attempt);
  // `asked_ms`: how long the provider asked to wait, -1 when it did not. Gives the time until which
  // it cools.
  Instant failed(Instant now, std::string_view engine, ExchangeId attempt, Millis asked_ms,
                 FailureKind reason);
  void set_aside(Instant now, std::string_view engine, ExchangeId attempt, Millis wait,
                 FailureKind reason);
  // The attempt ended and said nothing about the engine (the client left, the request was at
  // fault).
  void let_go(std::string_view engine, ExchangeId attempt);

  // Which of `keys` keys of `provider` to use for `engine`: they take turns, those set aside are
  // left out. When all are set aside, the one that is soonest back. Changes whose turn it is.
  SPILLWAY_APART std::size_t take_key(Instant now, std::size_t provider, std::size_t keys,
                                      std::string_view engine = {});
  // When some key of the provider may be used for `engine`.
  [[nodiscard]] Instant key_ready_at(Instant now, std::size_t provider, std::size_t keys,
                                     std::string_view engine = {}) const;
  void cool_key(Instant now, std::size_t provider, std::size_t key, Millis asked_ms,
                FailureKind reason);
  void set_key_aside(Instant now, std::size_t provider, std::size_t key, FailureKind reason);
  // The key may not use `engine`.
  SPILLWAY_RARE void deny(Instant now, std::string_view engine, std::size_t key,
                          FailureKind reason);
  // An attempt with the key, which began at `began`, has succeeded on `engine`.
  void key_succeeded(std::size_t provider, std::size_t key, Instant began,
                     std::string_view engine = {});

  struct KeyStanding {
    Instant until;  // left out until then
    Instant since;  // when it last failed
    FailureKind reason = FailureKind::auth;
  };
  // Of a key that is left out now; nullptr of any other.
  [[nodiscard]] SPILLWAY_RARE const KeyStanding* cooling_key(Instant now, std::size_t provider,
                                                             std::size_t key) const;

  // Calls take(key, standing) for each key that `engine` is denied to now.
  template <class Take>
  void each_denied(Instant now, std::string_view engine, Take take) const {
    for (const Denial& denial : denials_)
      if (denial.engine == engine && denial.standing.until > now) take(denial.key, denial.standing);
  }

  [[nodiscard]] std::size_t engines() const { return engines_.size(); }
  // Calls take(engine, when it may be called again, reason) for each that may not now.
  template <class Take>
  void each_cooling(Instant now, Take take) const {
    for (const auto& [engine, standing] : engines_)
      if (const Instant at = std::max(standing.until, standing.probe_until); at > now)
        take(engine, at, standing.reason);
  }

 private:
  struct Standing {
    Instant until;        // cooling until then
    Instant asked_until;  // … as the provider asked, or because a human must act
    Instant probe_until;  // a probe is out; it counts as lost after that
    ExchangeId probe = ExchangeId::none;
    int failures = 0;  // in a row
    FailureKind reason = FailureKind::server;

    void end_probe(ExchangeId attempt) {
      if (probe == attempt) probe_until = Instant();
    }
  };
  struct Denial {
    std::string engine;
    std::size_t key = 0;
    KeyStanding standing;
  };
  [[nodiscard]] Instant key_until(std::size_t provider, std::size_t key,
                                  std::string_view engine) const;
  void leave_key_out(Instant now, std::size_t provider, std::size_t key, Millis wait,
                     FailureKind reason);
  Standing& standing(std::string_view engine);

  Millis cooldown_ms_;
  std::map<std::string, Standing, std::less<>> engines_;
  std::map<std::pair<std::size_t, std::size_t>, KeyStanding> keys_;
  std::map<std::size_t, std::size_t> turns_;
  std::vector<Denial> denials_;
};

}  // namespace spillway
