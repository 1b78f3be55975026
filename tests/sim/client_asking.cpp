#include <array>

#include "client.h"

namespace spillway::sim {

namespace {

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string head_of(const World& world, std::string_view method, std::string_view path,
                    bool with_key) {
  std::string head = R"({"method":")";
  head += method;
  head += R"(","url":"https://spillway.sim)";
  head += path;
  head += R"(","headers":{"content-type":"application/json")";
  if (with_key && !world.client_key.empty())
    head += R"(,"authorization":"Bearer )" + world.client_key + "\"";
  head += "},\"local\":";
  // Without client keys no one but this machine is served.
  head += with_key && world.client_key.empty() ? "true" : "false";
  head += "}";
  return head;
}

void add_engine(std::vector<std::size_t>& chain, std::size_t engine) {
  for (const std::size_t known : chain)
    if (known == engine) return;
  chain.push_back(engine);
}

// Names a chain in one of the ways there are; the members of the body that do so.
std::string name_chain(Random& random, const World& world, Ask& ask, std::string& policy) {
  const RouteRow& route = random.pick(world.routes);
  ask.rules = route.rules;
  switch (random.below(10)) {
    case 0: {  // one engine, without a route
      const std::size_t engine = random.below(world.engines.size());
      ask.rules = Rules();
      add_engine(ask.chain, engine);
      return "\"model\":" + quoted(world.engines[engine].id);
    }
    case 1: {  // the client's own fallbacks
      const std::size_t engine = random.below(world.engines.size());
      add_engine(ask.chain, engine);
      for (const std::size_t each : route.chain) add_engine(ask.chain, each);
      return "\"model\":" + quoted(world.engines[engine].id) + ",\"models\":[" +
             quoted(route.name) + "]";
    }
    case 2: {  // a chain in the policy
      policy = "\"chain\":[";
      for (std::size_t left = 1 + random.below(3); left > 0; --left) {
        const std::size_t engine = random.below(world.engines.size());
        add_engine(ask.chain, engine);
        policy += quoted(world.engines[engine].id) + (left > 1 ? "," : "]");
      }
      return "\"model\":" + quoted(route.name);
    }
    case 3: {  // a bare model name
      const std::size_t engine = random.below(world.engines.size());
      ask.rules = Rules();
      add_engine(ask.chain, engine);
      return "\"model\":" + quoted(world.engines[engine].model);
    }
    default:
      for (const std::size_t engine : route.chain) add_engine(ask.chain, engine);
      return "\"model\":" + quoted(route.name);
  }
}

void find_fit(const World& world, Ask& ask) {
  for (const std::size_t engine : ask.chain) {
    const bool speaks =
        !ask.verbatim || world.provider_of(engine).dialect == DialectName::openai_chat;
    if (speaks && (!ask.tools || world.engines[engine].tools)) ask.fit.push_back(engine);
  }
  if (ask.fit.empty()) ask.refused_status = 400;
}

void spoil(Random& random, const World& world, Ask& ask) {
  switch (random.below(5)) {
    case 0:
      ask.body = R"({"model":"no:such","messages":[{"role":"user","content":"x"}]})";
      ask.refused_status = 404;
      break;
    case 1:
      ask.body.resize(ask.body.size() / 2);
      ask.refused_status = 400;
      break;
    case 2:
      ask.body = R"({"messages":[{"role":"user","content":"x"}],"spillway":{"attempts_max":0}})";
      ask.refused_status = 400;
      break;
    case 3:
      ask.head.insert(ask.head.find("},\"local\""), R"(,"content-length":"17000000")");
      ask.refused_status = 413;
      break;
    default:
      ask.head = head_of(world, "POST", "/v1/chat/completions", false);
      ask.refused_status = 401;
      break;
  }
  ask.stream = false;
}

void draw_racing(Random& random, Ask& ask, std::string& policy) {
  if (!random.one_in(3)) return;
  Racing& racing = ask.racing;
  constexpr std::array<std::int64_t, 4> shares{1000, 1000, 100, 0};
  racing.on = true;
  if (!random.one_in(4)) racing.after_ms = random.between(1, random.one_in(2) ? 300 : 4000);
  racing.extra_per_mille = random.pick(shares);
  racing.tools = random.percent(50);
  const std::string after = racing.after_ms == 0 ? R"("p95")" : std::to_string(racing.after_ms);
  const std::string share = racing.extra_per_mille == 100 ? "0.1"
                            : racing.extra_per_mille == 0 ? "0"
                                                          : "1";
  policy += (policy.empty() ? "" : ",") + std::string(R"("hedge":{"after":)") + after;
  policy += R"(,"max_extra":)" + share + R"(,"tools":)" + (racing.tools ? "true}" : "false}");
}

