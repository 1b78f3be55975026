#include "gateway.h"

#include <array>

#include "adapters.h"
#include "ending.h"
#include "front.h"
#include "limits.h"
#include "log.h"
#include "sha256.h"
#include "text.h"

namespace spillway {

// What the head of a request says.
struct Gateway::Call {
  ChatId id = ChatId::none;
  std::uint64_t seed = 0;
  std::string request_id;
  CommonHeaders headers;
  std::string_view head;  // lent for open()
  std::string method;
  std::string path;
  std::string key;           // what the client showed
  std::int64_t length = -1;  // of the body, -1 when it is not told
  bool local = false;        // from this machine, under a development server
  bool trusted = false;      // embedded: the caller is the program itself
  Caller caller;

  void read();
  void read_headers(json::Reader& in);
};

// A request whose body is being read.
struct Gateway::Arrival {
  enum class Refusal : std::uint8_t { none, size, load };

  Call call;
  Occupancy::Seat seat;
  std::string body;
  std::size_t room_bytes = 0;  // that the body may take
  Instant due;
  // Decided, and told once the client has sent all, or so much that it is not worth it.
  Refusal refusal = Refusal::none;
  std::size_t dropped_bytes = 0;
};

namespace {

std::string text_of(json::Reader& in) { return json::unescaped(in.string().value_or(JsonText())); }

// What few requests are asked for: a member of the head, a header.
SPILLWAY_RARE std::string member_in(std::string_view object, std::string_view name) {
  json::Reader in(object);
  std::string text;
  if (!in.enter_object()) return text;
  while (in.next_member())
    if (in.key() == name) text = in.peek() == json::Type::string ? text_of(in) : in.raw();
  return text;
}
SPILLWAY_RARE std::string header_in(std::string_view head, std::string_view name) {
  return member_in(member_in(head, "headers"), name);
}
// "https://host:port/path?query" → "https://host:port"
SPILLWAY_RARE std::string origin_in(std::string_view head) {
  const std::string url = member_in(head, "url");
  const std::size_t scheme = url.find("://");
  return scheme == std::string::npos ? "" : url.substr(0, url.find_first_of("/?#", scheme + 3));
}

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
constexpr std::string_view kFrontPath = "/";

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
  // As OpenRouter calls it.
  write_ending(engine, "expiration_date", out);
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

bool may_name(const Client* client, std::string_view engine) {
  return client == nullptr || client->names_engine(engine);
}

// What of a route's chain a client reaches.
std::list<std::string> reached_chain(const Route& route, const Client* client) {
  std::list<std::string> chain = route.chain;
  if (client == nullptr) return chain;
  if (!client->reaches_route(route.name)) return {};
  chain.remove_if([client](const std::string& engine) { return !client->reaches_engine(engine); });
  return chain;
}

// The rest of an object about what is left out.
void write_wait(Millis ms, FailureKind reason, json::Writer& out) {
  out.key("ms").integer(ms).key("reason").string(name_of(reason)).end_object();
}

// By their numbers: 1 is the first. `engine`: the one that a key is left out of, if it is not all.
void write_cooling_keys(Instant now, const Config& config, const Provider& provider,
                        const Health& health, json::Writer& out) {
  bool any = false;
  const auto write = [&](std::size_t key, const Health::KeyStanding& standing,
                         std::string_view engine) {
    if (!any) out.key("keys_cooling").begin_array();
    any = true;
    out.begin_object().key("key").integer(static_cast<std::int64_t>(key + 1));
    if (!engine.empty()) out.key("engine").string(engine);
    write_wait(standing.until - now, standing.reason, out);
  };
  for (std::size_t key = 0; key < provider.keys.size(); ++key)
    if (const auto* const standing = health.cooling_key(now, provider.number, key))
      write(key, *standing, {});
  for (const Engine& engine : config.engines)
    if (engine.provider == &provider)
      health.each_denied(now, engine.id, [&](std::size_t key, const Health::KeyStanding& standing) {
        write(key, standing, engine.id);
      });
  if (any) out.end_array();
}

ClientError mistake(int status, std::string_view code, std::string message,
                    std::string param = {}) {
  return {status, "invalid_request_error", code, std::move(message), std::move(param)};
}

}  // namespace

namespace {

// What identifies a client, the strongest word first, in whatever order the headers come.
struct ShownKeys {
  std::string bearer;
  std::string x_api_key;
  std::string api_key;

