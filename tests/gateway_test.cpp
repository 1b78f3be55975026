// Gateway: paths and methods, client keys, CORS, bounds, and what is answered without a provider.
#include "gateway.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "ask.h"
#include "load_config.h"
#include "recorder.h"

namespace spillway {
namespace {

using nlohmann::json;

constexpr Instant kNow = Instant::at_ms(1'800'000'000'000);
constexpr const char* kKey = "client-key";

constexpr const char* kConfig = R"({
  "providers": {
    "acme": {"dialect": "openai_chat", "base_url": "https://acme.test/v1",
             "keys": ["ACME_API_KEY"]},
    "toy": {"dialect": "openai_chat", "base_url": "http://toy.test", "simulated": true}
  },
  "engines": {
    "acme:org/m:1": {"context_window": 8192, "max_output": 1024, "price_in": 0.59, "price_out": 2,
                     "price_cache_read": 0.05, "cost": "low", "latency": "fast",
                     "capabilities": ["vision", "tools"]}
  },
  "routes": {"mine": {"chain": ["acme:org/m:1", "acme:other"]}}
})";

struct Reply {
  int status = 0;
  json head;
  std::string body;

  [[nodiscard]] json object() const { return json::parse(body, nullptr, false); }
  [[nodiscard]] std::string code() const { return object().value("/error/code"_json_pointer, ""); }
};

// One client of a gateway, with the right key unless a test says otherwise.
class Client {
 public:
  explicit Client(const std::vector<std::string>& more = {},
                  const Environment& env = {{"SPILLWAY_KEYS", kKey},
                                            {"ACME_API_KEY", "provider-key"}})
      : config_(load_config(with(more), env)), gateway_(*config_, host_) {}

  // The chat's id; what came out for it so far is in the host.
  ChatId open(const json& head, std::string_view body = {}) {
    return ask(gateway_, kNow, ++seed_, head.dump(), body);
  }
  // For what is answered at once.
  Reply send(const json& head, std::string_view body = {}) { return reply(open(head, body)); }
  Reply call(const char* method, const std::string& path, std::string_view body = {}) {
    return send(head(method, path), body);
  }
  Reply reply(ChatId chat) {
    const Recorder::Response& response = host_.responses[chat];
    EXPECT_EQ(response.times, 1);
    EXPECT_EQ(response.ends, 1);
    const json head = json::parse(response.head, nullptr, false);
    EXPECT_TRUE(head.is_object()) << response.head;
    return {response.status, head, response.body};
  }
  static json head(const char* method, const std::string& path) {
    return {{"method", method},
            {"url", "https://spillway.test" + path},
            {"headers", {{"authorization", std::string("Bearer ") + kKey}}}};
  }

  Gateway& gateway() { return gateway_; }
  Recorder& host() { return host_; }

 private:
  static std::vector<std::string> with(const std::vector<std::string>& more) {
    std::vector<std::string> texts{kConfig};
    texts.insert(texts.end(), more.begin(), more.end());
    return texts;
  }

  Recorder host_;
  std::unique_ptr<const Config> config_;
  Gateway gateway_;
  std::uint64_t seed_ = 0;
};

constexpr const char* kChat =
    R"({"model":"acme:org/m:1","messages":[{"role":"user","content":"Hello"}]})";

// --- paths and methods

TEST(Gateway, PathsAndMethods) {
  struct Row {
    const char* method;
    const char* url;
    int status;
    const char* code;
    const char* allow;
  };
  const Row rows[] = {
      {"GET", "https://a.test/health", 200, "", ""},
      {"GET", "https://a.test/health?x=/v1/models", 200, "", ""},
      {"GET", "https://a.test/health#x", 200, "", ""},
      {"GET", "http://[::1]:8787/v1/models", 200, "", ""},
      {"GET", "/v1/models", 200, "", ""},
      {"GET", "https://a.test/v1/models/mine?a=b", 200, "", ""},
      {"GET", "https://a.test", 200, "", ""},
      {"GET", "https://a.test?x", 200, "", ""},
      {"GET", "", 200, "", ""},
      {"POST", "https://a.test/", 405, "method_not_allowed", "GET, HEAD, OPTIONS"},
      {"POST", "https://a.test/v1/chat/completions/", 404, "not_found", ""},
      {"POST", "https://a.test//v1/chat/completions", 404, "not_found", ""},
      {"POST", "https://a.test/v1/completions", 404, "not_found", ""},
      {"GET", "https://a.test/v1/modelsx", 404, "not_found", ""},
      {"GET", "https://a.test/Health", 404, "not_found", ""},
      {"GET", "https://a.test/v1/models/", 404, "model_not_found", ""},
      {"GET", "https://a.test/v1/chat/completions", 405, "method_not_allowed", "POST, OPTIONS"},
      {"PUT", "https://a.test/v1/chat/completions", 405, "method_not_allowed", "POST, OPTIONS"},
      {"GET", "/v1/models?x=http://a.test/nowhere", 200, "", ""},
      {"POST", "https://a.test/v1/models", 405, "method_not_allowed", "GET, HEAD, OPTIONS"},
      {"DELETE", "https://a.test/v1/models/mine", 405, "method_not_allowed", "GET, HEAD, OPTIONS"},
      {"", "https://a.test/health", 405, "method_not_allowed", "GET, HEAD, OPTIONS"},
  };
  Client client;
  for (const Row& row : rows) {
    json head = Client::head(row.method, "");
    head["url"] = row.url;
    const Reply reply = client.send(head);
    EXPECT_EQ(reply.status, row.status) << row.method << ' ' << row.url;
    EXPECT_EQ(reply.code(), row.code) << row.method << ' ' << row.url;
    EXPECT_EQ(reply.head.value("allow", ""), row.allow) << row.method << ' ' << row.url;
    EXPECT_EQ(reply.head.at("content-type"), "application/json");
    EXPECT_EQ(reply.head.at("cache-control"), "no-store");
  }
  EXPECT_TRUE(client.host().fetches.empty());
}

