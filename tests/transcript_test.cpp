// The rules of transcript.h that whole chats do not show well: tags cut anywhere, many calls,
// limits.

#include "transcript.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "limits.h"

namespace spillway {
namespace {

JsonText escaped(std::string_view text) { return JsonText::trusted(text); }

// Parts as one line each: "begin 0 text", "delta 0 Hi", "begin 1 call_1 weather #0", "end 0",
// "closing stop".
class Scribe {
 public:
  explicit Scribe(quirk::Set quirks = 0, bool gather = false) : transcript_(quirks, 7) {
    if (gather) transcript_.gather();
  }

  Scribe& take(const Event& event) {
    transcript_.take(event, parts_);
    write();
    return *this;
  }
  Scribe& close() {
    transcript_.close(parts_);
    write();
    return *this;
  }
  Scribe& text(std::string_view text) { return take(Text{escaped(text)}); }

  [[nodiscard]] const std::string& log() const { return log_; }
  [[nodiscard]] const Transcript& transcript() const { return transcript_; }
  // What all deltas of one kind say together.
  [[nodiscard]] const std::string& said(PartKind kind) const {
    return said_[static_cast<std::size_t>(kind)];
  }

  void operator()(const Opening&) { log_ += "opening\n"; }
  void operator()(const PartBegin& begin) {
    static constexpr const char* names[] = {"text", "refusal", "reasoning", "tool_call"};
    log_ += "begin " + std::to_string(begin.index) + " " + names[static_cast<int>(begin.kind)];
    if (begin.kind == PartKind::tool_call)
      log_ += " " + std::string(begin.id.escaped()) + " " + std::string(begin.name.escaped()) +
              " #" + std::to_string(begin.tool_index);
    log_ += "\n";
  }
  void operator()(const PartDelta& delta) {
    log_ += "delta " + std::to_string(delta.index) + " " + std::string(delta.text.escaped());
    if (!delta.signature.empty()) log_ += " ~" + std::string(delta.signature.escaped());
    log_ += "\n";
    said_[static_cast<std::size_t>(delta.kind)] += delta.text.escaped();
  }
  void operator()(const PartEnd& end) { log_ += "end " + std::to_string(end.index) + "\n"; }
  void operator()(const Closing& closing) {
    log_ += "closing " + std::string(name_of(closing.reason)) + "\n";
  }

 private:
  void write() {
    for (const Part& part : parts_) std::visit(*this, part);
    parts_.clear();
  }

