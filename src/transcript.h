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
// What it repairs: tool calls that share an index, have none, repeat their id or lack one;
// arguments given as an object or not at all; finish reasons that contradict the content; usage
// told twice or in pieces; <think> tags in the text. Memory: a few dozen bytes a tool call; nothing
// of the text is kept unless gather() asked for the answer whole.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "batch.h"
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
  // The reason that the content bears out.
  [[nodiscard]] FinishReason reason() const;
  [[nodiscard]] const Usage& usage() const { return usage_; }
  [[nodiscard]] const Answer& answer() const { return answer_; }
  // Tool calls or a gathered answer beyond limits.h.
  [[nodiscard]] bool overflowed() const { return overflowed_; }

 private:
  struct Call {
    CallKey key;
    std::string id;  // escaped, as the provider gave it; empty when it gave none
    std::uint32_t index;
    std::uint32_t tool_index;
    bool has_arguments = false;
  };
  enum class Thinking : std::uint8_t { undecided, inside, over };

  void take_text(JsonText text, Parts& out);
  SPILLWAY_RARE void take_tagged(JsonText text, Parts& out);
  SPILLWAY_RARE void take_call(const ToolCall& call, Parts& out);
  SPILLWAY_RARE void take_arguments(CallKey key, JsonText fragment, Parts& out);
  void say(PartKind kind, JsonText text, JsonText signature, Parts& out);
  SPILLWAY_APART void end_part(Parts& out);
  SPILLWAY_APART void take_other(const Event& event, Parts& out);
  SPILLWAY_APART void emit(const Part& part, Parts& out);
  SPILLWAY_RARE void gather(const Part& part);
  void count(const Usage& usage);
  Call* find_call(CallKey key);

  quirk::Set quirks_;
  std::uint64_t seed_;
  bool opened_ = false;
  bool has_content_ = false;
  bool gathering_ = false;
  bool overflowed_ = false;
  std::optional<PartKind> open_part_;
  std::uint32_t open_index_ = 0;
  std::uint32_t next_index_ = 0;
  std::list<Call> calls_;
  std::optional<FinishReason> finished_;
  Usage usage_;
  Thinking thinking_ = Thinking::undecided;
  std::string tag_;      // text held back because it may be the beginning of a tag
  std::string scratch_;  // backs views handed out until the next take()
  Answer answer_;
  std::size_t gathered_ = 0;
};

}  // namespace spillway