// RFC 9110 section 9.3.2: the head that a GET would get, and no body.
TEST(Gateway, Head) {
  Client client;
  for (const auto& [path, status] : {std::pair{"/health", 200},
                                     {"/v1/models", 200},
                                     {"/v1/models/nothing", 404},
                                     {"/nowhere", 404},
                                     {"/v1/chat/completions", 405}}) {
    const Reply head = client.call("HEAD", path);
    EXPECT_EQ(head.status, status) << path;
    EXPECT_EQ(head.body, "") << path;
    EXPECT_EQ(head.head.at("content-type"), "application/json") << path;
  }
  EXPECT_TRUE(client.host().fetches.empty());
}

TEST(Gateway, ABrowserGetsAPage) {
  Client client;
  json head{{"method", "GET"},
            {"url", "http://a.test:8787\"><script>/?x=1"},
            {"headers", {{"accept", "text/html,*/*;q=0.8"}}}};
  const ChatId chat = client.open(head);
  const Recorder::Response& page = client.host().responses[chat];
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.head.find("text/html; charset=utf-8"), std::string::npos);
  EXPECT_NE(page.head.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(page.body.find("curl -N http://a.test:8787"), std::string::npos) << page.body;
  EXPECT_EQ(page.body.find("<script"), std::string::npos) << page.body;
  EXPECT_EQ(page.body.find("provider-key"), std::string::npos);
  head["method"] = "HEAD";
  EXPECT_EQ(client.host().responses[client.open(head)].body, "");
}

TEST(Gateway, AnUnknownPathIsToldWithTheKnownOnes) {
  Client client;
  const json error = client.call("GET", "/v1/ev\"il").object().at("error");
  EXPECT_EQ(error.at("message"),
            "There is nothing at /v1/ev\"il. Known: POST /v1/chat/completions, GET /v1/models, "
            "GET /health");
  EXPECT_EQ(error.at("type"), "invalid_request_error");
}

TEST(Gateway, HeadsThatAreNone) {
  Client client;
  for (const char* head : {"", "{", "[]", "7", R"({"method":7,"url":[],"headers":"x"})",
                           R"({"headers":{"authorization":7}})", R"({"url":"https://"})",
                           R"({"local":"yes","trusted":1,"key_sha256":{}})"}) {
    const ChatId chat = ask(client.gateway(), kNow, 1, head, kChat);
    EXPECT_GE(client.reply(chat).status, 404) << head;
  }
  // True is true, and nothing else.
  json head{{"method", "GET"}, {"url", "/v1/models"}, {"local", 1}, {"trusted", "true"}};
  EXPECT_EQ(client.send(head).status, 401);
}

TEST(Gateway, ChatsAreNumberedFromOne) {
  Client client;
  EXPECT_EQ(client.open(Client::head("GET", "/health")), ChatId{1});
  EXPECT_EQ(client.open(Client::head("POST", "/v1/chat/completions"), kChat), ChatId{2});
  EXPECT_EQ(client.open(Client::head("OPTIONS", "/")), ChatId{3});
}

