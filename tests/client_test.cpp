// Clients as rows of the config: what each reaches and may set, by whatever spelling it asks.
#include "client.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ask.h"
#include "load_config.h"
#include "recorder.h"

namespace spillway {
namespace {

using json = nlohmann::json;

constexpr Instant kNow = Instant::at_ms(1'767'225'600'000);

constexpr const char* kConfig = R"({
  "providers": {
    "acme": {"dialect": "openai_chat", "base_url": "http://u.test/acme", "keys": []},
    "bravo": {"dialect": "openai_chat", "base_url": "http://u.test/bravo", "keys": []},
    "gem": {"dialect": "gemini", "base_url": "http://u.test/gem", "keys": []}
  },
  "engines": {"acme:small": {}, "acme:large": {}, "bravo:small": {}, "gem:flash": {}, "gem:pro": {}},
  "routes": {
    "cheap": {"chain": ["acme:small", "bravo:small"]},
    "dear": {"chain": ["acme:large", "gem:pro"], "attempts_max": 9, "hedge": true,
             "timeouts": {"total_ms": 86400000}},
    "mixed": {"chain": ["bravo:small", "acme:small"], "attempts_max": 6, "rescue": false},
    "again": {"chain": ["acme:small"], "attempts_per_engine": 3, "repeat": {"timeout": 0},
              "rate_limit_wait_ms": 1000}
  },
  "default_route": "dear",
  "clients": {
    "free": {"keys": ["FREE_KEY"]},
    "routes": {"keys": ["ROUTES_KEY"], "routes": ["cheap"]},
    "engines": {"keys": ["ENGINES_KEY"], "engines": ["acme:*", "gem:flash"]},
    "aliases": {"keys": ["ALIASES_KEY"], "engines": ["gem:f*", "gem:m*", "acme:models/*"]},
    "both": {"keys": ["BOTH_KEY"], "routes": ["mixed"], "engines": ["acme:small"]},
    "few": {"keys": ["FEW_KEY"], "attempts_max": 2, "request_bytes_max": 400, "chats_max": 1},
    "trusted": {"keys": ["TRUSTED_KEY"], "policy": ["timeouts", "attempts_max", "hedge", "rescue"],
                "attempts_max": 12},
    "patient": {"keys": ["PATIENT_KEY"], "policy": ["repeat"]}
  }
})";

const Environment kKeys{{"FREE_KEY", "free-key"},       {"ROUTES_KEY", "routes-key"},
                        {"ENGINES_KEY", "engines-key"}, {"BOTH_KEY", "both-key"},
                        {"ALIASES_KEY", "aliases-key"}, {"FEW_KEY", "few-key"},
                        {"TRUSTED_KEY", "trusted-key"}, {"PATIENT_KEY", "patient-key"}};

struct Answer {
  int status = 0;  // 0: a provider is being asked
  std::string code, param, message;
  std::vector<std::string> asked;  // URLs, and the models in the bodies
};

class Clients : public testing::Test {
 protected:
  Answer ask_as(const std::string& client, const std::string& body) {
    Recorder host;
    Gateway gateway(*config_, host);
    const json head{{"method", "POST"},
                    {"url", "/v1/chat/completions"},
                    {"headers", {{"authorization", "Bearer " + client + "-key"}}}};
    const ChatId chat = ask(gateway, kNow, 1, head.dump(), body);
    Answer answer;
    // Each engine is down: so all that the request may go to are seen.
    for (std::size_t fetch = 0; fetch < host.fetches.size(); ++fetch) {
      const json sent = json::parse(host.fetches[fetch].body);
      answer.asked.push_back(json::parse(host.fetches[fetch].head).at("url").get<std::string>() +
                             " " + sent.value("model", ""));
      const ExchangeId exchange = host.fetches[fetch].exchange;
      gateway.step(kNow, input::Error{exchange, "down"});
    }
    const Recorder::Response& response = host.responses[chat];
    answer.status = response.status;
    const json told = json::parse(response.body, nullptr, false);
    if (told.is_object() && told.contains("error")) {
      const json& error = told["error"];
      answer.code = error.value("code", "");
      answer.param = error["param"].is_string() ? error["param"].get<std::string>() : "";
      answer.message = error.value("message", "");
    }
    return answer;
  }
  static std::string asking(const std::string& members) {
    return R"({"messages":[{"role":"user","content":"Hi"}])" +
           (members.empty() ? "" : "," + members) + "}";
  }

