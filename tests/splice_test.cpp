// What a client of a native pipe gets behind bytes that it already has. Cases cannot tell it: it
// depends on which bytes come in one slice.
#include <gtest/gtest.h>

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

// What the core writes itself, once `slice` has gone to the client behind the first content.
std::string written_behind(const std::string& slice) {
  Recorder host;
  const auto config = load_config({R"({"providers": {"acme": {"dialect": "openai_chat",
                                   "base_url": "https://acme.test/v1", "keys": ["ACME_KEY"]}}})"},
                                  {{"ACME_KEY", "key"}});
  Gateway gateway(*config, host);
  HttpRequest request;
  request.head = R"({"method": "POST", "url": "https://a.test/v1/chat/completions",
                     "headers": {}, "local": true})";
  request.body = R"({"model": "acme:m", "stream": true, "stream_options": {"include_usage": true},
                     "messages": [{"role": "user", "content": "Hi"}]})";
  const ChatId chat = gateway.open(kNow, 1, std::move(request));
  EXPECT_EQ(host.fetches.size(), 1U) << host.responses[chat].body;
  if (host.fetches.empty()) return {};
  const ExchangeId exchange = host.fetches.front().exchange;
  gateway.step(kNow, input::Response{exchange, 200, R"({"content-type": "text/event-stream"})"});
  gateway.step(kNow, input::Chunk{exchange, kContent});
  EXPECT_EQ(host.splices.size(), 1U);
  const std::size_t before = host.responses[chat].body.size();
  gateway.step(kNow, input::Chunk{exchange, slice});
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

}  // namespace
}  // namespace spillway
