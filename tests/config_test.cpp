// Configuration: what merges over the registry and how, every field that is refused with its path
// and what was expected there, keys out of the environment, and secrets that stay secret.
#include "config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <fstream>
#include <ostream>
#include <type_traits>

#include "adapters.h"
#include "config_field.h"
#include "load_config.h"
#include "registry.h"

namespace spillway {
namespace {

using nlohmann::json;

// A provider that has all it needs, to stand beside what a test is about.
constexpr const char* kAcme =
    R"({"providers":{"acme":{"dialect":"openai_chat","base_url":"https://acme.test/v1",)"
    R"("keys":["ACME_API_KEY"]}}})";

ConfigProblem problem_of(std::string_view input) {
  ConfigProblem problem;
  EXPECT_EQ(Config::load(input, problem), nullptr) << input;
  return problem;
}

ConfigProblem problem_of_text(const std::string& text) { return problem_of(config_input({text})); }

std::list<std::string> revealed(const std::list<Secret>& secrets) {
  std::list<std::string> texts;
  for (const Secret& secret : secrets) texts.emplace_back(secret.reveal());
  return texts;
}

using Texts = std::list<std::string>;

// --- the registry

TEST(ConfigRegistry, IsWholeByItself) {
  const auto config = load_config({});
  EXPECT_FALSE(config->providers.empty());
  EXPECT_FALSE(config->engines.empty());
  EXPECT_NE(config->find_route(config->default_route), nullptr);
  for (const Provider& provider : config->providers) {
    EXPECT_NE(provider.dialect, nullptr) << provider.name;
    EXPECT_FALSE(provider.base_url.empty()) << provider.name;
    EXPECT_NE(provider.base_url.back(), '/') << provider.name;
    EXPECT_EQ(config->find_provider(provider.name), &provider);
    EXPECT_FALSE(provider.simulated) << provider.name;
  }
  for (const Engine& engine : config->engines) {
    EXPECT_EQ(config->find_provider(engine.provider->name), engine.provider) << engine.id;
    EXPECT_EQ(engine.id, engine.provider->name + ":" + std::string(engine.model()));
    EXPECT_EQ(config->find_engine(engine.id), &engine) << "no two of one id: " << engine.id;
    EXPECT_GT(engine.context_window, 0) << engine.id;
  }
  for (const Route& route : config->routes) {
    EXPECT_FALSE(route.chain.empty()) << route.name;
    for (const std::string& id : route.chain)
      EXPECT_NE(config->find_engine(id), nullptr) << route.name << " names " << id;
  }
}

TEST(ConfigRegistry, FindsDialectsByName) {
  EXPECT_EQ(registry::find_dialect("openai_chat"), &adapters::openai_chat);
  EXPECT_EQ(registry::find_dialect("anthropic"), &adapters::anthropic);
  EXPECT_EQ(registry::find_dialect("gemini"), &adapters::gemini);
  EXPECT_EQ(registry::find_dialect("cohere"), nullptr);
  EXPECT_EQ(registry::dialect_names(), "openai_chat, anthropic, gemini");
}

TEST(ConfigRegistry, WhatIsNotThereIsNotFound) {
  const auto config = load_config({});
  EXPECT_EQ(config->find_provider("nobody"), nullptr);
  EXPECT_EQ(config->find_engine("openai"), nullptr);
  EXPECT_EQ(config->find_route(""), nullptr);
  for (const char* id : {"", ":", "openai", "openai:", ":gpt", "nobody:gpt", "OpenAI:gpt"})
    EXPECT_FALSE(config->assume_engine(id)) << id;
  const auto assumed = config->assume_engine("openai:gpt:x");
  ASSERT_TRUE(assumed);
  EXPECT_EQ(assumed->id, "openai:gpt:x");
  EXPECT_EQ(assumed->model(), "gpt:x");
  EXPECT_EQ(assumed->provider->name, "openai");
}

// --- the documentation

// The blocks of a page that are configs: what /health says has `ready` in it.
std::list<std::string> configs_of(const std::string& page) {
  std::ifstream file(std::string(SPILLWAY_SOURCE_DIR) + "/" + page);
  std::list<std::string> configs;
  std::string block;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "```json") {
      inside = true;
    } else if (line == "```" && inside) {
      inside = false;
      const json value = json::parse(block, nullptr, false);
      const bool is_config =
          value.is_object() && (value.contains("providers") || value.contains("routes") ||
                                value.contains("engines") || value.contains("clients"));
      if (is_config && block.find("\"ready\"") == std::string::npos) configs.push_back(block);
      block.clear();
    } else if (inside) {
      block += line + '\n';
    }
  }
  return configs;
}

TEST(ConfigDocs, EveryExampleIsAccepted) {
  const std::pair<const char*, std::size_t> pages[] = {
      {"README.md", 3}, {"docs/PROVIDERS.md", 3}, {"docs/ROUTING.md", 2}, {"docs/CLIENTS.md", 1}};
  for (const auto& [page, least] : pages) {
    const auto configs = configs_of(page);
    EXPECT_GE(configs.size(), least) << page;
    for (const std::string& config : configs) {
      ConfigProblem problem;
      const std::string routes = R"({"routes":{"support":{"chain":["groq:openai/gpt-oss-120b"]}}})";
      EXPECT_NE(Config::load(config_input({routes, config}, {{"MOBILE_KEY", "key-of-mobile"},
                                                             {"BATCH_KEY", "key-of-batch"}}),
                             problem),
                nullptr)
          << page << ": " << problem.path << ": " << problem.message << '\n'
          << config;
    }
  }
}

// --- merging

TEST(ConfigMerge, AProviderMemberByMember) {
  const std::string first = R"({"providers":{"anthropic":{"headers":{"x-plan":"gold"}}}})";
  const auto before = load_config({first});
  const auto after =
      load_config({first, R"({"providers":{"anthropic":{"base_url":"http://proxy/a//",)"
                          R"("headers":{"X-Team":"blue"}}}})"});
  const Provider& was = *before->find_provider("anthropic");
  const Provider& is = *after->find_provider("anthropic");
  EXPECT_EQ(after->providers.size(), before->providers.size());
  EXPECT_EQ(is.base_url, "http://proxy/a");
  EXPECT_EQ(is.title, was.title);
  EXPECT_EQ(is.dialect, was.dialect);
  EXPECT_EQ(is.key_names, was.key_names);
  EXPECT_EQ(is.auth, was.auth);
  EXPECT_EQ(is.quirks, was.quirks);
  ASSERT_EQ(was.headers.size(), 1U);
  ASSERT_EQ(is.headers.size(), 2U) << "headers are added to those that are known";
  EXPECT_EQ(is.headers.front().name, "x-plan");
  EXPECT_EQ(is.headers.front().value, "gold");
  EXPECT_EQ(is.headers.back().name, "x-team") << "names of headers have no case";
  EXPECT_EQ(is.headers.back().value, "blue");
}

TEST(ConfigMerge, AHeaderReplacesItsNamesake) {
  const auto config = load_config(
      {R"({"providers":{"anthropic":{"headers":{"anthropic-version":"2024-10-22"}}}})",
       R"({"providers":{"anthropic":{"headers":{"Anthropic-Version":"2030-01-01"}}}})"});
  const Provider& provider = *config->find_provider("anthropic");
  ASSERT_EQ(provider.headers.size(), 1U);
  EXPECT_EQ(provider.headers.front().name, "anthropic-version");
  EXPECT_EQ(provider.headers.front().value, "2030-01-01");
}

