// Router: chats side by side, and inputs in an order that no case can play: probes of half-open
// engines, timers that come early, late and twice, bytes behind the end.
#include "router.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ask.h"
#include "gateway.h"
#include "load_config.h"
#include "recorder.h"

namespace spillway {
namespace {

using nlohmann::json;

constexpr Instant kNow = Instant::at_ms(1'800'000'000'000);

constexpr const char* kConfig = R"({
  "providers": {
    "acme": {"dialect": "openai_chat", "base_url": "https://acme.test", "regular_stream": true},
    "bravo": {"dialect": "openai_chat", "base_url": "https://bravo.test", "regular_stream": true}
  },
  "routes": {"pair": {"chain": ["acme:a", "bravo:b"]},
             "hedged": {"chain": ["acme:a", "bravo:b"], "hedge": {"max_extra": 1}}}
})";

constexpr std::string_view kStreamHead = R"({"content-type":"text/event-stream"})";
constexpr std::string_view kContent =
    "data: "
    "{\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hey\"}}]}"
    "\n\n";
constexpr std::string_view kFinish =
    "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

// A gateway whose host does nothing by itself.
class Bench {
 public:
  ChatId open(Instant now, bool stream = true, const char* model = "pair") {
    const json head{
        {"method", "POST"}, {"url", "https://a.test/v1/chat/completions"}, {"trusted", true}};
    const json body{{"model", model},
                    {"stream", stream},
                    {"messages", {{{"role", "user"}, {"content", "Hi"}}}}};
    return ask(gateway_, now, 1, head.dump(), body.dump());
  }
  template <class Event>
  void step(Instant now, const Event& event) {
    gateway_.step(now, event);
  }
  void respond(Instant now, ExchangeId exchange, int status = 200) {
    step(now, input::Response{exchange, status, status == 200 ? kStreamHead : "{}"});
  }
  void fail(Instant now, ExchangeId exchange) { step(now, input::Error{exchange, "reset"}); }
  [[nodiscard]] ExchangeId exchange() const { return host_.fetches.back().exchange; }
  // Who was called last.
  [[nodiscard]] std::string called() const {
    const std::string url = json::parse(host_.fetches.back().head).at("url");
    return url.substr(0, url.find(".test")).substr(8);
  }
  [[nodiscard]] std::size_t fetches() const { return host_.fetches.size(); }
  Recorder& host() { return host_; }
  [[nodiscard]] const Router& router() const { return gateway_.router(); }

 private:
  Recorder host_;
  std::unique_ptr<const Config> config_ = load_config({kConfig});
  Gateway gateway_{*config_, host_};
};

// --- chats side by side

// acme has failed and is half open: `probe` asks it, and an older chat, which began before the
// failure, is still waiting for it.
struct HalfOpen {
  Bench bench;
  ChatId older = ChatId::none;
  ChatId probe = ChatId::none;
  ExchangeId older_exchange = ExchangeId::none;
  ExchangeId probe_exchange = ExchangeId::none;
  Instant now = kNow;

  HalfOpen() {
    older = bench.open(now);
    older_exchange = bench.exchange();
    bench.respond(now, older_exchange);
    bench.open(now);
    bench.fail(now, bench.exchange());
    EXPECT_EQ(bench.called(), "bravo");
    now = now + limits::cooldown_ms;
    probe = bench.open(now);
    probe_exchange = bench.exchange();
    EXPECT_EQ(bench.called(), "acme");
  }
  // Who a new chat asks.
  std::string next() {
    bench.open(now);
    return bench.called();
  }
};

TEST(RouterProbe, AnOlderChatThatIsLeftDoesNotEndIt) {
  HalfOpen at;
  EXPECT_EQ(at.next(), "bravo");
  at.bench.step(at.now, input::Close{at.older});
  EXPECT_EQ(at.next(), "bravo") << "the probe is still out";
  at.bench.step(at.now, input::Close{at.probe});
  EXPECT_EQ(at.next(), "acme") << "the next chat probes";
}

