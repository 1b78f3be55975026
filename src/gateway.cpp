#include "gateway.h"

#include <array>

#include "adapters.h"
#include "limits.h"
#include "text.h"

namespace spillway {

// What the head of a request says.
struct Gateway::Call {
  ChatId id = ChatId::none;
  std::uint64_t seed = 0;
  std::string request_id;
  CommonHeaders headers;
  std::string method;
  std::string path;
  std::string key;         // what the client showed
  std::string key_sha256;  // its digest in hex, when the host was asked for one
  std::string requested_headers;
  bool local = false;    // from this machine, under a development server
  bool trusted = false;  // embedded: the caller is the program itself

  void read(std::string_view head);
  void read_headers(json::Reader& in);
};

namespace {

std::string text_of(json::Reader& in) { return json::unescaped(in.string().value_or(JsonText())); }

// "https://host:port/path?query" → "/path"
std::string path_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme < url.find('/')) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("?#"));
  const std::size_t slash = url.find('/');
  return slash == std::string_view::npos ? "/" : std::string(url.substr(slash));
}

void append_member(std::string& headers, std::string_view name, std::string_view value) {
  if (!headers.empty()) headers += ',';
  json::Writer(headers).string(name);
  headers += ':';
  json::Writer(headers).string(value);
}

std::string hex_id(std::uint64_t seed) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string id;
  for (int half = 0; half < 2; ++half) {
    seed += 0x9E3779B97F4A7C15ULL;
    std::uint64_t bits = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9ULL;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EBULL;
    bits ^= bits >> 31;
    for (int digit = 0; digit < 16; ++digit, bits >>= 4) id.push_back(digits[bits & 15]);
  }
  return id;
}

constexpr std::string_view kExposed =
    "x-request-id, x-spillway-engine, x-spillway-attempts, x-spillway-dropped, server-timing, "
    "retry-after, x-should-retry";
constexpr std::string_view kChatPath = "/v1/chat/completions";
constexpr std::string_view kModelsPath = "/v1/models";
constexpr std::string_view kHealthPath = "/health";

std::string_view word_of(CostBand cost) {
  constexpr std::array<std::string_view, 4> words{"free", "low", "mid", "high"};
  return words[static_cast<std::size_t>(cost)];
}

std::string_view word_of(Latency latency) {
  constexpr std::array<std::string_view, 3> words{"fast", "standard", "reasoning"};
  return words[static_cast<std::size_t>(latency)];
}

void write_price(std::string_view key, Price price, json::Writer& out) {
  if (!price.known()) return;
  out.key(key).raw("");
  json::append_decimal(out.out(), price.picodollars, 6);
}

void write_engine(const Engine& engine, json::Writer& out) {
  out.begin_object();
  out.key("id").string(engine.id).key("object").string("model").key("created").integer(0);
  out.key("owned_by").string(engine.provider->name);
  if (engine.context_window > 0) out.key("context_window").integer(engine.context_window);
  if (engine.output_tokens_max > 0) out.key("max_output_tokens").integer(engine.output_tokens_max);
  out.key("pricing_usd_per_million_tokens").begin_object();
  write_price("input", engine.price_in, out);
  write_price("output", engine.price_out, out);
  write_price("cache_read", engine.price_cache_read, out);
  write_price("cache_write", engine.price_cache_write, out);
  out.end_object();
  out.key("cost").string(word_of(engine.cost)).key("latency").string(word_of(engine.latency));
  out.key("capabilities").begin_array();
  for (const capability::Name& name : capability::kNames)
    if ((engine.capabilities & name.bit) != 0) out.string(name.name);
  out.end_array();
  if (engine.provider->simulated) out.key("simulated").boolean(true);
  out.end_object();
}

// A name that stands for several engines.
void write_chain(std::string_view name, const std::list<std::string>& chain, json::Writer& out) {
  out.begin_object();
  out.key("id").string(name).key("object").string("model").key("created").integer(0);
  out.key("owned_by").string("spillway").key("chain").begin_array();
  for (const std::string& engine : chain) out.string(engine);
  out.end_array();
  out.end_object();
}

