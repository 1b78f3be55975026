// Turns raw events into a well-formed answer (see part.h), whatever the provider got wrong on the
// way.
//
//   for (const Event& event : events) {
//     parts.clear();
//     transcript.take(event, parts);
//     for (const Part& part : parts) print(part);     // views hold until the next take()
//   }
//   transcript.close(parts);                           // when the stream is over: ends what is
//   open
//
// What it repairs: tool calls that share an index, have none, have two, repeat their id, change it
// or lack one; names that come late or in pieces; arguments given as an object, twice or not at
// all; finish reasons that contradict the content; usage told twice or in pieces; <think> tags in
// the text. Memory: a few dozen bytes a tool call, and its arguments until it has a name; nothing
// of the text is kept unless gather() asked for the answer whole.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "batch.h"
#include "call_arguments.h"
#include "event.h"
#include "part.h"
#include "quirk.h"
#include "rare.h"

namespace spillway {

using Parts = Batch<Part>;

class Transcript {
 public:
  // `seed` makes the ids of calls that came without one.
  Transcript(quirk::Set quirks, std::uint64_t seed) : quirks_(quirks), seed_(seed) {}

  // From now on keeps the answer whole: answer().
  void gather() { gathering_ = true; }

  // Started, Failed, Done and Garbled are not its business and give nothing.
  void take(const Event& event, Parts& out);
  // Ends what is open and closes. Once, after the last take().
  void close(Parts& out);

  // Whether anything came that a client would show: text, reasoning, a refusal, a tool call.
  [[nodiscard]] bool has_content() const { return has_content_; }
  [[nodiscard]] bool finished() const { return finished_.has_value(); }
  // The model came to a sequence that it was to stop at.
  [[nodiscard]] bool met_stop_sequence() const { return met_stop_sequence_; }
  // The reason that the content bears out.
  [[nodiscard]] FinishReason reason() const;
  // What has been counted, put together. Nothing more is cached than was asked.
  [[nodiscard]] Usage usage() const;
  // A tool call has begun, though it may not have been handed over yet.
  [[nodiscard]] bool has_calls() const { return !calls_.empty(); }
  // A tool call has no name so far: nobody can call it.
  [[nodiscard]] bool has_nameless_call() const;
  [[nodiscard]] const Answer& answer() const { return answer_; }
  // Tool calls or a gathered answer beyond limits.h.
  [[nodiscard]] bool overflowed() const { return overflowed_; }

 private:
  // One that has a name is handed over with its first arguments, for names come in pieces; one
  // that may be told for the second time, once its arguments say whether it is.
  struct Call {
    [[nodiscard]] bool waits() const { return name.empty() || twin != nullptr; }
    [[nodiscard]] bool is_repetition() const {
      return twin != nullptr && (!has_arguments || arguments.same(twin->arguments));
    }

    CallKey key = kLatestCall;
    std::string id;       // escaped, as the provider gave it; empty when it gave none
    std::string told_id;  // … as the client knows it
    std::string name;
    std::string signature;
    std::string held;  // arguments, until it is handed over
    const Call* twin = nullptr;
    CallArguments arguments;
    std::uint32_t index = 0;
    std::uint32_t tool_index = 0;
    bool begun = false;
    bool has_arguments = false;
  };
  enum class Thinking : std::uint8_t { undecided, inside, over };

  void take_text(JsonText text, Parts& out);
  SPILLWAY_RARE void take_tagged(JsonText text, Parts& out);
  SPILLWAY_RARE void take_call(const ToolCall& call, Parts& out);
  SPILLWAY_RARE void take_arguments(const ToolArguments& told, Parts& out);
  void say(PartKind kind, JsonText text, JsonText signature, Parts& out);
  SPILLWAY_APART void end_part(Parts& out);
  SPILLWAY_APART void take_other(const Event& event, Parts& out);
  SPILLWAY_APART void emit(const Part& part, Parts& out);
  SPILLWAY_RARE void gather(const Part& part);
  void count(const Counted& told);
  Call* find_call(CallKey key);
  SPILLWAY_RARE Call* find_call(const ToolCall& told, Call*& twin);
  SPILLWAY_RARE Call* add_call(CallKey key, Parts& out);
  SPILLWAY_RARE void add_name(Call& call, JsonText name);
  SPILLWAY_RARE void begin_call(Call& call, Parts& out);
  SPILLWAY_RARE void begin_calls(Parts& out);
  SPILLWAY_RARE void choose_id(Call& call) const;

  quirk::Set quirks_;
  std::uint64_t seed_;
  bool opened_ = false;
  bool has_content_ = false;
  bool gathering_ = false;
  bool overflowed_ = false;
  std::optional<PartKind> open_part_;
  std::uint32_t open_index_ = 0;
  std::uint32_t next_index_ = 0;
  std::uint32_t next_tool_index_ = 0;
  std::list<Call> calls_;
  std::optional<FinishReason> finished_;
  bool met_stop_sequence_ = false;
  Counted counted_;
  Thinking thinking_ = Thinking::undecided;
  std::string tag_;      // text held back because it may be the beginning of a tag
  std::string scratch_;  // backs views handed out until the next take()
  Answer answer_;
  std::size_t gathered_ = 0;
};

}  // namespace spillway
