// Reads a client's chat completion request.
// https://platform.openai.com/docs/api-reference/chat/create (CreateChatCompletionRequest)
//
// Strict where the canonical request needs a field, silent about what it does not know: that passes
// on as it is. Lone surrogates become U+FFFD for everyone. Of members with the same name the last
// one counts, at every level, and of the others nothing stays behind.

#include <algorithm>
#include <array>
#include <utility>

#include "limits.h"
#include "openai_chat_client.h"
#include "rare.h"

namespace spillway::adapters::openai_chat_client {
namespace {

using json::Reader;
using json::Type;
using json::Writer;

// Members that are the same as if they were not there. What another says with false may be a wish:
// enable_thinking.
bool asks_nothing(std::string_view key, std::string_view raw) {
  struct Row {
    std::string_view key;
    std::string_view value;
  };
  static constexpr std::array kRows{
      Row{"n", "1"},
      Row{"logprobs", "false"},
      Row{"top_logprobs", "0"},
      Row{"store", "false"},
      Row{"background", "false"},
      Row{"echo", "false"},
      Row{"best_of", "1"},
      Row{"safe_prompt", "false"},
      Row{"service_tier", R"("auto")"},
      Row{"service_tier", R"("default")"},
      Row{"logit_bias", "{}"},
      Row{"metadata", "{}"},
  };
  if (key == "modalities")
    return raw.find("audio") == std::string_view::npos &&
           raw.find("image") == std::string_view::npos;
  return std::any_of(kRows.begin(), kRows.end(),
                     [key, raw](const Row& row) { return row.key == key && row.value == raw; });
}

// What few messages have.
struct MessageRest {
  JsonText answered;  // the call that a tool's message answers
  JsonText reasoning;
  JsonText refusal;
  std::string_view calls;
  std::string_view function_call;
  std::string_view cache_control;
  bool has_refusal = false;
  bool has_content = false;
  bool is_content_read = false;  // if only a null
};

// What the messages hold, so far.
struct Held {
  std::size_t parts = 0;
  std::int64_t bytes = 0;
  std::int64_t image_tokens = 0;
  std::size_t cache_marks = 0;
  bool images = false;
  bool image_urls = false;
  bool files = false;
  bool file_ids = false;
  bool audio = false;
  bool words = false;  // of a user's
  bool wordless_turn = false;
};

// Reads the client's body; the first mistake stops it and is told with the path of its field.
class RequestReader {
 public:
  RequestReader(ChatRequest& request, BadRequest& problem)
      : request_(request), problem_(problem), in_(request.body) {}

  bool read();

 private:
  bool read_member();
  bool read_model();
  bool read_name(std::string_view path, JsonText text, std::string& name);
  SPILLWAY_RARE bool refuse_member_name(std::string_view path);
  SPILLWAY_RARE bool read_models();
  bool read_messages();
  bool read_message(std::size_t index);
  bool read_role(Message& message, std::size_t index, bool is_last);
  bool read_members(Message& message, std::size_t index, bool is_last_role);
  SPILLWAY_RARE bool read_again(Message& message, std::size_t index, const Held& before);
  SPILLWAY_RARE void forget_content(Message& message, const Held& before);
  SPILLWAY_RARE bool read_rest(Reader& in, Message& message, std::size_t index, MessageRest& rest);
  SPILLWAY_RARE bool take_rest(Message& message, std::size_t index, const MessageRest& rest);
  bool read_content(Reader& in, Message& message, std::size_t index);
  SPILLWAY_RARE bool read_parts(Reader& in, Message& message, std::size_t index);
  SPILLWAY_RARE bool take_refusal(Message& message, JsonText text, std::size_t index);
  SPILLWAY_RARE bool take_result(Message& message, JsonText id, std::size_t index);
  SPILLWAY_RARE bool read_part(Reader& in, std::list<Content>& parts, const std::string& path);
  SPILLWAY_RARE bool read_image(Reader& in, Content& part, const std::string& path);
  SPILLWAY_RARE bool read_file(Reader& in, Content& part, std::string_view data_key,
                               const std::string& path);
  SPILLWAY_RARE bool read_tool_calls(std::string_view calls, Message& message, std::size_t index);
  SPILLWAY_RARE bool read_tool_call(Reader& in, Content& call, const std::string& path);
  SPILLWAY_RARE bool read_called(Reader& in, Content& call, const std::string& path);
  SPILLWAY_RARE bool read_function_call(std::string_view raw, Message& message, std::size_t index);
  SPILLWAY_RARE void take_function_id(std::size_t index, JsonText& id);
  SPILLWAY_RARE bool read_tools();
  SPILLWAY_RARE bool read_tool(Tool& tool, const std::string& path);
  SPILLWAY_RARE bool read_function(Reader& in, Tool& tool, const std::string& path);
  SPILLWAY_RARE bool read_tool_choice();
  SPILLWAY_RARE bool read_response_format();
  SPILLWAY_RARE bool read_stop();
  bool read_stream_options();
  bool read_number(std::string_view& field);
  bool read_boolean(bool& field);
  bool read_text(JsonText& field);
  bool read_output_tokens_max(std::string_view name);
  SPILLWAY_RARE bool read_extra();

  SPILLWAY_RARE void note_member(Reader& in);
  // A member that is not read here, of an object that passes as it is.
  SPILLWAY_RARE void note_unread(Reader& in) { loose_ = json::is_empty(in.raw()) || loose_; }
  SPILLWAY_RARE void note_null(Reader& in) { loose_ = in.peek() == Type::null || loose_; }
  SPILLWAY_RARE bool read_cache_control(Reader& in, std::string_view& control, std::string_view of);
  SPILLWAY_RARE void mark(Content& part, std::string_view control);
  void find_verbatim();
  SPILLWAY_RARE void find_unmet();
  void want_verbatim(std::string_view field) {
    request_.verbatim = true;
    request_.verbatim_for = field;
  }
  SPILLWAY_RARE void find_verbatim_in_extras();
  SPILLWAY_RARE void take_data_url(Content& part);
  SPILLWAY_RARE void hold(const Content& part);
  void hold_turn(const Message& message);
  void take_held();
  bool count_part() { return ++held_.parts <= limits::parts_max; }
  SPILLWAY_RARE bool refuse_parts(std::string_view path);
  SPILLWAY_RARE bool refuse_parts_in(std::size_t index, std::string_view member);
  void estimate(std::size_t bytes) { held_.bytes += static_cast<std::int64_t>(bytes); }

