#include "event.h"

#include "limits.h"
#include "text.h"

namespace spillway {

std::string_view name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::length:
      return "length";
    case FinishReason::tool_calls:
      return "tool_calls";
    case FinishReason::content_filter:
      return "content_filter";
    case FinishReason::stop:
    case FinishReason::other:
    case FinishReason::failed:
      break;
  }
  return "stop";
}

std::int64_t read_tokens(json::Reader& in) {
  const std::int64_t tokens = in.integer().value_or(-1);
  return tokens >= 0 && tokens <= limits::tokens_max ? tokens : -1;
}

void tell_garbled(const char* problem, std::size_t told, Events& out) {
  out.cut(told);
  out.emplace_back(Garbled{problem});
}

namespace {

// An error in a list: [{"error":{…}}], as Google wraps it.
std::string_view error_in(std::string_view list) {
  std::string_view error;
  json::Reader in(list);
  in.enter_array();
  while (in.next_element()) {
    const std::string_view element = in.raw();
    json::Reader member(element);
    if (member.peek() != json::Type::object || !member.enter_object()) continue;
    while (member.next_member())
      if (member.key() == "error" && member.peek() != json::Type::null) error = element;
  }
  return error;
}

}  // namespace

void tell_no_object(std::string_view data, Events& out) {
  const std::string_view text = trimmed(data);
  if (starts_with(text, "{")) return tell_garbled("expected a JSON object", out.size(), out);
  if (lowered(text) == "[done]") {
    out.emplace_back(Done{});
    return;
  }
  const bool is_list = starts_with(text, "[");
  if (is_list && !json::valid(text)) return tell_garbled("expected a JSON array", out.size(), out);
  const std::string_view error = is_list ? error_in(text) : std::string_view();
  if (error.empty()) {
    out.emplace_back(Remark{text});
  } else {
    out.emplace_back(Failed{error, {}});
  }
}

void tell_error(const Frame& frame, Events& out) {
  out.emplace_back(Failed{frame.data.empty() ? frame.event : frame.data, {}});
}

}  // namespace spillway