// Whether the configuration names it: other names are clients' own, and no one else's business.
bool is_named(const Config& config, const std::string& engine) {
  bool named = config.find_engine(engine) != nullptr;
  for (const Route& route : config.routes)
    for (const std::string& id : route.chain) named = named || id == engine;
  return named;
}

ClientError mistake(int status, std::string_view code, std::string message,
                    std::string param = {}) {
  return {status, "invalid_request_error", code, std::move(message), std::move(param)};
}

}  // namespace

void Gateway::Call::read_headers(json::Reader& in) {
  if (!in.enter_object()) return;
  while (in.next_member()) {
    const std::string_view name = in.key();
    if (name == "authorization") {
      const std::string value = text_of(in);
      const std::string_view token = value;
      constexpr std::string_view scheme = "bearer ";
      const bool bearer =
          token.size() > scheme.size() && (token[0] | 0x20) == 'b' && token[6] == ' ';
      if (bearer) key = trimmed(token.substr(scheme.size()));
    } else if (name == "x-api-key" || name == "api-key") {
      if (key.empty()) key = text_of(in);
    } else if (name == "access-control-request-headers") {
      requested_headers = text_of(in);
    }
  }
}

void Gateway::Call::read(std::string_view head) {
  json::Reader in(head);
  if (!in.enter_object()) return;
  while (in.next_member()) {
    const std::string_view name = in.key();
    if (name == "method") {
      method = text_of(in);
    } else if (name == "url") {
      path = path_of(text_of(in));
    } else if (name == "headers") {
      read_headers(in);
    } else if (name == "local") {
      local = in.boolean().value_or(false);
    } else if (name == "trusted") {
      trusted = in.boolean().value_or(false);
    } else if (name == "key_sha256") {
      key_sha256 = text_of(in);
    }
  }
}

Gateway::Gateway(const Config& config, Actions& actions)
    : config_(config), actions_(actions), router_(config, actions) {}

void Gateway::answer(const Call& call, int status, std::string_view body,
                     std::string_view more_headers) {
  std::string head = call.headers;
  if (!body.empty()) append_member(head, "content-type", "application/json");
  append_member(head, "cache-control", "no-store");
  if (!more_headers.empty()) {
    head += ',';
    head += more_headers;
  }
  actions_.respond(call.id, status, "{" + head + "}");
  if (!body.empty() && call.method != "HEAD") actions_.write(call.id, body);
  actions_.end(call.id);
}

void Gateway::refuse(const Call& call, const ClientError& error, std::string_view more_headers) {
  std::string body;
  adapters::openai_chat.encode_error(error, body);
  answer(call, error.status, body, more_headers);
}

void Gateway::answer_preflight(const Call& call) {
  std::string more;
  append_member(more, "access-control-allow-methods", "GET, POST, OPTIONS");
  append_member(
      more, "access-control-allow-headers",
      call.requested_headers.empty() ? "authorization, content-type" : call.requested_headers);
  append_member(more, "access-control-max-age", "86400");
  answer(call, 204, {}, more);
}

// Every known key is looked at, so that the time tells nothing.
bool Gateway::allowed(const Call& call) const {
  if (call.trusted) return true;
  if (config_.client_keys.empty() && config_.client_key_digests.empty()) return call.local;
  bool known = false;
  for (const Secret& key : config_.client_keys)
    known = equal_in_constant_time(call.key, key.reveal()) || known;
  for (const std::string& digest : config_.client_key_digests)
    known = equal_in_constant_time(call.key_sha256, digest) || known;
  return known && !call.key.empty();
}

