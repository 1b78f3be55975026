#include "policy.h"

#include <algorithm>
#include <array>

#include "dialect.h"
#include "limits.h"

namespace spillway {

namespace {

enum class Move : std::uint8_t { retry, wait, key, engine, larger, ask_content_filter, stop };

// One row a kind, in the order of the enum.
struct Rule {
  FailureKind kind;
  Blame blame;
  Move move;
  int usefulness;  // 0 … 9: what helps the client most comes first
};

// Usefulness: what the client can mend, then what its operator can, then what time will.
constexpr std::array<Rule, kFailureKinds> kRules{{
    {FailureKind::rate_limited, Blame::key, Move::wait, 4},
    {FailureKind::overloaded, Blame::engine, Move::retry, 3},
    {FailureKind::server, Blame::engine, Move::retry, 2},
    {FailureKind::timeout, Blame::engine, Move::retry, 2},
    {FailureKind::network, Blame::engine, Move::retry, 1},
    {FailureKind::protocol, Blame::engine, Move::engine, 1},
    {FailureKind::empty, Blame::nobody, Move::engine, 1},
    {FailureKind::model_not_found, Blame::engine_long, Move::engine, 5},
    {FailureKind::context_too_long, Blame::nobody, Move::larger, 8},
    {FailureKind::auth, Blame::key_long, Move::key, 6},
    {FailureKind::quota_exhausted, Blame::key_long, Move::key, 5},
    {FailureKind::content_filter, Blame::nobody, Move::ask_content_filter, 9},
    {FailureKind::bad_request, Blame::nobody, Move::stop, 9},
    {FailureKind::too_large, Blame::nobody, Move::engine, 7},
}};

constexpr bool rows_are_in_order() {
  for (std::size_t row = 0; row < kRules.size(); ++row)
    if (kRules[row].kind != static_cast<FailureKind>(row)) return false;
  return true;
}
static_assert(rows_are_in_order());

const Rule& rule_of(FailureKind kind) { return kRules[static_cast<std::size_t>(kind)]; }

// Exponential backoff with full jitter: the wait is anywhere between nothing and the bound, which
// doubles.
Millis backoff(int attempts, std::uint64_t random) {
  const Millis bound =
      std::min(limits::backoff_ms << std::min(attempts - 1, 10), limits::backoff_ms_max);
  return static_cast<Millis>(random % static_cast<std::uint64_t>(bound + 1));
}

// A wait that the chat does not outlast is in vain.
Verdict same_engine(Millis wait_ms, const Situation& situation) {
  if (wait_ms >= situation.left_ms) return {Then::next_engine, 0};
  return {Then::same_engine, wait_ms};
}

// No longer than our own backoff while another engine is sooner ready.
Verdict retry(const Failure& failure, const Policy& policy, const Situation& situation) {
  if (situation.attempts_on_engine >= policy.attempts_per_engine) return {Then::next_engine, 0};
  const Millis wait =
      std::max(failure.retry_after_ms, backoff(situation.attempts_on_engine, situation.random));
  const bool other_is_sooner = situation.other_engine_ms >= 0 && situation.other_engine_ms < wait;
  if (wait > limits::backoff_ms_max && other_is_sooner) return {Then::next_engine, 0};
  return same_engine(wait, situation);
}

Verdict wait_for_rate_limit(const Failure& failure, const Policy& policy,
                            const Situation& situation) {
  if (situation.has_other_key) return {Then::next_key, 0};
  const Millis asked = failure.retry_after_ms >= 0
                           ? failure.retry_after_ms
                           : backoff(situation.attempts_on_engine, situation.random);
  if (policy.rate_limit_wait_ms > 0 && situation.waited_ms + asked <= policy.rate_limit_wait_ms)
    return same_engine(asked, situation);
  return {Then::next_engine, 0};
}

}  // namespace

Blame blame(FailureKind kind) { return rule_of(kind).blame; }

bool may_go_on(FailureKind kind) {
  const Move move = rule_of(kind).move;
  return move == Move::retry || move == Move::wait || move == Move::key || move == Move::engine;
}

int usefulness(FailureKind kind) { return rule_of(kind).usefulness; }

Verdict judge(const Failure& failure, const Policy& policy, const Situation& situation) {
  switch (rule_of(failure.kind).move) {
    case Move::wait:
      return wait_for_rate_limit(failure, policy, situation);
    case Move::retry:
      return retry(failure, policy, situation);
    case Move::key:
      if (situation.has_other_key) return {Then::next_key, 0};
      if (failure.kind == FailureKind::auth && policy.on_auth_error == OnFailure::stop)
        return {Then::stop, 0};
      return {Then::next_engine, 0};
    case Move::engine:
      return {Then::next_engine, 0};
    case Move::larger:
      return {Then::larger_engine, 0};
    case Move::ask_content_filter:
      return {policy.on_content_filter == OnFailure::stop ? Then::stop : Then::next_engine, 0};
    case Move::stop:
      break;
  }
  return {Then::stop, 0};
}

Millis first_content_ms(const Policy& policy, const Engine& engine, const ChatRequest& request) {
  if (policy.timeouts.first_content_ms > 0) return policy.timeouts.first_content_ms;
  constexpr std::array<Millis, 3> by_latency{5'000, 10'000, 60'000};
  const bool asked_to_reason =
      !request.reasoning_effort.empty() && request.reasoning_effort.escaped() != "none";
  const Latency latency = asked_to_reason ? Latency::reasoning : engine.latency;
  return by_latency[static_cast<std::size_t>(latency)];
}

Unfit unfit(const ChatRequest& request, const Engine& engine) {
  const Provider& provider = *engine.provider;
  const auto lacks = [&engine](capability::Set needed) {
    return (engine.capabilities & needed) == 0;
  };
  using Format = ResponseFormat::Kind;
  const bool same_dialect = provider.dialect == request.dialect;
  if (!provider.ready()) return Unfit::no_key;
  if (request.verbatim && !same_dialect) return Unfit::dialect;
  if (request.has_images && lacks(capability::vision)) return Unfit::vision;
  const quirk::Set quirks = provider.quirks | engine.quirks;
  if (request.has_image_urls && (quirks & quirk::images_inline_only) != 0) return Unfit::image_url;
  if (request.has_files && lacks(capability::files)) return Unfit::files;
  if (request.has_file_ids && !same_dialect) return Unfit::file_id;
  if (request.has_audio && (lacks(capability::audio) || !provider.dialect->takes_audio))
    return Unfit::audio;
  if (!request.tools.empty() && lacks(capability::tools)) return Unfit::tools;
  if (request.response_format.kind == Format::json_schema && lacks(capability::json_schema))
    return Unfit::json_schema;
  if (request.response_format.kind == Format::json_object &&
      lacks(capability::json_mode | capability::json_schema))
    return Unfit::json_mode;
  if (engine.context_window > 0 && request.input_tokens_estimate >= engine.context_window)
    return Unfit::context_window;
  return Unfit::no;
}

namespace {

struct Explanation {
  std::string_view word;
  std::string_view field;
  std::string_view text;
};

// In the order of Unfit. What depends on the request or the engine is added by explain().
constexpr std::array<Explanation, 12> kExplanations{{
    {"", "", ""},
    {"no_key", "", "needs "},
    {"dialect", "", "cannot take "},
    {"vision", "messages", "takes no images"},
    {"image_url", "messages", "takes no image URLs, only data: URLs"},
    {"files", "messages", "takes no files"},
    {"file_id", "messages", "takes no file_id, only file_data"},
    {"audio", "messages", "takes no audio"},
    {"tools", "tools", "takes no tools"},
    {"json_schema", "response_format", "takes no JSON schema"},
    {"json_mode", "response_format", "has no JSON mode"},
    {"context_window", "messages", "has a window of "},
}};

const Explanation& explanation_of(Unfit why) {
  return kExplanations[static_cast<std::size_t>(why)];
}

}  // namespace

std::string_view name_of(Unfit why) { return explanation_of(why).word; }

std::string_view field_of(Unfit why, const ChatRequest& request) {
  return why == Unfit::dialect ? request.verbatim_for : explanation_of(why).field;
}

std::string explain(Unfit why, const ChatRequest& request, const Engine& engine) {
  const Provider& provider = *engine.provider;
  std::string text(explanation_of(why).text);
  if (why == Unfit::no_key) text += provider.missing;
  if (why == Unfit::context_window) text += std::to_string(engine.context_window) + " tokens";
  if (why == Unfit::dialect) {
    text += request.verbatim_for;
    text += ", for it speaks ";
    text += provider.dialect->name;
    text += ", not ";
    text += request.dialect->name;
  }
  return text;
}

namespace {

// Appends an engine that the config does not know, at a provider that it does.
SPILLWAY_RARE bool append_assumed(const Config& config, std::string_view id, Chain& chain) {
  auto assumed = config.assume_engine(id);
  if (!assumed) return false;
  if (chain.size() == limits::chain_max) return true;
  Candidate& candidate = chain.emplace_back();
  candidate.assumed = std::make_unique<const Engine>(*std::move(assumed));
  candidate.engine = candidate.assumed.get();
  return true;
}

// Appends an engine, once; false when no provider is known that could have it.
bool append_engine(const Config& config, std::string_view id, Chain& chain) {
  for (const Candidate& candidate : chain)
    if (candidate.engine->id == id) return true;
  const Engine* engine = config.find_engine(id);
  if (engine == nullptr) return append_assumed(config, id, chain);
  if (chain.size() < limits::chain_max) chain.emplace_back().engine = engine;
  return true;
}

// Appends every engine of a model; false when there is none.
SPILLWAY_RARE bool append_model(const Config& config, std::string_view model, Chain& chain) {
  const auto ids = config.engines_of(model);
  for (const std::string& id : ids) (void)append_engine(config, id, chain);
  return !ids.empty();
}

// Appends the engines that one name stands for; false when it stands for none.
bool append_engines(const Config& config, std::string_view name, Chain& chain) {
  if (append_engine(config, name, chain)) return true;
  const Route* route = config.find_route(name);
  if (route == nullptr) return append_model(config, name, chain);
  bool known = false;
  for (const std::string& id : route->chain) known = append_engine(config, id, chain) || known;
  return known;
}

// The names that a request gives, in their order: its model, then its fallbacks; one without any
// means the default route.
std::size_t names_of(const ChatRequest& request) {
  const std::size_t names = (request.model.empty() ? 0 : 1) + request.models.size();
  return names == 0 ? 1 : names;
}
std::string_view name_at(const Config& config, const ChatRequest& request, std::size_t index) {
  if (request.model.empty())
    return request.models.empty() ? config.default_route : request.models[index];
  return index == 0 ? request.model : request.models[index - 1];
}

SPILLWAY_RARE std::string names_of_routes(const Config& config) {
  std::string names;
  for (const Route& route : config.routes) names += (names.empty() ? "" : ", ") + route.name;
  return names;
}

SPILLWAY_RARE std::string unknown_model(const Config& config, std::string_view name) {
  return "Unknown model \"" + std::string(name) +
         "\": expected \"provider:model\" with a known provider (GET /v1/models lists them), a "
         "model "
         "that the registry knows, or a route (" +
         names_of_routes(config) + ")";
}

std::string element(std::string_view list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

// The field of the `index`th name.
std::string path_of(const ChatRequest& request, std::size_t index) {
  if (index == 0 && (!request.model.empty() || request.models.empty())) return "model";
  return element("models", index - (request.model.empty() ? 0 : 1));
}

// What no engine stands for.
SPILLWAY_RARE Resolution refuse_name(const Config& config, std::string_view name, std::string path,
                                     ConfigProblem& problem) {
  problem = {std::move(path), unknown_model(config, name)};
  return Resolution::unknown_model;
}

// By the request's own `spillway` object; nothing is appended where that names no chain.
SPILLWAY_RARE Resolution resolve_own(const Config& config, const ChatRequest& request,
                                     Policy& policy, Chain& chain, ConfigProblem& problem) {
  Route own{policy, {}, {}};
  if (!read_route(request.policy, "spillway", own, problem)) return Resolution::bad_policy;
  policy = own;
  std::size_t index = 0;
  for (const std::string& name : own.chain) {
    if (!append_engines(config, name, chain))
      return refuse_name(config, name, element("spillway.chain", index), problem);
    ++index;
  }
  return Resolution::ok;
}

SPILLWAY_RARE Resolution refuse_model(const Config& config, const ChatRequest& request,
                                      std::size_t index, ConfigProblem& problem) {
  return refuse_name(config, name_at(config, request, index), path_of(request, index), problem);
}

}  // namespace

Resolution resolve(const Config& config, const ChatRequest& request, Policy& policy, Chain& chain,
                   ConfigProblem& problem) {
  const std::size_t names = names_of(request);
  // The first route that is named gives the policy.
  const Route* route = nullptr;
  for (std::size_t index = 0; index < names && route == nullptr; ++index)
    route = config.find_route(name_at(config, request, index));
  if (route != nullptr) policy = *route;
  if (!request.policy.empty()) {
    const Resolution resolution = resolve_own(config, request, policy, chain, problem);
    if (resolution != Resolution::ok || !chain.empty()) return resolution;
  }
  for (std::size_t index = 0; index < names; ++index) {
    const std::string_view name = name_at(config, request, index);
    if (!append_engines(config, name, chain)) return refuse_model(config, request, index, problem);
  }
  return Resolution::ok;
}

}  // namespace spillway
