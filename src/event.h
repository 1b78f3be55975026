// What a provider says while it answers, in one vocabulary: raw deltas as a Dialect read them out
// of one frame. Views hold as long as the frame they were read from. Transcript turns these into
// well-formed parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "batch.h"
#include "framing.h"
#include "json.h"
#include "rare.h"

namespace spillway {

// Why generation stopped, in OpenAI's words (`finish_reason`); OpenTelemetry:
// gen_ai.response.finish_reasons.
enum class FinishReason : std::uint8_t {
  stop,
  length,
  tool_calls,
  content_filter,
  other,   // a word that nobody knows: counts as a normal end
  failed,  // an answer that went wrong; told as Failed, never as Finished
};
std::string_view name_of(FinishReason reason);

// Tokens. `input` counts every prompt token, cached ones included; `output` counts reasoning too.
// A part that the provider did not report is -1. OpenTelemetry: gen_ai.usage.input_tokens,
// .output_tokens.
struct Usage {
  std::int64_t input = -1;
  std::int64_t output = -1;
  std::int64_t cache_read = -1;
  std::int64_t cache_write = -1;
  std::int64_t reasoning = -1;
  std::int64_t total = -1;  // as the provider gives it
};
// Takes a count of tokens as a provider tells it. One that no answer can have (below 0, above
// limits::tokens_max, no whole number) counts as not reported: -1.
SPILLWAY_APART std::int64_t read_tokens(json::Reader& in);

// The provider's own name for one of several tool calls in flight; `kLatestCall` when it gives
// none.
using CallKey = std::int32_t;
inline constexpr CallKey kLatestCall = -1;

struct Started {
  JsonText id;
  JsonText model;
};
struct Text {
  JsonText text;
};
// `signature` is opaque state to be sent back to the same engine (Anthropic signature, Gemini
// thoughtSignature).
struct Reasoning {
  JsonText text;
  JsonText signature;
};
struct ToolCall {
  CallKey key = kLatestCall;
  JsonText id;
  JsonText name;
  JsonText signature;
  bool is_typed = false;  // it has no key of its own, but what the first delta of a call has
};
// A fragment of the JSON text of a call's arguments, as the inside of a JSON string.
// `may_begin`: one under a key that has no call belongs to a call that is not named yet; else to
// one that is the provider's own business.
struct ToolArguments {
  CallKey key = kLatestCall;
  JsonText fragment;
  bool may_begin = false;
};
// The arguments of a call whole, as a JSON object.
struct ToolInput {
  CallKey key = kLatestCall;
  std::string_view object;
};
struct Refusal {
  JsonText text;
};
// Counts, as far as this frame gives them; each is of the whole answer so far.
struct Counted {
  Usage usage;
  // Where a provider tells parts instead of the sum: the input beside what the cache took or gave;
  // input that came from its own tools, beside `usage.input`; the output beside the reasoning.
  std::int64_t input_uncached = -1;
  std::int64_t input_tools = -1;
  std::int64_t output_unreasoned = -1;
};
struct Finished {
  FinishReason reason = FinishReason::other;
  JsonText raw;  // the provider's own word
};
// An error inside a 200. `body` is the JSON that tells it, in any of the shapes that classify()
// reads; or there is none, and `finish` is the provider's word for an answer that went wrong.
struct Failed {
  std::string_view body;
  JsonText finish;
};
// The dialect's terminator: nothing comes after it.
struct Done {};
// The frame could not be read: broken JSON, or a JSON value that is not of the dialect.
struct Garbled {
  const char* problem;
};

// A frame that holds no object says nothing: a heartbeat, or bare words.
struct Remark {
  std::string_view text;
};

using Event = std::variant<Started, Text, Reasoning, ToolCall, ToolArguments, ToolInput, Refusal,
                           Counted, Finished, Failed, Done, Garbled, Remark>;
using Events = Batch<Event>;

// Takes back what was told, from `told` on, of text that turned out to be broken, and says so.
// `problem`: a literal.
SPILLWAY_RARE void tell_garbled(const char* problem, std::size_t told, Events& out);
// What data that is no object tells: the terminator of one dialect, which gateways send in others;
// an error in a list; that it is broken, where it begins an object or a list; or nothing.
SPILLWAY_RARE void tell_no_object(std::string_view data, Events& out);
// A frame that is called an error.
SPILLWAY_RARE void tell_error(const Frame& frame, Events& out);

}  // namespace spillway
