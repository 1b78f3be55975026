#include "front.h"

#include "json.h"
#include "text.h"

namespace spillway {

namespace {

// Text between tags and in attributes (HTML Living Standard, 13.3).
void append_html(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
      out += "&#";
      out += std::to_string(static_cast<int>(c));
      out += ';';
    } else {
      out += c;
    }
  }
}

struct Standing {
  std::size_t ready = 0;
  bool simulated = false;
};

Standing standing_of(const Config& config) {
  Standing standing;
  for (const Provider& provider : config.providers) {
    standing.ready += provider.ready() ? 1 : 0;
    standing.simulated = standing.simulated || (provider.ready() && provider.simulated);
  }
  return standing;
}

// What answers here, in one sentence.
std::string_view sentence(const Standing& standing) {
  if (standing.simulated)
    return "Answers are simulated. For real ones, put a provider's key into .dev.vars and start "
           "again.";
  if (standing.ready == 0) return "No provider has a key yet. GET /health says which to set.";
  return "It is ready. GET /health says which providers answer.";
}

}  // namespace

std::string front_page(const Config& config, std::string_view origin) {
  std::string page =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Spillway</title>"
      "<meta name=\"viewport\" content=\"width=device-width\"><style>body{font:16px/1.5 system-ui,"
      "sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}pre{padding:1rem;overflow:auto;"
      "background:#8882;border-radius:.5rem}:root{color-scheme:light dark}</style>"
      "<h1>Spillway</h1><p>A router for chats with language models: one request in, one stream of "
      "tokens out, whichever provider is up.<p><strong>";
  page += sentence(standing_of(config));
  page += "</strong><pre>curl -N ";
  append_html(page, quote(origin));
  page +=
      "/v1/chat/completions -H 'content-type: application/json' \\\n"
      "  -d '{\"model\":\"";
  append_html(page, config.default_route);
  page +=
      "\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'</pre>"
      "<p><a href=\"/v1/models\">/v1/models</a> lists engines and routes, "
      "<a href=\"/health\">/health</a> says who can serve.</html>\n";
  return page;
}

std::string front_json(const Config& config) {
  const Standing standing = standing_of(config);
  std::string body;
  json::Writer out(body);
  out.begin_object().key("name").string("spillway").key("simulated").boolean(standing.simulated);
  out.key("providers_ready").integer(static_cast<std::int64_t>(standing.ready));
  out.key("message").string(sentence(standing)).key("paths").begin_array();
  for (const std::string_view path :
       {"POST /v1/chat/completions", "GET /v1/models", "GET /v1/models/{id}", "GET /health"})
    out.string(path);
  out.end_array().end_object();
  return body;
}

}  // namespace spillway