TEST(ConfigMerge, ANewProvider) {
  const auto config = load_config(
      {R"({"providers":{"acme":{"dialect":"gemini","base_url":"https://acme.test","name":"Acme",)"
       R"("keys":["A","B"],"auth":"api-key","quirks":["no_stop","no_done"],"simulated":true},)"
       R"("plain":{"base_url":"http://10.0.0.1:8000/v1/","dialect":"openai_chat"}}})"},
      {{"A", "key-of-acme"}});
  const Provider& acme = *config->find_provider("acme");
  EXPECT_EQ(acme.title, "Acme");
  EXPECT_EQ(acme.dialect, &adapters::gemini);
  EXPECT_EQ(acme.base_url, "https://acme.test");
  EXPECT_EQ(acme.key_names, (Texts{"A", "B"}));
  EXPECT_EQ(acme.auth, Auth::api_key);
  EXPECT_EQ(acme.quirks, quirk::no_stop | quirk::no_done | quirk::irregular_stream);
  EXPECT_FALSE(acme.built_in);
  EXPECT_TRUE(acme.simulated);
  EXPECT_TRUE(acme.ready());
  const Provider& plain = *config->find_provider("plain");
  EXPECT_EQ(plain.title, "plain");
  EXPECT_EQ(plain.base_url, "http://10.0.0.1:8000/v1");
  EXPECT_EQ(plain.auth, Auth::bearer);
  EXPECT_TRUE(plain.ready()) << "a provider that names no keys needs none";
}

// Whose stream nobody has recorded goes through the repairs, until its row says otherwise.
TEST(ConfigMerge, OnlyARowOfTheRegistryHasARegularStreamByItself) {
  constexpr const char* acme = R"({"providers":{"acme":{"dialect":"openai_chat",)"
                               R"("base_url":"https://acme.test"}}})";
  struct Row {
    const char* provider;
    const char* first;
    const char* second;
    bool irregular;
  };
  const Row rows[] = {
      {"acme", "", "", true},
      {"acme", R"("quirks":[])", "", true},
      {"acme", R"("quirks":["no_done"])", "", true},
      {"acme", R"("regular_stream":true)", "", false},
      {"acme", R"("regular_stream":false)", "", true},
      {"acme", R"("regular_stream":true)", R"("quirks":["no_done"])", false},
      {"acme", R"("regular_stream":true)", R"("quirks":["irregular_stream"])", true},
      {"acme", R"("regular_stream":true)", R"("regular_stream":false)", true},
      {"acme", R"("quirks":["irregular_stream"])", R"("regular_stream":true)", false},
      {"acme", R"("regular_stream":true,"quirks":["irregular_stream"])", "", false},
      {"acme", R"("quirks":["irregular_stream"],"regular_stream":true)", "", false},
      {"groq", "", "", false},
      {"groq", R"("base_url":"https://proxy.test")", "", false},
      {"groq", R"("regular_stream":false)", "", true},
      {"mistral", R"("base_url":"https://proxy.test")", "", true},
      {"mistral", R"("quirks":[])", "", true},
      {"mistral", R"("regular_stream":true)", "", false},
  };
  for (const Row& row : rows) {
    const auto text = [&row](const char* members) {
      return R"({"providers":{")" + std::string(row.provider) + R"(":{)" + members + "}}}";
    };
    const auto config = load_config({acme, text(row.first), text(row.second)});
    const quirk::Set quirks = config->find_provider(row.provider)->quirks;
    EXPECT_EQ((quirks & quirk::irregular_stream) != 0, row.irregular)
        << row.provider << ' ' << row.first << ' ' << row.second;
  }
}

TEST(ConfigMerge, NamesOfKeysReplaceThoseBefore) {
  const auto config = load_config({R"({"providers":{"gemini":{"keys":["MY_KEY"]}}})"},
                                  {{"MY_KEY", "mine"}, {"GEMINI_API_KEY", "other"}});
  const Provider& provider = *config->find_provider("gemini");
  EXPECT_EQ(provider.key_names, Texts{"MY_KEY"});
  EXPECT_EQ(revealed(provider.keys), Texts{"mine"});
}

TEST(ConfigMerge, EveryAuthWordAndQuirk) {
  const std::pair<const char*, Auth> words[] = {{"bearer", Auth::bearer},
                                                {"x-api-key", Auth::x_api_key},
                                                {"x-goog-api-key", Auth::x_goog_api_key},
                                                {"api-key", Auth::api_key},
                                                {"none", Auth::none}};
  for (const auto& [word, auth] : words) {
    const json text{{"providers", {{"openai", {{"auth", word}}}}}};
    EXPECT_EQ(load_config({text.dump()})->find_provider("openai")->auth, auth) << word;
  }
  for (const quirk::Name& each : quirk::kNames) {
    const json text{{"providers", {{"openai", {{"quirks", {each.name}}}}}},
                    {"engines", {{"openai:new", {{"quirks", {each.name}}}}}}};
    const auto config = load_config({text.dump()});
    EXPECT_EQ(config->find_provider("openai")->quirks, each.bit) << "they replace: " << each.name;
    EXPECT_EQ(config->find_engine("openai:new")->quirks, each.bit) << each.name;
  }
}

TEST(ConfigMerge, AnEngineMemberByMember) {
  const auto before = load_config({});
  const Engine& was = before->engines.front();
  const json text{{"engines", {{was.id, {{"price_in", 0.1}, {"latency", "reasoning"}}}}}};
  const auto after = load_config({text.dump()});
  const Engine& is = *after->find_engine(was.id);
  EXPECT_EQ(after->engines.size(), before->engines.size());
  EXPECT_EQ(is.price_in.picodollars, 100'000);
  EXPECT_EQ(is.latency, Latency::reasoning);
  EXPECT_EQ(is.price_out.picodollars, was.price_out.picodollars);
  EXPECT_EQ(is.context_window, was.context_window);
  EXPECT_EQ(is.output_tokens_max, was.output_tokens_max);
  EXPECT_EQ(is.capabilities, was.capabilities);
  EXPECT_EQ(is.cost, was.cost);
}

TEST(ConfigMerge, ANewEngine) {
  // Its provider stands behind it, and in a later text its row is changed.
  const auto config = load_config(
      {R"({"engines":{"acme:org/m:1":{"context_window":8192,"max_output":1024,"price_in":0.59,)"
       R"("price_out":0.79,"price_cache_read":0,"price_cache_write":1000000,"cost":"free",)"
       R"("latency":"fast","capabilities":["vision","prefill"],"quirks":["no_sampling"]}},)" +
           std::string(kAcme).substr(1),
       R"({"engines":{"acme:org/m:1":{"max_output":2048},"acme:bare":{}}})"});
  const Engine& engine = *config->find_engine("acme:org/m:1");
  EXPECT_EQ(engine.provider->name, "acme");
  EXPECT_EQ(engine.model(), "org/m:1");
  EXPECT_EQ(engine.context_window, 8192);
  EXPECT_EQ(engine.output_tokens_max, 2048);
  EXPECT_EQ(engine.price_in.picodollars, 590'000);
  EXPECT_EQ(engine.price_out.picodollars, 790'000);
  EXPECT_EQ(engine.price_cache_read.picodollars, 0);
  EXPECT_EQ(engine.price_cache_write.picodollars, 1'000'000'000'000);
  EXPECT_EQ(engine.cost, CostBand::free);
  EXPECT_EQ(engine.latency, Latency::fast);
  EXPECT_EQ(engine.capabilities, capability::vision | capability::prefill);
  EXPECT_EQ(engine.quirks, quirk::no_sampling);
  const Engine& bare = *config->find_engine("acme:bare");
  EXPECT_EQ(bare.capabilities, capability::assumed);
  EXPECT_FALSE(bare.price_in.known());
  EXPECT_EQ(bare.cost, CostBand::mid);
  EXPECT_EQ(bare.latency, Latency::standard);
}

TEST(ConfigMerge, ARouteMemberByMember) {
  const auto before = load_config({});
  const auto config = load_config(
      {R"({"routes":{"critical":{"attempts_max":7,"timeouts":{"idle_ms":1}},)"
       R"("mine":{"chain":["openai:a","groq:b"],"attempts_per_engine":2,"rate_limit_wait_ms":0,)"
       R"("timeouts":{"headers_ms":1,"first_content_ms":2,"idle_ms":3,"total_ms":86400000},)"
       R"("on_auth_error":"next","on_content_filter":"next","upstream":"whole","strict":true}},)"
       R"("default_route":"mine"})",
       R"({"routes":{"mine":{"timeouts":{"first_content_ms":0},"strict":false}}})"});
  const Route& critical = *config->find_route("critical");
  EXPECT_EQ(critical.chain, before->find_route("critical")->chain);
  EXPECT_EQ(critical.attempts_max, 7);
  EXPECT_EQ(critical.timeouts.idle_ms, 1);
  EXPECT_EQ(critical.timeouts.headers_ms, 10'000);
  const Route& mine = *config->find_route("mine");
  EXPECT_EQ(mine.chain, (Texts{"openai:a", "groq:b"}));
  EXPECT_EQ(mine.attempts_max, 4);
  EXPECT_EQ(mine.attempts_per_engine, 2);
  EXPECT_EQ(mine.timeouts.headers_ms, 1);
  EXPECT_EQ(mine.timeouts.first_content_ms, 0) << "0: by the engine's latency profile again";
  EXPECT_EQ(mine.timeouts.idle_ms, 3);
  EXPECT_EQ(mine.timeouts.total_ms, 86'400'000);
  EXPECT_EQ(mine.on_auth_error, OnFailure::next);
  EXPECT_EQ(mine.on_content_filter, OnFailure::next);
  EXPECT_EQ(mine.upstream, Upstream::whole);
  EXPECT_EQ(critical.upstream, Upstream::stream);
  EXPECT_FALSE(mine.strict) << "the later text wins";
  EXPECT_EQ(config->default_route, "mine");
}

// `repeat` says of a kind what attempts_per_engine says of four, wherever it stands; of what came
// before a later attempts_per_engine leaves nothing.
TEST(ConfigMerge, HowOftenAnEngineIsAskedAgain) {
  using enum FailureKind;
  struct Row {
    const char* first;
    const char* second;
    int rate_limited, overloaded, server, timeout, network, protocol, empty;
  };
  const Row rows[] = {
      {"", "", 0, 0, 0, 0, 0, 0, 0},
      {R"("attempts_per_engine":3)", "", 0, 2, 2, 2, 2, 0, 0},
      {R"("rate_limit_wait_ms":1)", "", INT_MAX, 0, 0, 0, 0, 0, 0},
      {R"("rate_limit_wait_ms":1,"repeat":{"rate_limited":0})", "", 0, 0, 0, 0, 0, 0, 0},
      {R"("repeat":{"rate_limited":2,"server":1,"timeout":0})", "", 2, 0, 1, 0, 0, 0, 0},
      {R"("repeat":{"protocol":8,"empty":1})", "", 0, 0, 0, 0, 0, 8, 1},
      {R"("attempts_per_engine":3,"repeat":{"timeout":0})", "", 0, 2, 2, 0, 2, 0, 0},
      {R"("repeat":{"timeout":0},"attempts_per_engine":3)", "", 0, 2, 2, 0, 2, 0, 0},
      {R"("repeat":{"timeout":4,"empty":1})", R"("repeat":{"server":1})", 0, 0, 1, 4, 0, 0, 1},
      {R"("repeat":{"timeout":4,"empty":1})", R"("attempts_per_engine":1)", 0, 0, 0, 0, 0, 0, 1},
  };
  for (const Row& row : rows) {
    const auto text = [](const std::string& members) {
      return R"({"routes":{"standard":{)" + members + "}}}";
    };
    const auto config = load_config({text(row.first), text(row.second)});
    const Policy& policy = *config->find_route("standard");
    const int expected[] = {row.rate_limited, row.overloaded, row.server, row.timeout,
                            row.network,      row.protocol,   row.empty};
    for (std::size_t index = 0; index < kFailureKinds; ++index) {
      const auto kind = static_cast<FailureKind>(index);
      EXPECT_EQ(policy.repeats_after(kind), index < kRepeatableKinds ? expected[index] : 0)
          << name_of(kind) << ' ' << row.first << ' ' << row.second;
    }
  }
}

TEST(ConfigMerge, AChainReplacesTheOneBefore) {
  const auto config = load_config({R"({"routes":{"standard":{"chain":["openai:x"]}}})"});
  EXPECT_EQ(config->find_route("standard")->chain, Texts{"openai:x"});
}

TEST(ConfigMerge, LimitsAndCors) {
  const auto before = load_config({});
  EXPECT_EQ(before->cors_origin, "*");
  EXPECT_EQ(before->request_bytes_max, limits::request_bytes_max);
  EXPECT_EQ(before->chats_max, limits::chats_max);
  EXPECT_EQ(before->cooldown_ms, limits::cooldown_ms);
  const auto after = load_config({R"({"cors":{"origin":"https://app.test"},)"
                                  R"("limits":{"request_bytes_max":1000,"chats_max":1}})",
                                  R"({"limits":{"cooldown_ms":0}})"});
  EXPECT_EQ(after->cors_origin, "https://app.test");
  EXPECT_EQ(after->request_bytes_max, 1000U);
  EXPECT_EQ(after->chats_max, 1U);
  EXPECT_EQ(after->cooldown_ms, 0);
  EXPECT_EQ(load_config({R"({"cors":{"origin":""}})"})->cors_origin, "");
}

TEST(ConfigMerge, TheVariableComesLast) {
  const Environment env{{"SPILLWAY_CONFIG", R"({"limits":{"chats_max":2}})"}};
  const auto config = load_config({R"({"limits":{"chats_max":1,"cooldown_ms":5}})"}, env);
  EXPECT_EQ(config->chats_max, 2U);
  EXPECT_EQ(config->cooldown_ms, 5);
  const std::string input = R"({"env":{"SPILLWAY_CONFIG":"{\"limits\":{\"chats_max\":2}}"},)"
                            R"("config":["{\"limits\":{\"chats_max\":1}}"]})";
  ConfigProblem problem;
  EXPECT_EQ(Config::load(input, problem)->chats_max, 2U) << "wherever it stands";
}

TEST(ConfigMerge, EmptyTextsSayNothing) {
  const auto config = load_config({"", " \n\t", "{}", kAcme});
  EXPECT_NE(config->find_provider("acme"), nullptr);
  ConfigProblem problem;
  EXPECT_NE(Config::load("{}", problem), nullptr);
}

TEST(ConfigMerge, EscapesInNames) {
  const auto config = load_config({R"({"prov\u0069ders":{"op\u0065nai":{"name":"O\u00e9\n"}}})"});
  EXPECT_EQ(config->find_provider("openai")->title, "Oé\n");
}

// --- what is refused

TEST(ConfigRefuse, ALongInstruction) {
  const auto route = [](std::size_t bytes) {
    return R"({"routes":{"r":{"chain":["openai:x"],"rescue":{"instruction":")" +
           std::string(bytes, 'x') + R"("}}}})";
  };
  EXPECT_NE(load_config({route(limits::instruction_bytes_max)}), nullptr);
  const ConfigProblem problem = problem_of_text(route(limits::instruction_bytes_max + 1));
  EXPECT_EQ(problem.path, "routes.r.rescue.instruction");
  EXPECT_EQ(problem.message, "expected at most 2000 bytes");
}

