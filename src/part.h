// The well-formed answer: what Transcript makes of raw events and what a client's dialect prints.
//
// Order, always: Opening, then parts; each part has one PartBegin, any number of PartDelta, one
// PartEnd, under an index that counts from 0; text and reasoning parts do not overlap others, tool
// calls may be open side by side; then one Closing. Views hold for the call in which the part is
// handed over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "event.h"
#include "json.h"

namespace spillway {

enum class PartKind : std::uint8_t { text, refusal, reasoning, tool_call };

struct Opening {};
struct PartBegin {
  std::uint32_t index = 0;
  PartKind kind = PartKind::text;
  std::uint32_t tool_index = 0;  // tool_call: counts tool calls only
  JsonText id;                   // tool_call: never empty
  JsonText name;
};
// `text`: what was said; of a tool call, a fragment of the JSON text of its arguments.
struct PartDelta {
  std::uint32_t index = 0;
  PartKind kind = PartKind::text;
  std::uint32_t tool_index = 0;
  JsonText text;
  JsonText signature;  // reasoning, tool_call
};
struct PartEnd {
  std::uint32_t index = 0;
  PartKind kind = PartKind::text;
  std::uint32_t tool_index = 0;
};
struct Closing {
  FinishReason reason = FinishReason::stop;
  Usage usage;
};

using Part = std::variant<Opening, PartBegin, PartDelta, PartEnd, Closing>;

// A whole answer, gathered for a client that does not stream. Texts are escaped.
struct Answer {
  struct Piece {
    PartKind kind = PartKind::text;
    std::string text;
    std::string id;
    std::string name;
    std::string signature;
  };
  std::vector<Piece> pieces;
  FinishReason reason = FinishReason::stop;
  Usage usage;
};

}  // namespace spillway
