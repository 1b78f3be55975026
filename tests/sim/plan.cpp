#include "plan.h"

#include <algorithm>

#include "json.h"
#include "limits.h"

namespace spillway::sim {

namespace {

using enum FailureKind;

constexpr std::string_view kPage =
    "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Back soon</body></html>";

// Where a piece stands in the body once it is printed.
struct Printed {
  std::size_t data_end = 0;
  std::size_t end = 0;
};

class Planner {
 public:
  Planner(Random& random, const Order& order, Fault fault, Instant now)
      : random_(random), order_(order), now_(now) {
    plan_.fault = fault;
    plan_.streamed = order.streamed;
    plan_.rescues = order.rescues;
    plan_.continuation = order.continuation;
    plan_.client_text = order.client_text;
    plan_.reason = random.percent(50)
                       ? "connection reset by peer"
                       : "read failed for " + std::string(order.key) + " (ECONNRESET)";
  }

  Plan make();

 private:
  void refuse();
  void answer();
  void answer_whole();
  void answer_at_once();
  void write_pieces();
  void spoil_pieces();
  void print();
  void print_piece(const Piece& piece, Printed& printed);
  void print_noise();
  void find_places();
  void time_steps();
  void send_all();
  void send_slowly();
  void cut_at(std::size_t byte, Step::What how);
  void ping_every(Millis pause);
  void drip();
  [[nodiscard]] std::size_t index_after_content();
  [[nodiscard]] Piece broken_piece();
  [[nodiscard]] Piece heartbeat();
  void finish_early();
  void send_in_two();
  [[nodiscard]] bool is(Fault fault) const { return plan_.fault == fault; }
  void add(Step::What what, Millis after_ms, std::size_t upto = 0) {
    plan_.steps.push_back({what, after_ms, upto});
  }
  void fails(FailureKind kind) { plan_.kinds |= set_of(kind); }
  // A fault that this dialect, or this answer, cannot have.
  void nothing_wrong() { plan_.fault = Fault::none; }

