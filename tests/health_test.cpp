// Health: who is cooling down, until when, and who may probe. Times are told as milliseconds since
// the beginning of a test.
#include "health.h"

#include <gtest/gtest.h>

#include <string>

namespace spillway {
namespace {

using enum FailureKind;

constexpr Millis kCooldown = limits::cooldown_ms;

constexpr Instant at(Millis ms) { return Instant::at_ms(1'800'000'000'000 + ms); }

constexpr ExchangeId kOlder{1};  // an attempt that began before the failure
constexpr ExchangeId kOne{2};    // the one that a test is about
constexpr ExchangeId kNext{3};

bool ready(const Health& health, Millis now, std::string_view engine = "a") {
  return health.engine_ready_at(at(now), engine) <= at(now);
}

TEST(Health, AnUnknownEngineIsReadyAndLeavesNoTrace) {
  Health health;
  EXPECT_EQ(health.engine_ready_at(at(5), "a"), at(5));
  health.began(at(5), "a", kOne);
  health.let_go("a", kOne);
  health.succeeded(at(5), "a", kOne);
  EXPECT_EQ(health.engine_ready_at(at(5), "a"), at(5));
  EXPECT_EQ(health.engines(), 0U);
}

TEST(Health, AFailureCoolsThatEngineAlone) {
  Health health;
  EXPECT_EQ(health.failed(at(0), "a", kOne, -1, overloaded), at(kCooldown));
  EXPECT_FALSE(ready(health, 0));
  EXPECT_FALSE(ready(health, kCooldown - 1));
  EXPECT_TRUE(ready(health, kCooldown));
  EXPECT_TRUE(ready(health, 0, "b"));
  EXPECT_EQ(health.engine_ready_at(at(1), "a"), at(kCooldown));
}

TEST(Health, ASuccessForgetsEverything) {
  Health health;
  health.failed(at(0), "a", kOne, -1, overloaded);
  health.began(at(kCooldown), "a", kOne);
  health.succeeded(at(kCooldown), "a", kOne);
  EXPECT_EQ(health.engines(), 0U);
  EXPECT_TRUE(ready(health, kCooldown));
  EXPECT_EQ(health.failed(at(kCooldown), "a", kOne, -1, overloaded), at(2 * kCooldown))
      << "counts from one again";
}

TEST(Health, CooldownsDoubleUpToTheirCap) {
  Health health;
  Millis now = 0;
  for (const Millis minutes : {1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30, 30}) {
    const Millis wait = minutes * 60'000;
    health.began(at(now), "a", kOne);
    ASSERT_EQ(health.failed(at(now), "a", kOne, -1, overloaded), at(now + wait)) << minutes;
    now += wait;
    ASSERT_TRUE(ready(health, now));
  }
}

TEST(Health, AnAskedWaitIsTaken) {
  struct Row {
    Millis asked, wait;
  };
  const Row rows[] = {{0, 0},
                      {1, 1},
                      {90'000, 90'000},
                      {limits::cooldown_ms_max, limits::cooldown_ms_max},
                      {limits::cooldown_ms_max + 1, limits::cooldown_ms_max},
                      {limits::timeout_ms_max, limits::cooldown_ms_max}};
  for (const Row& row : rows) {
    Health health;
    EXPECT_EQ(health.failed(at(0), "a", kOne, row.asked, overloaded), at(row.wait)) << row.asked;
  }
}

TEST(Health, AnAskedWaitCountsAsAFailureToo) {
  Health health;
  health.failed(at(0), "a", kOne, 10, overloaded);
  EXPECT_EQ(health.failed(at(10), "a", kOne, -1, overloaded), at(10 + 2 * kCooldown));
}

TEST(Health, ItsOwnCooldownCanBeConfigured) {
  Health short_one(100);
  EXPECT_EQ(short_one.failed(at(0), "a", kOne, -1, overloaded), at(100));
  EXPECT_EQ(short_one.failed(at(100), "a", kOne, -1, overloaded), at(300));
  Health none(0);
  EXPECT_EQ(none.failed(at(0), "a", kOne, -1, overloaded), at(0));
  none.began(at(0), "a", kOne);
  EXPECT_TRUE(ready(none, 0)) << "without a cooldown there is no probation either";
}

// --- side by side

TEST(Health, FailuresSideBySideCountOnce) {
  Health health;
  for (Millis now = 0; now < 10; ++now) {
    const Instant until = health.failed(at(now), "a", kOne, -1, overloaded);
    EXPECT_EQ(until, at(now + kCooldown)) << "the latest failure counts from its own time";
  }
  health.began(at(9 + kCooldown), "a", kOne);
  EXPECT_EQ(health.failed(at(9 + kCooldown), "a", kOne, -1, overloaded), at(9 + 3 * kCooldown))
      << "the second";
}

TEST(Health, AShorterWaitDoesNotEndALongerOne) {
  Health health;
  health.failed(at(0), "a", kOne, 300'000, overloaded);
  EXPECT_EQ(health.failed(at(1), "a", kOne, 5, overloaded), at(300'000));
  EXPECT_EQ(health.failed(at(2), "a", kOne, -1, overloaded), at(300'000));
  EXPECT_EQ(health.failed(at(3), "a", kOne, 300'000, overloaded), at(300'003));
}

// --- half open

TEST(Health, OneChatProbes) {
  Health health;
  health.failed(at(0), "a", kOne, -1, overloaded);
  ASSERT_TRUE(ready(health, kCooldown));
  health.began(at(kCooldown), "a", kOne);
  EXPECT_FALSE(ready(health, kCooldown)) << "the probe is out";
  EXPECT_EQ(health.engine_ready_at(at(kCooldown), "a"), at(2 * kCooldown));
  health.succeeded(at(kCooldown), "a", kOne);
  EXPECT_TRUE(ready(health, kCooldown));
}

TEST(Health, AProbeThatFailsCoolsLonger) {
  Health health;
  health.failed(at(0), "a", kOne, -1, overloaded);
  health.began(at(kCooldown), "a", kOne);
  EXPECT_EQ(health.failed(at(kCooldown + 5), "a", kOne, -1, overloaded),
            at(kCooldown + 5 + 2 * kCooldown));
}

TEST(Health, AProbeThatNeverTellsIsLost) {
  Health health;
  health.failed(at(0), "a", kOne, -1, overloaded);
  health.began(at(kCooldown), "a", kOne);
  EXPECT_FALSE(ready(health, 2 * kCooldown - 1));
  EXPECT_TRUE(ready(health, 2 * kCooldown));
}

TEST(Health, AProbeThatSaysNothingLetsTheNextOneProbe) {
  Health health;
  health.failed(at(0), "a", kOne, -1, overloaded);
  health.began(at(kCooldown), "a", kOne);
  health.let_go("a", kOne);
  EXPECT_TRUE(ready(health, kCooldown));
  health.began(at(kCooldown), "a", kOne);
  EXPECT_EQ(health.failed(at(kCooldown), "a", kOne, -1, overloaded), at(3 * kCooldown))
      << "letting go is no news";
}

TEST(Health, LettingGoDoesNotEndACooldown) {
  Health health;
  health.failed(at(0), "a", kOne, -1, overloaded);
  health.let_go("a", kOne);
  EXPECT_FALSE(ready(health, kCooldown - 1));
}

// --- attempts that began before the failure

TEST(Health, AProbeBelongsToTheAttemptThatBeganIt) {
  struct Row {
    const char* what;
    void (*tell)(Health&);
  };
  const Row rows[] = {
      {"it was let go", [](Health& health) { health.let_go("a", kOlder); }},
      {"it succeeded", [](Health& health) { health.succeeded(at(kCooldown), "a", kOlder); }},
      {"another begins", [](Health& health) { health.began(at(kCooldown), "a", kNext); }},
      {"another begins and is let go",
       [](Health& health) {
         health.began(at(kCooldown), "a", kNext);
         health.let_go("a", kNext);
       }},
  };
  for (const Row& row : rows) {
    Health health;
    health.failed(at(0), "a", kOlder, -1, overloaded);
    health.began(at(kCooldown), "a", kOne);
    row.tell(health);
    EXPECT_EQ(health.engine_ready_at(at(kCooldown), "a"), at(2 * kCooldown)) << row.what;
    health.succeeded(at(kCooldown), "a", kOne);
    EXPECT_TRUE(ready(health, kCooldown)) << row.what;
  }
}

TEST(Health, AnOlderFailureDoesNotEndAProbe) {
  Health health;
  health.failed(at(0), "a", kOlder, -1, overloaded);
  health.began(at(kCooldown), "a", kOne);
  health.failed(at(kCooldown), "a", kOlder, 1, overloaded);
  EXPECT_FALSE(ready(health, kCooldown + 1)) << "the probe is still out";
  health.let_go("a", kOne);
  EXPECT_TRUE(ready(health, kCooldown + 1));

  health.began(at(kCooldown + 1), "a", kNext);
  health.set_aside(at(kCooldown + 1), "a", kOlder, limits::gone_ms, model_not_found);
  health.succeeded(at(kCooldown + 2), "a", kNext);
  EXPECT_TRUE(ready(health, kCooldown + 2)) << "the probe is newer than what set it aside";
}

TEST(Health, ALostProbeTellsNothingOfTheNext) {
  Health health;
  health.failed(at(0), "a", kOlder, -1, overloaded);
  health.began(at(kCooldown), "a", kOne);
  health.began(at(2 * kCooldown), "a", kNext);
  health.let_go("a", kOne);
  EXPECT_FALSE(ready(health, 2 * kCooldown));
  health.let_go("a", kNext);
  EXPECT_TRUE(ready(health, 2 * kCooldown));
}

// One that began before still answers: the failure was a chance. But a wait that was asked for is
// kept whoever got through before it.
TEST(Health, AnOlderSuccessEndsACooldownThatNobodyAskedFor) {
  Health health;
  health.failed(at(0), "a", kOne, -1, overloaded);
  health.succeeded(at(1), "a", kOlder);
  EXPECT_TRUE(ready(health, 1));
  health.failed(at(0), "a", kOne, 5'000, overloaded);
  health.succeeded(at(1), "a", kOlder);
  EXPECT_EQ(health.engine_ready_at(at(1), "a"), at(5'000));
  health.failed(at(2), "a", kNext, -1, overloaded);
  health.succeeded(at(3), "a", kOlder);
  EXPECT_FALSE(ready(health, 3)) << "our own guess beside it does not make it shorter";
  health.succeeded(at(5'000), "a", kOlder);
  EXPECT_TRUE(ready(health, 5'000));
  health.set_aside(at(4), "a", kOne, limits::gone_ms, model_not_found);
  health.succeeded(at(5), "a", kOlder);
  EXPECT_FALSE(ready(health, 5));
}

// --- set aside

TEST(Health, SetAsideUntilAHumanHasActed) {
  Health health;
  health.set_aside(at(0), "a", kOne, limits::gone_ms, model_not_found);
  EXPECT_EQ(health.engine_ready_at(at(0), "a"), at(limits::gone_ms));
  EXPECT_EQ(health.failed(at(1), "a", kOne, 5, overloaded), at(limits::gone_ms))
      << "a failure ends it not";
  ASSERT_TRUE(ready(health, limits::gone_ms));
  health.began(at(limits::gone_ms), "a", kOne);
  EXPECT_FALSE(ready(health, limits::gone_ms)) << "it is probed like any other";
  health.set_aside(at(limits::gone_ms + 1), "a", kOne, limits::gone_ms, model_not_found);
  EXPECT_EQ(health.engine_ready_at(at(0), "a"), at(2 * limits::gone_ms + 1));
}

// --- keys

TEST(Health, KeysTakeTurnsPerProvider) {
  Health health;
  for (const std::size_t expected : {0U, 1U, 2U, 0U, 1U})
    EXPECT_EQ(health.take_key(at(0), 7, 3), expected);
  EXPECT_EQ(health.take_key(at(0), 8, 3), 0U) << "another provider has its own turn";
  EXPECT_EQ(health.take_key(at(0), 7, 3), 2U);
  EXPECT_EQ(health.take_key(at(0), 9, 1), 0U);
  EXPECT_EQ(health.take_key(at(0), 9, 1), 0U);
}

TEST(Health, KeysThatAreSetAsideAreLeftOut) {
  Health health;
  health.cool_key(at(0), 7, 1, -1, rate_limited);
  health.set_key_aside(at(0), 7, 2, auth);
  for (const std::size_t expected : {0U, 3U, 0U, 3U})
    EXPECT_EQ(health.take_key(at(0), 7, 4), expected);
  // From 0 on: 1 is back at 60 s.
  for (const std::size_t expected : {0U, 1U, 3U, 0U})
    EXPECT_EQ(health.take_key(at(kCooldown), 7, 4), expected);
  for (const std::size_t expected : {1U, 2U, 3U, 0U})
    EXPECT_EQ(health.take_key(at(limits::set_aside_ms), 7, 4), expected);
}

TEST(Health, WhenAllKeysAreSetAsideTheSoonestServes) {
  Health health;
  health.cool_key(at(0), 7, 0, 3'000, rate_limited);
  health.cool_key(at(0), 7, 1, 1'000, rate_limited);
  health.cool_key(at(0), 7, 2, 2'000, rate_limited);
  for (int turn = 0; turn < 5; ++turn) EXPECT_EQ(health.take_key(at(0), 7, 3), 1U) << turn;
  EXPECT_EQ(health.key_ready_at(at(0), 7, 3), at(1'000));
}

TEST(Health, KeyReadyAt) {
  Health health;
  EXPECT_LE(health.key_ready_at(at(0), 7, 2), at(0));
  EXPECT_EQ(health.key_ready_at(at(5), 7, 0), at(5)) << "a provider without keys";
  health.cool_key(at(0), 7, 0, 500, rate_limited);
  EXPECT_LE(health.key_ready_at(at(0), 7, 2), at(0)) << "the other one is ready";
  EXPECT_EQ(health.key_ready_at(at(0), 7, 1), at(500));
  EXPECT_LE(health.key_ready_at(at(0), 8, 1), at(0)) << "another provider's";
}

TEST(Health, KeysCool) {
  struct Row {
    Millis asked, wait;
  };
  const Row rows[] = {
      {-1, kCooldown}, {0, 1}, {700, 700}, {limits::timeout_ms_max, limits::cooldown_ms_max}};
  for (const Row& row : rows) {
    Health health;
    health.cool_key(at(0), 7, 0, row.asked, rate_limited);
    EXPECT_EQ(health.key_ready_at(at(0), 7, 1), at(row.wait)) << row.asked;
  }
  Health health;
  health.set_key_aside(at(0), 7, 0, auth);
  EXPECT_EQ(health.key_ready_at(at(0), 7, 1), at(limits::set_aside_ms));
  // A chat that began earlier may be told of a rate limit after the key was refused.
  health.cool_key(at(1), 7, 0, 5, rate_limited);
  EXPECT_EQ(health.key_ready_at(at(0), 7, 1), at(limits::set_aside_ms));
}

// A chat that a key has just failed must not take it again at the same instant.
TEST(Health, AKeyThatAskedForNoWaitIsNotTheNext) {
  Health health;
  EXPECT_EQ(health.take_key(at(0), 7, 2), 0U);
  EXPECT_EQ(health.take_key(at(0), 7, 2), 1U);
  health.cool_key(at(0), 7, 0, 0, rate_limited);
  EXPECT_EQ(health.take_key(at(0), 7, 2), 1U);
  health.cool_key(at(0), 7, 1, 0, rate_limited);
  EXPECT_GT(health.key_ready_at(at(0), 7, 2), at(0)) << "no key is left for this chat";
  EXPECT_LE(health.key_ready_at(at(1), 7, 2), at(1));
}

// An operator who has mended a key does not wait for half an hour.
TEST(Health, ASuccessEndsWhatAKeyWaitsFor) {
  Health health;
  health.set_key_aside(at(0), 7, 0, auth);
  health.key_succeeded(7, 1, at(5));
  health.key_succeeded(8, 0, at(5));
  EXPECT_NE(health.cooling_key(at(5), 7, 0), nullptr) << "another key's, another provider's";
  health.key_succeeded(7, 0, at(5));
  EXPECT_EQ(health.cooling_key(at(5), 7, 0), nullptr);
  EXPECT_LE(health.key_ready_at(at(5), 7, 1), at(5));
  for (const std::size_t expected : {0U, 1U}) EXPECT_EQ(health.take_key(at(5), 7, 2), expected);
}

TEST(Health, AnOlderSuccessEndsNothingOfAKey) {
  Health health;
  health.cool_key(at(10), 7, 0, 5'000, rate_limited);
  for (const Millis began : {0, 9, 10}) {
    health.key_succeeded(7, 0, at(began));
    EXPECT_EQ(health.key_ready_at(at(11), 7, 1), at(5'010)) << began;
  }
  // It failed again meanwhile, if only for a moment.
  health.cool_key(at(20), 7, 0, 1, rate_limited);
  health.key_succeeded(7, 0, at(15));
  EXPECT_EQ(health.key_ready_at(at(21), 7, 1), at(5'010));
  health.key_succeeded(7, 0, at(21));
  EXPECT_LE(health.key_ready_at(at(21), 7, 1), at(21));
}

// --- reasons

TEST(Health, TheReasonIsThatOfTheLongestWait) {
  Health health;
  const auto reason = [&health](Millis now) {
    std::string told;
    health.each_cooling(at(now), [&told](std::string_view engine, Instant, FailureKind kind) {
      told += std::string(engine) + "=" + std::string(name_of(kind)) + " ";
    });
    return told;
  };
  EXPECT_EQ(reason(0), "");
  health.failed(at(0), "a", kOne, -1, overloaded);
  health.failed(at(1), "b", kOne, 5, network);
  EXPECT_EQ(reason(1), "a=overloaded b=network ");
  health.failed(at(2), "a", kNext, 5, timeout);
  EXPECT_EQ(reason(2), "a=overloaded b=network ") << "what is shorter does not make it wait";
  health.failed(at(3), "a", kNext, -1, server);
  EXPECT_EQ(reason(6), "a=server ");
  health.set_aside(at(7), "a", kNext, limits::gone_ms, model_not_found);
  health.failed(at(8), "a", kNext, -1, server);
  EXPECT_EQ(reason(8), "a=model_not_found ");
}

TEST(Health, KeysHaveReasons) {
  Health health;
  EXPECT_EQ(health.cooling_key(at(0), 7, 0), nullptr);
  health.cool_key(at(0), 7, 0, 5'000, rate_limited);
  ASSERT_NE(health.cooling_key(at(4'999), 7, 0), nullptr);
  EXPECT_EQ(health.cooling_key(at(0), 7, 0)->until, at(5'000));
  EXPECT_EQ(health.cooling_key(at(0), 7, 0)->reason, rate_limited);
  EXPECT_EQ(health.cooling_key(at(5'000), 7, 0), nullptr);
  EXPECT_EQ(health.cooling_key(at(0), 7, 1), nullptr);
  health.set_key_aside(at(1), 7, 0, quota_exhausted);
  health.cool_key(at(2), 7, 0, 5'000, rate_limited);
  EXPECT_EQ(health.cooling_key(at(2), 7, 0)->reason, quota_exhausted);
  EXPECT_EQ(health.cooling_key(at(2), 7, 0)->until, at(1 + limits::set_aside_ms));
}

// --- bounds

TEST(Health, AKeyMayBeDeniedOneEngine) {
  Health health;
  health.deny(at(0), "a", 0, model_not_found);
  EXPECT_EQ(health.take_key(at(1), 0, 2, "a"), 1U);
  EXPECT_EQ(health.take_key(at(1), 0, 2, "a"), 1U) << "not in turn";
  EXPECT_EQ(health.take_key(at(1), 0, 2, "b"), 0U) << "of another engine it is";
  EXPECT_LE(health.key_ready_at(at(1), 0, 2, "a"), at(1));
  EXPECT_EQ(health.cooling_key(at(1), 0, 0), nullptr);

  health.deny(at(1), "a", 1, model_not_found);
  EXPECT_EQ(health.key_ready_at(at(1), 0, 2, "a"), at(limits::set_aside_ms));
  EXPECT_LE(health.key_ready_at(at(1), 0, 2, "b"), at(1));
  EXPECT_TRUE(ready(health, 1)) << "the engine itself is not blamed";
  int denied = 0;
  health.each_denied(at(1), "a", [&](std::size_t key, const Health::KeyStanding& standing) {
    EXPECT_EQ(standing.until, at(limits::set_aside_ms + static_cast<Millis>(key)));
    EXPECT_EQ(standing.reason, model_not_found);
    ++denied;
  });
  EXPECT_EQ(denied, 2);

  // It ends by itself, and when the key has answered for the engine after all.
  EXPECT_EQ(health.key_ready_at(at(limits::set_aside_ms), 0, 2, "a"), at(limits::set_aside_ms));
  health.key_succeeded(0, 1, at(0), "a");  // began before
  health.key_succeeded(0, 1, at(5), "b");
  EXPECT_GT(health.key_ready_at(at(6), 0, 2, "a"), at(6));
  health.key_succeeded(0, 1, at(5), "a");
  EXPECT_EQ(health.take_key(at(6), 0, 2, "a"), 1U);
}

TEST(Health, WhatIsDeniedIsBounded) {
  Health health;
  for (std::size_t key = 0; key < limits::health_entries_max + 5; ++key) {
    health.deny(at(0), "a", key, model_not_found);
    health.deny(at(1), "a", key, model_not_found);  // the same again
  }
  std::size_t kept = 0;
  const auto count = [&](std::size_t, const Health::KeyStanding&) { ++kept; };
  health.each_denied(at(2), "a", count);
  EXPECT_EQ(kept, limits::health_entries_max);
}

TEST(Health, TheStalestIsForgottenAtTheLimit) {
  Health health;
  const auto name = [](std::size_t number) { return "acme:m" + std::to_string(number); };
  // The one that is ready first is the stalest: here the last but one.
  const std::size_t stalest = limits::health_entries_max - 2;
  for (std::size_t number = 0; number < limits::health_entries_max; ++number)
    health.failed(at(0), name(number), kOne,
                  number == stalest ? 1 : 1'000 + static_cast<Millis>(number), overloaded);
  EXPECT_EQ(health.engines(), limits::health_entries_max);
  health.failed(at(0), name(0), kOne, 2'000, overloaded);
  EXPECT_FALSE(ready(health, 0, name(stalest))) << "one that is known takes no room";
  health.failed(at(0), "acme:another", kOne, -1, overloaded);
  EXPECT_EQ(health.engines(), limits::health_entries_max);
  EXPECT_TRUE(ready(health, 0, name(stalest)));
  EXPECT_FALSE(ready(health, 0, name(1)));
  EXPECT_FALSE(ready(health, 0, "acme:another"));
  health.set_aside(at(0), "acme:third", kOne, limits::gone_ms, model_not_found);
  EXPECT_EQ(health.engines(), limits::health_entries_max);
  EXPECT_TRUE(ready(health, 0, name(1))) << "the next one that is stalest";
}

}  // namespace
}  // namespace spillway
