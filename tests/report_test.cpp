// Report: one line of valid JSON whatever the words of clients and providers are, and what an
// answer cost.
#include "report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "json.h"

namespace spillway {
namespace {

using nlohmann::json;

// --- cost

Price usd(double per_million) { return Price::usd_per_million(per_million); }

TEST(ReportCost, PricesAreKeptExactly) {
  EXPECT_EQ(usd(0.59).picodollars, 590'000);
  EXPECT_EQ(usd(1e6).picodollars, 1'000'000'000'000);
  EXPECT_EQ(usd(0.0000006).picodollars, 1) << "rounded, not cut";
  EXPECT_EQ(usd(0).picodollars, 0);
  EXPECT_TRUE(usd(0).known());
  EXPECT_FALSE(usd(-1).known());
  EXPECT_FALSE(Price().known());
}

struct Prices {
  double in, out, cache_read, cache_write;  // USD per million tokens; below 0: unknown
};

Engine engine_of(const Prices& prices) {
  Engine engine;
  engine.id = "acme:m";
  engine.price_in = usd(prices.in);
  engine.price_out = usd(prices.out);
  engine.price_cache_read = usd(prices.cache_read);
  engine.price_cache_write = usd(prices.cache_write);
  return engine;
}

TEST(ReportCost, Arithmetic) {
  struct Row {
    const char* what;
    Prices prices;
    Usage usage;  // input, output, cache read, cache write, reasoning
    std::int64_t picodollars;
  };
  const Row rows[] = {
      {"input and output", {1, 2, -1, -1}, {1'000, 10, -1, -1, -1}, 1'020'000'000},
      {"reasoning is in the output", {1, 2, -1, -1}, {1'000, 10, -1, -1, 7}, 1'020'000'000},
      {"cached input is cheaper", {1, 2, 0.1, -1}, {1'000, 10, 400, -1, -1}, 660'000'000},
      {"written to the cache is dearer", {1, 2, 0.1, 1.25}, {1'000, 10, 400, 200, -1}, 710'000'000},
      {"no price for the cache: as input",
       {1, 2, -1, -1},
       {1'000, 10, 400, 200, -1},
       1'020'000'000},
      {"free from the cache", {1, 2, 0, 0}, {1'000, 10, 400, 600, -1}, 20'000'000},
      {"more cached than there was", {1, 2, 0.5, 3}, {100, 0, 200, 50, -1}, 50'000'000},
      {"more written than was left", {1, 2, 0.5, 3}, {100, 0, 60, 50, -1}, 150'000'000},
      {"nothing", {1, 2, -1, -1}, {0, 0, -1, -1, -1}, 0},
      {"a free engine", {0, 0, -1, -1}, {1'000, 10, -1, -1, -1}, 0},
      {"prices below a cent", {0.05, 0.08, -1, -1}, {3, 7, -1, -1, -1}, 710'000},
      {"no price in", {-1, 2, 1, 1}, {1'000, 10, -1, -1, -1}, -1},
      {"no price out", {1, -1, 1, 1}, {1'000, 10, -1, -1, -1}, -1},
      {"input not counted", {1, 2, 1, 1}, {-1, 10, -1, -1, -1}, -1},
      {"output not counted", {1, 2, 1, 1}, {1'000, -1, -1, -1, -1}, -1},
      {"absurd input", {1, 2, 1, 1}, {INT64_MAX, 10, -1, -1, -1}, -1},
      {"absurd output", {1, 2, 1, 1}, {10, INT64_MAX, -1, -1, -1}, -1},
      {"absurd cache", {1, 2, 1e6, 1}, {INT64_MAX, 10, INT64_MAX, INT64_MAX, -1}, -1},
      {"absurd sum", {1, 1, 1, 1}, {INT64_MAX / 1'500'000, INT64_MAX / 1'500'000, -1, -1, -1}, -1},
      {"absurd and free", {0, 0, 0, 0}, {INT64_MAX, INT64_MAX, INT64_MAX, -1, -1}, 0},
  };
  for (const Row& row : rows)
    EXPECT_EQ(cost_picodollars(engine_of(row.prices), row.usage), row.picodollars) << row.what;
}

// --- the line

json line_of(const Report& report, const Engine* engine = nullptr, std::string_view provider = {}) {
  const std::string line = log_line(report, engine, provider);
  for (const char c : line) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << line;
  json event = json::parse(line, nullptr, false);
  EXPECT_TRUE(event.is_object()) << line;
  return event;
}

Report answered() {
  Report report;
  report.request_id = "req-1";
  report.client = "mobile";
  report.requested = "standard";
  report.stream = true;
  report.mode = "translate";
  report.attempts = {{"groq:a", "rate_limited", 429, 12}, {"acme:m", "ok", 200, 345}};
  report.skipped = {{"openai:b", "no_key"}, {"mistral:c", "vision"}};
  report.outcome = Outcome::completed;
  report.answered_model = "m-2026\\u00e9";
  report.finish_reason = "stop";
  report.first_content_ms = 200;
  report.total_ms = 357;
  report.usage = {1'000, 10, 400, 200, 7};
  return report;
}

TEST(ReportLine, OfAnAnswer) {
  const Engine engine = engine_of({1, 2, 0.1, 1.25});
  Report report = answered();
  report.cost_picodollars = cost_picodollars(engine, report.usage);
  EXPECT_EQ(line_of(report, &engine, "acme"), json::parse(R"({
    "event": "chat", "outcome": "completed", "request_id": "req-1", "client": "mobile",
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "standard",
    "engine": "acme:m", "gen_ai.provider.name": "acme", "gen_ai.response.model": "m-2026é",
    "stream": true, "mode": "translate",
    "attempts": [{"engine": "groq:a", "outcome": "rate_limited", "ms": 12, "status": 429},
                 {"engine": "acme:m", "outcome": "ok", "ms": 345, "status": 200}],
    "skipped": {"openai:b": "no_key", "mistral:c": "vision"},
    "time_to_first_content_ms": 200, "total_ms": 357,
    "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 10,
    "gen_ai.usage.cache_read.input_tokens": 400,
    "gen_ai.usage.cache_creation.input_tokens": 200, "gen_ai.usage.reasoning.output_tokens": 7,
    "cost_usd": 0.00071, "gen_ai.response.finish_reason": "stop"})"));
}

TEST(ReportLine, OfAnAnswerThatWasRescued) {
  const Engine engine = engine_of({1, 2, -1, -1});
  Report report = answered();
  report.rescues = 1;
  report.attempts.front().usage = {30, 4, -1, -1, -1};
  report.attempts.front().cost_picodollars = 38'000'000;
  const json event = line_of(report, &engine, "acme");
  EXPECT_EQ(event.at("rescues"), 1);
  EXPECT_EQ(event.at("attempts"), json::parse(R"([
    {"engine": "groq:a", "outcome": "rate_limited", "ms": 12, "status": 429,
     "input_tokens": 30, "output_tokens": 4, "cost_usd": 0.000038},
    {"engine": "acme:m", "outcome": "ok", "ms": 345, "status": 200}])"));
}

TEST(ReportLine, OfAFailure) {
  Report report;
  report.request_id = "req-1";
  report.client = "mobile";
  report.requested = "x";
  report.error_code = "timeout";
  report.reason = "acme:m: no content";
  report.attempts = {{"acme:m", "timeout", 0, 10}};
  report.total_ms = 10;
  EXPECT_EQ(line_of(report), json::parse(R"({
    "event": "chat", "outcome": "failed", "request_id": "req-1", "client": "mobile",
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "x", "stream": false,
    "attempts": [{"engine": "acme:m", "outcome": "timeout", "ms": 10}], "total_ms": 10,
    "error.type": "timeout", "reason": "acme:m: no content"})"));
}

TEST(ReportLine, Outcomes) {
  const std::pair<Outcome, const char*> rows[] = {{Outcome::completed, "completed"},
                                                  {Outcome::failed, "failed"},
                                                  {Outcome::cut, "cut"},
                                                  {Outcome::client_closed, "client_closed"}};
  for (const auto& [outcome, word] : rows) {
    Report report;
    report.outcome = outcome;
    EXPECT_EQ(line_of(report).at("outcome"), word);
  }
}

TEST(ReportLine, CostIsWrittenExactly) {
  const std::pair<Usage, const char*> rows[] = {
      {{1, 0, -1, -1, -1}, "0.000001"},
      {{1'000'000, 0, -1, -1, -1}, "1"},
      {{0, 0, -1, -1, -1}, "0"},
      {{123'456'789, 1, -1, -1, -1}, "123.456791"},
  };
  const Engine engine = engine_of({1, 2, -1, -1});
  for (const auto& [usage, cost] : rows) {
    Report report;
    report.cost_picodollars = cost_picodollars(engine, usage);
    const std::string line = log_line(report, &engine, "acme");
    EXPECT_NE(line.find(std::string("\"cost_usd\":") + cost + "}"), std::string::npos) << line;
  }
  Report unknown;
  EXPECT_FALSE(line_of(unknown, &engine, "acme").contains("cost_usd"));
}

// What clients and providers say may hold anything.
TEST(ReportLine, HostileWords) {
  std::string all_bytes;
  for (int byte = 0; byte < 256; ++byte) all_bytes.push_back(static_cast<char>(byte));
  const std::string words[] = {"\"}\n{\"event\":\"chat\"}",
                               "\r\n\t\b\f",
                               "\\",
                               "\\\"",
                               std::string("a\0b", 3),
                               "\x1b[31m",
                               "\xFF\xC0\xAF\xED\xA0\x80",
                               "\xF0\x9F\x98",
                               "鍵 😀",
                               all_bytes};
  for (const std::string& word : words) {
    std::string escaped;
    spillway::json::append_escaped(escaped, word);
    const std::string readable = spillway::json::unescaped(JsonText::trusted(escaped));
    Engine engine = engine_of({1, 2, -1, -1});
    engine.id = "acme:" + word;
    Report report = answered();
    report.request_id = report.requested = report.reason = word;
    report.attempts.front().engine = report.skipped.front().engine = engine.id;
    report.answered_model = escaped;
    const json event = line_of(report, &engine, word);
    EXPECT_EQ(event.at("request_id"), readable);
    EXPECT_EQ(event.at("gen_ai.request.model"), readable);
    EXPECT_EQ(event.at("gen_ai.response.model"), readable);
    EXPECT_EQ(event.at("gen_ai.provider.name"), readable);
    EXPECT_EQ(event.at("reason"), readable);
    EXPECT_EQ(event.at("engine"), "acme:" + readable);
    EXPECT_EQ(event.at("attempts").at(0).at("engine"), "acme:" + readable);
    EXPECT_EQ(event.at("skipped").at("acme:" + readable), "no_key");
    EXPECT_EQ(event.at("outcome"), "completed");
  }
}

}  // namespace
}  // namespace spillway