TEST(ConfigRefuse, EachWrongField) {
  struct Row {
    const char* text;
    const char* path;
    const char* message;
  };
  const Row rows[] = {
      {"[]", "", "expected an object, got an array"},
      {R"({"routes":{"standard":{"repeat":2}}})", "routes.standard.repeat",
       "expected an object, got a number"},
      {R"({"routes":{"standard":{"repeat":{"server":9}}}})", "routes.standard.repeat.server",
       "expected a whole number from 0 to 8, got 9"},
      {R"({"routes":{"standard":{"repeat":{"server":true}}}})", "routes.standard.repeat.server",
       "expected a whole number from 0 to 8, got true"},
      {R"({"routes":{"standard":{"repeat":{"auth":0}}}})", "routes.standard.repeat.auth",
       "the same engine would fail again; expected one of rate_limited, overloaded, server, "
       "timeout, network, protocol, empty"},
      {R"({"routes":{"standard":{"repeat":{"500":1}}}})", "routes.standard.repeat.500",
       "unknown field; expected one of rate_limited, overloaded, server, timeout, network, "
       "protocol, empty"},
      {R"({"routes":{"r":{"chain":["openai:x"],"rescue":1}}})", "routes.r.rescue",
       "expected true, false or an object, got a number"},
      {R"({"routes":{"r":{"chain":["openai:x"],"rescue":{"words":"x"}}}})", "routes.r.rescue.words",
       "unknown field; expected one of instruction"},
      {R"({"routes":{"r":{"chain":["openai:x"],"rescue":{"instruction":" \n"}}}})",
       "routes.r.rescue.instruction", "expected the words that ask an engine to go on"},
      {R"({"provider":{}})", "provider",
       "unknown field; expected one of providers, engines, routes, clients, default_route, cors, "
       "limits"},

      {R"({"providers":{"a b":{}}})", "providers.a b",
       "expected a name of letters, digits, '_', '-' and '.'"},
      {R"({"providers":{"":{}}})", "providers.",
       "expected a name of letters, digits, '_', '-' and '.'"},
      {R"({"providers":{"acme":{"base_url":"https://a"}}})", "providers.acme.dialect",
       "missing; expected one of openai_chat, anthropic, gemini"},
      {R"({"providers":{"acme":{"dialect":"gemini"}}})", "providers.acme.base_url",
       "missing; expected a URL"},
      {R"({"providers":{"openai":{"dialect":"cohere"}}})", "providers.openai.dialect",
       "expected one of openai_chat, anthropic, gemini, got \"cohere\""},
      {R"({"providers":{"openai":{"base_url":"api.openai.com"}}})", "providers.openai.base_url",
       "expected a URL that begins with http:// or https://"},
      {R"({"providers":{"openai":{"base_url":"ftp://a"}}})", "providers.openai.base_url",
       "expected a URL that begins with http:// or https://"},
      {R"({"providers":{"openai":{"base_url":""}}})", "providers.openai.base_url",
       "expected a URL that begins with http:// or https://"},
      {R"({"providers":{"openai":{"base_url":"https://a/{X"}}})", "providers.openai.base_url",
       "expected the name of an environment variable between each { and its }"},
      {R"({"providers":{"openai":{"base_url":"{}/v1"}}})", "providers.openai.base_url",
       "expected the name of an environment variable between each { and its }"},
      {R"({"providers":{"openai":{"base_url":"{A}/{b c}"}}})", "providers.openai.base_url",
       "expected the name of an environment variable between each { and its }"},
      {R"({"providers":{"openai":{"base_url":"https://a/\r\nx: y"}}})", "providers.openai.base_url",
       "expected a URL of printable ASCII, without white space, query or fragment"},
      {R"({"providers":{"openai":{"base_url":"https://a b"}}})", "providers.openai.base_url",
       "expected a URL of printable ASCII, without white space, query or fragment"},
      {R"({"providers":{"openai":{"base_url":"https://é.test"}}})", "providers.openai.base_url",
       "expected a URL of printable ASCII, without white space, query or fragment"},
      {R"({"providers":{"openai":{"base_url":"https://a/v1?version=1"}}})",
       "providers.openai.base_url",
       "expected a URL of printable ASCII, without white space, query or fragment"},
      {R"({"providers":{"openai":{"base_url":"https://a/v1#x"}}})", "providers.openai.base_url",
       "expected a URL of printable ASCII, without white space, query or fragment"},
      {R"({"providers":{"openai":{"keys":"OPENAI_API_KEY"}}})", "providers.openai.keys",
       "expected an array of names of environment variables, got a string"},
      {R"({"providers":{"openai":{"keys":["A","sk-live 1"]}}})", "providers.openai.keys[1]",
       "expected the name of an environment variable"},
      {R"({"providers":{"openai":{"auth":"basic"}}})", "providers.openai.auth",
       "expected one of bearer, x-api-key, x-goog-api-key, api-key, none, got \"basic\""},
      {R"({"providers":{"openai":{"headers":{"x-a":1}}}})", "providers.openai.headers.x-a",
       "expected a string, got a number"},
      {R"({"providers":{"openai":{"headers":{"x-a":"b\r\nx-b: c"}}}})",
       "providers.openai.headers.x-a", "expected a header value of printable ASCII"},
      {R"({"providers":{"openai":{"headers":{"x-a":"b\u0000"}}}})", "providers.openai.headers.x-a",
       "expected a header value of printable ASCII"},
      {R"({"providers":{"openai":{"headers":{"x-a":"é"}}}})", "providers.openai.headers.x-a",
       "expected a header value of printable ASCII"},
      {R"({"providers":{"openai":{"headers":{"x a":"b"}}}})", "providers.openai.headers.x a",
       "expected a header name: letters, digits and !#$%&'*+-.^_`|~"},
      {R"({"providers":{"openai":{"headers":{"x:":"b"}}}})", "providers.openai.headers.x:",
       "expected a header name: letters, digits and !#$%&'*+-.^_`|~"},
      {R"({"providers":{"openai":{"headers":{"":"b"}}}})", "providers.openai.headers.",
       "expected a header name: letters, digits and !#$%&'*+-.^_`|~"},
      {R"({"providers":{"openai":{"url":"https://a"}}})", "providers.openai.url",
       "unknown field; expected one of name, dialect, base_url, keys, auth, headers, quirks, "
       "regular_stream, simulated, splice"},

      {R"({"engines":{"gpt":{}}})", "engines.gpt",
       "expected \"provider:model\" with a known provider"},
      {R"({"engines":{"nobody:gpt":{}}})", "engines.nobody:gpt",
       "expected \"provider:model\" with a known provider"},
      {R"({"engines":{"openai:":{}}})",
       "engines.openai:", "expected \"provider:model\" with a known provider"},
      {R"({"engines":{"openai:x":{"context_window":0}}})", "engines.openai:x.context_window",
       "expected a whole number from 1 to 1000000000, got 0"},
      {R"({"engines":{"openai:x":{"context_window":1.5}}})", "engines.openai:x.context_window",
       "expected a whole number from 1 to 1000000000, got 1.5"},
      {R"({"engines":{"openai:x":{"max_output":1000000001}}})", "engines.openai:x.max_output",
       "expected a whole number from 1 to 1000000000, got 1000000001"},
      {R"({"engines":{"openai:x":{"max_output":99999999999999999999}}})",
       "engines.openai:x.max_output",
       "expected a whole number from 1 to 1000000000, got 99999999999999999999"},
      {R"({"engines":{"openai:x":{"price_in":-0.1}}})", "engines.openai:x.price_in",
       "expected USD per million tokens, a number of 0 or more, got -0.1"},
      {R"({"engines":{"openai:x":{"price_out":1000001}}})", "engines.openai:x.price_out",
       "expected USD per million tokens, a number of 0 or more, got 1000001"},
      {R"({"engines":{"openai:x":{"price_cache_read":1e999}}})",
       "engines.openai:x.price_cache_read",
       "expected USD per million tokens, a number of 0 or more, got 1e999"},
      {R"({"engines":{"openai:x":{"price_cache_write":"1"}}})",
       "engines.openai:x.price_cache_write",
       "expected USD per million tokens, a number of 0 or more, got \"1\""},
      {R"({"engines":{"openai:x":{"cost":"cheap"}}})", "engines.openai:x.cost",
       "expected one of free, low, mid, high, got \"cheap\""},
      {R"({"engines":{"openai:x":{"latency":5}}})", "engines.openai:x.latency",
       "expected one of fast, standard, reasoning, got 5"},
      {R"({"engines":{"openai:x":{"capabilities":["tools","sight"]}}})",
       "engines.openai:x.capabilities[1]",
       "expected one of vision, tools, json_mode, json_schema, reasoning, prefill, files, audio, "
       "got \"sight\""},
      {R"({"engines":{"openai:x":{"capabilities":[null]}}})", "engines.openai:x.capabilities[0]",
       "expected a string, got null"},
      {R"({"engines":{"openai:x":{"window":1}}})", "engines.openai:x.window",
       "unknown field; expected one of context_window, max_output, price_in, price_out, "
       "price_cache_read, price_cache_write, cost, latency, capabilities, quirks, ends, "
       "successor"},
      {R"({"engines":{"openai:x":{"ends":"2026-13-01"}}})", "engines.openai:x.ends",
       "expected a day such as \"2026-12-01\", or \"\" for none"},
      {R"({"engines":{"openai:x":{"successor":"openai:x"}}})", "engines.openai:x.successor",
       "expected another engine"},
      {R"({"engines":{"openai:x":{"successor":"openai"}}})", "engines.openai:x.successor",
       "expected \"provider:model\" with a known provider, got \"openai\""},

      {R"({"routes":{"a:b":{}}})", "routes.a:b",
       "expected a name of letters, digits, '_', '-' and '.', without ':'"},
      {R"({"routes":{"mine":{}}})", "routes.mine.chain",
       "missing; expected an array of engines, each \"provider:model\""},
      {R"({"routes":{"standard":{"chain":[]}}})", "routes.standard.chain",
       "expected at least one engine"},
      {R"({"routes":{"standard":{"chain":"openai:x"}}})", "routes.standard.chain",
       "expected an array of engines, each \"provider:model\", got a string"},
      {R"({"routes":{"standard":{"chain":["openai:x","gpt"]}}})", "routes.standard.chain[1]",
       "expected \"provider:model\" with a known provider, got \"gpt\""},
      {R"({"routes":{"mine":{"chain":["nobody:x"]}}})", "routes.mine.chain[0]",
       "expected \"provider:model\" with a known provider, got \"nobody:x\""},
      {R"({"routes":{"standard":{"attempts_max":33}}})", "routes.standard.attempts_max",
       "expected a whole number from 1 to 32, got 33"},
      {R"({"routes":{"standard":{"attempts_per_engine":0}}})",
       "routes.standard.attempts_per_engine", "expected a whole number from 1 to 32, got 0"},
      {R"({"routes":{"standard":{"rate_limit_wait_ms":-1}}})", "routes.standard.rate_limit_wait_ms",
       "expected a whole number from 0 to 86400000, got -1"},
      {R"({"routes":{"standard":{"timeouts":{"headers_ms":0}}}})",
       "routes.standard.timeouts.headers_ms", "expected a whole number from 1 to 86400000, got 0"},
      {R"({"routes":{"standard":{"timeouts":{"first_content_ms":-1}}}})",
       "routes.standard.timeouts.first_content_ms",
       "expected a whole number from 0 to 86400000, got -1"},
      {R"({"routes":{"standard":{"timeouts":{"total_ms":86400001}}}})",
       "routes.standard.timeouts.total_ms",
       "expected a whole number from 1 to 86400000, got 86400001"},
      {R"({"routes":{"standard":{"timeouts":{"total":1}}}})", "routes.standard.timeouts.total",
       "unknown field; expected one of headers_ms, first_content_ms, idle_ms, total_ms"},
      {R"({"routes":{"standard":{"on_content_filter":true}}})", "routes.standard.on_content_filter",
       "expected one of stop, next, got true"},
      {R"({"routes":{"standard":{"retries":1}}})", "routes.standard.retries",
       "unknown field; expected one of chain, attempts_max, attempts_per_engine, repeat, "
       "rate_limit_wait_ms, timeouts, on_auth_error, on_content_filter, upstream, hedge, "
       "keep_alive, rescue, strict"},

      {R"({"default_route":"nowhere"})", "default_route",
       "expected the name of a route, got \"nowhere\""},
      {R"({"cors":{"origins":"*"}})", "cors.origins", "unknown field; expected one of origin"},
      {R"({"cors":{"origin":"https://a\r\nx: y"}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"cors":{"origin":"https://a\u0000"}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"cors":{"origin":"https://é"}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"cors":{"origin":"https://a, https://b"}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"cors":{"origin":"https://a/"}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"cors":{"origin":"https://*.a"}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"cors":{"origin":"a.test"}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"cors":{"origin":"https://"}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"cors":{"origin":"null"}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"cors":{"origin":" "}})", "cors.origin",
       "expected one origin such as \"https://app.example\", \"*\" for any or \"\" for none"},
      {R"({"limits":{"request_bytes_max":16777217}})", "limits.request_bytes_max",
       "expected a whole number from 1 to 16777216, got 16777217"},
      {R"({"limits":{"chats_max":0}})", "limits.chats_max",
       "expected a whole number from 1 to 10000, got 0"},
      {R"({"limits":{"cooldown_ms":1800001}})", "limits.cooldown_ms",
       "expected a whole number from 0 to 1800000, got 1800001"},
      {R"({"limits":{"cooldown":1}})", "limits.cooldown",
       "unknown field; expected one of request_bytes_max, chats_max, cooldown_ms, "
       "body_ms, bodies_bytes_max, client_share"},
  };
  for (const Row& row : rows) {
    const ConfigProblem problem = problem_of_text(row.text);
    EXPECT_EQ(problem.path, row.path) << row.text;
    EXPECT_EQ(problem.message, row.message) << row.text;
  }
}