// Comments between content, often, sometimes, never; before it, soon, late or never.
void draw_comments(Random& random, std::uint32_t chat, Ask& ask, std::string& policy) {
  constexpr std::array<std::string_view, 3> every_ms{"200", "15000", "0"};
  if (random.one_in(3)) ask.comment_after_ms = random.between(1, random.one_in(2) ? 500 : 20'000);
  policy += (policy.empty() ? "" : ",") + std::string(R"("keep_alive":{"before_content_ms":)");
  policy += std::to_string(ask.comment_after_ms);
  policy += R"(,"every_ms":)" + std::string(every_ms[chat % every_ms.size()]) + "}";
}

}  // namespace

Ask draw_ask(Random& random, const World& world, std::uint32_t chat, const AskWishes& wishes) {
  Ask ask;
  ask.stream = random.percent(65);
  ask.include_usage = random.percent(40);
  ask.tools = random.percent(30);
  ask.reasons = random.one_in(8);
  ask.verbatim = random.one_in(10);
  std::string policy;
  std::string body = "{" + name_chain(random, world, ask, policy);
  ask.fair = ask.rules.timeouts;
  if (wishes.patient || random.one_in(4)) {
    ask.rules = draw_rules(random);
    if (wishes.patient) ask.rules.timeouts.total_ms = 120'000;
    policy += (policy.empty() ? "" : ",") + print_rules(ask.rules);
  }
  if (ask.rules.rescue && random.one_in(12)) {
    ask.rules.rescue = false;
    const std::string_view own = R"("rescue":true)";
    const std::size_t told = policy.find(own);
    if (told != std::string::npos) policy.erase(told, own.size() + 1);
    policy += (policy.empty() ? "" : ",") + std::string(R"("rescue":false)");
  }
  draw_racing(random, ask, policy);
  draw_comments(random, chat, ask, policy);
  body += ",\"stream\":";
  body += ask.stream ? "true" : "false";
  if (ask.stream && ask.include_usage) body += R"(,"stream_options":{"include_usage":true})";
  if (!ask.stream) ask.include_usage = false;
  if (ask.verbatim) body += R"(,"logprobs":true)";
  if (ask.reasons) body += R"(,"reasoning_effort":"low")";
  if (ask.tools)
    body += R"(,"tools":[{"type":"function","function":{"name":"look_up","parameters":)"
            R"({"type":"object","properties":{"q":{"type":"string"}}}}}])";
  if (random.percent(30)) body += R"(,"max_tokens":100)";
  if (random.percent(50)) {
    ask.guess = random.pick(world.guesses);
    body += R"(,"user":")" + ask.guess + "\"";
  }
  body += ",\"spillway\":{" + policy + "}";
  body += R"(,"messages":[{"role":"user","content":"Chat )" + std::to_string(chat) + R"("}]})";
  ask.body = std::move(body);
  ask.head = head_of(world, "POST", "/v1/chat/completions", true);
  find_fit(world, ask);
  if (!wishes.sound && random.one_in(24)) spoil(random, world, ask);
  if (wishes.sound && ask.fit.empty()) return draw_ask(random, world, chat, wishes);
  return ask;
}

Visit draw_visit(Random& random, const World& world) {
  switch (random.below(7)) {
    case 0:
      return {head_of(world, "GET", "/health", random.percent(50)), {}, 200};
    case 1:
      return {head_of(world, "GET", "/v1/models", true), {}, 200};
    case 2:
      return {head_of(world, "GET", "/v1/models/" + world.engines.front().id, true), {}, 200};
    case 3:
      return {head_of(world, "GET", "/v1/models/none", true), {}, 404};
    case 4:
      return {head_of(world, "OPTIONS", "/v1/chat/completions", false), {}, 204};
    case 5:
      return {head_of(world, "GET", "/v1/chat/completions", true), {}, 405};
    default:
      return {head_of(world, "POST", "/v2/nothing", true), "{}", 404};
  }
}

}  // namespace spillway::sim
