// Anthropic Messages, as spoken to a provider: reading what it answers. The request is in
// anthropic_request.cpp. https://platform.claude.com/docs/en/api/messages,
// …/build-with-claude/streaming, …/handling-stop-reasons
//
// A stream is message_start, then for each block of content its start, deltas and stop under one
// index, then message_delta with the stop reason and message_stop; pings come anywhere. A whole
// answer is the message of message_start, complete. Blocks of tools that the provider runs itself
// say nothing to the client and are passed over.

#include <algorithm>
#include <array>

#include "adapters.h"
#include "anthropic_upstream.h"
#include "rare.h"

namespace spillway::adapters {
namespace {

using json::Reader;
using json::Type;

struct StopReason {
  std::string_view word;
  FinishReason reason;
};
constexpr std::array kStopReasons{
    StopReason{"end_turn", FinishReason::stop},
    StopReason{"stop_sequence", FinishReason::stop},
    StopReason{"tool_use", FinishReason::tool_calls},
    StopReason{"max_tokens", FinishReason::length},
    StopReason{"model_context_window_exceeded", FinishReason::length},
    StopReason{"refusal", FinishReason::content_filter},
    // Not through: tools of the provider's own took too long, or the history was made shorter. What
    // there is may be sent back to go on, as after max_tokens.
    StopReason{"pause_turn", FinishReason::length},
    StopReason{"compaction", FinishReason::length},
};

void append_path(const Target&, std::string& out) { out += "/messages"; }

// A content block, or the delta of one, or the delta of a message: their members do not collide.
struct Block {
  JsonText type;
  JsonText text;
  JsonText thinking;
  JsonText signature;
  JsonText data;
  JsonText partial_json;
  JsonText id;
  JsonText name;
  JsonText stop_reason;
  std::string_view input;
};

// A member that text has none of.
SPILLWAY_RARE void read_rare_member(Reader& in, Block& block) {
  struct Member {
    std::string_view name;
    JsonText Block::* field;
  };
  static constexpr std::array kMembers{
      Member{"thinking", &Block::thinking},
      Member{"signature", &Block::signature},
      Member{"data", &Block::data},
      Member{"partial_json", &Block::partial_json},
      Member{"id", &Block::id},
      Member{"name", &Block::name},
      Member{"stop_reason", &Block::stop_reason},
  };
  const std::string_view key = in.key();
  const auto member =
      std::find_if(kMembers.begin(), kMembers.end(),
                   [key](const Member& candidate) { return candidate.name == key; });
  if (member != kMembers.end()) {
    block.*(member->field) = in.string().value_or(JsonText());
  } else if (key == "input" && in.peek() == Type::object) {
    block.input = in.raw();
  }
}

Block read_block(Reader& in) {
  Block block;
  if (!in.enter_object()) return block;
  while (in.next_member()) {
    const std::string_view key = in.key();
    if (key == "type") {
      block.type = in.string().value_or(JsonText());
    } else if (key == "text") {
      block.text = in.string().value_or(JsonText());
    } else {
      read_rare_member(in, block);
    }
  }
  return block;
}

bool has_members(std::string_view object) {
  Reader in(object);
  return in.enter_object() && in.next_member();
}

SPILLWAY_RARE void tell_no_text(const Block& block, CallKey key, Events& out) {
  const std::string_view type = block.type.escaped();
  if (type == "thinking" || type == "thinking_delta" || type == "signature_delta") {
    if (!block.thinking.empty() || !block.signature.empty())
      out.emplace_back(Reasoning{block.thinking, block.signature});
  } else if (type == "redacted_thinking") {
    out.emplace_back(Reasoning{{}, block.data});
  } else if (type == "input_json_delta") {
    if (!block.partial_json.empty())
      out.emplace_back(ToolArguments{key, block.partial_json, false});
  } else if (type == "tool_use") {
    out.emplace_back(ToolCall{key, block.id, block.name, {}});
    // In a stream this is {} and the arguments follow.
    if (has_members(block.input)) out.emplace_back(ToolInput{key, block.input});
  }
}

// What a block or its delta says; the types of deltas end in _delta.
void tell(const Block& block, CallKey key, Events& out) {
  const std::string_view type = block.type.escaped();
  if (type == "text" || type == "text_delta") {
    if (!block.text.empty()) out.emplace_back(Text{block.text});
  } else if (!type.empty()) {
    tell_no_text(block, key, out);
  }
}

SPILLWAY_RARE void tell_stop(JsonText word, Events& out) {
  FinishReason reason = FinishReason::other;
  for (const StopReason& row : kStopReasons)
    if (row.word == word.escaped()) reason = row.reason;
  out.emplace_back(Finished{reason, word});
}

SPILLWAY_RARE void read_output_details(Reader& in, Usage& usage) {
  if (!in.enter_object()) return;
  while (in.next_member())
    if (in.key() == "thinking_tokens" || in.key() == "reasoning_tokens")
      usage.reasoning = read_tokens(in);
}

// input_tokens leaves out what came from the cache or went into it. Every count is of the whole
// message so far.
void tell_usage(Reader& in, Events& out) {
  if (!in.enter_object()) return;
  Counted counted;
  Usage& usage = counted.usage;
  while (in.next_member()) {
    const std::string_view key = in.key();
    if (key == "input_tokens") {
      counted.input_uncached = read_tokens(in);
    } else if (key == "output_tokens") {
      usage.output = read_tokens(in);
    } else if (key == "cache_read_input_tokens") {
      usage.cache_read = read_tokens(in);
    } else if (key == "cache_creation_input_tokens") {
      usage.cache_write = read_tokens(in);
    } else if (key == "output_tokens_details") {
      read_output_details(in, usage);
    }
  }
  out.emplace_back(counted);
}

SPILLWAY_RARE void tell_content(Reader& in, Events& out) {
  if (!in.enter_array()) return;
  for (CallKey index = 0; in.next_element(); ++index) tell(read_block(in), index, out);
}

struct Head {
  JsonText type;
  JsonText id;
  JsonText model;
};

// A message with what it already holds: nothing but usage in message_start, all of it in a whole
// answer.
Head tell_message(Reader& in, Events& out) {
  Head head;
  if (!in.enter_object()) return head;
  const std::size_t start = out.size();  // told first, known last
  out.emplace_back(Started{});
  while (in.next_member()) {
    const std::string_view key = in.key();
    if (key == "type") {
      head.type = in.string().value_or(JsonText());
    } else if (key == "id") {
      head.id = in.string().value_or(JsonText());
    } else if (key == "model") {
      head.model = in.string().value_or(JsonText());
    } else if (key == "content") {
      tell_content(in, out);
    } else if (key == "stop_reason") {
      if (const JsonText word = in.string().value_or(JsonText()); !word.empty())
        tell_stop(word, out);
    } else if (key == "usage") {
      tell_usage(in, out);
    }
  }
  out[start] = Started{head.id, head.model};
  return head;
}

CallKey read_index(Reader& in) {
  return static_cast<CallKey>(
      std::clamp<std::int64_t>(in.integer().value_or(kLatestCall), kLatestCall, 1 << 20));
}

// Reads the members of one event of the stream; what they say depends on none but themselves.
JsonText tell_event(Reader& in, Events& out) {
  JsonText type;
  Block block;
  CallKey index = kLatestCall;
  if (!in.enter_object()) return type;
  while (in.next_member()) {
    const std::string_view key = in.key();
    if (key == "type") {
      type = in.string().value_or(JsonText());
    } else if (key == "index") {
      index = read_index(in);
    } else if (key == "delta" || key == "content_block") {
      block = read_block(in);
    } else if (key == "message") {
      tell_message(in, out);
    } else if (key == "usage") {
      tell_usage(in, out);
    }
  }
  tell(block, index, out);
  if (!block.stop_reason.empty()) tell_stop(block.stop_reason, out);
  return type;
}

SPILLWAY_RARE void tell_failed(std::string_view error, Events& out) {
  out.emplace_back(Failed{error, {}});
}

SPILLWAY_RARE void tell_done(Events& out) { out.emplace_back(Done{}); }

void decode_frame(const Frame& frame, Events& out) {
  if (frame.event == "error") return tell_error(frame, out);
  Reader in(frame.data);
  const std::size_t told = out.size();
  if (in.peek() != Type::object) return tell_no_object(frame.data, out);
  const JsonText type = tell_event(in, out);
  if (!in.finish()) return tell_garbled(in.problem(), told, out);
  if (type.escaped() == "error") tell_failed(frame.data, out);
  if (type.escaped() == "message_stop") tell_done(out);
}

void decode_body(std::string_view body, Events& out) {
  Reader in(body);
  const std::size_t told = out.size();
  if (in.peek() != Type::object) return tell_garbled("expected a JSON object", told, out);
  const Head head = tell_message(in, out);
  if (!in.finish()) return tell_garbled(in.problem(), told, out);
  if (head.type.escaped() == "error") tell_failed(body, out);
  tell_done(out);
}

}  // namespace

const Dialect anthropic{
    .name = "anthropic",
    .framing = FrameKind::sse,
    .append_path = append_path,
    .encode_request = anthropic_upstream::encode_request,
    .decode_frame = decode_frame,
    .decode_body = decode_body,
    .takes_audio = false,
    .takes = anthropic_upstream::takes,
    .header_name = "anthropic-version",
    .header_value = "2023-06-01",
};

}  // namespace spillway::adapters
