// What hostile input costs: time that grows no faster than the input, wherever bytes from outside
// are read whole or kept across calls (linear.h). The JSON reader, framing and mend_object() have
// theirs beside their other tests.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "adapters.h"
#include "ask.h"
#include "failure.h"
#include "framing.h"
#include "gateway.h"
#include "linear.h"
#include "load_config.h"
#include "mend.h"
#include "policy.h"
#include "recorder.h"
#include "seam.h"
#include "transcript.h"

namespace spillway {
namespace {

using Work = std::function<void()>;

// A text of any size: `#` in a piece is its number, so that names differ.
struct Shape {
  const char* name;
  std::string_view begin, piece, end;
  std::size_t units = 20;

  [[nodiscard]] std::string text(std::size_t pieces) const {
    std::string made(begin);
    for (std::size_t index = 0; index < pieces; ++index)
      for (const char c : piece) made += c == '#' ? std::to_string(index) : std::string(1, c);
    return made += end;
  }
};

void expect_linear_shape(const Shape& shape, const std::function<Work(std::string)>& work) {
  expect_linear(shape.name, shape.units,
                [&](std::size_t pieces) { return work(shape.text(pieces)); });
}

// --- decoding

// Frames, events, parts, and what is printed for a client.
void read_whole(const Dialect& dialect, quirk::Set quirks, std::string_view stream) {
  Framing framing(dialect.framing);
  Transcript transcript(quirks, 1);
  Envelope envelope;
  Events events;
  Parts parts;
  std::string printed;
  framing.feed(stream);
  while (const auto frame = framing.next()) {
    events.clear();
    dialect.decode_frame(*frame, events);
    for (const Event& event : events) {
      parts.clear();
      transcript.take(event, parts);
      for (const Part& part : parts) adapters::openai_chat.encode_part(part, envelope, printed);
    }
  }
  parts.clear();
  transcript.close(parts);
  EXPECT_FALSE(parts.empty());
}

TEST(Cost, StreamsOfChatCompletions) {
  const Shape shapes[] = {
      {"many tokens", "", "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", ""},
      {"white space where a tag may begin", "",
       "data: {\"choices\":[{\"delta\":{\"content\":\"          \"}}]}\n\n", "", 100},
      {"a long thought", "data: {\"choices\":[{\"delta\":{\"content\":\"<think>\"}}]}\n\n",
       "data: {\"choices\":[{\"delta\":{\"content\":\"</thin\"}}]}\n\n", ""},
      {"thoughts and words in turn", "",
       "data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"reasoning\":\"b\"}}]}\n\n", ""},
      {"arguments", "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"t\"}]}}]}\n\n",
       "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
       "\"a\"}}]}}]}\n\n",
       ""},
      {"too many calls", "",
       "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":#,\"id\":\"t\"}]}}]}\n\n", ""},
      {"choices", "data: {\"choices\":[", "{\"delta\":{\"content\":\"a\"}},", "{}]}\n\n", 100},
      {"pieces of content", "data: {\"choices\":[{\"delta\":{\"content\":[",
       "{\"type\":\"text\",\"text\":\"a\"},", "{}]}}]}\n\n", 100},
      {"errors of choices", "data: {\"choices\":[", "{\"error\":{\"message\":\"a\"}},", "{}]}\n\n",
       100},
      {"unknown members", "data: {", "\"a#\":{},", "\"choices\":[]}\n\n", 200},
  };
  for (const Shape& shape : shapes)
    expect_linear_shape(shape, [](std::string text) {
      return
          [text = std::move(text)] { read_whole(adapters::openai_chat, quirk::think_tags, text); };
    });
}

TEST(Cost, StreamsOfOtherDialects) {
  struct Row {
    const Dialect& dialect;
    Shape shape;
  };
  const Row rows[] = {
      {adapters::anthropic,
       {"anthropic: tokens", "",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
        ""}},
      {adapters::anthropic,
       {"anthropic: blocks", "",
        "data: {\"type\":\"content_block_start\",\"index\":#,\"content_block\":{\"type\":"
        "\"tool_use\",\"id\":\"t#\",\"name\":\"f\"}}\n\n",
        ""}},
      {adapters::anthropic,
       {"anthropic: messages in one event", "data: {", "\"message\":{\"id\":\"m\"},",
        "\"type\":\"ping\"}\n\n", 100}},
      {adapters::gemini,
       {"gemini: parts", "data: {\"candidates\":[{\"content\":{\"parts\":[", "{\"text\":\"a\"},",
        "{}]}}]}\n\n", 100}},
      {adapters::gemini,
       {"gemini: calls", "",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\","
        "\"args\":{\"a\":#}}}]}}]}\n\n",
        ""}},
      {adapters::gemini,
       {"gemini: responses", "data: [", "{\"error\":{},\"responseId\":\"r\"},", "{}]\n\n", 100}},
  };
  for (const Row& row : rows)
    expect_linear_shape(row.shape, [&row](std::string text) {
      return [&row, text = std::move(text)] { read_whole(row.dialect, 0, text); };
    });
}

TEST(Cost, WholeAnswers) {
  struct Row {
    const Dialect& dialect;
    Shape shape;
  };
  const Row rows[] = {
      {adapters::openai_chat,
       {"openai_chat: calls", "{\"choices\":[{\"message\":{\"tool_calls\":[",
        "{\"index\":#,\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}},", "{}]}}]}"}},
      {adapters::openai_chat,
       {"openai_chat: reasoning", "{\"choices\":[{\"message\":{\"reasoning_details\":[",
        "{\"text\":\"a\"},", "{}]}}]}", 100}},
      {adapters::anthropic,
       {"anthropic: blocks", "{\"content\":[",
        "{\"type\":\"tool_use\",\"id\":\"t\",\"input\":{\"a\":1}},{\"type\":\"text\",\"text\":"
        "\"a\"},",
        "{}]}"}},
      {adapters::gemini,
       {"gemini: responses", "[",
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":1}]},",
        "{}]"}},
  };
  for (const Row& row : rows)
    expect_linear_shape(row.shape, [&row](std::string text) {
      return [&row, text = std::move(text)] {
        Events events;
        row.dialect.decode_body(text, events);
        EXPECT_TRUE(std::holds_alternative<Done>(events.back()));
        Transcript transcript(0, 1);
        transcript.gather();
        Parts parts;
        for (const Event& event : events) transcript.take(event, parts);
        transcript.close(parts);
        std::string answer;
        adapters::openai_chat.encode_answer(transcript.answer(), Envelope(), answer);
        EXPECT_NE(answer, "");
      };
    });
}

// --- requests

TEST(Cost, Requests) {
  constexpr std::string_view kBegin = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}";
  const Shape shapes[] = {
      {"messages", "{\"messages\":[", "{\"role\":\"user\",\"name\":\"n#\",\"content\":\"a\"},",
       "{\"role\":\"user\",\"content\":\"a\"}]}", 20},
      {"turns of tools", "{\"messages\":[",
       "{\"role\":\"assistant\",\"reasoning\":\"a\",\"tool_calls\":[{\"id\":\"t#\",\"function\":"
       "{\"name\":\"f\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"t#\",\"content\":\"a\"},",
       "{\"role\":\"user\",\"content\":\"a\"}]}", 10},
      {"parts", "{\"messages\":[{\"role\":\"user\",\"content\":[",
       "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"odd#\"},",
       "{\"type\":\"text\",\"text\":\"a\"}]}]}", 20},
      {"calls of one message", "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[",
       "{\"id\":\"t#\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},",
       "{\"function\":{\"name\":\"f\"}}]}]}", 60},
      {"unknown members", "{", "\"a#\":1,",
       "\"messages\":[{\"role\":\"user\",\"name\":\"n\",\"content\":\"a\"}],"
       "\"frequency_penalty\":1,\"tool_choice\":\"required\"}",
       10},
      {"unknown members of messages", "{\"messages\":[{", "\"a#\":1,",
       "\"role\":\"user\",\"content\":\"a\"}]}", 100},
      {"one member again and again", "{\"messages\":[{\"role\":\"assistant\",",
       "\"refusal\":\"a\",\"content\":\"b\",\"reasoning\":\"c\",", "\"role\":\"user\"}]}", 200},
      {"a long URL with escapes",
       "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
       "{\"url\":\"data:image\\/png;base64,",
       "\\/", "\"}}]}]}", 500},
      {"tools", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[",
       "{\"type\":\"function\",\"function\":{\"name\":\"f#\",\"strict\":true}},",
       "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}", 10},
      {"a wide schema",
       "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"response_format\":{\"type\":"
       "\"json_schema\",\"json_schema\":{\"schema\":{\"properties\":{",
       "\"a#\":{\"type\":\"object\",\"minItems\":7,\"anyOf\":[{}]},", "\"b\":{}}}}}}", 20},
      {"what a model wrote",
       "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":"
       "{\"name\":\"f\",\"arguments\":\"",
       "[", "\"}}]}]}", 1000},
      {"broken at its end", kBegin, ",{\"role\":\"user\",\"content\":\"a\"}", "", 20},
  };
  for (const Shape& shape : shapes)
    expect_linear_shape(shape, [](std::string text) {
      return [text = std::move(text)] {
        ChatRequest request;
        request.body = text;
        request.dialect = &adapters::openai_chat;
        BadRequest problem;
        if (!adapters::openai_chat.decode_request(request, problem)) return;
        Target target;
        target.model = "m";
        target.quirks = quirk::short_tool_ids | quirk::reasoning_history;
        for (const Dialect* dialect :
             {&adapters::openai_chat, &adapters::anthropic, &adapters::gemini}) {
          std::string body;
          json::Writer out(body);
          Dropped dropped;
          dialect->encode_request(request, target, out, dropped);
          EXPECT_TRUE(json::valid(body, json::Type::object));
        }
      };
    });
}

TEST(Cost, Policies) {
  const Shape shapes[] = {
      {"a long chain", "{\"chain\":[", "\"alpha:a#\",", "\"alpha:b\"]}"},
      {"one member again and again", "{", "\"strict\":true,", "\"rescue\":true}"},
  };
  for (const Shape& shape : shapes)
    expect_linear_shape(shape, [](std::string text) {
      return [text = std::move(text)] {
        Route route;
        ConfigProblem problem;
        (void)read_route(text, "spillway", route, problem);
      };
    });
}

// --- what providers say when they refuse

TEST(Cost, ErrorBodies) {
  // A hundred times as much is what is read at most (limits::error_body_bytes_max).
  const Shape shapes[] = {
      {"messages", "{\"error\":{", "\"message\":\"a\",", "\"code\":1}}", 40},
      {"codes", "{\"error\":[", "{\"code\":\"a#\",\"type\":\"b#\"},", "{}]}", 20},
      {"text", "", "a ", "", 320},
      {"broken UTF-8", "", "\xE2\x82", "", 320},
      {"white space", "{\"error\":\"", "\\n\\t", "\"}", 160},
      {"a page", "<html>", "<title", "", 100},
      {"tags", "<html>", "</<>", "", 160},
      {"lines of events", "event: error\n", "data\ndata:", "", 60},
      {"a path", "{\"detail\":[{\"loc\":[", "\"a\",0,", "1],\"msg\":\"a\"}]}", 100},
      {"JSON inside strings", "{\"error\":\"{\\\"error\\\":\\\"{", "a\\\\\\\"", "", 100},
      {"brackets", "", "[", "", 600},
      {"phrases that begin", "", "rate limi maximum contex 'a\" insufficient ", "", 15},
  };
  for (const Shape& shape : shapes)
    expect_linear_shape(shape, [](std::string text) {
      return [text = std::move(text)] {
        ResponseHead head;
        head.status = 400;
        EXPECT_NE(classify(Instant::at_ms(1), head, text).reason, "");
      };
    });
}

TEST(Cost, WaitHints) {
  const Shape shapes[] = {
      {"digits", "", "1", "", 200},
      {"units", "", "1h1m", "", 100},
      {"words in a message", "", "try again in 1 ", "", 100},
  };
  for (const Shape& shape : shapes)
    expect_linear_shape(shape, [](std::string text) {
      return [text = std::move(text)] {
        ResponseHead head;
        head.status = 429;
        for (std::string_view* field : {&head.retry_after, &head.retry_after_ms,
                                        &head.reset_requests, &head.reset_tokens, &head.reset})
          *field = text;
        EXPECT_NE(classify(Instant::at_ms(1), head, text).reason, "");
      };
    });
}

TEST(Cost, Redaction) {
  const auto config =
      load_config({R"({"providers": {"acme": {"dialect": "openai_chat",
                       "base_url": "https://acme.test", "keys": ["ACME_KEY"]}}})"},
                  {{"ACME_KEY", std::string(64, 'a') + "b"}, {"ACME_KEY_2", std::string(64, 'a')}});
  const Shape shapes[] = {
      {"almost keys", "", "aaaaaaaa", "", 200},  {"keys that overlap", "", "aaaaaaaab", "", 200},
      {"text", "", "bbbbbbbb", "", 500},         {"percent-encoded", "", "%61a%61", "", 200},
      {"escapes", "", "\\u0061\\/%61", "", 200}, {"base64 of keys", "", "YWFhYWFh", "", 200},
  };
  for (const Shape& shape : shapes)
    expect_linear_shape(shape, [&config](std::string text) {
      return [&config, text = std::move(text)] {
        std::string told = text;
        (void)config->redact(told);
        EXPECT_FALSE(told.empty());
      };
    });
}