  [[nodiscard]] std::string_view first() const {
    for (const std::string* key : {&bearer, &x_api_key, &api_key})
      if (const std::string_view shown = trimmed(*key); !shown.empty()) return shown;
    return {};
  }
};

std::string bearer_in(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  if (lowered(authorization.substr(0, scheme.size())) != scheme) return {};
  return std::string(authorization.substr(scheme.size()));
}

// A whole number without sign; -1 for anything else.
std::int64_t length_in(std::string_view text) {
  constexpr std::size_t digits_max = 15;
  if (text.empty() || text.size() > digits_max) return -1;
  std::int64_t length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return -1;
    length = length * 10 + (c - '0');
  }
  return length;
}

}  // namespace

void Gateway::Call::read_headers(json::Reader& in) {
  if (!in.enter_object()) return;
  ShownKeys shown;
  while (in.next_member()) {
    const std::string_view name = in.key();
    if (name == "authorization") {
      shown.bearer = bearer_in(text_of(in));
    } else if (name == "x-api-key") {
      shown.x_api_key = text_of(in);
    } else if (name == "api-key") {
      shown.api_key = text_of(in);
    } else if (name == "content-length") {
      length = length_in(text_of(in));
    }
  }
  key = shown.first();
}

void Gateway::Call::read() {
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
    }
  }
}

Gateway::Gateway(const Config& config, Actions& actions)
    : config_(config), actions_(actions), occupancy_(config), router_(config, actions) {}

Gateway::~Gateway() = default;

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
  // Echoed, unless it is more than any page asks for.
  const std::string requested = header_in(call.head, "access-control-request-headers");
  const bool is_usual = !requested.empty() && requested.size() <= limits::told_bytes_max;
  append_member(more, "access-control-allow-headers",
                is_usual ? requested : "authorization, content-type");
  append_member(more, "access-control-max-age", "86400");
  answer(call, 204, {}, more);
}

// Who asks, nothing for a stranger. Every known key is looked at, so that the time tells nothing.
std::optional<Caller> Gateway::caller_of(const Call& call) const {
  if (call.trusted) return Caller();
  if (config_.client_keys.empty() && config_.clients.empty())
    return call.local ? std::optional(Caller()) : std::nullopt;
  if (call.key.empty() || call.key.size() > limits::client_key_bytes_max) return std::nullopt;
  std::string digest;
  const ClientKey* known = nullptr;
  for (const ClientKey& key : config_.client_keys) {
    if (key.is_digest && digest.empty()) digest = sha256_hex(call.key);
    if (equal_in_constant_time(key.is_digest ? digest : call.key, key.text.reveal())) known = &key;
  }
  return known == nullptr ? std::nullopt : std::optional(Caller{known});
}

ChatId Gateway::open(Instant now, std::uint64_t seed, std::string_view head) {
  if (endings_due_ <= now) log_endings(now);
  Call call;
  call.id = ChatId{next_chat_++};
  call.seed = seed;
  call.request_id = hex_id(seed ^ static_cast<std::uint64_t>(now.ms()) << 20);
  call.head = head;
  call.read();
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
  const ChatId id = call.id;
  const std::optional<Caller> caller = caller_of(call);
  if (call.path != kChatPath) {
    answer_other(now, call, caller);
  } else if (call.method != "POST") {
    refuse_method(call, "POST", "POST, OPTIONS");
  } else if (!caller) {
    refuse_key(call);
  } else {
    call.caller = *caller;
    arrive(now, std::move(call));
  }
  return id;
}

