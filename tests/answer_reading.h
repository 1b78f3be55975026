// A provider's answer read to its end, written down as text, and printed for a client. Used by
// wire_test.cpp and the fuzzers.
//
//   const Reading reading = read(adapters::anthropic, quirks, bytes, {16, 3, 7});   // cut like
//   this reading.scribe.faults()    what is wrong with the order of its parts; empty: well formed
//   reading.scribe.log()       everything that was told, a line each
//   reading.printed            as a client of chat completions gets it
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "adapters.h"
#include "framing.h"
#include "transcript.h"

namespace spillway {

struct Call {
  std::string id;
  std::string name;
  std::string arguments;
  friend bool operator==(const Call&, const Call&) = default;
};

struct Said {
  std::string text;
  std::string reasoning;
  std::string refusal;
  std::vector<Call> calls;
  FinishReason reason = FinishReason::stop;
  std::int64_t input = -1;
  std::int64_t output = -1;
};

// Follows the parts of one answer: writes them down, and what is wrong with their order.
class Scribe {
 public:
  void take(const Part& part) { std::visit(*this, part); }

  void operator()(const Opening&) {
    if (opened_) fault("opened twice");
    opened_ = true;
    log_ += "opening\n";
  }
  void operator()(const PartBegin& begin) {
    check_open();
    if (begin.index != parts_.size()) fault("a part's index does not count on");
    const bool is_call = begin.kind == PartKind::tool_call;
    for (const State& part : parts_)
      if (part.open && part.kind != PartKind::tool_call)
        fault("a part begins inside one that is no call");
    parts_.push_back({begin.kind, true});
    log_ += "begin " + std::to_string(begin.index) + " " +
            std::to_string(static_cast<int>(begin.kind)) + " " + std::string(begin.id.escaped()) +
            " " + std::string(begin.name.escaped()) + "\n";
    if (!is_call) return;
    if (begin.tool_index != said_.calls.size()) fault("a call's index does not count on");
    if (begin.id.empty()) fault("a call without an id");
    said_.calls.push_back({json::unescaped(begin.id), json::unescaped(begin.name), {}});
  }
  void operator()(const PartDelta& delta) {
    check(delta.index, delta.kind);
    log_ += "delta " + std::to_string(delta.index) + " " + std::string(delta.text.escaped()) + " " +
            std::string(delta.signature.escaped()) + "\n";
    std::string* to = nullptr;
    switch (delta.kind) {
      case PartKind::text:
        to = &said_.text;
        break;
      case PartKind::reasoning:
        to = &said_.reasoning;
        break;
      case PartKind::refusal:
        to = &said_.refusal;
        break;
      case PartKind::tool_call:
        if (delta.tool_index >= said_.calls.size()) return fault("a fragment of no call");
        to = &said_.calls[delta.tool_index].arguments;
        break;
    }
    *to += delta.text.escaped();
  }
  void operator()(const PartEnd& end) {
    check(end.index, end.kind);
    log_ += "end " + std::to_string(end.index) + "\n";
    if (end.index < parts_.size()) parts_[end.index].open = false;
  }
  void operator()(const Closing& closing) {
    check_open();
    closed_ = true;
    for (const State& part : parts_)
      if (part.open) fault("a part is open at the end");
    said_.reason = closing.reason;
    said_.input = closing.usage.input;
    said_.output = closing.usage.output;
    log_ += "closing " + std::string(name_of(closing.reason)) + " " +
            std::to_string(closing.usage.input) + " " + std::to_string(closing.usage.output) + " " +
            std::to_string(closing.usage.cache_read) + " " +
            std::to_string(closing.usage.cache_write) + " " +
            std::to_string(closing.usage.reasoning) + "\n";
  }

  [[nodiscard]] const std::string& log() const { return log_; }
  [[nodiscard]] std::string faults() const { return closed_ ? faults_ : faults_ + "not closed\n"; }
  // Texts unescaped, since two ways of escaping say the same.
  [[nodiscard]] Said said() const {
    Said plain = said_;
    for (std::string* text : {&plain.text, &plain.reasoning, &plain.refusal})
      *text = json::unescaped(JsonText::trusted(*text));
    for (Call& call : plain.calls)
      call.arguments = json::unescaped(JsonText::trusted(call.arguments));
    return plain;
  }

 private:
  struct State {
    PartKind kind;
    bool open;
  };
  void fault(const std::string& text) { faults_ += text + "\n"; }
  void check_open() {
    if (!opened_) fault("a part before the opening");
    if (closed_) fault("a part after the closing");
  }
  void check(std::uint32_t index, PartKind kind) {
    check_open();
    if (index >= parts_.size() || !parts_[index].open || parts_[index].kind != kind)
      fault("a delta or end of a part that is not open");
  }

  bool opened_ = false;
  bool closed_ = false;
  std::vector<State> parts_;
  Said said_;
  std::string log_;
  std::string faults_;
};

struct Reading {
  Scribe scribe;
  std::string printed;  // as a stream for a client
  bool finished = false;
  bool has_content = false;
  bool overflowed = false;
  std::string trouble;  // what the provider failed with, or what could not be read
};

class Reader {
 public:
  Reader(const Dialect& dialect, quirk::Set quirks)
      : dialect_(dialect), framing_(dialect.framing), transcript_(quirks, 1) {
    envelope_.id = "c1";
    envelope_.model = "m";
    envelope_.include_usage = true;
    adapters::openai_chat.prepare(envelope_);
  }

  void feed(std::string_view bytes) {
    // Lent as hosts lend: exactly as long as it is, and gone afterwards.
    const auto copy = std::make_unique<char[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    framing_.feed({copy.get(), bytes.size()});
    drain();
  }
  void read_body(std::string_view body) {
    dialect_.decode_body(body, events_);
    take_events();
  }
  Reading end() {
    framing_.end();
    drain();
    reading_.finished = transcript_.finished();
    transcript_.close(parts_);
    take_parts();
    reading_.has_content = transcript_.has_content();
    reading_.overflowed = framing_.overflowed() || transcript_.overflowed();
    return std::move(reading_);
  }

 private:
  void drain() {
    while (const auto frame = framing_.next()) {
      dialect_.decode_frame(*frame, events_);
      take_events();
    }
  }
  void take_events() {
    for (const Event& event : events_) {
      if (const auto* failed = std::get_if<Failed>(&event))
        reading_.trouble += "failed: " + std::string(failed->body.substr(0, 300)) + "\n";
      if (const auto* garbled = std::get_if<Garbled>(&event))
        reading_.trouble += std::string("garbled: ") + garbled->problem + "\n";
      transcript_.take(event, parts_);
      take_parts();
    }
    events_.clear();
  }
  void take_parts() {
    for (const Part& part : parts_) {
      reading_.scribe.take(part);
      adapters::openai_chat.encode_part(part, envelope_, reading_.printed);
    }
    parts_.clear();
  }

  const Dialect& dialect_;
  Framing framing_;
  Transcript transcript_;
  Envelope envelope_;
  Events events_;
  Parts parts_;
  Reading reading_;
};

inline Reading read(const Dialect& dialect, quirk::Set quirks, std::string_view bytes,
                    const std::vector<std::size_t>& sizes) {
  Reader reader(dialect, quirks);
  for (const std::size_t size : sizes) {
    reader.feed(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
  if (!bytes.empty()) reader.feed(bytes);
  return reader.end();
}

}  // namespace spillway
