// Writes a request to Google Gemini generateContent.
// https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/thinking,
// …/structured-output, …/function-calling
//
// Rules of the format that shape the request: the model is in the path; the system prompt stands
// apart; the sides are `user` and `model`, the user first; the results of calls are a message of
// their own right after the calls.

#include <algorithm>
#include <array>
#include <cstdint>

#include "gemini_upstream.h"
#include "limits.h"
#include "rare.h"
#include "text.h"
#include "translate.h"

namespace spillway::adapters::gemini_upstream {
namespace {

using json::Reader;
using json::Writer;
using translate::Conversation;
using translate::drop;
using translate::Effort;
using translate::has;

constexpr Conversation::Style kStyle{"model", "parts", R"({"text":"Hello."})"};

class RequestWriter {
 public:
  RequestWriter(const ChatRequest& request, const Target& target, Writer& out, Dropped& dropped)
      : request_(request),
        target_(target),
        out_(out),
        dropped_(dropped),
        content_(target, out, dropped) {}

  void write() {
    out_.begin_object();
    write_system();
    write_contents();
    if (!request_.tools.empty()) {
      write_tools();
      write_tool_config();
    }
    write_generation_config();
    drop_the_rest();
    out_.end_object();
  }

 private:
  [[nodiscard]] bool wants_json() const {
    using Kind = ResponseFormat::Kind;
    const Kind kind = request_.response_format.kind;
    return kind == Kind::json_object || kind == Kind::json_schema;
  }
  // The model is told in words where it cannot be told in the configuration.
  [[nodiscard]] bool needs_format_instruction() const {
    return wants_json() && !request_.tools.empty() && has(target_, quirk::no_json_with_tools);
  }

  void write_system() {
    bool any = false;
    const auto begin = [this, &any] {
      if (!any) out_.key("systemInstruction").begin_object().key("parts").begin_array();
      any = true;
    };
    translate::instruct(request_, [&](const Message&, const Content& part) {
      if (part.kind != Content::Kind::text) {
        drop(dropped_, "messages.content");
      } else if (!part.text.empty()) {
        begin();
        out_.begin_object().key("text").text(part.text).end_object();
      }
    });
    if (needs_format_instruction()) {
      begin();
      write_format_instruction();
    }
    if (any) out_.end_array().end_object();
  }

  SPILLWAY_RARE void write_format_instruction() {
    drop(dropped_, "response_format");
    out_.begin_object().key("text");
    out_.string(translate::format_instruction(request_.response_format)).end_object();
  }

  void write_contents() {
    out_.key("contents").begin_array();
    Conversation conversation(kStyle, out_);
    const Message* calling = nullptr;  // whose first call is written
    translate::converse(request_, [&](const Message& message, const Content& part) {
      if (!content_.takes(part)) return;
      using Side = Conversation::Side;
      conversation.turn(message.role == Role::assistant           ? Side::model
                        : part.kind == Content::Kind::tool_result ? Side::tools
                                                                  : Side::user);
      content_.write(part, calling != &message);
      if (part.kind == Content::Kind::tool_call) calling = &message;
    });
    conversation.end();
    out_.end_array();
  }

  SPILLWAY_RARE void write_tools() {
    out_.key("tools").begin_array().begin_object().key("functionDeclarations").begin_array();
    for (const Tool& tool : request_.tools) {
      if (tool.name.empty()) {
        drop(dropped_, "tools");
        continue;
      }
      if (tool.strict) drop(dropped_, "tools.strict");
      out_.begin_object().key("name").text(tool.name);
      if (!tool.description.empty()) out_.key("description").text(tool.description);
      if (!tool.parameters.empty()) out_.key("parametersJsonSchema").raw(tool.parameters);
      out_.end_object();
    }
    out_.end_array().end_object().end_array();
  }

  SPILLWAY_RARE void write_tool_config() {
    if (request_.parallel_tool_calls == false) drop(dropped_, "parallel_tool_calls");
    using Kind = ToolChoice::Kind;
    const Kind kind = translate::choice_of(request_, target_, dropped_);
    if (kind == Kind::unset) return;
    out_.key("toolConfig").begin_object().key("functionCallingConfig").begin_object();
    out_.key("mode").string(kind == Kind::automatic ? "AUTO" : kind == Kind::none ? "NONE" : "ANY");
    if (kind == Kind::named)
      out_.key("allowedFunctionNames").begin_array().text(request_.tool_choice.name).end_array();
    out_.end_object().end_object();
  }

  void write_generation_config() {
    std::string text;
    Writer config(text);
    config.begin_object();
    if (request_.output_tokens_max) {
      std::int64_t tokens = *request_.output_tokens_max;
      if (target_.output_tokens_max > 0) tokens = std::min(tokens, target_.output_tokens_max);
      config.key("maxOutputTokens").integer(tokens);
    }
    write_sampling(config);
    if (!request_.seed.empty()) write_seed(config);
    if (!request_.stop.empty()) write_stop(config);
    if (wants_json() && !needs_format_instruction()) write_format(config);
    if (!request_.reasoning_effort.empty()) write_thinking(config);
    config.end_object();
    if (text != "{}") out_.key("generationConfig").raw(text);
  }