TEST(RouterProbe, AnOlderChatThatIsAnsweredDoesNotEndIt) {
  HalfOpen at;
  at.bench.step(at.now, input::Chunk{at.older_exchange, kContent});
  ASSERT_EQ(at.bench.host().responses[at.older].status, 200);
  EXPECT_EQ(at.next(), "bravo");
  at.bench.respond(at.now, at.probe_exchange);
  at.bench.step(at.now, input::Chunk{at.probe_exchange, kContent});
  EXPECT_EQ(at.next(), "acme");
}

TEST(RouterProbe, AnOlderChatThatFailsDoesNotEndIt) {
  HalfOpen at;
  at.bench.fail(at.now, at.older_exchange);
  at.bench.respond(at.now, at.probe_exchange);
  at.bench.step(at.now, input::Chunk{at.probe_exchange, kContent});
  EXPECT_EQ(at.next(), "acme") << "the probe is newer";
}

TEST(RouterProbe, ARequestAtFaultLetsTheNextChatProbe) {
  HalfOpen at;
  at.bench.respond(at.now, at.probe_exchange, 400);
  at.bench.step(at.now, input::End{at.probe_exchange});
  EXPECT_EQ(at.bench.host().responses[at.probe].status, 400);
  EXPECT_EQ(at.next(), "acme");
}

// Its answer is all there, but it was not told: that is no success to count.
TEST(RouterProbe, AClientThatLeavesBeforeItsAnswerLetsTheNextChatProbe) {
  Bench bench;
  bench.open(kNow);
  bench.fail(kNow, bench.exchange());
  const Instant now = kNow + limits::cooldown_ms;
  const ChatId probe = bench.open(now, /*stream=*/false);
  bench.respond(now, bench.exchange());
  for (const std::string_view bytes : {kContent, kFinish, kDone})
    bench.step(now, input::Chunk{bench.exchange(), bytes});
  ASSERT_EQ(bench.router().state_of(probe), ChatState::closing);
  bench.step(now, input::Close{probe});
  bench.open(now);
  EXPECT_EQ(bench.called(), "acme");
}

// --- what nobody reads before it is whole

// A chat whose answer has begun.
struct Gathering {
  Bench bench;
  ChatId chat = ChatId::none;
  ExchangeId exchange = ExchangeId::none;

  explicit Gathering(bool stream = false, std::string_view begin = kContent) {
    chat = bench.open(kNow, stream);
    exchange = bench.exchange();
    bench.respond(kNow, exchange);
    EXPECT_TRUE(bench.host().gathers.empty());
    bench.step(kNow, input::Chunk{exchange, begin});
  }
};

TEST(RouterGather, OnceTheAnswerHasBegunPiecesMayComeTogether) {
  Gathering at;
  using Gathers = std::vector<std::pair<ExchangeId, Millis>>;
  const Gathers expected{{at.exchange, limits::gather_ms_max}};
  EXPECT_EQ(at.bench.host().gathers, expected);
  at.bench.step(kNow, input::Chunk{at.exchange, kContent});
  EXPECT_EQ(at.bench.host().gathers, expected) << "said once";
}

TEST(RouterGather, AnAnswerThatIsReadAsItComesIsNot) {
  EXPECT_TRUE(Gathering(true).bench.host().gathers.empty());
}

TEST(RouterGather, AnAnswerThatHasItsFinishReasonIsNot) {
  const std::string all = std::string(kContent) + std::string(kFinish);
  EXPECT_TRUE(Gathering(false, all).bench.host().gathers.empty()) << "its end must not come late";
}

// The host may have had the next content for a while.
TEST(RouterGather, SilenceIsWhatCannotHaveComeMeanwhile) {
  Gathering at;
  const Millis idle = Timeouts().idle_ms;
  const Millis lag = limits::gather_ms_max * 3 / 2;
  at.bench.step(kNow + (idle + lag - 1), input::Wake{at.chat, true});
  EXPECT_EQ(at.bench.fetches(), 1U);
  EXPECT_EQ(at.bench.host().wakes[at.chat], kNow + (idle + lag));
  at.bench.step(kNow + (idle + lag), input::Wake{at.chat, true});
  EXPECT_EQ(at.bench.called(), "bravo");
}

