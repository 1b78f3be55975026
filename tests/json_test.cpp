// The JSON reader and writer: tables of what is JSON and what is not, what each read gives, and
// random documents and mutations compared with nlohmann/json.
#include "json.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <memory>
#include <random>

#include "json_reference.h"
#include "limits.h"
#include "linear.h"

namespace spillway {
namespace {

using json::Reader;
using json::Type;
using json::Writer;
using namespace std::string_view_literals;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string repeated(std::string_view piece, std::size_t times) {
  std::string text;
  text.reserve(piece.size() * times);
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

std::string nested(std::string_view open, std::string_view inside, std::string_view close,
                   std::size_t times) {
  return repeated(open, times) + std::string(inside) + repeated(close, times);
}

std::string in_quotes(std::string_view inside) { return '"' + std::string(inside) + '"'; }

// Each with no byte to spare on the heap, so that AddressSanitizer sees an overread.
bool is_valid(std::string_view text) {
  const std::vector<char> exact(text.begin(), text.end());
  return json::valid({exact.data(), exact.size()});
}

// --- what is JSON

constexpr std::string_view kValid[] = {
    // Structure.
    "{}", "[]", "[[]]", "[{}]", R"({"a":{}})", R"({"a":[]})", "[[],[[]],{}]", "[1,2,3]",
    R"({"a":1,"b":2})", R"({"":0})", R"({"a":1,"a":2})", "[null,true,false]",
    R"(["a",{"b":[1,{"c":null}]}])",
    // White space, wherever it may be.
    " 1", "1 ", "\t\n\r 1 \t\n\r", "[ ]", "{ }", "[\n1 ,\t2\r]", R"({ "a" : 1 , "b" : 2 })",
    "\n{\n}\n",
    // Scalars alone.
    "null", "true", "false", "0", R"("")", R"("a")",
    // Numbers.
    "-0", "-1", "10", "1234567890", "0.0", "-0.0", "1.5", "0.1", "100.001", "1e5", "1E5", "1e+5",
    "1e-5", "0e0", "0E+00", "-1.5e-10", "1e400", "-1e400", "1e-400",
    "123456789012345678901234567890", "0.00000000000000000000000000000001", "[1,-1,0]", "1e007",
    // Strings.
    R"("\"\\\/\b\f\n\r\t")", R"("\u0000")", R"("\u00e9\u20AC\uFFFF")", R"("\ud83d\ude00")",
    R"("\uD83D\uDE00")", R"("\ud83d")", R"("\ude00")", R"("\ude00\ud83d")", R"("\ud83d\n")",
    R"("\ud83dx")", R"("\ud83d\ud83d\ude00")", R"("/")", R"("'")", "\"\x7f\"", R"("//")", R"(" ")",
    R"("{")", R"("]")", "\"\xC2\x80\"", "\"\xDF\xBF\"", "\"\xE0\xA0\x80\"", "\"\xED\x9F\xBF\"",
    "\"\xEE\x80\x80\"", "\"\xEF\xBF\xBF\"", "\"\xEF\xBB\xBF\"", "\"\xF0\x90\x80\x80\"",
    "\"\xF4\x8F\xBF\xBF\"", "{\"\xE2\x82\xAC\":\"\xF0\x9F\x98\x80\"}"};

constexpr std::string_view kInvalid[] = {
    // Nothing, or not only one value.
    "", " ", "\n\t", "1 2", "1,", ",1", "{}{}", "[] []", "{} x", "[]]", "{}}", "null null",
    R"("a" "b")", "1//", "{}#", "\xEF\xBB\xBF{}", "\xEF\xBB\xBF", "{}\xEF\xBB\xBF", "\0"sv, "1\0"sv,
    "{}\0"sv, "[]\0x"sv, "\xFE\xFF\0{\0}"sv,
    // Structure.
    "[", "{", "]", "}", "[1", "[1,", "[,1]", "[1,]", "[1,,2]", "[,]", "[1 2]", "[1:2]", "[}", "{]",
    "[1}", R"({"a":1])", "[[]", "{,}", R"({"a"})", R"({"a":})", R"({"a":1,})", R"({,"a":1})",
    R"({"a":1,,"b":2})", R"({"a":1 "b":2})", R"({"a" 1})", R"({"a"::1})", R"({"a",1})", R"({"a":1)",
    R"({"a":1,)", R"({"a")", R"({"a":)", R"({"a)", "{a:1}", "{'a':1}", "{1:1}", "{null:1}",
    "{[]:1}", "{:1}", R"({"a":1:2})", R"(["a":1])", R"({"a","b"})", "(1)", "<1>", "[1;2]", "/**/1",
    "[1/**/]", "[1]//", "#1", "\v1", "\f1", "\x01", "[\v]", "\xC2\xA0", "\xC2\xA0[]",
    "[\xE2\x80\xA8]",
    // Literals.
    "n", "nul", "nulll", "nil", "Null", "NULL", "t", "tru", "truee", "True", "TRUE", "f", "fals",
    "falsee", "False", "undefined", "[nul]", "[tru,1]", "[fals]", "truefalse", "nu\0ll"sv, "yes",
    // Numbers.
    "-", "+", "+1", "--1", "-+1", "01", "-01", "00", "-00", "00.5", "01.5", "1.", "-1.", ".5",
    "-.5", "1.e5", "1..5", "1.5.5", "1e", "1E", "1e+", "1e-", "1e5.5", "1e++5", "1ee5", "e5",
    "0x10", "0b1", "1_000", "1,000", "1f", "1L", "NaN", "-NaN", "nan", "Infinity", "-Infinity",
    "inf", "1 000", "- 1", "1 .5", "[1.]", "[-]", "[01]", "[1e]",
    "\xEF\xBC\x91",  // a full-width 1
    // Strings.
    R"(")", R"("a)", R"(a")", "'a'", R"("\")", R"("\)", R"("\\\")", R"("a"b")", "\"\n\"", "\"\t\"",
    "\"\r\"", "\"\0\""sv, "\"a\x1f\"", "\"abcdefgh\x01\"", "\"\x01zyxwvuts\"", R"("\a")", R"("\v")",
    R"("\0")", R"("\x41")", R"("\'")", R"("\ ")", "\"\\\n\"", "\"\\\0\""sv, "\"\\\xC3\xA9\"",
    R"("\U0041")", R"("\N")", R"("\u")", R"("\u1")", R"("\u12")", R"("\u123")", R"("\u123g")",
    R"("\ug123")", R"("\u 123")", R"("\u-123")", R"("\u+123")", R"("\u0x12")", R"("\u{41}")",
    R"("\ud83d\u")", R"("\ud83d\")", R"("\u00)", R"("\u0041)", R"({"\x":1})", "{\"\n\":1}",
    "{\"\xFF\":1}", R"(["\u12"])"};