  std::unique_ptr<const Config> config_ = load_config({kConfig}, kKeys);
};

const std::string kAcme = "http://u.test/acme/chat/completions ";
const std::string kBravo = "http://u.test/bravo/chat/completions ";

TEST_F(Clients, ReachWhatTheirRowsName) {
  struct Row {
    const char* client;
    const char* members;
    std::vector<std::string> asked;  // empty: refused
    const char* param = "";
  };
  const Row rows[] = {
      {"free", R"("model":"bravo:any")", {kBravo + "any"}},
      {"free", R"("model":"cheap")", {kAcme + "small", kBravo + "small"}},

      {"routes", R"("model":"cheap")", {kAcme + "small", kBravo + "small"}},
      {"routes", "", {kAcme + "small", kBravo + "small"}},  // its own first route
      {"routes", R"("model":"dear")", {}, "model"},
      {"routes", R"("model":"acme:small")", {}, "model"},
      {"routes", R"("model":"small")", {}, "model"},
      {"routes", R"("model":"cheap","models":["dear"])", {}, "models[0]"},
      {"routes", R"("models":["cheap","acme:large"])", {}, "models[1]"},
      {"routes", R"("model":"cheap","spillway":{"chain":["acme:large"]})", {}, "spillway.chain[0]"},
      {"routes", R"("spillway":{"chain":["cheap"]})", {kAcme + "small", kBravo + "small"}},
      {"routes", R"("model":"nothing")", {}, "model"},

      {"engines", R"("model":"acme:anything")", {kAcme + "anything"}},
      {"engines", R"("model":"bravo:small")", {}, "model"},
      {"engines", R"("model":"small")", {kAcme + "small"}},
      {"engines", R"("model":"pro")", {}, "model"},
      {"engines", R"("model":"cheap")", {kAcme + "small"}},
      {"engines", "", {kAcme + "large"}},
      {"engines", R"("models":["acme:small","bravo:small"])", {}, "models[1]"},
      {"engines",
       R"("model":"acme:small","spillway":{"chain":["acme:small","gem:pro"]})",
       {},
       "spillway.chain[1]"},
      {"engines", R"("model":"acme")", {}, "model"},
      {"engines", R"("model":"acme:")", {}, "model"},
      {"engines", R"("model":"gem:flash-lite")", {}, "model"},

      {"both", R"("model":"mixed")", {kAcme + "small"}},
      {"both", R"("model":"acme:small")", {kAcme + "small"}},
      {"both", R"("model":"acme:large")", {}, "model"},
      {"both", R"("model":"cheap")", {}, "model"},
      {"both", "", {kAcme + "small"}},
  };
  for (const Row& row : rows) {
    const std::string what = std::string(row.client) + " " + row.members;
    const Answer answer = ask_as(row.client, asking(row.members));
    EXPECT_EQ(answer.asked, row.asked) << what;
    if (!row.asked.empty()) continue;
    EXPECT_EQ(answer.status, 403) << what;
    EXPECT_EQ(answer.code, "not_allowed") << what;
    EXPECT_EQ(answer.param, row.param) << what;
    EXPECT_NE(answer.message.find("Client \"" + std::string(row.client) + "\" does not reach"),
              std::string::npos)
        << answer.message;
  }
}

// Gemini takes a model under "models/" too: that is no way around a beginning of a name.
TEST_F(Clients, ReachNoMoreUnderAnAlias) {
  EXPECT_EQ(ask_as("aliases", asking(R"("model":"gem:models/pro")")).status, 403);
  EXPECT_EQ(ask_as("aliases", asking(R"("model":"gem:models/models/pro")")).status, 403);
  EXPECT_EQ(ask_as("aliases", asking(R"("model":"gem:flash")")).asked.size(), 1U);
  EXPECT_EQ(ask_as("aliases", asking(R"("model":"acme:models/x")")).asked,
            std::vector{kAcme + "models/x"});
}

