#include "case_run.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "attempt.h"
#include "case_text.h"
#include "failure.h"
#include "framing.h"
#include "gateway.h"
#include "json.h"
#include "lent.h"
#include "text.h"

namespace spillway::cases {

namespace {

using Json = nlohmann::ordered_json;

// 2026-01-01T00:00:00Z
constexpr Instant kStart = Instant::at_ms(1'767'225'600'000);
constexpr Millis kEndAfterMs = 10;    // from the last byte to the end of the body
constexpr Millis kNextCallMs = 1000;  // from the end of one chat to the next request
constexpr int kStepsMax = 100'000;

Json parse(std::string_view text) { return Json::parse(text, nullptr, false); }

// --- what the client got

// A stream of events as a client reads it: their data, and whether the last one is whole.
struct EventStream {
  std::vector<std::string> data;
  bool whole = true;
};

EventStream read_events(std::string_view body) {
  EventStream stream;
  std::string data;
  bool has_data = false;
  while (!body.empty()) {
    const std::size_t end = body.find('\n');
    std::string_view line = body.substr(0, end);
    stream.whole = end != std::string_view::npos && trimmed(line).empty();
    body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) {
      if (has_data) stream.data.push_back(data);
      data.clear();
      has_data = false;
    } else if (starts_with(line, "data:")) {
      data += has_data ? "\n" : "";
      data += trimmed(line.substr(5));
      has_data = true;
    }
  }
  return stream;
}

// As a client decodes a stream: what is no UTF-8, such as a character cut in half, becomes U+FFFD.
std::string valid_utf8(std::string_view bytes) {
  std::string escaped;
  json::append_escaped(escaped, bytes);
  return json::unescaped(JsonText::trusted(escaped));
}

// Why this is no stream that a client of chat completions can read to its end, empty when it is
// one.
std::string fault_of_stream(std::string_view body, bool client_left) {
  const EventStream stream = read_events(body);
  bool over = false;
  for (const std::string& data : stream.data) {
    if (over) return "an event comes after the end of the stream: " + data;
    over = data == "[DONE]";
    if (over) continue;
    std::string readable = valid_utf8(data);
    json::mend_halves(readable);  // they are JSON, but not to this parser
    const Json event = parse(readable);
    if (!event.is_object()) return "an event is no JSON object: " + data;
    over = event.contains("error") && !event["error"].is_null();
    // What the official clients' users read of every chunk.
    const bool has_choices = event.contains("choices") && event["choices"].is_array();
    // A piped provider's error in a shape of its own is followed by one in the client's words.
    const bool is_foreign_error = event.contains("object") && event["object"] == "error";
    if (!over && !has_choices && !is_foreign_error) return "an event has no choices: " + data;
  }
  if (client_left) return {};
  if (!stream.whole) return "the last event is not complete";
  return over ? "" : "the stream ends with neither [DONE] nor an error";
}

bool is_stream(const Json& headers) {
  const auto type = headers.find("content-type");
  return type != headers.end() && type->is_string() &&
         starts_with(type->get_ref<const std::string&>(), "text/event-stream");
}

std::string fault_of_headers(const Json& headers) {
  if (!headers.is_object()) return "headers are no JSON object";
  for (const auto& [name, value] : headers.items()) {
    if (!value.is_string()) return "header " + name + " is no string";
    for (const char c : value.get_ref<const std::string&>())
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e)
        return "header " + name + " holds what no header may";
  }
  return {};
}

std::string fault_of_request(const UpstreamRequest& request) {
  const Json head = parse(request.head);
  if (!head.is_object() || !head.contains("headers"))
    return "the head of a fetch is no JSON object with headers";
  if (!parse(request.body).is_object()) return "the body of a fetch is no JSON object";
  if (head["headers"].value("content-type", "") != "application/json")
    return "an upstream request without content-type: application/json";
  return fault_of_headers(head["headers"]);
}

std::string fault_of_response(const ChatRun& chat) {
  if (!chat.responded) return {};
  const Json headers = parse(chat.head);
  std::string fault = fault_of_headers(headers);
  if (!fault.empty()) return fault;
  if (!headers.contains("x-request-id")) return "a response without x-request-id";
  if (is_stream(headers)) return fault_of_stream(chat.body, chat.left);
  const bool is_json = chat.body.empty() || !parse(chat.body).is_discarded();
  return is_json ? "" : "the body is no JSON";
}

// --- the host

