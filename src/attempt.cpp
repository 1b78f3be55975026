#include "attempt.h"

#include <array>

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

Mode choose_mode(const Dialect& client, const Provider& provider, const Target& target,
                 const ChatRequest& request) {
  if (!request.stream) return request.verbatim ? Mode::whole : Mode::translate;
  const quirk::Set needs_repair = quirk::irregular_stream | quirk::think_tags;
  const bool same_words = provider.dialect == &client;
  if (!same_words || ((target.quirks & needs_repair) != 0 && !request.verbatim))
    return Mode::translate;
  // A usage chunk has no choices, which a client that did not ask for it does not expect.
  const bool asked_for_us =
      target.ask_usage && !request.include_usage && (target.quirks & quirk::no_stream_options) == 0;
  return asked_for_us ? Mode::relay : Mode::splice;
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

bool may_stream(const ResponseHead& head) {
  const std::string_view type = head.content_type;
  if (type.find("event-stream") != std::string_view::npos) return true;
  return type.find("json") == std::string_view::npos && type.find("html") == std::string_view::npos;
}

}  // namespace spillway