TEST(JsonReader, AcceptsWhatIsJson) {
  for (const std::string_view text : kValid) {
    EXPECT_TRUE(is_valid(text)) << text;
    EXPECT_TRUE(is_valid("[" + std::string(text) + "]")) << text;
    EXPECT_TRUE(is_valid("{\"a\":" + std::string(text) + ",\"b\":[" + std::string(text) + "]}"))
        << text;
    for (unsigned seed = 0; seed < 20; ++seed) EXPECT_EQ(disagreement(text, seed), "") << text;
  }
}

TEST(JsonReader, RefusesWhatIsNot) {
  for (const std::string_view text : kInvalid) {
    EXPECT_FALSE(is_valid(text)) << text;
    for (unsigned seed = 0; seed < 20; ++seed) EXPECT_EQ(disagreement(text, seed), "") << text;
    Reader in(text);
    EXPECT_FALSE(in.finish()) << text;
    ASSERT_NE(in.problem(), nullptr) << text;
    EXPECT_LE(in.offset(), text.size()) << text;
  }
}

TEST(JsonReader, ReadsWhatIsLentWithoutData) {
  EXPECT_FALSE(json::valid({}));
  EXPECT_FALSE(Reader(std::string_view()).string());
}

TEST(JsonReader, SaysWhatIsWrongAndWhere) {
  struct {
    std::string_view text;
    const char* problem;
    std::size_t offset;
  } const cases[] = {
      {"", "the text ends inside a value", 0},
      {"[1", "the text ends inside a value", 2},
      {"[1,", "expected a value", 3},
      {"[x]", "expected a value", 1},
      {"[1 2]", "expected , or ]", 3},
      {"{\"a\":1 2}", "expected , or }", 7},
      {"{a:1}", "expected a member name in quotes", 1},
      {"{\"a\" 1}", "expected : after a member name", 5},
      {"\"abc", "a string is not closed", 4},
      {"\"a\\x\"", "an invalid escape in a string", 3},
      {"\"a\n\"", "a raw control character in a string", 2},
      {"\"a\xFF\"", "a string is not valid UTF-8", 2},
      {"{} {}", "more text after the value", 3},
  };
  for (const auto& [text, problem, offset] : cases) {
    Reader in(text);
    EXPECT_FALSE(in.finish()) << text;
    EXPECT_STREQ(in.problem(), problem) << text;
    EXPECT_EQ(in.offset(), offset) << text;
  }
}

// --- strings