struct Exchange {
  enum class Stage : std::uint8_t { fetched, answering, ending, over };
  ChatId chat = ChatId::none;
  std::size_t number = 0;  // of its answer, over the whole scenario
  const UpstreamAnswer* answer = nullptr;
  Stage stage = Stage::fetched;
  std::size_t burst = 0;
  std::size_t sent = 0;  // bytes of the answer's body
  Instant due = Instant::never();
};

class Player final : public Actions {
 public:
  Player(const Scenario& scenario, const Config& config, const Chunking& chunking)
      : scenario_(scenario), chunking_(chunking), gateway_(config, *this) {}

  Playback play();

  void fetch(ExchangeId exchange, std::string_view head, std::string_view body) override;
  void cancel(ExchangeId exchange) override;
  void read(ChatId chat) override;
  void respond(ChatId chat, int status, std::string_view head) override;
  void write(ChatId chat, std::string_view bytes) override;
  void splice(ChatId chat, ExchangeId exchange) override;
  void gather(ChatId chat, ExchangeId exchange, Millis within) override;
  void end(ChatId chat) override;
  void wake(ChatId chat, Instant at) override;
  void log(LogLevel, std::string_view line) override { chat_.logs.emplace_back(line); }

 private:
  void play_chat(const ClientCall& call);
  void deliver_body();
  bool step();
  void deliver(Exchange& exchange);
  void deliver_burst(Exchange& exchange, const std::string& bytes);
  void deliver_chunk(Exchange& exchange, std::string_view bytes);
  void finish(Exchange& exchange);
  void leave();
  void check_chat();
  void check_ours(ChatId chat, const char* action);
  void check_before_end(const char* action) {
    if (ended_) violation(std::string(action) + " after the end");
  }
  void violation(const std::string& text) { run_.violations.push_back(text); }
  [[nodiscard]] ExchangeId id_of(const Exchange& exchange) const;
  [[nodiscard]] bool over() const { return ended_ || chat_.left; }

  const Scenario& scenario_;
  Chunking chunking_;
  Playback run_;
  Instant now_ = kStart;
  std::size_t answers_before_ = 0;  // of earlier calls

  // of the chat that is being played
  const ClientCall* call_ = nullptr;
  ChatId id_ = ChatId::none;  // none while open() runs
  ChatRun chat_;
  bool ended_ = false;
  bool opening_ = false;
  Instant body_at_ = Instant::never();
  int steps_ = 0;
  int responded_in_step_ = -1;
  Instant wake_at_ = Instant::never();
  ExchangeId spliced_ = ExchangeId::none;
  std::set<ExchangeId> gathered_;
  std::map<ExchangeId, Exchange> exchanges_;
  ExchangeId last_exchange_ = ExchangeId::none;

  Gateway gateway_;  // last: it is given *this
};

ExchangeId Player::id_of(const Exchange& exchange) const {
  for (const auto& [id, each] : exchanges_)
    if (&each == &exchange) return id;
  return ExchangeId::none;
}

void Player::check_ours(ChatId chat, const char* action) {
  if (opening_ && id_ == ChatId::none) id_ = chat;
  if (chat != id_) violation(std::string(action) + " for another chat");
}

void Player::fetch(ExchangeId id, std::string_view head, std::string_view body) {
  check_before_end("fetch");
  if (id <= last_exchange_) violation("an exchange's id is used again");
  last_exchange_ = id;
  const auto open = std::count_if(exchanges_.begin(), exchanges_.end(), [](const auto& other) {
    return other.second.stage != Exchange::Stage::over;
  });
  if (open >= 2) violation("fetch while two exchanges are open");
  chat_.requests.push_back({std::string(head), std::string(body)});
  Exchange exchange;
  exchange.chat = id_;
  const std::size_t index = chat_.requests.size() - 1;
  exchange.number = answers_before_ + index;
  if (index < call_->answers.size()) {
    exchange.answer = &call_->answers[index];
    const UpstreamAnswer& answer = *exchange.answer;
    const bool leaves = answer.ending == UpstreamAnswer::Ending::client_leaves;
    if (answer.has_head || answer.rejected || leaves) exchange.due = now_ + answer.after_ms;
  } else {
    violation("upstream request " + std::to_string(index + 1) + " is not expected: no response");
    static const UpstreamAnswer none = [] {
      UpstreamAnswer rejection;
      rejection.rejected = "the case has no response to this";
      return rejection;
    }();
    exchange.answer = &none;
    exchange.due = now_;
  }
  exchanges_[id] = exchange;
}