TEST(Gateway, RequestIds) {
  const auto id_of = [](std::uint64_t seed, Instant now) {
    Client client;
    const ChatId chat = client.gateway().open(now, seed, Client::head("GET", "/health").dump());
    return client.reply(chat).head.at("x-request-id").get<std::string>();
  };
  std::set<std::string> ids;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    for (const Millis later : {0, 1, 1'000}) {
      const std::string id = id_of(seed, kNow + later);
      EXPECT_EQ(id.size(), 32U);
      EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
      ids.insert(id);
    }
  EXPECT_EQ(ids.size(), 60U);
  EXPECT_EQ(id_of(7, kNow), id_of(7, kNow)) << "a request replays from its seed and time";
}

// --- CORS

TEST(GatewayCors, EveryAnswerSaysWhoMayReadIt) {
  struct Row {
    const char* config;
    const char* origin;
  };
  const Row rows[] = {{"{}", "*"},
                      {R"({"cors":{"origin":"https://app.test"}})", "https://app.test"},
                      {R"({"cors":{"origin":""}})", ""}};
  for (const Row& row : rows) {
    Client client({row.config});
    for (const Reply& reply :
         {client.call("GET", "/health"), client.call("OPTIONS", "/v1/chat/completions"),
          client.call("GET", "/nowhere"), client.call("PUT", "/health"),
          client.call("POST", "/v1/chat/completions", "{}"),
          client.send(json{{"method", "GET"}, {"url", "/v1/models"}})}) {
      EXPECT_EQ(reply.head.value("access-control-allow-origin", ""), row.origin) << reply.status;
      EXPECT_EQ(reply.head.contains("access-control-expose-headers"), *row.origin != '\0');
      EXPECT_TRUE(reply.head.contains("x-request-id")) << "whoever may read it";
    }
  }
  Client client;
  EXPECT_EQ(client.call("GET", "/health").head.at("access-control-expose-headers"),
            "x-request-id, x-spillway-engine, x-spillway-attempts, x-spillway-dropped, "
            "server-timing, retry-after, x-should-retry");
}

TEST(GatewayCors, Preflight) {
  Client client;
  // Asked by browsers without a key, for any path.
  for (const char* path : {"/v1/chat/completions", "/v1/models", "/nowhere"}) {
    const Reply reply =
        client.send(json{{"method", "OPTIONS"}, {"url", std::string("https://a.test") + path}});
    EXPECT_EQ(reply.status, 204);
    EXPECT_EQ(reply.body, "");
    EXPECT_EQ(reply.head.at("access-control-allow-methods"), "GET, POST, OPTIONS");
    EXPECT_EQ(reply.head.at("access-control-allow-headers"), "authorization, content-type");
    EXPECT_EQ(reply.head.at("access-control-max-age"), "86400");
    EXPECT_FALSE(reply.head.contains("content-type")) << "there is no content";
  }
  json head = Client::head("OPTIONS", "/v1/chat/completions");
  head["headers"]["access-control-request-headers"] = "authorization,x-stainless-lang";
  EXPECT_EQ(client.send(head).head.at("access-control-allow-headers"),
            "authorization,x-stainless-lang");
}

// --- client keys

// Of "secret", as `printf secret | sha256sum` prints it.
const std::string kDigest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

struct AuthRow {
  const char* what;
  std::string keys;  // SPILLWAY_KEYS
  json head;         // what the head of the request has beside its method and path
  bool allowed;
};

std::vector<AuthRow> auth_rows() {
  const auto headers = [](json value) { return json{{"headers", std::move(value)}}; };
  const auto bearer = [&headers](const std::string& key) {
    return headers({{"authorization", "Bearer " + key}});
  };
  const std::string hash = "sha256:" + kDigest;
  return {
      {"no keys, from afar", "", json::object(), false},
      {"no keys, from afar, some key", "", bearer("x"), false},
      {"no keys, local", "", {{"local", true}}, true},
      {"no keys, embedded", "", {{"trusted", true}}, true},
      {"nothing but commas is no keys", " , ", {{"local", true}}, true},

      {"the key", "one", bearer("one"), true},
      {"one of several", "zero, one ,two", bearer("one"), true},
      {"the last of several", "zero,one,two", bearer("two"), true},
      {"scheme in lower case", "one", headers({{"authorization", "bearer one"}}), true},
      {"scheme in upper case", "one", headers({{"authorization", "BEARER one"}}), true},
      {"more spaces", "one", headers({{"authorization", "Bearer   one "}}), true},
      {"x-api-key", "one", headers({{"x-api-key", "one"}}), true},
      {"api-key", "one", headers({{"api-key", "one"}}), true},
      {"another scheme beside x-api-key", "one",
       headers({{"authorization", "Basic b25l"}, {"x-api-key", "one"}}), true},
      {"embedded needs no key", "one", {{"trusted", true}}, true},

      {"no key", "one", json::object(), false},
      {"local needs a key too, once there are some", "one", {{"local", true}}, false},
      {"another key", "one", bearer("two"), false},
      {"a beginning of the key", "one", bearer("on"), false},
      {"more than the key", "one", bearer("onee"), false},
      {"the key twice", "one", bearer("oneone"), false},
      {"another case", "one", bearer("One"), false},
      {"an empty key", "one", bearer(""), false},
      {"no scheme", "one", headers({{"authorization", "one"}}), false},
      {"another scheme", "one", headers({{"authorization", "Basic one"}}), false},
      {"the scheme alone", "one", headers({{"authorization", "Bearer"}}), false},
      {"the list itself", "one,two", bearer("one,two"), false},
      {"authorization counts before x-api-key", "one",
       headers({{"authorization", "Bearer two"}, {"x-api-key", "one"}}), false},
      {"authorization counts before api-key", "one",
       headers({{"api-key", "one"}, {"authorization", "Bearer two"}}), false},

      {"x-api-key counts before api-key", "one",
       headers({{"api-key", "two"}, {"x-api-key", "one"}}), true},
      {"… in whatever order", hash, headers({{"x-api-key", "secret"}, {"api-key", "two"}}), true},
      {"… for hashed keys too", hash, headers({{"api-key", "secret"}, {"x-api-key", "two"}}),
       false},
      {"an empty bearer counts as none", "one",
       headers({{"authorization", "Bearer "}, {"api-key", "one"}}), true},

      {"a hashed key", hash, bearer("secret"), true},
      {"a hashed key, in capitals", "SHA256:" + kDigest, bearer("secret"), true},
      {"plain beside hashed", hash + ",one", bearer("one"), true},
      {"hashed beside plain", "one," + hash, bearer("secret"), true},
      {"another key than the hashed one", hash, bearer("Secret"), false},
      {"no key for a hashed one", hash, json::object(), false},
      {"a digest that the head claims", hash, {{"key_sha256", kDigest}}, false},
      {"the digest as the key", hash, bearer(kDigest), false},
      {"the whole entry as the key", hash, bearer(hash), false},
  };
}

TEST(GatewayAuth, WhoIsServed) {
  for (const AuthRow& row : auth_rows()) {
    Client client({}, {{"SPILLWAY_KEYS", row.keys}, {"ACME_API_KEY", "provider-key"}});
    const auto with = [&row](const char* method, const char* path) {
      json head = row.head;
      head["method"] = method;
      head["url"] = std::string("https://a.test") + path;
      return head;
    };
    const int status = row.allowed ? 200 : 401;
    EXPECT_EQ(client.send(with("GET", "/v1/models")).status, status) << row.what;
    EXPECT_EQ(client.send(with("GET", "/v1/models/mine")).status, status) << row.what;
    const Reply health = client.send(with("GET", "/health"));
    EXPECT_EQ(health.status, 200) << "anyone may ask whether it lives";
    EXPECT_EQ(health.object().contains("providers"), row.allowed) << row.what;
    client.open(with("POST", "/v1/chat/completions"), kChat);
    EXPECT_EQ(client.host().fetches.size(), row.allowed ? 1U : 0U) << row.what;
    for (const auto& [chat, response] : client.host().responses) {
      EXPECT_EQ(response.body.find("secret"), std::string::npos) << response.body;
      EXPECT_EQ(response.body.find("provider-key"), std::string::npos) << response.body;
    }
  }
}

TEST(GatewayAuth, ARefusalSaysWhatToDo) {
  Client with_keys;
  const Reply refused = with_keys.send(json{{"method", "GET"}, {"url", "/v1/models"}});
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(
      refused.object(),
      (json{{"error",
             {{"message", "Expected a client key of this Spillway: authorization: Bearer <key>"},
              {"type", "authentication_error"},
              {"param", nullptr},
              {"code", "invalid_api_key"}}}}));
  Client without({}, {});
  const auto message = without.call("GET", "/v1/models").object().at("error").at("message");
  EXPECT_NE(message.get<std::string>().find("set SPILLWAY_KEYS"), std::string::npos);
}

// --- chats

TEST(GatewayChat, GoesToItsEngine) {
  Client client;
  const ChatId chat = client.open(Client::head("POST", "/v1/chat/completions"), kChat);
  ASSERT_EQ(client.host().fetches.size(), 1U);
  const json upstream = json::parse(client.host().fetches[0].head);
  EXPECT_EQ(upstream.at("url"), "https://acme.test/v1/chat/completions");
  EXPECT_EQ(upstream.at("headers").at("authorization"), "Bearer provider-key");
  EXPECT_EQ(json::parse(client.host().fetches[0].body).at("model"), "org/m:1");
  EXPECT_EQ(client.gateway().router().chats(), 1U);

  // The answer and its log line carry the request's id.
  const ExchangeId exchange = client.host().fetches[0].exchange;
  client.gateway().step(kNow, input::Response{exchange, 400, "{}"});
  client.gateway().step(kNow, input::Chunk{exchange, R"({"error":{"message":"no"}})"});
  client.gateway().step(kNow, input::End{exchange});
  const Reply reply = client.reply(chat);
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.head.at("access-control-allow-origin"), "*");
  ASSERT_EQ(client.host().logs.size(), 1U);
  EXPECT_EQ(json::parse(client.host().logs[0].second).at("request_id"),
            reply.head.at("x-request-id"));
  EXPECT_EQ(client.gateway().router().chats(), 0U);
}

// What costs far more than its bytes is counted.
TEST(GatewayChat, TooManyMembersAreRefused) {
  const auto refused_at = [](std::string_view begin, std::string_view piece, std::size_t pieces,
                             std::string_view end) {
    std::string body(begin);
    for (std::size_t at = 0; at < pieces; ++at) body += piece;
    Client client;
    const ChatId chat = client.open(Client::head("POST", "/v1/chat/completions"), body.append(end));
    if (client.host().responses.empty()) return std::string();
    const Reply reply = client.reply(chat);
    EXPECT_EQ(reply.code(), "too_many");
    return reply.object().value("/error/param"_json_pointer, "");
  };
  constexpr std::string_view chat =
      R"("model":"acme:org/m:1","messages":[{"role":"user","content":"Hello"}]})";
  EXPECT_EQ(refused_at("{", R"("a":0,)", limits::extras_max, chat), "");
  EXPECT_EQ(refused_at("{", R"("a":0,)", limits::extras_max + 1, chat), "a");
  constexpr std::string_view message =
      R"({"model":"acme:m","messages":[{"role":"assistant","refusal":"no","content":[)";
  constexpr std::string_view part = R"({"type":"refusal","refusal":""},)";
  constexpr std::string_view rest = R"({"type":"refusal","refusal":""}]}]})";
  EXPECT_EQ(refused_at(message, part, limits::parts_max - 2, rest), "");
  EXPECT_EQ(refused_at(message, part, limits::parts_max - 1, rest), "messages[0].refusal");
  EXPECT_EQ(refused_at(message, part, limits::parts_max, rest),
            "messages[0].content[" + std::to_string(limits::parts_max) + "]");
}

TEST(GatewayChat, BadRequestsAreToldWithTheirField) {
  struct Row {
    const char* body;
    int status;
    const char* code;
    json param;
  };
  const Row rows[] = {
      {"", 400, "invalid_json", nullptr},
      {"{", 400, "invalid_json", nullptr},
      {"[]", 400, "invalid_type", nullptr},
      {R"({"model":"mine"})", 400, "missing", "messages"},
      {R"({"model":"mine","messages":[{"role":"user","content":"x"}],"spillway":{"x":1}})", 400,
       "invalid_policy", "spillway.x"},
      {R"({"model":"gpt-9","messages":[{"role":"user","content":"x"}]})", 404, "model_not_found",
       "model"},
      {R"({"model":"openai:gpt-9","messages":[{"role":"user","content":"x"}]})", 503,
       "no_provider_key", nullptr},
  };
  Client client;
  for (const Row& row : rows) {
    const Reply reply = client.call("POST", "/v1/chat/completions", row.body);
    EXPECT_EQ(reply.status, row.status) << row.body;
    EXPECT_EQ(reply.code(), row.code) << reply.body;
    EXPECT_EQ(reply.object().at("error").at("param"), row.param) << reply.body;
    EXPECT_TRUE(reply.head.contains("x-request-id"));
  }
  EXPECT_TRUE(client.host().fetches.empty());
  EXPECT_EQ(client.gateway().router().chats(), 0U);
}

TEST(GatewayChat, BodiesAreBounded) {
  const std::string chat = kChat;
  const auto limit = [](std::size_t bytes) {
    return json{{"limits", {{"request_bytes_max", bytes}}}}.dump();
  };
  const json head = Client::head("POST", "/v1/chat/completions");
  Client exact({limit(chat.size())});
  exact.open(head, chat);
  EXPECT_EQ(exact.host().fetches.size(), 1U);

  Client smaller({limit(chat.size() - 1)});
  const Reply reply = smaller.send(head, chat);
  EXPECT_EQ(reply.status, 413);
  EXPECT_EQ(reply.code(), "request_too_large");
  EXPECT_EQ(reply.object().at("error").at("message"),
            "Expected a body of at most " + std::to_string(chat.size() - 1) + " bytes");
  EXPECT_TRUE(smaller.host().fetches.empty());

  // Announced as too large, or only found to be.
  json announced = head;
  announced["headers"]["content-length"] = std::to_string(chat.size() + 1);
  EXPECT_EQ(exact.send(announced, chat).status, 413);
  EXPECT_EQ(exact.send(announced, chat + " ").status, 413);
  EXPECT_EQ(exact.send(head, chat + " ").status, 413);
  // One that is not worth reading to its end is not read at all.
  announced["headers"]["content-length"] = std::to_string(limits::dropped_bytes_max + 1);
  exact.host().reads.clear();
  EXPECT_EQ(exact.send(announced).status, 413);
  EXPECT_TRUE(exact.host().reads.empty());
  // Whoever has no key learns nothing of it, and sends it to nobody.
  const json stranger{{"method", "POST"}, {"url", "/v1/chat/completions"}};
  EXPECT_EQ(exact.send(stranger, chat).status, 401);
  EXPECT_TRUE(exact.host().reads.empty());
}

TEST(GatewayChat, ChatsAreBounded) {
  Client client({R"({"limits":{"chats_max":2,"client_share":1}})"});
  const json head = Client::head("POST", "/v1/chat/completions");
  const ChatId first = client.open(head, kChat);
  client.open(head, kChat);
  const Reply refused = client.send(head, kChat);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.code(), "too_many_chats");
  EXPECT_EQ(refused.head.at("retry-after"), "1");
  EXPECT_EQ(refused.object().at("error").at("message"),
            "This instance serves as many chats as it may");
  EXPECT_EQ(client.call("GET", "/health").object().at("chats_open"), 2);
  EXPECT_EQ(client.call("GET", "/v1/models").status, 200);
  client.gateway().step(kNow, input::Close{first});
  client.open(head, kChat);
  EXPECT_EQ(client.host().fetches.size(), 3U) << "there is room again";
}

