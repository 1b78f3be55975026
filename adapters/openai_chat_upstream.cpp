// Writes a request for a provider of Chat Completions.
//
// The words of a client that speaks this dialect pass as they are: messages, tools and unknown
// members go out as raw spans, and only what a quirk of the target demands is rewritten.

#include "openai_chat_upstream.h"

#include <algorithm>
#include <array>

#include "limits.h"
#include "rare.h"
#include "translate.h"

namespace spillway::adapters::openai_chat_upstream {
namespace {

using json::Reader;
using json::Type;
using json::Writer;
using translate::has;

// As the client wrote it, or nine alphanumerics that depend on nothing but that, so that a call and
// its result still match.
SPILLWAY_RARE void write_tool_id(JsonText id, const Target& target, Writer& out) {
  if (!has(target, quirk::short_tool_ids)) {
    out.text(id);
    return;
  }
  constexpr std::string_view alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : id.escaped())
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  out.begin_text();
  for (int i = 0; i < 9; ++i, hash /= alphabet.size())
    out.out().push_back(alphabet[hash % alphabet.size()]);
  out.end_text();
}

// Whether a member must be there, though it holds nothing.
bool is_needed(std::string_view key, std::string_view value) {
  if (value == "null") return key == "content";
  constexpr std::string_view kNeeded[] = {"content",    "text",   "id",
                                          "parameters", "schema", "arguments"};
  return std::find(std::begin(kNeeded), std::end(kNeeded), key) != std::end(kNeeded);
}

// Members with words of Chat Completions in them. What others hold is the client's own, a schema
// among them: null means something there.
bool is_of_dialect(std::string_view key) {
  constexpr std::string_view kWords[] = {"content", "tool_calls",  "function",   "image_url",
                                         "file",    "input_audio", "json_schema"};
  return std::find(std::begin(kWords), std::end(kWords), key) != std::end(kWords);
}

bool is_reasoning(std::string_view key) {
  return key == "reasoning_content" || key == "reasoning" || key == "reasoning_details";
}

// Writes what the client wrote, member by member, without what strict engines refuse: members that
// hold nothing, and words that only some engines know.
class Sieve {
 public:
  Sieve(const Target& target, Writer& out, Dropped& dropped)
      : target_(target), out_(out), dropped_(dropped) {}

  void write(std::string_view object) { write_members(object, {}, 0); }
  // Words from before there were tools become those of tools where `as_tools` says so.
  void write(const Message& message, bool as_tools) {
    message_ = &message;
    as_tools_ = as_tools;
    write_members(message.raw, {}, 0);
  }

 private:
  // A message holds parts, and a part what is in it.
  static constexpr int kDepth = 2;

  void write_members(std::string_view object, std::string_view of, int depth) {
    Reader in(object);
    if (in.peek() != Type::object) {
      out_.raw(object);
      return;
    }
    out_.begin_object();
    in.enter_object();
    while (in.next_member()) write_member(in, of, depth);
    if (message_ != nullptr && depth == 0) write_rest();
    out_.end_object();
  }

  void write_member(Reader& in, std::string_view of, int depth) {
    const std::string key(in.key().substr(0, limits::name_bytes_max));
    const JsonText name = in.escaped_key();
    const std::string_view value = in.raw();
    if (json::is_empty(value) && !is_needed(key, value)) return;
    if (key == "cache_control" && !has(target_, quirk::cache_control)) return;
    if (message_ != nullptr && depth == 0 && write_own(key, value)) return;
    out_.key(name);
    if (message_ != nullptr && is_tool_id(key, of, depth)) {
      write_tool_id(Reader(value).string().value_or(JsonText()), target_, out_);
    } else {
      write_value(value, key, depth);
    }
  }

  // A member of the message itself that does not pass as it is; false: it does.
  bool write_own(std::string_view key, std::string_view value) {
    const bool is_result = as_tools_ && message_->role == Role::tool;
    if (is_reasoning(key)) {
      write_details(key, value);
    } else if (key == "role" && is_result) {
      out_.key(key).string("tool");
    } else if (key == "role" && message_->role == Role::developer &&
               has(target_, quirk::no_developer_role)) {
      out_.key(key).string("system");
    } else if (key == "content" && value == "null" && (is_result || says_nothing())) {
      out_.key(key).string("");  // null is for a message that says something else
    } else if (key == "function_call" && as_tools_) {
      write_call(value);
    } else {
      return key == "name" && is_result;
    }
    return true;
  }

  // But what it thought, which is no answer.
  [[nodiscard]] bool says_nothing() const {
    return std::all_of(message_->content.begin(), message_->content.end(),
                       [](const Content& part) { return part.kind == Content::Kind::reasoning; });
  }

  void write_call(std::string_view function) {
    out_.key("tool_calls").begin_array().begin_object().key("id");
    write_tool_id(message_->content.back().id, target_, out_);
    out_.key("type").string("function").key("function").raw(function);
    out_.end_object().end_array();
  }

  void write_value(std::string_view value, std::string_view key, int depth) {
    Reader in(value);
    if (depth == kDepth || !is_of_dialect(key)) {
      out_.raw(value);
    } else if (in.peek() != Type::array) {
      write_members(value, key, depth + 1);
    } else {
      out_.begin_array();
      in.enter_array();
      while (in.next_element()) write_members(in.raw(), key, depth + 1);
      out_.end_array();
    }
  }

  static bool is_tool_id(std::string_view key, std::string_view of, int depth) {
    return depth == 0 ? key == "tool_call_id" : of == "tool_calls" && key == "id";
  }