  void write_sampling(Writer& config) {
    struct Field {
      std::string_view name;
      std::string_view target_name;
      std::string_view value;
      double default_value;
      quirk::Set refused_by;
    };
    constexpr quirk::Set no_penalties = quirk::no_sampling | quirk::no_penalties;
    const std::array<Field, 5> fields{{
        {"temperature", "temperature", request_.temperature, 1, quirk::no_sampling},
        {"top_p", "topP", request_.top_p, 1, quirk::no_sampling},
        {"top_k", "topK", request_.top_k, -1, quirk::no_sampling},
        {"presence_penalty", "presencePenalty", request_.presence_penalty, 0, no_penalties},
        {"frequency_penalty", "frequencyPenalty", request_.frequency_penalty, 0, no_penalties},
    }};
    for (const Field& field : fields) {
      if (field.value.empty()) continue;
      if (has(target_, field.refused_by)) {
        translate::drop_number(dropped_, field.name, field.value, field.default_value);
      } else {
        config.key(field.target_name).raw(field.value);
      }
    }
  }

  SPILLWAY_RARE void write_seed(Writer& config) {
    const std::optional<std::int64_t> seed = Reader(request_.seed).integer();
    if (seed && *seed >= INT32_MIN && *seed <= INT32_MAX) {  // a 32-bit integer there
      config.key("seed").integer(*seed);
    } else {
      drop(dropped_, "seed");
    }
  }

  SPILLWAY_RARE void write_stop(Writer& config) {
    std::size_t left = has(target_, quirk::no_stop) ? 0 : limits::gemini_stop_sequences_max;
    bool any = false;
    for (const JsonText& sequence : request_.stop) {
      if (sequence.empty() || left == 0) {
        drop(dropped_, "stop");
        continue;
      }
      if (!any) config.key("stopSequences").begin_array();
      any = true;
      --left;
      config.text(sequence);
    }
    if (any) config.end_array();
  }

  SPILLWAY_RARE void write_format(Writer& config) {
    config.key("responseMimeType").string("application/json");
    if (!request_.response_format.schema.empty())
      config.key("responseJsonSchema").raw(request_.response_format.schema);
  }

  SPILLWAY_RARE void write_thinking(Writer& config) {
    const std::optional<Effort> asked = translate::effort_of(request_, target_, dropped_);
    if (!asked) return;
    using Level = Effort::Level;
    const bool is_off = asked->level == Level::none;
    const bool is_budget = has(target_, quirk::reasoning_budget);
    // Levels have no "off".
    if (is_off && (!is_budget || has(target_, quirk::reasoning_always)))
      drop(dropped_, "reasoning_effort");
    config.key("thinkingConfig").begin_object();
    if (!is_off) config.key("includeThoughts").boolean(true);
    if (is_budget) {
      const bool is_least = is_off && has(target_, quirk::reasoning_always);
      config.key("thinkingBudget")
          .integer(is_least ? limits::gemini_thinking_tokens_min
                            : std::min(asked->budget_tokens, limits::gemini_thinking_tokens_max));
    } else {
      config.key("thinkingLevel")
          .string(asked->level <= Level::low      ? "low"
                  : asked->level == Level::medium ? "medium"
                                                  : "high");
    }
    config.end_object();
  }

  void drop_the_rest() {
    if (!request_.user.empty()) drop(dropped_, "user");
    if (request_.cache_marks > 0) drop(dropped_, "cache_control");
    for (const Message& message : request_.messages)
      if (!message.name.empty() && message.role != Role::tool) drop(dropped_, "messages.name");
    translate::drop_extras(request_, dropped_);
  }

  const ChatRequest& request_;
  const Target& target_;
  Writer& out_;
  Dropped& dropped_;
  ContentWriter content_;
};

}  // namespace

// The name is the client's for a model that the registry does not know, so none of it may leave its
// segment.
void append_path(const Target& target, std::string& out) {
  std::string_view model = target.model;
  constexpr std::string_view prefix = "models/";
  if (starts_with(model, prefix)) model.remove_prefix(prefix.size());
  constexpr std::string_view hex = "0123456789ABCDEF";
  out += "/models/";
  for (const char c : model) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (is_plain) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(hex[byte >> 4]);
      out.push_back(hex[byte & 15]);
    }
  }
  out += target.stream ? ":streamGenerateContent?alt=sse" : ":generateContent";
}

void encode_request(const ChatRequest& request, const Target& target, Writer& out,
                    Dropped& dropped) {
  RequestWriter(request, target, out, dropped).write();
}

}  // namespace spillway::adapters::gemini_upstream