void Player::cancel(ExchangeId id) {
  const auto found = exchanges_.find(id);
  if (found == exchanges_.end()) return violation("cancel of an unknown exchange");
  if (found->second.stage == Exchange::Stage::over) violation("cancel of an exchange that is over");
  found->second.stage = Exchange::Stage::over;
}

void Player::read(ChatId chat) {
  check_ours(chat, "read");
  check_before_end("read");
  if (!opening_) violation("read of a body outside of open()");
  const Millis after = call_->body_after_ms;
  body_at_ = after == ClientCall::kNever ? Instant::never() : now_ + after;
}

// The request's body, all of it at one instant.
void Player::deliver_body() {
  using Rest = input::Body::Rest;
  body_at_ = Instant::never();
  std::string_view left = call_->body;
  const std::size_t piece_size = chunking_.kind == Chunking::Kind::bytes ? 1 : left.size();
  while (piece_size > 0 && left.size() > piece_size && !over()) {
    const Lent piece(left.substr(0, piece_size));
    gateway_.step(now_, input::Body{id_, piece.view(), Rest::more});
    left.remove_prefix(piece_size);
  }
  if (over()) return;
  const Lent piece(left);
  gateway_.step(now_,
                input::Body{id_, piece.view(), call_->body_breaks_off ? Rest::broken : Rest::none});
}

void Player::respond(ChatId chat, int status, std::string_view head) {
  check_ours(chat, "respond");
  check_before_end("respond");
  if (chat_.left) violation("respond after the client left");
  if (chat_.responded) violation("respond twice");
  chat_.responded = true;
  chat_.status = status;
  chat_.head = head;
  responded_in_step_ = steps_;
}

void Player::write(ChatId chat, std::string_view bytes) {
  check_ours(chat, "write");
  check_before_end("write");
  if (!chat_.responded) violation("write before respond");
  if (chat_.left) violation("write after the client left");
  if (bytes.empty()) violation("write of nothing");
  chat_.body += bytes;
}

void Player::splice(ChatId chat, ExchangeId exchange) {
  check_ours(chat, "splice");
  check_before_end("splice");
  if (chat_.spliced) violation("splice twice");
  // One that began before its engine was known had nothing but comments so far.
  const bool is_early = chat_.body.find(": x-spillway-engine: ") != std::string::npos;
  if (responded_in_step_ != steps_ && !is_early) violation("splice in another step than respond");
  const auto found = exchanges_.find(exchange);
  if (found == exchanges_.end() || found->second.stage == Exchange::Stage::over)
    violation("splice of an exchange that is not open");
  chat_.spliced = true;
  spliced_ = exchange;
}

void Player::gather(ChatId chat, ExchangeId exchange, Millis within) {
  check_ours(chat, "gather");
  check_before_end("gather");
  if (chat_.responded) violation("gather of what a client is reading");
  if (within <= 0) violation("gather without a time");
  const auto found = exchanges_.find(exchange);
  if (found == exchanges_.end() || found->second.stage != Exchange::Stage::answering)
    violation("gather of an exchange that does not answer");
  if (!gathered_.insert(exchange).second) violation("gather twice");
}

void Player::end(ChatId chat) {
  check_ours(chat, "end");
  if (!chat_.responded) violation("end before respond");
  if (chat_.left) violation("end after the client left");
  if (ended_) violation("end twice");
  ended_ = true;
}

void Player::wake(ChatId chat, Instant at) {
  check_ours(chat, "wake");
  wake_at_ = at.ms() == 0 ? Instant::never() : at;
}

void Player::finish(Exchange& exchange) {
  exchange.stage = Exchange::Stage::over;
  const ExchangeId id = id_of(exchange);
  if (exchange.answer->rejected || exchange.answer->ending == UpstreamAnswer::Ending::cut) {
    const Lent reason(exchange.answer->rejected.value_or(exchange.answer->reason));
    gateway_.step(now_, input::Error{id, reason.view()});
  } else {
    gateway_.step(now_, input::End{id});
  }
}

void Player::leave() {
  chat_.left = true;
  gateway_.step(now_, input::Close{id_});
}

