#include "attempt.h"

#include <array>

#include "text.h"

namespace spillway {

std::string_view name_of(Mode mode) {
  switch (mode) {
    case Mode::splice:
      return "splice";
    case Mode::relay:
      return "relay";
    case Mode::translate:
      return "translate";
    case Mode::whole:
      return "whole";
  }
  return "";
}

bool counts_apart(const Target& target, const Dialect& dialect) {
  return (target.quirks & quirk::usage_excludes_reasoning) != 0 &&
         dialect.include_reasoning != nullptr;
}

Mode choose_mode(const Dialect& client, const Provider& provider, const Target& target,
                 const ChatRequest& request) {
  const quirk::Set needs_repair = quirk::irregular_stream | quirk::think_tags;
  const bool same_words = provider.dialect == &client;
  if (!same_words || ((target.quirks & needs_repair) != 0 && !request.verbatim))
    return Mode::translate;
  if (!request.stream && !target.stream && (request.verbatim || provider.splice))
    return Mode::whole;
  if (!request.stream || !target.stream) return Mode::translate;
  // A usage chunk has no choices, which a client that did not ask for it does not expect.
  const bool asked_for_us =
      target.ask_usage && !request.include_usage && (target.quirks & quirk::no_stream_options) == 0;
  return asked_for_us || counts_apart(target, *provider.dialect) || !provider.splice ? Mode::relay
                                                                                     : Mode::splice;
}

namespace {

struct AuthHeader {
  std::string_view name;
  std::string_view scheme;
};

// In the order of Auth.
constexpr std::array<AuthHeader, 4> kAuthHeaders{
    {{"authorization", "Bearer "}, {"x-api-key", ""}, {"x-goog-api-key", ""}, {"api-key", ""}}};

}  // namespace

void write_request_head(const Provider& provider, const Target& target, const Secret* key,
                        std::string& out) {
  json::Writer json(out);
  json.begin_object();
  json.key("method").string("POST");
  json.key("url").begin_text();
  std::string url = provider.base_url;
  provider.dialect->append_path(target, url);
  json::append_escaped(out, url);
  json.end_text();
  json.key("headers").begin_object();
  json.key("content-type").string("application/json");
  json.key("accept").string(target.stream ? "text/event-stream" : "application/json");
  if (key != nullptr && provider.auth != Auth::none) {
    const AuthHeader& header = kAuthHeaders[static_cast<std::size_t>(provider.auth)];
    json.key(header.name).begin_text();
    out += header.scheme;
    json::append_escaped(out, key->reveal());
    json.end_text();
  }
  std::string_view missing = provider.dialect->header_name;
  for (const Header& header : provider.headers) {
    if (header.name == missing) missing = {};
    json.key(header.name).string(header.value);
  }
  if (!missing.empty()) json.key(missing).string(provider.dialect->header_value);
  json.end_object();
  json.end_object();
}

ResponseHead read_response_head(int status, std::string_view json) {
  struct Row {
    std::string_view name;
    std::string_view ResponseHead::* value;
  };
  static constexpr std::array kRows{
      Row{"content-type", &ResponseHead::content_type},
      Row{"retry-after", &ResponseHead::retry_after},
      Row{"retry-after-ms", &ResponseHead::retry_after_ms},
      Row{"x-ratelimit-reset-requests", &ResponseHead::reset_requests},
      Row{"x-ratelimit-reset-tokens", &ResponseHead::reset_tokens},
      Row{"x-ratelimit-reset", &ResponseHead::reset},
      Row{"anthropic-ratelimit-requests-reset", &ResponseHead::reset_requests},
      Row{"anthropic-ratelimit-tokens-reset", &ResponseHead::reset_tokens},
      Row{"x-amzn-errortype", &ResponseHead::error_type},
  };
  ResponseHead head;
  head.status = status;
  json::Reader in(json);
  if (!in.enter_object()) return head;
  while (in.next_member())
    for (const Row& row : kRows)
      if (in.key() == row.name) {
        head.*row.value = in.string().value_or(JsonText()).escaped();
        break;
      }
  return head;
}

BodyKind body_kind_of(std::string_view bytes) {
  constexpr std::string_view bom = "\xEF\xBB\xBF";
  if (starts_with(bytes, bom)) bytes.remove_prefix(bom.size());
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return BodyKind::unknown;
  if (bytes[first] == '<') return BodyKind::page;
  return bytes[first] == '{' || bytes[first] == '[' ? BodyKind::json : BodyKind::events;
}

bool may_answer(const ResponseHead& head) {
  return lowered(head.content_type).find("html") == std::string::npos;
}

}  // namespace spillway
