// What a client of a native pipe gets behind bytes that it already has. Cases cannot tell it: it
// depends on which bytes come in one slice.
#include <gtest/gtest.h>

#include "ask.h"
#include "gateway.h"
#include "load_config.h"
#include "recorder.h"

namespace spillway {
namespace {

constexpr Instant kNow = Instant::at_ms(1'800'000'000'000);
constexpr std::string_view kContent =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hey\"}}]}\n\n";
constexpr std::string_view kFailed =
    "data: "
    "{\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\"}]}\n\n";

// What the core writes itself, once `slice` has gone to the client behind the first content and the
// stream has ended.
std::string written_behind(const std::string& slice) {
  Recorder host;
  const auto config = load_config({R"({"providers": {"acme": {"dialect": "openai_chat",
                                   "base_url": "https://acme.test/v1", "keys": ["ACME_KEY"],
                                   "regular_stream": true}}})"},
                                  {{"ACME_KEY", "key"}});
  Gateway gateway(*config, host);
  constexpr std::string_view head =
      R"({"method": "POST", "url": "https://a.test/v1/chat/completions",
                     "headers": {}, "local": true})";
  constexpr std::string_view body =
      R"({"model": "acme:m", "stream": true, "stream_options": {"include_usage": true},
                     "messages": [{"role": "user", "content": "Hi"}]})";
  const ChatId chat = ask(gateway, kNow, 1, head, body);
  EXPECT_EQ(host.fetches.size(), 1U) << host.responses[chat].body;
  if (host.fetches.empty()) return {};
  const ExchangeId exchange = host.fetches.front().exchange;
  gateway.step(kNow, input::Response{exchange, 200, R"({"content-type": "text/event-stream"})"});
  gateway.step(kNow, input::Chunk{exchange, kContent});
  EXPECT_EQ(host.splices.size(), 1U);
  const std::size_t before = host.responses[chat].body.size();
  gateway.step(kNow, input::Chunk{exchange, slice});
  EXPECT_EQ(host.responses[chat].ends, 0) << "the client may be further than the copy";
  EXPECT_EQ(host.responses[chat].body.size(), before);
  gateway.step(kNow, input::End{exchange});
  EXPECT_EQ(host.responses[chat].ends, 1);
  return host.responses[chat].body.substr(before);
}

TEST(Splice, AWordOfFailureIsToldAsAnError) {
  const std::string written = written_behind(std::string(kFailed));
  EXPECT_NE(written.find("\"code\":\"upstream_error\""), std::string::npos) << written;
}

TEST(Splice, NothingFollowsATerminatorThatHasGoneOut) {
  EXPECT_EQ(written_behind(std::string(kFailed) + "data: [DONE]\n\n"), "");
  EXPECT_EQ(written_behind(std::string(kFailed) + ": x\n\ndata:\n\ndata: [DONE]\n\n"), "");
  // What is no terminator does not hold back the error.
  EXPECT_NE(written_behind(std::string(kFailed) + "data:\n\n" + std::string(kContent)), "");
}

// A frame that only we cannot read ends nothing that the client can read to its end.
TEST(Splice, AnEventThatCannotBeReadIsTheClientsBusiness) {
  const std::string garbled = "data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\n\n";
  const std::string end =
      "data: "
      "{\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
  EXPECT_EQ(written_behind(garbled + end + "data: [DONE]\n\n"), "");
  EXPECT_EQ(written_behind(garbled + end), "data: [DONE]\n\n");
  // What ends the stream fits to all that the client has.
  const std::string cut = written_behind(garbled + std::string(kContent) + "data: {\"id\":\"c");
  EXPECT_EQ(cut.rfind("\",", 0), 0U) << cut;
  EXPECT_NE(cut.find("\"code\":\"protocol_error\""), std::string::npos) << cut;
}

}  // namespace
}  // namespace spillway