TEST(ConfigRefuse, AnUnknownQuirkIsToldWithTheKnownOnes) {
  std::string names;
  for (const quirk::Name& each : quirk::kNames) Field::add_choice(names, each.name);
  for (const char* section : {R"("providers":{"openai")", R"("engines":{"openai:x")"}) {
    const ConfigProblem problem =
        problem_of_text("{" + std::string(section) + R"(:{"quirks":["no_done","fast"]}}})");
    EXPECT_EQ(problem.path.substr(problem.path.rfind('.')), ".quirks[1]");
    EXPECT_EQ(problem.message, "expected one of " + names + ", got \"fast\"");
  }
}

// Every field there is, given a value of every type that it does not take.
TEST(ConfigRefuse, WrongTypes) {
  const std::pair<const char*, const char*> fields[] = {
      {"providers", "object"},
      {"providers.openai", "object"},
      {"providers.openai.name", "string"},
      {"providers.openai.dialect", "string"},
      {"providers.openai.base_url", "string"},
      {"providers.openai.keys", "array"},
      {"providers.openai.auth", "string"},
      {"providers.openai.headers", "object"},
      {"providers.openai.headers.x-team", "string"},
      {"providers.openai.quirks", "array"},
      {"providers.openai.regular_stream", "boolean"},
      {"providers.openai.simulated", "boolean"},
      {"engines", "object"},
      {"engines.openai:x", "object"},
      {"engines.openai:x.context_window", "number"},
      {"engines.openai:x.max_output", "number"},
      {"engines.openai:x.price_in", "number"},
      {"engines.openai:x.price_out", "number"},
      {"engines.openai:x.price_cache_read", "number"},
      {"engines.openai:x.price_cache_write", "number"},
      {"engines.openai:x.cost", "string"},
      {"engines.openai:x.latency", "string"},
      {"engines.openai:x.capabilities", "array"},
      {"engines.openai:x.quirks", "array"},
      {"routes", "object"},
      {"routes.standard", "object"},
      {"routes.standard.chain", "array"},
      {"routes.standard.attempts_max", "number"},
      {"routes.standard.attempts_per_engine", "number"},
      {"routes.standard.rate_limit_wait_ms", "number"},
      {"routes.standard.timeouts", "object"},
      {"routes.standard.timeouts.headers_ms", "number"},
      {"routes.standard.timeouts.first_content_ms", "number"},
      {"routes.standard.timeouts.idle_ms", "number"},
      {"routes.standard.timeouts.total_ms", "number"},
      {"routes.standard.on_auth_error", "string"},
      {"routes.standard.on_content_filter", "string"},
      {"routes.standard.strict", "boolean"},
      {"default_route", "string"},
      {"cors", "object"},
      {"cors.origin", "string"},
      {"limits", "object"},
      {"limits.request_bytes_max", "number"},
      {"limits.chats_max", "number"},
      {"limits.cooldown_ms", "number"},
  };
  const std::pair<const char*, json> values[] = {
      {"object", json::object()}, {"array", json::array()}, {"string", "1"}, {"number", 1},
      {"boolean", true},          {"null", nullptr}};
  for (const auto& [path, taken] : fields)
    for (const auto& [type, value] : values) {
      if (std::string_view(type) == taken) continue;
      std::string pointer = std::string("/") + path;
      std::replace(pointer.begin(), pointer.end(), '.', '/');
      json config;
      config[json::json_pointer(pointer)] = value;
      const ConfigProblem problem = problem_of_text(config.dump());
      EXPECT_EQ(problem.path, path) << config;
      EXPECT_EQ(problem.message.substr(0, 9), "expected ") << problem.message;
      EXPECT_NE(problem.message.find(", got "), std::string::npos) << problem.message;
    }
}