// What a sequence stands for, worked out from its bits; nullopt when it is not one character.
std::optional<unsigned> decoded_utf8(std::string_view bytes) {
  const auto bits = [&bytes](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned ones = static_cast<unsigned>(std::countl_one(bits(0)));
  const std::size_t length = ones == 0 ? 1 : ones;
  if (ones == 1 || length > 4 || bytes.size() != length) return std::nullopt;
  unsigned code = bits(0) & (0xFFu >> (ones + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (bits(i) >> 6 != 2) return std::nullopt;
    code = code << 6 | (bits(i) & 0x3F);
  }
  constexpr unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (length > 1 && code < smallest[length]) return std::nullopt;
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return std::nullopt;
  return code;
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t length = 1;
    while (length <= 4 && !decoded_utf8(bytes.substr(0, length))) ++length;
    if (length > 4) return false;
    bytes.remove_prefix(std::min(length, bytes.size()));
  }
  return true;
}

TEST(JsonReader, ChecksUtf8) {
  std::size_t valid = 0;
  const auto check = [&valid](const std::string& bytes) {
    const bool expected = is_utf8(bytes);
    valid += expected ? 1 : 0;
    ASSERT_EQ(is_valid(in_quotes(bytes)), expected) << testing::PrintToString(bytes);
    std::string escaped;
    json::append_escaped(escaped, bytes);
    ASSERT_TRUE(json::valid(in_quotes(escaped)));
    ASSERT_EQ(escaped == bytes, expected) << testing::PrintToString(bytes);
  };
  constexpr auto tails = "\x41\x7F\x80\xBF\xC0\xFF"sv;
  for (unsigned lead = 0x80; lead <= 0xFF; ++lead) {
    std::string bytes(1, static_cast<char>(lead));
    check(bytes);  // cut right before the quote
    for (unsigned second = 0x7F; second <= 0xFF; ++second) {
      bytes = {static_cast<char>(lead), static_cast<char>(second)};
      check(bytes);
      for (const char third : tails) {
        bytes.resize(2);
        check(bytes += third);
        for (const char fourth : tails) {
          bytes.resize(3);
          check(bytes += fourth);
        }
      }
    }
  }
  EXPECT_GT(valid, 10'000u);
  for (const auto longer :
       {"\xF8\x88\x80\x80\x80"sv, "\xFC\x84\x80\x80\x80\x80"sv, "\xFE\x83\xBF\xBF"sv})
    EXPECT_FALSE(is_valid(in_quotes(longer)));
}

TEST(JsonReader, FindsBadBytesAnywhereInAString) {
  for (std::size_t length = 0; length < 40; ++length) {
    for (std::size_t place = 0; place <= length; ++place) {
      std::string text(length, 'x');
      for (const std::string_view good :
           {"\xC3\xA9"sv, "\xE2\x82\xAC"sv, "\\n"sv, "\x7f"sv, "\\u0041"sv})
        EXPECT_TRUE(is_valid(in_quotes(std::string(text).insert(place, good))));
      for (const std::string_view bad : {"\x01"sv, "\x1f"sv, "\x80"sv, "\xC3"sv, "\xE2\x82"sv,
                                         "\""sv, "\\"sv, "\\u00"sv, "\0"sv}) {
        const std::string broken = in_quotes(std::string(text).insert(place, bad));
        // A backslash at the very end escapes the quote; before another character it is unknown.
        EXPECT_FALSE(is_valid(broken)) << broken;
      }
    }
  }
}

TEST(JsonText, Unescapes) {
  struct {
    std::string_view escaped;
    std::string_view plain;
  } const cases[] = {
      {"", ""},
      {"plain", "plain"},
      {R"(\"\\\/\b\f\n\r\t)", "\"\\/\b\f\n\r\t"},
      {R"(\u0000)", "\0"sv},
      {R"(\u0041\u007f\u0080\u07FF\u0800\uffff)", "A\x7f\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"},
      {R"(\ud800\udc00\uDBFF\uDFFF)", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"},
      {R"(a\ud83d\ude00b)",
       "a\xF0\x9F\x98\x80"
       "b"},
      {R"(\ud83d)", "\xEF\xBF\xBD"},
      {R"(\ude00)", "\xEF\xBF\xBD"},
      {R"(\ud83dx)", "\xEF\xBF\xBDx"},
      {R"(\ud83d\n)", "\xEF\xBF\xBD\n"},
      {R"(\ud83d\u0041)",
       "\xEF\xBF\xBD"
       "A"},
      {R"(\ud800-\udbff-\udc00-\udfff)", "\xEF\xBF\xBD-\xEF\xBF\xBD-\xEF\xBF\xBD-\xEF\xBF\xBD"},
      {R"(\ude00\ud83d)", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {R"(\ude00\ude01)", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {R"(\ud83d\ud83d\ude00)", "\xEF\xBF\xBD\xF0\x9F\x98\x80"},
      {R"(\ud83d\\ude00)", "\xEF\xBF\xBD\\ude00"},
      {"\xE2\x82\xAC\\u20ac", "\xE2\x82\xAC\xE2\x82\xAC"},
  };
  for (const auto& [escaped, plain] : cases) {
    const std::string text = in_quotes(escaped);
    Reader in(text);
    const std::optional<JsonText> read = in.string();
    ASSERT_TRUE(read && in.finish()) << escaped;
    EXPECT_EQ(read->escaped(), escaped);
    EXPECT_EQ(json::unescaped(*read), plain) << escaped;
    EXPECT_TRUE(json::equals(*read, plain)) << escaped;
    EXPECT_FALSE(json::equals(*read, std::string(plain) + "x")) << escaped;
  }
}

TEST(JsonReader, NoticesHalvesOfPairs) {
  for (const std::string_view whole : {R"("")", R"("\u0041\ud83d\ude00\n")",
                                       R"({"\uD83D\uDE00":["\\ud83d"]})", "\"\xED\x9F\xBF\""}) {
    Reader in(whole);
    EXPECT_TRUE(in.finish());
    EXPECT_FALSE(in.has_halves()) << whole;
  }
  for (const std::string_view half :
       {R"("\ud83d")", R"("\ude00")", R"("\ud83d\u0041")", R"("\ud83d\ud83d\ude00")",
        R"({"\ude00\ud83d":1})", R"([[{"a":"\udbff\\dc00"}]])"}) {
    Reader in(half);
    EXPECT_TRUE(in.finish());
    EXPECT_TRUE(in.has_halves()) << half;
  }
}

TEST(JsonText, MendsHalvesInTheirPlace) {
  struct {
    std::string_view text;
    std::string_view mended;
  } const cases[] = {
      {R"({"a":"plain"})", R"({"a":"plain"})"},
      {R"(["\ud83d\ude00","\\ud83d","\u0041\\"])", R"(["\ud83d\ude00","\\ud83d","\u0041\\"])"},
      {R"("\ud83d")", R"("\ufffd")"},
      {R"("\uDE00 \n")", R"("\ufffd \n")"},
      {R"({"\ud83d":"\\\ud83dx"})", R"({"\ufffd":"\\\ufffdx"})"},
      {R"("\ud83d\ud83d\ude00\ude00")", R"("\ufffd\ud83d\ude00\ufffd")"},
      {R"("\ud83d","\ude00")", R"("\ufffd","\ufffd")"},
  };
  for (const auto& [text, mended] : cases) {
    std::string body(text);
    json::mend_halves(body);
    EXPECT_EQ(body, mended);
  }
  std::string body = R"("\ud83d\ud83d")";
  json::mend_halves(body, 7);
  EXPECT_EQ(body, R"("\ud83d\ufffd")");
}

TEST(JsonText, TellsWhatIsBlank) {
  for (const std::string_view blank :
       {"", " ", R"(\n\r\t\f)", R"(\u0020\u000a\u000B\u00a0\u2003\u3000)",
        "\xC2\x85\xC2\xA0\xE1\x9A\x80\xE2\x80\x80\xE2\x80\x8A",
        "\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xAF\xE2\x81\x9F\xE3\x80\x80 "}) {
    EXPECT_TRUE(json::is_blank(JsonText::trusted(blank))) << blank;
    const std::string behind = "a" + std::string(blank);
    EXPECT_EQ(json::without_white_end(JsonText::trusted(behind)).escaped(), "a") << blank;
  }
  for (const std::string_view said :
       {" .", R"(\\n)", R"(\n\")", R"(\b)", R"(\u0000)", R"(\u200b)", R"(\ud83d\ude00)",
        "\xE2\x80\x8B", "\xC3\xA0", "\xEF\xBB\xBF", "\xF0\x9F\x98\x80"}) {
    EXPECT_FALSE(json::is_blank(JsonText::trusted(said))) << said;
    EXPECT_EQ(json::without_white_end(JsonText::trusted(said)).escaped(), said);
  }
}

TEST(JsonText, EscapesWhatMustBe) {
  struct {
    std::string_view plain;
    std::string_view escaped;
  } const cases[] = {
      {"", ""},
      {"a/b'c", "a/b'c"},
      {"\"\\\n\r\t", R"(\"\\\n\r\t)"},
      {"\0\b\f\x1b\x1f\x7f"sv, "\\u0000\\u0008\\u000c\\u001b\\u001f\x7f"},
      {"\xE2\x82\xAC\xF0\x9F\x98\x80", "\xE2\x82\xAC\xF0\x9F\x98\x80"},
      {"a\xFFz", "a\xEF\xBF\xBDz"},
      {"a\xC3", "a\xEF\xBF\xBD"},
      {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
  };
  for (const auto& [plain, escaped] : cases) {
    std::string out = "before:";
    json::append_escaped(out, plain);
    EXPECT_EQ(out, "before:" + std::string(escaped));
  }
}

TEST(JsonText, EscapingAndUnescapingAreInverse) {
  std::mt19937 random(3629);
  const std::string_view pieces[] = {
      // Escaped ones, plain ones, and what looks like an escape afterwards.
      "a",     "\"",        "\\", "\n", "\x01", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
      "u0041", "plain text"};
  for (int round = 0; round < 20'000; ++round) {
    std::string plain;
    for (std::size_t left = random() % 12; left > 0; --left)
      plain += pieces[random() % std::size(pieces)];
    std::string escaped;
    json::append_escaped(escaped, plain);
    ASSERT_TRUE(is_valid(in_quotes(escaped))) << escaped;
    ASSERT_EQ(json::unescaped(JsonText::trusted(escaped)), plain) << escaped;

    // Bytes of any kind: repaired once, and only if they were not UTF-8.
    std::vector<char> bytes(random() % 40);
    for (char& byte : bytes) byte = static_cast<char>(random());
    escaped.clear();
    json::append_escaped(escaped, {bytes.data(), bytes.size()});
    ASSERT_TRUE(is_valid(in_quotes(escaped)));
    const std::string repaired = json::unescaped(JsonText::trusted(escaped));
    std::string again;
    json::append_escaped(again, repaired);
    ASSERT_EQ(again, escaped);
    ASSERT_EQ(repaired == std::string(bytes.begin(), bytes.end()),
              repaired.find(kReplacement) == repaired.npos);
  }
}

TEST(JsonText, ComparesWithPlainText) {
  EXPECT_TRUE(json::equals(JsonText::plain("stop"), "stop"));
  EXPECT_TRUE(json::equals(JsonText::trusted(R"(st\u006fp)"), "stop"));
  EXPECT_TRUE(json::equals(JsonText(), ""));
  EXPECT_TRUE(json::equals(JsonText::trusted(R"(a\/b)"), "a/b"));
  EXPECT_FALSE(json::equals(JsonText::plain("stop"), "stops"));
  EXPECT_FALSE(json::equals(JsonText::trusted(R"(st\u006f)"), "stop"));
  EXPECT_FALSE(json::equals(JsonText::trusted(R"(\\n)"), "\n"));
}

// --- numbers

TEST(JsonReader, ReadsNumbers) {
  using Integer = std::optional<std::int64_t>;
  constexpr std::int64_t min = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
  constexpr auto none = std::nullopt;
  struct {
    std::string text;
    Integer integer;
    std::optional<double> number;
  } const cases[] = {
      {"0", 0, 0.0},
      {"-0", 0, -0.0},
      {"42", 42, 42.0},
      {"-7", -7, -7.0},
      {"9223372036854775807", max, 9223372036854775808.0},
      {"9223372036854775808", none, 9223372036854775808.0},
      {"-9223372036854775807", min + 1, -9223372036854775808.0},
      {"-9223372036854775808", min, -9223372036854775808.0},
      {"-9223372036854775809", none, -9223372036854775808.0},
      {"9223372036854775810", none, 9223372036854775808.0},
      {"18446744073709551616", none, 18446744073709551616.0},
      {"18446744073709551617", none, 18446744073709551616.0},
      {"99999999999999999999", none, 1e20},
      {"1.0", 1, 1.0},
      {"-1.0", -1, -1.0},
      {"-0.0", 0, -0.0},
      {"1e3", 1000, 1000.0},
      {"1E+3", 1000, 1000.0},
      {"1500e-2", 15, 15.0},
      {"1.5", none, 1.5},
      {"1e-1", none, 0.1},
      {"0.1", none, 0.1},
      {"9007199254740991.0", 9007199254740991, 9007199254740991.0},
      {"-9007199254740991.0", -9007199254740991, -9007199254740991.0},
      {"9007199254740992.0", none, 9007199254740992.0},  // may stand for …993
      {"9007199254740993.0", none, 9007199254740992.0},
      {"9007199254740993", 9007199254740993, 9007199254740992.0},
      {"1e18", none, 1e18},
      {"1e308", none, 1e308},
      {"1e309", none, none},
      {"1e400", none, none},
      {"-1e400", none, none},
      {"1e-400", 0, 0.0},
      {"5e-324", none, 5e-324},
      {"1e99999999999999999999", none, none},
      {std::string(limits::number_digits_max, '1'), none,
       std::strtod(std::string(64, '1').c_str(), nullptr)},
      {std::string(limits::number_digits_max + 1, '1'), none, none},
      {"1." + std::string(limits::number_digits_max - 2, '0'), 1, 1.0},
      {"1." + std::string(limits::number_digits_max - 1, '0'), none, none},
      {std::string(10'000, '9'), none, none},
      {"0." + std::string(10'000, '9'), none, none},
      {"1e" + std::string(10'000, '9'), none, none},
  };
  for (const auto& [number, as_integer, as_number] : cases) {
    std::string text;
    Writer(text).begin_array().raw(number).raw(number).raw(number).string("after").end_array();
    Reader in(text);
    ASSERT_TRUE(in.enter_array() && in.next_element());
    EXPECT_EQ(in.peek(), Type::number) << number;
    EXPECT_EQ(in.raw(), number);
    ASSERT_TRUE(in.next_element());
    EXPECT_EQ(in.integer(), as_integer) << number;
    ASSERT_TRUE(in.next_element());
    EXPECT_EQ(in.number(), as_number) << number;
    ASSERT_TRUE(in.next_element());
    EXPECT_EQ(in.string(), JsonText::plain("after")) << number;
    EXPECT_FALSE(in.next_element());
    EXPECT_TRUE(in.finish()) << number;
  }
}

// Numbers of few digits are not read by the C library; they come out as if they were.
TEST(JsonReader, NumbersAreThoseOfStrtod) {
  const auto check = [](const std::string& number) {
    const double expected = std::strtod(number.c_str(), nullptr);
    const std::optional<double> value = Reader(number).number();
    ASSERT_TRUE(value) << number;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(*value), std::bit_cast<std::uint64_t>(expected))
        << number;
  };
  const std::string digits = "98765432109876543210";
  for (std::size_t size = 1; size <= digits.size(); ++size)
    for (std::size_t point = 1; point <= size; ++point)
      for (int exponent = -40; exponent <= 40; ++exponent)
        for (const char* sign : {"", "-"}) {
          std::string number = sign + digits.substr(0, point);
          if (point < size) number += "." + digits.substr(point, size - point);
          check(number);
          if (exponent >= 0) check(number + "e+" + std::to_string(exponent));
          check(number + "E" + std::to_string(exponent));
        }
  for (const char* number : {"0", "-0", "0.0", "-0.0e5", "0e0", "0.000001", "1e22", "1e23", "1e-22",
                             "1e-23", "9007199254740991", "9007199254740992", "9007199254740993",
                             "900719925474099.3e1", "0.1", "0.2", "0.3", "0.7", "2.5e-7"})
    check(number);
}

// --- depth

TEST(JsonReader, BoundsDepth) {
  constexpr std::size_t most = limits::json_depth_max;
  struct {
    std::string_view open, inside, close;
    std::size_t levels;  // of depth that each `open` adds
  } const cases[] = {
      {"[", "", "]", 1},        {"[", "1", "]", 1},
      {"{\"a\":", "1", "}", 1}, {"[{\"a\":", "null", "}]", 2},
      {" [ ", "", " ] ", 1},    {"[1,", "[]", ",2]", 1},
  };
  for (const auto& [open, inside, close, levels] : cases) {
    const std::size_t times = (most - (inside == "[]" ? 1 : 0)) / levels;
    const std::string deepest = nested(open, inside, close, times);
    const std::string too_deep = "[" + deepest + "]";
    ASSERT_EQ(depth_of(deepest), most);
    EXPECT_TRUE(is_valid(deepest)) << open;
    EXPECT_FALSE(is_valid(too_deep)) << open;
    for (unsigned seed = 0; seed < 50; ++seed) {
      EXPECT_EQ(disagreement(deepest, seed), "") << open;
      EXPECT_EQ(disagreement(too_deep, seed), "") << open;
    }
    Reader in(too_deep);
    EXPECT_FALSE(in.finish());
    EXPECT_STREQ(in.problem(), "nested too deeply");
  }
  // Brackets that never close, and depth that comes again and again.
  EXPECT_FALSE(is_valid(std::string(1'000'000, '[')));
  EXPECT_FALSE(is_valid(repeated("{\"a\":", 100'000)));
  EXPECT_TRUE(is_valid("[" + repeated(nested("[", "", "]", most - 1) + ",", 50) + "1]"));
}

// --- reading

TEST(JsonReader, SkipsWhatIsNotRead) {
  const std::string_view text = R"({"a":1,"skipped":{"x":[1,{"y":"}]"}],"z":null},"b":"two",)"
                                R"("c":[[3],4],"d":{"e":5,"f":[]},"g":6})";
  Reader in(text);
  ASSERT_TRUE(in.enter_object());
  std::string seen;
  while (in.next_member()) {
    if (in.key() == "b") seen += json::unescaped(in.string().value_or(JsonText()));
    if (in.key() == "c" && in.enter_array())
      while (in.next_element()) seen += std::to_string(in.integer().value_or(-1));
    if (in.key() == "d" && in.enter_object())
      while (in.next_member()) seen += in.key();
    if (in.key() == "g") seen += in.raw();
  }
  EXPECT_EQ(seen, "two-14ef6");
  EXPECT_TRUE(in.finish());
}

TEST(JsonReader, GivesNothingForOtherTypesAndGoesOn) {
  const std::string_view values[] = {"{\"a\":[1]}", "[1,[2]]", "\"text\"", "12", "true", "null"};
  const Type types[] = {Type::object, Type::array,   Type::string,
                        Type::number, Type::boolean, Type::null};
  for (std::size_t i = 0; i < std::size(values); ++i) {
    const auto read_as = [&](Type type) {
      const std::string text = "[" + std::string(values[i]) + ",\"after\"]";
      Reader in(text);
      EXPECT_TRUE(in.enter_array() && in.next_element());
      EXPECT_EQ(in.peek(), types[i]);
      bool given = false;
      switch (type) {
        case Type::object:
          given = in.enter_object();
          while (given && in.next_member()) {
          }
          break;
        case Type::array:
          given = in.enter_array();
          while (given && in.next_element()) {
          }
          break;
        case Type::string:
          given = in.string().has_value();
          break;
        case Type::number:
          given = in.number().has_value();
          break;
        case Type::boolean:
          given = in.boolean().has_value();
          break;
        default:
          given = in.null();
      }
      EXPECT_TRUE(in.next_element());
      EXPECT_EQ(in.string(), JsonText::plain("after"));
      EXPECT_FALSE(in.next_element());
      EXPECT_TRUE(in.finish());
      return given;
    };
    for (const Type type : types) EXPECT_EQ(read_as(type), type == types[i]) << values[i];
  }
}

TEST(JsonReader, NullTakesOnlyNull) {
  Reader in("[null,1]");
  ASSERT_TRUE(in.enter_array() && in.next_element());
  EXPECT_TRUE(in.null());
  ASSERT_TRUE(in.next_element());
  EXPECT_FALSE(in.null());
  EXPECT_EQ(in.integer(), 1);
  EXPECT_FALSE(in.next_element());
  EXPECT_TRUE(in.finish());
}

TEST(JsonReader, ReadsEachValueOnce) {
  Reader in("[1,2]");
  ASSERT_TRUE(in.enter_array() && in.next_element());
  EXPECT_EQ(in.integer(), 1);
  EXPECT_EQ(in.peek(), Type::none);
  EXPECT_FALSE(in.integer());
  EXPECT_FALSE(in.finish());
  Reader two_texts("1 [2]");
  EXPECT_FALSE(two_texts.enter_array());
  EXPECT_FALSE(two_texts.enter_array());
  EXPECT_FALSE(two_texts.finish());
}

TEST(JsonReader, ComparesNamesUnescaped) {
  Reader in(
      R"({"mod\u0065l":1,"\u006d\u006f":2,"":3,"a\/b\n":4,"\ud83d\ude00":5,"plain":6,"model":7})");
  const std::string_view names[] = {"model", "mo",   "", "a/b\n", "\xF0\x9F\x98\x80",
                                    "plain", "model"};
  ASSERT_TRUE(in.enter_object());
  std::int64_t count = 0;
  while (in.next_member()) {
    EXPECT_EQ(in.key(), names[count]);
    EXPECT_EQ(in.integer(), ++count);
  }
  EXPECT_EQ(count, 7);
  EXPECT_TRUE(in.finish());
}

TEST(JsonReader, CopiesStandOnTheirOwn) {
  const std::string text = R"({"\u0061":{"\u0062":1,"c":2},"d":3})";
  auto first = std::make_unique<Reader>(text);
  ASSERT_TRUE(first->enter_object() && first->next_member());
  Reader second = *first;
  first.reset();
  EXPECT_EQ(second.key(), "a");
  Reader third = second;
  EXPECT_EQ(third.raw(), R"({"\u0062":1,"c":2})");
  ASSERT_TRUE(second.enter_object() && second.next_member());
  EXPECT_EQ(second.key(), "b");
}

TEST(JsonReader, FailsForGood) {
  Reader in(R"({"a":[1,"\x"],"b":2})");
  ASSERT_TRUE(in.enter_object() && in.next_member() && in.enter_array() && in.next_element());
  EXPECT_EQ(in.integer(), 1);
  ASSERT_TRUE(in.next_element());
  EXPECT_FALSE(in.string());
  EXPECT_FALSE(in.ok());
  EXPECT_FALSE(in.next_element());
  EXPECT_FALSE(in.next_member());
  EXPECT_FALSE(in.enter_object() || in.enter_array() || in.null());
  EXPECT_FALSE(in.string() || in.integer() || in.number() || in.boolean());
  EXPECT_EQ(in.raw(), "");
  EXPECT_EQ(in.peek(), Type::none);
  EXPECT_FALSE(in.finish());
  EXPECT_STREQ(in.problem(), "an invalid escape in a string");
}

TEST(JsonReader, IsNotFinishedInsideALoop) {
  Reader in("[1]");
  ASSERT_TRUE(in.enter_array() && in.next_element());
  EXPECT_FALSE(in.finish());
}

TEST(Json, ValidMayAskForAType) {
  EXPECT_TRUE(json::valid(" {}", Type::object));
  EXPECT_FALSE(json::valid("[]", Type::object));
  EXPECT_FALSE(json::valid("{", Type::object));
  EXPECT_FALSE(json::valid("", Type::object));
  EXPECT_TRUE(json::valid("[]", Type::array));
}

TEST(Json, TellsWhatHoldsNothing) {
  for (const std::string_view empty : {"null", R"("")", "[]", "{}", "[ \n]", "{\t\r}"})
    EXPECT_TRUE(json::is_empty(empty)) << empty;
  for (const std::string_view filled :
       {"", "0", "false", R"(" ")", R"("\u0020")", "[0]", "[null]", "[[]]", R"({"a":null})"})
    EXPECT_FALSE(json::is_empty(filled)) << filled;
}

TEST(Json, NamesTypesWithTheirArticle) {
  EXPECT_EQ(json::with_article(Type::object), "an object");
  EXPECT_EQ(json::with_article(Type::none), "nothing");
}

// --- mutations and random documents

constexpr std::string_view kRich =
    "{ \"id\":\"chatcmpl-\\u0041\", \"n\":[0,-1.5e+3,9223372036854775807],\r\n\t\"t\":true"
    R"(,"f":false,"nul\/l":null,"deep":[[{"a":[]}],{}],"text":"\"\\ \ud83d\ude00 and more of it )"
    "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\",\"\":\"\"}";

TEST(JsonReader, RefusesEveryTruncation) {
  ASSERT_TRUE(is_valid(kRich));
  for (std::size_t size = 0; size < kRich.size(); ++size) {
    const std::string_view text = kRich.substr(0, size);
    EXPECT_FALSE(is_valid(text)) << text;
    for (unsigned seed = 0; seed < 5; ++seed) EXPECT_EQ(disagreement(text, seed), "") << text;
  }
}

TEST(JsonReader, AgreesOnEveryMutationOfOneByte) {
  unsigned seed = 0;
  for (std::size_t at = 0; at < kRich.size(); ++at) {
    std::string text(kRich);
    text.erase(at, 1);
    ASSERT_EQ(disagreement(text, ++seed), "") << text;
    for (unsigned byte = 0; byte <= 0xFF; ++byte) {
      text = kRich;
      text[at] = static_cast<char>(byte);
      ASSERT_EQ(disagreement(text, ++seed), "") << text;
    }
    for (const char byte : "\",:[]{}\\0 -.e\x01\x80"sv) {
      text = kRich;
      text.insert(at, 1, byte);
      ASSERT_EQ(disagreement(text, ++seed), "") << text;
    }
  }
}

class RandomDocument {
 public:
  explicit RandomDocument(std::mt19937& random) : random_(random) { value(0); }
  std::string text;

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }
  template <std::size_t n>
  std::string_view one_of(const std::string_view (&choices)[n]) {
    return choices[below(n)];
  }

  void white() {
    constexpr std::string_view kinds[] = {"", "", "", "", " ", "\n", "\r\n\t", "  "};
    text += one_of(kinds);
  }

  void string() {
    // Every kind of escape and of character, and what must not be taken for structure.
    // clang-format off
    constexpr std::string_view pieces[] = {
        "a", "model", "\\n", "\\\"", "\\\\", "\\u0041", "\\ud83d\\ude00", "\\uDC00", "\\ud800",
        "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "{", "]", ",", "longer than a word",
        "\\/", "\\u0000"};
    // clang-format on
    text += '"';
    for (std::size_t left = below(4); left > 0; --left) text += one_of(pieces);
    text += '"';
  }

  void scalar() {
    // Borders of integers, and each form of number.
    // clang-format off
    constexpr std::string_view scalars[] = {
        "null", "true", "false", "0", "-0", "7", "-12", "1.5", "1.0", "1e3", "-2E-2",
        "123456789012", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "0.1e+1", "1e99"};
    // clang-format on
    if (below(3) == 0) {
      string();
    } else {
      text += one_of(scalars);
    }
  }

  void value(unsigned depth) {
    white();
    const std::size_t kind = below(depth == 0 ? 3 : 4);
    if (depth > 5 || kind > 1) {
      scalar();
    } else {
      text += kind == 0 ? '{' : '[';
      white();
      const std::size_t count = below(5);
      for (std::size_t i = 0; i < count; ++i) {
        if (i != 0) text += ',';
        white();
        if (kind == 0) {
          string();
          white();
          text += ':';
        }
        value(depth + 1);
      }
      text += kind == 0 ? '}' : ']';
    }
    white();
  }

  std::mt19937& random_;
};

TEST(JsonReader, AgreesOnRandomDocumentsAndMutations) {
  constexpr std::string_view pieces[] = {
      // What changes the meaning of what is around it.
      "\"", "\\",   "{",   "}",       "[",    "]",    ",",
      ":",  "0",    "1",   "-",       ".",    "e",    "E5",
      " ",  "null", "\\u", "\\ud83d", "\x80", "\xC3", "\xEF\xBB\xBF",
      "\n", "tru"};
  std::mt19937 random(8259);
  int still_valid = 0;
  for (unsigned round = 0; round < 8'000; ++round) {
    const std::string text = RandomDocument(random).text;
    ASSERT_TRUE(is_valid(text)) << text;
    ASSERT_EQ(disagreement(text, round), "") << "round " << round << ": " << text;
    for (int mutation = 0; mutation < 3; ++mutation) {
      std::string mutant = text;
      for (std::size_t left = 1 + random() % 2; left > 0; --left) {
        const std::size_t at = random() % (mutant.size() + 1);
        const std::string_view piece = pieces[random() % std::size(pieces)];
        if (random() % 3 == 0) {
          mutant.insert(at, piece);
        } else {
          mutant.replace(at, random() % 3, piece.substr(0, random() % 4));
        }
      }
      still_valid += reference_valid(mutant) ? 1 : 0;
      ASSERT_EQ(disagreement(mutant, round), "") << "round " << round << ": " << mutant;
    }
  }
  EXPECT_GT(still_valid, 1'000);  // mutations of both kinds
  EXPECT_LT(still_valid, 20'000);
}

// --- writing

TEST(JsonWriter, PutsCommasWhereTheyBelong) {
  std::string out;
  Writer(out).begin_object().end_object();
  EXPECT_EQ(out, "{}");

  out.clear();
  Writer writer(out);
  writer.begin_object();
  writer.key("a").integer(1);
  writer.key("b").begin_array().end_array();
  writer.key("c")
      .begin_array()
      .begin_object()
      .end_object()
      .begin_object()
      .key("d")
      .null()
      .end_object();
  writer.boolean(true)
      .string("x\"y")
      .text(JsonText::trusted("\\n"))
      .raw("{\"r\":0}")
      .integer(-5)
      .end_array();
  writer.key("e").begin_text();
  writer.out().append("half");
  json::append_escaped(writer.out(), "\t");
  writer.end_text();
  writer.key("f").boolean(false);
  writer.any_key("\"quoted\"\n").string("");
  writer.end_object();
  EXPECT_EQ(out,
            "{\"a\":1,\"b\":[],\"c\":[{},{\"d\":null},true,\"x\\\"y\",\"\\n\",{\"r\":0},-5],"
            "\"e\":\"half\\t\",\"f\":false,\"\\\"quoted\\\"\\n\":\"\"}");
  EXPECT_TRUE(json::valid(out));
}

// A long text is quoted by as much of its beginning as fits, whatever it is written with.
TEST(JsonText, QuotesTheBeginningOfALongText) {
  struct Long {
    std::string_view piece;  // as it stands in JSON
    std::string_view unescaped;
  };
  constexpr Long longs[] = {
      {"a", "a"},          {"€", "€"},       {"ab€", "ab€"},           {"\\\\", "\\"},
      {"\\\\\\n", "\\\n"}, {"\\n", "\n"},    {"\\u20ac", "€"},         {"x\\u20ac", "x€"},
      {"😀", "😀"},        {"x\\\"", "x\""}, {"\\\\u20ac", "\\u20ac"}, {"\\ud83d\\ude00", "😀"},
  };
  for (const Long& text : longs) {
    for (std::string_view before : {"", "b", "bc", "bcd", "bcde", "bcdef"}) {
      const std::string shown =
          json::quoted(JsonText::trusted(std::string(before) + repeated(text.piece, 1'000)));
      const std::string whole = std::string(before) + repeated(text.unescaped, 1'000);
      SCOPED_TRACE(shown);
      ASSERT_TRUE(shown.ends_with("…"));
      const std::string_view told = std::string_view(shown).substr(0, shown.size() - 3);
      EXPECT_TRUE(whole.starts_with(told));
      EXPECT_LE(told.size(), limits::quote_bytes_max);
      EXPECT_GE(told.size() + 4, limits::quote_bytes_max);
    }
  }
}

// Copies a value through the reader and the writer.
void copy(Reader& in, Writer& out) {
  switch (in.peek()) {
    case Type::object:
      out.begin_object();
      in.enter_object();
      while (in.next_member()) {
        out.key(in.escaped_key());
        copy(in, out);
      }
      out.end_object();
      break;
    case Type::array:
      out.begin_array();
      in.enter_array();
      while (in.next_element()) copy(in, out);
      out.end_array();
      break;
    case Type::string:
      out.text(in.string().value_or(JsonText()));
      break;
    case Type::boolean:
      out.boolean(in.boolean().value_or(false));
      break;
    case Type::null:
      in.null();
      out.null();
      break;
    default:
      out.raw(in.raw());
  }
}

TEST(JsonWriter, WritesBackWhatWasRead) {
  std::mt19937 random(404);
  for (int round = 0; round < 5'000; ++round) {
    const std::string text = for_nlohmann(RandomDocument(random).text);
    Reader in(text);
    std::string out;
    Writer writer(out);
    copy(in, writer);
    ASSERT_TRUE(in.finish());
    ASSERT_EQ(nlohmann::json::parse(out, nullptr, false),
              nlohmann::json::parse(text, nullptr, false))
        << text;
  }
}

TEST(JsonWriter, WritesIntegers) {
  std::mt19937_64 random(64);
  std::vector<std::int64_t> values = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN, INT64_MIN + 1};
  for (int i = 0; i < 1'000; ++i)
    values.push_back(static_cast<std::int64_t>(random()) >> (random() % 64));
  for (const std::int64_t value : values) {
    std::string out;
    Writer(out).integer(value);
    EXPECT_EQ(out, std::to_string(value));
    EXPECT_EQ(Reader(out).integer(), value);
  }
}

TEST(Json, AppendsDecimals) {
  struct {
    std::int64_t units;
    int decimals;
    std::string_view text;
  } const cases[] = {
      {0, 0, "0"},
      {0, 6, "0"},
      {5, 0, "5"},
      {50, 0, "50"},
      {50, 1, "5"},
      {5, 1, "0.5"},
      {5, 3, "0.005"},
      {1050, 3, "1.05"},
      {-5, 2, "-0.05"},
      {-1200, 2, "-12"},
      {123456, 6, "0.123456"},
      {1, 18, "0.000000000000000001"},
      {INT64_MAX, 18, "9.223372036854775807"},
      {INT64_MIN, 18, "-9.223372036854775808"},
      {INT64_MIN, 0, "-9223372036854775808"},
      {-1, 18, "-0.000000000000000001"},
      {1'000'000'000'000'000'000, 18, "1"},
  };
  for (const auto& [units, decimals, text] : cases) {
    std::string out = "$";
    json::append_decimal(out, units, decimals);
    EXPECT_EQ(out, "$" + std::string(text));
  }
}

// --- cost

TEST(JsonReader, CostsLinearTime) {
  struct Shape {
    const char* name;
    std::string_view begin, piece, end;
  };
  const std::string deep = nested("[", "{\"a\":0}", "]", 100) + ",";
  const Shape shapes[] = {
      {"deep nesting", "[", deep, "0]"},
      {"brackets that never close", "", "[", ""},
      {"a long string", "\"", "0123456789", "\""},
      {"a string that never closes", "\"", "0123456789", ""},
      {"escapes", "\"", "\\n\\u0041", "\""},
      {"non-ASCII", "\"", "\xE2\x82\xAC\xC3\xA9", "\""},
      {"members", "{", "\"a\":1,", "\"b\":2}"},
      {"members with escaped names", "{", "\"\\u0061\":1,", "\"b\":2}"},
      {"a long escaped name", "{\"", "\\n", "\":1}"},
      {"elements", "[", "1,", "2]"},
      {"strings", "[", "\"a\",", "\"b\"]"},
      {"objects", "[", "{\"a\":[]},", "{}]"},
      {"white space", "[", " \n", "]"},
      {"digits", "", "1", ""},
      {"numbers with fractions", "[", "1.5e3,", "1]"},
  };
  const auto read = [](Reader& in, auto& self) -> std::size_t {
    std::size_t values = 1;
    if (in.peek() == Type::object && in.enter_object()) {
      while (in.next_member()) values += in.key().size() + self(in, self);
    } else if (in.peek() == Type::array && in.enter_array()) {
      while (in.next_element()) values += self(in, self);
    } else if (in.peek() == Type::number) {
      values += in.integer() ? 1 : 0;
    } else if (const auto text = in.string()) {
      values += json::unescaped(*text).size();
    }
    return values;
  };
  for (const Shape& shape : shapes) {
    const std::size_t units = shape.piece.size() > 100 ? 20 : 1'000;
    expect_linear(shape.name, units, [&](std::size_t count) -> std::function<void()> {
      const std::string text =
          std::string(shape.begin) + repeated(shape.piece, count) + std::string(shape.end);
      return [text, &read] {
        (void)json::valid(text);
        Reader in(text);
        EXPECT_GT(read(in, read), 0u);
        std::string escaped;
        json::append_escaped(escaped, text);
      };
    });
  }
}

}  // namespace
}  // namespace spillway