// However many keys a row has, it is one client; one that says how many chats it has has so many.
TEST(GatewayChat, ARowHasAShare) {
  Client client({R"({"limits":{"chats_max":6},
                     "clients":{"two":{"keys":["TWO"]},"five":{"keys":["FIVE"],"chats_max":5}}})"},
                {{"TWO", "key-a,key-b"}, {"FIVE", "key-c"}, {"ACME_API_KEY", "key"}});
  const auto status = [&client](const char* key) {
    json head = Client::head("POST", "/v1/chat/completions");
    head["headers"]["authorization"] = std::string("Bearer ") + key;
    return client.host().responses[client.open(head, kChat)].status;
  };
  for (const char* key : {"key-a", "key-b", "key-a"}) EXPECT_EQ(status(key), 0);
  EXPECT_EQ(status("key-b"), 503) << "half of six";
  for (int chat = 0; chat < 3; ++chat) EXPECT_EQ(status("key-c"), 0);
  EXPECT_EQ(status("key-c"), 503) << "the instance is full";
}

// One key never has all the chats of an instance, nor all the bytes of bodies.
TEST(GatewayChat, AKeyHasAShare) {
  Client client({R"({"limits":{"chats_max":5,"bodies_bytes_max":3000}})"},
                {{"SPILLWAY_KEYS", std::string(kKey) + ",other"}, {"ACME_API_KEY", "key"}});
  const json head = Client::head("POST", "/v1/chat/completions");
  json other = head;
  other["headers"]["authorization"] = "Bearer other";
  const ChatId first = client.open(head, kChat);
  client.open(head, kChat);
  const Reply refused = client.send(head, kChat);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.head.at("retry-after"), "1");
  EXPECT_EQ(refused.object().at("error").at("message"),
            "This client has as many chats open as it may");
  EXPECT_EQ(client.host().fetches.size(), 2U);
  client.open(other, kChat);
  EXPECT_EQ(client.host().fetches.size(), 3U) << "another key has room";
  client.gateway().step(kNow, input::Close{first});

  // Of its bytes too: what would take more than half beside another is refused, once it is sent.
  const std::string large = std::string(1450, ' ') + kChat;
  EXPECT_EQ(client.send(head, large).status, 503);
  EXPECT_EQ(client.host().fetches.size(), 3U);
}