TEST(ConfigRefuse, BrokenJsonIsToldWithItsPlace) {
  struct Row {
    const char* text;
    const char* message;
  };
  const Row rows[] = {
      {R"({"routes":)", "expected JSON: the text ends inside a value at byte 10"},
      {R"({"routes":{})", "expected JSON: the text ends inside a value at byte 12"},
      {R"({'routes':{}})", "expected JSON: expected a member name in quotes at byte 1"},
      {R"({"cors":{},})", "expected JSON: expected a member name in quotes at byte 11"},
      {R"({} {})", "expected JSON: more text after the value at byte 3"},
      {R"({"routes":,})", "expected JSON: expected a value at byte 10"},
      {"// comment\n{}", "expected JSON: expected a value at byte 0"},
      {"{\"default_route\":\"a\nb\"}",
       "expected JSON: a raw control character in a string at byte 19"},
  };
  for (const Row& row : rows) {
    const ConfigProblem problem = problem_of_text(row.text);
    EXPECT_EQ(problem.path, "config[0]") << row.text;
    EXPECT_EQ(problem.message, row.message) << row.text;
    // Which text it was.
    EXPECT_EQ(problem_of(config_input({"{}", "", row.text})).path, "config[2]");
    const ConfigProblem variable = problem_of(config_input({}, {{"SPILLWAY_CONFIG", row.text}}));
    EXPECT_EQ(variable.path, "SPILLWAY_CONFIG") << row.text;
    EXPECT_EQ(variable.message, row.message) << row.text;
  }
  EXPECT_EQ(problem_of(R"({"config":[)").path, "");
  EXPECT_EQ(problem_of(R"({"config":[)").message,
            "expected JSON: the text ends inside a value at byte 11");
  const std::string deep = std::string(limits::json_depth_max + 1, '[');
  EXPECT_EQ(problem_of_text(deep).message, "expected JSON: nested too deeply at byte 128");
}