// What is no chat.
void Gateway::answer_other(Instant now, const Call& call, const std::optional<Caller>& caller) {
  const bool is_model = starts_with(call.path, std::string(kModelsPath) + "/");
  if (!is_model && call.path != kHealthPath && call.path != kModelsPath &&
      call.path != kFrontPath) {
    refuse(call, mistake(404, "not_found",
                         "There is nothing at " + quote(call.path) +
                             ". Known: POST /v1/chat/completions, GET /v1/models, GET /health"));
  } else if (call.method != "GET" && call.method != "HEAD") {
    refuse_method(call, "GET", "GET, HEAD, OPTIONS");
  } else if (call.path == kFrontPath) {
    answer_front(call);
  } else if (call.path == kHealthPath) {
    // In full to whoever reaches all that it tells of.
    const Client* const client = caller ? caller->client() : nullptr;
    answer_health(now, call, caller && (client == nullptr || client->reaches_everything()));
  } else if (!caller) {
    refuse_key(call);
  } else if (is_model) {
    answer_model(call, std::string_view(call.path).substr(kModelsPath.size() + 1), *caller);
  } else {
    answer_models(now, call, *caller);
  }
}

void Gateway::answer_front(const Call& call) {
  if (header_in(call.head, "accept").find("text/html") == std::string::npos)
    return answer(call, 200, front_json(config_));
  std::string head = call.headers;
  append_member(head, "content-type", "text/html; charset=utf-8");
  append_member(head, "cache-control", "no-store");
  append_member(head, "content-security-policy",
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'");
  actions_.respond(call.id, 200, "{" + head + "}");
  if (call.method != "HEAD") actions_.write(call.id, front_page(config_, origin_in(call.head)));
  actions_.end(call.id);
}

void Gateway::refuse_method(const Call& call, std::string_view expected, std::string_view allowed) {
  std::string allow;
  append_member(allow, "allow", allowed);
  refuse(call,
         mistake(405, "method_not_allowed",
                 "Expected " + std::string(expected) + " " + quote(call.path)),
         allow);
}

void Gateway::refuse_key(const Call& call) {
  const bool unset = config_.client_keys.empty() && config_.clients.empty();
  refuse(call, {401, "authentication_error", "invalid_api_key",
                unset ? "This Spillway serves no one but its own machine yet: set SPILLWAY_KEYS "
                        "to the client keys "
                        "it shall accept (comma-separated, plain or sha256:<hex>)"
                      : "Expected a client key of this Spillway: authorization: Bearer <key>",
                ""});
}

void Gateway::refuse_size(const Call& call) {
  refuse(call,
         mistake(413, "request_too_large",
                 "Expected a body of at most " + std::to_string(body_bytes_max(call)) + " bytes"));
}

// For now: what is taken becomes free.
void Gateway::refuse_load(const Call& call, std::string_view what) {
  std::string wait;
  append_member(wait, "retry-after", "1");
  refuse(call, {503, "server_error", "too_many_chats", std::string(what), ""}, wait);
}

std::size_t Gateway::body_bytes_max(const Call& call) const {
  const Client* const client = call.caller.client();
  const std::size_t own = client == nullptr ? 0 : client->request_bytes_max;
  return own == 0 ? config_.request_bytes_max : std::min(own, config_.request_bytes_max);
}

// Who may ask is known: now its body is read.
void Gateway::arrive(Instant now, Call&& call) {
  auto seat = occupancy_.take_seat(call.caller);
  if (!seat) {
    const bool is_full = occupancy_.all().chats >= config_.chats_max;
    return refuse_load(call, is_full ? "This instance serves as many chats as it may"
                                     : "This client has as many chats open as it may");
  }
  const bool is_large = call.length > static_cast<std::int64_t>(body_bytes_max(call));
  if (is_large && call.length > static_cast<std::int64_t>(limits::dropped_bytes_max))
    return refuse_size(call);
  Arrival& arrival = arrivals_.emplace_back();
  arrival.call = std::move(call);
  arrival.call.head = {};
  arrival.seat = *std::move(seat);
  arrival.due = now + config_.body_ms;
  if (is_large) arrival.refusal = Arrival::Refusal::size;
  actions_.wake(arrival.call.id, arrival.due);
  actions_.read(arrival.call.id);
}

// Those that are open are few, and the newest is the one whose body comes.
std::list<Gateway::Arrival>::iterator Gateway::find_arrival(ChatId chat) {
  auto found = arrivals_.end();
  while (found != arrivals_.begin())
    if ((--found)->call.id == chat) return found;
  return arrivals_.end();
}

bool Gateway::is_arriving(ChatId chat) { return find_arrival(chat) != arrivals_.end(); }

void Gateway::step(Instant now, const Input& input) {
  if (arrivals_.empty()) return router_.step(now, input);
  if (const auto* piece = std::get_if<input::Body>(&input)) return take(now, *piece);
  if (std::holds_alternative<input::Wake>(input) || std::holds_alternative<input::Close>(input))
    return take_rare(now, input);
  router_.step(now, input);
}

void Gateway::take(Instant now, const input::Body& piece) {
  const auto found = find_arrival(piece.chat);
  if (found == arrivals_.end()) return;
  Arrival& arrival = *found;
  using Rest = input::Body::Rest;
  if (arrival.refusal != Arrival::Refusal::none || piece.rest == Rest::broken)
    return drop(arrival, piece);
  if (arrival.body.size() + piece.bytes.size() > body_bytes_max(arrival.call)) {
    arrival.refusal = Arrival::Refusal::size;
    return drop(arrival, piece);
  }
  if (!make_room(arrival, arrival.body.size() + piece.bytes.size())) {
    arrival.refusal = Arrival::Refusal::load;
    return drop(arrival, piece);
  }
  arrival.body += piece.bytes;
  if (piece.rest == Rest::more) return;
  open_chat(now, arrival);
  arrivals_.erase(found);
}

// As much as was announced, or twice as much as there is: what is held is what is counted.
bool Gateway::make_room(Arrival& arrival, std::size_t bytes) {
  if (bytes <= arrival.room_bytes) return true;
  const std::size_t announced =
      arrival.call.length > 0 ? static_cast<std::size_t>(arrival.call.length) : 0;
  const std::size_t wanted =
      std::min(std::max({bytes, announced, 2 * arrival.room_bytes}), body_bytes_max(arrival.call));
  if (!occupancy_.take_bytes(arrival.seat, wanted - arrival.room_bytes)) return false;
  arrival.body.reserve(wanted);
  arrival.room_bytes = wanted;
  return true;
}

// A piece of a body that is refused, or the news that it broke off.
void Gateway::drop(Arrival& arrival, const input::Body& piece) {
  std::string().swap(arrival.body);
  arrival.seat.give_bytes();
  arrival.dropped_bytes += piece.bytes.size();
  using Rest = input::Body::Rest;
  if (piece.rest == Rest::more && arrival.dropped_bytes <= limits::dropped_bytes_max) return;
  if (piece.rest == Rest::broken) {
    refuse(arrival.call, mistake(400, "body_broke_off", "The request body broke off"));
  } else {
    refuse_dropped(arrival);
  }
  arrivals_.erase(find_arrival(arrival.call.id));
}

void Gateway::refuse_dropped(const Arrival& arrival) {
  if (arrival.refusal == Arrival::Refusal::size) return refuse_size(arrival.call);
  refuse_load(arrival.call, "This instance holds as many bytes of request bodies as it may");
}

// A deadline of a body, or a client that left before it was read.
void Gateway::take_rare(Instant now, const Input& input) {
  const auto* const wake = std::get_if<input::Wake>(&input);
  const auto* const close = std::get_if<input::Close>(&input);
  const auto found = find_arrival(wake != nullptr ? wake->chat : close->chat);
  if (found == arrivals_.end()) return router_.step(now, input);
  const Arrival& arrival = *found;
  if (wake != nullptr && now < arrival.due) return actions_.wake(wake->chat, arrival.due);
  if (wake != nullptr && arrival.refusal != Arrival::Refusal::none) {
    refuse_dropped(arrival);
  } else if (wake != nullptr) {
    refuse(arrival.call,
           mistake(408, "body_timeout",
                   "Expected the whole body within " + std::to_string(config_.body_ms) + " ms"));
  }
  arrivals_.erase(found);
}

void Gateway::open_chat(Instant now, Arrival& arrival) {
  Call& call = arrival.call;
  auto chat = std::make_unique<ChatRequest>();
  chat->body = std::move(arrival.body);
  chat->dialect = &adapters::openai_chat;
  BadRequest problem;
  if (!chat->dialect->decode_request(*chat, problem)) return refuse_body(call, problem);
  ChatOpening opening;
  opening.id = call.id;
  opening.request = std::move(chat);
  opening.seat = std::move(arrival.seat);
  opening.client = call.caller.client();
  opening.client_name = call.trusted                ? kEmbeddedClient
                        : opening.client == nullptr ? kLocalClient
                                                    : std::string_view(opening.client->name);
  opening.headers = std::move(call.headers);
  opening.request_id = std::move(call.request_id);
  opening.seed = call.seed;
  opening.embedded = call.trusted;
  router_.open(now, std::move(opening));
}

void Gateway::refuse_body(const Call& call, const BadRequest& problem) {
  refuse(call, mistake(400, problem.code, problem.message, problem.param));
}

void Gateway::answer_models(Instant now, const Call& call, const Caller& caller) {
  std::string body;
  json::Writer out(body);
  out.begin_object().key("object").string("list").key("data").begin_array();
  const Client* const client = caller.client();
  for (const Route& route : config_.routes)
    if (const auto chain = reached_chain(route, client); !chain.empty())
      write_chain(route.name, chain, out);
  for (const Engine& engine : config_.engines)
    if (engine.provider->ready() && may_name(client, engine.id) && !has_ended(engine, now))
      write_engine(engine, out);
  out.end_array().end_object();
  answer(call, 200, body);
}

void Gateway::answer_model(const Call& call, std::string_view id, const Caller& caller) {
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
  const Client* const client = caller.client();
  std::list<std::string> chain;
  if (const Route* route = config_.find_route(plain)) {
    chain = reached_chain(*route, client);
  } else {
    chain = config_.engines_of(plain);
    chain.remove_if([client](const std::string& engine) { return !may_name(client, engine); });
  }
  const bool is_name_of_one = plain.size() <= limits::name_bytes_max && may_name(client, plain);
  if (const auto engine = is_name_of_one ? config_.assume_engine(plain) : std::nullopt) {
    write_engine(*engine, out);
  } else if (!chain.empty()) {
    write_chain(plain, chain, out);
  } else {
    return refuse(
        call, mistake(404, "model_not_found", "Unknown model \"" + quote(plain) + "\"", "model"));
  }
  answer(call, 200, body);
}

void Gateway::answer_health(Instant now, const Call& call, bool in_full) {
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
  if (in_full) {
    out.key("chats_open").integer(static_cast<std::int64_t>(router_.chats()));
    out.key("providers").begin_object();
    for (const Provider& provider : config_.providers) {
      out.key(provider.name).begin_object().key("ready").boolean(provider.ready());
      if (!provider.ready()) out.key("set").string(provider.missing);
      if (provider.ready())
        out.key("keys").integer(static_cast<std::int64_t>(provider.keys.size()));
      if (provider.simulated) out.key("simulated").boolean(true);
      write_cooling_keys(now, config_, provider, router_.health(), out);
      out.end_object();
    }
    out.end_object().key("cooling").begin_object();
    router_.health().each_cooling(
        now, [&](const std::string& engine, Instant ready_at, FailureKind reason) {
          write_wait(ready_at - now, reason, out.any_key(engine).begin_object());
        });
    out.end_object();
    endings(config_, now).write(out);
  }
  out.end_object();
  answer(call, 200, body);
}

// Once a day: an instance may be older than what it was started with.
void Gateway::log_endings(Instant now) {
  endings_due_ = now + limits::day_ms;
  const Endings due = endings(config_, now);
  if (!due.any()) return;
  std::string line;
  json::Writer out(line);
  out.begin_object().key("event").string("engines_ending");
  if (!due.routes.empty())
    out.key("warning").string("A route in routes_ending has no engine left from that day on");
  due.write(out);
  out.end_object();
  write_log(actions_, LogLevel::warn, line);
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
  write_log(actions_, simulated ? LogLevel::warn : LogLevel::info, line);
}

}  // namespace spillway