  void write_details(std::string_view key, std::string_view value) {
    if (key != "reasoning_details") return;
    if (has(target_, quirk::reasoning_details)) {
      out_.key("reasoning_details").raw(value);
    } else {
      translate::drop(dropped_, "messages.reasoning_details");
    }
  }

  void write_rest() {
    if (as_tools_ && message_->role == Role::tool) {
      out_.key("tool_call_id");
      write_tool_id(message_->content.back().id, target_, out_);
    }
    const bool as_reasoning = has(target_, quirk::reasoning_history_as_reasoning);
    const bool takes_reasoning = as_reasoning || has(target_, quirk::reasoning_history);
    for (const Content& part : message_->content) {
      if (part.kind != Content::Kind::reasoning) continue;
      if (takes_reasoning) {
        out_.key(as_reasoning ? "reasoning" : "reasoning_content").text(part.text);
      } else {
        translate::drop(dropped_, "messages.reasoning_content");
      }
    }
  }

  const Target& target_;
  Writer& out_;
  Dropped& dropped_;
  const Message* message_ = nullptr;
  bool as_tools_ = false;
};

// One message whose words the target does not take as they are: the same message, member by member.
SPILLWAY_RARE void rewrite_message(const Message& message, bool as_tools, const Target& target,
                                   Writer& out, Dropped& dropped) {
  Sieve(target, out, dropped).write(message, as_tools);
}

// A tool, or what else passes whole.
SPILLWAY_RARE void write_object(std::string_view raw, bool is_loose, const Target& target,
                                Writer& out, Dropped& dropped) {
  if (is_loose) {
    Sieve(target, out, dropped).write(raw);
  } else {
    out.raw(raw);
  }
}

void write_message(const Message& message, bool in_functions, const Target& target, Writer& out,
                   Dropped& dropped) {
  const auto calls = [](const Content& part) {
    return part.kind == Content::Kind::tool_call || part.kind == Content::Kind::tool_result;
  };
  const bool as_tools = message.is_of_functions && !in_functions;
  const bool rewrite = message.is_loose || as_tools ||
                       (message.role == Role::developer && has(target, quirk::no_developer_role)) ||
                       (has(target, quirk::short_tool_ids) &&
                        std::any_of(message.content.begin(), message.content.end(), calls));
  if (rewrite) {
    rewrite_message(message, as_tools, target, out, dropped);
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
      const JsonText name = in.escaped_key();
      if (in.null()) continue;
      out.key(name).raw(in.raw());
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
  // Where a call cannot be forced by name, its tool goes alone; of an unknown name the engine says
  // so.
  const bool alone = kind == Kind::named && has(target, quirk::no_named_tool_choice) &&
                     std::any_of(request.tools.begin(), request.tools.end(),
                                 [&choice](const Tool& tool) { return tool.name == choice.name; });
  out.key("tools").begin_array();
  for (const Tool& tool : request.tools)
    if (!alone || tool.name == choice.name)
      write_object(tool.raw, tool.is_loose, target, out, dropped);
  out.end_array();
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

SPILLWAY_RARE void write_format(const ChatRequest& request, const Target& target, Writer& out,
                                Dropped& dropped) {
  const ResponseFormat& format = request.response_format;
  out.key("response_format");
  write_object(format.raw, format.is_loose, target, out, dropped);
}

SPILLWAY_RARE void write_cache_control(const ChatRequest& request, const Target& target,
                                       Writer& out, Dropped& dropped) {
  if (!has(target, quirk::cache_control)) {
    translate::drop(dropped, "cache_control");
  } else if (!request.cache_control.empty()) {
    out.key("cache_control").raw(request.cache_control);
  }
}

// A server that nobody has recorded is sent the name that its client knows.
std::string_view limit_name(const ChatRequest& request, const Target& target) {
  if (has(target, quirk::max_completion_tokens)) return "max_completion_tokens";
  return target.built_in || request.output_tokens_name.empty() ? "max_tokens"
                                                               : request.output_tokens_name;
}

}  // namespace

void append_path(const Target&, std::string& out) { out += "/chat/completions"; }

void encode_request(const ChatRequest& request, const Target& target, Writer& out,
                    Dropped& dropped) {
  out.begin_object();
  out.key("model").string(target.model);
  out.key("messages").begin_array();
  for (const Message& message : request.messages)
    write_message(message, request.has_functions, target, out, dropped);
  out.end_array();
  write_stream_options(request, target, out);
  if (request.output_tokens_max) {
    std::int64_t tokens = *request.output_tokens_max;
    if (target.output_tokens_max > 0) tokens = std::min(tokens, target.output_tokens_max);
    out.key(limit_name(request, target)).integer(tokens);
  }
  write_sampling(request, target, out, dropped);
  if (!request.stop.empty()) write_stop(request, target, out, dropped);
  if (!request.tools.empty()) write_tools(request, target, out, dropped);
  if (!request.response_format.raw.empty()) write_format(request, target, out, dropped);
  if (!request.seed.empty()) out.key("seed").raw(request.seed);
  if (!request.top_k.empty()) out.key("top_k").raw(request.top_k);
  if (!request.reasoning_effort.empty() || (target.reasons && !request.tools.empty()))
    write_effort(request, target, out, dropped);
  if (!request.user.empty()) out.key("user").text(request.user);
  if (request.cache_marks > 0) write_cache_control(request, target, out, dropped);
  translate::drop_unmet(request, dropped);
  for (const Extra& extra : request.extras) out.any_key(extra.key).raw(extra.raw);
  out.end_object();
}

}  // namespace spillway::adapters::openai_chat_upstream