// --- answers that break off

TEST(Cost, CompletedEvents) {
  const Shape shapes[] = {
      {"members", "{", "\"a#\":[1],", "\"b\":{", 200},
      {"one member again and again", "{", "\"a\":{},", "\"a\":[", 100},
      {"a long string", "{\"a\":\"", "\\u0041", "", 200},
      {"a long number", "{\"a\":", "1", "", 1000},
      {"escaped names", "{", "\"\\u0061#\":{},", "\"b", 200},
  };
  for (const Shape& shape : shapes)
    expect_linear_shape(shape, [](std::string text) {
      return [text = std::move(text)] {
        std::string out;
        EXPECT_TRUE(complete_object(text, R"("choices":[])", out));
      };
    });
}

TEST(Cost, Seams) {
  struct Row {
    const char* name;
    std::string_view old, said;
  };
  const Row rows[] = {
      {"the same letter", "aaaaaaaaaa", "aaaaaaaaaa"},
      {"a repetition that goes on", "ab ab ab. ", "ab ab ab. "},
      {"text that begins again", "0123456789", "0123456789"},
      {"other text", "abcdefghij", "klmnopqrst"},
      {"halves of pairs", "aaaaaaaaaa", "\\ud83d\\ude00"},
      {"backslashes", "aaaaaaaaaa", "\\\\\\\\"},
  };
  for (const Row& row : rows)
    for (const auto way : {Seam::Continuation::prefilled, Seam::Continuation::instructed})
      expect_linear(row.name, 30, [&row, way](std::size_t units) -> Work {
        std::string old;
        std::string said;
        for (std::size_t unit = 0; unit < units; ++unit) {
          old += row.old;
          said += row.said;
        }
        return [old, said, way, step = row.said.front() == '\\' ? row.said.size() / 2 : 5] {
          Seam seam(old, way);
          std::string out;
          for (std::size_t at = 0; at < said.size(); at += step)
            seam.take(JsonText::trusted(std::string_view(said).substr(at, step)), out);
          seam.end(out);
          EXPECT_NE(seam.state(), Seam::State::undecided);
        };
      });
}

