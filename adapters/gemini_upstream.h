// Between the files of the gemini dialect, as spoken to a provider.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "dialect.h"

namespace spillway::adapters::gemini_upstream {

// gemini_request.cpp
void append_path(const Target& target, std::string& out);
void encode_request(const ChatRequest& request, const Target& target, json::Writer& out,
                    Dropped& dropped);

// gemini_content.cpp: parts of messages as Gemini's parts, in the order of the conversation.
class ContentWriter {
 public:
  ContentWriter(const Target& target, json::Writer& out, Dropped& dropped)
      : target_(target), out_(out), dropped_(dropped) {}

  // Whether a part has a place in the conversation; what has none is reported, unless it says
  // nothing.
  [[nodiscard]] bool takes(const Content& part);
  // Writes a part that is taken. Of calls side by side only the first one needs a signature.
  void write(const Content& part, bool is_first_call);

 private:
  static bool is_words(const Content& part) {
    return part.kind == Content::Kind::text || part.kind == Content::Kind::refusal;
  }
  [[nodiscard]] bool has_source(const Content& part) const;
  void write_media(const Content& part);
  void write_tool_call(const Content& part, bool is_first);
  void write_tool_result(const Content& part);
  SPILLWAY_RARE void write_media_of_result(const Content& result);

  const Target& target_;
  json::Writer& out_;
  Dropped& dropped_;
  std::map<std::string_view, JsonText> names_;  // of the calls so far, by id
};

// Whether a part of a message would arrive.
[[nodiscard]] SPILLWAY_RARE bool takes(const Content& part, quirk::Set quirks);

}  // namespace spillway::adapters::gemini_upstream
