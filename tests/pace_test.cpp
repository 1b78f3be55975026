#include "pace.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

constexpr Millis kUnknown = -1;

TEST(Pace, KnowsNothingOfAFewAnswers) {
  Pace pace;
  EXPECT_EQ(pace.p95("a:b"), kUnknown);
  for (std::size_t answer = 1; answer < limits::pace_samples_min; ++answer) pace.learn("a:b", 10);
  EXPECT_EQ(pace.p95("a:b"), kUnknown);
  pace.learn("a:b", 10);
  EXPECT_EQ(pace.p95("a:b"), 10);
  EXPECT_EQ(pace.p95("a:c"), kUnknown);
}

TEST(Pace, OneSlowAnswerOfTwentyIsNotUsual) {
  Pace pace;
  for (Millis wait = 100; wait < 2000; wait += 100) pace.learn("a:b", wait);
  pace.learn("a:b", 60'000);
  EXPECT_EQ(pace.p95("a:b"), 1900);
  pace.learn("a:b", 50'000);
  EXPECT_EQ(pace.p95("a:b"), 50'000);
}

TEST(Pace, ForgetsOldAnswers) {
  Pace pace;
  for (std::size_t answer = 0; answer < limits::pace_samples_max; ++answer) pace.learn("a:b", 900);
  for (std::size_t answer = 0; answer + 2 < limits::pace_samples_max; ++answer)
    pace.learn("a:b", 20);
  EXPECT_EQ(pace.p95("a:b"), 900);  // two of them are left
  pace.learn("a:b", 20);
  EXPECT_EQ(pace.p95("a:b"), 20);
}

TEST(Pace, RemembersSoManyEnginesAndNoMore) {
  Pace pace;
  const auto learn = [&pace](const std::string& engine) {
    for (std::size_t answer = 0; answer < limits::pace_samples_min; ++answer) pace.learn(engine, 7);
  };
  for (std::size_t engine = 0; engine < limits::pace_engines_max; ++engine)
    learn("a:" + std::to_string(engine));
  EXPECT_EQ(pace.p95("a:0"), 7);
  learn("b:1");
  learn("b:2");
  EXPECT_EQ(pace.p95("b:1"), 7);
  EXPECT_EQ(pace.p95("b:2"), 7);
  EXPECT_EQ(pace.p95("a:0"), kUnknown);
  EXPECT_EQ(pace.p95("a:1"), kUnknown);
  EXPECT_EQ(pace.p95("a:2"), 7);
}

TEST(Pace, HedgesAreAShareOfTheRequests) {
  Pace pace;
  std::int64_t hedges = 0;
  constexpr std::int64_t requests = 1000;
  for (std::int64_t request = 0; request < requests; ++request) {
    pace.earn(100);
    hedges += pace.spend() ? 1 : 0;
  }
  EXPECT_EQ(hedges, requests / 10 + 1);  // and the one that is saved at the start
}

TEST(Pace, SavesOnlySoManyHedges) {
  Pace pace;
  for (int request = 0; request < 100'000; ++request) pace.earn(100);
  std::int64_t hedges = 0;
  while (pace.spend()) ++hedges;
  EXPECT_EQ(hedges, limits::hedges_saved_max);
}

TEST(Pace, NoShareNoHedge) {
  Pace pace;
  EXPECT_TRUE(pace.spend());
  pace.earn(0);
  EXPECT_FALSE(pace.spend());
}

}  // namespace
}  // namespace spillway
