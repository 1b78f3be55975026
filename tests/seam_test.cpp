// The seam between two engines' texts. Told by what the client has at the end: the old text and
// what came out behind it.
#include "seam.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "json.h"

namespace spillway {
namespace {

using Continuation = Seam::Continuation;

struct Joined {
  std::string text;  // plain: what the client has got of the new answer
  Seam::State state = Seam::State::undecided;
};

std::string escaped(std::string_view plain) {
  std::string text;
  json::append_escaped(text, plain);
  return text;
}

// The new answer in pieces of `size` bytes of its escaped text, none of which cuts an escape.
Joined join(std::string_view old, std::string_view said, Continuation continuation,
            std::size_t size = 1000) {
  Seam seam{std::string(old), continuation};
  std::string out;
  for (std::size_t at = 0; at < said.size(); at += size)
    seam.take(JsonText::trusted(escaped(said.substr(at, size))), out);
  seam.end(out);
  return {json::unescaped(JsonText::trusted(out)), seam.state()};
}

constexpr std::string_view kOld = "The sky is blue because short waves scatter more than lo";

TEST(Seam, GoesOnWhereTheOldTextStopped) {
  for (const Continuation way : {Continuation::prefilled, Continuation::instructed}) {
    const Joined joined = join(kOld, "ng ones do in clear air.", way);
    EXPECT_EQ(joined.state, Seam::State::joined);
    EXPECT_EQ(joined.text, "ng ones do in clear air.");
  }
}

TEST(Seam, LeavesOutARepetitionOfTheEnd) {
  EXPECT_EQ(join(kOld, "short waves scatter more than long ones.", Continuation::instructed).text,
            "ng ones.");
  EXPECT_EQ(join(kOld, "short waves scatter more than long ones.", Continuation::prefilled).text,
            "ng ones.");
  EXPECT_EQ(join(kOld, "more than long ones.", Continuation::instructed).text, "ng ones.");
}

TEST(Seam, LeavesOutTheLastWordIfItWasAskedInWords) {
  EXPECT_EQ(join(kOld, "long ones.", Continuation::instructed).text, "ng ones.");
  EXPECT_EQ(join(kOld, " long ones.", Continuation::instructed).text, "ng ones.");
  EXPECT_EQ(join("It is ha", "ha, it said.", Continuation::prefilled).text, "ha, it said.");
}

TEST(Seam, LeavesOutAllOfItWhenItBeginsAgain) {
  for (const Continuation way : {Continuation::prefilled, Continuation::instructed}) {
    const Joined joined = join(kOld, std::string(kOld) + "ng ones.", way);
    EXPECT_EQ(joined.state, Seam::State::joined);
    EXPECT_EQ(joined.text, "ng ones.");
  }
}

TEST(Seam, TheLongestRepetitionWins) {
  EXPECT_EQ(
      join("left right left right ", "left right left right left", Continuation::instructed).text,
      "left");
}

TEST(Seam, WhatBeginsAgainInOtherWordsDoesNotJoin) {
  for (const Continuation way : {Continuation::prefilled, Continuation::instructed}) {
    const Joined joined = join(kOld, "The sky looks blue since the air scatters light.", way);
    EXPECT_EQ(joined.state, Seam::State::contradicted);
    EXPECT_EQ(joined.text, "");
  }
}

TEST(Seam, WhatEndsBeforeItReachesTheEndDoesNotJoin) {
  EXPECT_EQ(join(kOld, "The sky is blue because", Continuation::prefilled).state,
            Seam::State::contradicted);
}

TEST(Seam, ItemsOfAListMayBeginAlike) {
  EXPECT_EQ(join("- **Red** is warm\n", "- **Blue** is cold\n", Continuation::instructed).text,
            "- **Blue** is cold\n");
}

TEST(Seam, NothingMoreIsAnEndToo) {
  const Joined joined = join(kOld, "", Continuation::prefilled);
  EXPECT_EQ(joined.state, Seam::State::joined);
  EXPECT_EQ(joined.text, "");
}

TEST(Seam, ASurrogatePairMayComeInHalves) {
  Seam seam("So it is ", Continuation::prefilled);
  std::string out;
  seam.take(JsonText::trusted("\\ud83d"), out);
  seam.take(JsonText::trusted("\\ude00 and more of it"), out);
  seam.end(out);
  EXPECT_EQ(json::unescaped(JsonText::trusted(out)), "\xF0\x9F\x98\x80 and more of it");
}

TEST(Seam, ABackslashIsNoSurrogate) {
  Seam seam("So it is ", Continuation::prefilled);
  std::string out;
  seam.take(JsonText::trusted("\\\\ud83d"), out);
  seam.take(JsonText::trusted(" is how it is written"), out);
  seam.end(out);
  EXPECT_EQ(json::unescaped(JsonText::trusted(out)), "\\ud83d is how it is written");
}

TEST(Seam, HalfAPairAtTheVeryEndIsKept) {
  Seam seam("So it is ", Continuation::prefilled);
  std::string out;
  seam.take(JsonText::trusted("over\\ud83d"), out);
  seam.end(out);
  EXPECT_EQ(out, "over\\ud83d");
}

// Any text, cut anywhere, and any way to go on: the client has the text once, whole.
TEST(Seam, AnyCutAnyOverlapAnyPieces) {
  std::mt19937 random(7);
  const auto below = [&random](std::size_t bound) { return random() % bound; };
  for (int round = 0; round < 3000; ++round) {
    std::string whole;
    for (std::size_t word = 0, words = 6 + below(40); word < words; ++word)
      whole += "w" + std::to_string(word * 7919 % 1009) + (below(9) == 0 ? "\n" : " ");
    const std::size_t cut = 1 + below(whole.size() - 1);
    const std::string old = whole.substr(0, cut);
    const Continuation way = below(2) == 0 ? Continuation::prefilled : Continuation::instructed;
    std::size_t from = cut;
    // What begins again after a word or two looks like a word said twice, if it was prefilled.
    if (below(3) == 0 && (cut >= 8 || way == Continuation::instructed)) from = 0;
    // A repetition of the end begins at a word; if prefilled, it is a long one.
    if (from == cut && below(2) == 0) {
      const std::size_t longest = std::min<std::size_t>(cut, 30 + below(60));
      const std::size_t word = old.find(' ', cut - longest);
      const std::size_t least = way == Continuation::prefilled ? 24 : 2;
      if (word != std::string::npos && word + least <= cut) from = word + below(2);
      if (from + least > cut) from = cut;
    }
    const Joined joined = join(old, whole.substr(from), way, 1 + below(20));
    ASSERT_EQ(old + joined.text, whole) << round << " cut " << cut << " from " << from;
  }
}

}  // namespace
}  // namespace spillway