// What cools and who is ready is told to whoever reaches all of it.
TEST_F(Clients, SeeNoMoreOfHealthThanTheyReach) {
  const auto told = [this](const char* key) {
    Recorder host;
    Gateway gateway(*config_, host);
    const json head{{"method", "GET"}, {"url", "/health"}, {"headers", {{"x-api-key", key}}}};
    return json::parse(host.responses[gateway.open(kNow, 1, head.dump())].body);
  };
  EXPECT_TRUE(told("free-key").contains("providers"));
  EXPECT_TRUE(told("few-key").contains("cooling"));
  for (const char* key : {"engines-key", "routes-key", "both-key", "no-key"}) {
    EXPECT_FALSE(told(key).contains("providers")) << key;
    EXPECT_FALSE(told(key).contains("cooling")) << key;
    EXPECT_EQ(told(key).at("status"), "ok") << key;
  }
}

// A row holds however a name is written, where it stands, and how often.
TEST_F(Clients, CannotSpellTheirWayOut) {
  const char* const spellings[] = {
      R"("model":"bravo:small")",
      R"("model":"\u0062ravo:small")",
      R"("model":"bravo\u003asmall")",
      R"("\u006dodel":"bravo:small")",
      R"("model":"acme:small","model":"bravo:small")",
      R"("model":"acme:small","models":["acme:small"],"models":["bravo:small"])",
      R"("model":"acme:small","spillway":{},"spillway":{"chain":["bravo:small"]})",
      R"("model":"acme:small","spillway":{"chain":["acme:small"],"chain":["bravo:small"]})",
      R"("model":"acme:small","spillway":{"chain":["bravo\u003Asmall"]})",
      R"("model":"acme:small","\u0073pillway":{"chain":["bravo:small"]})",
      R"("model":"Acme:small")",
      R"("model":" bravo:small")",
      R"("model":"bravo:small ")",
      R"("model":"bravo%3Asmall")",
      R"("model":"acme:*,bravo:small")",
      R"("model":"*")",
      R"("model":"gem:pro")",
      R"("model":"gem:models/pro")",
      R"("model":"models/pro")",
      R"("model":"gem:flash/../pro")",
      R"("model":"gem:flash%2F..%2Fpro")",
      R"("models":["bravo:small"])",
      R"("model":"","models":["","gem:pro"])",
  };
  for (const char* spelling : spellings) {
    const Answer answer = ask_as("engines", asking(spelling));
    for (const std::string& asked : answer.asked)
      EXPECT_TRUE(asked.starts_with(kAcme) ||
                  asked.starts_with("http://u.test/gem/models/flash:generateContent"))
          << spelling << ": " << asked;
  }
  // Wherever a name may stand, the last member of that name counts, and is judged.
  EXPECT_EQ(ask_as("engines", asking(R"("model":"bravo:small","model":"acme:small")")).asked,
            std::vector{kAcme + "small"});
}

// A route that is named for its policy alone is named all the same.
TEST_F(Clients, CannotBorrowAPolicy) {
  const Answer answer =
      ask_as("both", asking(R"("model":"dear","spillway":{"chain":["acme:small"]})"));
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.param, "model");
}

