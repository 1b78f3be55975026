// A gateway with a host that follows no script: the bytes choose a configuration, requests and
// inputs in any order, for chats and exchanges that are, that were and that never have been.
//
// Whatever comes: respond once, then writes, then one end; nothing for a chat that is gone or not
// the step's own; one exchange a chat, or two that race, each ended or cancelled with it; the key
// of a provider is only in requests to it; JSON and event streams that a client can read; and once
// nothing more comes every chat ends by its own deadlines and leaves nothing behind.
#include "gateway.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "../lent.h"
#include "adapters.h"
#include "fuzz.h"

namespace spillway::fuzz {
namespace {

// --- what can be chosen

constexpr std::string_view kKey = "alpha-key-0123456789";

constexpr std::string_view kProviders = R"({
  "providers": {
    "alpha": {"dialect": "openai_chat", "base_url": "http://u.test/openai_chat", "keys": ["A_KEY"],
              "regular_stream": true},
    "beta": {"dialect": "openai_chat", "base_url": "http://u.test/openai_chat", "keys": ["B_KEY"],
             "regular_stream": true},
    "ant": {"dialect": "anthropic", "base_url": "http://u.test/anthropic", "keys": ["B_KEY"],
            "auth": "x-api-key"},
    "gem": {"dialect": "gemini", "base_url": "http://u.test/gemini", "keys": ["B_KEY"]}
  },
  "engines": {
    "alpha:a": {"context_window": 8000, "max_output": 1000, "price_in": 1, "price_out": 2},
    "beta:b": {"context_window": 32000, "max_output": 1000, "capabilities": ["tools", "prefill"]},
    "ant:c": {"context_window": 8000, "max_output": 1000},
    "gem:g": {"context_window": 8000, "max_output": 1000}
  },
  "routes": {
    "pair": {"chain": ["alpha:a", "beta:b"]},
    "mixed": {"chain": ["ant:c", "gem:g", "alpha:a", "beta:b"]}
  },
  "default_route": "pair"
})";
constexpr std::string_view kChanges[] = {
    "{}",
    R"({"providers": {"alpha": {"quirks": ["irregular_stream", "think_tags"]},
                      "beta": {"quirks": ["no_done", "usage_always"]}},
        "routes": {"pair": {"attempts_per_engine": 3, "rate_limit_wait_ms": 5000},
                   "mixed": {"attempts_max": 8, "on_auth_error": "next"}}})",
    R"({"routes": {"pair": {"timeouts": {"headers_ms": 100, "first_content_ms": 100, "idle_ms": 100,
                                         "total_ms": 1000}, "on_content_filter": "next"}},
        "cors": {"origin": "https://a.test"}, "limits": {"chats_max": 2}})",
    R"({"routes": {"pair": {"hedge": {"after": 50, "max_extra": 1},
                            "keep_alive": {"before_content_ms": 120, "every_ms": 70}},
                   "mixed": {"hedge": {"after": 1, "max_extra": 1, "tools": true},
                             "keep_alive": {"before_content_ms": 1, "every_ms": 1000}}}})",
    R"({"routes": {"pair": {"rescue": false}, "mixed": {"strict": true}}, "limits": {"cooldown_ms": 1}})",
};

