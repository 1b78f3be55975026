#include "policy.h"

#include <algorithm>
#include <array>

#include "dialect.h"
#include "ending.h"
#include "limits.h"
#include "text.h"

namespace spillway {

namespace {

enum class Move : std::uint8_t {
  other_key,  // or as repeat
  repeat,
  key,
  engine,
  larger,
  ask_content_filter,
  stop
};

// One row a kind, in the order of the enum.
struct Rule {
  FailureKind kind;
  Blame blame;
  Move move;
  int usefulness;  // 0 … 9: what helps the client most comes first
};

// Usefulness: what the client can mend, then what its operator can, then what time will.
constexpr std::array<Rule, kFailureKinds> kRules{{
    {FailureKind::rate_limited, Blame::key, Move::other_key, 4},
    {FailureKind::overloaded, Blame::engine, Move::repeat, 3},
    {FailureKind::server, Blame::engine, Move::repeat, 2},
    {FailureKind::timeout, Blame::engine, Move::repeat, 2},
    {FailureKind::network, Blame::engine, Move::repeat, 1},
    {FailureKind::protocol, Blame::engine, Move::repeat, 1},
    {FailureKind::empty, Blame::nobody, Move::repeat, 1},
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

constexpr bool first_rows_are_repeatable() {
  for (std::size_t row = 0; row < kRules.size(); ++row) {
    const Move move = kRules[row].move;
    const bool is_repeatable = move == Move::other_key || move == Move::repeat;
    if (is_repeatable != (row < kRepeatableKinds)) return false;
  }
  return true;
}
static_assert(first_rows_are_repeatable());

const Rule& rule_of(FailureKind kind) { return kRules[static_cast<std::size_t>(kind)]; }

// Exponential backoff with full jitter: the wait is anywhere between nothing and the bound, which
// doubles.
Millis backoff(int attempts, std::uint64_t random) {
  const Millis bound =
      std::min(limits::backoff_ms << std::min(attempts - 1, 10), limits::backoff_ms_max);
  return static_cast<Millis>(random % static_cast<std::uint64_t>(bound + 1));
}

// A wait that the chat does not outlast is in vain, and so is the last attempt where it has just
// failed while another engine is ready.
Verdict same_engine(Millis wait_ms, const Situation& situation) {
  const bool is_last = situation.attempts_left <= 1 && situation.other_engine_ms == 0;
  if (is_last || wait_ms >= situation.left_ms) return {Then::next_engine, 0};
  return {Then::same_engine, wait_ms};
}

// No longer than our own backoff while another engine is sooner ready, but where the route has said
// how long.
Verdict repeat(const Failure& failure, const Policy& policy, const Situation& situation) {
  // Kinds of which the route says nothing share the attempts of an engine.
  const bool is_shared = failure.kind != FailureKind::rate_limited &&
                         policy.repeats[static_cast<std::size_t>(failure.kind)] == Policy::kOpen;
  const bool is_shared_out =
      is_shared && situation.attempts_on_engine >= policy.attempts_per_engine;
  if (is_shared_out || situation.repeats_on_engine >= policy.repeats_after(failure.kind))
    return {Then::next_engine, 0};
  const Millis own = backoff(situation.attempts_on_engine, situation.random);
  const bool is_rate = failure.kind == FailureKind::rate_limited;
  const Millis wait = is_rate && failure.retry_after_ms >= 0
                          ? failure.retry_after_ms
                          : std::max(failure.retry_after_ms, own);
  if (is_rate && policy.rate_limit_wait_ms > 0) {
    if (situation.waited_ms + wait > policy.rate_limit_wait_ms) return {Then::next_engine, 0};
    return same_engine(wait, situation);
  }
  const bool other_is_sooner = situation.other_engine_ms >= 0 && situation.other_engine_ms < wait;
  if (wait > limits::backoff_ms_max && other_is_sooner) return {Then::next_engine, 0};
  return same_engine(wait, situation);
}

}  // namespace

Blame blame(FailureKind kind) { return rule_of(kind).blame; }

bool may_go_on(FailureKind kind) {
  const Move move = rule_of(kind).move;
  return move == Move::other_key || move == Move::repeat || move == Move::key ||
         move == Move::engine;
}

int usefulness(FailureKind kind) { return rule_of(kind).usefulness; }

Verdict judge(const Failure& failure, const Policy& policy, const Situation& situation) {
  switch (rule_of(failure.kind).move) {
    case Move::other_key:
      if (situation.has_other_key) return {Then::next_key, 0};
      return repeat(failure, policy, situation);
    case Move::repeat:
      return repeat(failure, policy, situation);
    case Move::key:
      if (situation.has_other_key) return {Then::next_key, 0};
      if (failure.kind == FailureKind::auth && policy.on_auth_error == OnFailure::stop)
        return {Then::stop, 0};
      return {Then::next_engine, 0};
    case Move::engine:
      if (failure.is_to_key && situation.has_other_key) return {Then::next_key, 0};
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

Millis first_content_ms(const Timeouts& timeouts, const Engine& engine,
                        const ChatRequest& request) {
  if (timeouts.first_content_ms > 0) return timeouts.first_content_ms;
  constexpr std::array<Millis, 3> by_latency{5'000, 10'000, 60'000};
  const bool asked_to_reason =
      !request.reasoning_effort.empty() && request.reasoning_effort.escaped() != "none";
  const Latency latency = asked_to_reason ? Latency::reasoning : engine.latency;
  return by_latency[static_cast<std::size_t>(latency)];
}

namespace {

// Whether something of the user's side arrives, and of each turn with more than words in it.
SPILLWAY_RARE bool hears_user(const ChatRequest& request, const Engine& engine) {
  const Dialect& dialect = *engine.provider->dialect;
  const quirk::Set quirks = engine.provider->quirks | engine.quirks;
  if (dialect.takes == nullptr) return true;
  const auto instructs = [](const Message& message) {
    return message.role == Role::system || message.role == Role::developer;
  };
  // Where nobody says anything else, the user says the instructions.
  const bool only_instructions =
      std::all_of(request.messages.begin(), request.messages.end(), instructs);
  bool any = false;
  for (const Message& message : request.messages) {
    if (message.role == Role::assistant || (instructs(message) && !only_instructions)) continue;
    bool heard = false;
    bool has_more = false;
    for (const Content& part : message.content) {
      heard = heard || dialect.takes(part, quirks);
      has_more =
          has_more || (part.kind != Content::Kind::text && part.kind != Content::Kind::refusal);
    }
    if (has_more && !heard) return false;
    any = any || heard;
  }
  return any;
}

}  // namespace

Unfit unfit(const ChatRequest& request, const Engine& engine, Instant now) {
  const Provider& provider = *engine.provider;
  const auto lacks = [&engine](capability::Set needed) {
    return (engine.capabilities & needed) == 0;
  };
  using Format = ResponseFormat::Kind;
  const bool same_dialect = provider.dialect == request.dialect;
  if (!engine.ends.empty() && has_ended(engine, now)) return Unfit::retired;
  if (!provider.ready()) return Unfit::no_key;
  if (request.verbatim && !same_dialect) return Unfit::dialect;
  if (request.has_images && lacks(capability::vision)) return Unfit::vision;
  const quirk::Set quirks = provider.quirks | engine.quirks;
  if (request.has_image_urls && (quirks & quirk::images_inline_only) != 0) return Unfit::image_url;
  if (request.has_files && lacks(capability::files)) return Unfit::files;
  if (request.has_file_ids && !same_dialect) return Unfit::file_id;
  if (request.has_audio && (lacks(capability::audio) || !provider.dialect->takes_audio))
    return Unfit::audio;
  if (request.has_wordless_turn && !same_dialect && !hears_user(request, engine))
    return Unfit::empty_turn;
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
constexpr std::array<Explanation, 14> kExplanations{{
    {"", "", ""},
    {"retired", "model", "ended on "},
    {"no_key", "", "needs "},
    {"dialect", "", "cannot take "},
    {"vision", "messages", "takes no images"},
    {"image_url", "messages", "takes no image URLs, only data: URLs"},
    {"files", "messages", "takes no files"},
    {"file_id", "messages", "takes no file_id, only file_data"},
    {"audio", "messages", "takes no audio"},
    {"empty_turn", "messages", "takes nothing of what the user says"},
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
  if (why == Unfit::retired) text += engine.ends;
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

// What one name stands for, to one client.
enum class Named : std::uint8_t {
  nothing,       // no engine is known by it
  out_of_reach,  // the client may not ask for it
  engines,
};

// Reads the names of a request into its chain.
class Resolver {
 public:
  Resolver(const Config& config, const Client* client, const ChatRequest& request, Instant now,
           Chain& chain)
      : config_(config),
        request_(request),
        now_(now),
        chain_(chain),
        client_(client != nullptr && !client->reaches_everything() ? client : nullptr) {}

  // The route that gives the policy, nullptr when none is named.
  [[nodiscard]] const Route* policy_route() const {
    for (std::size_t index = 0; index < names(); ++index)
      if (const Route* route = config_.find_route(name_at(index)); route != nullptr) return route;
    return nullptr;
  }
  [[nodiscard]] bool reaches(const Route& route) const {
    return client_ == nullptr || client_->reaches_route(route.name);
  }

  // The names that stand for the chain: the request's model, then its fallbacks; one without any
  // means the default route.
  Resolution append_models(ConfigProblem& problem) {
    for (std::size_t index = 0; index < names(); ++index) {
      const Named named = append(name_at(index));
      if (named != Named::engines) return refuse(named, name_at(index), path_at(index), problem);
    }
    return Resolution::ok;
  }
  SPILLWAY_RARE Resolution append_chain(const std::list<std::string>& names,
                                        ConfigProblem& problem) {
    std::size_t index = 0;
    for (const std::string& name : names) {
      const Named named = append(name);
      if (named != Named::engines)
        return refuse(named, name, element("spillway.chain", index), problem);
      ++index;
    }
    return Resolution::ok;
  }
  SPILLWAY_RARE Resolution refuse_route(const Route& route, ConfigProblem& problem) const {
    std::size_t index = 0;
    while (name_at(index) != route.name) ++index;
    return refuse(Named::out_of_reach, route.name, path_at(index), problem);
  }

 private:
  Named append(std::string_view name) {
    if (config_.provider_in(name) != nullptr) return append_named_engine(name);
    if (const Route* route = config_.find_route(name)) return append_route(*route);
    return append_model(name);
  }
  Named append_named_engine(std::string_view id) {
    if (client_ != nullptr && !client_->names_engine(id)) return Named::out_of_reach;
    append_engine(id);
    return Named::engines;
  }
  Named append_route(const Route& route) {
    if (!reaches(route)) return Named::out_of_reach;
    Named named = Named::out_of_reach;
    for (const std::string& id : route.chain) {
      if (client_ != nullptr && !client_->reaches_engine(id)) continue;
      append_engine(id);
      named = Named::engines;
    }
    return named;
  }
  // Every engine of a model.
  SPILLWAY_RARE Named append_model(std::string_view model) {
    Named named = client_ != nullptr ? Named::out_of_reach : Named::nothing;
    for (const std::string& id : config_.engines_of(model)) {
      if (client_ != nullptr && !client_->names_engine(id)) continue;
      append_engine(id);
      named = Named::engines;
    }
    return named;
  }
  // Once each.
  void append_engine(std::string_view id) {
    for (const Candidate& candidate : chain_)
      if (candidate.engine->id == id) return;
    if (chain_.size() == limits::chain_max) return;
    const Engine* engine = config_.find_engine(id);
    if (engine == nullptr) return append_assumed(id);
    chain_.emplace_back().engine = engine;
    if (!engine->successor.empty()) append_successor(*engine);
  }
  SPILLWAY_RARE void append_successor(const Engine& engine) {
    const bool reaches = client_ == nullptr || client_->reaches_engine(engine.successor);
    if (reaches && has_ended(engine, now_)) append_engine(engine.successor);
  }
  // An engine that the config does not know, at a provider that it does.
  SPILLWAY_RARE void append_assumed(std::string_view id) {
    auto assumed = config_.assume_engine(id);
    if (!assumed) return;
    Candidate& candidate = chain_.emplace_back();
    candidate.assumed = std::make_unique<const Engine>(*std::move(assumed));
    candidate.engine = candidate.assumed.get();
  }

  [[nodiscard]] std::size_t names() const {
    const std::size_t names = (request_.model.empty() ? 0 : 1) + request_.models.size();
    return names == 0 ? 1 : names;
  }
  [[nodiscard]] std::string_view name_at(std::size_t index) const {
    if (!request_.model.empty()) return index == 0 ? request_.model : request_.models[index - 1];
    return request_.models.empty() ? default_route() : request_.models[index];
  }
  // A client that does not reach the config's has its own first route.
  [[nodiscard]] std::string_view default_route() const {
    const bool own = client_ != nullptr && !client_->reaches_route(config_.default_route) &&
                     !client_->routes.empty();
    return own ? client_->routes.front() : config_.default_route;
  }
  static std::string element(std::string_view list, std::size_t index) {
    return std::string(list) + "[" + std::to_string(index) + "]";
  }
  // The field of a name.
  SPILLWAY_RARE [[nodiscard]] std::string path_at(std::size_t index) const {
    if (index == 0 && (!request_.model.empty() || request_.models.empty())) return "model";
    return element("models", index - (request_.model.empty() ? 0 : 1));
  }

  SPILLWAY_RARE Resolution refuse(Named named, std::string_view name, std::string path,
                                  ConfigProblem& problem) const {
    if (named == Named::out_of_reach) {
      problem = {std::move(path), "Client \"" + client_->name + "\" does not reach \"" +
                                      quote(name) + "\", only " + client_->reach()};
      return Resolution::not_allowed;
    }
    std::string routes;
    for (const Route& route : config_.routes) routes += (routes.empty() ? "" : ", ") + route.name;
    problem = {std::move(path),
               "Unknown model \"" + quote(name) +
                   "\": expected \"provider:model\" with a known provider (GET /v1/models lists "
                   "them), a model that the registry knows, or a route (" +
                   routes + ")"};
    return Resolution::unknown_model;
  }

  const Config& config_;
  const ChatRequest& request_;
  Instant now_;
  Chain& chain_;
  const Client* client_;  // whose row says what it reaches, nullptr: everything
};

// By the request's own `spillway` object; nothing is appended where that names no chain.
SPILLWAY_RARE Resolution resolve_own(Resolver& resolver, const Client* client,
                                     const ChatRequest& request, Policy& policy,
                                     ConfigProblem& problem) {
  Route own{policy, {}, {}};
  if (!read_route(request.policy, "spillway", own, problem)) return Resolution::bad_policy;
  if (client != nullptr && !may_ask(*client, policy, own, problem)) return Resolution::not_allowed;
  policy = own;
  return resolver.append_chain(own.chain, problem);
}

}  // namespace

Resolution resolve(const Config& config, const Client* client, const ChatRequest& request,
                   Instant now, Policy& policy, Chain& chain, ConfigProblem& problem) {
  Resolver resolver(config, client, request, now, chain);
  if (const Route* const route = resolver.policy_route()) {
    if (!resolver.reaches(*route)) return resolver.refuse_route(*route, problem);
    policy = *route;
  }
  policy.fair = policy.timeouts;
  if (client != nullptr && client->attempts_max > 0) {
    policy.attempts_max = std::min(policy.attempts_max, client->attempts_max);
    policy.upstream_max = client->attempts_max;
  }
  if (!request.policy.empty()) {
    const Upstream by_route = policy.upstream;
    const Resolution resolution = resolve_own(resolver, client, request, policy, problem);
    // Nobody knows how soon the stream would have begun that the request did without.
    if (policy.upstream != by_route && by_route == Upstream::stream)
      policy.fair.headers_ms = limits::timeout_ms_max;
    if (resolution != Resolution::ok || !chain.empty()) return resolution;
  }
  return resolver.append_models(problem);
}

}  // namespace spillway
