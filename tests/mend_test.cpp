// Mending: an object cut at every byte becomes one that an independent reader takes, with the
// caller's member in it and everything before the cut as it was.
#include "mend.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "limits.h"
#include "linear.h"

namespace spillway {
namespace {

using nlohmann::ordered_json;

ordered_json parsed(std::string_view text) {
  return ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

// The mended text, with a member `error` added as a caller does; empty when it was refused.
std::string mended(std::string_view cut) {
  std::string closing;
  bool needs_comma = false;
  if (!mend_object(cut, closing, needs_comma)) {
    EXPECT_EQ(closing, "") << cut;
    return {};
  }
  return std::string(cut) + closing + (needs_comma ? ",\"error\":1}" : "\"error\":1}");
}

// Cuts `text`, a valid object, at every byte.
void expect_mended_at_every_byte(std::string_view text) {
  const ordered_json whole = parsed(text);
  ASSERT_TRUE(whole.is_object()) << text;
  for (std::size_t size = 1; size < text.size(); ++size) {
    const std::string_view cut = text.substr(0, size);
    const std::string result = mended(cut);
    const ordered_json object = parsed(result);
    ASSERT_TRUE(object.is_object()) << cut << " -> " << result;
    ASSERT_EQ(object.value("error", 0), 1) << cut << " -> " << result;
    // Behind the last member that the cut reached, only `error` follows; those before are whole.
    const std::size_t kept = object.size() - 1;
    std::size_t index = 0;
    for (const auto& [key, value] : object.items()) {
      if (index + 1 >= kept) break;
      ASSERT_EQ(whole.at(key), value) << cut << " -> " << result;
      ++index;
    }
  }
  EXPECT_EQ(mended(text), "") << "nothing is added to an object that has ended";
}

constexpr const char* kChunk =
    R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1800000000,"model":"m",)"
    R"("choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":)"
    R"("{\"city\": \"K\u00f6ln\", \"when\": \""}}]},"logprobs":null,"finish_reason":null}]})";

TEST(Mend, EveryKindOfValueAtEveryByte) {
  const char* const texts[] = {
      R"({})",
      R"({"a":"b"})",
      R"({"true":true,"false":false,"null":null})",
      R"({"zero":0,"minus":-0,"whole":-12345,"real":1.5,"both":-0.25e-3,"big":1E+20,"e":2e5})",
      R"({"empty":"","object":{},"array":[],"":0})",
      R"({"s":"quote \" slash \/ backslash \\ all \b\f\n\r\t end\\"})",
      R"({"u":"\u0041\u00e9\uABCD\u0000\ud83d\ude00\uD83D\uDE00 \ufffF","k\u0065y":"\\u12"})",
      "{\"utf8\":\"é € 𐍈 😀 \xF4\x8F\xBF\xBF \xED\x9F\xBF \xE0\xA0\x80 \xF0\x90\x80\x80\"}",
      "{\"clé\":1,\"鍵\":2,\"😀\":{\"😀\":[\"é\"]}}",
      R"({"nested":[1,[2,[3,{"a":[{"b":null},{}]}],[]],"x"],"after":{"c":{"d":{"e":false}}}})",
      R"({"brackets in text":"{[}]\",:","and":["]","}",{"[":"{"}]})",
      " {\"a\" : [ 1 ,\t2.0 , { \"b\" :\r\n null , \"c\" : \"d\" } ] ,\n \"e\" : -1e-1 } ",
      kChunk,
  };
  for (const std::string_view text : texts) {
    const std::size_t begin = text.find('{');
    expect_mended_at_every_byte(text.substr(begin, text.rfind('}') + 1 - begin));
  }
}