constexpr std::string_view kHeads[] = {
    R"({"method":"POST","url":"http://s/v1/chat/completions","headers":{},"trusted":true})",
    R"({"method":"POST","url":"http://s/v1/chat/completions","headers":{},"local":true})",
    R"({"method":"POST","url":"http://s/v1/chat/completions",
        "headers":{"authorization":"Bearer client-key"}})",
    R"({"method":"GET","url":"http://s/health","headers":{},"trusted":true})",
    R"({"method":"GET","url":"http://s/v1/models/pair","headers":{},"trusted":true})",
    R"({"method":"OPTIONS","url":"http://s/","headers":{"access-control-request-headers":"x"}})",
};
constexpr std::string_view kBodies[] = {
    R"({"model":"pair","stream":true,"stream_options":{"include_usage":true},
        "messages":[{"role":"user","content":"Hi"}]})",
    R"({"model":"pair","stream":true,"messages":[{"role":"user","content":"Hi"}]})",
    R"({"model":"pair","messages":[{"role":"user","content":"Hi"}]})",
    R"({"model":"mixed","stream":true,"messages":[{"role":"user","content":"Hi"}]})",
    R"({"model":"mixed","messages":[{"role":"user","content":"Hi"}]})",
    R"({"model":"pair","n":2,"messages":[{"role":"user","content":"Hi"}]})",
    R"({"model":"gem:g","stream":true,"models":["pair"],"messages":[{"role":"user","content":"Hi"},
        {"role":"assistant","content":"He"}]})",
    R"({"model":"beta:b","stream":true,"tools":[{"type":"function","function":{"name":"f"}}],
        "spillway":{"chain":["beta:b","ant:c"],"attempts_max":3,"strict":true},
        "messages":[{"role":"user","content":"Hi"}]})",
};

constexpr int kStatuses[] = {200, 200, 200, 200, 429, 500, 401, 400, 404, 413, 302, 204, 0, -1};
constexpr std::string_view kResponseHeads[] = {
    R"({"content-type":"text/event-stream"})",
    R"({"content-type":"application/json"})",
    R"({"content-type":"text/event-stream","retry-after":"2"})",
    R"({"content-type":"application/json","retry-after-ms":"900"})",
    "{}",
};