TEST(ConfigRefuse, TheHostsInput) {
  struct Row {
    const char* input;
    const char* path;
    const char* message;
  };
  const Row rows[] = {
      {"", "", "expected JSON: the text ends inside a value at byte 0"},
      {"[]", "", "expected an object, got an array"},
      {R"({"configs":[]})", "configs", "unknown field; expected one of config, env"},
      {R"({"config":{}})", "config", "expected an array of texts, got an object"},
      {R"({"config":["{}",{}]})", "config[1]", "expected a string, got an object"},
      {R"({"env":[]})", "env", "expected an object, got an array"},
      {R"({"env":{"A":1}})", "env.A", "expected a string, got a number"},
  };
  for (const Row& row : rows) {
    const ConfigProblem problem = problem_of(row.input);
    EXPECT_EQ(problem.path, row.path) << row.input;
    EXPECT_EQ(problem.message, row.message) << row.input;
  }
}

TEST(ConfigRefuse, TheFirstProblemIsTold) {
  const ConfigProblem problem = problem_of(
      config_input({R"({"cors":{"origin":1},"limits":{"chats_max":0}})", R"({"nothing":1})"}));
  EXPECT_EQ(problem.path, "cors.origin");
}

TEST(ConfigRefuse, Bounds) {
  json chain = json::array();
  for (std::size_t number = 0; number < limits::chain_max; ++number)
    chain.push_back("openai:m" + std::to_string(number));
  const auto route = [&chain] { return json{{"routes", {{"mine", {{"chain", chain}}}}}}.dump(); };
  EXPECT_EQ(load_config({route()})->find_route("mine")->chain.size(), limits::chain_max);
  chain.push_back("openai:one-too-many");
  EXPECT_EQ(problem_of_text(route()).path, "routes.mine.chain[64]");
  EXPECT_EQ(problem_of_text(route()).message, "expected at most 64 engines");

  // All texts together.
  const std::string half = "{}" + std::string(limits::config_bytes_max / 2 - 2, ' ');
  load_config({half, half});
  const ConfigProblem problem = problem_of(config_input({half, half, " "}));
  EXPECT_EQ(problem.path, "config[2]");
  EXPECT_EQ(problem.message, "expected at most 1048576 bytes of config");
  EXPECT_EQ(problem_of(config_input({half, half}, {{"SPILLWAY_CONFIG", "{}"}})).path,
            "SPILLWAY_CONFIG");
}

// --- keys

