// The canonical chat request: what a client asks, in one shape for all dialects.
//
// Everything is a view into the client's body (or into the request's own arena), so a request costs
// its body and a few hundred bytes a message. What a client's dialect has and this shape does not
// stays as raw spans and passes byte for byte to a target of the same dialect. A ChatRequest does
// not move: views point into it.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"
#include "rare.h"

namespace spillway {

struct Dialect;

enum class Role : std::uint8_t { system, developer, user, assistant, tool };

// One piece of a message.
struct Content {
  enum class Kind : std::uint8_t {
    text,
    refusal,
    reasoning,
    image,
    file,
    audio,
    tool_call,
    tool_result,
    other
  };

  Kind kind = Kind::text;
  JsonText text;       // text, refusal, reasoning; a tool result's text
  JsonText signature;  // reasoning, tool_call: opaque state for the engine that made it
  // image, file: either a URL or inline data
  JsonText url;
  JsonText media_type;  // of inline data: image/png …
  JsonText base64;
  JsonText detail;  // image: low | high | auto;  file: its name
  // tool_call, tool_result
  JsonText id;
  JsonText name;
  JsonText arguments;        // tool_call: the JSON that the model wrote, as a text
  std::list<Content> parts;  // tool_result whose content is a list
  // What stands behind this part is cached apart: Anthropic's object, as OpenRouter and LiteLLM
  // document it for their clients. Empty when there is none.
  std::string_view cache_control;
  bool is_error = false;  // tool_result
  std::string_view
      raw;  // the part as the client wrote it, empty when it wrote no part (plain string content)
};

struct Message {
  Role role = Role::user;
  JsonText name;
  std::list<Content> content;
  std::string_view raw;  // the message as the client wrote it
  // In words from before there were tools: role `function`, or `function_call`.
  bool is_of_functions = false;
  bool is_loose = false;  // strict engines refuse some member of `raw`: one that holds nothing, or
                          // that only some engines know
};

struct Tool {
  JsonText name;
  JsonText description;
  std::string_view parameters;  // JSON schema, empty when there is none
  std::string_view cache_control;
  bool strict = false;
  bool is_loose = false;
  std::string_view raw;
};

struct ToolChoice {
  enum class Kind : std::uint8_t { unset, automatic, none, required, named };
  Kind kind = Kind::unset;
  JsonText name;
  std::string_view raw;
};

struct ResponseFormat {
  enum class Kind : std::uint8_t { unset, text, json_object, json_schema };
  Kind kind = Kind::unset;
  JsonText name;
  JsonText description;
  std::string_view schema;
  bool strict = false;
  bool is_loose = false;
  std::string_view raw;
};

// A top-level member that the canonical shape does not know.
struct Extra {
  std::string_view key;
  std::string_view raw;
  bool asks_nothing = false;  // it is as if it were not there
};

struct ChatRequest {
  ChatRequest() = default;
  ChatRequest(const ChatRequest&) = delete;
  ChatRequest& operator=(const ChatRequest&) = delete;
  SPILLWAY_RARE ~ChatRequest() = default;

  // The bytes that all views below point into, beside `arena`.
  std::string body;
  std::list<std::string> arena;
  const Dialect* dialect = nullptr;  // whose words `raw` spans are in

  std::string model;                // as the client wrote it: an engine or a route
  std::vector<std::string> models;  // the client's own fallback chain
  std::string_view policy;          // the `spillway` object, empty when absent

  std::list<Message> messages;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  std::optional<bool> parallel_tool_calls;
  ResponseFormat response_format;

  std::optional<std::int64_t> output_tokens_max;
  std::string_view output_tokens_name;  // what the client calls it
  std::string_view temperature;         // numbers as the client wrote them, empty when absent
  std::string_view top_p;
  std::string_view top_k;
  std::string_view frequency_penalty;
  std::string_view presence_penalty;
  std::string_view seed;
  std::vector<JsonText> stop;
  JsonText reasoning_effort;  // none | minimal | low | medium | high | xhigh
  JsonText user;
  std::string_view stream_options;  // the whole object as the client wrote it
  std::string_view cache_control;   // of the whole prompt
  // Objects of that name: of the request, its tools and parts together.
  std::size_t cache_marks = 0;
  std::vector<Extra> extras;
  // Names of members of messages that this shape does not know, as "messages.prefix"; each once,
  // at most limits::dropped_names_max.
  std::vector<std::string_view> message_extras;

  bool stream = false;
  bool include_usage = false;  // the client wants usage in its stream
  // Asks for something that only a target of the same dialect can give whole (several choices, log
  // probabilities, audio): answered verbatim or not at all.
  bool verbatim = false;
  std::string_view verbatim_for;  // the field that asks for it
  bool has_functions = false;     // `functions`, of which the whole request speaks then
  // Names of fields that ask for what the request has no place for, as a tool choice without
  // tools. Nobody is sent them.
  std::vector<std::string_view> unmet;

  bool has_images = false;
  bool has_image_urls = false;  // not inline: whoever answers must fetch them
  bool has_files = false;
  bool has_file_ids = false;  // uploaded to a provider before, which alone can read them
  bool has_audio = false;
  // Somebody's turn is without words: only images and the like, or nothing at all. An engine that
  // takes none of it would be asked nothing.
  bool has_wordless_turn = false;
  // A conservative estimate, in tokens, of everything that goes in.
  std::int64_t input_tokens_estimate = 0;

  // Keeps text alive as long as the request and gives its view.
  std::string_view keep(std::string text) { return arena.emplace_back(std::move(text)); }
};

}  // namespace spillway