// The first are of one dialect, the others of all.
constexpr std::string_view kOpenAi[] = {
    "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hey, "
    "you\"}}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
    "\"content\":\"\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"function\":"
    "{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm \\ud83d\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"<think>a</thi\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n",
    "{\"id\":\"c1\",\"choices\":[{\"message\":{\"content\":\"Hey\"},\"finish_reason\":\"stop\"}]}",
};
constexpr std::string_view kAnthropic[] = {
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
    "{\"type\":\"text_delta\",\"text\":\"Hey, you\"}}\n\n",
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":"
    "\"c\",\"usage\":{\"input_tokens\":3}}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
    "\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\","
    "\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
    "\"partial_json\":\"{\\\"a\\\":\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
};
constexpr std::string_view kGemini[] = {
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hey, you\"}]}}]}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[]},\"finishReason\":\"STOP\"}],"
    "\"usageMetadata\":{\"promptTokenCount\":3}}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":"
    "{}}}]}}]}\n\n",
    "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n",
    "data: {\"candidates\":[{\"finishReason\":\"MALFORMED_FUNCTION_CALL\"}]}\n\n",
};
constexpr std::string_view kCommon[] = {
    "data: [DONE]\n\n",
    ": ping\n\n",
    "data: {\"error\":{\"message\":\"overloaded, key alpha-key-0123456789\",\"code\":503}}\n\n",
    "{\"error\":{\"message\":\"wrong key alpha-key-0123456789\",\"code\":\"invalid_api_key\"}}",
    "{\"error\":{\"message\":\"Rate limit reached\",\"type\":\"rate_limit\"}}",
    "event: error\ndata: {\"message\":\"it broke, key alpha-key-0123456789\"}\n\n",
    "\n\n",
};
constexpr Millis kTimes[] = {0, 1, 60, 150, 1'000, 6'000, 16'000, 61'000, 700'000, 90'000'000};

const Config& configuration(std::size_t index) {
  static const std::vector<std::unique_ptr<const Config>> all = [] {
    std::vector<std::unique_ptr<const Config>> made;
    for (const std::string_view change : kChanges) {
      std::string input;
      json::Writer out(input);
      out.begin_object().key("config").begin_array().string(kProviders).string(change).end_array();
      out.key("env").begin_object().key("A_KEY").string(kKey).key("A_KEY_2").string("alpha-key-2");
      out.key("B_KEY").string("beta-key-1").key("SPILLWAY_KEYS").string("client-key");
      out.end_object().end_object();
      ConfigProblem problem;
      auto config = Config::load(input, problem);
      require(config != nullptr, problem.path, problem.message);
      made.push_back(std::move(config));
    }
    return made;
  }();
  return *all[index % all.size()];
}

// --- the host

class Host final : public Actions {
 public:
  explicit Host(Choices choices)
      : choices_(choices), gateway_(configuration(choices_.byte()), *this) {}

  void run();

  void fetch(ExchangeId exchange, std::string_view head, std::string_view body) override;
  void cancel(ExchangeId exchange) override;
  void read(ChatId chat) override { require(!ours(chat).responded, "a body is read first"); }
  void respond(ChatId chat, int status, std::string_view head) override;
  void write(ChatId chat, std::string_view bytes) override;
  void splice(ChatId chat, ExchangeId exchange) override;
  void gather(ChatId chat, ExchangeId exchange, Millis within) override;
  void end(ChatId chat) override;
  void wake(ChatId chat, Instant at) override;
  void log(LogLevel level, std::string_view line) override;

 private:
  struct Exchange {
    ChatId chat = ChatId::none;
    const std::string_view* pieces = nullptr;
    std::size_t pieces_count = 0;
    bool open = true;
    bool torn = false;  // ends inside a piece
  };
  struct Client {
    bool left = false;
    bool responded = false;
    bool ended = false;
    bool streams = false;
    bool wild = false;      // the provider said what no provider says
    bool said_key = false;  // someone else did
    ExchangeId spliced = ExchangeId::none;
    std::vector<ExchangeId> open;  // exchanges
    int fetches = 0;
    std::string body;
    std::string written;  // without what was piped
    Instant wake_at = Instant::never();

    [[nodiscard]] bool has(ExchangeId exchange) const {
      return std::find(open.begin(), open.end(), exchange) != open.end();
    }
    void close(ExchangeId exchange) { std::erase(open, exchange); }
  };

  void open();
  void give_body(ChatId chat, std::string_view piece, input::Body::Rest rest);
  void chunk();
  void deliver(ExchangeId id, std::string_view bytes);
  void step(ChatId chat, const Input& input);
  void settle(ChatId chat);
  void let_time_pass();
  void check_body(const Client& client);
  void check_secret(const Client& client, std::string_view bytes);
  Client& ours(ChatId chat);
  ExchangeId some_exchange();
  ChatId some_chat();
  ChatId chat_of(ExchangeId exchange) {
    const auto found = exchanges_.find(exchange);
    return found == exchanges_.end() ? ChatId::none : found->second.chat;
  }

  Choices choices_;
  Instant now_ = Instant::at_ms(1'800'000'000'000);
  std::map<ExchangeId, Exchange> exchanges_;
  std::map<ChatId, Client> clients_;
  ExchangeId last_exchange_ = ExchangeId::none;

  // of the step that runs
  ChatId stepping_ = ChatId::none;
  bool opening_ = false;
  bool says_key_ = false;
  int actions_ = 0;
  bool responded_now_ = false;

  Gateway gateway_;  // last: it is given *this
};

// The client that an action is for: the step's own, who is there.
Host::Client& Host::ours(ChatId chat) {
  if (opening_ && stepping_ == ChatId::none) {
    stepping_ = chat;
    require(clients_.count(chat) == 0, "a chat's id is never used twice");
    clients_[chat].said_key = says_key_;
  }
  require(chat != ChatId::none && chat == stepping_, "an action is for the step's own chat");
  Client& client = clients_[chat];
  require(!client.left && !client.ended, "no action for a chat that is gone");
  require(++actions_ <= 16, "a step takes few actions");
  return client;
}

void Host::fetch(ExchangeId id, std::string_view head, std::string_view body) {
  require(id > last_exchange_, "an exchange's id is never used twice");
  last_exchange_ = id;
  require(json::valid(head, json::Type::object), "the head of a fetch is JSON", head);
  require(json::valid(body, json::Type::object), "the body of a fetch is JSON", body);
  require(body.find(kKey) == std::string_view::npos || says_key_, "no key in a request's body");
  if (stepping_ == ChatId::none) stepping_ = ChatId{static_cast<std::int32_t>(clients_.size()) + 1};
  if (opening_) clients_[stepping_].said_key = says_key_;
  Client& client = ours(stepping_);
  require(client.open.size() < 2, "one exchange at a time, or two that race");
  require(client.spliced == ExchangeId::none || client.open.empty(), "no race for an answer");
  require(++client.fetches <= limits::attempts_max * (1 + limits::rescues_max),
          "attempts are bounded");
  client.open.push_back(id);
  Exchange exchange{stepping_, kOpenAi, std::size(kOpenAi), true, false};
  if (head.find("/anthropic/") != std::string_view::npos) {
    exchange.pieces = kAnthropic;
    exchange.pieces_count = std::size(kAnthropic);
  } else if (head.find("/gemini/") != std::string_view::npos) {
    exchange.pieces = kGemini;
    exchange.pieces_count = std::size(kGemini);
  }
  exchanges_[id] = exchange;
}

void Host::cancel(ExchangeId id) {
  Client& client = ours(stepping_);
  require(client.has(id), "only what is open is cancelled");
  client.close(id);
  exchanges_[id].open = false;
}

void Host::respond(ChatId chat, int status, std::string_view head) {
  Client& client = ours(chat);
  require(!client.responded, "a response begins once");
  require(status >= 200 && status < 600, "a status is one");
  client.responded = true;
  responded_now_ = true;
  check_secret(client, head);
  json::Reader in(head);
  if (in.enter_object())
    while (in.next_member()) {
      const bool is_type = in.key() == "content-type";
      require(is_line(in.key()), "a header's name is one", in.key());
      const auto value = in.string();
      require(value.has_value(), "a header's value is text", head);
      const std::string plain = json::unescaped(*value);
      require(is_line(plain), "a header's value is one line", plain);
      if (is_type) client.streams = plain.starts_with("text/event-stream");
    }
  require(in.finish(), "the head of a response is JSON", head);
}

void Host::write(ChatId chat, std::string_view bytes) {
  Client& client = ours(chat);
  require(client.responded, "a body comes behind its head");
  require(!bytes.empty(), "nothing is not written");
  client.body += bytes;
  client.written += bytes;
}

void Host::splice(ChatId chat, ExchangeId exchange) {
  Client& client = ours(chat);
  const bool was_early = client.body.find(": x-spillway-engine: ") != std::string::npos;
  require((responded_now_ || was_early) && client.spliced == ExchangeId::none,
          "a splice begins with the response, or behind comments");
  require(client.open == std::vector{exchange}, "only what is open, alone, is spliced");
  client.spliced = exchange;
}

void Host::gather(ChatId chat, ExchangeId exchange, Millis within) {
  Client& client = ours(chat);
  require(!client.responded && within > 0, "what no client reads yet is gathered");
  require(client.open == std::vector{exchange}, "only what is open, alone, is gathered");
}

void Host::end(ChatId chat) {
  Client& client = ours(chat);
  require(client.responded, "an end comes behind the head");
  check_body(client);
  client.ended = true;
  client.wake_at = Instant::never();
}

void Host::wake(ChatId chat, Instant at) { ours(chat).wake_at = at; }

void Host::log(LogLevel, std::string_view line) {
  require(json::valid(line, json::Type::object) && is_line(line), "a log line is JSON", line);
  require(++actions_ <= 16, "a step takes few actions");
  check_secret(clients_[stepping_], line);
}

void Host::check_secret(const Client& client, std::string_view bytes) {
  require(client.said_key || bytes.find(kKey) == std::string_view::npos, "no key leaves", bytes);
}

void Host::check_body(const Client& client) {
  // Of a stream that passes as it is, what is no event or no answer passes too.
  if (!client.streams || !client.wild) check_secret(client, client.written);
  if (!client.streams) {
    require(client.wild || client.body.empty() || json::valid(client.body), "a body is JSON",
            client.body);
  } else if (client.spliced == ExchangeId::none) {
    require(fault_of_stream(client.body, true).empty(), fault_of_stream(client.body, true),
            client.body);
  } else if (!client.wild) {
    const bool has_done = client.body.find("data: [DONE]\n") != std::string::npos;
    require(has_done || client.body.find("rror") != std::string::npos,
            "a piped stream ends in [DONE] or an error", client.body);
    // "\n\r" is a whole blank line, whether an LF follows or not.
    const bool is_whole = client.body.ends_with("\n\n") || client.body.ends_with("\n\r") ||
                          client.body.ends_with("\n\r\n");
    require(has_done || is_whole, "a piped stream ends with its event", client.body);
  }
}

// --- what comes in

// Mostly the newest, seldom one that never was.
ExchangeId Host::some_exchange() {
  const auto choice = static_cast<std::int32_t>(choices_.byte());
  if (choice >= 240 || last_exchange_ == ExchangeId::none) return ExchangeId{choice - 248};
  const auto last = static_cast<std::int32_t>(last_exchange_);
  return ExchangeId{last - choice % last};
}

ChatId Host::some_chat() {
  const auto choice = static_cast<std::int32_t>(choices_.byte());
  if (choice >= 240 || clients_.empty()) return ChatId{choice - 248};
  const auto last = static_cast<std::int32_t>(clients_.rbegin()->first);
  return ChatId{last - choice % last};
}

void Host::open() {
  const std::size_t head = choices_.below(std::size(kHeads) + 1);
  const std::size_t body = choices_.below(std::size(kBodies) + 1);
  const std::string head_text(head < std::size(kHeads) ? kHeads[head] : choices_.text());
  const std::string body_text(body < std::size(kBodies) ? kBodies[body] : choices_.text());
  says_key_ = (head_text + body_text).find(kKey) != std::string::npos;
  opening_ = true;
  actions_ = 0;
  responded_now_ = false;
  stepping_ = ChatId::none;
  const Lent lent_head(head_text);
  const ChatId id = gateway_.open(now_, clients_.size(), lent_head.view());
  require(id == stepping_, "who opens is answered or served");
  opening_ = false;
  settle(id);
  // In one piece or in two; one in four never comes to its end.
  const std::size_t cut = choices_.below(body_text.size() + 1);
  using Rest = input::Body::Rest;
  const std::string_view text = body_text;
  const Rest rest = cut % 16 == 1 ? Rest::broken : cut % 4 == 3 ? Rest::more : Rest::none;
  if (!gateway_.is_arriving(id)) return;
  give_body(id, text.substr(0, cut), Rest::more);
  give_body(id, text.substr(cut), rest);
}

void Host::give_body(ChatId chat, std::string_view piece, input::Body::Rest rest) {
  const Lent lent(piece);
  step(chat, input::Body{chat, lent.view(), rest});
}

void Host::step(ChatId chat, const Input& input) {
  stepping_ = chat;
  actions_ = 0;
  responded_now_ = false;
  gateway_.step(now_, input);
  if (chat != ChatId::none) settle(chat);
}

void Host::settle(ChatId chat) {
  const Client& client = clients_[chat];
  const bool over = client.ended || client.left;
  const bool is_gone = gateway_.router().state_of(chat) == ChatState::gone;
  require(over == (is_gone && !gateway_.is_arriving(chat)), "who is over is gone");
  if (over) require(client.open.empty(), "exchanges end with their chat");
  require(over || client.wake_at != Instant::never(), "a chat that goes on has its wake-up");
}

void Host::deliver(ExchangeId id, std::string_view bytes) {
  const ChatId chat = chat_of(id);
  const Lent lent(bytes);
  if (chat != ChatId::none) {
    Client& client = clients_[chat];
    // A native pipe is ahead of the core.
    if (client.spliced == id && client.has(id) && !client.ended) client.body += bytes;
  }
  step(chat, input::Chunk{id, lent.view()});
}

void Host::chunk() {
  const ExchangeId id = some_exchange();
  const std::size_t choice = choices_.byte();
  const auto found = exchanges_.find(id);
  const std::size_t of_dialect = found == exchanges_.end() ? 0 : found->second.pieces_count;
  std::string_view piece;
  std::size_t cut = 0;
  const bool raw = choice >= 224 || found == exchanges_.end();
  if (raw) {
    piece = choices_.text();
  } else {
    const std::size_t index = choice % (of_dialect + std::size(kCommon));
    piece = index < of_dialect ? found->second.pieces[index] : kCommon[index - of_dialect];
    cut = choices_.byte();
  }
  if (found != exchanges_.end()) {
    Client& client = clients_[found->second.chat];
    // Whole answers and bare errors are no events.
    const bool is_event = piece.starts_with("data") || piece.starts_with("event") ||
                          piece.starts_with(':') || piece == "\n\n";
    client.wild = client.wild || raw || found->second.torn || !is_event;
    if (raw && piece.find("alpha-key") != std::string_view::npos) client.said_key = true;
    found->second.torn = cut != 0 && cut % 2 == 0;
  }
  const std::size_t first = cut == 0 ? piece.size() : cut / 2 % (piece.size() + 1);
  deliver(id, piece.substr(0, first));
  if (cut % 2 != 0) deliver(id, piece.substr(first));
}

void Host::let_time_pass() {
  for (int looks = 0;; ++looks) {
    require(looks < 5000, "every chat ends by its own deadlines");
    ChatId next = ChatId::none;
    Instant at = Instant::never();
    for (const auto& [id, client] : clients_)
      if (client.wake_at < at) {
        next = id;
        at = client.wake_at;
      }
    if (next == ChatId::none) return;
    now_ = std::max(now_, at);
    clients_[next].wake_at = Instant::never();
    step(next, input::Wake{next, choices_.below(2) == 0});
  }
}

void Host::run() {
  for (int inputs = 0; inputs < 500 && !choices_.empty(); ++inputs) {
    switch (choices_.below(9)) {
      case 0:
        if (clients_.size() < 20) open();
        break;
      case 1: {
        const ExchangeId id = some_exchange();
        const int status = choices_.one_of(kStatuses);
        const std::size_t head = choices_.below(std::size(kResponseHeads) + 1);
        const Lent lent(head < std::size(kResponseHeads) ? kResponseHeads[head] : choices_.text());
        if (lent.view().find("alpha-key") != std::string_view::npos && chat_of(id) != ChatId::none)
          clients_[chat_of(id)].said_key = true;
        step(chat_of(id), input::Response{id, status, lent.view()});
        break;
      }
      case 2:
      case 3:
      case 4:
        chunk();
        break;
      case 5:
      case 6: {
        const ExchangeId id = some_exchange();
        const bool breaks = choices_.below(2) == 1;
        const Lent reason(breaks ? "reset by alpha-key-0123456789" : "");
        if (const auto found = exchanges_.find(id); found != exchanges_.end()) {
          found->second.open = false;
          clients_[found->second.chat].close(id);
        }
        if (breaks) {
          step(chat_of(id), input::Error{id, reason.view()});
        } else {
          step(chat_of(id), input::End{id});
        }
        break;
      }
      case 7: {
        const ChatId id = some_chat();
        now_ = now_ + choices_.one_of(kTimes);
        const auto found = clients_.find(id);
        if (found != clients_.end()) found->second.wake_at = Instant::never();
        step(found == clients_.end() ? ChatId::none : id, input::Wake{id, choices_.below(2) == 0});
        break;
      }
      case 8: {
        const ChatId id = some_chat();
        const auto found = clients_.find(id);
        if (found == clients_.end()) {
          step(ChatId::none, input::Close{id});
          break;
        }
        const bool was_over = found->second.ended || found->second.left;
        stepping_ = id;
        actions_ = 0;
        gateway_.step(now_, input::Close{id});
        require(!was_over || actions_ == 0, "who is gone does not leave");
        found->second.left = true;
        found->second.wake_at = Instant::never();
        settle(id);
        break;
      }
    }
  }
  let_time_pass();
  require(gateway_.router().chats() == 0, "no chat is left behind");
  require(gateway_.router().exchanges() == 0, "no exchange is left behind");
  for (const auto& [id, exchange] : exchanges_) require(!exchange.open, "an exchange is left open");
  for (const auto& [id, client] : clients_)
    require(client.left || client.ended, "a client waits for an end");
}

}  // namespace
}  // namespace spillway::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  spillway::fuzz::Host({data, size}).run();
  return 0;
}