TEST(ConfigKeys, FoundByTheirNames) {
  struct Row {
    const char* what;
    Environment env;
    Texts keys;
    const char* missing;
  };
  const Row rows[] = {
      {"none", {}, {}, "ACME_API_KEY"},
      {"one", {{"ACME_API_KEY", "one"}}, {"one"}, ""},
      {"an empty one", {{"ACME_API_KEY", ""}}, {}, "ACME_API_KEY"},
      {"nothing but white space", {{"ACME_API_KEY", " \n"}}, {}, "ACME_API_KEY"},
      {"a line end behind it", {{"ACME_API_KEY", " one\r\n"}}, {"one"}, ""},
      {"numbered",
       {{"ACME_API_KEY", "one"}, {"ACME_API_KEY_2", "two"}, {"ACME_API_KEY_3", "three"}},
       {"one", "two", "three"},
       ""},
      {"a gap ends them", {{"ACME_API_KEY", "one"}, {"ACME_API_KEY_3", "three"}}, {"one"}, ""},
      {"numbered without the first", {{"ACME_API_KEY_2", "two"}}, {"two"}, ""},
      {"no number one", {{"ACME_API_KEY_1", "one"}}, {}, "ACME_API_KEY"},
      {"the same twice", {{"ACME_API_KEY", "one"}, {"ACME_API_KEY_2", "one"}}, {"one"}, ""},
      {"another name", {{"ACME_TOKEN", "other"}, {"ACME_TOKEN_2", "next"}}, {"other", "next"}, ""},
      {"both names", {{"ACME_TOKEN", "other"}, {"ACME_API_KEY", "one"}}, {"one", "other"}, ""},
      {"another's", {{"ACME_API_KEYS", "one"}, {"OPENAI_API_KEY", "two"}}, {}, "ACME_API_KEY"},
  };
  const std::string text =
      R"({"providers":{"acme":{"dialect":"openai_chat","base_url":"https://acme.test",)"
      R"("keys":["ACME_API_KEY","ACME_TOKEN"]}}})";
  for (const Row& row : rows) {
    const auto config = load_config({text}, row.env);
    const Provider& acme = *config->find_provider("acme");
    EXPECT_EQ(revealed(acme.keys), row.keys) << row.what;
    EXPECT_EQ(acme.missing, row.missing) << row.what;
    EXPECT_EQ(acme.ready(), !row.keys.empty()) << row.what;
  }
}

TEST(ConfigKeys, ThereIsABound) {
  Environment env{{"ACME_API_KEY", "key-1"}};
  for (int number = 2; number <= limits::keys_per_provider_max + 5; ++number)
    env["ACME_API_KEY_" + std::to_string(number)] = "key-" + std::to_string(number);
  const auto config = load_config({kAcme}, env);
  const auto keys = revealed(config->find_provider("acme")->keys);
  ASSERT_EQ(keys.size(), static_cast<std::size_t>(limits::keys_per_provider_max));
  EXPECT_EQ(keys.back(), "key-32");
}

TEST(ConfigKeys, BaseUrlsFromTheEnvironment) {
  struct Row {
    const char* base_url;
    Environment env;
    const char* filled;
    const char* missing;
  };
  const Row rows[] = {
      {"https://{REGION}.acme.test/{ACCOUNT}/v1",
       {{"REGION", "eu"}, {"ACCOUNT", "7"}},
       "https://eu.acme.test/7/v1",
       ""},
      {"https://{REGION}.acme.test/{ACCOUNT}/v1", {{"REGION", "eu"}}, nullptr, "ACCOUNT"},
      {"https://{REGION}.acme.test/{ACCOUNT}/v1", {}, nullptr, "REGION"},
      {"https://{REGION}.acme.test", {{"REGION", ""}}, nullptr, "REGION"},
      {"{HOST}/v1", {{"HOST", "https://box.test:11434"}}, "https://box.test:11434/v1", ""},
      {"{HOST}/v1", {{"HOST", "127.0.0.1:11434"}}, "http://127.0.0.1:11434/v1", ""},
      {"{HOST}/v1", {{"HOST", "localhost"}}, "http://localhost/v1", ""},
      {"{HOST}/v1", {{"HOST", "http://box:1/\n"}}, "http://box:1/v1", ""},
      {"{HOST}/v1", {{"HOST", "/"}}, nullptr, "HOST"},
      {"http://{HOST}/v1", {{"HOST", "box:1"}}, "http://box:1/v1", ""},
      {"{HOST}/{HOST}", {{"HOST", "a{HOST}"}}, "http://a{HOST}/a{HOST}", ""},
  };
  for (const Row& row : rows) {
    const json text{
        {"providers", {{"acme", {{"dialect", "openai_chat"}, {"base_url", row.base_url}}}}}};
    const auto config = load_config({text.dump()}, row.env);
    const Provider& acme = *config->find_provider("acme");
    EXPECT_EQ(acme.missing, row.missing) << row.base_url;
    if (row.filled != nullptr) EXPECT_EQ(acme.base_url, row.filled);
  }
}

TEST(ConfigKeys, WhatABaseUrlLacksIsToldBeforeTheKey) {
  const std::string text =
      R"({"providers":{"acme":{"dialect":"gemini","base_url":"{HOST}","keys":["ACME_API_KEY"]}}})";
  EXPECT_EQ(load_config({text})->find_provider("acme")->missing, "HOST");
  EXPECT_EQ(load_config({text}, {{"HOST", "h"}})->find_provider("acme")->missing, "ACME_API_KEY");
}

TEST(ConfigKeys, TheBuiltInOnesThatNameAVariableInTheirUrl) {
  const auto without = load_config({});
  EXPECT_EQ(without->find_provider("ollama")->missing, "OLLAMA_HOST");
  const auto with = load_config({}, {{"OLLAMA_HOST", "127.0.0.1:11434"}});
  EXPECT_TRUE(with->find_provider("ollama")->ready());
  EXPECT_EQ(with->find_provider("ollama")->base_url, "http://127.0.0.1:11434/v1");
}

// They would break the header or the address of every request to that provider.
TEST(ConfigKeys, WhatNoHeaderOrUrlCanHoldIsRefusedUntold) {
  const std::string text =
      R"({"providers":{"acme":{"dialect":"gemini","base_url":"{HOST}","keys":["ACME_API_KEY"]}}})";
  struct Row {
    const char* name;
    const char* value;
    const char* message;
  };
  const Row rows[] = {
      {"ACME_API_KEY", "sk-one\nsk-two", "expected a key of printable ASCII without white space"},
      {"ACME_API_KEY", "sk-one sk-two", "expected a key of printable ASCII without white space"},
      {"SPILLWAY_KEYS", "one,t wo", "expected a key of printable ASCII without white space"},
      {"SPILLWAY_KEYS", "one,t\xC3\xBCwo", "expected a key of printable ASCII without white space"},
      {"ACME_API_KEY", "sk-\x7f", "expected a key of printable ASCII without white space"},
      {"ACME_API_KEY", "sk-schlüssel", "expected a key of printable ASCII without white space"},
      {"ACME_API_KEY_2", "sk-one\r\nx: y", "expected a key of printable ASCII without white space"},
      {"HOST", "a b", "expected a URL of printable ASCII, without white space, query or fragment"},
      {"HOST", "a\r\nb",
       "expected a URL of printable ASCII, without white space, query or fragment"},
      {"HOST", "user:pass@a",
       "expected a URL without user and password: keys have variables of their own"},
      {"HOST", "pass@a/b",
       "expected a URL without user and password: keys have variables of their own"},
      {"HOST", "a?b", "expected a URL of printable ASCII, without white space, query or fragment"},
  };
  for (const Row& row : rows) {
    Environment env{{"HOST", "host.test"}, {"ACME_API_KEY", "sk-fine"}};
    env[row.name] = row.value;
    const ConfigProblem problem = problem_of(config_input({text}, env));
    EXPECT_EQ(problem.path, std::string("env.") + row.name) << row.value;
    EXPECT_EQ(problem.message, row.message);
  }
}

