// Writes parts of messages as Gemini's parts.
// https://ai.google.dev/api/caching (Part, Blob, FileData, FunctionCall, FunctionResponse),
// https://ai.google.dev/gemini-api/docs/thought-signatures
//
// Rules: no part is empty; a result names its function and is an object; calls carry a signature.

#include <algorithm>
#include <array>

#include "gemini_upstream.h"
#include "translate.h"

namespace spillway::adapters::gemini_upstream {
namespace {

using json::Type;
using translate::drop;
using translate::has;

// For a call whose signature is not known, since another engine made it or its client does not keep
// them: Gemini 3 refuses a call without one. Documented under "thought signatures", FAQ.
constexpr std::string_view kNoSignature = "skip_thought_signature_validator";

struct Extension {
  std::string_view ending;
  std::string_view media_type;
};
// fileData wants the type of what the URL leads to.
constexpr std::array kExtensions{
    Extension{".png", "image/png"},       Extension{".jpg", "image/jpeg"},
    Extension{".jpeg", "image/jpeg"},     Extension{".webp", "image/webp"},
    Extension{".gif", "image/gif"},       Extension{".heic", "image/heic"},
    Extension{".pdf", "application/pdf"}, Extension{".txt", "text/plain"},
    Extension{".mp3", "audio/mp3"},       Extension{".wav", "audio/wav"},
    Extension{".mp4", "video/mp4"},
};

std::string_view media_type_of(JsonText url) {
  const std::string_view path = url.escaped().substr(0, url.escaped().find_first_of("?#"));
  const auto is_same = [](char small, char any) { return small == any || small == (any | 0x20); };
  for (const Extension& row : kExtensions)
    if (path.size() > row.ending.size() &&
        std::equal(row.ending.rbegin(), row.ending.rend(), path.rbegin(), is_same))
      return row.media_type;
  return {};
}

}  // namespace

bool ContentWriter::takes(const Content& part) {
  const auto refuse = [this](std::string_view name) {
    drop(dropped_, name);
    return false;
  };
  switch (part.kind) {
    case Content::Kind::text:
    case Content::Kind::refusal:
      return !part.text.empty();
    // Thoughts count only with the signature of the engine that had them.
    case Content::Kind::reasoning:
      return !part.signature.empty() || refuse("messages.reasoning_content");
    case Content::Kind::image:
      if (!part.detail.empty() && !json::equals(part.detail, "auto"))
        drop(dropped_, "messages.content.image_url.detail");
      return has_source(part) || refuse("messages.content.image_url");
    case Content::Kind::file:
      return has_source(part) || refuse("messages.content.file");
    case Content::Kind::audio:
      return has_source(part) || refuse("messages.content.input_audio");
    case Content::Kind::tool_call:
    case Content::Kind::tool_result:
      return true;
    case Content::Kind::other:
      break;
  }
  return refuse("messages.content");
}

bool ContentWriter::has_source(const Content& part) const {
  if (!part.base64.empty()) return true;
  return translate::is_web_url(part.url) && !has(target_, quirk::images_inline_only);
}

void ContentWriter::write(const Content& part, bool is_first_call) {
  out_.begin_object();
  switch (part.kind) {
    case Content::Kind::image:
    case Content::Kind::file:
    case Content::Kind::audio:
      write_media(part);
      break;
    case Content::Kind::tool_call:
      write_tool_call(part, is_first_call);
      break;
    case Content::Kind::tool_result:
      write_tool_result(part);
      break;
    case Content::Kind::reasoning:
      out_.key("text").text(part.text);
      if (!part.text.empty()) out_.key("thought").boolean(true);
      out_.key("thoughtSignature").text(part.signature);
      break;
    default:
      out_.key("text").text(part.text);
  }
  out_.end_object();
  if (!part.parts.empty()) write_media_of_result(part);
}

// Beside the result, in the same turn: inside of one not every model looks.
void ContentWriter::write_media_of_result(const Content& result) {
  for (const Content& piece : result.parts)
    if (!is_words(piece) && takes(piece)) write(piece, false);
}

void ContentWriter::write_media(const Content& part) {
  if (!part.base64.empty()) {
    out_.key("inlineData").begin_object().key("mimeType").text(part.media_type);
    out_.key("data").text(part.base64).end_object();
    return;
  }
  const std::string_view media_type = media_type_of(part.url);
  out_.key("fileData").begin_object();
  if (!media_type.empty()) out_.key("mimeType").string(media_type);
  out_.key("fileUri").text(part.url).end_object();
}

void ContentWriter::write_tool_call(const Content& part, bool is_first) {
  names_[part.id.escaped()] = part.name;
  out_.key("functionCall").begin_object();
  if (!part.id.empty()) out_.key("id").text(part.id);
  out_.key("name").text(part.name).key("args");
  translate::write_arguments(part.arguments, out_);
  out_.end_object();
  if (!part.signature.empty()) {
    out_.key("thoughtSignature").text(part.signature);
  } else if (is_first) {
    out_.key("thoughtSignature").string(kNoSignature);
  }
}

void ContentWriter::write_tool_result(const Content& part) {
  const auto called = names_.find(part.id.escaped());
  JsonText name = part.name.empty() ? part.id : part.name;
  if (called != names_.end()) name = called->second;
  out_.key("functionResponse").begin_object();
  if (!part.id.empty()) out_.key("id").text(part.id);
  out_.key("name").text(name).key("response");
  std::string joined(part.text.escaped());
  for (const Content& piece : part.parts)
    if (is_words(piece)) joined += piece.text.escaped();
  const JsonText text = JsonText::trusted(joined);
  std::string plain = json::unescaped(text);
  json::mend_halves(plain);  // escapes within escapes
  if (!part.is_error && json::valid(plain, Type::object)) {
    out_.raw(plain);
  } else {
    out_.begin_object().key(part.is_error ? "error" : "result").text(text).end_object();
  }
  out_.end_object();
}

bool takes(const Content& part, quirk::Set quirks) {
  Target target;
  target.quirks = quirks;
  std::string nothing;
  json::Writer out(nothing);
  Dropped dropped;
  return ContentWriter(target, out, dropped).takes(part);
}

}  // namespace spillway::adapters::gemini_upstream
