// Writes a request for a provider of Chat Completions.
//
// The words of a client that speaks this dialect pass as they are: messages, tools and unknown
// members go out as raw spans, and only what a quirk of the target demands is rewritten.

#include "openai_chat_upstream.h"

#include <algorithm>
#include <array>

#include "rare.h"
#include "translate.h"

namespace spillway::adapters::openai_chat_upstream {
namespace {

using json::Reader;
using json::Type;
using json::Writer;
using translate::has;

// Nine alphanumerics that depend on nothing but the id, so that a call and its result still match.
SPILLWAY_RARE void write_short_id(JsonText id, Writer& out) {
  constexpr std::string_view alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : id.escaped())
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  out.begin_text();
  for (int i = 0; i < 9; ++i, hash /= alphabet.size())
    out.out().push_back(alphabet[hash % alphabet.size()]);
  out.end_text();
}

void write_tool_id(Reader& in, const Target& target, Writer& out) {
  if (has(target, quirk::short_tool_ids) && in.peek() == Type::string) {
    write_short_id(in.string().value_or(JsonText()), out);
  } else {
    out.raw(in.raw());
  }
}

SPILLWAY_RARE void write_tool_calls(Reader& in, const Target& target, Writer& out) {
  out.begin_array();
  in.enter_array();
  while (in.next_element()) {
    if (in.peek() != Type::object) continue;
    out.begin_object();
    in.enter_object();
    while (in.next_member()) {
      out.key(in.escaped_key());
      if (in.key() == "id") {
        write_tool_id(in, target, out);
      } else {
        out.raw(in.raw());
      }
    }
    out.end_object();
  }
  out.end_array();
}

bool is_reasoning(std::string_view key) {
  return key == "reasoning_content" || key == "reasoning" || key == "reasoning_details";
}

// One message whose words the target does not take as they are: the same message, member by member.
SPILLWAY_RARE void rewrite_message(const Message& message, const Target& target, Writer& out,
                                   Dropped& dropped) {
  Reader in(message.raw);
  out.begin_object();
  in.enter_object();
  while (in.next_member()) {
    if (is_reasoning(in.key())) continue;
    out.key(in.escaped_key());
    if (in.key() == "role" && message.role == Role::developer) {
      out.string(has(target, quirk::no_developer_role) ? "system" : "developer");
    } else if (in.key() == "tool_call_id") {
      write_tool_id(in, target, out);
    } else if (in.key() == "tool_calls" && in.peek() == Type::array) {
      write_tool_calls(in, target, out);
    } else {
      out.raw(in.raw());
    }
  }
  const bool as_reasoning = has(target, quirk::reasoning_history_as_reasoning);
  const bool takes_reasoning = as_reasoning || has(target, quirk::reasoning_history);
  for (const Content& part : message.content) {
    if (part.kind != Content::Kind::reasoning) continue;
    if (takes_reasoning) {
      out.key(as_reasoning ? "reasoning" : "reasoning_content").text(part.text);
    } else {
      translate::drop(dropped, "messages.reasoning_content");
    }
  }
  out.end_object();
}

void write_message(const Message& message, const Target& target, Writer& out, Dropped& dropped) {
  const auto is = [](Content::Kind kind) {
    return [kind](const Content& part) { return part.kind == kind; };
  };
  const auto any = [&message](auto test) {
    return std::any_of(message.content.begin(), message.content.end(), test);
  };
  const bool rewrite = (message.role == Role::developer && has(target, quirk::no_developer_role)) ||
                       any(is(Content::Kind::reasoning)) ||
                       (has(target, quirk::short_tool_ids) &&
                        (any(is(Content::Kind::tool_call)) || any(is(Content::Kind::tool_result))));
  if (rewrite) {
    rewrite_message(message, target, out, dropped);
  } else {
    out.raw(message.raw);
  }
}

void write_stream_options(const ChatRequest& request, const Target& target, Writer& out) {
  out.key("stream").boolean(target.stream);
  if (!target.stream || has(target, quirk::no_stream_options)) return;
  if (!target.ask_usage && request.stream_options.empty()) return;
  out.key("stream_options").begin_object();
  Reader in(request.stream_options);
  if (in.enter_object())
    while (in.next_member()) {
      if (in.key() == "include_usage") continue;
      out.key(in.escaped_key());
      out.raw(in.raw());
    }
  out.key("include_usage").boolean(target.ask_usage);
  out.end_object();
}

void write_sampling(const ChatRequest& request, const Target& target, Writer& out,
                    Dropped& dropped) {
  struct Field {
    std::string_view name;
    std::string_view value;
    double default_value;
    quirk::Set refused_by;
  };
  constexpr quirk::Set no_penalties = quirk::no_sampling | quirk::no_penalties;
  const std::array<Field, 4> fields{
      {{"temperature", request.temperature, 1, quirk::no_sampling},
       {"top_p", request.top_p, 1, quirk::no_sampling},
       {"frequency_penalty", request.frequency_penalty, 0, no_penalties},
       {"presence_penalty", request.presence_penalty, 0, no_penalties}}};
  for (const Field& field : fields) {
    if (field.value.empty()) continue;
    if (has(target, field.refused_by)) {
      translate::drop_number(dropped, field.name, field.value, field.default_value);
    } else {
      out.key(field.name).raw(field.value);
    }
  }
}

SPILLWAY_RARE void write_stop(const ChatRequest& request, const Target& target, Writer& out,
                              Dropped& dropped) {
  if (has(target, quirk::no_stop)) {
    dropped.push_back("stop");
    return;
  }
  out.key("stop").begin_array();
  for (const JsonText& sequence : request.stop) out.text(sequence);
  out.end_array();
}

SPILLWAY_RARE void write_tools(const ChatRequest& request, const Target& target, Writer& out,
                               Dropped& dropped) {
  using Kind = ToolChoice::Kind;
  const ToolChoice& choice = request.tool_choice;
  const Kind kind = translate::choice_of(request, target, dropped);
  const bool alone = kind == Kind::named && has(target, quirk::no_named_tool_choice);
  if (!request.tools.empty()) {
    out.key("tools").begin_array();
    for (const Tool& tool : request.tools)
      if (!alone || tool.name == choice.name) out.raw(tool.raw);
    out.end_array();
  }
  if (kind == Kind::required || alone) {
    out.key("tool_choice").string("required");
  } else if (kind != choice.kind) {
    out.key("tool_choice").string("auto");
  } else if (!choice.raw.empty()) {
    out.key("tool_choice").raw(choice.raw);
  }
  if (request.parallel_tool_calls) {
    if (has(target, quirk::no_parallel_tool_calls_field)) {
      dropped.push_back("parallel_tool_calls");
    } else {
      out.key("parallel_tool_calls").boolean(*request.parallel_tool_calls);
    }
  }
}

SPILLWAY_RARE void write_effort(const ChatRequest& request, const Target& target, Writer& out,
                                Dropped& dropped) {
  const JsonText effort = request.reasoning_effort;
  const bool asks_none = effort.empty() || json::equals(effort, "none");
  const bool excluded = !request.tools.empty() && has(target, quirk::no_effort_with_tools);
  // An engine that does not reason does what "none" asks for.
  if (!asks_none && (excluded || !target.reasons)) dropped.push_back("reasoning_effort");
  if (!target.reasons) return;
  if (excluded) {
    out.key("reasoning_effort").string("none");
  } else if (!effort.empty()) {
    out.key("reasoning_effort").text(effort);
  }
}

}  // namespace

