// Keys in texts: hidden when they stand there whole, however they are written; of parts nothing is
// told.
#include "redact.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {
namespace {

constexpr std::string_view kKey = "sk-Acme/1+2_3~x";

std::string redacted(std::string_view text, std::string_view key = kKey) {
  Redaction redaction(text);
  const Secret secret{std::string(key)};
  redaction.hide(secret);
  return redaction.shown();
}

std::string base64(std::string_view bytes, std::string_view last_two) {
  const std::string digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + std::string(last_two);
  std::string out;
  unsigned bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) out += digits[bits >> (held - 6) & 63];
  }
  if (held > 0) out += digits[bits << (6 - held) & 63];
  return out;
}

std::string escape(char c, std::string_view prefix, std::string_view digits) {
  const auto byte = static_cast<unsigned char>(c);
  std::string out(prefix);
  out += digits[byte >> 4];
  return out += digits[byte & 15];
}

constexpr std::string_view kLower = "0123456789abcdef";
constexpr std::string_view kUpper = "0123456789ABCDEF";

TEST(Redact, AsItIs) {
  EXPECT_EQ(redacted(""), "");
  EXPECT_EQ(redacted("nothing here"), "nothing here");
  EXPECT_EQ(redacted(kKey), "[redacted]");
  EXPECT_EQ(redacted("Bearer sk-Acme/1+2_3~x."), "Bearer [redacted].");
  EXPECT_EQ(redacted("twice sk-Acme/1+2_3~x, sk-Acme/1+2_3~x"), "twice [redacted], [redacted]");
  EXPECT_EQ(redacted("side by side sk-Acme/1+2_3~xsk-Acme/1+2_3~x"), "side by side [redacted]");
}

TEST(Redact, KeysThatOverlap) {
  EXPECT_EQ(redacted("xabababax", "ababab"), "x[redacted]ax");
  EXPECT_EQ(redacted("xababababx", "ababab"), "x[redacted]x");
  const std::string text = "1 abcdefghi 2";
  Redaction redaction(text);
  const Secret keys[] = {Secret("abcdef"), Secret("defghi"), Secret("cdefgh")};
  for (const Secret& key : keys) redaction.hide(key);
  EXPECT_EQ(redaction.shown(), "1 [redacted] 2");
}

// What is decoded of two runs of base64 does not make a key together: one is a guess of all but the
// last byte, and the other a word that happens to supply it.
TEST(Redact, RunsOfBase64DoNotJoin) {
  const std::string guess = base64("u:" + std::string(kKey.substr(0, kKey.size() - 1)), "+/");
  const std::string last = base64("x", "+/");
  for (const std::string& between : {"\",\"", " ", ".", "\n"}) {
    const std::string text = R"({"param":")" + guess + between + last + "\"}";
    EXPECT_EQ(redacted(text), text);
  }
  // kKey ends in x: the test is about it.
  EXPECT_EQ(kKey.back(), 'x');
}

TEST(Redact, ShortKeysStay) {
  EXPECT_EQ(redacted("a short one", "short"), "a short one");
  EXPECT_EQ(redacted("a longer one", "longer"), "a [redacted] one");
}

// Every part of a key, at every place of a text: what is shown is what was given.
TEST(Redact, OfAPartNothingIsTold) {
  for (std::size_t begin = 0; begin < kKey.size(); ++begin)
    for (std::size_t size = 1; begin + size <= kKey.size(); ++size) {
      if (size == kKey.size()) continue;
      const std::string part(kKey.substr(begin, size));
      for (const std::string& text : {part, "no " + part, part + " no", "no" + part + "no"})
        EXPECT_EQ(redacted(text), text);
      for (const std::string_view last_two : {"+/", "-_"}) {
        const std::string encoded = base64("u:" + part, last_two);
        EXPECT_EQ(redacted(encoded), encoded);
      }
    }
}

// Each character of the key in one of several ways, by turns that differ.
TEST(Redact, EscapedInAnyMix) {
  for (unsigned mix = 0; mix < 256; ++mix) {
    std::string text;
    unsigned turn = mix;
    for (const char c : kKey) {
      switch (turn % 4) {
        case 0:
          text += c;
          break;
        case 1:
          text += escape(c, "%", turn % 8 < 4 ? kLower : kUpper);
          break;
        case 2:
          text += escape(c, "\\u00", turn % 8 < 4 ? kLower : kUpper);
          break;
        default:
          text += c == '/' ? "\\/" : std::string(1, c);
      }
      turn = turn * 5 + 3 + turn / 7;
    }
    EXPECT_EQ(redacted("key=" + text + "&"), "key=[redacted]&") << text;
  }
}

