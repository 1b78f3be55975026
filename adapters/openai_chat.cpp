// OpenAI Chat Completions, as a provider says it.
// https://platform.openai.com/docs/api-reference/chat (openai-openapi: CreateChatCompletionRequest,
// chat.completion.chunk)
//
// Reading is lenient: most providers of this dialect deviate somewhere, so a member of another type
// than expected counts as absent.

#include <algorithm>
#include <array>

#include "adapters.h"
#include "openai_chat_client.h"
#include "openai_chat_upstream.h"
#include "rare.h"

namespace spillway::adapters {
namespace {

using json::Reader;
using json::Type;

struct FinishWord {
  std::string_view word;
  FinishReason reason;
};
// OpenAI's five words, then what others of this dialect say.
constexpr std::array kFinishWords{
    FinishWord{"stop", FinishReason::stop},      // OpenAI
    FinishWord{"length", FinishReason::length},  // OpenAI
    FinishWord{"tool_calls", FinishReason::tool_calls},
    FinishWord{"content_filter", FinishReason::content_filter},
    FinishWord{"function_call", FinishReason::tool_calls},
    FinishWord{"tool_call", FinishReason::tool_calls},  // Azure Foundry; Cohere
    FinishWord{"tool_use", FinishReason::tool_calls},   // Anthropic behind a gateway
    FinishWord{"eos", FinishReason::stop},              // Together
    FinishWord{"eos_token", FinishReason::stop},        // TGI
    FinishWord{"end_turn", FinishReason::stop},         // xAI; Anthropic behind a gateway
    FinishWord{"stop_sequence", FinishReason::stop},    // TGI, Cohere
    FinishWord{"complete", FinishReason::stop},         // Cohere
    FinishWord{"max_tokens", FinishReason::length},     // Cohere; Anthropic behind a gateway
    FinishWord{"max_output_tokens", FinishReason::length},
    FinishWord{"model_length", FinishReason::length},                   // Mistral: the window
    FinishWord{"model_context_window_exceeded", FinishReason::length},  // z.ai: the window
    FinishWord{"sensitive", FinishReason::content_filter},              // z.ai
    FinishWord{"refusal", FinishReason::content_filter},  // Anthropic behind a gateway
    FinishWord{"safety", FinishReason::content_filter},   // Gemini behind a gateway
    // Words of failures: failure_table.h says what each means for the engine.
    FinishWord{"error", FinishReason::failed},                         // Mistral, OpenRouter
    FinishWord{"abort", FinishReason::failed},                         // vLLM, SGLang
    FinishWord{"aborted", FinishReason::failed},                       // DeepSeek
    FinishWord{"timeout", FinishReason::failed},                       // Cohere
    FinishWord{"network_error", FinishReason::failed},                 // z.ai
    FinishWord{"engine_overloaded", FinishReason::failed},             // Moonshot
    FinishWord{"insufficient_system_resource", FinishReason::failed},  // DeepSeek
    FinishWord{"malformed_function_call", FinishReason::failed},       // Gemini behind a gateway
    FinishWord{"function_call_filter", FinishReason::failed},  // Gemini's endpoint of this dialect
};

// Gemini's endpoint of this dialect gives its own word behind: "content_filter: SAFETY". Some write
// all in capitals.
SPILLWAY_RARE FinishReason finish_reason(JsonText told) {
  const std::string_view word = told.escaped().substr(0, told.escaped().find(':'));
  for (const FinishWord& row : kFinishWords)
    if (std::equal(row.word.begin(), row.word.end(), word.begin(), word.end(),
                   [](char lower, char c) { return lower == (c >= 'A' && c <= 'Z' ? c | 32 : c); }))
      return row.reason;
  return FinishReason::other;
}

// What one frame holds before it is told: members come in any order, events in one.
struct Chunk {
  JsonText id;
  JsonText model;
  JsonText finish;
  bool has_choices = false;
  bool has_error = false;
  bool is_error_object = false;
  bool has_usage = false;
  Usage usage;
};

SPILLWAY_RARE void read_token_details(Reader& in, std::string_view name, std::int64_t& tokens) {
  if (!in.enter_object()) return;
  while (in.next_member())
    if (in.key() == name) tokens = read_tokens(in);
}

SPILLWAY_RARE void read_usage(Reader& in, Chunk& chunk) {
  if (!in.enter_object()) return;
  chunk.has_usage = true;
  Usage& usage = chunk.usage;
  while (in.next_member()) {
    if (in.key() == "prompt_tokens") {
      usage.input = read_tokens(in);
    } else if (in.key() == "completion_tokens") {
      usage.output = read_tokens(in);
    } else if (in.key() == "total_tokens") {
      usage.total = read_tokens(in);
    } else if (in.key() == "prompt_tokens_details") {
      read_token_details(in, "cached_tokens", usage.cache_read);
    } else if (in.key() == "completion_tokens_details") {
      read_token_details(in, "reasoning_tokens", usage.reasoning);
    } else if (in.key() == "prompt_cache_hit_tokens") {
      usage.cache_read = read_tokens(in);
    }
  }
}

// A piece of Mistral's content list: {type: text, text} or {type: thinking, thinking: [{type: text,
// text}]}.
SPILLWAY_RARE void read_content_piece(Reader& in, bool thinking, Events& out) {
  if (!in.enter_object()) return;
  while (in.next_member()) {
    if (in.key() == "text") {
      const JsonText text = in.string().value_or(JsonText());
      if (text.empty()) continue;
      if (thinking) {
        out.emplace_back(Reasoning{text, {}});
      } else {
        out.emplace_back(Text{text});
      }
    } else if (in.key() == "thinking" && in.enter_array()) {
      while (in.next_element()) read_content_piece(in, true, out);
    }
  }
}

SPILLWAY_RARE void read_content_list(Reader& in, Events& out) {
  in.enter_array();
  while (in.next_element()) read_content_piece(in, false, out);
}

void read_content(Reader& in, Events& out) {
  if (in.peek() == Type::array) return read_content_list(in, out);
  const JsonText text = in.string().value_or(JsonText());
  if (!text.empty()) out.emplace_back(Text{text});
}

void read_function(Reader& in, ToolCall& call, JsonText& fragment, std::string_view& object) {
  if (!in.enter_object()) return;
  while (in.next_member()) {
    if (in.key() == "name") {
      call.name = in.string().value_or(JsonText());
    } else if (in.key() == "arguments") {
      if (in.peek() == Type::object) {
        object = in.raw();
      } else {
        fragment = in.string().value_or(JsonText());
      }
    }
  }
}

// `place`: in its list, which is its key where it has no index.
SPILLWAY_RARE void read_tool_call(Reader& in, CallKey place, Events& out) {
  ToolCall call;
  call.key = place;
  JsonText fragment;
  std::string_view object;
  bool has_index = false;
  if (!in.enter_object()) return;
  while (in.next_member()) {
    if (in.key() == "index") {
      has_index = true;
      call.key =
          static_cast<CallKey>(std::clamp<std::int64_t>(in.integer().value_or(place), 0, 1 << 20));
    } else if (in.key() == "id") {
      call.id = in.string().value_or(JsonText());
    } else if (in.key() == "type") {
      call.is_typed = true;
    } else if (in.key() == "function") {
      read_function(in, call, fragment, object);
    }
  }
  call.is_typed = call.is_typed && !has_index;
  const CallKey key = call.key;
  const bool begins = !call.id.empty() || !call.name.empty();
  if (begins) out.emplace_back(call);
  // Without arguments, too: that there is a call counts where its event is cut.
  if (!fragment.empty() || (!begins && object.empty()))
    out.emplace_back(ToolArguments{key, fragment, true});
  if (!object.empty()) out.emplace_back(ToolInput{key, object});
}

// The one call of `functions`, which `tools` has replaced: a client that asks with the one is
// answered with the other.
SPILLWAY_RARE void read_legacy_call(Reader& in, Events& out) {
  ToolCall call;
  call.key = 0;
  JsonText fragment;
  std::string_view object;
  if (in.peek() != Type::object) return;
  read_function(in, call, fragment, object);
  if (!call.name.empty()) out.emplace_back(call);
  if (!fragment.empty() || call.name.empty())
    out.emplace_back(ToolArguments{call.key, fragment, true});
}

// Spoken content: its words count, the sound passes verbatim.
SPILLWAY_RARE void read_transcript(Reader& in, Events& out) {
  if (!in.enter_object()) return;
  while (in.next_member()) {
    if (in.key() != "transcript") continue;
    const JsonText text = in.string().value_or(JsonText());
    if (!text.empty()) out.emplace_back(Text{text});
  }
}

// OpenRouter's pieces of reasoning: {type: reasoning.text, text}, {type: reasoning.summary,
// summary} or encrypted, which say nothing. True when any said something.
SPILLWAY_RARE bool read_reasoning_details(Reader& in, Events& out) {
  const std::size_t told = out.size();
  if (!in.enter_array()) return false;
  while (in.next_element()) {
    if (!in.enter_object()) continue;
    while (in.next_member()) {
      if (in.key() != "text" && in.key() != "summary") continue;
      const JsonText text = in.string().value_or(JsonText());
      if (!text.empty()) out.emplace_back(Reasoning{text, {}});
    }
  }
  return out.size() > told;
}

// What is in a delta beside its text. `reasoned`: some gateways send the same thoughts under two
// names.
SPILLWAY_RARE void read_rare_member(Reader& in, bool& reasoned, Events& out) {
  const std::string_view key = in.key();
  if (key == "reasoning_content" || key == "reasoning") {
    const JsonText text = in.string().value_or(JsonText());
    if (text.empty() || reasoned) return;
    reasoned = true;
    out.emplace_back(Reasoning{text, {}});
  } else if (key == "reasoning_details") {
    if (!reasoned) reasoned = read_reasoning_details(in, out);
  } else if (key == "tool_calls") {
    if (!in.enter_array()) return;
    for (CallKey place = 0; in.next_element(); ++place) read_tool_call(in, place, out);
  } else if (key == "refusal") {
    const JsonText text = in.string().value_or(JsonText());
    if (!text.empty()) out.emplace_back(Refusal{text});
  } else if (key == "function_call") {
    read_legacy_call(in, out);
  } else if (key == "audio") {
    read_transcript(in, out);
  }
}

// A `delta`, or the `message` of an answer that was not streamed. Many providers write the members
// that it has not, too: as null.
void read_delta(Reader& in, Events& out) {
  if (!in.enter_object()) return;
  bool reasoned = false;
  while (in.next_member()) {
    if (in.key() == "content") {
      read_content(in, out);
    } else if (in.key() != "role" && in.peek() != Type::null) {
      read_rare_member(in, reasoned, out);
    }
  }
}

void read_choice(Reader& in, std::string_view said_in, Chunk& chunk, Events& out) {
  if (!in.enter_object()) return;
  while (in.next_member()) {
    const std::string_view key = in.key();
    if (key == said_in) {
      read_delta(in, out);
    } else if (key == "finish_reason") {
      chunk.finish = in.string().value_or(JsonText());
    } else if (key == "error" && in.peek() != Type::null) {
      chunk.has_error = true;
    }
  }
}

Chunk read_chunk(Reader& in, std::string_view said_in, Events& out) {
  Chunk chunk;
  if (!in.enter_object()) return chunk;
  while (in.next_member()) {
    const std::string_view key = in.key();
    if (key == "choices" && in.peek() == Type::array) {
      chunk.has_choices = true;
      in.enter_array();
      while (in.next_element()) read_choice(in, said_in, chunk, out);
    } else if (key == "id") {
      chunk.id = in.string().value_or(JsonText());
    } else if (key == "model") {
      chunk.model = in.string().value_or(JsonText());
    } else if (key == "usage") {
      read_usage(in, chunk);
    } else if (key == "error" && in.peek() != Type::null) {
      chunk.has_error = true;
    } else if (key == "object") {
      chunk.is_error_object = in.string() == JsonText::trusted("error");
    }
  }
  return chunk;
}

// What a chunk says beside its text: how the answer ends, what it took, that it failed.
SPILLWAY_RARE void tell_end(const Chunk& chunk, std::string_view data, Events& out) {
  const bool has_error = chunk.has_error || chunk.is_error_object;
  FinishReason reason = FinishReason::other;
  if (!chunk.finish.empty()) reason = finish_reason(chunk.finish);
  const bool has_failed = has_error || reason == FinishReason::failed;
  if (!has_failed && !chunk.finish.empty()) out.emplace_back(Finished{reason, chunk.finish});
  if (chunk.has_usage) out.emplace_back(Counted{chunk.usage, -1, -1, -1});
  if (has_failed) out.emplace_back(has_error ? Failed{data, {}} : Failed{{}, chunk.finish});
}

void decode(std::string_view data, std::string_view said_in, Events& out) {
  Reader in(data);
  if (in.peek() != Type::object) return tell_no_object(data, out);
  // The id and the model are told first; their place is kept, for members come in any order.
  const std::size_t first = out.size();
  out.emplace_back(Started{});
  const Chunk chunk = read_chunk(in, said_in, out);
  if (!in.finish()) return tell_garbled(in.problem(), first, out);
  out[first] = Started{chunk.id, chunk.model};
  if (chunk.has_usage || chunk.has_error || chunk.is_error_object || !chunk.finish.empty())
    tell_end(chunk, data, out);
}

SPILLWAY_RARE void tell_done(Events& out) { out.emplace_back(Done{}); }

void decode_frame(const Frame& frame, Events& out) {
  if (frame.data == "[DONE]") {
    tell_done(out);
  } else if (frame.event == "error") {
    tell_error(frame, out);
  } else {
    decode(frame.data, "delta", out);
  }
}

void decode_body(std::string_view body, Events& out) {
  if (Reader(body).peek() != Type::object)
    return tell_garbled("expected a JSON object", out.size(), out);
  decode(body, "message", out);
  if (!std::holds_alternative<Garbled>(out.back())) out.emplace_back(Done{});
}

// The span of the body in which its output tokens are told, and what is to be told there instead.
struct Recount {
  std::string_view span;
  std::int64_t tokens = 0;
};

SPILLWAY_RARE std::optional<Recount> recount(std::string_view body) {
  Usage usage;
  std::string_view span;
  Reader in(body);
  if (!in.enter_object()) return std::nullopt;
  while (in.next_member()) {
    if (in.key() != "usage" || !in.enter_object()) continue;
    while (in.next_member()) {
      if (in.key() == "completion_tokens") {
        span = in.raw();
        Reader tokens(span);
        usage.output = read_tokens(tokens);
      } else if (in.key() == "completion_tokens_details") {
        read_token_details(in, "reasoning_tokens", usage.reasoning);
      }
    }
  }
  if (!in.finish() || usage.output < 0 || usage.reasoning <= 0) return std::nullopt;
  return Recount{span, usage.output + usage.reasoning};
}

SPILLWAY_RARE void include_reasoning(std::string& body) {
  const auto found = recount(body);
  if (!found) return;
  const auto at = static_cast<std::size_t>(found->span.data() - body.data());
  body.replace(at, found->span.size(), std::to_string(found->tokens));
}

}  // namespace

const Dialect openai_chat{
    .name = "openai_chat",
    .framing = FrameKind::sse,
    .append_path = openai_chat_upstream::append_path,
    .encode_request = openai_chat_upstream::encode_request,
    .decode_frame = decode_frame,
    .decode_body = decode_body,
    .ends_with_usage = true,
    .include_reasoning = include_reasoning,
    .decode_request = openai_chat_client::decode_request,
    .prepare = openai_chat_client::prepare,
    .encode_part = openai_chat_client::encode_part,
    .encode_answer = openai_chat_client::encode_answer,
    .encode_error = openai_chat_client::encode_error,
    .encode_stream_error = openai_chat_client::encode_stream_error,
    .terminator = "data: [DONE]\n\n",
    .needed_member = R"("choices":[])",
};

}  // namespace spillway::adapters
