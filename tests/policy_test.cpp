// Policy: what a failure means in every situation, which engines a name stands for, which of them
// can take a request, and how long the first content may take.
#include "policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "adapters.h"
#include "limits.h"

namespace spillway {
namespace {

using enum FailureKind;

std::string text_of(const Chain& chain) {
  std::string text;
  for (const Candidate& each : chain) text += (text.empty() ? "" : " ") + each.engine->id;
  return text;
}

// --- what a failure means

TEST(PolicyRules, BlameAndUsefulness) {
  struct Row {
    FailureKind kind;
    Blame blame;
    int usefulness;
  };
  const Row rows[] = {
      {rate_limited, Blame::key, 4},
      {overloaded, Blame::engine, 3},
      {server, Blame::engine, 2},
      {timeout, Blame::engine, 2},
      {network, Blame::engine, 1},
      {protocol, Blame::engine, 1},
      {empty, Blame::nobody, 1},
      {model_not_found, Blame::engine_long, 5},
      {context_too_long, Blame::nobody, 8},
      {auth, Blame::key_long, 6},
      {quota_exhausted, Blame::key_long, 5},
      {content_filter, Blame::nobody, 9},
      {bad_request, Blame::nobody, 9},
      {too_large, Blame::nobody, 7},
  };
  static_assert(std::size(rows) == kFailureKinds);
  for (const Row& row : rows) {
    EXPECT_EQ(blame(row.kind), row.blame) << name_of(row.kind);
    EXPECT_EQ(usefulness(row.kind), row.usefulness) << name_of(row.kind);
  }
}

// One way a chat can stand when an attempt fails.
struct Standing {
  bool attempts_left;  // on the engine that failed
  bool has_other_key;
  bool wait_fits;  // the asked wait is within what the policy allows
  OnFailure on_auth_error;
  OnFailure on_content_filter;
};

std::vector<Standing> every_standing() {
  std::vector<Standing> all;
  for (unsigned bits = 0; bits < 32; ++bits) {
    const auto pick = [bits](unsigned bit) {
      return (bits >> bit & 1) == 0 ? OnFailure::stop : OnFailure::next;
    };
    all.push_back({(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, pick(3), pick(4)});
  }
  return all;
}

// What is left open holds for every value.
struct JudgeRow {
  std::vector<FailureKind> kinds;
  std::optional<bool> attempts_left;
  std::optional<bool> has_other_key;
  std::optional<bool> wait_fits;
  std::optional<OnFailure> on_auth_error;
  std::optional<OnFailure> on_content_filter;
  Then then;

  [[nodiscard]] bool holds(FailureKind kind, const Standing& at) const {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end() &&
           attempts_left.value_or(at.attempts_left) == at.attempts_left &&
           has_other_key.value_or(at.has_other_key) == at.has_other_key &&
           wait_fits.value_or(at.wait_fits) == at.wait_fits &&
           on_auth_error.value_or(at.on_auth_error) == at.on_auth_error &&
           on_content_filter.value_or(at.on_content_filter) == at.on_content_filter;
  }
};

std::vector<JudgeRow> judge_rows() {
  const auto any = std::nullopt;
  const std::vector<FailureKind> passing{overloaded, server, timeout, network};
  const auto stop = OnFailure::stop;
  const auto next = OnFailure::next;
  return {
      // kinds, attempts left, other key, wait fits, on auth error, on content filter
      {{rate_limited}, any, true, any, any, any, Then::next_key},
      {{rate_limited}, any, false, true, any, any, Then::same_engine},
      {{rate_limited}, any, false, false, any, any, Then::next_engine},
      {passing, true, any, any, any, any, Then::same_engine},
      {passing, false, any, any, any, any, Then::next_engine},
      {{protocol, empty, model_not_found}, any, any, any, any, any, Then::next_engine},
      {{too_large}, any, any, any, any, any, Then::next_engine},
      {{context_too_long}, any, any, any, any, any, Then::larger_engine},
      {{auth, quota_exhausted}, any, true, any, any, any, Then::next_key},
      {{auth}, any, false, any, stop, any, Then::stop},
      {{auth}, any, false, any, next, any, Then::next_engine},
      {{quota_exhausted}, any, false, any, any, any, Then::next_engine},
      {{content_filter}, any, any, any, any, stop, Then::stop},
      {{content_filter}, any, any, any, any, next, Then::next_engine},
      {{bad_request}, any, any, any, any, any, Then::stop},
  };
}

TEST(PolicyRules, EveryKindInEveryStanding) {
  for (std::size_t index = 0; index < kFailureKinds; ++index)
    for (const Standing& at : every_standing()) {
      const auto kind = static_cast<FailureKind>(index);
      Failure failure = failed(kind, "reason");
      failure.retry_after_ms = 1'000;
      Policy policy;
      policy.attempts_per_engine = 3;
      policy.rate_limit_wait_ms = at.wait_fits ? 1'500 : 1'499;
      policy.on_auth_error = at.on_auth_error;
      policy.on_content_filter = at.on_content_filter;
      Situation situation;
      situation.attempts_on_engine = at.attempts_left ? 2 : 3;
      situation.repeats_on_engine = at.attempts_left ? 1 : 2;
      situation.has_other_key = at.has_other_key;
      situation.waited_ms = 500;
      const Verdict verdict = judge(failure, policy, situation);

      int rows_that_hold = 0;
      for (const JudgeRow& row : judge_rows()) {
        if (!row.holds(kind, at)) continue;
        ++rows_that_hold;
        EXPECT_EQ(verdict.then, row.then)
            << name_of(kind) << " attempts_left " << at.attempts_left << " has_other_key "
            << at.has_other_key << " wait_fits " << at.wait_fits;
      }
      EXPECT_EQ(rows_that_hold, 1) << name_of(kind);
      if (verdict.then != Then::same_engine) EXPECT_EQ(verdict.wait_ms, 0) << name_of(kind);
    }
}

// As often as the policy says for this kind, however often it failed in other ways.
TEST(PolicyRules, RepeatsByKind) {
  for (std::size_t index = 0; index < kRepeatableKinds; ++index)
    for (const int allowed : {0, 1, 8})
      for (const int made : {0, 1, 7, 8}) {
        Policy policy;
        policy.repeats[index] = static_cast<std::int8_t>(allowed);
        policy.attempts_per_engine = 5;
        Situation situation;
        situation.attempts_on_engine = 9;
        situation.repeats_on_engine = made;
        const Verdict verdict =
            judge(failed(static_cast<FailureKind>(index), "reason"), policy, situation);
        EXPECT_EQ(verdict.then, made < allowed ? Then::same_engine : Then::next_engine)
            << index << ' ' << allowed << ' ' << made;
      }
}

// Who waits with the last attempt for an engine that has just failed never asks the one that is
// ready.
TEST(PolicyRules, TheLastAttemptIsForAnEngineThatIsReady) {
  struct Row {
    int attempts_left;
    Millis other_engine_ms;
    Then then;
  };
  const Row rows[] = {
      {2, 0, Then::same_engine},  {1, 0, Then::next_engine},       {1, 1, Then::same_engine},
      {1, -1, Then::same_engine}, {INT_MAX, 0, Then::same_engine},
  };
  Policy policy;
  policy.attempts_per_engine = limits::attempts_max;
  policy.rate_limit_wait_ms = limits::timeout_ms_max;
  for (const FailureKind kind : {rate_limited, overloaded, server, timeout, network})
    for (const Row& row : rows) {
      Situation situation;
      situation.attempts_left = row.attempts_left;
      situation.other_engine_ms = row.other_engine_ms;
      EXPECT_EQ(judge(failed(kind, "reason"), policy, situation).then, row.then)
          << name_of(kind) << ' ' << row.attempts_left << ' ' << row.other_engine_ms;
      situation.has_other_key = true;
      const Then then = kind == rate_limited ? Then::next_key : row.then;
      EXPECT_EQ(judge(failed(kind, "reason"), policy, situation).then, then);
    }
}

TEST(PolicyRules, WaitOfARateLimit) {
  struct Row {
    Millis allowed, waited, asked;
    std::optional<Millis> wait;  // nothing: the next engine
  };
  const Row rows[] = {
      {0, 0, 0, {}},
      {0, 0, 5, {}},
      {1000, 0, 0, 0},
      {1000, 0, 1000, 1000},
      {1000, 0, 1001, {}},
      {1000, 500, 500, 500},
      {1000, 500, 501, {}},
      {1000, 1000, 0, 0},
      {1000, 1000, 1, {}},
      {limits::timeout_ms_max, 0, limits::timeout_ms_max, limits::timeout_ms_max},
  };
  for (const Row& row : rows) {
    Failure failure = failed(rate_limited, "slow down");
    failure.retry_after_ms = row.asked;
    Policy policy;
    policy.rate_limit_wait_ms = row.allowed;
    Situation situation;
    situation.waited_ms = row.waited;
    situation.attempts_on_engine = situation.repeats_on_engine = 7;  // its time alone bounds it
    const Verdict verdict = judge(failure, policy, situation);
    EXPECT_EQ(verdict.then, row.wait ? Then::same_engine : Then::next_engine)
        << row.allowed << ' ' << row.waited << ' ' << row.asked;
    EXPECT_EQ(verdict.wait_ms, row.wait.value_or(0));
  }
}

// The bound doubles with each attempt; the wait is anywhere from nothing to the bound.
TEST(PolicyRules, BackoffDoublesUpToItsCap) {
  const Millis bounds[] = {250, 500, 1'000, 2'000, 4'000, 8'000, 8'000, 8'000};
  Policy policy;
  policy.attempts_per_engine = limits::attempts_max;
  policy.rate_limit_wait_ms = limits::timeout_ms_max;
  for (const FailureKind kind : {server, rate_limited})
    for (int attempts = 1; attempts < limits::attempts_max; ++attempts) {
      const auto at = std::min<std::size_t>(static_cast<std::size_t>(attempts), std::size(bounds));
      const auto bound = static_cast<std::uint64_t>(bounds[at - 1]);
      const auto wait = [&](std::uint64_t random) {
        Situation situation;
        situation.attempts_on_engine = attempts;
        situation.random = random;
        const Verdict verdict = judge(failed(kind, "reason"), policy, situation);
        EXPECT_EQ(verdict.then, Then::same_engine);
        return verdict.wait_ms;
      };
      EXPECT_EQ(wait(0), 0);
      EXPECT_EQ(wait(1), 1);
      EXPECT_EQ(wait(bound), static_cast<Millis>(bound)) << attempts;
      EXPECT_EQ(wait(bound + 1), 0) << attempts;
      const Millis last = wait(UINT64_MAX);
      EXPECT_GE(last, 0);
      EXPECT_LE(last, static_cast<Millis>(bound));
    }
}

TEST(PolicyRules, ARetryWaitsAtLeastAsLongAsAsked) {
  Policy policy;
  policy.attempts_per_engine = 2;
  Situation situation;
  situation.random = 250;
  for (const Millis asked : {-1, 0, 249}) {
    Failure failure = failed(overloaded, "reason");
    failure.retry_after_ms = asked;
    EXPECT_EQ(judge(failure, policy, situation).wait_ms, 250) << asked;
  }
  Failure failure = failed(overloaded, "reason");
  failure.retry_after_ms = 251;
  EXPECT_EQ(judge(failure, policy, situation).wait_ms, 251);
}

// Longer than our own backoff only while no other engine is sooner ready.
TEST(PolicyRules, ALongWaitIsNotForAnEngineThatHasAnother) {
  struct Row {
    Millis asked, other_engine_ms;
    Then then;
  };
  constexpr Millis bound = limits::backoff_ms_max;
  const Row rows[] = {
      {bound, 0, Then::same_engine},
      {bound + 1, 0, Then::next_engine},
      {bound + 1, bound, Then::next_engine},
      {bound + 1, bound + 1, Then::same_engine},
      {bound + 1, -1, Then::same_engine},
      {limits::timeout_ms_max, -1, Then::same_engine},
      {limits::timeout_ms_max, limits::timeout_ms_max - 1, Then::next_engine},
  };
  Policy policy;
  policy.attempts_per_engine = 2;
  for (const FailureKind kind : {overloaded, server, timeout, network})
    for (const Row& row : rows) {
      Failure failure = failed(kind, "reason");
      failure.retry_after_ms = row.asked;
      Situation situation;
      situation.other_engine_ms = row.other_engine_ms;
      const Verdict verdict = judge(failure, policy, situation);
      EXPECT_EQ(verdict.then, row.then) << row.asked << ' ' << row.other_engine_ms;
      EXPECT_EQ(verdict.wait_ms, row.then == Then::same_engine ? row.asked : 0);
    }
}

TEST(PolicyRules, AWaitThatTheChatDoesNotOutlastIsInVain) {
  Policy policy;
  policy.attempts_per_engine = 2;
  policy.rate_limit_wait_ms = limits::timeout_ms_max;
  for (const FailureKind kind : {rate_limited, overloaded, server})
    for (const Millis left : {999, 1'000, 1'001}) {
      Failure failure = failed(kind, "reason");
      failure.retry_after_ms = 1'000;
      Situation situation;
      situation.left_ms = left;
      EXPECT_EQ(judge(failure, policy, situation).then,
                left > 1'000 ? Then::same_engine : Then::next_engine)
          << name_of(kind) << ' ' << left;
      failure.retry_after_ms = -1;
      situation.random = 250;  // the longest backoff
      situation.left_ms = left - 750;
      EXPECT_EQ(judge(failure, policy, situation).then,
                left > 1'000 ? Then::same_engine : Then::next_engine)
          << name_of(kind) << ' ' << left;
    }
}

// --- the first content

TEST(PolicyFirstContent, LatencyProfileReasoningAndPolicy) {
  struct Row {
    Latency latency;
    const char* effort;
    Millis policy_ms;
    Millis expected_ms;
  };
  const Row rows[] = {
      {Latency::fast, "", 0, 5'000},
      {Latency::standard, "", 0, 10'000},
      {Latency::reasoning, "", 0, 60'000},
      {Latency::fast, "none", 0, 5'000},
      {Latency::standard, "none", 0, 10'000},
      {Latency::fast, "minimal", 0, 60'000},
      {Latency::fast, "low", 0, 60'000},
      {Latency::standard, "high", 0, 60'000},
      {Latency::fast, "", 1, 1},
      {Latency::reasoning, "high", 3'000, 3'000},
  };
  for (const Row& row : rows) {
    Policy policy;
    policy.timeouts.first_content_ms = row.policy_ms;
    Engine engine;
    engine.latency = row.latency;
    ChatRequest request;
    request.reasoning_effort = JsonText::plain(row.effort);
    EXPECT_EQ(first_content_ms(policy.timeouts, engine, request), row.expected_ms)
        << static_cast<int>(row.latency) << ' ' << row.effort << ' ' << row.policy_ms;
  }
}

// --- which engines can take a request

// A request, an engine and a provider that fit; each row of the tests below spoils one thing.
struct Fitting {
  ChatRequest request;
  Engine engine;
  Provider provider;

  Fitting() {
    request.dialect = &adapters::openai_chat;
    provider.dialect = &adapters::openai_chat;
    engine.provider = &provider;
    engine.context_window = 1000;
    engine.capabilities = 0;
    request.input_tokens_estimate = 999;
  }
  [[nodiscard]] Unfit why() const { return unfit(request, engine, Instant()); }
  [[nodiscard]] std::string text() const { return explain(why(), request, engine); }
};

TEST(PolicyUnfit, EveryReason) {
  using Format = ResponseFormat::Kind;
  struct Row {
    const char* what;
    std::string_view why;
    void (*spoil)(Fitting&);
  };
  const Row rows[] = {
      {"nothing asked of an engine that can do nothing", "", [](Fitting&) {}},
      {"key missing", "no_key", [](Fitting& at) { at.provider.missing = "ACME_API_KEY"; }},
      {"verbatim, another dialect", "dialect",
       [](Fitting& at) {
         at.request.verbatim = true;
         at.provider.dialect = &adapters::anthropic;
       }},
      {"verbatim, the same dialect", "", [](Fitting& at) { at.request.verbatim = true; }},
      {"another dialect", "", [](Fitting& at) { at.provider.dialect = &adapters::gemini; }},
      {"images", "vision", [](Fitting& at) { at.request.has_images = true; }},
      {"images, seen", "",
       [](Fitting& at) {
         at.request.has_images = true;
         at.engine.capabilities = capability::vision;
       }},
      {"image URLs, provider takes none", "image_url",
       [](Fitting& at) {
         at.request.has_image_urls = true;
         at.provider.quirks = quirk::images_inline_only;
       }},
      {"image URLs, engine takes none", "image_url",
       [](Fitting& at) {
         at.request.has_image_urls = true;
         at.engine.quirks = quirk::images_inline_only;
       }},
      {"inline images where no URLs are taken", "",
       [](Fitting& at) {
         at.request.has_images = true;
         at.engine.capabilities = capability::vision;
         at.engine.quirks = quirk::images_inline_only;
       }},
      {"files", "files", [](Fitting& at) { at.request.has_files = true; }},
      {"files, taken", "",
       [](Fitting& at) {
         at.request.has_files = true;
         at.engine.capabilities = capability::files;
       }},
      {"a file uploaded before, another dialect", "file_id",
       [](Fitting& at) {
         at.request.has_files = at.request.has_file_ids = true;
         at.engine.capabilities = capability::files;
         at.provider.dialect = &adapters::anthropic;
       }},
      {"a file uploaded before", "",
       [](Fitting& at) {
         at.request.has_files = at.request.has_file_ids = true;
         at.engine.capabilities = capability::files;
       }},
      {"audio", "audio", [](Fitting& at) { at.request.has_audio = true; }},
      {"audio, taken", "",
       [](Fitting& at) {
         at.request.has_audio = true;
         at.engine.capabilities = capability::audio;
         at.provider.dialect = &adapters::gemini;
       }},
      {"audio, taken by the engine, but not by its dialect", "audio",
       [](Fitting& at) {
         at.request.has_audio = true;
         at.engine.capabilities = capability::audio;
         at.provider.dialect = &adapters::anthropic;
       }},
      {"tools", "tools", [](Fitting& at) { at.request.tools.emplace_back(); }},
      {"tools, taken", "",
       [](Fitting& at) {
         at.request.tools.emplace_back();
         at.engine.capabilities = capability::tools;
       }},
      {"schema", "json_schema",
       [](Fitting& at) { at.request.response_format.kind = Format::json_schema; }},
      {"schema, only JSON mode", "json_schema",
       [](Fitting& at) {
         at.request.response_format.kind = Format::json_schema;
         at.engine.capabilities = capability::json_mode;
       }},
      {"schema, taken", "",
       [](Fitting& at) {
         at.request.response_format.kind = Format::json_schema;
         at.engine.capabilities = capability::json_schema;
       }},
      {"JSON mode", "json_mode",
       [](Fitting& at) { at.request.response_format.kind = Format::json_object; }},
      {"JSON mode, taken", "",
       [](Fitting& at) {
         at.request.response_format.kind = Format::json_object;
         at.engine.capabilities = capability::json_mode;
       }},
      {"JSON mode where schemas are taken", "",
       [](Fitting& at) {
         at.request.response_format.kind = Format::json_object;
         at.engine.capabilities = capability::json_schema;
       }},
      {"text asked for", "", [](Fitting& at) { at.request.response_format.kind = Format::text; }},
      {"as long as the window", "context_window",
       [](Fitting& at) { at.request.input_tokens_estimate = 1000; }},
      {"window unknown", "",
       [](Fitting& at) {
         at.request.input_tokens_estimate = 1'000'000;
         at.engine.context_window = 0;
       }},
      {"the key before everything else", "no_key",
       [](Fitting& at) {
         at.provider.missing = "ACME_API_KEY";
         at.request.has_images = true;
         at.request.input_tokens_estimate = 1'000'000;
       }},
  };
  for (const Row& row : rows) {
    Fitting at;
    row.spoil(at);
    EXPECT_EQ(name_of(at.why()), row.why) << row.what;
    EXPECT_EQ(at.text().empty(), row.why.empty()) << row.what;
  }
}

// What the client is told: the field that asks for too much, and what of the engine.
TEST(PolicyUnfit, EveryReasonIsToldWithItsField) {
  using Format = ResponseFormat::Kind;
  struct Row {
    void (*spoil)(Fitting&);
    std::string_view field;
    const char* text;
  };
  const Row rows[] = {
      {[](Fitting& at) { at.provider.missing = "ACME_API_KEY"; }, "", "needs ACME_API_KEY"},
      {[](Fitting& at) {
         at.request.verbatim = true;
         at.request.verbatim_for = "n";
         at.provider.dialect = &adapters::anthropic;
       },
       "n", "cannot take n, for it speaks anthropic, not openai_chat"},
      {[](Fitting& at) { at.request.has_images = true; }, "messages", "takes no images"},
      {[](Fitting& at) {
         at.request.has_image_urls = true;
         at.engine.quirks = quirk::images_inline_only;
       },
       "messages", "takes no image URLs, only data: URLs"},
      {[](Fitting& at) { at.request.has_files = true; }, "messages", "takes no files"},
      {[](Fitting& at) {
         at.request.has_file_ids = true;
         at.provider.dialect = &adapters::gemini;
       },
       "messages", "takes no file_id, only file_data"},
      {[](Fitting& at) { at.request.has_audio = true; }, "messages", "takes no audio"},
      {[](Fitting& at) { at.request.tools.emplace_back(); }, "tools", "takes no tools"},
      {[](Fitting& at) { at.request.response_format.kind = Format::json_schema; },
       "response_format", "takes no JSON schema"},
      {[](Fitting& at) { at.request.response_format.kind = Format::json_object; },
       "response_format", "has no JSON mode"},
      {[](Fitting& at) { at.request.input_tokens_estimate = 1000; }, "messages",
       "has a window of 1000 tokens"},
  };
  for (const Row& row : rows) {
    Fitting at;
    row.spoil(at);
    EXPECT_EQ(at.text(), row.text);
    EXPECT_EQ(field_of(at.why(), at.request), row.field) << row.text;
  }
}

// --- which engines a name stands for

Config small_config() {
  Config config;
  for (const char* name : {"acme", "bravo"}) {
    config.providers.emplace_back().name = name;
    config.providers.back().dialect = &adapters::openai_chat;
  }
  const auto add = [&config](const char* id, const char* provider) {
    config.engines.emplace_back().id = id;
    config.engines.back().provider = config.find_provider(provider);
    config.engines.back().context_window = 4096;
  };
  add("acme:small", "acme");
  add("acme:large", "acme");
  add("bravo:small", "bravo");
  add("bravo:org/model", "bravo");
  add("acme:tag:7b", "acme");
  Route standard;
  standard.name = "standard";
  standard.chain = {"acme:large", "bravo:small"};
  standard.attempts_max = 3;
  standard.timeouts.idle_ms = 7'000;
  Route critical;
  critical.name = "critical";
  critical.chain = {"bravo:small", "acme:unlisted"};
  critical.attempts_max = 9;
  critical.strict = true;
  config.routes = {standard, critical};
  config.default_route = "standard";
  return config;
}

struct Resolved {
  Resolution resolution = Resolution::ok;
  Policy policy;
  Chain chain;
  ConfigProblem problem;
};

Resolved resolved(const Config& config, std::string model, std::vector<std::string> models = {},
                  std::string_view policy = {}) {
  ChatRequest request;
  request.model = std::move(model);
  request.models = std::move(models);
  request.policy = policy;
  Resolved result;
  result.resolution =
      resolve(config, nullptr, request, Instant(), result.policy, result.chain, result.problem);
  return result;
}

TEST(PolicyResolve, Chains) {
  struct Row {
    const char* what;
    const char* model;
    std::vector<std::string> models;
    const char* policy;
    const char* chain;
    int attempts_max;  // tells whose policy it is: 4 is the default's
  };
  const Row rows[] = {
      {"an engine", "acme:small", {}, "", "acme:small", 4},
      {"an engine that is not listed", "acme:new", {}, "", "acme:new", 4},
      {"an engine with a colon", "acme:tag:7b", {}, "", "acme:tag:7b", 4},
      {"a route", "critical", {}, "", "bravo:small acme:unlisted", 9},
      {"a bare model", "small", {}, "", "acme:small bravo:small", 4},
      {"a bare model of one provider", "large", {}, "", "acme:large", 4},
      {"a bare model with a slash", "org/model", {}, "", "bravo:org/model", 4},
      {"a bare model with a colon", "tag:7b", {}, "", "acme:tag:7b", 4},
      {"nothing", "", {}, "", "acme:large bravo:small", 3},
      {"models alone", "", {"acme:small", "bravo:new"}, "", "acme:small bravo:new", 4},
      {"model, then models", "large", {"bravo:small"}, "", "acme:large bravo:small", 4},
      {"each engine once",
       "small",
       {"bravo:small", "standard", "acme:small"},
       "",
       "acme:small bravo:small acme:large",
       3},
      {"the first route's policy",
       "acme:small",
       {"critical", "standard"},
       "",
       "acme:small bravo:small acme:unlisted acme:large",
       9},
      {"a chain in the request", "acme:small", {}, R"({"chain":["bravo:new"]})", "bravo:new", 4},
      {"a chain for a model that is not known",
       "gpt-9",
       {},
       R"({"chain":["acme:small"]})",
       "acme:small",
       4},
      {"a chain instead of models",
       "",
       {"nobody:x"},
       R"({"chain":["acme:small"]})",
       "acme:small",
       4},
      {"a chain of names",
       "",
       {},
       R"({"chain":["small","critical"]})",
       "acme:small bravo:small acme:unlisted",
       3},
      {"a chain keeps the route's policy",
       "critical",
       {},
       R"({"chain":["acme:small"]})",
       "acme:small",
       9},
      {"a policy keeps the chain",
       "critical",
       {},
       R"({"attempts_max":2})",
       "bravo:small acme:unlisted",
       2},
  };
  const Config config = small_config();
  for (const Row& row : rows) {
    const Resolved result = resolved(config, row.model, row.models, row.policy);
    EXPECT_EQ(result.resolution, Resolution::ok) << row.what << ": " << result.problem.message;
    EXPECT_EQ(text_of(result.chain), row.chain) << row.what;
    EXPECT_EQ(result.policy.attempts_max, row.attempts_max) << row.what;
  }
}

TEST(PolicyResolve, ARequestChangesTheMembersOfItsRoute) {
  const Config config = small_config();
  const Resolved result =
      resolved(config, "standard", {},
               R"({"rate_limit_wait_ms":50,"timeouts":{"total_ms":9},"on_auth_error":"next",)"
               R"("on_content_filter":"next","strict":true,"attempts_per_engine":2})");
  ASSERT_EQ(result.resolution, Resolution::ok) << result.problem.message;
  EXPECT_EQ(result.policy.attempts_max, 3);  // the route's
  EXPECT_EQ(result.policy.timeouts.idle_ms, 7'000);
  EXPECT_EQ(result.policy.timeouts.headers_ms, 10'000);  // the default
  EXPECT_EQ(result.policy.timeouts.total_ms, 9);
  EXPECT_EQ(result.policy.rate_limit_wait_ms, 50);
  EXPECT_EQ(result.policy.attempts_per_engine, 2);
  EXPECT_EQ(result.policy.on_auth_error, OnFailure::next);
  EXPECT_EQ(result.policy.on_content_filter, OnFailure::next);
  EXPECT_TRUE(result.policy.strict);
  // The route itself stays as it is.
  EXPECT_EQ(resolved(config, "standard").policy.timeouts.total_ms, 600'000);
}

TEST(PolicyResolve, WhatIsKnownOfAnEngineComesAlong) {
  const Config config = small_config();
  EXPECT_EQ(resolved(config, "bravo:small").chain.front().engine->context_window, 4096);
  const Resolved result = resolved(config, "bravo:new");
  const Engine& assumed = *result.chain.front().engine;
  EXPECT_EQ(assumed.context_window, 0);
  EXPECT_EQ(assumed.provider, config.find_provider("bravo"));
  EXPECT_EQ(assumed.capabilities, capability::assumed);
  EXPECT_FALSE(assumed.price_in.known());
}

TEST(PolicyResolve, UnknownNames) {
  struct Row {
    const char* model;
    std::vector<std::string> models;
    const char* policy;
    const char* path;
    const char* name;
  };
  const Row rows[] = {
      {"gpt-9", {}, "", "model", "gpt-9"},
      {"nobody:small", {}, "", "model", "nobody:small"},
      {"acme:", {}, "", "model", "acme:"},
      {":small", {}, "", "model", ":small"},
      {"acme", {}, "", "model", "acme"},
      {"Standard", {}, "", "model", "Standard"},
      {"acme:small", {"bravo:small", "nothing"}, "", "models[1]", "nothing"},
      {"acme:small", {""}, "", "models[0]", ""},
      {"acme:small", {}, R"({"chain":["acme:small","no:1"]})", "spillway.chain[1]", "no:1"},
  };
  const Config config = small_config();
  for (const Row& row : rows) {
    const Resolved result = resolved(config, row.model, row.models, row.policy);
    EXPECT_EQ(result.resolution, Resolution::unknown_model) << row.name;
    EXPECT_EQ(result.problem.path, row.path);
    EXPECT_EQ(result.problem.message,
              "Unknown model \"" + std::string(row.name) +
                  "\": expected \"provider:model\" with a known provider (GET /v1/models lists "
                  "them), a model that the registry knows, or a route (standard, critical)");
  }
}

TEST(PolicyResolve, RefusedPolicies) {
  struct Row {
    const char* policy;
    const char* path;
    const char* message;
  };
  const Row rows[] = {
      {"7", "spillway", "expected an object, got a number"},
      {"[]", "spillway", "expected an object, got an array"},
      {R"({"attempts_max":0})", "spillway.attempts_max",
       "expected a whole number from 1 to 32, got 0"},
      {R"({"attempts_max":33})", "spillway.attempts_max",
       "expected a whole number from 1 to 32, got 33"},
      {R"({"attempts":1})", "spillway.attempts",
       "unknown field; expected one of chain, attempts_max, attempts_per_engine, repeat, "
       "rate_limit_wait_ms, timeouts, on_auth_error, on_content_filter, upstream, hedge, "
       "keep_alive, rescue, strict"},
      {R"({"chain":[]})", "spillway.chain", "expected at least one engine"},
      {R"({"chain":["acme:small",7]})", "spillway.chain[1]", "expected a string, got a number"},
      {R"({"timeouts":{"idle_ms":0}})", "spillway.timeouts.idle_ms",
       "expected a whole number from 1 to 86400000, got 0"},
      {R"({"keep_alive":{"every_ms":-1}})", "spillway.keep_alive.every_ms",
       "expected a whole number from 0 to 86400000, got -1"},
      {R"({"keep_alive":{"ms":1}})", "spillway.keep_alive.ms",
       "unknown field; expected one of every_ms, before_content_ms"},
      {R"({"upstream":"body"})", "spillway.upstream",
       "expected one of stream, whole, got \"body\""},
      {R"({"on_auth_error":"retry"})", "spillway.on_auth_error",
       "expected one of stop, next, got \"retry\""},
  };
  const Config config = small_config();
  for (const Row& row : rows) {
    const Resolved result = resolved(config, "acme:small", {}, row.policy);
    EXPECT_EQ(result.resolution, Resolution::bad_policy) << row.policy;
    EXPECT_EQ(result.problem.path, row.path) << row.policy;
    EXPECT_EQ(result.problem.message, row.message) << row.policy;
  }
}

TEST(PolicyResolve, AChainIsBounded) {
  Config config = small_config();
  std::vector<std::string> models(limits::chain_max + 10);
  for (std::size_t number = 0; number < models.size(); ++number)
    models[number] = "acme:m" + std::to_string(number);
  const Resolved result = resolved(config, "acme:small", models);
  EXPECT_EQ(result.resolution, Resolution::ok);
  ASSERT_EQ(result.chain.size(), limits::chain_max);
  EXPECT_EQ(result.chain.front().engine->id, "acme:small");
  EXPECT_EQ(result.chain.back().engine->id, "acme:m62");
  // What is left out by the bound is known all the same; an unknown name behind it is refused.
  models.emplace_back("nobody:x");
  EXPECT_EQ(resolved(config, "acme:small", models).problem.path, "models[74]");
}

}  // namespace
}  // namespace spillway