// --- bodies

// What is held of bodies while they are read, and how it ends.
class Bodies : public testing::Test {
 protected:
  static json head(std::size_t length = 0) {
    json head = Client::head("POST", "/v1/chat/completions");
    if (length > 0) head["headers"]["content-length"] = std::to_string(length);
    return head;
  }
  ChatId open(const json& head) { return client_.gateway().open(kNow, ++seed_, head.dump()); }
  void give(ChatId chat, std::string_view bytes, input::Body::Rest rest = input::Body::Rest::more) {
    client_.gateway().step(kNow, input::Body{chat, bytes, rest});
  }
  int status(ChatId chat) { return client_.host().responses[chat].status; }
  [[nodiscard]] std::size_t held() { return client_.gateway().occupied().body_bytes; }

  Client client_{{R"({"limits":{"bodies_bytes_max":100000,"request_bytes_max":60000,
                                "client_share":1,"body_ms":5000}})"}};
  std::uint64_t seed_ = 0;
};

TEST_F(Bodies, AreCountedAsTheyAreHeld) {
  const std::string chat = kChat;
  const ChatId announced = open(head(chat.size()));
  EXPECT_EQ(client_.host().reads, std::vector{announced});
  EXPECT_EQ(held(), 0U) << "nothing has come";
  give(announced, std::string_view(chat).substr(0, 1));
  EXPECT_EQ(held(), chat.size()) << "room for all of it";
  give(announced, std::string_view(chat).substr(1), input::Body::Rest::none);
  EXPECT_EQ(client_.host().fetches.size(), 1U);
  EXPECT_EQ(held(), chat.size()) << "another engine may still be asked";
  client_.gateway().step(kNow, input::Close{announced});
  EXPECT_EQ(held(), 0U);

  const ChatId growing = open(head());
  give(growing, std::string(100, ' '));
  EXPECT_EQ(held(), 100U);
  give(growing, "x");
  EXPECT_EQ(held(), 200U) << "twice as much";
  client_.gateway().step(kNow, input::Close{growing});
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(client_.gateway().open_requests(), 0U);
}