// --- two engines at once

// Chats whose first engine begins after so long, and is finished at once. Gives the time at the
// end.
Instant answered(Bench& bench, Instant now, Millis wait) {
  const ChatId chat = bench.open(now, true, "hedged");
  const ExchangeId exchange = bench.exchange();
  now = now + wait;
  bench.respond(now, exchange);
  for (const std::string_view bytes : {kContent, kFinish, kDone})
    bench.step(now, input::Chunk{exchange, bytes});
  bench.step(now, input::End{exchange});
  EXPECT_EQ(bench.host().responses[chat].ends, 1);
  return now;
}

TEST(RouterHedge, AnEngineThatIsSlowerThanUsualIsJoinedByTheNext) {
  Bench bench;
  Instant now = kNow;
  for (std::size_t answer = 0; answer < limits::pace_samples_min; ++answer)
    now = answered(bench, now, answer == 0 ? 3000 : 400);
  const ChatId chat = bench.open(now, true, "hedged");
  const std::size_t asked = bench.fetches();
  const ExchangeId slow = bench.exchange();
  EXPECT_EQ(bench.host().wakes[chat], now + 400) << "what all but one of twenty took";
  bench.step(now + 399, input::Wake{chat, true});
  EXPECT_EQ(bench.fetches(), asked);
  bench.step(now + 400, input::Wake{chat, true});
  ASSERT_EQ(bench.fetches(), asked + 1);
  EXPECT_EQ(bench.called(), "bravo");
  const ExchangeId quick = bench.exchange();
  bench.respond(now + 500, slow);
  bench.respond(now + 600, quick);
  EXPECT_EQ(bench.host().responses[chat].times, 0) << "headers are no content";
  EXPECT_TRUE(bench.host().cancels.empty());
  bench.step(now + 700, input::Chunk{quick, kContent});
  EXPECT_EQ(bench.host().cancels, std::vector{slow});
  // The loser is over, whatever it still says.
  bench.step(now + 701, input::Chunk{slow, kContent});
  bench.step(now + 702, input::End{slow});
  bench.step(now + 703, input::Chunk{quick, kDone});
  bench.step(now + 704, input::End{quick});
  EXPECT_EQ(bench.host().responses[chat].ends, 1);
  EXPECT_EQ(bench.router().exchanges(), 0U);
  EXPECT_EQ(bench.router().chats(), 0U);
}

// It is slow for good: once enough of its answers would have taken long, that is what is usual.
TEST(RouterHedge, WhatIsAlwaysSlowIsNotHedgedForEver) {
  Bench bench;
  Instant now = kNow;
  for (std::size_t answer = 0; answer < limits::pace_samples_min; ++answer)
    now = answered(bench, now, 100);
  int hedges = 0;
  for (std::size_t answer = 0; answer < limits::pace_samples_max; ++answer) {
    const ChatId chat = bench.open(now, true, "hedged");
    const std::size_t asked = bench.fetches();
    const ExchangeId first = bench.exchange();
    const Instant usual = bench.host().wakes[chat];
    if (usual < now + 1000) bench.step(usual, input::Wake{chat, true});
    const bool hedged = bench.fetches() > asked;
    hedges += hedged ? 1 : 0;
    // The second engine would take as long, so that the first is known to have taken 900 or more.
    now = now + 1000;
    const ExchangeId winner = hedged ? bench.exchange() : first;
    bench.respond(now, winner);
    bench.step(now, input::Chunk{winner, kContent});
    bench.step(now, input::Close{chat});
    now = now + 1;
  }
  EXPECT_EQ(hedges, 2) << "the second slow answer of the last twenty makes slow usual";
}

