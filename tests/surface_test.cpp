// Surface: response heads that any host takes, whatever a model is called; failures in the client's
// terms; and errors in the middle of a stream, after which every event can still be read.
#include "surface.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "adapters.h"
#include "framing_reference.h"
#include "limits.h"

namespace spillway {
namespace {

using nlohmann::json;

constexpr const char* kCommon = R"("x-request-id":"req-1","access-control-allow-origin":"*")";

Surface surface(bool stream = true, const char* common = kCommon) {
  return {adapters::openai_chat, stream, /*include_usage=*/false, common};
}

ClientError error_of(FailureKind kind, std::string message = "what happened") {
  return client_error(failed(kind, "reason"), std::move(message));
}

json head_of(const std::string& text) {
  json head = json::parse(text, nullptr, false);
  EXPECT_TRUE(head.is_object()) << text;
  // RFC 9110: names are tokens in lower case, values are visible characters and spaces.
  for (const auto& [name, value] : head.items()) {
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string::npos);
    for (const char c : value.get<std::string>()) EXPECT_TRUE(c >= ' ' && c <= '~') << name;
  }
  return head;
}

// --- response heads

TEST(SurfaceHead, OfAnAnswer) {
  const AttemptRecords attempts{{"groq:a", "rate_limited", 429, 12},
                                {"openai:b", "timeout", 0, 5000},
                                {"acme:org/c:1", "ok", 200, 345}};
  const json expected{
      {"x-request-id", "req-1"},
      {"access-control-allow-origin", "*"},
      {"content-type", "text/event-stream; charset=utf-8"},
      {"cache-control", "no-cache, no-transform"},
      {"x-spillway-engine", "acme:org/c:1"},
      {"x-spillway-attempts", "groq:a=rate_limited;12ms, openai:b=timeout;5000ms, acme:org/c:1=ok"},
      {"server-timing",
       "attempt;desc=\"groq:a rate_limited\";dur=12, attempt;desc=\"openai:b timeout\";dur=5000, "
       "attempt;desc=\"acme:org/c:1 ok\";dur=345, total;dur=5360"},
      {"x-spillway-dropped", "top_k, seed"},
  };
  EXPECT_EQ(head_of(surface().answer_head(attempts, 5360, {"top_k", "seed"})), expected);

  json whole = expected;
  whole["content-type"] = "application/json";
  whole["cache-control"] = "no-store";
  whole.erase("x-spillway-dropped");
  EXPECT_EQ(head_of(surface(false).answer_head(attempts, 5360, {})), whole);
}

TEST(SurfaceHead, OfAnError) {
  const AttemptRecords attempts{{"groq:a", "server", 500, 7}};
  const json expected{{"x-request-id", "req-1"},
                      {"access-control-allow-origin", "*"},
                      {"content-type", "application/json"},
                      {"cache-control", "no-store"},
                      {"x-spillway-attempts", "groq:a=server;7ms"},
                      {"server-timing", "attempt;desc=\"groq:a server\";dur=7, total;dur=9"}};
  // A JSON body, whether or not the client asked for a stream.
  for (const bool stream : {false, true})
    EXPECT_EQ(head_of(surface(stream).error_head(attempts, 9, error_of(FailureKind::server), -1)),
              expected);
  const json bare{{"content-type", "application/json"}, {"cache-control", "no-store"}};
  EXPECT_EQ(head_of(surface(true, "").error_head({}, 0, error_of(FailureKind::server), -1)), bare);
}

TEST(SurfaceHead, RetryAfterIsWholeSecondsRoundedUp) {
  const std::pair<Millis, const char*> rows[] = {{0, "0"},     {1, "1"},     {999, "1"},
                                                 {1'000, "1"}, {1'001, "2"}, {86'400'000, "86400"}};
  for (const auto& [wait_ms, seconds] : rows)
    EXPECT_EQ(head_of(surface().error_head({}, 0, error_of(FailureKind::rate_limited), wait_ms))
                  .at("retry-after"),
              seconds);
  EXPECT_FALSE(head_of(surface().error_head({}, 0, error_of(FailureKind::rate_limited), -1))
                   .contains("retry-after"));
}

TEST(SurfaceHead, OnlyCreditIsNotWorthAnotherTry) {
  for (std::size_t index = 0; index < kFailureKinds; ++index) {
    const auto kind = static_cast<FailureKind>(index);
    const json head = head_of(surface().error_head({}, 0, error_of(kind), -1));
    EXPECT_EQ(head.value("x-should-retry", ""), kind == FailureKind::quota_exhausted ? "false" : "")
        << name_of(kind);
  }
}

// %XX → the byte.
std::string decoded(std::string_view token) {
  std::string plain;
  for (std::size_t at = 0; at < token.size(); ++at)
    if (token[at] == '%') {
      plain.push_back(
          static_cast<char>(std::stoi(std::string(token.substr(at + 1, 2)), nullptr, 16)));
      at += 2;
    } else {
      plain.push_back(token[at]);
    }
  return plain;
}

// `pattern` with the token in place of each @.
std::string filled(std::string_view pattern, const std::string& token) {
  std::string text;
  for (const char c : pattern) c == '@' ? text += token : text += c;
  return text;
}

TEST(SurfaceHead, ModelsOfAnyNameStayInTheirPlace) {
  std::string all_bytes[4];
  for (int byte = 0; byte < 256; ++byte) all_bytes[byte / 64].push_back(static_cast<char>(byte));
  const std::string names[] = {"a\r\nset-cookie: x=1\r\n\r\n",
                               "a\"; dur=0, total;dur=1",
                               "a=ok, openai:b=ok",
                               "a\\\"",
                               "modèle 模型 😀",
                               "\xFF\xFE",
                               "100%41",
                               std::string("a\0b", 3),
                               all_bytes[0],
                               all_bytes[1],
                               all_bytes[2],
                               all_bytes[3]};
  for (const std::string& name : names) {
    const std::string engine = "acme:" + name;
    const json head = head_of(surface().answer_head(
        {{engine, "server", 500, 1}, {engine, "ok", 200, 2}}, 3, {name, "seed"}));
    const auto token = head.at("x-spillway-engine").get<std::string>();
    EXPECT_EQ(token.find_first_of("\"\\;,= "), std::string::npos) << token;
    EXPECT_EQ(decoded(token), engine) << "nothing is lost";
    EXPECT_EQ(head.at("x-spillway-attempts"), filled("@=server;1ms, @=ok", token));
    EXPECT_EQ(
        head.at("server-timing"),
        filled("attempt;desc=\"@ server\";dur=1, attempt;desc=\"@ ok\";dur=2, total;dur=3", token));
    const auto dropped = head.at("x-spillway-dropped").get<std::string>();
    EXPECT_EQ(decoded(dropped), name.substr(0, limits::dropped_name_bytes_max) + ", seed");
    EXPECT_EQ(dropped.find(", "), dropped.size() - std::string_view(", seed").size()) << dropped;
  }
}

TEST(SurfaceHead, DroppedNamesAreBounded) {
  const auto dropped = [](std::size_t count) {
    const json head = head_of(surface().answer_head({}, 0, Dropped(count, "seed")));
    return head.at("x-spillway-dropped").get<std::string>();
  };
  std::string most = "seed";
  std::size_t shown = 1;
  for (; most.size() + 6 <= limits::told_list_bytes_max - 20; ++shown) most += ", seed";
  EXPECT_EQ(dropped(shown), most);
  EXPECT_EQ(dropped(shown + 1), most + ", (1 more)");
  EXPECT_EQ(dropped(100'000), most + ", (" + std::to_string(100'000 - shown) + " more)");
}

// Whatever names a client makes up: runtimes refuse responses with too many bytes of headers.
TEST(SurfaceHead, WhatIsToldIsBounded) {
  for (const std::string& name : {std::string("acme:m"), "acme:" + std::string(507, '"'),
                                  "acme:" + std::string(507, 'm'), std::string(40, '\xFF')}) {
    for (const std::size_t attempts : {1U, 2U, 32U}) {
      AttemptRecords records;
      for (std::size_t index = 0; index < attempts; ++index)
        records.push_back({name, index + 1 < attempts ? "model_not_found" : "ok", 404, 86'400'000});
      const Dropped dropped(1000, std::string_view(name).substr(0, 100));
      const json head = head_of(surface().answer_head(records, 86'400'000, dropped));
      std::size_t bytes = 0;
      for (const auto& [header, value] : head.items())
        if (header.starts_with("x-spillway-") || header == "server-timing")
          bytes += header.size() + value.get_ref<const std::string&>().size() + 4;  // ": " and CRLF
      EXPECT_LE(bytes, limits::told_bytes_max) << name << " " << attempts;
      EXPECT_EQ(decoded(head.at("x-spillway-engine").get<std::string>()), name)
          << "whole, whatever it is";
      const auto told = head.at("x-spillway-attempts").get<std::string>();
      const bool all =
          static_cast<std::size_t>(std::count(told.begin(), told.end(), '=')) == attempts;
      EXPECT_EQ(told.find(" more)") == std::string::npos, all) << told;
      const auto timing = head.at("server-timing").get<std::string>();
      EXPECT_TRUE(timing.ends_with(", total;dur=86400000")) << timing;
    }
  }
}

// --- failures in the client's terms

TEST(SurfaceError, EveryKindOfFailure) {
  struct Row {
    FailureKind kind;
    int status;
    const char* type;
    const char* code;
  };
  const Row rows[] = {
      {FailureKind::rate_limited, 429, "rate_limit_error", "rate_limit_exceeded"},
      {FailureKind::overloaded, 503, "server_error", "overloaded"},
      {FailureKind::server, 502, "server_error", "upstream_error"},
      {FailureKind::timeout, 504, "server_error", "timeout"},
      {FailureKind::network, 502, "server_error", "network_error"},
      {FailureKind::protocol, 502, "server_error", "protocol_error"},
      {FailureKind::empty, 502, "server_error", "empty_answer"},
      {FailureKind::model_not_found, 404, "invalid_request_error", "model_not_found"},
      {FailureKind::context_too_long, 400, "invalid_request_error", "context_length_exceeded"},
      {FailureKind::auth, 401, "authentication_error", "provider_auth_failed"},
      {FailureKind::quota_exhausted, 429, "insufficient_quota", "insufficient_quota"},
      {FailureKind::content_filter, 400, "invalid_request_error", "content_filter"},
      {FailureKind::bad_request, 400, "invalid_request_error", "invalid_request"},
      {FailureKind::too_large, 413, "invalid_request_error", "request_too_large"},
  };
  static_assert(std::size(rows) == kFailureKinds);
  for (const Row& row : rows) {
    Failure failure = failed(row.kind, "reason");
    failure.param = "messages[0]";
    const ClientError error = client_error(failure, "told");
    EXPECT_EQ(error.status, row.status) << name_of(row.kind);
    EXPECT_EQ(error.type, row.type) << name_of(row.kind);
    EXPECT_EQ(error.code, row.code) << name_of(row.kind);
    EXPECT_EQ(error.message, "told");
    EXPECT_EQ(error.param, "messages[0]");
  }
}

TEST(SurfaceError, AsABody) {
  std::string body;
  surface().print_error({400, "invalid_request_error", "invalid_request", "a \"b\"\n\xFF", "n"},
                        body);
  EXPECT_EQ(json::parse(body), (json{{"error",
                                      {{"message", "a \"b\"\n\xEF\xBF\xBD"},
                                       {"type", "invalid_request_error"},
                                       {"param", "n"},
                                       {"code", "invalid_request"}}}}));
}

// --- relayed frames

TEST(SurfaceStream, AFrameIsRelayedAsItIs) {
  struct Row {
    Frame frame;
    const char* bytes;
  };
  const Row rows[] = {
      {{"", "{}"}, "data: {}\n\n"},
      {{"", ""}, "data: \n\n"},
      {{"error", "{\"a\":1}"}, "event: error\ndata: {\"a\":1}\n\n"},
      {{"", "{\"a\":\n1,\n\"b\":2}", 3}, "data: {\"a\": 1, \"b\":2}\n\n"},
  };
  for (const Row& row : rows) {
    std::string out = "before ";
    Surface::relay(row.frame, out);
    EXPECT_EQ(out, std::string("before ") + row.bytes);
  }
}

// --- an error in the middle of a stream

// Every event's data has to be JSON: the official clients give up at the first that is not.
void expect_error_at_the_end(const std::string& stream) {
  const OwnedFrames frames = frames_of(FrameKind::sse, {stream});
  ASSERT_FALSE(frames.empty()) << stream;
  ASSERT_EQ(stream.substr(stream.size() - 2), "\n\n") << stream;
  for (const OwnedFrame& frame : frames)
    ASSERT_TRUE(json::accept(frame.data)) << frame.data << " in " << stream;
  const json last = json::parse(frames.back().data);
  ASSERT_TRUE(last.contains("error")) << stream;
  ASSERT_EQ(last.at("error").at("code"), "network_error") << stream;
  ASSERT_EQ(last.at("error").at("message"), "the \"end\"\n") << stream;
}

TEST(SurfaceStream, AnErrorAfterAnyPartOfAnEvent) {
  const char* const events[] = {
      R"(data: {"id":"1","delta":[{"text":"K\u00f6ln \ud83d\ude00 \\ € 😀"},-1.5e3,true],"z":null})",
      "data:{\"a\":{}}",
      "data: {\"a\":1}\r",
      "data: {\"a\":1}\n",
      "event: message\ndata: {\"a\":[\"b\"]}",
      ": a comment\ndata: {\"a\":1}",
      "id: 7\nretry: 10\ndata: {}",
      "data: {\"error\":{\"message\":\"the provider's own\"}}",
      ": only a comment",
      "event: only a name\n",
      "other: {\"a\":1}",
  };
  const std::string before = "data: {\"first\":1}\n\n";
  for (const std::string_view event : events)
    for (std::size_t size = 0; size <= event.size(); ++size) {
      const std::string_view cut = event.substr(0, size);
      std::string out = before + std::string(cut);
      surface().print_stream_error(error_of(FailureKind::network, "the \"end\"\n"), cut, out);
      ASSERT_NO_FATAL_FAILURE(expect_error_at_the_end(out));
    }
}

TEST(SurfaceStream, WhatTheClientHasOfAnEventIsNotLost) {
  std::string out;
  surface().print_stream_error(error_of(FailureKind::timeout, "m"),
                               R"(data: {"choices":[{"delta":{"content":"Hel)", out);
  EXPECT_EQ(out,
            "\"}}],\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,"
            "\"code\":\"timeout\"}}\n\n");
}

TEST(SurfaceStream, AfterTheTerminatorThereIsNoError) {
  for (const char* cut : {"data: [", "data: [DONE", "data: [DONE]", "data: [DONE]\n"}) {
    std::string out = cut;
    surface().print_stream_error(error_of(FailureKind::network), cut, out);
    const OwnedFrames frames = frames_of(FrameKind::sse, {out});
    ASSERT_EQ(frames.size(), 1U) << out;
    EXPECT_EQ(frames.front().data, "[DONE]");
  }
}

// What is no object cannot be mended: its event stays unreadable, and the error follows as its own.
TEST(SurfaceStream, WhatCannotBeMendedIsClosed) {
  for (const char* cut : {"data: x", "data: [1", "data: {\"a\":\ndata: [", "data: {\"a\":1}x"}) {
    std::string out = cut;
    surface().print_stream_error(error_of(FailureKind::network), cut, out);
    const OwnedFrames frames = frames_of(FrameKind::sse, {out});
    ASSERT_EQ(frames.size(), 2U) << out;
    EXPECT_TRUE(json::parse(frames.back().data).contains("error")) << out;
  }
}

// --- the end of a stream whose answer is whole

TEST(SurfaceStream, TheEndAfterAnyPartOfAnEvent) {
  const char* const events[] = {
      "data: [DONE]",
      "data:[DONE]\r",
      "data: [DONE]\n",
      "event: x\rdata: [DONE]\r\n",
      R"(data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}})",
      "event: message\ndata: {\"a\":[\"é\"]}\n",
      "event: message\rdata: {\"a\":[\"é\"]}\r",
      ": only a comment",
  };
  const std::string before = "data: {\"first\":1}\n\n";
  for (const std::string_view event : events)
    for (std::size_t size = 0; size <= event.size(); ++size) {
      const std::string_view cut = event.substr(0, size);
      std::string out = before + std::string(cut);
      surface().print_end(cut, out);
      OwnedFrames frames = frames_of(FrameKind::sse, {out});
      ASSERT_EQ(out.substr(out.size() - 2), "\n\n") << out;
      ASSERT_EQ(frames.back().data, "[DONE]") << out;
      frames.pop_back();
      for (const OwnedFrame& frame : frames) ASSERT_TRUE(json::accept(frame.data)) << out;
    }
}

// Clients look for choices in every chunk, and count what usage says: an event that is completed
// has the one, and the other whole or not at all.
TEST(SurfaceStream, ACompletedEventIsReadable) {
  const char* const events[] = {
      R"({"id":"1","choices":[],"usage":{"prompt_tokens":1234,"total_tokens":1237}})",
      R"({"id":"1","usage":{"prompt_tokens":1234,"total_tokens":1237},"model":"m"})",
      R"({"choices":[{"index":0,"delta":{"content":"a]"},"finish_reason":"stop"}],"usage":null})",
      R"({"usage":{"prompt_tokens":1234,"total_tokens":1237,"details":{"a":[1]}},"choices":[ ] })",
  };
  for (const std::string_view event : events) {
    const json whole = json::parse(event);
    for (std::size_t size = 1; size < event.size(); ++size) {
      const std::string cut = "data: " + std::string(event.substr(0, size));
      std::string out = cut;
      surface().print_end(cut, out);
      const OwnedFrames frames = frames_of(FrameKind::sse, {out});
      ASSERT_EQ(frames.size(), 2U) << out;
      const json chunk = json::parse(frames[0].data);
      const json choices = chunk.value("choices", json());
      ASSERT_TRUE(choices == json::array() || choices == whole.at("choices")) << out;
      const json usage = chunk.value("usage", json());
      ASSERT_TRUE(usage.is_null() || usage == whole.at("usage")) << out;
    }
  }
}