void Player::deliver_chunk(Exchange& exchange, std::string_view bytes) {
  if (bytes.empty() || exchange.stage == Exchange::Stage::over) return;
  ++steps_;
  const ExchangeId id = id_of(exchange);
  if (id == spliced_) chat_.body += bytes;
  const Lent chunk(bytes);
  gateway_.step(now_, input::Chunk{id, chunk.view()});
}

void Player::deliver_burst(Exchange& exchange, const std::string& bytes) {
  const std::string_view all = bytes;
  const std::size_t begin = exchange.sent;
  exchange.sent += all.size();
  switch (chunking_.kind) {
    case Chunking::Kind::whole:
      return deliver_chunk(exchange, all);
    case Chunking::Kind::bytes:
      for (std::size_t at = 0; at < all.size(); ++at) deliver_chunk(exchange, all.substr(at, 1));
      return;
    case Chunking::Kind::split:
      break;
  }
  const bool here = exchange.number == chunking_.answer && chunking_.at > begin;
  const std::size_t cut = here ? std::min(chunking_.at - begin, all.size()) : 0;
  deliver_chunk(exchange, all.substr(0, cut));
  deliver_chunk(exchange, all.substr(cut));
}

// What is due of an exchange: its head, the next burst, or its end.
void Player::deliver(Exchange& exchange) {
  using Stage = Exchange::Stage;
  using Ending = UpstreamAnswer::Ending;
  const UpstreamAnswer& answer = *exchange.answer;
  exchange.due = Instant::never();
  if (exchange.stage == Stage::fetched && answer.rejected) return finish(exchange);
  if (exchange.stage == Stage::fetched && !answer.has_head) return leave();
  if (exchange.stage == Stage::fetched) {
    exchange.stage = Stage::answering;
    const Lent head(answer.head);
    gateway_.step(now_, input::Response{id_of(exchange), answer.status, head.view()});
  } else if (exchange.stage == Stage::answering) {
    deliver_burst(exchange, answer.bursts[exchange.burst++].bytes);
  } else if (exchange.stage == Stage::ending) {
    if (answer.ending == Ending::client_leaves) return leave();
    return finish(exchange);
  }
  if (exchange.stage == Stage::over) return;
  if (exchange.burst < answer.bursts.size()) {
    exchange.due = now_ + answer.bursts[exchange.burst].after_ms;
  } else {
    exchange.stage = Stage::ending;
    if (answer.ending != Ending::silent) exchange.due = now_ + kEndAfterMs;
  }
}

// Goes on to the next event; false when there is none.
bool Player::step() {
  Exchange* next = nullptr;
  bool stalled = false;
  for (auto& [id, exchange] : exchanges_) {
    if (exchange.stage == Exchange::Stage::over) continue;
    if (next == nullptr || exchange.due < next->due) next = &exchange;
    const auto& bursts = exchange.answer->bursts;
    stalled |= exchange.burst < bursts.size() && bursts[exchange.burst].client_stalls;
  }
  const Instant upstream_at = next == nullptr ? Instant::never() : next->due;
  if (++steps_ > kStepsMax || std::min({upstream_at, wake_at_, body_at_}) == Instant::never())
    return false;
  if (body_at_ <= wake_at_ && body_at_ != Instant::never()) {
    now_ = body_at_;
    deliver_body();
  } else if (upstream_at <= wake_at_) {
    now_ = upstream_at;
    deliver(*next);
  } else {
    now_ = std::max(now_, wake_at_);
    wake_at_ = Instant::never();
    gateway_.step(now_, input::Wake{id_, !stalled});
  }
  return true;
}

void Player::check_chat() {
  for (const auto& [id, exchange] : exchanges_)
    if (exchange.stage != Exchange::Stage::over) violation("an exchange outlives its chat");
  if (chat_.requests.size() < call_->answers.size())
    violation("an upstream response was not asked for: " +
              std::to_string(call_->answers.size() - chat_.requests.size()) + " left over");
  if (gateway_.open_requests() != 0) violation("the gateway still has the chat");
  if (gateway_.occupied().body_bytes != 0) violation("the body still counts");
  if (gateway_.router().exchanges() != 0) violation("the router still has an exchange");
}