TEST(Redact, KeysThatLookEscapedThemselves) {
  constexpr std::string_view key = "a%41b\\/\"c\\u0041";
  EXPECT_EQ(redacted("1 a%41b\\/\"c\\u0041 2", key), "1 [redacted] 2");
  EXPECT_EQ(redacted("1 a%2541b\\/\"c\\u0041 2", key), "1 [redacted] 2");
  EXPECT_EQ(redacted(R"(1 a%41b\\/\"c\\u0041 2)", key), "1 [redacted] 2");
  EXPECT_EQ(redacted(R"(1 a%2541b\\\/\"c\\u0041 2)", key), "1 [redacted] 2");
  EXPECT_EQ(redacted("1 aAb/\"cA 2", key), "1 aAb/\"cA 2");
}

TEST(Redact, EscapesThatAreNone) {
  for (const char* text : {"%", "%4", "%zz", "50% of it", "\\", "\\u", "\\u00", "\\u004", "\\u00zz",
                           "\\n", "\\u1234", "ends in %7", "100%!"})
    EXPECT_EQ(redacted(std::string("long enough to hold a key ") + text),
              std::string("long enough to hold a key ") + text);
}

TEST(Redact, InsideBase64) {
  for (const std::string_view last_two : {"+/", "-_"})
    for (const std::string_view before : {"", "u", "ab", "user:", "a-b-c:"})
      for (const std::string_view behind : {"", "z", "zz", ":end"})
        for (const std::string_view beside : {" ", "/", "\"", "a/b/", "=", "xy"}) {
          const std::string plain =
              std::string(before).append(kKey).append(behind).append("\xFF\x01");
          const std::string text =
              "Basic" + std::string(beside) + base64(plain, last_two) + "== refused";
          const std::string shown = redacted(text);
          // What is left of it is what stands around the key.
          EXPECT_NE(shown.find("[redacted]"), std::string::npos) << text;
          EXPECT_EQ(shown.substr(0, 5), "Basic");
          EXPECT_EQ(shown.substr(shown.size() - 10), "== refused") << shown;
          EXPECT_LE(shown.size() - std::string_view("[redacted]").size(),
                    text.size() - kKey.size() * 4 / 3);
        }
}

TEST(Redact, InsideBase64ThatIsEscaped) {
  std::string encoded = base64("user:" + std::string(kKey), "+/");
  std::string json, percent;
  for (const char c : encoded) {
    json += c == '/' ? "\\/" : std::string(1, c);
    percent += c == '+' || c == '/' || c == 'c' ? escape(c, "%", kUpper) : std::string(1, c);
  }
  for (const std::string& text : {encoded, json, percent})
    EXPECT_NE(redacted(text).find("[redacted]"), std::string::npos) << text;
}

// --- cutting

TEST(Cut, TheWordThatIsCutGoes) {
  struct Row {
    std::string_view text;
    std::size_t bytes_max;
    std::string_view cut;
  };
  const Row rows[] = {
      {"", 0, ""},
      {"one two", 7, "one two"},
      {"one two", 9, "one two"},
      {"one two", 6, "one "},
      {"one two", 5, "one "},
      {"one two", 4, "one "},
      {"one two", 3, "one"},
      {"one two", 2, ""},
      {"one two", 0, ""},
      {"a=sk-1 b", 5, ""},
      {"line\nkey", 6, "line\n"},
      // Words of other scripts end at each character.
      {"中文字", 3, "中"},
      {"中文字", 4, "中"},
      {"中文字", 5, "中"},
      {"中文字", 6, "中文"},
      {"中key", 5, "中"},
      {"key中", 3, "key"},
      {"key中", 4, "key"},
      {"kéy", 2, "k"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(cut_text(row.text, row.bytes_max), row.cut) << row.text << ' ' << row.bytes_max;
}

TEST(Cut, WithoutItsLastWord) {
  EXPECT_EQ(without_last_word(""), "");
  EXPECT_EQ(without_last_word("word"), "");
  EXPECT_EQ(without_last_word("two words"), "two ");
  EXPECT_EQ(without_last_word("ended "), "ended ");
  EXPECT_EQ(without_last_word("中"), "中");
}

}  // namespace
}  // namespace spillway