  SPILLWAY_RARE bool refuse(std::string_view param, std::string_view message,
                            std::string_view code = "invalid_request") {
    problem_ = {std::string(param), std::string(message), code};
    return false;
  }
  SPILLWAY_RARE bool refuse_body();
  SPILLWAY_RARE bool refuse_no_tokens();
  SPILLWAY_RARE bool refuse_type(Reader& in, std::string_view param, std::string_view expected);
  SPILLWAY_RARE bool refuse_more(std::string_view param, std::size_t max, std::string_view things,
                                 std::string_view code = "too_many");
  // A member of a message; nothing of its path is made before it is needed.
  SPILLWAY_RARE bool refuse_in(std::size_t index, std::string_view member, std::string_view message,
                               std::string_view code);
  SPILLWAY_RARE bool refuse_type_in(Reader& in, std::size_t index, std::string_view member,
                                    std::string_view expected);
  SPILLWAY_RARE bool refuse_role(std::size_t index, JsonText word);

  ChatRequest& request_;
  BadRequest& problem_;
  Reader in_;
  std::string_view key_;
  std::string key_kept_;
  Held held_;
  bool loose_ = false;  // the message, tool or format that is being read: see Message::is_loose
  std::size_t tools_bytes_ = 0;
  std::size_t tools_marks_ = 0;
  std::size_t format_bytes_ = 0;
  JsonText function_id_;            // made for the last function_call, until it is answered
  std::string_view verbatim_tool_;  // that is a provider's own
  bool is_choice_verbatim_ = false;
  bool has_messages_ = false;
};

SPILLWAY_RARE std::string element(std::string_view path, std::size_t index) {
  return std::string(path) + "[" + std::to_string(index) + "]";
}

// messages[3].content
SPILLWAY_RARE std::string in_message(std::size_t index, std::string_view member) {
  return element("messages", index) + "." + std::string(member);
}

bool RequestReader::refuse_type(Reader& in, std::string_view param, std::string_view expected) {
  const Type type = in.peek();
  if (type == Type::none) {
    in.skip();
    return refuse("", "The body is not valid JSON");
  }
  return refuse(param,
                "Expected " + std::string(expected) + ", got " + std::string(with_article(type)),
                "invalid_type");
}

bool RequestReader::refuse_more(std::string_view param, std::size_t max, std::string_view things,
                                std::string_view code) {
  return refuse(param, "Expected at most " + std::to_string(max) + " " + std::string(things), code);
}

bool RequestReader::refuse_in(std::size_t index, std::string_view member, std::string_view message,
                              std::string_view code) {
  return refuse(in_message(index, member), message, code);
}

bool RequestReader::refuse_type_in(Reader& in, std::size_t index, std::string_view member,
                                   std::string_view expected) {
  return refuse_type(in, in_message(index, member), expected);
}

// A body without messages: how it is none.
bool RequestReader::refuse_body() {
  Reader whole(request_.body);
  const Type type = whole.peek();
  const bool is_other = type != Type::object && type != Type::none;
  if (is_other && whole.finish())
    return refuse("",
                  "Expected the body to be a JSON object, got " + std::string(with_article(type)),
                  "invalid_type");
  const Reader& broken = is_other ? whole : in_;
  if (!broken.ok())
    return refuse("",
                  "The body is not valid JSON: " + std::string(broken.problem()) + " at byte " +
                      std::to_string(broken.offset()),
                  "invalid_json");
  return refuse("messages", "Expected an array with at least one message",
                has_messages_ ? "too_few" : "missing");
}

bool RequestReader::read() {
  in_.enter_object();
  while (in_.next_member()) {
    if (in_.escaped_key().escaped().size() > limits::name_bytes_max)
      return refuse_member_name(json::quoted(in_.escaped_key()));
    key_kept_.assign(in_.key());
    key_ = key_kept_;
    if (!read_member()) {
      if (in_.ok()) return false;
      break;
    }
  }
  if (!in_.finish() || request_.messages.empty()) return refuse_body();
  if (in_.has_halves()) json::mend_halves(request_.body);
  take_held();
  if (request_.tools.empty() || !request_.extras.empty()) find_unmet();
  find_verbatim();
  return true;
}

void RequestReader::take_held() {
  request_.has_images = held_.images;
  request_.has_image_urls = held_.image_urls;
  request_.has_files = held_.files;
  request_.has_file_ids = held_.file_ids;
  request_.has_audio = held_.audio;
  request_.has_wordless_turn = held_.wordless_turn || !held_.words;
  request_.cache_marks =
      held_.cache_marks + tools_marks_ + (request_.cache_control.empty() ? 0 : 1);
  // Four bytes a token is less than any text costs in practice: an engine is only skipped when
  // surely too small.
  request_.input_tokens_estimate =
      held_.image_tokens +
      (held_.bytes + static_cast<std::int64_t>(tools_bytes_ + format_bytes_)) / 4;
}

// What asks for an answer that no other dialect can give whole.
void RequestReader::find_verbatim() {
  if (!request_.extras.empty()) find_verbatim_in_extras();
  if (is_choice_verbatim_) want_verbatim("tool_choice");  // allowed_tools …
  if (!verbatim_tool_.empty()) want_verbatim(verbatim_tool_);
}

// Without tools or functions there is nothing to choose, and engines refuse a choice.
void RequestReader::find_unmet() {
  using Kind = ToolChoice::Kind;
  const auto find = [this](std::string_view key) {
    return std::find_if(request_.extras.rbegin(), request_.extras.rend(),
                        [key](const Extra& extra) { return extra.key == key; });
  };
  const auto none = request_.extras.rend();
  if (request_.tools.empty()) {
    const Kind kind = request_.tool_choice.kind;
    if (kind == Kind::required || kind == Kind::named || is_choice_verbatim_)
      request_.unmet.push_back("tool_choice");
    request_.tool_choice = {};
    request_.parallel_tool_calls.reset();
    is_choice_verbatim_ = false;
  }
  request_.has_functions = find("functions") != none;
  const auto call = find("function_call");
  if (request_.has_functions || call == none) return;
  if (call->raw.front() != '"') request_.unmet.push_back("function_call");
  const auto is_call = [](const Extra& extra) { return extra.key == "function_call"; };
  request_.extras.erase(std::remove_if(request_.extras.begin(), request_.extras.end(), is_call),
                        request_.extras.end());
}

// Of those with the same name the last one counts; all of them pass.
void RequestReader::find_verbatim_in_extras() {
  constexpr std::string_view kNames[] = {"n",          "logprobs",  "top_logprobs", "audio",
                                         "modalities", "functions", "function_call"};
  for (const std::string_view key : kNames) {
    const auto last = std::find_if(request_.extras.rbegin(), request_.extras.rend(),
                                   [key](const Extra& extra) { return extra.key == key; });
    if (last == request_.extras.rend() || last->asks_nothing) continue;
    const bool is_sound = key != "modalities" || last->raw.find("audio") != last->raw.npos;
    if (is_sound) want_verbatim(key);
  }
}

bool RequestReader::refuse_member_name(std::string_view path) {
  return refuse_more(path, limits::name_bytes_max, "bytes in the name of a member", "too_long");
}

bool RequestReader::read_member() {
  using Read = bool (*)(RequestReader&);
  struct Row {
    std::string_view key;
    Read read;
  };
  static constexpr std::array kRows{
      Row{"model", [](RequestReader& r) { return r.read_model(); }},
      Row{"models", [](RequestReader& r) { return r.read_models(); }},
      Row{"messages", [](RequestReader& r) { return r.read_messages(); }},
      Row{"stream", [](RequestReader& r) { return r.read_boolean(r.request_.stream); }},
      Row{"stream_options", [](RequestReader& r) { return r.read_stream_options(); }},
      Row{"max_tokens", [](RequestReader& r) { return r.read_output_tokens_max("max_tokens"); }},
      Row{"max_completion_tokens",
          [](RequestReader& r) { return r.read_output_tokens_max("max_completion_tokens"); }},
      Row{"temperature", [](RequestReader& r) { return r.read_number(r.request_.temperature); }},
      Row{"top_p", [](RequestReader& r) { return r.read_number(r.request_.top_p); }},
      Row{"top_k", [](RequestReader& r) { return r.read_number(r.request_.top_k); }},
      Row{"frequency_penalty",
          [](RequestReader& r) { return r.read_number(r.request_.frequency_penalty); }},
      Row{"presence_penalty",
          [](RequestReader& r) { return r.read_number(r.request_.presence_penalty); }},
      Row{"seed", [](RequestReader& r) { return r.read_number(r.request_.seed); }},
      Row{"stop", [](RequestReader& r) { return r.read_stop(); }},
      Row{"tools", [](RequestReader& r) { return r.read_tools(); }},
      Row{"tool_choice", [](RequestReader& r) { return r.read_tool_choice(); }},
      Row{"parallel_tool_calls",
          [](RequestReader& r) {
            bool parallel = false;
            const bool read = r.read_boolean(parallel);
            r.request_.parallel_tool_calls = parallel;
            return read;
          }},
      Row{"response_format", [](RequestReader& r) { return r.read_response_format(); }},
      Row{"reasoning_effort",
          [](RequestReader& r) { return r.read_text(r.request_.reasoning_effort); }},
      Row{"user", [](RequestReader& r) { return r.read_text(r.request_.user); }},
      Row{"cache_control",
          [](RequestReader& r) {
            return r.read_cache_control(r.in_, r.request_.cache_control, {});
          }},
      Row{"spillway",
          [](RequestReader& r) {
            if (r.in_.peek() != Type::object) return r.refuse_type(r.in_, "spillway", "an object");
            r.request_.policy = r.in_.raw();
            return true;
          }},
  };
  // An explicit null is a member that is not there.
  if (key_ != "messages" && in_.null()) return true;
  for (const Row& row : kRows)
    if (row.key == key_) return row.read(*this);
  return read_extra();
}

// A member that the canonical request does not know passes to targets of this dialect.
bool RequestReader::read_extra() {
  if (request_.extras.size() == limits::extras_max)
    return refuse_more(key_kept_, limits::extras_max, "members that are not known here");
  const std::string_view key = request_.keep(key_kept_);
  const std::string_view raw = in_.raw();
  // An empty list asks for nothing, an empty object may: web_search_options.
  const bool asks = !json::is_empty(raw) || raw.front() == '{';
  if (in_.ok() && asks) request_.extras.push_back({key, raw, asks_nothing(key, raw)});
  return in_.ok();
}

bool RequestReader::read_model() {
  const auto model = in_.peek() == Type::string ? in_.string() : std::nullopt;
  if (!model) return refuse_type(in_, "model", "a string");
  return read_name("model", *model, request_.model);
}

// Not unescaped before it is known that there is not too much of it.
bool RequestReader::read_name(std::string_view path, JsonText text, std::string& name) {
  if (text.escaped().size() <= json::kEscapeBytesMax * limits::name_bytes_max)
    name = json::unescaped(text);
  const bool fits = name.size() <= limits::name_bytes_max && name.empty() == text.empty();
  return fits || refuse_more(path, limits::name_bytes_max, "bytes", "too_long");
}

bool RequestReader::read_models() {
  if (in_.peek() != Type::array) return refuse_type(in_, "models", "an array of strings");
  in_.enter_array();
  request_.models.clear();
  while (in_.next_element()) {
    const std::string path = element("models", request_.models.size());
    if (in_.peek() != Type::string) return refuse_type(in_, path, "a string");
    if (request_.models.size() == limits::chain_max)
      return refuse_more(path, limits::chain_max, "models");
    const auto model = in_.string();
    if (model && !read_name(path, *model, request_.models.emplace_back())) return false;
  }
  return in_.ok();
}

bool RequestReader::read_boolean(bool& field) {
  if (in_.peek() != Type::boolean) return refuse_type(in_, key_kept_, "a boolean");
  field = in_.boolean().value_or(false);
  return in_.ok();
}

bool RequestReader::read_number(std::string_view& field) {
  if (in_.peek() != Type::number) return refuse_type(in_, key_kept_, "a number");
  field = in_.raw();
  return in_.ok();
}

bool RequestReader::read_text(JsonText& field) {
  if (in_.peek() != Type::string) return refuse_type(in_, key_kept_, "a string");
  field = in_.string().value_or(JsonText());
  return in_.ok();
}

bool RequestReader::read_output_tokens_max(std::string_view name) {
  if (in_.peek() != Type::number) return refuse_type(in_, key_kept_, "a whole number of tokens");
  request_.output_tokens_max = in_.integer();
  request_.output_tokens_name = name;
  if (!in_.ok()) return false;
  return request_.output_tokens_max.value_or(0) >= 1 || refuse_no_tokens();
}

bool RequestReader::refuse_no_tokens() {
  return refuse(key_kept_, "Expected a whole number of tokens, 1 or more", "invalid_value");
}

bool RequestReader::read_stream_options() {
  if (in_.peek() != Type::object) return refuse_type(in_, key_kept_, "an object");
  request_.stream_options = in_.raw();
  request_.include_usage = false;
  Reader options(request_.stream_options);
  options.enter_object();
  while (options.next_member())
    if (options.key() == "include_usage" && !options.null()) {
      if (options.peek() != Type::boolean)
        return refuse_type(options, "stream_options.include_usage", "a boolean");
      request_.include_usage = options.boolean().value_or(false);
    }
  return in_.ok();
}

bool RequestReader::read_stop() {
  request_.stop.clear();
  if (in_.peek() == Type::string) {
    if (const auto text = in_.string()) request_.stop.push_back(*text);
    return in_.ok();
  }
  if (in_.peek() != Type::array) return refuse_type(in_, "stop", "a string or an array of strings");
  in_.enter_array();
  while (in_.next_element()) {
    const std::string path = element("stop", request_.stop.size());
    if (in_.peek() != Type::string) return refuse_type(in_, path, "a string");
    if (request_.stop.size() == limits::stop_sequences_max)
      return refuse_more(path, limits::stop_sequences_max, "sequences");
    if (const auto text = in_.string()) request_.stop.push_back(*text);
  }
  return in_.ok();
}

bool RequestReader::read_messages() {
  if (in_.peek() != Type::array) return refuse_type(in_, "messages", "an array of messages");
  in_.enter_array();
  request_.messages.clear();
  request_.message_extras.clear();
  held_ = {};
  function_id_ = {};
  while (in_.next_element()) {
    const std::size_t index = request_.messages.size();
    if (index == limits::messages_max)
      return refuse_more("messages", limits::messages_max, "messages");
    if (!read_message(index)) return false;
  }
  has_messages_ = true;
  return in_.ok();
}

// The first role, or the last.
bool RequestReader::read_role(Message& message, std::size_t index, bool is_last) {
  struct Row {
    std::string_view word;
    Role role;
  };
  static constexpr std::array kRoles{Row{"system", Role::system}, Row{"developer", Role::developer},
                                     Row{"user", Role::user},     Row{"assistant", Role::assistant},
                                     Row{"tool", Role::tool},     Row{"function", Role::tool}};
  Reader in(message.raw);
  in.enter_object();
  bool found = false;
  while ((is_last || !found) && in.next_member()) {
    if (in.key() != "role") continue;
    if (in.peek() != Type::string) return refuse_type_in(in, index, "role", "a string");
    const JsonText word = in.string().value_or(JsonText());
    const auto row = std::find_if(kRoles.begin(), kRoles.end(), [word](const Row& candidate) {
      return json::equals(word, candidate.word);
    });
    if (row == kRoles.end()) return refuse_role(index, word);
    message.role = row->role;
    message.is_of_functions = row->word == "function";
    found = true;
  }
  return found ||
         refuse_in(index, "role", "Expected a role: system, developer, user, assistant or tool",
                   "missing");
}

bool RequestReader::refuse_role(std::size_t index, JsonText word) {
  return refuse_in(
      index, "role",
      "Expected system, developer, user, assistant or tool, got \"" + json::quoted(word) + "\"",
      "invalid_value");
}

// What the engine thought comes before what it said.
void take_reasoning(Message& message, JsonText text) {
  Content& thoughts = message.content.emplace_front();
  thoughts.kind = Content::Kind::reasoning;
  thoughts.text = text;
}

bool RequestReader::read_message(std::size_t index) {
  if (in_.peek() != Type::object) return refuse_type(in_, element("messages", index), "an object");
  Message& message = request_.messages.emplace_back();
  message.raw = in_.raw();
  loose_ = false;
  const bool read =
      in_.ok() && read_role(message, index, false) && read_members(message, index, false);
  message.is_loose = loose_;
  return read;
}

bool RequestReader::read_members(Message& message, std::size_t index, bool is_last_role) {
  MessageRest rest;
  const Held before = held_;
  bool has_role = is_last_role;
  Reader in(message.raw);
  in.enter_object();
  while (in.next_member()) {
    const std::string_view key = in.key();
    if (key == "content") {
      if (rest.is_content_read) forget_content(message, before);
      rest.is_content_read = true;
      rest.has_content = in.peek() != Type::null;
      if (!in.null() && !read_content(in, message, index)) return false;
    } else if (key == "role") {
      if (has_role && !is_last_role) return read_again(message, index, before);
      has_role = true;
    } else if (!read_rest(in, message, index, rest)) {
      return false;
    }
  }
  const bool is_user = message.role == Role::user;
  if (is_user) hold_turn(message);
  return (is_user && rest.has_content && rest.reasoning.empty() && !rest.has_refusal &&
          rest.cache_control.empty()) ||
         take_rest(message, index, rest);
}

void RequestReader::hold_turn(const Message& message) {
  for (const Content& part : message.content)
    if (part.kind == Content::Kind::text && !json::is_blank(part.text)) {
      held_.words = true;
      return;
    }
  held_.wordless_turn = held_.wordless_turn || !message.content.empty();
}

// Everything else of a message is read by its role.
bool RequestReader::read_again(Message& message, std::size_t index, const Held& before) {
  forget_content(message, before);
  message.name = {};
  return read_role(message, index, true) && read_members(message, index, true);
}

void RequestReader::forget_content(Message& message, const Held& before) {
  message.content.clear();
  held_ = before;
}

bool RequestReader::read_rest(Reader& in, Message& message, std::size_t index, MessageRest& rest) {
  note_null(in);
  if (in.key() == "tool_calls" && message.role == Role::assistant) {
    rest.calls = in.raw();
    if (!json::is_empty(rest.calls)) return true;
    loose_ = true;
    if (rest.calls.front() == '[' || rest.calls == "null") rest.calls = {};
  } else if (in.key() == "function_call" && message.role == Role::assistant) {
    rest.function_call = in.raw();
    if (json::is_empty(rest.function_call)) rest.function_call = {};
  } else if (in.key() == "tool_call_id" && message.role == Role::tool) {
    if (in.peek() != Type::string) return refuse_type_in(in, index, "tool_call_id", "a string");
    rest.answered = in.string().value_or(JsonText());
  } else if (in.key() == "name") {
    message.name = in.string().value_or(JsonText());
    loose_ = loose_ || message.name.empty();
  } else if (in.key() == "reasoning_content" || in.key() == "reasoning") {
    const JsonText text = in.string().value_or(JsonText());
    if (!text.empty()) rest.reasoning = text;  // under two names it is the same
    loose_ = true;
  } else if (in.key() == "refusal" && in.peek() == Type::string) {
    rest.refusal = in.string().value_or(JsonText());
    rest.has_refusal = !rest.refusal.empty();
    loose_ = loose_ || !rest.has_refusal;
  } else if (in.key() == "cache_control") {
    return read_cache_control(in, rest.cache_control, element("messages", index));
  } else {
    if (in.key() == "reasoning_details") loose_ = true;
    note_member(in);
  }
  return true;
}

// Whatever the order of the members was.
bool RequestReader::take_rest(Message& message, std::size_t index, const MessageRest& rest) {
  if (!rest.reasoning.empty()) take_reasoning(message, rest.reasoning);
  if (rest.has_refusal && !take_refusal(message, rest.refusal, index)) return false;
  // Last: an answer to calls must follow them.
  if (!rest.calls.empty() && !read_tool_calls(rest.calls, message, index)) return false;
  if (!rest.function_call.empty() && rest.calls.empty() &&
      !read_function_call(rest.function_call, message, index))
    return false;
  loose_ = loose_ || message.content.empty();
  if (!rest.has_content && message.role != Role::assistant &&
      !(message.is_of_functions && rest.is_content_read))
    return refuse_in(index, "content", "Expected a string or an array of content parts", "missing");
  JsonText answered = rest.answered;
  if (message.is_of_functions && message.role == Role::tool) take_function_id(index, answered);
  if (message.role == Role::tool && !take_result(message, answered, index)) return false;
  if (!rest.cache_control.empty() && !message.content.empty())
    mark(message.content.back(), rest.cache_control);
  return true;
}

bool RequestReader::read_cache_control(Reader& in, std::string_view& control, std::string_view of) {
  loose_ = true;
  if (in.peek() != Type::object && in.peek() != Type::null)
    return refuse_type(in, std::string(of) + (of.empty() ? "" : ".") + "cache_control",
                       "an object");
  control = in.raw();
  if (json::is_empty(control)) control = {};
  return true;
}

void RequestReader::mark(Content& part, std::string_view control) {
  if (part.cache_control.empty()) ++held_.cache_marks;
  part.cache_control = control;
}

bool RequestReader::take_refusal(Message& message, JsonText text, std::size_t index) {
  Content& refusal = message.content.emplace_back();
  refusal.kind = Content::Kind::refusal;
  refusal.text = text;
  return count_part() || refuse_parts_in(index, "refusal");
}

// What a tool said: the message's content, under the id of the call.
bool RequestReader::take_result(Message& message, JsonText id, std::size_t index) {
  if (id.empty())
    return refuse_in(index, "tool_call_id", "Expected the id of the tool call that this answers",
                     "missing");
  Content result;
  result.kind = Content::Kind::tool_result;
  result.id = id;
  result.name = message.name;
  if (message.content.size() == 1 && message.content.front().raw.empty()) {
    result.text = message.content.front().text;
  } else {
    result.parts = std::move(message.content);
    // Only a whole result can be cached.
    for (Content& part : result.parts) {
      if (part.cache_control.empty()) continue;
      --held_.cache_marks;
      mark(result, std::exchange(part.cache_control, {}));
    }
  }
  message.content.clear();
  message.content.push_back(std::move(result));
  return true;
}

// A member of a message that the canonical request does not know, unless it says nothing.
void RequestReader::note_member(Reader& in) {
  std::string name = "messages.";
  name += in.key().substr(0, limits::name_bytes_max);
  const std::string_view raw = in.raw();
  std::vector<std::string_view>& known = request_.message_extras;
  const bool is_empty = json::is_empty(raw);
  loose_ = loose_ || is_empty;
  // What continues an answer, where it is continued.
  const bool is_default =
      raw == "false" && (name == "messages.prefix" || name == "messages.partial");
  if (is_empty || is_default || known.size() == limits::dropped_names_max ||
      std::find(known.begin(), known.end(), std::string_view(name)) != known.end())
    return;
  known.push_back(request_.keep(std::move(name)));
}

bool RequestReader::refuse_parts(std::string_view path) {
  return refuse_more(path, limits::parts_max, "content parts in all");
}

bool RequestReader::refuse_parts_in(std::size_t index, std::string_view member) {
  return refuse_parts(in_message(index, member));
}

bool RequestReader::read_content(Reader& in, Message& message, std::size_t index) {
  if (in.peek() == Type::string) {
    Content& part = message.content.emplace_back();
    part.text = in.string().value_or(JsonText());
    estimate(part.text.escaped().size());
    return count_part() || refuse_parts_in(index, "content");
  }
  return read_parts(in, message, index);
}

bool RequestReader::read_parts(Reader& in, Message& message, std::size_t index) {
  const std::string path = in_message(index, "content");
  if (in.peek() != Type::array)
    return refuse_type(in, path, "a string or an array of content parts");
  in.enter_array();
  for (std::size_t part = 0; in.next_element(); ++part)
    if (!read_part(in, message.content, element(path, part))) return false;
  return true;
}

bool RequestReader::read_part(Reader& in, std::list<Content>& parts, const std::string& path) {
  if (in.peek() != Type::object) return refuse_type(in, path, "an object");
  if (!count_part()) return refuse_parts(path);
  Content part;
  part.raw = in.raw();
  part.kind = Content::Kind::other;
  Reader at(part.raw);
  at.enter_object();
  JsonText type;
  while (at.next_member())
    if (at.key() == "type") type = at.string().value_or(JsonText());
  if (type.empty())
    return refuse(path + ".type", "Expected the type of the part: text, image_url …", "missing");
  Reader again(part.raw);
  again.enter_object();
  std::string_view cache_control;
  while (again.next_member()) {
    const std::string_view key = again.key();
    note_null(again);
    if (json::equals(type, "text") && key == "text") {
      if (again.peek() != Type::string) return refuse_type(again, path + ".text", "a string");
      part.kind = Content::Kind::text;
      part.text = again.string().value_or(JsonText());
    } else if (json::equals(type, "refusal") && key == "refusal") {
      part.kind = Content::Kind::refusal;
      part.text = again.string().value_or(JsonText());
    } else if (json::equals(type, "image_url") && key == "image_url") {
      if (!read_image(again, part, path + ".image_url")) return false;
    } else if (json::equals(type, "file") && key == "file") {
      if (!read_file(again, part, "file_data", path + ".file")) return false;
    } else if (json::equals(type, "input_audio") && key == "input_audio") {
      if (!read_file(again, part, "data", path + ".input_audio")) return false;
    } else if (key == "cache_control") {
      if (!read_cache_control(again, cache_control, path)) return false;
    } else {
      note_unread(again);
    }
  }
  const bool known = json::equals(type, "text") || json::equals(type, "image_url");
  if (known && part.kind == Content::Kind::other)
    return refuse(path + "." + json::quoted(type), "Expected the content of this part", "missing");
  hold(part);
  if (!cache_control.empty()) mark(part, cache_control);
  parts.push_back(std::move(part));
  return true;
}

void RequestReader::hold(const Content& part) {
  const bool is_elsewhere = !part.url.empty();
  switch (part.kind) {
    case Content::Kind::text:
      return estimate(part.text.escaped().size());
    case Content::Kind::image:
      held_.images = true;
      held_.image_urls = held_.image_urls || is_elsewhere;
      held_.image_tokens += 85;  // OpenAI's price of the smallest image
      return;
    case Content::Kind::file:
    case Content::Kind::audio:
      (part.kind == Content::Kind::file ? held_.files : held_.audio) = true;
      held_.file_ids = held_.file_ids || (!is_elsewhere && part.base64.empty() && !part.id.empty());
      return;
    default:
      return;
  }
}

// A data URL says what it is before its data.
constexpr std::size_t kUrlHeadMax = 200;

// The scheme of a URL, and the type and encoding of a data URL, have no case: they become small.
void lower_head(char* url, std::size_t size) {
  const auto lower = [url](std::size_t from, std::size_t to) {
    for (std::size_t at = from; at < to; ++at)
      if (url[at] >= 'A' && url[at] <= 'Z') url[at] = static_cast<char>(url[at] + ('a' - 'A'));
  };
  const std::string_view head(url, std::min(size, kUrlHeadMax));
  const std::size_t colon = head.find(':');
  if (colon == std::string_view::npos) return;
  lower(0, colon);
  const std::size_t comma = head.find(',');
  if (head.substr(0, colon) != "data" || comma == std::string_view::npos) return;
  lower(colon, head.find_first_of(";,"));
  lower(std::min(head.rfind(';', comma), comma), comma);
}

// "data:image/png;base64,…" (RFC 2397) → media type without its parameters, and data; any other URL
// stays one.
void RequestReader::take_data_url(Content& part) {
  std::string_view url = part.url.escaped();
  // In the body itself: whoever gets it raw gets it so.
  if (!url.empty())
    lower_head(request_.body.data() + (url.data() - request_.body.data()), url.size());
  if (url.find('\\') != std::string_view::npos) {  // some writers escape every slash
    std::string least;
    json::append_escaped(least, json::unescaped(part.url));
    lower_head(least.data(), least.size());
    url = request_.keep(std::move(least));
    part.url = JsonText::trusted(url);
  }
  constexpr std::string_view marker = ";base64,";
  const std::size_t split = url.substr(0, kUrlHeadMax).find(marker);
  if (url.substr(0, 5) != "data:" || split == std::string_view::npos) return;
  const std::string_view type = url.substr(5, std::min(url.find(';'), split) - 5);
  // Common, but not its name.
  part.media_type = JsonText::trusted(type == "image/jpg" ? "image/jpeg" : type);
  part.base64 = JsonText::trusted(url.substr(split + marker.size()));
  part.url = {};
}

// Without what an earlier member has said of its source.
void clear_source(Content& part) {
  part.url = part.base64 = part.media_type = part.detail = part.id = {};
}

bool RequestReader::read_image(Reader& in, Content& part, const std::string& path) {
  part.kind = Content::Kind::image;
  clear_source(part);
  if (in.peek() == Type::string) {
    part.url = in.string().value_or(JsonText());
  } else if (in.peek() == Type::object) {
    in.enter_object();
    while (in.next_member()) {
      note_null(in);
      if (in.key() == "url") {
        if (in.peek() != Type::string) return refuse_type(in, path + ".url", "a string");
        part.url = in.string().value_or(JsonText());
      } else if (in.key() == "detail") {
        part.detail = in.string().value_or(JsonText());
        loose_ = loose_ || part.detail.empty();
      } else {
        note_unread(in);
      }
    }
  } else {
    return refuse_type(in, path, "an object with a url");
  }
  if (part.url.empty())
    return refuse(path + ".url", "Expected a URL or a data: URL of an image", "missing");
  take_data_url(part);
  return true;
}

bool RequestReader::read_file(Reader& in, Content& part, std::string_view data_key,
                              const std::string& path) {
  if (in.peek() != Type::object) return refuse_type(in, path, "an object");
  part.kind = data_key == "data" ? Content::Kind::audio : Content::Kind::file;
  clear_source(part);
  in.enter_object();
  while (in.next_member()) {
    note_null(in);
    if (in.key() == data_key) {
      part.url = in.string().value_or(JsonText());
    } else if (in.key() == "filename") {
      part.detail = in.string().value_or(JsonText());
    } else if (in.key() == "format") {
      part.media_type = in.string().value_or(JsonText());
    } else if (in.key() == "file_id") {
      part.id = in.string().value_or(JsonText());
    } else {
      note_unread(in);
    }
  }
  if (part.kind == Content::Kind::audio) {
    const std::string_view format = part.media_type.escaped();
    part.media_type = JsonText::trusted(request_.keep("audio/" + std::string(format)));
    part.base64 = part.url;
    part.url = {};
  } else {
    take_data_url(part);
  }
  return true;
}

bool RequestReader::read_tool_calls(std::string_view calls, Message& message, std::size_t index) {
  const std::string path = in_message(index, "tool_calls");
  Reader in(calls);
  if (in.peek() != Type::array) return refuse_type(in, path, "an array of tool calls");
  in.enter_array();
  for (std::size_t at = 0; in.next_element(); ++at) {
    Content call;
    call.kind = Content::Kind::tool_call;
    if (!count_part()) return refuse_parts(path);
    if (!read_tool_call(in, call, element(path, at))) return false;
    message.content.push_back(std::move(call));
  }
  return true;
}

bool RequestReader::read_tool_call(Reader& in, Content& call, const std::string& path) {
  if (in.peek() != Type::object) return refuse_type(in, path, "an object");
  std::string_view cache_control;
  in.enter_object();
  while (in.next_member()) {
    if (in.key() == "id") {
      if (in.peek() != Type::string) return refuse_type(in, path + ".id", "a string");
      call.id = in.string().value_or(JsonText());
    } else if (in.key() == "function") {
      if (!read_called(in, call, path + ".function")) return false;
    } else if (in.key() == "cache_control") {
      if (!read_cache_control(in, cache_control, path)) return false;
    } else {
      note_unread(in);
    }
  }
  if (call.name.empty())
    return refuse(path + ".function.name", "Expected the name of the tool", "missing");
  estimate(call.arguments.escaped().size());
  if (!cache_control.empty()) mark(call, cache_control);
  return true;
}

bool RequestReader::read_called(Reader& in, Content& call, const std::string& path) {
  if (in.peek() != Type::object) return refuse_type(in, path, "an object");
  in.enter_object();
  call.name = call.arguments = {};
  while (in.next_member()) {
    if (in.key() == "name") {
      call.name = in.string().value_or(JsonText());
    } else if (in.key() == "arguments") {
      if (in.peek() != Type::string)
        return refuse_type(in, path + ".arguments", "a string holding JSON");
      call.arguments = in.string().value_or(JsonText());
    } else {
      note_unread(in);
    }
  }
  return true;
}

// A call from before there were tools: it has no id, and the next `function` message answers it.
bool RequestReader::read_function_call(std::string_view raw, Message& message, std::size_t index) {
  const std::string path = in_message(index, "function_call");
  Content call;
  call.kind = Content::Kind::tool_call;
  Reader in(raw);
  if (!count_part()) return refuse_parts(path);
  if (!read_called(in, call, path)) return false;
  if (call.name.empty())
    return refuse(path + ".name", "Expected the name of the function", "missing");
  estimate(call.arguments.escaped().size());
  function_id_ = {};
  take_function_id(index, call.id);
  function_id_ = call.id;
  message.is_of_functions = true;
  message.content.push_back(std::move(call));
  return true;
}

// The id of the call that is not answered yet, or a new one.
void RequestReader::take_function_id(std::size_t index, JsonText& id) {
  id = std::exchange(function_id_, {});
  if (id.empty()) id = JsonText::plain(request_.keep("call_of_function_" + std::to_string(index)));
}

bool RequestReader::read_tools() {
  if (in_.peek() != Type::array) return refuse_type(in_, "tools", "an array of tools");
  in_.enter_array();
  request_.tools.clear();
  tools_bytes_ = tools_marks_ = 0;
  verbatim_tool_ = {};
  while (in_.next_element()) {
    const std::string path = element("tools", request_.tools.size());
    if (request_.tools.size() == limits::tools_max)
      return refuse_more(path, limits::tools_max, "tools");
    Tool tool;
    if (!read_tool(tool, path)) return false;
    request_.tools.push_back(tool);
  }
  return in_.ok();
}

bool RequestReader::read_tool(Tool& tool, const std::string& path) {
  if (in_.peek() != Type::object) return refuse_type(in_, path, "an object");
  const std::string_view raw = in_.raw();
  tools_bytes_ += raw.size();
  loose_ = false;
  Reader in(raw);
  bool is_function = false;
  in.enter_object();
  while (in.next_member()) {
    if (in.key() == "type") {
      is_function = in.string() == JsonText::trusted("function");
    } else if (in.key() == "function") {
      if (!read_function(in, tool, path + ".function")) return false;
    } else if (in.key() == "cache_control") {
      if (!read_cache_control(in, tool.cache_control, path)) return false;
    } else {
      note_unread(in);
    }
  }
  tool.raw = raw;
  // What is empty in a provider's own tool may mean something.
  tool.is_loose = loose_ && (is_function || !tool.cache_control.empty());
  if (!tool.cache_control.empty()) ++tools_marks_;
  if (is_function && tool.name.empty())
    return refuse(path + ".function.name", "Expected the name of the tool", "missing");
  if (!is_function)
    verbatim_tool_ = request_.keep(path + ".type");  // a provider's own: custom, web search …
  return in_.ok();
}

bool RequestReader::read_function(Reader& in, Tool& tool, const std::string& path) {
  if (in.peek() != Type::object) return refuse_type(in, path, "an object");
  in.enter_object();
  const std::string_view cache_control = tool.cache_control;
  tool = {};
  tool.cache_control = cache_control;
  while (in.next_member()) {
    note_null(in);
    if (in.key() == "name") {
      tool.name = in.string().value_or(JsonText());
    } else if (in.key() == "description") {
      tool.description = in.string().value_or(JsonText());
      loose_ = loose_ || tool.description.empty();
    } else if (in.key() == "parameters") {
      if (in.peek() != Type::object && in.peek() != Type::null)
        return refuse_type(in, path + ".parameters", "a JSON schema object");
      if (!in.null()) tool.parameters = in.raw();
    } else if (in.key() == "strict") {
      tool.strict = in.boolean().value_or(false);
    } else if (in.key() == "cache_control") {
      if (!read_cache_control(in, tool.cache_control, path)) return false;
    } else {
      note_unread(in);
    }
  }
  return true;
}

bool RequestReader::read_tool_choice() {
  ToolChoice& choice = request_.tool_choice;
  choice = {};
  is_choice_verbatim_ = false;
  if (in_.peek() == Type::string) {
    choice.raw = in_.raw();
    // "any" is Mistral's word, which clients written for it say to others too.
    const bool required = choice.raw == R"("required")" || choice.raw == R"("any")";
    choice.kind = required                    ? ToolChoice::Kind::required
                  : choice.raw == R"("auto")" ? ToolChoice::Kind::automatic
                  : choice.raw == R"("none")" ? ToolChoice::Kind::none
                                              : ToolChoice::Kind::unset;
    if (choice.kind != ToolChoice::Kind::unset) return true;
    return refuse("tool_choice", "Expected auto, none, required or a named function",
                  "invalid_value");
  }
  if (in_.peek() != Type::object) return refuse_type(in_, "tool_choice", "a string or an object");
  choice.raw = in_.raw();
  Reader in(choice.raw);
  in.enter_object();
  while (in.next_member())
    if (in.key() == "function" && in.enter_object()) {
      choice.name = {};
      while (in.next_member())
        if (in.key() == "name") choice.name = in.string().value_or(JsonText());
    }
  choice.kind = choice.name.empty() ? ToolChoice::Kind::unset : ToolChoice::Kind::named;
  is_choice_verbatim_ = choice.kind == ToolChoice::Kind::unset;
  return in_.ok();
}

bool RequestReader::read_response_format() {
  if (in_.peek() != Type::object) return refuse_type(in_, "response_format", "an object");
  ResponseFormat& format = request_.response_format;
  const std::string_view raw = in_.raw();
  format = {};
  loose_ = false;
  JsonText type;
  Reader in(raw);
  in.enter_object();
  while (in.next_member()) {
    if (in.key() == "type") {
      type = in.string().value_or(JsonText());
    } else if (in.key() == "json_schema" && in.peek() == Type::object) {
      in.enter_object();
      format = {};
      while (in.next_member()) {
        note_null(in);
        if (in.key() == "name") {
          format.name = in.string().value_or(JsonText());
        } else if (in.key() == "description") {
          format.description = in.string().value_or(JsonText());
          loose_ = loose_ || format.description.empty();
        } else if (in.key() == "schema" && in.peek() == Type::object) {
          format.schema = in.raw();
        } else if (in.key() == "strict") {
          format.strict = in.boolean().value_or(false);
        } else {
          note_unread(in);
        }
      }
    } else {
      note_unread(in);
    }
  }
  format.raw = raw;
  format.is_loose = loose_;
  format_bytes_ = format.schema.size();
  if (json::equals(type, "text")) {
    format.kind = ResponseFormat::Kind::text;
  } else if (json::equals(type, "json_object")) {
    format.kind = ResponseFormat::Kind::json_object;
  } else if (json::equals(type, "json_schema")) {
    format.kind = ResponseFormat::Kind::json_schema;
    if (format.schema.empty())
      return refuse("response_format.json_schema.schema", "Expected a JSON schema object",
                    "missing");
  } else if (in_.ok()) {
    return refuse("response_format.type", "Expected text, json_object or json_schema",
                  "invalid_value");
  }
  return in_.ok();
}

}  // namespace

bool decode_request(ChatRequest& request, BadRequest& problem) {
  return RequestReader(request, problem).read();
}

}  // namespace spillway::adapters::openai_chat_client