TEST_F(Clients, SetNoMoreThanTheirRouteAndRowAllow) {
  struct Row {
    const char* client;
    const char* model;
    const char* policy;
    const char* param;  // of what is refused, empty when it is not
  };
  const Row rows[] = {
      {"free", "cheap", R"({"attempts_max":3,"strict":true,"rescue":false})", ""},
      {"free", "cheap", R"({"timeouts":{"headers_ms":1,"idle_ms":1,"total_ms":1000}})", ""},
      {"free", "cheap", R"({"timeouts":{"first_content_ms":60000}})", ""},
      {"free", "cheap", R"({"attempts_max":5})", "spillway.attempts_max"},
      {"free", "cheap", R"({"attempts_per_engine":2})", "spillway.attempts_per_engine"},
      {"free", "cheap", R"({"repeat":{"server":1}})", "spillway.repeat.server"},
      {"free", "cheap", R"({"repeat":{"rate_limited":1}})", "spillway.repeat.rate_limited"},
      {"free", "cheap", R"({"repeat":{"empty":1}})", "spillway.repeat.empty"},
      {"free", "cheap", R"({"repeat":{"server":0,"rate_limited":0,"empty":0}})", ""},
      {"free", "again", R"({"repeat":{"server":2,"timeout":0}})", ""},
      {"free", "again", R"({"repeat":{"server":3}})", "spillway.repeat.server"},
      {"free", "again", R"({"attempts_per_engine":1})", ""},
      {"free", "again", R"({"attempts_per_engine":3})", "spillway.repeat.timeout"},
      {"free", "again", R"({"repeat":{"rate_limited":8}})", ""},
      {"free", "again", R"({"repeat":{"rate_limited":8},"rate_limit_wait_ms":0})", ""},
      {"free", "cheap", R"({"rate_limit_wait_ms":1})", "spillway.rate_limit_wait_ms"},
      {"free", "cheap", R"({"timeouts":{"headers_ms":10001}})", "spillway.timeouts.headers_ms"},
      {"free", "cheap", R"({"timeouts":{"first_content_ms":60001}})",
       "spillway.timeouts.first_content_ms"},
      {"free", "cheap", R"({"timeouts":{"idle_ms":15001}})", "spillway.timeouts.idle_ms"},
      {"free", "cheap", R"({"timeouts":{"total_ms":600001}})", "spillway.timeouts.total_ms"},
      {"free", "dear", R"({"timeouts":{"total_ms":86400000}})", ""},
      {"free", "cheap", R"({"on_auth_error":"next"})", "spillway.on_auth_error"},
      {"free", "cheap", R"({"on_content_filter":"next"})", "spillway.on_content_filter"},
      {"free", "cheap", R"({"hedge":true})", "spillway.hedge"},
      {"free", "cheap", R"({"hedge":false})", ""},
      {"free", "dear", R"({"hedge":{"after":1}})", ""},
      {"free", "dear", R"({"hedge":{"max_extra":0.5}})", "spillway.hedge"},
      {"free", "dear", R"({"hedge":{"tools":true}})", "spillway.hedge"},
      {"free", "cheap", R"({"keep_alive":{"every_ms":1}})", "spillway.keep_alive.every_ms"},
      {"free", "cheap", R"({"keep_alive":{"every_ms":0,"before_content_ms":1}})", ""},
      {"free", "mixed", R"({"rescue":true})", "spillway.rescue"},
      {"free", "mixed", R"({"rescue":{}})", "spillway.rescue"},
      {"free", "cheap", R"({"rescue":{}})", ""},
      {"free", "cheap", R"({"rescue":{"instruction":"Go on."}})", "spillway.rescue"},
      {"free", "cheap", R"({"rescue":{"instruction":"Go on."},"rescue":false})", "spillway.rescue"},
      // Twice the same: the last counts.
      {"free", "cheap", R"({"attempts_max":5,"attempts_max":4})", ""},
      {"free", "cheap", R"({"attempts_max":4,"attempts_max":5})", "spillway.attempts_max"},
      {"free", "cheap", R"({"timeouts":{"total_ms":1},"timeouts":{"total_ms":700000}})",
       "spillway.timeouts.total_ms"},

      {"trusted", "cheap", R"({"timeouts":{"total_ms":86400000},"hedge":true})", ""},
      {"trusted", "cheap", R"({"attempts_max":12})", ""},
      {"trusted", "cheap", R"({"attempts_max":13})", "spillway.attempts_max"},
      {"trusted", "mixed", R"({"rescue":true})", ""},
      {"trusted", "mixed", R"({"rescue":{"instruction":"Go on."}})", ""},
      {"trusted", "cheap", R"({"on_auth_error":"next"})", "spillway.on_auth_error"},
      {"patient", "cheap", R"({"repeat":{"server":2,"empty":8,"rate_limited":1}})", ""},
      {"patient", "cheap", R"({"attempts_per_engine":2})", "spillway.attempts_per_engine"},
      {"few", "cheap", R"({"attempts_max":3})", "spillway.attempts_max"},
      {"few", "cheap", R"({"attempts_max":2})", ""},
  };
  for (const Row& row : rows) {
    const std::string what = std::string(row.client) + " " + row.model + " " + row.policy;
    const Answer answer = ask_as(row.client, asking(R"("model":")" + std::string(row.model) +
                                                    R"(","spillway":)" + row.policy));
    EXPECT_EQ(answer.param, row.param) << what;
    EXPECT_EQ(answer.status == 403, *row.param != '\0') << what << " " << answer.status;
    EXPECT_EQ(answer.asked.empty(), *row.param != '\0') << what;
    if (*row.param != '\0')
      EXPECT_NE(answer.message.find("In `spillway` it may set"), std::string::npos)
          << answer.message;
  }
  EXPECT_EQ(
      ask_as("few", asking(R"("model":"cheap","spillway":{"attempts_max":3})")).message,
      "Client \"few\" may not set spillway.attempts_max to more than 2. In `spillway` it may "
      "set a chain of what it reaches, strict, upstream, rescue: false, hedge where the route "
      "hedges, and no more than its route has of the rest");
}

