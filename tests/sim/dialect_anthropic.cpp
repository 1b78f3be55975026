// A provider of Anthropic Messages.

#include "dialects.h"

namespace spillway::sim {

namespace {

std::string_view stop_reason(FinishReason reason) {
  switch (reason) {
    case FinishReason::length:
      return "max_tokens";
    case FinishReason::tool_calls:
      return "tool_use";
    case FinishReason::content_filter:
      return "refusal";
    case FinishReason::stop:
    case FinishReason::other:
    case FinishReason::failed:
      break;
  }
  return "end_turn";
}

// Content blocks: each has a start, deltas and a stop under one index.
class Blocks {
 public:
  Blocks(const Script& script, Pieces& out) : script_(script), out_(out) {}

  void say(const Script::Delta& delta) {
    const bool continues = open_ && delta.kind == last_.kind && delta.call == last_.call;
    if (!continues) {
      stop();
      start(delta);
    }
    last_ = delta;
    if (delta.size == 0) return;
    Piece piece{"content_block_delta",
                R"({"type":"content_block_delta","index":)" + std::to_string(index_) +
                    R"(,"delta":{"type":)",
                true};
    const auto member = [&piece](std::string_view names, std::string_view text) {
      piece.data += names;
      piece.data += text;
    };
    switch (delta.kind) {
      case Kind::reasoning:
        member(R"("thinking_delta","thinking":")", script_.slice(delta));
        break;
      case Kind::call:
        member(R"("input_json_delta","partial_json":")", script_.slice(delta));
        break;
      case Kind::text:
      case Kind::refusal:
        member(R"("text_delta","text":")", script_.slice(delta));
        break;
    }
    piece.data += "\"}}";
    out_.push_back(std::move(piece));
  }

  void stop() {
    if (!open_) return;
    out_.push_back({"content_block_stop",
                    R"({"type":"content_block_stop","index":)" + std::to_string(index_) + "}"});
    ++index_;
    open_ = false;
  }

 private:
  void start(const Script::Delta& delta) {
    open_ = true;
    Piece piece{"content_block_start", R"({"type":"content_block_start","index":)" +
                                           std::to_string(index_) + R"(,"content_block":)"};
    if (delta.kind == Kind::call) {
      const Call& call = script_.calls[delta.call];
      piece.data += R"({"type":"tool_use","id":")" + call.id + R"(","name":")" + call.name +
                    R"(","input":{}})";
      piece.content = true;
    } else if (delta.kind == Kind::reasoning) {
      piece.data += R"({"type":"thinking","thinking":"","signature":""})";
    } else {
      piece.data += R"({"type":"text","text":""})";
    }
    piece.data += "}";
    out_.push_back(std::move(piece));
  }

  const Script& script_;
  Pieces& out_;
  Script::Delta last_;
  bool open_ = false;
  std::uint32_t index_ = 0;
};

}  // namespace

void say_anthropic(Random& random, const Script& script, const Manner& manner, Pieces& out) {
  Piece start{"message_start", R"({"type":"message_start","message":{"id":"msg_)" +
                                   std::to_string(manner.exchange) +
                                   R"(","type":"message","role":"assistant","model":")"};
  start.data += manner.model;
  const std::int64_t cached = manner.usage_in_parts ? script.usage.input / 3 : 0;
  start.data += R"(","content":[],"stop_reason":null,"usage":{"input_tokens":)" +
                std::to_string(script.usage.input - cached);
  if (cached > 0) start.data += R"(,"cache_read_input_tokens":)" + std::to_string(cached);
  start.data += R"(,"output_tokens":1}}})";
  start.usage = true;
  start.counted = {script.usage.input, 1};
  out.push_back(std::move(start));
  if (random.percent(50)) out.push_back({"ping", R"({"type":"ping"})"});
  Blocks blocks(script, out);
  for (const Script::Delta& delta : script.deltas) blocks.say(delta);
  blocks.stop();
  Piece finish{"message_delta", R"({"type":"message_delta","delta":{"stop_reason":")", false, true};
  finish.data += stop_reason(script.finish);
  finish.data += R"(","stop_sequence":null},"usage":{)";
  if (manner.usage_in_parts) finish.data += R"("input_tokens":0,"cache_read_input_tokens":0,)";
  finish.data += R"("output_tokens":)" + std::to_string(script.usage.output) + "}}";
  finish.usage = true;
  finish.counted = script.usage;
  out.push_back(std::move(finish));
  if (!manner.terminator) return;
  Piece stop{"message_stop", R"({"type":"message_stop"})"};
  stop.terminator = true;
  out.push_back(std::move(stop));
}

}  // namespace spillway::sim