ChatId Gateway::open(Instant now, std::uint64_t seed, HttpRequest request) {
  Call call;
  call.id = ChatId{next_chat_++};
  call.seed = seed;
  call.request_id = hex_id(seed ^ static_cast<std::uint64_t>(now.ms()) << 20);
  call.read(request.head);
  append_member(call.headers, "x-request-id", call.request_id);
  if (!config_.cors_origin.empty()) {
    append_member(call.headers, "access-control-allow-origin", config_.cors_origin);
    append_member(call.headers, "access-control-expose-headers", kExposed);
    if (config_.cors_origin != "*") append_member(call.headers, "vary", "origin");
  }

  if (call.method == "OPTIONS") {
    answer_preflight(call);
    return call.id;
  }
  if (call.path != kChatPath) {
    answer_other(now, call);
  } else if (call.method != "POST") {
    refuse_method(call, "POST", "POST, OPTIONS");
  } else if (!allowed(call)) {
    refuse_key(call);
  } else {
    open_chat(now, call, request);
  }
  return call.id;
}

// What is no chat.
void Gateway::answer_other(Instant now, const Call& call) {
  const bool is_model = starts_with(call.path, std::string(kModelsPath) + "/");
  if (!is_model && call.path != kHealthPath && call.path != kModelsPath) {
    refuse(call, mistake(404, "not_found",
                         "There is nothing at " + call.path +
                             ". Known: POST /v1/chat/completions, GET /v1/models, GET /health"));
  } else if (call.method != "GET" && call.method != "HEAD") {
    refuse_method(call, "GET", "GET, HEAD, OPTIONS");
  } else if (call.path == kHealthPath) {
    answer_health(now, call);
  } else if (!allowed(call)) {
    refuse_key(call);
  } else if (is_model) {
    answer_model(call, std::string_view(call.path).substr(kModelsPath.size() + 1));
  } else {
    answer_models(call);
  }
}

void Gateway::refuse_method(const Call& call, std::string_view expected, std::string_view allowed) {
  std::string allow;
  append_member(allow, "allow", allowed);
  refuse(call,
         mistake(405, "method_not_allowed", "Expected " + std::string(expected) + " " + call.path),
         allow);
}

void Gateway::refuse_key(const Call& call) {
  const bool unset = config_.client_keys.empty() && config_.client_key_digests.empty();
  refuse(call, {401, "authentication_error", "invalid_api_key",
                unset ? "This Spillway serves no one but its own machine yet: set SPILLWAY_KEYS "
                        "to the client keys "
                        "it shall accept (comma-separated, plain or sha256:<hex>)"
                      : "Expected a client key of this Spillway: authorization: Bearer <key>",
                ""});
}

void Gateway::refuse_size(const Call& call) {
  refuse(call, mistake(413, "request_too_large",
                       "Expected a body of at most " + std::to_string(config_.request_bytes_max) +
                           " bytes"));
}

void Gateway::refuse_load(const Call& call) {
  refuse(call,
         {503, "server_error", "too_many_chats",
          "This instance serves " + std::to_string(router_.chats()) + " chats, its limit", ""});
}

void Gateway::open_chat(Instant now, Call& call, HttpRequest& request) {
  if (request.body_too_large || request.body.size() > config_.request_bytes_max)
    return refuse_size(call);
  if (router_.chats() >= config_.chats_max) return refuse_load(call);
  auto chat = std::make_unique<ChatRequest>();
  chat->body = std::move(request.body);
  chat->dialect = &adapters::openai_chat;
  BadRequest problem;
  if (!chat->dialect->decode_request(*chat, problem)) return refuse_body(call, problem);
  ChatOpening opening;
  opening.id = call.id;
  opening.request = std::move(chat);
  opening.headers = std::move(call.headers);
  opening.request_id = std::move(call.request_id);
  opening.seed = call.seed;
  opening.embedded = call.trusted;
  router_.open(now, std::move(opening));
}

void Gateway::refuse_body(const Call& call, const BadRequest& problem) {
  refuse(call, mistake(400, problem.code, problem.message, problem.param));
}