TEST(RouterHedge, BothDeadlinesAreKept) {
  Bench bench;
  Instant now = kNow;
  for (std::size_t answer = 0; answer < limits::pace_samples_min; ++answer)
    now = answered(bench, now, 100);
  const ChatId chat = bench.open(now, true, "hedged");
  const ExchangeId slow = bench.exchange();
  bench.step(now + 100, input::Wake{chat, true});
  const ExchangeId second = bench.exchange();
  const Instant headers_due = now + Timeouts().headers_ms;
  EXPECT_EQ(bench.host().wakes[chat], headers_due);
  bench.step(headers_due, input::Wake{chat, true});
  EXPECT_EQ(bench.host().cancels, std::vector{slow});
  EXPECT_EQ(bench.host().wakes[chat], headers_due + 100);
  bench.step(headers_due + 100, input::Wake{chat, true});
  EXPECT_EQ(bench.host().cancels, (std::vector{slow, second}));
  EXPECT_EQ(bench.host().responses[chat].status, 504);
}

// --- writes

TEST(RouterWrites, EventsOfOneReadLeaveInOneWrite) {
  Bench bench;
  const ChatId chat = bench.open(kNow);
  bench.respond(kNow, bench.exchange());
  bench.step(kNow, input::Chunk{bench.exchange(), kContent});
  const Recorder::Response& response = bench.host().responses[chat];
  EXPECT_EQ(response.writes, 1);
  std::string events;
  for (int event = 0; event < 20; ++event) events += kContent;
  bench.step(kNow, input::Chunk{bench.exchange(), events});
  EXPECT_EQ(response.writes, 2);
  EXPECT_GT(response.body.size(), events.size());
}

// --- inputs in any order