void append_path(const Target&, std::string& out) { out += "/chat/completions"; }

void encode_request(const ChatRequest& request, const Target& target, Writer& out,
                    Dropped& dropped) {
  out.begin_object();
  out.key("model").string(target.model);
  out.key("messages").begin_array();
  for (const Message& message : request.messages) write_message(message, target, out, dropped);
  out.end_array();
  write_stream_options(request, target, out);
  if (request.output_tokens_max) {
    std::int64_t tokens = *request.output_tokens_max;
    if (target.output_tokens_max > 0) tokens = std::min(tokens, target.output_tokens_max);
    out.key(has(target, quirk::max_completion_tokens) ? "max_completion_tokens" : "max_tokens")
        .integer(tokens);
  }
  write_sampling(request, target, out, dropped);
  if (!request.stop.empty()) write_stop(request, target, out, dropped);
  if (!request.tools.empty() || !request.tool_choice.raw.empty() || request.parallel_tool_calls)
    write_tools(request, target, out, dropped);
  if (!request.response_format.raw.empty())
    out.key("response_format").raw(request.response_format.raw);
  if (!request.seed.empty()) out.key("seed").raw(request.seed);
  if (!request.top_k.empty()) out.key("top_k").raw(request.top_k);
  if (!request.reasoning_effort.empty() || (target.reasons && !request.tools.empty()))
    write_effort(request, target, out, dropped);
  if (!request.user.empty()) out.key("user").text(request.user);
  for (const Extra& extra : request.extras) out.any_key(extra.key).raw(extra.raw);
  out.end_object();
}

}  // namespace spillway::adapters::openai_chat_upstream