TEST_F(Clients, CostNoMoreThanTheirRowsAllow) {
  EXPECT_EQ(ask_as("few", asking(R"("models":["dear","cheap","mixed"])")).asked.size(), 2U);
  EXPECT_EQ(ask_as("trusted", asking(R"("models":["dear","cheap"])")).asked.size(), 4U);
  const std::string large(500, 'x');
  EXPECT_EQ(ask_as("few", asking(R"("user":")" + large + "\"")).status, 413);
  EXPECT_EQ(ask_as("few", asking(R"("user":")" + large + "\"")).message,
            "Expected a body of at most 400 bytes");
  EXPECT_FALSE(ask_as("free", asking(R"("user":")" + large + "\"")).asked.empty());
}

TEST_F(Clients, SeeTheModelsThatTheyReach) {
  const auto models_of = [this](const std::string& client) {
    Recorder host;
    Gateway gateway(*config_, host);
    const json head{
        {"method", "GET"}, {"url", "/v1/models"}, {"headers", {{"x-api-key", client + "-key"}}}};
    const ChatId chat = gateway.open(kNow, 1, head.dump());
    std::string ids;
    const json list = json::parse(host.responses[chat].body);
    for (const json& model : list.at("data")) {
      const auto id = model.at("id").get<std::string>();
      if (id.starts_with("acme") || id.starts_with("bravo") || id.starts_with("gem:") ||
          id.find(':') == std::string::npos)
        ids += id + " ";
      if (id == "cheap") ids += model.at("chain").dump() + " ";
    }
    return ids;
  };
  EXPECT_EQ(models_of("routes"), R"(cheap ["acme:small","bravo:small"] )");
  EXPECT_EQ(models_of("both"), "mixed acme:small ");
  const std::string engines = models_of("engines");
  EXPECT_NE(engines.find(R"(cheap ["acme:small"] )"), std::string::npos) << engines;
  EXPECT_NE(engines.find("acme:large"), std::string::npos) << engines;
  EXPECT_EQ(engines.find("bravo"), std::string::npos) << engines;
  EXPECT_EQ(engines.find("gem:pro"), std::string::npos) << engines;
}