TEST(SurfaceStream, ALoneCarriageReturnEndsALine) {
  for (const char* cut : {"event: x\rdata: {\"a\":[1,\"b", ": ping\r\rdata: {\"a\":[1,\"b",
                          "id: 1\r\rdata: {\"a\":[1,\"b"}) {
    std::string out = cut;
    surface().print_stream_error(error_of(FailureKind::network, "the \"end\"\n"), cut, out);
    const OwnedFrames frames = frames_of(FrameKind::sse, {out});
    ASSERT_EQ(frames.size(), 1U) << out;
    EXPECT_EQ(json::parse(frames[0].data).at("a"), (json{1, "b"})) << out;
    ASSERT_NO_FATAL_FAILURE(expect_error_at_the_end(out));
  }
}

// --- what an answer is called

TEST(SurfaceStream, IdentityAndUsage) {
  Surface with_usage(adapters::openai_chat, true, /*include_usage=*/true, "");
  with_usage.identify(Instant::at_ms(1'800'000'000'999), "chatcmpl-1", "m\\u00e9");
  std::string out;
  with_usage.print(Part(Opening{}), out);
  const json chunk = json::parse(frames_of(FrameKind::sse, {out}).at(0).data);
  EXPECT_EQ(chunk.at("id"), "chatcmpl-1");
  EXPECT_EQ(chunk.at("model"), "mé");
  EXPECT_EQ(chunk.at("created"), 1'800'000'000);
  EXPECT_TRUE(chunk.at("usage").is_null());
  EXPECT_TRUE(with_usage.streams());
  EXPECT_EQ(&with_usage.dialect(), &adapters::openai_chat);
}

}  // namespace
}  // namespace spillway