TEST_F(Bodies, TogetherAreBounded) {
  const ChatId first = open(head(60'000));
  give(first, "{");
  const ChatId second = open(head(60'000));
  give(second, "{");
  EXPECT_EQ(status(second), 0) << "it is still sending";
  EXPECT_EQ(held(), 60'000U);
  give(second, std::string(1000, ' '), input::Body::Rest::none);
  EXPECT_EQ(status(second), 503);
  EXPECT_NE(client_.host().responses[second].head.find("retry-after"), std::string::npos);
  const ChatId small = open(head(100));
  give(small, kChat, input::Body::Rest::none);
  EXPECT_EQ(client_.host().fetches.size(), 1U) << "what fits is served";
  client_.gateway().step(kNow, input::Close{first});
  const ChatId third = open(head(60'000));
  give(third, "{");
  EXPECT_EQ(status(third), 0);
  EXPECT_EQ(held(), 60'100U);
}

TEST_F(Bodies, AreNotWaitedForLonger) {
  const ChatId chat = open(head(1000));
  give(chat, "{");
  EXPECT_EQ(client_.host().wakes[chat], kNow + 5000);
  client_.gateway().step(kNow + 4999, input::Wake{chat, true});
  EXPECT_EQ(status(chat), 0);
  EXPECT_EQ(client_.host().wakes[chat], kNow + 5000);
  client_.gateway().step(kNow + 5000, input::Wake{chat, true});
  EXPECT_EQ(status(chat), 408);
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(client_.gateway().open_requests(), 0U);
  give(chat, kChat, input::Body::Rest::none);  // what comes late is nobody's
  EXPECT_TRUE(client_.host().fetches.empty());
}

TEST_F(Bodies, ThatAreTooLargeAreDropped) {
  const ChatId chat = open(head());
  const std::string piece(40'000, ' ');
  give(chat, piece);
  give(chat, piece);
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(status(chat), 0) << "it is still sending";
  for (std::size_t sent = 80'000; sent <= limits::dropped_bytes_max + 40'000; sent += piece.size())
    give(chat, piece);
  EXPECT_EQ(status(chat), 413) << "it has sent enough";
  EXPECT_EQ(client_.gateway().open_requests(), 0U);
}

TEST_F(Bodies, OfWhoeverLeaves) {
  const ChatId chat = open(head(50'000));
  give(chat, "{");
  client_.gateway().step(kNow, input::Close{chat});
  EXPECT_EQ(client_.host().responses.count(chat), 0U);
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(client_.gateway().open_requests(), 0U);
}

// A length that is none, or not the truth, changes nothing but the room that is made at once.
TEST_F(Bodies, WithWrongLengths) {
  for (const char* length : {"-1", "1e3", "abc", "", "99999999999999999999", "3", " 5"}) {
    json wrong = head();
    wrong["headers"]["content-length"] = length;
    const ChatId chat = open(wrong);
    give(chat, std::string_view(kChat).substr(0, 5));
    give(chat, std::string_view(kChat).substr(5), input::Body::Rest::none);
    EXPECT_EQ(client_.host().fetches.size(), 1U) << length;
    client_.host().fetches.clear();
    client_.gateway().step(kNow, input::Close{chat});
  }
  EXPECT_EQ(held(), 0U);
}

// --- models

const json kEngine{
    {"id", "acme:org/m:1"},
    {"object", "model"},
    {"created", 0},
    {"owned_by", "acme"},
    {"context_window", 8192},
    {"max_output_tokens", 1024},
    {"pricing_usd_per_million_tokens", {{"input", 0.59}, {"output", 2}, {"cache_read", 0.05}}},
    {"cost", "low"},
    {"latency", "fast"},
    {"capabilities", {"vision", "tools"}}};
const json kRoute{{"id", "mine"},
                  {"object", "model"},
                  {"created", 0},
                  {"owned_by", "spillway"},
                  {"chain", {"acme:org/m:1", "acme:other"}}};

TEST(GatewayModels, RoutesAndTheEnginesThatCanServe) {
  Client client;
  const json list = client.call("GET", "/v1/models").object();
  EXPECT_EQ(list.at("object"), "list");
  std::set<std::string> owners;
  const json* route = nullptr;
  const json* engine = nullptr;
  for (const json& model : list.at("data")) {
    EXPECT_EQ(model.at("object"), "model");
    owners.insert(model.at("owned_by").get<std::string>());
    if (model.at("id") == "mine") route = &model;
    if (model.at("id") == "acme:org/m:1") engine = &model;
  }
  EXPECT_EQ(owners, (std::set<std::string>{"acme", "spillway"})) << "the others have no key";
  ASSERT_NE(route, nullptr);
  EXPECT_EQ(*route, kRoute);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(*engine, kEngine);
  EXPECT_EQ(list.at("data").at(0).at("owned_by"), "spillway") << "routes come first";
}

TEST(GatewayModels, ByName) {
  struct Row {
    const char* path;
    const char* id;  // null: unknown
  };
  const Row rows[] = {
      {"acme:org/m:1", "acme:org/m:1"},
      {"acme%3Aorg%2Fm%3A1", "acme:org/m:1"},
      {"acme%3aorg%2fm%3a1", "acme:org/m:1"},
      {"%61cme:org/m:1?x=y", "acme:org/m:1"},
      {"mine", "mine"},
      {"m%69ne", "mine"},
      {"standard", "standard"},
      {"acme:never-heard-of", "acme:never-heard-of"},
      {"openai:gpt-5.4-mini", "openai:gpt-5.4-mini"},  // listed or not: known
      {"acme:%", "acme:%"},
      {"acme:%4", "acme:%4"},
      {"acme:%zz", "acme:%zz"},
      {"acme:100%25", "acme:100%"},
      {"acme:%E9%8D%B5", "acme:鍵"},
      {"org/m:1", "org/m:1"},  // a bare model
      {"org%2Fm:1", "org/m:1"},
      {"acme", nullptr},
      {"acme:", nullptr},
      {"org/m", nullptr},
      {"nobody:x", nullptr},
      {"Mine", nullptr},
      {"%00", nullptr},
      {"%0d%0a%22%ff", nullptr},
  };
  Client client;
  for (const Row& row : rows) {
    const Reply reply = client.call("GET", std::string("/v1/models/") + row.path);
    EXPECT_EQ(reply.status, row.id == nullptr ? 404 : 200) << row.path;
    if (row.id == nullptr) {
      EXPECT_EQ(reply.code(), "model_not_found") << reply.body;
      EXPECT_EQ(reply.object().at("error").at("param"), "model");
    } else {
      EXPECT_EQ(reply.object().at("id"), row.id);
    }
  }
  EXPECT_EQ(client.call("GET", "/v1/models/acme%3Aorg%2Fm%3A1").object(), kEngine);
  EXPECT_EQ(client.call("GET", "/v1/models/mine").object(), kRoute);
}

TEST(GatewayModels, ABareModelIsAChainOfTheEnginesThatServeIt) {
  Client client({R"({"engines":{"toy:org/m:1":{}}})"});
  EXPECT_EQ(client.call("GET", "/v1/models/org/m:1").object(),
            (json{{"id", "org/m:1"},
                  {"object", "model"},
                  {"created", 0},
                  {"owned_by", "spillway"},
                  {"chain", {"acme:org/m:1", "toy:org/m:1"}}}));
}

TEST(GatewayModels, AnAssumedEngineSaysNothingThatIsNotKnown) {
  Client client;
  EXPECT_EQ(client.call("GET", "/v1/models/toy:x").object(),
            (json{{"id", "toy:x"},
                  {"object", "model"},
                  {"created", 0},
                  {"owned_by", "toy"},
                  {"pricing_usd_per_million_tokens", json::object()},
                  {"cost", "mid"},
                  {"latency", "standard"},
                  {"capabilities",
                   {"vision", "tools", "json_mode", "json_schema", "reasoning", "files", "audio"}},
                  {"simulated", true}}));
}

// --- health

TEST(GatewayHealth, ForAnyone) {
  struct Row {
    const char* what;
    const char* config;
    Environment env;
    json expected;
  };
  const char* no_toy = R"({"providers":{"toy":{"keys":["TOY_KEY"]}}})";
  const json simulated{{"status", "ok"},
                       {"simulated", true},
                       {"warning", "Answers are simulated: no provider key is set"},
                       {"providers_ready", 1}};
  const Row rows[] = {
      {"a provider",
       no_toy,
       {{"ACME_API_KEY", "k"}},
       {{"status", "ok"}, {"simulated", false}, {"providers_ready", 1}}},
      {"none",
       no_toy,
       {},
       {{"status", "no_provider_key"}, {"simulated", false}, {"providers_ready", 0}}},
      {"a simulated one", "{}", {}, simulated},
  };
  for (const Row& row : rows) {
    Client client({row.config}, row.env);
    const Reply reply = client.send(json{{"method", "GET"}, {"url", "/health"}});
    EXPECT_EQ(reply.status, 200) << row.what;
    EXPECT_EQ(reply.object(), row.expected) << row.what;
  }
}

TEST(GatewayHealth, ForClients) {
  Client client({}, {{"SPILLWAY_KEYS", kKey}, {"ACME_API_KEY", "k1"}, {"ACME_API_KEY_2", "k2"}});
  const json health = client.call("GET", "/health").object();
  EXPECT_EQ(health.at("chats_open"), 0);
  EXPECT_EQ(health.at("cooling"), json::object());
  EXPECT_EQ(health.at("providers").at("acme"), (json{{"ready", true}, {"keys", 2}}));
  EXPECT_EQ(health.at("providers").at("toy"),
            (json{{"ready", true}, {"keys", 0}, {"simulated", true}}));
  EXPECT_EQ(health.at("providers").at("openai"),
            (json{{"ready", false}, {"set", "OPENAI_API_KEY"}}));
  EXPECT_EQ(health.at("providers").size(), client.gateway().config().providers.size());
}

TEST(GatewayHealth, WhoIsCooling) {
  Client client;
  client.open(Client::head("POST", "/v1/chat/completions"), kChat);
  ASSERT_EQ(client.host().fetches.size(), 1U);
  client.gateway().step(kNow, input::Error{client.host().fetches[0].exchange, "connection reset"});
  const auto cooling = [&client](Instant now) {
    const ChatId chat = client.gateway().open(now, 1, Client::head("GET", "/health").dump());
    return client.reply(chat).object().at("cooling");
  };
  EXPECT_EQ(cooling(kNow + 1'000),
            (json{{"acme:org/m:1", {{"ms", limits::cooldown_ms - 1'000}, {"reason", "network"}}}}));
  EXPECT_EQ(cooling(kNow + limits::cooldown_ms), json::object());
}

// Those of routes are the configuration's, whether the registry lists them or not. Names that
// clients made up are their own.
// What only clients name is not remembered, for nobody but them: neither that it fails, nor more of
// it than there is of real engines.
TEST(GatewayHealth, WhoIsCoolingOfWhatIsNotListed) {
  Client client({R"({"routes":{"own":{"chain":["acme:of-a-route"]}}})"});
  const auto fail = [&client](const std::string& model) {
    client.open(
        Client::head("POST", "/v1/chat/completions"),
        json{{"model", model}, {"messages", {{{"role", "user"}, {"content", "x"}}}}}.dump());
    client.gateway().step(kNow, input::Error{client.host().fetches.back().exchange, "reset"});
  };
  fail("acme:of-a-route");
  for (std::size_t made_up = 0; made_up < 2 * limits::health_entries_max; ++made_up)
    fail("acme:made-up-" + std::to_string(made_up));
  EXPECT_EQ(client.gateway().router().health().engines(), 1U);
  EXPECT_EQ(client.call("GET", "/health").object().at("cooling"),
            (json{{"acme:of-a-route", {{"ms", limits::cooldown_ms}, {"reason", "network"}}}}));
}

// --- the log

// kNow is on the 15th of January 2027.
constexpr const char* kEnding = R"({"engines": {
    "acme:org/m:1": {"ends": "2027-01-16", "successor": "acme:n"},
    "acme:other": {"ends": "2027-01-15"}, "acme:far": {"ends": "2027-03-17"}}})";

// What its provider ends is told before, and is not offered from that day on.
TEST(GatewayModels, ListsNoneThatHasEnded) {
  Client client({kEnding});
  std::map<std::string, json> models;
  const json list = client.call("GET", "/v1/models").object();
  for (const json& model : list.at("data")) models[model.at("id")] = model;
  EXPECT_EQ(models.at("acme:org/m:1").at("expiration_date"), "2027-01-16");
  EXPECT_EQ(models.at("acme:org/m:1").at("successor"), "acme:n");
  EXPECT_FALSE(models.at("acme:n").contains("expiration_date"))
      << "whom a row names is one that the config knows";
  EXPECT_FALSE(models.contains("acme:other"));
  EXPECT_EQ(client.call("GET", "/v1/models/acme:other").object().at("expiration_date"),
            "2027-01-15");
}

TEST(GatewayLog, EnginesThatEndOnceADay) {
  Client client({kEnding});
  const auto ask_at = [&client](Millis later) {
    ask(client.gateway(), kNow + later, 1, Client::head("GET", "/health").dump(), "");
  };
  ask_at(0);
  ask_at(limits::day_ms - 1);
  ASSERT_EQ(client.host().logs.size(), 1U);
  EXPECT_EQ(client.host().logs[0].first, LogLevel::warn);
  json event = json::parse(client.host().logs[0].second);
  EXPECT_EQ(event.at("event"), "engines_ending");
  EXPECT_EQ(event.at("ending"),
            (json{{"acme:org/m:1", {{"ends", "2027-01-16"}, {"successor", "acme:n"}}},
                  {"acme:other", {{"ends", "2027-01-15"}}}}));
  EXPECT_EQ(event.at("routes_ending"), json::object());
  EXPECT_FALSE(event.contains("warning"));
  ask_at(limits::day_ms);
  ASSERT_EQ(client.host().logs.size(), 2U);
  event = json::parse(client.host().logs[1].second);
  EXPECT_TRUE(event.at("ending").contains("acme:far"));
}

TEST(GatewayLog, ARouteWithoutAnEngineIsAWarning) {
  Client client({R"({"engines": {"acme:org/m:1": {"ends": "2027-01-16"},
                                 "acme:other": {"ends": "2027-02-01"}}})"});
  client.call("GET", "/health");
  ASSERT_EQ(client.host().logs.size(), 1U);
  const json event = json::parse(client.host().logs[0].second);
  EXPECT_EQ(event.at("routes_ending"), (json{{"mine", "2027-02-01"}}));
  EXPECT_TRUE(event.contains("warning"));
}

TEST(GatewayLog, ProvidersAtTheStart) {
  Client client({R"({"providers":{"toy":{"keys":["TOY_KEY"]}}})"});
  client.gateway().log_providers();
  ASSERT_EQ(client.host().logs.size(), 1U);
  const auto& [level, line] = client.host().logs[0];
  EXPECT_EQ(level, LogLevel::info);
  const json event = json::parse(line);
  EXPECT_EQ(event.at("event"), "providers");
  EXPECT_EQ(event.at("ready"), json{"acme"});
  EXPECT_EQ(event.at("skipped").at("toy"), "set TOY_KEY");
  EXPECT_EQ(event.at("skipped").at("openai"), "set OPENAI_API_KEY");
  EXPECT_FALSE(event.contains("warning"));
  EXPECT_EQ(line.find("provider-key"), std::string::npos);
  EXPECT_EQ(line.find(kKey), std::string::npos);
}

TEST(GatewayLog, SimulatedAnswersAreAWarning) {
  Client client({}, {});
  client.gateway().log_providers();
  EXPECT_EQ(client.host().logs.at(0).first, LogLevel::warn);
  const json event = json::parse(client.host().logs.at(0).second);
  EXPECT_EQ(event.at("simulated"), true);
  EXPECT_EQ(event.at("warning"), "ANSWERS ARE SIMULATED: no provider key is set");
}

}  // namespace
}  // namespace spillway
