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

  // The words that the answer goes on from, nullptr for none: they must not end in white space.
  void set_prefill(const Content* part) { prefill_ = part; }
  // Whether a part has a place in the conversation; what has none is reported, unless it says
  // nothing.
  [[nodiscard]] bool takes(const Content& part);
  // Writes a part that is taken, as one block.
  void write(const Content& part);
  // The first so many cache_control that come are left out, reported.
  void skip_cache_marks(std::size_t marks) { marks_skipped_ = marks; }
  void write_cache_control(std::string_view control);

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
  std::size_t marks_skipped_ = 0;
};

// Whether a part of a message would arrive.
[[nodiscard]] SPILLWAY_RARE bool takes(const Content& part, quirk::Set quirks);

// anthropic_schema.cpp
// Writes a schema for the answer without the constraints that are refused there (ranges, lengths,
// most item counts, conditions …), with oneOf as anyOf and every object closed. True when it is no
// longer the same: the answer may break a constraint, or an object that may hold anything is empty.
[[nodiscard]] bool write_output_schema(std::string_view schema, json::Writer& out);
// Writes the schema of a tool's input: any JSON schema whose type is said to be object, empty when
// there is none. True when it had a choice of schemas at its top, which is refused and left out.
[[nodiscard]] bool write_input_schema(std::string_view schema, json::Writer& out);

}  // namespace spillway::adapters::anthropic_upstream
