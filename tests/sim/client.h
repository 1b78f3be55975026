// The clients: what they ask, and how they read what comes back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "event.h"
#include "world.h"

namespace spillway::sim {

// --- asking

// When a second engine is asked beside a slow one.
struct Racing {
  bool on = false;
  Millis after_ms = 0;  // 0: the engine's 95th percentile
  std::int64_t extra_per_mille = 0;
  bool tools = false;
};

struct Ask {
  std::string head;  // JSON, as the host hands it over
  std::string body;
  bool stream = true;
  bool include_usage = false;
  bool verbatim = false;  // wants what no translation keeps
  bool tools = false;
  bool reasons = false;  // asks for an effort
  std::string guess;     // a part of a key, which its provider may quote back
  // What the request must be refused with, at once: 0 when it is sound.
  int refused_status = 0;
  Rules rules;
  Timeouts fair;  // as the route has them, before the request changed them
  Racing racing;
  Millis comment_after_ms = 0;  // the response begins then, whoever answers; 0: only with an answer
  std::vector<std::size_t> chain;  // engines, in the order in which they are to be tried
  std::vector<std::size_t> fit;    // those of them that can take the request
};

struct AskWishes {
  bool sound = true;     // a chat that can be answered
  bool patient = false;  // no deadline that an honest answer could miss
};

Ask draw_ask(Random& random, const World& world, std::uint32_t chat, const AskWishes& wishes);

// A request that is no chat: what it asks, and the status it must be answered with.
struct Visit {
  std::string head;
  std::string body;
  int status = 200;
};
Visit draw_visit(Random& random, const World& world);

// --- reading

struct Told {
  struct ToolCall {
    std::string id;
    std::string name;
    std::string arguments;
  };
  std::string text;
  std::string reasoning;
  std::string refusal;
  std::vector<ToolCall> calls;
  std::string finish;  // the reason's word

  [[nodiscard]] bool empty() const {
    return text.empty() && reasoning.empty() && refusal.empty() && calls.empty() && finish.empty();
  }
};

// The `spillway` member of a usage: what each engine of an answer counted.
struct Bill {
  struct Line {
    std::string engine;
    Usage usage;
  };
  std::int64_t rescues = 0;
  std::vector<Line> lines;
};

// A client's library at work on a body: server-sent events as they come, or one JSON body at the
// end. It stops at the first event that it cannot read, as libraries do; what comes behind that is
// held against a library that skips such events.
class Reading {
 public:
  enum class Over : std::uint8_t { no, done, error, broken };

  void begin(bool stream);
  // A provider whose stream is wrong in the core's eyes alone (it tells an error that clients may
  // not take for one, or an event that is too large) may end it as if all were well: the error that
  // the core tells may come behind that end.
  void expect_late_error() { late_error_ = true; }
  [[nodiscard]] bool expects_late_error() const { return late_error_; }
  // `native`: bytes that the provider sent and the core never wrote.
  void take(std::string_view bytes, bool native);
  // The body is complete.
  void finish();

  [[nodiscard]] const Told& told() const { return told_; }
  [[nodiscard]] Over over() const { return over_; }
  [[nodiscard]] const std::string& error_code() const { return error_code_; }
  [[nodiscard]] const std::string& error_type() const { return error_type_; }
  [[nodiscard]] bool usage_told() const { return usage_told_; }
  [[nodiscard]] const Usage& usage() const { return usage_; }
  [[nodiscard]] const Bill& bill() const { return bill_; }
  [[nodiscard]] bool usage_alone() const { return usage_alone_; }
  // Of a body that was no stream.
  [[nodiscard]] std::size_t choices() const { return choices_; }
  // Behind the first event that it cannot read: how the stream ends for who skips such events.
  [[nodiscard]] Over skipped_over() const { return skipped_over_; }
  // What no client may be sent; empty while all is well.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void take_line(std::string_view line);
  void dispatch();
  void read_object(std::string_view text);
  void read_on(const std::string& data, bool native);
  void wrong(std::string_view what, std::string_view data);

  bool stream_ = true;
  bool late_error_ = false;
  bool at_start_ = true;
  bool native_ = true;  // every byte of the event so far
  bool has_data_ = false;
  std::string line_;  // begun and not ended
  std::string data_;
  std::string body_;
  Told told_;
  Over over_ = Over::no;
  Over skipped_over_ = Over::no;
  std::string error_code_;
  std::string error_type_;
  bool usage_told_ = false;
  bool usage_alone_ = false;
  std::size_t choices_ = 0;
  Usage usage_;
  Bill bill_;
  std::string id_;  // of the answer
  std::string problem_;
  std::size_t bytes_ = 0;
};

}  // namespace spillway::sim
