// Google Gemini generateContent, as spoken to a provider: reading what it answers. The request is
// in gemini_request.cpp. https://ai.google.dev/api/generate-content (GenerateContentResponse,
// FinishReason, UsageMetadata), https://ai.google.dev/gemini-api/docs/thought-signatures
//
// Every frame of a stream is a whole response of its own: the parts it adds, the usage so far, in
// the last one the finish reason. There is no terminator. A whole answer is one such response;
// without alt=sse a stream is one array of them.

#include <algorithm>
#include <array>

#include "adapters.h"
#include "gemini_upstream.h"
#include "rare.h"
#include "text.h"

namespace spillway::adapters {
namespace {

using json::Reader;
using json::Type;

struct FinishWord {
  std::string_view word;
  FinishReason reason;
};
// Also by number, as a proxy that was asked for enums as integers gives them (from 9 on Gemini and
// Vertex AI differ). What is not here is an answer that went wrong: OTHER,
// MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, TOO_MANY_TOOL_CALLS, MALFORMED_RESPONSE,
// MISSING_THOUGHT_SIGNATURE, IMAGE_OTHER, NO_IMAGE, and whatever is new.
constexpr std::array kFinishWords{
    FinishWord{"STOP", FinishReason::stop},
    FinishWord{"MAX_TOKENS", FinishReason::length},
    FinishWord{"SAFETY", FinishReason::content_filter},
    FinishWord{"RECITATION", FinishReason::content_filter},
    FinishWord{"LANGUAGE", FinishReason::content_filter},
    FinishWord{"BLOCKLIST", FinishReason::content_filter},
    FinishWord{"PROHIBITED_CONTENT", FinishReason::content_filter},
    FinishWord{"SPII", FinishReason::content_filter},
    FinishWord{"MODEL_ARMOR", FinishReason::content_filter},
    FinishWord{"IMAGE_SAFETY", FinishReason::content_filter},
    FinishWord{"IMAGE_PROHIBITED_CONTENT", FinishReason::content_filter},
    FinishWord{"IMAGE_RECITATION", FinishReason::content_filter},
    FinishWord{"1", FinishReason::stop},
    FinishWord{"2", FinishReason::length},
    FinishWord{"3", FinishReason::content_filter},
    FinishWord{"4", FinishReason::content_filter},
    FinishWord{"6", FinishReason::content_filter},
    FinishWord{"7", FinishReason::content_filter},
    FinishWord{"8", FinishReason::content_filter},
};

FinishReason finish_reason(JsonText word) {
  for (const FinishWord& row : kFinishWords)
    if (row.word == word.escaped()) return row.reason;
  return FinishReason::failed;
}

struct Piece {
  JsonText text;
  JsonText signature;
  bool is_thought = false;
  ToolCall call;
  std::string_view arguments;
};

SPILLWAY_RARE void read_function_call(Reader& in, Piece& part) {
  if (!in.enter_object()) return;
  while (in.next_member()) {
    if (in.key() == "name") {
      part.call.name = in.string().value_or(JsonText());
    } else if (in.key() == "id") {
      part.call.id = in.string().value_or(JsonText());
    } else if (in.key() == "args" && in.peek() == Type::object) {
      part.arguments = in.raw();
    }
  }
}

// Calls come whole and mostly without an id; under the key of the latest each begins a new one, so
// calls of different frames never merge. A signature belongs to its part; on plain text there is no
// place for it but a thought of its own, after the text.
SPILLWAY_RARE void tell_call(Piece& part, Events& out) {
  part.call.signature = part.signature;
  out.emplace_back(part.call);
  out.emplace_back(ToolInput{kLatestCall, part.arguments.empty() ? "{}" : part.arguments});
}

SPILLWAY_RARE void tell_thought(JsonText text, JsonText signature, Events& out) {
  out.emplace_back(Reasoning{text, signature});
}

void tell(Piece& part, Events& out) {
  if (!part.call.name.empty()) return tell_call(part, out);
  if (!part.text.empty() && !part.is_thought) {
    out.emplace_back(Text{part.text});
    part.text = {};
  }
  if (!part.text.empty() || !part.signature.empty()) tell_thought(part.text, part.signature, out);
}

void tell_part(Reader& in, Events& out) {
  Piece part;
  if (!in.enter_object()) return;
  while (in.next_member()) {
    if (in.key() == "text") {
      part.text = in.string().value_or(JsonText());
    } else if (in.key() == "thought") {
      part.is_thought = in.boolean().value_or(false);
    } else if (in.key() == "thoughtSignature") {
      part.signature = in.string().value_or(JsonText());
    } else if (in.key() == "functionCall") {
      read_function_call(in, part);
    }
  }
  tell(part, out);
}

// One response: `Started` is told first and `Finished` and `Counted` last, wherever their members
// stand.
struct Response {
  JsonText id;
  JsonText model;
  JsonText finish;
  bool has_failed = false;
  bool has_usage = false;
  Counted counted;
};

void tell_candidate(Reader& in, Response& response, Events& out) {
  if (!in.enter_object()) return;
  while (in.next_member()) {
    if (in.key() == "content" && in.enter_object()) {
      while (in.next_member())
        if (in.key() == "parts" && in.enter_array())
          while (in.next_element()) tell_part(in, out);
    } else if (in.key() == "finishReason") {
      response.finish = in.peek() == Type::number ? JsonText::trusted(in.raw())
                                                  : in.string().value_or(JsonText());
      const std::string_view word = response.finish.escaped();
      if (word == "0" || word == "FINISH_REASON_UNSPECIFIED") response.finish = {};  // not yet
    }
  }
}

// candidatesTokenCount leaves out the thoughts, promptTokenCount the results of tools the provider
// ran; what came from the cache is part of the prompt.
void read_usage(Reader& in, Response& response) {
  struct Member {
    std::string_view name;
    std::int64_t* count;
  };
  Counted& counted = response.counted;
  const std::array<Member, 6> members{{{"promptTokenCount", &counted.usage.input},
                                       {"toolUsePromptTokenCount", &counted.input_tools},
                                       {"candidatesTokenCount", &counted.output_unreasoned},
                                       {"thoughtsTokenCount", &counted.usage.reasoning},
                                       {"cachedContentTokenCount", &counted.usage.cache_read},
                                       {"totalTokenCount", &counted.usage.total}}};
  if (!in.enter_object()) return;
  while (in.next_member())
    for (const Member& member : members)
      if (member.name == in.key()) {
        *member.count = read_tokens(in);
        response.has_usage = response.has_usage || *member.count >= 0;
        break;
      }
}

// A prompt that was refused is answered with 200, a reason, and no candidates.
bool reads_blocked(Reader& in) {
  bool is_blocked = false;
  if (!in.enter_object()) return false;
  while (in.next_member())
    if (in.key() == "blockReason") is_blocked = in.string().has_value();
  return is_blocked;
}

// How the answer ends, what it took, that it failed.
SPILLWAY_RARE void tell_end(const Response& response, std::string_view data, Events& out) {
  bool went_wrong = false;
  if (!response.finish.empty()) {
    const FinishReason reason = finish_reason(response.finish);
    went_wrong = reason == FinishReason::failed;
    if (!went_wrong) out.emplace_back(Finished{reason, response.finish});
  }
  if (response.has_usage) out.emplace_back(response.counted);
  if (response.has_failed) {
    out.emplace_back(Failed{data, {}});
  } else if (went_wrong) {
    out.emplace_back(Failed{{}, response.finish});
  }
}

void tell_response(Reader& in, std::string_view data, Events& out) {
  Response response;
  const std::size_t start = out.size();
  out.emplace_back(Started{});
  if (!in.enter_object()) return;
  while (in.next_member()) {
    if (in.key() == "candidates" && in.enter_array()) {
      while (in.next_element()) tell_candidate(in, response, out);
    } else if (in.key() == "usageMetadata") {
      read_usage(in, response);
    } else if (in.key() == "responseId") {
      response.id = in.string().value_or(JsonText());
    } else if (in.key() == "modelVersion") {
      response.model = in.string().value_or(JsonText());
    } else if (in.key() == "promptFeedback") {
      response.has_failed = reads_blocked(in) || response.has_failed;
    } else if (in.key() == "error") {
      response.has_failed = in.peek() != Type::null || response.has_failed;
    }
  }
  out[start] = Started{response.id, response.model};
  if (response.has_failed || response.has_usage || !response.finish.empty())
    tell_end(response, data, out);
}

// One response or an array of them. False when it is neither, or broken.
bool tell_responses(std::string_view data, Events& out) {
  Reader in(data);
  const std::size_t told = out.size();
  const Type type = in.peek();
  if (type != Type::object && type != Type::array) {
    tell_garbled("expected a JSON object", told, out);
    return false;
  }
  if (type == Type::object) {
    tell_response(in, data, out);
  } else if (in.enter_array()) {
    while (in.next_element()) tell_response(in, data, out);
  }
  if (in.finish()) return true;
  tell_garbled(in.problem(), told, out);
  return false;
}

void decode_frame(const Frame& frame, Events& out) {
  const std::string_view data = trimmed(frame.data);
  if (frame.event == "error") {
    tell_error(frame, out);
  } else if (starts_with(data, "{") || (starts_with(data, "[") && json::valid(data))) {
    tell_responses(data, out);
  } else {
    tell_no_object(data, out);
  }
}

void decode_body(std::string_view body, Events& out) {
  if (tell_responses(body, out)) out.emplace_back(Done{});
}

}  // namespace

const Dialect gemini{
    .name = "gemini",
    .framing = FrameKind::sse,
    .append_path = gemini_upstream::append_path,
    .encode_request = gemini_upstream::encode_request,
    .decode_frame = decode_frame,
    .decode_body = decode_body,
    .takes = gemini_upstream::takes,
};

}  // namespace spillway::adapters