void Player::play_chat(const ClientCall& call) {
  call_ = &call;
  chat_ = {};
  id_ = ChatId::none;
  ended_ = false;
  wake_at_ = Instant::never();
  spliced_ = ExchangeId::none;
  gathered_.clear();
  exchanges_.clear();
  ++steps_;

  body_at_ = Instant::never();
  opening_ = true;
  const Lent head(call.head);
  const ChatId id = gateway_.open(now_, call.seed, head.view());
  opening_ = false;
  if (id == ChatId::none) violation("open() gave no chat");
  if (id_ != ChatId::none && id_ != id) violation("open() acted for another chat than it opened");
  id_ = id;
  while (!over())
    if (!step()) {
      violation("the chat waits for nothing");
      leave();
    }
  check_chat();
  run_.chats.push_back(std::move(chat_));
  answers_before_ += call.answers.size();
}

Playback Player::play() {
  for (const ClientCall& call : scenario_.calls) {
    if (&call != &scenario_.calls.front()) now_ = now_ + kNextCallMs;
    if (call.at_ms) {
      if (kStart + *call.at_ms < now_) violation("a request comes before the last one is over");
      now_ = kStart + *call.at_ms;
    }
    play_chat(call);
  }
  return std::move(run_);
}

// --- printing

std::string quoted(JsonText text) { return "\"" + std::string(text.escaped()) + "\""; }

std::string key_text(CallKey key) { return key == kLatestCall ? "latest" : std::to_string(key); }

void append_text(std::string& out, const char* name, JsonText text) {
  if (!text.empty()) out += std::string(" ") + name + "=" + quoted(text);
}

void append_count(std::string& out, const char* name, std::int64_t count) {
  if (count >= 0) out += std::string(" ") + name + "=" + std::to_string(count);
}

struct EventPrinter {
  std::string operator()(const Started& event) const {
    std::string out = "started";
    append_text(out, "id", event.id);
    append_text(out, "model", event.model);
    return out;
  }
  std::string operator()(const Text& event) const { return "text " + quoted(event.text); }
  std::string operator()(const Reasoning& event) const {
    std::string out = "reasoning " + quoted(event.text);
    append_text(out, "signature", event.signature);
    return out;
  }
  std::string operator()(const ToolCall& event) const {
    std::string out = "tool_call " + key_text(event.key);
    append_text(out, "id", event.id);
    append_text(out, "name", event.name);
    append_text(out, "signature", event.signature);
    return out;
  }
  std::string operator()(const ToolArguments& event) const {
    return "tool_arguments " + key_text(event.key) + " " + quoted(event.fragment);
  }
  std::string operator()(const ToolInput& event) const {
    return "tool_input " + key_text(event.key) + " " + std::string(event.object);
  }
  std::string operator()(const Refusal& event) const { return "refusal " + quoted(event.text); }
  std::string operator()(const Counted& event) const {
    std::string out = "counted";
    append_count(out, "input", event.usage.input);
    append_count(out, "output", event.usage.output);
    append_count(out, "cache_read", event.usage.cache_read);
    append_count(out, "cache_write", event.usage.cache_write);
    append_count(out, "reasoning", event.usage.reasoning);
    append_count(out, "total", event.usage.total);
    append_count(out, "input_uncached", event.input_uncached);
    append_count(out, "input_tools", event.input_tools);
    append_count(out, "output_unreasoned", event.output_unreasoned);
    return out;
  }
  std::string operator()(const Finished& event) const {
    return "finished " + std::string(name_of(event.reason)) + " " + quoted(event.raw);
  }
  std::string operator()(const Failed& event) const {
    return "failed " + (event.body.empty() ? quoted(event.finish) : compact(event.body));
  }
  std::string operator()(const Done&) const { return "done"; }
  std::string operator()(const Garbled& event) const {
    return std::string("garbled: ") + event.problem;
  }
  std::string operator()(const Remark& event) const { return "remark " + std::string(event.text); }
};

std::string print_events(const Dialect& dialect, const std::string& body, bool streamed) {
  std::string out;
  std::string last_started;
  Events events;
  const auto print = [&] {
    for (const Event& event : events) {
      const std::string line = visible(std::visit(EventPrinter{}, event));
      const bool is_start = std::holds_alternative<Started>(event);
      if (is_start && (line == last_started || line == "started")) continue;
      if (is_start) last_started = line;
      out += line + "\n";
    }
    events.clear();
  };
  if (!streamed) {
    dialect.decode_body(body, events);
    print();
    return out;
  }
  Framing framing(dialect.framing);
  framing.feed(body);
  const auto drain = [&] {
    while (const auto frame = framing.next()) {
      dialect.decode_frame(*frame, events);
      print();
    }
  };
  drain();
  framing.end();
  drain();
  return out;
}

}  // namespace