void Gateway::answer_models(const Call& call) {
  std::string body;
  json::Writer out(body);
  out.begin_object().key("object").string("list").key("data").begin_array();
  for (const Route& route : config_.routes) write_chain(route.name, route.chain, out);
  for (const Engine& engine : config_.engines)
    if (engine.provider->ready()) write_engine(engine, out);
  out.end_array().end_object();
  answer(call, 200, body);
}

void Gateway::answer_model(const Call& call, std::string_view id) {
  std::string body;
  json::Writer out(body);
  std::string plain;  // clients percent-encode the colon and slashes of an engine's name
  for (std::size_t at = 0; at < id.size(); ++at) {
    const auto hex = [id](std::size_t where) {
      const std::size_t value =
          std::string_view("0123456789abcdef").find(static_cast<char>(id[where] | 0x20));
      return value == std::string_view::npos ? -1 : static_cast<int>(value);
    };
    if (id[at] == '%' && at + 2 < id.size() && hex(at + 1) >= 0 && hex(at + 2) >= 0) {
      plain.push_back(static_cast<char>(hex(at + 1) * 16 + hex(at + 2)));
      at += 2;
    } else {
      plain.push_back(id[at]);
    }
  }
  if (const Route* route = config_.find_route(plain)) {
    write_chain(plain, route->chain, out);
  } else if (const auto engine = config_.assume_engine(plain)) {
    write_engine(*engine, out);
  } else if (const auto chain = config_.engines_of(plain); !chain.empty()) {
    write_chain(plain, chain, out);
  } else {
    return refuse(call,
                  mistake(404, "model_not_found", "Unknown model \"" + plain + "\"", "model"));
  }
  answer(call, 200, body);
}

void Gateway::answer_health(Instant now, const Call& call) {
  std::string body;
  json::Writer out(body);
  std::int64_t ready = 0;
  bool simulated = false;
  for (const Provider& provider : config_.providers) {
    ready += provider.ready() ? 1 : 0;
    simulated = simulated || (provider.simulated && provider.ready());
  }
  out.begin_object().key("status").string(ready > 0 ? "ok" : "no_provider_key");
  out.key("simulated").boolean(simulated);
  if (simulated) out.key("warning").string("Answers are simulated: no provider key is set");
  out.key("providers_ready").integer(ready);
  if (allowed(call)) {
    out.key("chats_open").integer(static_cast<std::int64_t>(router_.chats()));
    out.key("providers").begin_object();
    for (const Provider& provider : config_.providers) {
      out.key(provider.name).begin_object().key("ready").boolean(provider.ready());
      if (!provider.ready()) out.key("set").string(provider.missing);
      if (provider.ready())
        out.key("keys").integer(static_cast<std::int64_t>(provider.keys.size()));
      if (provider.simulated) out.key("simulated").boolean(true);
      out.end_object();
    }
    out.end_object().key("cooling").begin_object();
    router_.health().each_cooling(now, [&](const std::string& engine, Instant ready_at) {
      if (is_named(config_, engine))
        out.any_key(engine).begin_object().key("ms").integer(ready_at - now).end_object();
    });
    out.end_object();
  }
  out.end_object();
  answer(call, 200, body);
}

void Gateway::log_providers() const {
  std::string line;
  json::Writer out(line);
  bool simulated = false;
  out.begin_object().key("event").text(JsonText::plain("providers")).key("ready").begin_array();
  for (const Provider& provider : config_.providers)
    if (provider.ready()) out.text(JsonText::plain(provider.name));
  out.end_array().key("skipped").begin_object();
  for (const Provider& provider : config_.providers) {
    if (!provider.ready()) {
      out.key(provider.name).begin_text();
      line += "set ";
      line += provider.missing;
      out.end_text();
    }
    simulated = simulated || (provider.simulated && provider.ready());
  }
  out.end_object();
  if (simulated)
    out.key("simulated")
        .boolean(true)
        .key("warning")
        .text(JsonText::plain("ANSWERS ARE SIMULATED: no provider key is set"));
  out.end_object();
  actions_.log(simulated ? LogLevel::warn : LogLevel::info, line);
}

}  // namespace spillway