TEST(Mend, Endings) {
  struct Row {
    const char* cut;
    const char* mended;
  };
  const Row rows[] = {
      {"{", R"({"error":1})"},
      {"{ ", R"({ "error":1})"},
      {R"({")", R"({"":null,"error":1})"},
      {R"({"a)", R"({"a":null,"error":1})"},
      {R"({"a")", R"({"a":null,"error":1})"},
      {R"({"a" )", R"({"a" :null,"error":1})"},
      {R"({"a":)", R"({"a":null,"error":1})"},
      {R"({"a": )", R"({"a": null,"error":1})"},
      {R"({"a":1)", R"({"a":1,"error":1})"},
      {R"({"a":1 )", R"({"a":1 ,"error":1})"},
      {R"({"a":1,)", R"({"a":1,"":null,"error":1})"},
      {R"({"a":1, )", R"({"a":1, "":null,"error":1})"},
      {R"({"a":-)", R"({"a":-0,"error":1})"},
      {R"({"a":1.)", R"({"a":1.0,"error":1})"},
      {R"({"a":1e)", R"({"a":1e0,"error":1})"},
      {R"({"a":1E+)", R"({"a":1E+0,"error":1})"},
      {R"({"a":t)", R"({"a":true,"error":1})"},
      {R"({"a":fals)", R"({"a":false,"error":1})"},
      {R"({"a":n)", R"({"a":null,"error":1})"},
      {R"({"a":null)", R"({"a":null,"error":1})"},
      {R"({"a":")", R"({"a":"","error":1})"},
      {R"({"a":"\)", R"({"a":"\\","error":1})"},
      {R"({"a":"\\)", R"({"a":"\\","error":1})"},
      {R"({"a":"\")", R"({"a":"\"","error":1})"},
      {R"({"a":"\u)", R"({"a":"\u0000","error":1})"},
      {R"({"a":"\u00e)", R"({"a":"\u00e0","error":1})"},
      {R"({"a":"\ud8)", R"({"a":"\ud800\udc00","error":1})"},
      {R"({"a":"\uD83D)", R"({"a":"\uD83D\udc00","error":1})"},
      {R"({"a":"\ud83d\)", R"({"a":"\ud83d\udc00","error":1})"},
      {R"({"a":"\ud83d\u)", R"({"a":"\ud83d\udc00","error":1})"},
      {R"({"a":"\ud83d\ud)", R"({"a":"\ud83d\udc00","error":1})"},
      {R"({"a":"\ud83d\ude0)", R"({"a":"\ud83d\ude00","error":1})"},
      {R"({"a":"\ud83d\ude01)", R"({"a":"\ud83d\ude01","error":1})"},
      {R"({"a":"\ud83dx)", R"({"a":"\ud83dx","error":1})"},
      {R"({"a\)", R"({"a\\":null,"error":1})"},
      {R"({"a":[)", R"({"a":[null],"error":1})"},
      {R"({"a":[])", R"({"a":[],"error":1})"},
      {R"({"a":[1,)", R"({"a":[1,null],"error":1})"},
      {R"({"a":{)", R"({"a":{},"error":1})"},
      {R"({"a":{"b":[{)", R"({"a":{"b":[{}]},"error":1})"},
      {R"({"a":{"b":1,)", R"({"a":{"b":1,"":null},"error":1})"},
  };
  for (const Row& row : rows) EXPECT_EQ(mended(row.cut), row.mended);
}

TEST(Mend, NumbersOfAnyLength) {
  const std::string digits(3 * limits::number_digits_max, '7');
  const std::string exponent = "e-" + digits;
  for (const std::string& number : {digits, "-" + digits, digits + ".5", "-0.5" + exponent}) {
    const std::string text = R"({"a":)" + number;
    for (std::size_t size = text.size() - number.size(); size <= text.size(); ++size) {
      const std::string result = mended(std::string_view(text).substr(0, size));
      ASSERT_EQ(parsed(result).value("error", 0), 1) << result;
    }
  }
}

TEST(Mend, NotTheBeginningOfAnObject) {
  const char* const texts[] = {
      "",       " ",  "\n{", "[", "[{", "[1", "\"a", "\"a\"",      "1",           "tru",
      "null",   "x",  "}",   "]", ",",  "{}", "{} ", R"({"a":1})", R"({"a":1}x)", R"({"a":1}{"b)",
      "[DONE]", "[]{"};
  for (const char* text : texts) EXPECT_EQ(mended(text), "") << text;
}