// --- chats

// What goes on in the router for each chunk, however small, and each way of answering.
TEST(Cost, Chats) {
  struct Way {
    const char* name;
    std::string_view asks;
    std::string_view quirks;
  };
  const Way ways[] = {
      {"spliced", R"("stream":true,"stream_options":{"include_usage":true})", ""},
      {"relayed", R"("stream":true)", ""},
      {"translated", R"("stream":true)", R"("think_tags")"},
      {"gathered", R"("stream":false)", ""},
  };
  const Shape shapes[] = {
      {"tokens", "", "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", "", 10},
      {"pings", "", ": ping\n\n", "", 30},
      {"roles", "", "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n", "", 10},
      {"white space", "", "data: {\"choices\":[{\"delta\":{\"content\":\"      \"}}]}\n\n", "", 10},
      {"one event", "data: {\"choices\":[{\"delta\":{\"content\":\"", "aaaaaaaaaaaaaaaa", "", 30},
  };
  for (const Way& way : ways) {
    const std::string provider = R"({"providers": {"acme": {"dialect": "openai_chat",
        "base_url": "https://acme.test", "keys": [], "regular_stream": true, "quirks": [)" +
                                 std::string(way.quirks) + "]}}}";
    const auto config = load_config({provider});
    constexpr std::string_view head =
        R"({"method":"POST","url":"/v1/chat/completions","trusted":true})";
    const std::string body = R"({"model":"acme:m","messages":[{"role":"user","content":"Hi"}],)" +
                             std::string(way.asks) + "}";
    for (const Shape& shape : shapes) {
      SCOPED_TRACE(way.name);
      expect_linear_shape(shape, [&](std::string text) -> Work {
        return [&config, head, &body, text = std::move(text)] {
          Recorder host;
          Gateway gateway(*config, host);
          constexpr Instant now = Instant::at_ms(1);
          const ChatId chat = ask(gateway, now, 1, head, body);
          ASSERT_EQ(host.fetches.size(), 1U) << host.responses[chat].body;
          const ExchangeId exchange = host.fetches.front().exchange;
          gateway.step(now,
                       input::Response{exchange, 200, R"({"content-type":"text/event-stream"})"});
          for (std::size_t at = 0; at < text.size(); at += 7)
            gateway.step(now, input::Chunk{exchange, std::string_view(text).substr(at, 7)});
          gateway.step(now, input::End{exchange});
          EXPECT_EQ(host.responses[chat].ends, 1);
        };
      });
    }
  }
}

}  // namespace
}  // namespace spillway
