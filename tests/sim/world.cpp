#include "world.h"

#include <cstdio>
#include <cstdlib>

#include "limits.h"
#include "quirk.h"
#include "sha256.h"

namespace spillway::sim {

namespace {

constexpr std::array<std::string_view, 3> kDialects{"openai_chat", "anthropic", "gemini"};

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// What a list of JSON members is made of.
class Members {
 public:
  Members& add(std::string_view name, const std::string& json) {
    if (!text_.empty()) text_ += ',';
    text_ += quoted(name) + ":" + json;
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::string object() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

std::string quirks_json(quirk::Set quirks) {
  std::string list;
  for (const quirk::Name& each : quirk::kNames)
    if ((quirks & each.bit) != 0) list += (list.empty() ? "" : ",") + quoted(each.name);
  return "[" + list + "]";
}

quirk::Set draw_quirks(Random& random, DialectName dialect) {
  quirk::Set quirks = 0;
  if (dialect != DialectName::openai_chat) return quirks;
  for (const quirk::Set each :
       {quirk::no_done, quirk::no_stream_options, quirk::usage_always, quirk::think_tags,
        quirk::irregular_stream, quirk::max_completion_tokens, quirk::short_tool_ids})
    if (random.one_in(6)) quirks |= each;
  return quirks;
}

// Random, but the mark at its end: of the second set no letter is the same.
std::string key_of(std::string_view name, std::size_t number, Secrets secrets) {
  std::string key = "sk-" + std::string(name) + "-" + std::to_string(number) + "-Kq7%Zp+2/Xw";
  if (secrets == Secrets::second)
    for (char& c : key)
      if ((c >= 'a' && c < 'z') || (c >= 'A' && c < 'Z') || (c >= '0' && c < '9')) ++c;
  return key + std::string(kSecretMark);
}

ProviderRow draw_provider(Random& random, std::size_t index, Secrets secrets) {
  ProviderRow provider;
  provider.name = "p" + std::to_string(index);
  provider.url_mark = "//" + provider.name + ".sim/";
  provider.dialect = static_cast<DialectName>(random.percent(50) ? 0 : random.below(3));
  constexpr std::array<std::size_t, 6> counts{0, 1, 1, 2, 3, 4};
  for (std::size_t key = random.pick(counts); key > 0; --key)
    provider.keys.push_back(key_of(provider.name, key, secrets));
  provider.quirks = draw_quirks(random, provider.dialect);
  return provider;
}

std::string provider_json(const ProviderRow& provider) {
  Members members;
  members.add("dialect", quoted(kDialects[static_cast<std::size_t>(provider.dialect)]));
  members.add("base_url", quoted("https:" + provider.url_mark + "v1"));
  members.add("keys", provider.keys.empty() ? "[]" : "[\"KEY_" + provider.name + "\"]");
  if (provider.dialect == DialectName::anthropic) members.add("auth", quoted("x-api-key"));
  if (provider.dialect == DialectName::gemini) members.add("auth", quoted("x-goog-api-key"));
  members.add("quirks", quirks_json(provider.quirks));
  const bool is_regular = (provider.quirks & quirk::irregular_stream) == 0;
  members.add("regular_stream", is_regular ? "true" : "false");
  return members.object();
}

EngineRow draw_engine(Random& random, const World& world, std::size_t provider,
                      std::size_t number) {
  EngineRow engine;
  engine.provider = provider;
  engine.model = "m" + std::to_string(number);
  engine.id = world.providers[provider].name + ":" + engine.model;
  constexpr std::array<std::int64_t, 4> windows{0, 4000, 8000, 32'000};
  engine.context_window = random.pick(windows);
  engine.tools = random.percent(75);
  engine.prefill = random.percent(40);
  engine.refuses_prefill = random.one_in(3);
  engine.latency = static_cast<Latency>(random.below(3));
  return engine;
}

std::string engine_json(Random& random, const EngineRow& engine) {
  constexpr std::array<std::string_view, 3> latencies{"fast", "standard", "reasoning"};
  Members members;
  if (engine.context_window > 0)
    members.add("context_window", std::to_string(engine.context_window));
  members.add("latency", quoted(latencies[static_cast<std::size_t>(engine.latency)]));
  std::string capabilities = "[\"reasoning\"";
  if (engine.tools) capabilities += ",\"tools\"";
  if (engine.prefill) capabilities += ",\"prefill\"";
  members.add("capabilities", capabilities + "]");
  if (random.percent(50)) members.add("price_in", "0.5").add("price_out", "1.5");
  return members.object();
}

std::vector<std::size_t> draw_chain(Random& random, std::size_t engines) {
  std::vector<std::size_t> chain;
  for (std::size_t left = 2 + random.below(4); left > 0; --left) {
    const std::size_t engine = random.below(engines);
    bool known = false;
    for (const std::size_t each : chain) known = known || each == engine;
    if (!known) chain.push_back(engine);
  }
  return chain;
}

std::string config_text(Random& random, const World& world) {
  Members providers;
  for (const ProviderRow& provider : world.providers)
    providers.add(provider.name, provider_json(provider));
  Members engines;
  for (const EngineRow& engine : world.engines) engines.add(engine.id, engine_json(random, engine));
  Members routes;
  for (const RouteRow& route : world.routes) {
    std::string chain;
    for (const std::size_t engine : route.chain)
      chain += (chain.empty() ? "" : ",") + quoted(world.engines[engine].id);
    routes.add(route.name, "{\"chain\":[" + chain + "]," + print_rules(route.rules) + "}");
  }
  Members bounds;
  bounds.add("cooldown_ms", std::to_string(world.cooldown_ms));
  bounds.add("chats_max", std::to_string(world.chats_max));
  bounds.add("client_share", "1");  // there is one client
  // Who shows the key may set what whoever is on this machine may.
  Members row;
  row.add("policy", R"(["attempts_max","attempts_per_engine","rate_limit_wait_ms","timeouts",)"
                    R"("on_auth_error","on_content_filter","hedge","keep_alive","rescue"])");
  return Members()
      .add("providers", providers.object())
      .add("engines", engines.object())
      .add("routes", routes.object())
      .add("default_route", quoted(world.routes.front().name))
      .add("limits", bounds.object())
      .add("clients", world.client_key.empty() ? "{}" : "{\"default\":" + row.object() + "}")
      .object();
}

std::string escaped(std::string_view text) {
  std::string out;
  json::append_escaped(out, text);
  return "\"" + out + "\"";
}

}  // namespace

std::string print_rules(const Rules& rules) {
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  Members timeouts;
  timeouts.add("headers_ms", number(rules.timeouts.headers_ms))
      .add("first_content_ms", number(rules.timeouts.first_content_ms))
      .add("idle_ms", number(rules.timeouts.idle_ms))
      .add("total_ms", number(rules.timeouts.total_ms));
  return Members()
      .add("rescue", rules.rescue ? "true" : "false")
      .add("attempts_max", number(rules.attempts_max))
      .add("attempts_per_engine", number(rules.attempts_per_engine))
      .add("rate_limit_wait_ms", number(rules.rate_limit_wait_ms))
      .add("on_auth_error", quoted(rules.next_on_auth_error ? "next" : "stop"))
      .add("on_content_filter", quoted(rules.next_on_content_filter ? "next" : "stop"))
      .add("timeouts", timeouts.object())
      .text();
}

Rules draw_rules(Random& random) {
  Rules rules;
  rules.attempts_max = static_cast<int>(random.between(1, 6));
  rules.attempts_per_engine = random.percent(60) ? 1 : static_cast<int>(random.between(2, 3));
  constexpr std::array<Millis, 4> waits{0, 0, 1000, 10'000};
  rules.rate_limit_wait_ms = random.pick(waits);
  rules.timeouts.headers_ms = random.between(200, 3000);
  rules.timeouts.first_content_ms = random.one_in(4) ? 0 : random.between(200, 4000);
  rules.timeouts.idle_ms = random.between(200, 3000);
  rules.timeouts.total_ms = random.one_in(6) ? random.between(300, 3000) : 60'000;
  rules.next_on_auth_error = random.percent(50);
  rules.next_on_content_filter = random.percent(50);
  rules.rescue = !random.one_in(6);
  return rules;
}

namespace {

std::string encoded(std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) out += digits[bits >> (held - 6) & 63];
  }
  if (held > 0) out += digits[bits << (6 - held) & 63];
  return out;
}

std::string percent_encoded(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : bytes) {
    out += '%';
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

// Each beginning of a key that is long enough to be asked about, and one part from its middle.
void add_guesses(const std::string& key, std::vector<std::string>& guesses) {
  const std::size_t end = key.size() - kSecretMark.size();
  for (std::size_t size = 6; size <= end; ++size) {
    guesses.push_back(key.substr(0, size));
    if (size % 3 == 0) guesses.push_back(percent_encoded(key.substr(0, size)));
    if (size % 3 == 0) guesses.push_back(encoded(key.substr(0, size)));
  }
  guesses.push_back(key.substr(2, end - 2));
}

}  // namespace

World make_world(std::uint64_t number, Secrets secrets) {
  Random random(0xC0FFEE + number);
  World world;
  for (std::size_t left = 2 + random.below(4); left > 0; --left)
    world.providers.push_back(draw_provider(random, world.providers.size(), secrets));
  for (std::size_t left = world.providers.size() + 1 + random.below(3); left > 0; --left) {
    const std::size_t provider = world.engines.size() < world.providers.size()
                                     ? world.engines.size()
                                     : random.below(world.providers.size());
    world.engines.push_back(draw_engine(random, world, provider, world.engines.size()));
  }
  for (std::size_t route = 0; route < 3; ++route)
    world.routes.push_back({"route" + std::to_string(route),
                            draw_chain(random, world.engines.size()), draw_rules(random)});
  constexpr std::array<Millis, 4> cooldowns{500, 2000, 10'000, limits::cooldown_ms};
  world.cooldown_ms = random.pick(cooldowns);
  world.chats_max = random.one_in(4) ? 3 + random.below(4) : limits::chats_max;
  if (random.percent(60)) world.client_key = key_of("client", 1, secrets);
  const bool is_hashed = random.one_in(3);
  add_guesses(key_of("client", 1, Secrets::first), world.guesses);
  add_guesses(key_of("client", 2, Secrets::first), world.guesses);
  for (const ProviderRow& provider : world.providers)
    for (std::size_t key = 1; key <= provider.keys.size(); ++key)
      add_guesses(key_of(provider.name, key, Secrets::first), world.guesses);

  Members env;
  for (const ProviderRow& provider : world.providers)
    for (std::size_t key = 0; key < provider.keys.size(); ++key)
      env.add("KEY_" + provider.name + (key == 0 ? "" : "_" + std::to_string(key + 1)),
              quoted(provider.keys[key]));
  if (!world.client_key.empty())
    env.add("SPILLWAY_KEYS",
            quoted(key_of("client", 2, secrets) + "," +
                   (is_hashed ? "sha256:" + sha256_hex(world.client_key) : world.client_key)));
  const std::string text = config_text(random, world);
  ConfigProblem problem;
  world.config =
      Config::load("{\"config\":[" + escaped(text) + "],\"env\":" + env.object() + "}", problem);
  if (world.config == nullptr) {
    std::fprintf(stderr, "world %llu is refused: %s: %s\n%s\n",
                 static_cast<unsigned long long>(number), problem.path.c_str(),
                 problem.message.c_str(), text.c_str());
    std::abort();
  }
  return world;
}

}  // namespace spillway::sim