  Random& random_;
  const Order& order_;
  Instant now_;
  Plan plan_;
  Pieces pieces_;
  std::vector<Printed> printed_;
  std::size_t broken_ = kNowhere;        // the piece that is wrong
  std::size_t early_finish_ = kNowhere;  // the piece that says so
  bool crlf_ = false;
  bool tight_ = false;  // no space behind the colon
  bool noisy_ = false;  // comments, ids and the like between events
};

Plan Planner::make() {
  switch (plan_.fault) {
    case Fault::refused:
      fails(network);
      add(Step::What::error, random_.between(0, order_.headers_ms / 2));
      return std::move(plan_);
    case Fault::hung_up:
      fails(network);
      add(Step::What::end, random_.between(0, order_.headers_ms / 2));
      return std::move(plan_);
    case Fault::silence:
      fails(timeout);
      return std::move(plan_);
    case Fault::rate_limited:
    case Fault::server_error:
    case Fault::overloaded:
    case Fault::gateway_page:
    case Fault::upstream_timeout:
    case Fault::auth:
    case Fault::quota:
    case Fault::bad_request:
    case Fault::context_too_long:
    case Fault::content_refused:
    case Fault::denied:
    case Fault::model_gone:
    case Fault::model_denied:
    case Fault::too_large:
    case Fault::redirect:
    case Fault::prefill_refused:
    case Fault::addition_refused:
      refuse();
      return std::move(plan_);
    default:
      answer();
      return std::move(plan_);
  }
}

// --- an answer that says no

void Planner::refuse() {
  const Fault fault = is(Fault::prefill_refused) ? Fault::bad_request : plan_.fault;
  Refusal refusal = sim::refuse(random_, order_.dialect, fault, now_, order_.key, order_.guess);
  plan_.refusal = true;
  plan_.status = refusal.status;
  plan_.head = "{" + refusal.headers + "}";
  plan_.body = std::move(refusal.body);
  plan_.kinds = refusal.kinds;
  plan_.kinds_cut = refusal.kinds_cut;
  plan_.hint = refusal.hint;
  plan_.to_key = is(Fault::model_denied);
  plan_.names_addition = plan_.body.find(R"("param":"stream_options")") != std::string::npos;
  add(Step::What::head, random_.between(0, order_.headers_ms / 2));
  // Its body may be late, or never whole: the head says enough.
  const Millis pause = random_.between(0, order_.headers_ms / 4);
  switch (random_.below(8)) {
    case 0:
      cut_at(random_.below(plan_.body.size() + 1), Step::What::error);
      break;
    case 1:  // and no more, or too late
      add(Step::What::bytes, pause, random_.below(plan_.body.size() + 1));
      if (random_.percent(50)) break;
      add(Step::What::bytes, order_.headers_ms, plan_.body.size());
      add(random_.percent(50) ? Step::What::end : Step::What::error, 0);
      break;
    case 2:
      add(Step::What::bytes, pause, random_.below(plan_.body.size() + 1));
      add(Step::What::bytes, pause, plan_.body.size());
      add(Step::What::end, pause);
      break;
    default:
      add(Step::What::bytes, 0, plan_.body.size());
      add(Step::What::end, 0);
      break;
  }
}

// --- an answer

Manner manner_of(Random& random, const Order& order, Fault fault) {
  Manner manner;
  manner.usage_in_parts = fault == Fault::usage_in_parts;
  manner.model = order.model;
  manner.exchange = order.exchange;
  manner.usage = order.usage;
  manner.terminator = order.terminator;
  manner.think_tags = order.think_tags;
  manner.irregular = order.irregular;
  manner.reasoning_word = random.percent(50);
  return manner;
}

void Planner::answer() {
  plan_.head = R"({"content-type":"text/event-stream; charset=utf-8"})";
  if (is(Fault::odd_framing)) {
    constexpr std::array<std::string_view, 4> heads{
        "{}", R"({"content-type":"text/plain"})", R"({"content-type":"application/octet-stream"})",
        // Such headers come with every answer of some, and are no hint.
        R"({"content-type":"text/event-stream","retry-after":"3600","x-ratelimit-reset":"1"})"};
    plan_.head = random_.pick(heads);
    crlf_ = random_.percent(60);
    tight_ = random_.percent(40);
    noisy_ = random_.percent(40);
    if (random_.one_in(3)) plan_.body = "\xEF\xBB\xBF";
  }
  if (is(Fault::comments)) noisy_ = true;
  if (is(Fault::wrong_label)) {
    constexpr std::array<std::string_view, 4> labels{
        R"({"content-type":"application/json"})",
        R"({"content-type":"application/json; charset=utf-8"})",
        R"({"content-type":"application/x-ndjson"})", R"({"content-type":"audio/mpeg"})"};
    plan_.head = random_.pick(labels);
  }
  if (is(Fault::page)) {
    plan_.head = R"({"content-type":"text/html"})";
    if (random_.percent(30)) plan_.head = R"({"content-type":"text/event-stream"})";
    plan_.body = kPage;
    fails(protocol);
    plan_.refusal = plan_.head.find("html") != std::string::npos;
    plan_.kinds_cut = plan_.kinds | set_of(protocol);
    return time_steps();
  }
  if (is(Fault::nothing)) {
    plan_.status = random_.percent(30) ? 204 : 200;
    fails(order_.streamed ? network : protocol);
    return time_steps();
  }
  if (!order_.streamed) return answer_whole();
  write_pieces();
  if (is(Fault::whole_answer) && order_.dialect == DialectName::openai_chat)
    return answer_at_once();
  spoil_pieces();
  print();
  time_steps();
}

// A stream was asked for, and the answer comes as one body.
void Planner::answer_at_once() {
  plan_.head = random_.percent(70) ? R"({"content-type":"application/json"})" : "{}";
  plan_.body = whole_openai_chat(plan_.script, manner_of(random_, order_, plan_.fault));
  plan_.is_one_body = true;
  // What does not go on is read with its reason, not before it.
  if (plan_.kinds != kNoKind && plan_.script.finish == FinishReason::content_filter)
    fails(content_filter);
  const std::size_t size = plan_.body.size();
  plan_.content = {size, kNowhere};
  plan_.contents = {plan_.content};
  plan_.finish = plan_.usage = {size, size};
  plan_.counts.push_back({plan_.usage, plan_.script.usage});
  time_steps();
}

// An answer that is not streamed is one body: it is there or it is not.
void Planner::answer_whole() {
  plan_.head = R"({"content-type":"application/json"})";
  ScriptWishes wishes;
  wishes.calls = order_.tools;
  wishes.reasoning = true;
  wishes.refusal = true;
  plan_.script = write_script(random_, order_.exchange, wishes);
  if (is(Fault::empty_answer)) {
    plan_.script = {};
    fails(empty);
    plan_.may_succeed = true;
  }
  plan_.body = whole_openai_chat(plan_.script, manner_of(random_, order_, plan_.fault));
  plan_.content = plan_.finish = plan_.usage = {plan_.body.size(), plan_.body.size()};
  switch (plan_.fault) {
    case Fault::error_before_content:
    case Fault::error_after_content: {
      InBand told = fail_in_band(random_, order_.dialect, order_.guess);
      if (!told.piece.name.empty()) return refuse();
      plan_.body = std::move(told.piece.data);
      plan_.kinds = told.kinds;
      plan_.content = plan_.finish = {};
      break;
    }
    case Fault::bad_json:
      plan_.body[random_.below(plan_.body.size())] = '\x01';
      fails(protocol);
      plan_.content = plan_.finish = {};
      break;
    case Fault::cut:
    case Fault::early_end:
    case Fault::empty_answer:
    case Fault::slow_headers:
      break;
    default:
      nothing_wrong();
      break;
  }
  time_steps();
}

void Planner::write_pieces() {
  ScriptWishes wishes;
  wishes.calls = order_.tools;
  wishes.think_tags = order_.think_tags;
  wishes.refusal = order_.dialect == DialectName::openai_chat;
  wishes.reasoning = random_.percent(40);
  wishes.call_ids = order_.dialect == DialectName::anthropic || random_.percent(70);
  wishes.deltas_max = random_.one_in(40) ? 40 : 6;
  plan_.script = write_script(random_, order_.exchange, wishes);
  const bool goes_on = order_.continuation.asked;
  plan_.rest = json::unescaped(JsonText::trusted(plan_.script.text));
  if (is(Fault::empty_answer)) {
    plan_.rest.clear();
    plan_.script.deltas.clear();
    plan_.script.text.clear();
    plan_.script.reasoning.clear();
    plan_.script.refusal.clear();
    plan_.script.calls.clear();
    // An answer that stopped at its limit before it said anything is one.
    switch (plan_.script.finish) {
      case FinishReason::length:
        break;
      case FinishReason::content_filter:
        fails(content_filter);
        break;
      default:
        plan_.script.finish = FinishReason::stop;
        // The beginning that it was given may be all of an answer.
        if (!order_.continuation.prefilled) fails(empty);
        // When no engine says more it is the answer.
        plan_.may_succeed = !order_.rescues;
        break;
    }
  } else if (plan_.rescues && !plan_.script.refusal.empty()) {
    fails(empty);  // it does not go on
  } else if (goes_on) {
    plan_.joint = go_on(random_, order_.continuation, order_.client_text,
                        plan_.fault == Fault::none, plan_.script);
    if (plan_.joint == Joint::contradicts) fails(empty);
    if (plan_.joint == Joint::adds_nothing) plan_.rest.clear();
  }
  const Manner manner = manner_of(random_, order_, plan_.fault);
  switch (order_.dialect) {
    case DialectName::openai_chat:
      say_openai_chat(random_, plan_.script, manner, pieces_);
      break;
    case DialectName::anthropic:
      say_anthropic(random_, plan_.script, manner, pieces_);
      break;
    case DialectName::gemini:
      say_gemini(random_, plan_.script, manner, pieces_);
      break;
  }
}

// A place behind some content and not behind the finish reason.
std::size_t Planner::index_after_content() {
  std::size_t first = 0;
  while (first < pieces_.size() && !pieces_[first].content) ++first;
  std::size_t finish = first;
  while (finish < pieces_.size() && !pieces_[finish].finish) ++finish;
  if (finish <= first) return first;
  return first + 1 + random_.below(finish - first);
}

Piece Planner::broken_piece() {
  constexpr std::array<std::string_view, 6> broken{
      R"({"id":"c1","choices":[{"index":0,"del)",
      R"([{"id":"c1"})",
      "{\"choices\":[{\"delta\":{\"content\":\"a\x01\"}}]}",
      "{\"choices\":[{\"delta\":{\"content\":\"\xFF\xFE\"}}]}",
      R"({"choices":[]}})",
      R"({'choices': []})"};
  return {{}, std::string(random_.pick(broken))};
}

// Somewhere in the middle the provider says that it stops, and does not.
void Planner::finish_early() {
  std::vector<std::size_t> contents;
  for (std::size_t index = 0; index < pieces_.size(); ++index)
    if (pieces_[index].content && !pieces_[index].finish) contents.push_back(index);
  // Of who goes on half a repetition may be all that there is time for, and is no repetition then.
  if (contents.size() < 2 || order_.dialect == DialectName::anthropic || plan_.rescues)
    return nothing_wrong();
  early_finish_ = contents[random_.below(contents.size() - 1)];
  std::string& data = pieces_[early_finish_].data;
  const bool is_gemini = order_.dialect == DialectName::gemini;
  const std::string_view none = is_gemini ? R"(,"index":0)" : R"("finish_reason":null)";
  const std::string_view reason =
      is_gemini ? R"(,"finishReason":"STOP","index":0)" : R"("finish_reason":"stop")";
  data.replace(data.rfind(none), none.size(), reason);
}

Piece Planner::heartbeat() {
  constexpr std::array<std::string_view, 7> beats{"",           "null", "ping",    "true",
                                                  "keep-alive", "0",    "\"ping\""};
  return {random_.percent(40) ? "ping" : "", std::string(random_.pick(beats))};
}

void Planner::spoil_pieces() {
  const auto insert = [this](std::size_t at, Piece piece) {
    pieces_.insert(pieces_.begin() + static_cast<std::ptrdiff_t>(at), std::move(piece));
  };
  const auto first_content = [this] {
    std::size_t at = 0;
    while (at < pieces_.size() && !pieces_[at].content) ++at;
    return at;
  };
  // Some stop there, some end their stream as always, some go on as if nothing had happened.
  const auto drop_behind = [this](std::size_t at) {
    if (random_.percent(20)) return;
    const Piece last = pieces_.back();
    pieces_.resize(std::min(at + 1, pieces_.size()));
    if (last.terminator && random_.percent(40)) pieces_.push_back(last);
  };
  switch (plan_.fault) {
    case Fault::error_before_content:
    case Fault::error_after_content: {
      const bool before = is(Fault::error_before_content);
      const std::size_t at = before ? random_.below(first_content() + 1) : index_after_content();
      InBand told = fail_in_band(random_, order_.dialect, order_.guess);
      plan_.kinds |= told.kinds;
      insert(at, std::move(told.piece));
      broken_ = at;
      drop_behind(at);
      break;
    }
    case Fault::bad_json: {
      const std::size_t at =
          random_.percent(50) ? random_.below(first_content() + 1) : index_after_content();
      fails(protocol);
      plan_.native_garbage = true;
      insert(at, broken_piece());
      broken_ = at;
      drop_behind(at);
      break;
    }
    case Fault::no_terminator:
    case Fault::no_finish: {
      const bool finish = is(Fault::no_finish);
      const bool both = std::any_of(pieces_.begin(), pieces_.end(),
                                    [](const Piece& piece) { return piece.terminator; });
      if (!both || (finish && plan_.script.finish == FinishReason::length)) return nothing_wrong();
      pieces_.erase(std::remove_if(pieces_.begin(), pieces_.end(),
                                   [finish](const Piece& piece) {
                                     return finish ? piece.finish : piece.terminator;
                                   }),
                    pieces_.end());
      // What the reason would have said does not count either.
      if (finish) plan_.script.finish = FinishReason::other;
      break;
    }
    case Fault::double_terminator:
      if (!pieces_.back().terminator) return nothing_wrong();
      pieces_.push_back(pieces_.back());
      break;
    case Fault::behind_the_end: {
      if (!pieces_.back().terminator) return nothing_wrong();
      Random other(random_.bits());
      ScriptWishes wishes;
      wishes.deltas_max = 1;
      Script more = write_script(other, order_.exchange + 500'000, wishes);
      Manner manner = manner_of(random_, order_, plan_.fault);
      Pieces late;
      if (order_.dialect == DialectName::anthropic) {
        say_anthropic(other, more, manner, late);
      } else {
        say_openai_chat(other, more, manner, late);
      }
      for (Piece& piece : late) {
        piece.content = piece.finish = piece.usage = false;
        pieces_.push_back(std::move(piece));
      }
      break;
    }
    case Fault::unknown_events:
      for (std::size_t left = 1 + random_.below(4); left > 0; --left) {
        // Behind the terminator there is nothing to know.
        const std::size_t room = pieces_.size() + (pieces_.back().terminator ? 0 : 1);
        insert(random_.below(room), unknown_piece(random_, order_.dialect));
      }
      break;
    case Fault::early_finish:
      return finish_early();
    case Fault::heartbeats:
      plan_.native_garbage = true;
      for (std::size_t left = 1 + random_.below(5); left > 0; --left) {
        const std::size_t room = pieces_.size() + (pieces_.back().terminator ? 0 : 1);
        insert(random_.below(room), heartbeat());
      }
      break;
    case Fault::flood: {
      // More than is held before the first content, where it is held.
      const std::size_t at = random_.below(first_content() + 1);
      Piece filler{{}, R"({"filler":")" + std::string(30'000, 'x') + "\"}"};
      for (std::size_t left = limits::held_bytes_max / 30'000 + 1; left > 0; --left)
        insert(at, filler);
      fails(protocol);
      plan_.may_succeed = true;
      break;
    }
    case Fault::oversized_event: {
      static const std::string filler(limits::frame_bytes_max + 1, 'x');
      const std::size_t at = random_.percent(50) ? 0 : index_after_content();
      insert(at, {{}, R"({"filler":")" + filler + "\"}"});
      broken_ = at;
      fails(protocol);
      plan_.native_garbage = true;  // what comes behind it in the same chunk is not looked at
      break;
    }
    default:
      break;
  }
}

// --- bytes

void Planner::print_noise() {
  constexpr std::array<std::string_view, 5> noise{": ping", ": OPENROUTER PROCESSING", "id: 7",
                                                  "retry: 3000", "unknown: field"};
  plan_.body += random_.pick(noise);
  plan_.body += crlf_ ? "\r\n" : "\n";
  if (random_.percent(70)) plan_.body += crlf_ ? "\r\n" : "\n";
}

void Planner::print_piece(const Piece& piece, Printed& printed) {
  const std::string_view line_end = crlf_ ? "\r\n" : "\n";
  const std::string_view space = tight_ ? "" : " ";
  std::string& out = plan_.body;
  if (noisy_ && random_.percent(40)) print_noise();
  if (!piece.name.empty()) {
    out += "event:";
    out += space;
    out += piece.name;
    out += line_end;
  }
  out += "data:";
  out += space;
  out += piece.data;
  printed.data_end = out.size();
  out += line_end;
  out += line_end;
  printed.end = out.size();
}

void Planner::print() {
  printed_.resize(pieces_.size());
  for (std::size_t index = 0; index < pieces_.size(); ++index)
    print_piece(pieces_[index], printed_[index]);
  if (noisy_ && random_.percent(30)) print_noise();
  find_places();
}

void Planner::find_places() {
  const auto place_of = [this](std::size_t index) {
    return Place{printed_[index].data_end, printed_[index].end};
  };
  for (std::size_t index = 0; index < pieces_.size(); ++index) {
    const Piece& piece = pieces_[index];
    if (piece.content && plan_.content.begun == kNowhere) plan_.content = place_of(index);
    if (piece.finish || (piece.terminator && plan_.finish.begun == kNowhere))
      plan_.finish = place_of(index);
    if (piece.terminator && plan_.terminator.begun == kNowhere) plan_.terminator = place_of(index);
    if (piece.usage) plan_.usage = place_of(index);
    if (piece.content) plan_.contents.push_back(place_of(index));
    if (piece.usage) plan_.counts.push_back({place_of(index), piece.counted});
  }
  if (broken_ < printed_.size()) plan_.broken = printed_[broken_].data_end;
  if (early_finish_ < printed_.size()) plan_.finish.begun = printed_[early_finish_].data_end;
  if (is(Fault::no_finish)) plan_.usage = {};  // what is left of it may be half
}

// --- time

void Planner::send_all() {
  const std::size_t size = plan_.body.size();
  if (plan_.contents.size() > 1 && random_.percent(25)) return send_slowly();
  // A few bursts, which may begin and end inside an event. All pauses together are shorter than any
  // silence that is too long.
  const std::size_t bursts = random_.percent(30) ? 1 : 1 + random_.below(5);
  std::vector<std::size_t> ends;
  for (std::size_t burst = 1; burst < bursts; ++burst) {
    if (!printed_.empty() && random_.percent(70)) {
      ends.push_back(random_.pick(printed_).end);
    } else {
      ends.push_back(random_.below(size + 1));
    }
  }
  ends.push_back(size);
  std::sort(ends.begin(), ends.end());
  Millis longest = std::min({order_.first_content_ms, order_.idle_ms, order_.total_ms / 4}) / 3;
  if (!order_.streamed) longest = order_.total_ms / 6;
  for (const std::size_t end : ends)
    add(Step::What::bytes,
        random_.percent(30) ? 0 : random_.between(0, longest / static_cast<Millis>(bursts)), end);
}

// Long pauses, and content after each of them: longer in all than a silence may be.
void Planner::send_slowly() {
  const Millis pause_max = std::min(
      order_.idle_ms * 4 / 5, order_.total_ms / 4 / static_cast<Millis>(plan_.contents.size()));
  Millis pause = random_.between(0, order_.first_content_ms / 3);
  for (const Place& content : plan_.contents) {
    if (random_.one_in(3)) continue;
    add(Step::What::bytes, pause, content.told);
    pause = random_.between(0, pause_max);
  }
  add(Step::What::bytes, std::min(pause, order_.first_content_ms / 3), plan_.body.size());
}

// All up to the reason that is none, and the rest after a silence that may be as long as any.
void Planner::send_in_two() {
  const Millis longest = std::min(order_.idle_ms * 4 / 5, order_.total_ms / 4);
  const Millis shortest = std::min(longest, limits::finish_grace_ms + 100);
  add(Step::What::bytes, random_.between(0, order_.first_content_ms / 3),
      printed_[early_finish_].end);
  add(Step::What::bytes, random_.between(shortest, longest), plan_.body.size());
}

void Planner::cut_at(std::size_t byte, Step::What how) {
  while (!plan_.steps.empty() && plan_.steps.back().what == Step::What::bytes &&
         plan_.steps.back().upto >= byte)
    plan_.steps.pop_back();
  add(Step::What::bytes, 0, byte);
  add(how, random_.percent(60) ? 0 : random_.between(0, order_.idle_ms / 4));
}

// A comment now and then. It does not come inside an event.
void Planner::ping_every(Millis pause) {
  const std::size_t sent =
      plan_.steps.back().what == Step::What::bytes ? plan_.steps.back().upto : 0;
  const bool between =
      sent == 0 || std::any_of(printed_.begin(), printed_.end(),
                               [sent](const Printed& printed) { return printed.end == sent; });
  if (between && random_.percent(70)) plan_.ping_ms = std::max<Millis>(pause, 20);
}

// Bytes one by one, around a place where it matters.
void Planner::drip() {
  std::vector<Step> steps;
  std::size_t sent = 0;
  const std::size_t from = random_.below(plan_.body.size());
  const std::size_t to = std::min(plan_.body.size(), from + 90);
  for (const Step& step : plan_.steps) {
    if (step.what != Step::What::bytes) {
      steps.push_back(step);
      continue;
    }
    Millis after = step.after_ms;
    const auto send = [&](std::size_t upto) {
      steps.push_back({Step::What::bytes, after, upto});
      after = random_.one_in(8) ? 1 : 0;
    };
    if (sent < from && from < step.upto) send(from);
    for (std::size_t at = std::max(sent, from) + 1; at < std::min(to, step.upto); ++at) send(at);
    send(step.upto);
    sent = step.upto;
  }
  plan_.steps = std::move(steps);
}

void Planner::time_steps() {
  const std::size_t size = plan_.body.size();
  Millis headers = random_.percent(20) ? 0 : random_.between(0, order_.headers_ms / 2);
  if (!order_.streamed) headers = random_.between(0, order_.total_ms / 6);
  if (is(Fault::slow_headers)) {
    if (order_.streamed && random_.percent(80)) {
      headers = order_.headers_ms + random_.between(100, random_.percent(50) ? 1000 : 6000);
      fails(timeout);
    } else {
      headers = order_.headers_ms * 9 / 10;
      if (!order_.streamed) headers = order_.total_ms / 3;
    }
  }
  add(Step::What::head, headers);
  early_finish_ < printed_.size() ? send_in_two() : send_all();
  Millis end_after = random_.percent(60) ? 0 : random_.between(0, order_.idle_ms / 4);
  // A connection may stay open for a while behind the answer.
  if (plan_.kinds == kNoKind && !plan_.is_one_body && random_.one_in(8))
    end_after = random_.between(0, limits::finish_grace_ms);
  switch (plan_.fault) {
    case Fault::slow_content:
    case Fault::pings_only: {
      const bool never = is(Fault::pings_only);
      plan_.steps.resize(1);
      // Nothing, or what is no content: a role.
      const std::size_t silent = std::min(plan_.content.begun, size);
      if (silent > 0 && random_.percent(60)) add(Step::What::bytes, 0, random_.below(silent));
      fails(timeout);
      if (never) return ping_every(order_.first_content_ms / 5);
      add(Step::What::bytes, order_.first_content_ms + random_.between(100, 3000), size);
      break;
    }
    case Fault::stall: {
      const std::size_t told = std::min(plan_.content.told, size);
      cut_at(random_.between(static_cast<std::int64_t>(told), static_cast<std::int64_t>(size)),
             Step::What::end);
      plan_.steps.pop_back();
      ping_every(order_.idle_ms / 5);
      const std::size_t sent = plan_.steps.back().upto;
      if (!plan_.finish.must_be_known(sent)) {
        fails(timeout);
        plan_.may_succeed = plan_.finish.may_be_known(sent);
      }
      return;
    }
    case Fault::cut: {
      const std::size_t byte = random_.below(size + 1);
      cut_at(byte, Step::What::error);
      // A body that is not streamed is over when it ends, and not before.
      if (!order_.streamed || !plan_.finish.must_be_known(byte)) {
        fails(network);
        plan_.may_succeed = order_.streamed && plan_.finish.may_be_known(byte);
      }
      return;
    }
    case Fault::early_end: {
      const std::size_t byte = random_.below(size + 1);
      cut_at(byte, Step::What::end);
      if (plan_.finish.may_be_known(byte)) return;
      if (order_.streamed) fails(network);
      fails(protocol);  // the event that it ended in cannot be read
      return;
    }
    case Fault::drip:
      drip();
      break;
    case Fault::lingering:
      if (random_.percent(70)) return;
      // Nothing is missing when the connection breaks.
      return add(Step::What::error, end_after);
    default:
      break;
  }
  // What comes too late may also break off.
  const bool too_late = is(Fault::slow_content) || (is(Fault::slow_headers) && plan_.kinds != 0);
  add(too_late && random_.percent(40) ? Step::What::error : Step::What::end, end_after);
}

}  // namespace

Usage counted_of(const Plan& plan, std::size_t bytes, Sure sure) {
  Usage usage;
  for (const Plan::Count& count : plan.counts) {
    const bool is_known =
        sure == Sure::yes ? count.place.must_be_known(bytes) : count.place.may_be_known(bytes);
    if (sure == Sure::yes && count.place.begun > plan.broken) continue;
    if (is_known) usage = count.usage;
  }
  return usage;
}

Plan make_plan(Random& random, const Order& order, Fault fault, Instant now) {
  return Planner(random, order, fault, now).make();
}

}  // namespace spillway::sim