TEST(ConfigKeys, ClientKeys) {
  const std::string digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  const std::string upper = "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF";
  struct Row {
    std::string value;
    Texts keys, digests;
  };
  const Row rows[] = {
      {"", {}, {}},
      {" , ,,\n", {}, {}},
      {"one", {"one"}, {}},
      {" one , two\n,three,", {"one", "two", "three"}, {}},
      {"sha256:" + digest, {}, {digest}},
      {" sha256:" + upper + " ", {}, {digest}},
      {"one,sha256:" + digest + ",two", {"one", "two"}, {digest}},
      {"SHA256:" + upper, {}, {digest}},
      {"one, one", {"one"}, {}},
  };
  for (const Row& row : rows) {
    const auto config = load_config({}, {{"SPILLWAY_KEYS", row.value}});
    Texts keys, digests;
    for (const ClientKey& key : config->client_keys) {
      (key.is_digest ? digests : keys).emplace_back(key.text.reveal());
      EXPECT_EQ(key.client->name, "default");
    }
    EXPECT_EQ(keys, row.keys) << row.value;
    EXPECT_EQ(digests, row.digests) << row.value;
  }
  EXPECT_TRUE(load_config({})->client_keys.empty());
}

// A digest that is none could be matched by a client that has none: such a key is refused, untold.
TEST(ConfigKeys, BrokenDigestsAreRefused) {
  const std::string digest(64, 'a');
  for (const std::string& key :
       {std::string("sha256:"), "sha256:" + digest.substr(1), "sha256:" + digest + "a",
        "sha256:" + digest.substr(1) + "g", "sha256: " + digest, std::string("one,sha256:,two"),
        std::string("SHA256:x")}) {
    const ConfigProblem problem = problem_of(config_input({}, {{"SPILLWAY_KEYS", key}}));
    EXPECT_EQ(problem.path, "env.SPILLWAY_KEYS") << key;
    EXPECT_EQ(problem.message, "expected 64 hexadecimal digits after each sha256:") << key;
  }
}

// --- secrets

template <class T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };
template <class T>
concept Addable = requires(std::string text, const T& value) { text + value; };

static_assert(Printable<std::string> && Addable<std::string>);
static_assert(!Printable<Secret> && !Addable<Secret>);
static_assert(!std::equality_comparable<Secret>);
static_assert(!std::equality_comparable_with<Secret, std::string>);
static_assert(!std::equality_comparable_with<Secret, std::string_view>);
static_assert(!std::totally_ordered<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);
static_assert(!std::is_convertible_v<Secret, bool>);
static_assert(!std::is_constructible_v<std::string, Secret>);
static_assert(!std::is_constructible_v<std::string_view, Secret>);
static_assert(!std::is_convertible_v<std::string, Secret>, "a secret is made on purpose");

TEST(ConfigSecrets, EqualInConstantTimeIsEquality) {
  const std::string_view texts[] = {
      "",     "a",     "b",    "aa",      "ab",        "aaa",      "aaaa",
      "abab", "ababa", "Aaaa", {"\0", 1}, {"\0\0", 2}, {"a\0", 2}, "0123456789abcdef"};
  for (const std::string_view given : texts)
    for (const std::string_view secret : texts)
      EXPECT_EQ(equal_in_constant_time(given, secret), given == secret) << given << ' ' << secret;
  std::string key(64, 'k');
  for (std::size_t at = 0; at < key.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string other = key;
      other[at] = static_cast<char>(other[at] ^ (1 << bit));
      EXPECT_FALSE(equal_in_constant_time(other, key)) << at << ' ' << bit;
    }
}

TEST(ConfigSecrets, Redaction) {
  struct Row {
    const char* text;
    const char* redacted;
  };
  const Row rows[] = {
      {"", ""},
      {"nothing to see", "nothing to see"},
      {"Incorrect API key provided: sk-acme-1.", "Incorrect API key provided: [redacted]."},
      {"sk-acme-1", "[redacted]"},
      {"sk-acme-1sk-acme-1 sk-other", "[redacted] [redacted]"},
      // A key may begin another, in whatever order they stand, hold it or overlap it.
      {"sk-acme-10 sk-acme-100", "[redacted] [redacted]"},
      {"a sk-other-account b", "a [redacted] b"},
      {"xx-sk-acme-1-xx", "[redacted]"},
      {"client-key-of-both", "[redacted]"},
      {"key-of-both", "[redacted]"},
      {"Bearer client-key", "Bearer [redacted]"},
      {"sk-acme-2", "sk-acme-2"},
      {"a short one, sixsix", "a short one, [redacted]"},  // the key `short` would eat words
      // Where nothing else stands, a key may be all that fits.
      {"sk-%61cme-1", "[redacted]"},
      {"sk-\\u0061cme-1", "[redacted]"},
      {"c2stYWNtZS0x", "[redacted]"},
      {"c2stYWNtZS", "c2stYWNtZS"},
      // Of a part nothing is told, wherever it stands.
      {"cut inside sk-acme-", "cut inside sk-acme-"},
      {"sk-acm is how it begins", "sk-acm is how it begins"},
      {"k-acme-1 is how it ends", "k-acme-1 is how it ends"},
  };
  const auto config = load_config({kAcme}, {{"ACME_API_KEY", "sk-acme-1"},
                                            {"ACME_API_KEY_2", "short"},
                                            {"ACME_API_KEY_3", "sixsix"},
                                            {"ACME_API_KEY_4", "sk-acme-100"},
                                            {"ACME_API_KEY_5", "sk-acme-10"},
                                            {"OPENAI_API_KEY", "sk-other"},
                                            {"OPENAI_API_KEY_2", "xx-sk-acme-1-xx"},
                                            {"GROQ_API_KEY", "sk-other-account"},
                                            {"SPILLWAY_KEYS", "client-key,key-of-both"}});
  for (const Row& row : rows) {
    std::string text = row.text;
    EXPECT_EQ(config->redact(text), row.text != std::string_view(row.redacted));
    EXPECT_EQ(text, row.redacted);
  }
}

// A key that stands in the mark that replaces it does not go round for ever.
TEST(ConfigSecrets, RedactionEnds) {
  const auto config = load_config({kAcme}, {{"ACME_API_KEY", "redacted"}});
  std::string text = "twice redacted, redacted";
  EXPECT_TRUE(config->redact(text));
  EXPECT_EQ(text, "twice [redacted], [redacted]");
  text = "redactedredacted";
  EXPECT_TRUE(config->redact(text));
  EXPECT_EQ(text, "[redacted]");
}

TEST(ConfigSecrets, ARefusalDoesNotTellAKey) {
  const ConfigProblem problem = problem_of(
      config_input({R"({"nothing":1})"}, {{"OPENAI_API_KEY", "sk-1"}, {"SPILLWAY_KEYS", "ck-1"}}));
  EXPECT_EQ((problem.path + problem.message).find("sk-1"), std::string::npos);
  EXPECT_EQ((problem.path + problem.message).find("ck-1"), std::string::npos);
}

}  // namespace
}  // namespace spillway
