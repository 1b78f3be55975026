// A script in a provider's words: the events of its stream, one by one, or its whole body. Every
// dialect has a file of its own; none of them shares code with adapters/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "script.h"

namespace spillway::sim {

enum class DialectName : std::uint8_t { openai_chat, anthropic, gemini };

// One event of a stream, before it is printed as bytes.
struct Piece {
  std::string_view name;  // of the event, empty where the dialect gives none
  std::string data;
  bool content = false;  // says something that a client would show
  bool finish = false;   // gives the finish reason
  bool terminator = false;
  bool usage = false;
  Usage counted = {};  // as far as this event says
};
using Pieces = std::vector<Piece>;

// How this provider puts it today.
struct Manner {
  std::string_view model;
  std::uint32_t exchange = 0;
  bool usage = true;
  bool terminator = true;
  bool think_tags = false;
  bool irregular = false;       // tool calls without an index, reasons that contradict the content
  bool usage_in_parts = false;  // some counts early, some late, zeros for what is known
  bool reasoning_word = false;  // `reasoning` instead of `reasoning_content`
};

void say_openai_chat(Random& random, const Script& script, const Manner& manner, Pieces& out);
void say_anthropic(Random& random, const Script& script, const Manner& manner, Pieces& out);
void say_gemini(Random& random, const Script& script, const Manner& manner, Pieces& out);
// The body of an answer that was not streamed.
std::string whole_openai_chat(const Script& script, const Manner& manner);

// An event that the dialect does not know, or one that says nothing: a ping, a role.
Piece unknown_piece(Random& random, DialectName dialect);
Piece silent_piece(Random& random, DialectName dialect, const Manner& manner);

}  // namespace spillway::sim