TEST(Mend, Depth) {
  const auto objects = [](std::size_t depth) {
    std::string text = "{";
    for (std::size_t level = 1; level < depth; ++level) text += R"("a":{)";
    return text;
  };
  const auto arrays = [](std::size_t depth) { return R"({"a":)" + std::string(depth - 1, '['); };
  for (const auto& text : {objects(limits::json_depth_max), arrays(limits::json_depth_max)}) {
    const ordered_json object = parsed(mended(text));
    ASSERT_TRUE(object.is_object());
    EXPECT_EQ(object.at("error"), 1);
  }
  EXPECT_EQ(mended(objects(limits::json_depth_max + 1)), "");
  EXPECT_EQ(mended(arrays(limits::json_depth_max + 1)), "");
  EXPECT_EQ(mended(arrays(100'000)), "");
  // Depth is what is open, not what has been.
  std::string wide = R"({"a":[)";
  for (int count = 0; count < 1'000; ++count) wide += "[{}],";
  EXPECT_EQ(parsed(mended(wide)).at("a").size(), 1'001U);
}

// What is no JSON gives some answer without reading or writing out of bounds.
TEST(Mend, HostileBytes) {
  std::mt19937 random(7);
  constexpr std::string_view bytes = "{}[]\",:\\u0d8etf-1. \n\x01\x80\xC3\xE2\xF0\xFF";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "{";
    for (std::size_t size = random() % 24; size > 0; --size)
      text.push_back(bytes[random() % bytes.size()]);
    std::string closing = "kept";
    bool needs_comma = false;
    const bool is_cut = mend_object(text, closing, needs_comma);
    EXPECT_EQ(closing.substr(0, 4), "kept");
    if (!is_cut) EXPECT_EQ(closing, "kept") << text;
  }
}

// Random valid objects, cut at every byte.
class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  std::string object(unsigned depth) {
    std::string text = "{";
    for (unsigned count = number_below(4), index = 0; index < count; ++index) {
      if (index > 0) text += ',';
      text += white() + '"' + std::to_string(index) + inside() + '"' + white() + ':' + white();
      text += value(depth) + white();
    }
    return text + "}";
  }

 private:
  unsigned number_below(unsigned end) { return static_cast<unsigned>(random_() % end); }
  const char* one_of(std::initializer_list<const char*> choices) {
    return choices.begin()[number_below(static_cast<unsigned>(choices.size()))];
  }
  std::string white() { return one_of({"", "", "", " ", "\r\n\t"}); }
  std::string inside() {
    std::string text;
    for (unsigned count = number_below(4); count > 0; --count)
      text += one_of({"a", " ", "\\n", "\\\\", "\\\"", "\\u00e9", "\\ud83d\\ude00", "é", "€", "😀",
                      "{", "]", ":", ","});
    return text;
  }
  std::string value(unsigned depth) {
    switch (number_below(depth == 0 ? 3 : 5)) {
      case 0:
        return one_of({"true", "false", "null"});
      case 1:
        return one_of({"0", "-1", "12.5", "1e3", "-0.1E-2", "123456"});
      case 2:
        return '"' + inside() + '"';
      case 3:
        return object(depth - 1);
      default:
        break;
    }
    std::string text = "[";
    for (unsigned count = number_below(4), index = 0; index < count; ++index)
      text += (index > 0 ? "," : "") + value(depth - 1);
    return text + "]";
  }

  std::mt19937 random_;
};

TEST(Mend, RandomObjectsAtEveryByte) {
  for (unsigned seed = 0; seed < 300; ++seed)
    expect_mended_at_every_byte(Generator(seed).object(4));
}

TEST(Mend, CostGrowsWithTheText) {
  expect_linear("mend_object", 1'000, [](std::size_t units) {
    std::string text = R"({"choices":[)";
    while (text.size() < 10 * units) text += R"({"n":123,"s":"é\n"},)";
    return [text] {
      std::string closing;
      bool needs_comma = false;
      EXPECT_TRUE(mend_object(text, closing, needs_comma));
    };
  });
}

}  // namespace
}  // namespace spillway