  Transcript transcript_;
  Parts parts_;
  std::string log_;
  std::string said_[4];
};

// --- order

TEST(Transcript, PartsBeginAndEndOneAfterAnother) {
  Scribe scribe;
  scribe.take(Started{escaped("c1"), escaped("m")});
  EXPECT_EQ(scribe.log(), "");
  scribe.take(Reasoning{escaped("Hm"), {}}).take(Reasoning{{}, escaped("sig")});
  scribe.text("He").text("y").take(Refusal{escaped("no")});
  scribe.take(Finished{FinishReason::stop, escaped("stop")}).take(Done{}).close();
  EXPECT_EQ(scribe.log(),
            "opening\n"
            "begin 0 reasoning\ndelta 0 Hm\ndelta 0  ~sig\nend 0\n"
            "begin 1 text\ndelta 1 He\ndelta 1 y\nend 1\n"
            "begin 2 refusal\ndelta 2 no\nend 2\n"
            "closing stop\n");
}

TEST(Transcript, AnEmptyAnswerOpensAndCloses) {
  Scribe scribe;
  scribe.text("").take(Reasoning{}).take(Refusal{}).close();
  EXPECT_EQ(scribe.log(), "opening\nclosing stop\n");
  EXPECT_FALSE(scribe.transcript().has_content());
  EXPECT_FALSE(scribe.transcript().finished());
}

TEST(Transcript, ASignatureAloneIsNoContent) {
  Scribe scribe;
  scribe.take(Reasoning{{}, escaped("sig")});
  EXPECT_EQ(scribe.log(), "opening\nbegin 0 reasoning\ndelta 0  ~sig\n");
  EXPECT_FALSE(scribe.transcript().has_content());
}

TEST(Transcript, TextAfterACallIsAnotherPart) {
  Scribe scribe;
  scribe.text("a").take(ToolCall{0, escaped("id"), escaped("f"), {}}).text("b").close();
  EXPECT_EQ(scribe.log(),
            "opening\nbegin 0 text\ndelta 0 a\nend 0\nbegin 1 tool_call id f #0\n"
            "begin 2 text\ndelta 2 b\nend 2\ndelta 1 {}\nend 1\nclosing tool_calls\n");
}

// --- tool calls

TEST(Transcript, FragmentsFindTheirCall) {
  Scribe scribe;
  scribe.take(ToolCall{0, escaped("a"), escaped("f"), {}})
      .take(ToolCall{1, escaped("b"), escaped("g"), escaped("sig")})
      .take(ToolArguments{0, escaped("{1")})
      .take(ToolArguments{1, escaped("{2")})
      .take(ToolArguments{0, escaped("}")})
      .take(ToolArguments{kLatestCall, escaped("}")})
      .take(ToolArguments{0, escaped("")})
      .close();
  EXPECT_EQ(
      scribe.log(),
      "opening\nbegin 0 tool_call a f #0\ndelta 0 {1\nbegin 1 tool_call b g #1\ndelta 1  ~sig\n"
      "delta 1 {2\ndelta 0 }\ndelta 1 }\nend 0\nend 1\nclosing tool_calls\n");
}

TEST(Transcript, TheSameKeyGoesOnUnlessTheIdIsNew) {
  Scribe scribe;
  scribe.take(ToolCall{0, escaped("a"), escaped("f"), {}})
      .take(ToolCall{0, escaped("a"), escaped("f"), {}})
      .take(ToolCall{0, {}, escaped("f"), {}})
      .take(ToolCall{0, escaped("b"), escaped("f"), {}})
      .take(ToolArguments{0, escaped("{1}")});
  EXPECT_EQ(scribe.log(),
            "opening\nbegin 0 tool_call a f #0\nbegin 1 tool_call b f #1\ndelta 1 {1}\n");
}

// Calls as providers cut them, and what a client that gathers them has in the end.
struct Piece {
  CallKey key = 0;
  std::string_view id;
  std::string_view name;
  std::string_view arguments;
};
struct CutCalls {
  std::string_view how;
  std::vector<Piece> pieces;
  std::string_view calls;  // "id name arguments;" each; call_… is an id that was made
};

const CutCalls kCutCalls[] = {
    {"plain", {{0, "x", "f", ""}, {0, "", "", "{1"}, {0, "", "", "}"}}, "x f {1};"},
    {"a new id in each delta",
     {{0, "a", "f", ""}, {0, "b", "", "{1"}, {0, "c", "", "}"}},
     "a f {1};"},
    {"a new id in each delta, and the name",
     {{0, "a", "f", "{1"}, {0, "b", "f", "2"}, {0, "c", "f", "}"}},
     "a f {12};"},
    {"the id comes late", {{0, "", "f", ""}, {0, "late", "", "{1}"}}, "late f {1};"},
    {"the id comes after arguments", {{0, "", "f", "{1"}, {0, "late", "", "}"}}, "made f {1};"},
    {"the name comes late", {{0, "x", "", ""}, {0, "", "f", "{1}"}}, "x f {1};"},
    {"the name comes after arguments", {{0, "x", "", "{1"}, {0, "x", "f", "2}"}}, "x f {12};"},
    {"the name comes last", {{0, "", "", "{1}"}, {0, "x", "f", ""}}, "x f {1};"},
    {"the name in pieces",
     {{0, "x", "long_", ""}, {0, "", "na", ""}, {0, "x", "me", ""}, {0, "", "", "{}"}},
     "x long_name {};"},
    {"the name as far as it is known",
     {{0, "x", "lo", ""}, {0, "x", "long", ""}, {0, "x", "long", "{}"}},
     "x long {};"},
    {"all under one key, own ids",
     {{0, "x", "f", "{1}"}, {0, "y", "g", "{2}"}},
     "x f {1};y g {2};"},
    {"all under one key, own ids, cut",
     {{0, "x", "f", ""}, {0, "x", "", "{1}"}, {0, "y", "f", ""}, {0, "y", "", "{2}"}},
     "x f {1};y f {2};"},
    {"all under one key, no ids",
     {{0, "", "f", "{1}"}, {0, "", "f", "{1}"}, {0, "", "g", "{"}, {0, "", "", "}"}},
     "made f {1};made f {1};made g {};"},
    {"one id for all",
     {{0, "x", "f", "{1}"}, {1, "x", "g", "{2}"}, {2, "x", "f", "{3}"}},
     "x f {1};made g {2};made f {3};"},
    {"one id under two keys",
     {{0, "x", "f", ""}, {1, "x", "f", "{1"}, {1, "", "", "}"}},
     "x f {1};"},
    {"told whole twice", {{0, "x", "f", "{1}"}, {0, "x", "f", "{1}"}}, "x f {1};"},
    {"told whole, then again in pieces",
     {{0, "x", "f", "{1}"}, {0, "x", "f", ""}, {0, "", "", "{ 1"}, {0, "", "", "}"}},
     "x f {1};"},
    {"told whole, then its arguments",
     {{0, "x", "f", "{1}"}, {0, "", "", "{1"}, {0, "", "", "}"}},
     "x f {1};"},
    {"told twice under two keys", {{0, "x", "f", "{1}"}, {1, "x", "f", "{1}"}}, "x f {1};"},
    {"told twice in one fragment", {{0, "x", "f", "{1}{1}"}}, "x f {1};"},
    {"an empty object, then the arguments",
     {{0, "x", "f", "{}"}, {0, "", "", "{1"}, {0, "", "", "}"}},
     "x f {1};"},
    {"no arguments", {{0, "x", "f", ""}}, "x f {};"},
    {"no arguments but an empty object", {{0, "x", "f", "{}"}}, "x f {};"},
    {"side by side",
     {{0, "x", "f", ""},
      {1, "y", "g", ""},
      {0, "", "", "{1"},
      {1, "", "", "{2"},
      {0, "", "", "}"},
      {1, "", "", "}"}},
     "x f {1};y g {2};"},
    {"braces in strings",
     {{0, "x", "f", R"({\"a\":\"}\\)"}, {0, "", "", R"(\"{\"})"}, {0, "", "", "more"}},
     R"(x f {\"a\":\"}\\\"{\"};)"},
};

TEST(Transcript, CallsInPiecesArePutTogether) {
  for (const CutCalls& row : kCutCalls) {
    SCOPED_TRACE(row.how);
    Scribe scribe(0, true);
    for (const Piece& piece : row.pieces) {
      if (!piece.id.empty() || !piece.name.empty())
        scribe.take(ToolCall{piece.key, escaped(piece.id), escaped(piece.name), {}});
      scribe.take(ToolArguments{piece.key, escaped(piece.arguments), true});
    }
    EXPECT_FALSE(scribe.transcript().has_nameless_call());
    scribe.close();
    std::string calls;
    std::set<std::string> ids;
    for (const Answer::Piece& call : scribe.transcript().answer().pieces) {
      const bool made = call.id.starts_with("call_");
      calls += (made ? "made" : call.id) + " " + call.name + " " + call.text + ";";
      EXPECT_TRUE(ids.insert(call.id).second) << call.id;
    }
    EXPECT_EQ(calls, row.calls);
  }
}

TEST(Transcript, ACallWithoutANameIsNoCall) {
  for (const bool has_id : {false, true}) {
    Scribe scribe;
    if (has_id) scribe.take(ToolCall{0, escaped("x"), {}, {}});
    scribe.take(ToolArguments{0, escaped("{1}"), true});
    EXPECT_TRUE(scribe.transcript().has_nameless_call());
    EXPECT_FALSE(scribe.transcript().has_content());
    scribe.take(ToolArguments{0, {}}).close();
    EXPECT_EQ(scribe.log(), "opening\nclosing stop\n");
  }
}

TEST(Transcript, WithoutAKeyEveryCallIsNew) {
  Scribe scribe;
  scribe.take(ToolCall{kLatestCall, escaped("a"), escaped("f"), {}})
      .take(ToolCall{kLatestCall, escaped("b"), escaped("f"), {}})
      .take(Finished{FinishReason::stop, {}})
      .close();
  EXPECT_EQ(scribe.log(),
            "opening\nbegin 0 tool_call a f #0\nbegin 1 tool_call b f #1\n"
            "delta 0 {}\nend 0\ndelta 1 {}\nend 1\nclosing tool_calls\n");
}

TEST(Transcript, MissingIdsAreMadeAndDiffer) {
  const auto run = [] {
    Scribe scribe;
    for (CallKey key = 0; key < 3; ++key) scribe.take(ToolCall{key, {}, escaped("f"), {}});
    return scribe.close().log();
  };
  const std::string log = run();
  EXPECT_EQ(log, run()) << "the same seed, the same ids";
  std::set<std::string> ids;
  for (std::size_t at = log.find("call_"); at != std::string::npos; at = log.find("call_", at + 1))
    ids.insert(log.substr(at, log.find(' ', at) - at));
  EXPECT_EQ(ids.size(), 3U) << log;
}

TEST(Transcript, AnObjectBecomesTheTextOfOne) {
  Scribe scribe;
  scribe.take(ToolCall{0, escaped("a"), escaped("f"), {}})
      .take(ToolInput{0, R"({"s": "a\"b\\n", "n": 1.0})"});
  EXPECT_EQ(scribe.said(PartKind::tool_call), R"({\"s\": \"a\\\"b\\\\n\", \"n\": 1.0})");
}

TEST(Transcript, MoreCallsThanTheLimitOverflow) {
  Scribe scribe;
  for (std::size_t call = 0; call < limits::tool_calls_max; ++call)
    scribe.take(ToolCall{static_cast<CallKey>(call), {}, escaped("f"), {}});
  EXPECT_FALSE(scribe.transcript().overflowed());
  scribe.take(ToolCall{static_cast<CallKey>(limits::tool_calls_max), {}, escaped("f"), {}});
  EXPECT_TRUE(scribe.transcript().overflowed());
  scribe.close();
  EXPECT_NE(scribe.log().find("closing tool_calls"), std::string::npos);
}

// --- how it ended

TEST(Transcript, ContentDecidesTheFinishReason) {
  struct Row {
    FinishReason told;
    FinishReason without_calls;
    FinishReason with_calls;
  };
  using enum FinishReason;
  constexpr Row rows[] = {{stop, stop, tool_calls},
                          {tool_calls, stop, tool_calls},
                          {length, length, length},
                          {content_filter, content_filter, content_filter},
                          {other, stop, tool_calls}};
  for (const Row& row : rows) {
    Scribe without;
    without.text("a").take(Finished{row.told, {}});
    EXPECT_EQ(without.transcript().reason(), row.without_calls) << name_of(row.told);
    EXPECT_TRUE(without.transcript().finished());
    Scribe with;
    with.take(ToolCall{0, escaped("a"), escaped("f"), {}}).take(Finished{row.told, {}});
    EXPECT_EQ(with.transcript().reason(), row.with_calls) << name_of(row.told);
  }
}

TEST(Transcript, TheLastFinishReasonCounts) {
  Scribe scribe;
  scribe.text("a").take(Finished{FinishReason::stop, {}}).take(Finished{FinishReason::length, {}});
  EXPECT_EQ(scribe.transcript().reason(), FinishReason::length);
}

// --- usage

TEST(Transcript, UsageIsReplacedPartByPart) {
  Scribe scribe;
  scribe.take(Counted{.usage = {.input = 10, .output = 1, .cache_read = 5}})
      .take(Counted{.usage = {.output = 7, .cache_write = 3, .reasoning = 2, .total = 17}})
      .take(Counted{});
  const Usage usage = scribe.transcript().usage();
  EXPECT_EQ(usage.input, 10);
  EXPECT_EQ(usage.output, 7);
  EXPECT_EQ(usage.cache_read, 5);
  EXPECT_EQ(usage.cache_write, 3);
  EXPECT_EQ(usage.reasoning, 2);
  EXPECT_EQ(usage.total, 17);
}

TEST(Transcript, ALateZeroErasesNoCount) {
  Scribe scribe;
  scribe.take(Counted{.usage = {.input = 10, .output = 5, .cache_read = 4, .total = 15}})
      .take(Counted{.usage = {.input = 0, .output = 0, .cache_read = 0, .reasoning = 0, .total = 0},
                    .input_uncached = 0});
  const Usage usage = scribe.transcript().usage();
  EXPECT_EQ(usage.input, 10);
  EXPECT_EQ(usage.output, 5);
  EXPECT_EQ(usage.cache_read, 4);
  EXPECT_EQ(usage.reasoning, 0);
  EXPECT_EQ(usage.total, 15);
}

TEST(Transcript, PartsOfASumMayComeOneByOne) {
  // Anthropic: what came from the cache stands in the first event alone.
  Scribe cached;
  cached
      .take(Counted{.usage = {.output = 1, .cache_read = 5000, .cache_write = 200},
                    .input_uncached = 10})
      .take(Counted{.usage = {.output = 5}, .input_uncached = 10});
  EXPECT_EQ(cached.transcript().usage().input, 5210);
  // Gemini: thoughts, and what its own tools found, in other frames than the rest.
  Scribe parts;
  parts.take(Counted{.usage = {.reasoning = 50}, .input_tools = 7})
      .take(Counted{.usage = {.input = 10}, .output_unreasoned = 5})
      .take(Counted{.usage = {}, .output_unreasoned = 6});
  EXPECT_EQ(parts.transcript().usage().output, 56);
  EXPECT_EQ(parts.transcript().usage().input, 17);
  Scribe thoughts;
  thoughts.take(Counted{.usage = {.input = 10, .reasoning = 50}});
  EXPECT_EQ(thoughts.transcript().usage().output, 50);
}

TEST(Transcript, NoMoreIsCachedThanWasAsked) {
  Scribe scribe;
  scribe.take(Counted{.usage = {.input = 10, .cache_read = 5000}});
  EXPECT_EQ(scribe.transcript().usage().cache_read, 10);
  Scribe alone;
  alone.take(Counted{.usage = {.cache_read = 5000}});
  EXPECT_EQ(alone.transcript().usage().input, 5000);
}

TEST(Transcript, ExcludedReasoningIsAddedOnce) {
  Scribe scribe(quirk::usage_excludes_reasoning);
  for (int i = 0; i < 2; ++i)
    scribe.take(Counted{.usage = {.input = 10, .output = 2, .reasoning = 100}});
  EXPECT_EQ(scribe.transcript().usage().output, 102);
}

// --- think tags

// Text as the units that no fragment may cut: characters and escapes.
std::vector<std::string> units(std::string_view text) {
  std::vector<std::string> all;
  while (!text.empty()) {
    std::size_t size = 1;
    if (text[0] == '\\') size = text[1] == 'u' ? 6 : 2;
    while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) ++size;
    all.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return all;
}

struct Tagged {
  std::string_view given;
  std::string_view reasoning;
  std::string_view text;
};

constexpr Tagged kTagged[] = {
    {"<think>Two</think>Four", "Two", "Four"},
    {R"( \n<think>\nTwo\n</think>\n\nFour)", R"(\nTwo\n)", R"(\n\nFour)"},
    {R"(\u003cthink\u003eTwo\u003c/think\u003eFour)", "Two", "Four"},
    {R"(\u003Cthink\u003ETwo\u003C/think>Four)", "Two", "Four"},
    {R"(<think>a < b \u003c </think or </thin> k</think>c < d \u003e</think>)",
     "a < b < </think or </thin> k", R"(c < d \u003e</think>)"},
    {"<think></think>Four", "", "Four"},
    {"<think>Two", "Two", ""},
    {"<think>Two</thin", "Two</thin", ""},
    {"<think>", "", ""},
    {"Four", "", "Four"},
    {"Four <think>five</think>", "", "Four <think>five</think>"},
    {"<thinking>Two</thinking>", "", "<thinking>Two</thinking>"},
    // As much white space as may come before a tag, and more.
    {R"(\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n<think>Two</think>Four)",
     "Two", "Four"},
    {R"( \n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n<think>Two)", "",
     R"( \n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n<think>Two)"},
    {"<thin", "", "<thin"},
    {"<", "", "<"},
    {R"(\n)", "", R"(\n)"},
    {"</think>Four", "", "</think>Four"},
    {"<table>", "", "<table>"},
    {R"(<think>\\u003c/think>\"\u00e9é</think>\t"x)", R"(\\u003c/think>\"\u00e9é)", R"(\t"x)"},
};

// Angle brackets may have been written plainly; they say the same.
std::string plain(std::string_view text) { return json::unescaped(escaped(text)); }

void expect_tagged(const Tagged& row, const std::vector<std::string>& fragments,
                   const std::string& how) {
  Scribe scribe(quirk::think_tags);
  for (const std::string& fragment : fragments) {
    // Lent for the call: exactly as long as it is, and gone afterwards.
    const std::vector<char> lent(fragment.begin(), fragment.end());
    scribe.take(Text{escaped({lent.data(), lent.size()})});
  }
  scribe.close();
  EXPECT_EQ(plain(scribe.said(PartKind::reasoning)), plain(row.reasoning)) << row.given << how;
  EXPECT_EQ(plain(scribe.said(PartKind::text)), plain(row.text)) << row.given << how;
}

TEST(Transcript, ThinkTagsAreFoundWhereverTheyAreCut) {
  for (const Tagged& row : kTagged) {
    const std::vector<std::string> all = units(row.given);
    expect_tagged(row, {std::string(row.given)}, ", whole");
    expect_tagged(row, all, ", unit by unit");
    for (std::size_t a = 0; a <= all.size(); ++a)
      for (std::size_t b = a; b <= all.size(); ++b) {
        std::vector<std::string> three(3);
        for (std::size_t i = 0; i < all.size(); ++i) three[i < a ? 0 : i < b ? 1 : 2] += all[i];
        expect_tagged(row, three, ", cut at " + std::to_string(a) + " and " + std::to_string(b));
      }
  }
}

TEST(Transcript, ThinkTagsAreLeftAloneWithoutTheQuirk) {
  Scribe scribe;
  scribe.text("<think>Two</think>Four").close();
  EXPECT_EQ(scribe.said(PartKind::text), "<think>Two</think>Four");
}

TEST(Transcript, HeldBackBeginningOfATagIsSaidAtTheEnd) {
  Scribe scribe(quirk::think_tags);
  scribe.text("<thi");
  EXPECT_EQ(scribe.log(), "");
  EXPECT_FALSE(scribe.transcript().has_content());
  scribe.close();
  EXPECT_EQ(scribe.log(), "opening\nbegin 0 text\ndelta 0 <thi\nend 0\nclosing stop\n");
  EXPECT_TRUE(scribe.transcript().has_content());
}

// --- gathering

TEST(Transcript, GathersWhatItHandsOut) {
  Scribe scribe(0, true);
  scribe.take(Reasoning{escaped("Hm"), escaped("s1")})
      .text("Let ")
      .text("me.")
      .take(ToolCall{4, escaped("a"), escaped("f"), {}})
      .take(ToolCall{5, escaped("b"), escaped("g"), {}})
      .take(ToolArguments{4, escaped("{1}")})
      .take(Counted{.usage = {.input = 3, .output = 4}})
      .take(Finished{FinishReason::stop, {}})
      .close();
  const Answer& answer = scribe.transcript().answer();
  ASSERT_EQ(answer.pieces.size(), 4U);
  EXPECT_EQ(answer.pieces[0].text, "Hm");
  EXPECT_EQ(answer.pieces[0].signature, "s1");
  EXPECT_EQ(answer.pieces[1].kind, PartKind::text);
  EXPECT_EQ(answer.pieces[1].text, "Let me.");
  EXPECT_EQ(answer.pieces[2].id, "a");
  EXPECT_EQ(answer.pieces[2].name, "f");
  EXPECT_EQ(answer.pieces[2].text, "{1}");
  EXPECT_EQ(answer.pieces[3].text, "{}");
  EXPECT_EQ(answer.reason, FinishReason::tool_calls);
  EXPECT_EQ(answer.usage.output, 4);
}

TEST(Transcript, AGatheredAnswerHasABound) {
  Scribe gathering(0, true);
  Scribe streaming;
  const std::string megabyte(1024 * 1024, 'a');
  const std::size_t fits = limits::answer_bytes_max / megabyte.size();
  for (std::size_t i = 0; i < fits; ++i) gathering.text(megabyte);
  EXPECT_FALSE(gathering.transcript().overflowed());
  gathering.text("a");
  EXPECT_TRUE(gathering.transcript().overflowed());
  for (std::size_t i = 0; i <= fits; ++i) streaming.text(megabyte);
  EXPECT_FALSE(streaming.transcript().overflowed()) << "a stream is not kept";
}

}  // namespace
}  // namespace spillway