Loaded load(const Scenario& scenario) {
  Loaded loaded;
  loaded.config = Config::load(scenario.configuration, loaded.problem);
  return loaded;
}

Playback play(const Scenario& scenario, const Config& config, const Chunking& chunking) {
  return Player(scenario, config, chunking).play();
}

std::vector<std::string> faults_of(const Scenario& scenario, const Playback& run) {
  std::vector<std::string> faults;
  const auto note = [&faults](std::string fault) {
    if (!fault.empty()) faults.push_back(std::move(fault));
  };
  for (const ChatRun& chat : run.chats) {
    for (const UpstreamRequest& request : chat.requests) note(fault_of_request(request));
    note(fault_of_response(chat));
    for (const std::string& line : chat.logs)
      if (!parse(line).is_object()) note("a log line is no JSON object: " + line);
    for (const std::string& secret : scenario.secrets) {
      const auto tells = [&secret](const std::string& text) {
        return text.find(secret) != std::string::npos;
      };
      if (tells(chat.head) || tells(chat.body)) note("the client is told a key");
      if (std::any_of(chat.logs.begin(), chat.logs.end(), tells)) note("a log tells a key");
    }
  }
  return faults;
}

std::string text_of(const UpstreamRequest& request) {
  const Json head = parse(request.head);
  if (!head.is_object()) return request.head;
  std::string out = head.value("method", "") + " " + head.value("url", "") + "\n";
  const Json headers = head.value("headers", Json::object());
  for (const auto& [name, value] : headers.items())
    if (name != "content-type") out += name + ": " + value.get<std::string>() + "\n";
  return out + "\n" + visible(laid_out(request.body)) + "\n";
}

std::string text_of(const ChatRun& chat, bool all_headers) {
  // The same for every chat, or random: shown only where a case is about them.
  constexpr std::string_view usual[] = {"x-request-id", "cache-control", "server-timing",
                                        "access-control-allow-origin",
                                        "access-control-expose-headers"};
  if (!chat.responded) return chat.left ? "no response, the client left\n" : "no response\n";
  std::string out = "HTTP " + std::to_string(chat.status);
  if (chat.spliced) out += ", spliced";
  if (chat.left) out += ", the client left";
  out += "\n";
  const Json headers = parse(chat.head);
  for (const auto& [name, value] : headers.items()) {
    const bool is_usual = std::find(std::begin(usual), std::end(usual), name) != std::end(usual);
    if ((all_headers || !is_usual) && value.is_string())
      out += name + ": " + value.get<std::string>() + "\n";
  }
  out += "\n";
  const bool is_json = !is_stream(headers) && !chat.body.empty();
  out += visible(is_json ? laid_out(chat.body) : chat.body);
  if (out.back() != '\n') out += "\n";
  return out;
}

std::string events_of(const Config& config, const UpstreamRequest& request,
                      const UpstreamAnswer& answer) {
  if (!answer.has_head) return "no response\n";
  const Json head = parse(request.head);
  const std::string url = head.value("url", "");
  const Provider* provider = nullptr;
  for (const Provider& each : config.providers)
    if (each.ready() && starts_with(url, each.base_url + "/")) provider = &each;
  if (provider == nullptr) return "no provider has this URL\n";
  std::string body;
  for (const Burst& burst : answer.bursts) body += burst.bytes;
  const ResponseHead response = read_response_head(answer.status, answer.head);
  const bool good = answer.status >= 200 && answer.status < 300;
  const BodyKind kind = body_kind_of(body);
  if (good && may_answer(response) && kind != BodyKind::page)
    return print_events(*provider->dialect, body, kind != BodyKind::json);
  const Failure failure = classify(kStart, response, body);
  std::string out = "refused: " + std::string(name_of(failure.kind));
  if (failure.retry_after_ms >= 0)
    out += ", retry after " + std::to_string(failure.retry_after_ms) + " ms";
  return out + "\n" + visible(failure.reason) + "\n";
}

std::vector<std::size_t> body_sizes(const Scenario& scenario) {
  std::vector<std::size_t> sizes;
  for (const ClientCall& call : scenario.calls)
    for (const UpstreamAnswer& answer : call.answers) {
      std::size_t size = 0;
      for (const Burst& burst : answer.bursts) size += burst.bytes.size();
      sizes.push_back(size);
    }
  return sizes;
}

}  // namespace spillway::cases
