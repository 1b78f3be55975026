// Between the files of the anthropic dialect, as spoken to a provider.
#pragma once

#include <string_view>

#include "dialect.h"

namespace spillway::adapters::anthropic_upstream {

// anthropic_request.cpp
void encode_request(const ChatRequest& request, const Target& target, json::Writer& out,
                    Dropped& dropped);

// anthropic_content.cpp: parts of messages as content blocks.
class ContentWriter {
 public:
  ContentWriter(const Target& target, json::Writer& out, Dropped& dropped)
      : target_(target), out_(out), dropped_(dropped) {}

  // The words that the answer goes on from: they must not end in white space.
  void set_prefill(const Content& part) { prefill_ = &part; }
  // Whether a part has a place in the conversation; what has none is reported, unless it says
  // nothing.
  [[nodiscard]] bool takes(const Content& part);
  // Writes a part that is taken, as one block.
  void write(const Content& part);

 private:
  static bool is_words(const Content& part) {
    return part.kind == Content::Kind::text || part.kind == Content::Kind::refusal;
  }
  SPILLWAY_RARE [[nodiscard]] bool takes_other(const Content& part);
  [[nodiscard]] bool has_source(const Content& part) const;
  SPILLWAY_RARE void write_other(const Content& part);
  void write_thoughts(const Content& part);
  void write_media(std::string_view type, const Content& part);
  void write_tool_call(const Content& part);
  void write_tool_result(const Content& part);

  const Target& target_;
  json::Writer& out_;
  Dropped& dropped_;
  const Content* prefill_ = nullptr;
};

[[nodiscard]] bool is_blank(JsonText text);
// Prompt caching: a part or a tool may carry cache_control, as OpenRouter and LiteLLM document it
// for their clients.
void write_cache_control(std::string_view raw, json::Writer& out);

// anthropic_schema.cpp
// Writes a schema for the answer without the constraints that are refused there (ranges, lengths,
// most item counts), with oneOf as anyOf and every object closed. True when the schema had to be
// loosened: the answer may break a constraint.
[[nodiscard]] bool write_output_schema(std::string_view schema, json::Writer& out);
// Writes the schema of a tool's input: any JSON schema whose type is said to be object, empty when
// there is none.
void write_input_schema(std::string_view schema, json::Writer& out);

}  // namespace spillway::adapters::anthropic_upstream