TEST(RouterInputs, WakesThatComeEarlyOrTwiceChangeNothing) {
  Bench bench;
  const ChatId chat = bench.open(kNow);
  const Instant due = bench.host().wakes[chat];
  EXPECT_EQ(due, kNow + 10'000);
  for (const Millis ms : {0, 1, 9'999, 9'999}) {
    bench.step(kNow + ms, input::Wake{chat, true});
    EXPECT_EQ(bench.host().wakes[chat], due) << "asked for again";
  }
  EXPECT_EQ(bench.fetches(), 1U);
  bench.step(kNow + 10'000, input::Wake{chat, true});
  EXPECT_EQ(bench.fetches(), 2U);
  EXPECT_EQ(bench.host().cancels.size(), 1U);
  // The second attempt began late, and has its own time.
  bench.step(kNow + 10'000, input::Wake{chat, true});
  EXPECT_EQ(bench.fetches(), 2U);
  bench.step(kNow + 20'000, input::Wake{chat, true});
  EXPECT_EQ(bench.host().responses[chat].status, 504);
  bench.step(kNow + 20'000, input::Wake{chat, true});
  EXPECT_EQ(bench.host().responses[chat].ends, 1);
}

TEST(RouterInputs, WhatComesBeforeAResponseIsNoAnswer) {
  Bench bench;
  bench.open(kNow);
  const ExchangeId first = bench.exchange();
  bench.step(kNow, input::Chunk{first, kContent});
  EXPECT_EQ(bench.fetches(), 1U);
  bench.step(kNow, input::End{first});
  EXPECT_EQ(bench.called(), "bravo") << "an end without a response is a failure";
  EXPECT_TRUE(bench.host().cancels.empty()) << "there is nothing left to cancel";
}

TEST(RouterInputs, WhatIsOverIsIgnored) {
  for (const bool stream : {true, false}) {
    Bench bench;
    const ChatId chat = bench.open(kNow, stream);
    const ExchangeId first = bench.exchange();
    bench.fail(kNow, first);
    const ExchangeId second = bench.exchange();
    ASSERT_NE(first, second);
    const auto replay = [&bench, first] {
      bench.respond(kNow, first);
      bench.step(kNow, input::Chunk{first, kContent});
      bench.step(kNow, input::End{first});
      bench.fail(kNow, first);
    };
    replay();
    bench.respond(kNow, second);
    replay();
    bench.respond(kNow, second, 500);
    bench.step(kNow, input::Chunk{second, kContent});
    bench.step(kNow, input::Chunk{second, kFinish});
    bench.step(kNow, input::Chunk{second, kDone});
    bench.step(kNow, input::Chunk{second, kContent});
    bench.step(kNow, input::End{second});
    const Recorder::Response response = bench.host().responses[chat];
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.times, 1);
    EXPECT_EQ(response.ends, 1);
    const std::size_t hey = response.body.find("Hey");
    ASSERT_NE(hey, std::string::npos) << response.body;
    EXPECT_EQ(response.body.find("Hey", hey + 1), std::string::npos) << response.body;
    bench.step(kNow, input::End{second});
    bench.step(kNow, input::Close{chat});
    bench.step(kNow + 1'000'000, input::Wake{chat, true});
    EXPECT_EQ(bench.host().responses[chat].body, response.body);
    EXPECT_EQ(bench.host().responses[chat].ends, 1);
    EXPECT_EQ(bench.host().logs.size(), 1U) << "one event a chat";
    EXPECT_EQ(bench.router().chats(), 0U);
    EXPECT_EQ(bench.router().exchanges(), 0U);
    EXPECT_EQ(bench.fetches(), 2U);
  }
}

// The client leaves in every state: nothing is answered, what is open is cancelled, once.
TEST(RouterInputs, TheClientLeavesInAnyState) {
  for (int steps = 0; steps <= 5; ++steps) {
    Bench bench;
    const ChatId chat = bench.open(kNow);
    const ExchangeId exchange = bench.exchange();
    if (steps > 0) bench.respond(kNow, exchange);
    if (steps > 1) bench.step(kNow, input::Chunk{exchange, ": ping\n\n"});
    if (steps > 2) bench.step(kNow, input::Chunk{exchange, kContent});
    if (steps > 3) bench.step(kNow, input::Chunk{exchange, kFinish});
    if (steps > 4) bench.step(kNow, input::Chunk{exchange, kDone});
    const std::string sent = bench.host().responses[chat].body;
    bench.step(kNow, input::Close{chat});
    bench.step(kNow, input::Close{chat});
    bench.step(kNow, input::End{exchange});
    EXPECT_EQ(bench.host().cancels, std::vector{exchange}) << steps;
    EXPECT_EQ(bench.host().responses[chat].body, sent) << steps;
    EXPECT_EQ(bench.host().responses[chat].ends, 0) << steps;
    ASSERT_EQ(bench.host().logs.size(), 1U) << steps;
    EXPECT_EQ(json::parse(bench.host().logs[0].second).at("outcome"), "client_closed") << steps;
    EXPECT_EQ(bench.router().chats(), 0U) << steps;
    EXPECT_EQ(bench.router().health().engines(), 0U) << "no one is to blame: " << steps;
  }
}

// Whatever a provider answers at once, without a body.
TEST(RouterInputs, EmptyAnswers) {
  for (const int status : {0, 200, 201, 204, 206, 301, 304, 400, 429, 500, 599})
    for (const bool stream : {true, false}) {
      Bench bench;
      const ChatId chat = bench.open(kNow, stream);
      for (std::size_t attempt = 1; attempt <= bench.fetches(); ++attempt) {
        const ExchangeId exchange = bench.exchange();
        bench.step(kNow, input::Response{exchange, status, "{}"});
        bench.step(kNow, input::End{exchange});
        ASSERT_LE(bench.fetches(), 2U) << status;
      }
      const Recorder::Response& response = bench.host().responses[chat];
      EXPECT_GE(response.status, 400) << status;
      EXPECT_EQ(response.ends, 1) << status;
      EXPECT_TRUE(json::parse(response.body).contains("error")) << response.body;
      EXPECT_EQ(bench.router().chats(), 0U) << status;
    }
}

}  // namespace
}  // namespace spillway