// SPILLWAY_KEYS: for whoever is the only one.
TEST(ClientDefault, MaySetWhatCostsNoMoreThanEightAttempts) {
  const auto config = load_config(
      {R"({"providers":{"acme":{"dialect":"openai_chat","base_url":"http://u.test","keys":[]}}})"},
      {{"SPILLWAY_KEYS", "one"}});
  ASSERT_EQ(config->clients.size(), 1U);
  const Client& client = config->clients.front();
  EXPECT_EQ(client.name, "default");
  EXPECT_TRUE(client.reaches_everything());
  EXPECT_EQ(client.attempts_max, 8);
  const Policy route;
  ConfigProblem problem;
  Policy asked = route;
  asked.attempts_max = 8;
  asked.attempts_per_engine = 8;
  asked.on_auth_error = OnFailure::next;
  EXPECT_TRUE(may_ask(client, route, asked, problem)) << problem.message;
  asked.attempts_max = 9;
  EXPECT_FALSE(may_ask(client, route, asked, problem));
  asked = route;
  asked.timeouts.total_ms += 1;
  EXPECT_FALSE(may_ask(client, route, asked, problem));
  asked = route;
  asked.hedge.on = true;
  EXPECT_FALSE(may_ask(client, route, asked, problem));
}

TEST(ClientDefault, IsBoundedByARowOfItsName) {
  const auto config =
      load_config({R"({"clients":{"default":{"attempts_max":2}}})"}, {{"SPILLWAY_KEYS", "one"}});
  ASSERT_EQ(config->clients.size(), 1U);
  EXPECT_EQ(config->clients.front().attempts_max, 2);
  EXPECT_EQ(config->clients.front().may_set, 0U);
}

TEST(ClientConfig, WhatIsRefused) {
  const std::string digest(64, 'a');
  struct Row {
    std::string clients;
    const char* path;
    const char* message;
  };
  const Row rows[] = {
      {R"({"a b":{}})", "clients.a b", "expected a name of letters, digits, '_', '-' and '.'"},
      {R"({"local":{}})", "clients.local",
       "expected another name: this one stands for whoever shows no key"},
      {R"({"a":{}})", "clients.a.keys",
       "missing; expected names of environment variables, or sha256: and a digest"},
      {R"({"a":{"keys":["A_KEY"]}})", "clients.a.keys", "the environment has no A_KEY"},
      {R"({"a":{"keys":["sha256:x"]}})", "clients.a.keys",
       "expected 64 hexadecimal digits after each sha256:"},
      {R"({"a":{"keys":["a key"]}})", "clients.a.keys[0]",
       "expected the name of an environment variable, or sha256: and a digest"},
      {R"({"a":{"keys":["ONE"]},"b":{"keys":["ONE"]}})", "clients.b.keys",
       "expected a key of its own, got one that client \"a\" has too"},
      {R"({"a":{"keys":["ONE"],"routes":["nothing"]}})", "clients.a.routes[0]",
       "expected the name of a route"},
      {R"({"a":{"keys":["ONE"],"engines":["nobody:*"]}})", "clients.a.engines[0]",
       R"(expected "provider:model" or "provider:*" with a known provider)"},
      {R"({"a":{"keys":["ONE"],"routes":["standard"],"engines":["openai:none"]}})",
       "clients.a.routes[0]", "expected a route with one of the client's engines"},
      {R"({"a":{"keys":["ONE"],"policy":["chain"]}})", "clients.a.policy[0]",
       "expected one of attempts_max, attempts_per_engine, repeat, rate_limit_wait_ms, timeouts, "
       "on_auth_error, on_content_filter, hedge, keep_alive, rescue, got \"chain\""},
      {R"({"a":{"keys":["ONE"],"attempts_max":33}})", "clients.a.attempts_max",
       "expected a whole number from 1 to 32, got 33"},
      {R"({"a":{"key":"ONE"}})", "clients.a.key",
       "unknown field; expected one of keys, routes, engines, policy, attempts_max, chats_max, "
       "request_bytes_max"},
  };
  for (const Row& row : rows) {
    ConfigProblem problem;
    const auto config = Config::load(
        config_input({R"({"clients":)" + row.clients + "}"}, {{"ONE", "the-key"}}), problem);
    EXPECT_EQ(config, nullptr) << row.clients;
    EXPECT_EQ(problem.path, row.path) << row.clients;
    EXPECT_EQ(problem.message, row.message) << row.clients;
    EXPECT_EQ(problem.message.find("the-key"), std::string::npos);
  }
}

// A row without a key that anyone could show still means that strangers are strangers.
TEST(ClientConfig, RowsCloseTheDoor) {
  const auto config = load_config({R"({"clients":{"default":{}}})"});
  Recorder host;
  Gateway gateway(*config, host);
  const ChatId chat =
      gateway.open(kNow, 1, R"({"method":"GET","url":"/v1/models","headers":{},"local":true})");
  EXPECT_EQ(host.responses[chat].status, 401);
}

}  // namespace
}  // namespace spillway
