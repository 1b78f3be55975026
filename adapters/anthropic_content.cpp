// Writes parts of messages as Anthropic's content blocks.
// https://platform.claude.com/docs/en/api/messages (ContentBlockParam)
//
// Rules: no text is blank; a call's id matches [A-Za-z0-9_-]{1,64}; thoughts count only with their
// signature.

#include <algorithm>

#include "anthropic_upstream.h"
#include "translate.h"

namespace spillway::adapters::anthropic_upstream {
namespace {

using json::Writer;
using translate::drop;
using translate::has;

constexpr std::size_t kToolIdSizeMax = 64;

// The same id for a call and its result. One that is refused becomes a hash of itself.
void write_tool_id(JsonText id, Writer& out) {
  const auto is_taken = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  const std::string plain = json::unescaped(id);
  if (!plain.empty() && plain.size() <= kToolIdSizeMax &&
      std::all_of(plain.begin(), plain.end(), is_taken)) {
    out.string(plain);
    return;
  }
  constexpr std::string_view hex = "0123456789abcdef";
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : plain) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  out.begin_text();
  out.out() += "call_";
  for (int i = 0; i < 16; ++i, hash >>= 4) out.out().push_back(hex[hash & 15]);
  out.end_text();
}

}  // namespace

bool ContentWriter::takes(const Content& part) {
  if (is_words(part) ? !json::is_blank(part.text) : takes_other(part)) return true;
  if (!part.cache_control.empty()) drop(dropped_, "cache_control");
  return false;
}

bool ContentWriter::takes_other(const Content& part) {
  const auto refuse = [this](std::string_view name) {
    drop(dropped_, name);
    return false;
  };
  switch (part.kind) {
    // Thoughts count only with the signature of the engine that had them.
    case Content::Kind::reasoning:
      return !part.signature.empty() || refuse("messages.reasoning_content");
    case Content::Kind::image:
      if (!part.detail.empty() && !json::equals(part.detail, "auto"))
        drop(dropped_, "messages.content.image_url.detail");
      return has_source(part) || refuse("messages.content.image_url");
    case Content::Kind::file:
      return (has_source(part) &&
              (part.base64.empty() || json::equals(part.media_type, "application/pdf"))) ||
             refuse("messages.content.file");
    case Content::Kind::audio:
      return refuse("messages.content.input_audio");
    case Content::Kind::tool_call:
    case Content::Kind::tool_result:
      return true;
    default:
      return refuse("messages.content");
  }
}

bool ContentWriter::has_source(const Content& part) const {
  if (!part.base64.empty()) return true;
  return translate::is_web_url(part.url) && !has(target_, quirk::images_inline_only);
}

void ContentWriter::write(const Content& part) {
  if (!is_words(part)) return write_other(part);
  out_.begin_object().key("type").string("text").key("text");
  out_.text(&part == prefill_ ? json::without_white_end(part.text) : part.text);
  write_cache_control(part.cache_control);
  out_.end_object();
}

void ContentWriter::write_other(const Content& part) {
  switch (part.kind) {
    case Content::Kind::reasoning:
      return write_thoughts(part);
    case Content::Kind::image:
      return write_media("image", part);
    case Content::Kind::file:
      return write_media("document", part);
    case Content::Kind::tool_call:
      return write_tool_call(part);
    default:
      return write_tool_result(part);
  }
}

void ContentWriter::write_thoughts(const Content& part) {
  out_.begin_object();
  if (part.text.empty()) {
    out_.key("type").string("redacted_thinking").key("data").text(part.signature);
  } else {
    out_.key("type").string("thinking").key("thinking").text(part.text);
    out_.key("signature").text(part.signature);
  }
  out_.end_object();
}

void ContentWriter::write_media(std::string_view type, const Content& part) {
  out_.begin_object().key("type").string(type).key("source").begin_object();
  if (part.base64.empty()) {
    out_.key("type").string("url").key("url").text(part.url);
  } else {
    out_.key("type").string("base64").key("media_type").text(part.media_type);
    out_.key("data").text(part.base64);
  }
  out_.end_object();
  if (part.kind == Content::Kind::file && !part.detail.empty()) out_.key("title").text(part.detail);
  write_cache_control(part.cache_control);
  out_.end_object();
}

void ContentWriter::write_tool_call(const Content& part) {
  out_.begin_object().key("type").string("tool_use").key("id");
  write_tool_id(part.id, out_);
  out_.key("name").text(part.name).key("input");
  translate::write_arguments(part.arguments, out_);
  write_cache_control(part.cache_control);
  out_.end_object();
}

void ContentWriter::write_tool_result(const Content& part) {
  out_.begin_object().key("type").string("tool_result").key("tool_use_id");
  write_tool_id(part.id, out_);
  if (!part.parts.empty()) {
    bool any = false;
    for (const Content& piece : part.parts) {
      if (!takes(piece)) continue;
      if (!any) out_.key("content").begin_array();
      any = true;
      write(piece);
    }
    if (any) out_.end_array();
  } else if (!json::is_blank(part.text)) {
    out_.key("content").text(part.text);
  }
  if (part.is_error) out_.key("is_error").boolean(true);
  write_cache_control(part.cache_control);
  out_.end_object();
}

void ContentWriter::write_cache_control(std::string_view control) {
  if (control.empty()) return;
  if (marks_skipped_ > 0) {
    --marks_skipped_;
    drop(dropped_, "cache_control");
  } else {
    out_.key("cache_control").raw(control);
  }
}

bool takes(const Content& part, quirk::Set quirks) {
  Target target;
  target.quirks = quirks;
  std::string nothing;
  Writer out(nothing);
  Dropped dropped;
  return ContentWriter(target, out, dropped).takes(part);
}

}  // namespace spillway::adapters::anthropic_upstream
