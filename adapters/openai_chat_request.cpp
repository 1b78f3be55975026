// Reads a client's chat completion request.
// https://platform.openai.com/docs/api-reference/chat/create (CreateChatCompletionRequest)
//
// Strict where the canonical request needs a field, silent about what it does not know: that passes
// on as it is.

#include <algorithm>
#include <array>

#include "limits.h"
#include "openai_chat_client.h"
#include "rare.h"

namespace spillway::adapters::openai_chat_client {
namespace {

using json::Reader;
using json::Type;
using json::Writer;

// What few messages have.
struct MessageRest {
  JsonText answered;  // the call that a tool's message answers
  JsonText reasoning;
  std::string_view calls;
  bool has_content = false;
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
  bool check_name(std::string_view path, std::string_view name);
  SPILLWAY_RARE bool read_models();
  bool read_messages();
  bool read_message(std::size_t index);
  bool read_role(Message& message, std::size_t index);
  SPILLWAY_RARE bool read_rest(Reader& in, Message& message, std::size_t index, MessageRest& rest);
  SPILLWAY_RARE bool take_rest(Message& message, std::size_t index, const MessageRest& rest);
  bool read_content(Reader& in, Message& message, std::size_t index);
  SPILLWAY_RARE bool read_parts(Reader& in, Message& message, std::size_t index);
  SPILLWAY_RARE bool read_refusal(Reader& in, Message& message, std::size_t index);
  SPILLWAY_RARE bool take_result(Message& message, JsonText id, std::size_t index);
  SPILLWAY_RARE bool read_part(Reader& in, std::list<Content>& parts, const std::string& path);
  SPILLWAY_RARE bool read_image(Reader& in, Content& part, const std::string& path);
  SPILLWAY_RARE bool read_file(Reader& in, Content& part, std::string_view data_key,
                               const std::string& path);
  SPILLWAY_RARE bool read_tool_calls(std::string_view calls, Message& message, std::size_t index);
  SPILLWAY_RARE bool read_tool_call(Reader& in, Content& call, const std::string& path);
  SPILLWAY_RARE bool read_tools();
  SPILLWAY_RARE bool read_tool(Tool& tool, const std::string& path);
  SPILLWAY_RARE bool read_tool_choice();
  SPILLWAY_RARE bool read_response_format();
  SPILLWAY_RARE bool read_stop();
  bool read_stream_options();
  bool read_number(std::string_view& field);
  bool read_boolean(bool& field);
  bool read_text(JsonText& field);
  bool read_output_tokens_max();
  SPILLWAY_RARE bool read_extra();

  SPILLWAY_RARE void note_member(Reader& in);
  void want_verbatim(std::string_view field) {
    request_.verbatim = true;
    request_.verbatim_for = field;
  }
  SPILLWAY_RARE void take_data_url(Content& part);
  bool count_part() { return ++parts_ <= limits::parts_max; }
  SPILLWAY_RARE bool refuse_parts(std::string_view path);
  SPILLWAY_RARE bool refuse_parts_in(std::size_t index, std::string_view member);
  void estimate(std::size_t bytes) { estimated_bytes_ += static_cast<std::int64_t>(bytes); }

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
  std::size_t parts_ = 0;
  std::int64_t estimated_bytes_ = 0;
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
  const Type type = Reader(request_.body).peek();
  if (type != Type::object && type != Type::none)
    return refuse("",
                  "Expected the body to be a JSON object, got " + std::string(with_article(type)),
                  "invalid_type");
  if (!in_.ok())
    return refuse("",
                  "The body is not valid JSON: " + std::string(in_.problem()) + " at byte " +
                      std::to_string(in_.offset()),
                  "invalid_json");
  return refuse("messages", "Expected an array with at least one message",
                has_messages_ ? "too_few" : "missing");
}

bool RequestReader::read() {
  in_.enter_object();
  while (in_.next_member()) {
    key_kept_.assign(in_.key());
    key_ = key_kept_;
    if (!read_member()) {
      if (in_.ok()) return false;
      break;
    }
  }
  if (!in_.finish() || request_.messages.empty()) return refuse_body();
  // Four bytes a token is less than any text costs in practice: an engine is only skipped when
  // surely too small.
  request_.input_tokens_estimate += estimated_bytes_ / 4;
  return true;
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
      Row{"max_tokens", [](RequestReader& r) { return r.read_output_tokens_max(); }},
      Row{"max_completion_tokens", [](RequestReader& r) { return r.read_output_tokens_max(); }},
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

// A member that the canonical request does not know passes to targets of this dialect. Some of them
// ask for what no other dialect can give back whole.
bool RequestReader::read_extra() {
  if (request_.extras.size() == limits::extras_max)
    return refuse_more(key_kept_, limits::extras_max, "members that are not known here");
  const std::string_view key = request_.keep(key_kept_);
  const std::string_view raw = in_.raw();
  if (!in_.ok()) return false;
  const bool several = key == "n" && raw != "1";
  const bool probabilities = (key == "logprobs" && raw == "true") || key == "top_logprobs";
  const bool audio = key == "audio" || (key == "modalities" && raw.find("audio") != raw.npos);
  const bool legacy = key == "functions" || key == "function_call";
  if (several || probabilities || audio || legacy) want_verbatim(key);
  request_.extras.push_back({key, raw});
  return true;
}

bool RequestReader::read_model() {
  const auto model = in_.peek() == Type::string ? in_.string() : std::nullopt;
  if (!model) return refuse_type(in_, "model", "a string");
  request_.model = json::unescaped(*model);
  return check_name("model", request_.model);
}

bool RequestReader::check_name(std::string_view path, std::string_view name) {
  return name.size() <= limits::model_name_bytes_max ||
         refuse_more(path, limits::model_name_bytes_max, "bytes", "too_long");
}

bool RequestReader::read_models() {
  if (in_.peek() != Type::array) return refuse_type(in_, "models", "an array of strings");
  in_.enter_array();
  while (in_.next_element()) {
    const std::string path = element("models", request_.models.size());
    if (in_.peek() != Type::string) return refuse_type(in_, path, "a string");
    if (request_.models.size() == limits::chain_max)
      return refuse_more(path, limits::chain_max, "models");
    if (const auto model = in_.string()) request_.models.push_back(json::unescaped(*model));
    if (in_.ok() && !check_name(path, request_.models.back())) return false;
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

bool RequestReader::read_output_tokens_max() {
  if (in_.peek() != Type::number) return refuse_type(in_, key_kept_, "a whole number of tokens");
  request_.output_tokens_max = in_.integer();
  if (!in_.ok()) return false;
  return request_.output_tokens_max.value_or(0) >= 1 || refuse_no_tokens();
}

bool RequestReader::refuse_no_tokens() {
  return refuse(key_kept_, "Expected a whole number of tokens, 1 or more", "invalid_value");
}

bool RequestReader::read_stream_options() {
  if (in_.peek() != Type::object) return refuse_type(in_, key_kept_, "an object");
  request_.stream_options = in_.raw();
  Reader options(request_.stream_options);
  options.enter_object();
  while (options.next_member())
    if (options.key() == "include_usage") {
      if (options.peek() != Type::boolean)
        return refuse_type(options, "stream_options.include_usage", "a boolean");
      request_.include_usage = options.boolean().value_or(false);
    }
  return in_.ok();
}

bool RequestReader::read_stop() {
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
  while (in_.next_element()) {
    const std::size_t index = request_.messages.size();
    if (index == limits::messages_max)
      return refuse_more("messages", limits::messages_max, "messages");
    if (!read_message(index)) return false;
  }
  has_messages_ = true;
  return in_.ok();
}

bool RequestReader::read_role(Message& message, std::size_t index) {
  struct Row {
    std::string_view word;
    Role role;
  };
  static constexpr std::array kRoles{Row{"system", Role::system}, Row{"developer", Role::developer},
                                     Row{"user", Role::user}, Row{"assistant", Role::assistant},
                                     Row{"tool", Role::tool}};
  Reader in(message.raw);
  in.enter_object();
  while (in.next_member()) {
    if (in.key() != "role") continue;
    if (in.peek() != Type::string) return refuse_type_in(in, index, "role", "a string");
    const JsonText word = in.string().value_or(JsonText());
    for (const Row& row : kRoles)
      if (json::equals(word, row.word)) {
        message.role = row.role;
        return true;
      }
    return refuse_role(index, word);
  }
  return refuse_in(index, "role", "Expected a role: system, developer, user, assistant or tool",
                   "missing");
}

bool RequestReader::refuse_role(std::size_t index, JsonText word) {
  return refuse_in(
      index, "role",
      "Expected system, developer, user, assistant or tool, got \"" + json::unescaped(word) + "\"",
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
  if (!in_.ok() || !read_role(message, index)) return false;

  MessageRest rest;
  Reader in(message.raw);
  in.enter_object();
  while (in.next_member()) {
    const std::string_view key = in.key();
    if (key == "content") {
      rest.has_content = in.peek() != Type::null;
      if (!in.null() && !read_content(in, message, index)) return false;
    } else if (key != "role" && !read_rest(in, message, index, rest)) {
      return false;
    }
  }
  return (message.role == Role::user && rest.has_content && rest.reasoning.empty()) ||
         take_rest(message, index, rest);
}

bool RequestReader::read_rest(Reader& in, Message& message, std::size_t index, MessageRest& rest) {
  if (in.key() == "tool_calls" && message.role == Role::assistant) {
    if (!in.null()) rest.calls = in.raw();
  } else if (in.key() == "tool_call_id" && message.role == Role::tool) {
    if (in.peek() != Type::string) return refuse_type_in(in, index, "tool_call_id", "a string");
    rest.answered = in.string().value_or(JsonText());
  } else if (in.key() == "name") {
    message.name = in.string().value_or(JsonText());
  } else if (in.key() == "reasoning_content" || in.key() == "reasoning") {
    const JsonText text = in.string().value_or(JsonText());
    if (!text.empty()) rest.reasoning = text;  // under two names it is the same
  } else if (in.key() == "refusal" && in.peek() == Type::string) {
    return read_refusal(in, message, index);
  } else {
    note_member(in);
  }
  return true;
}

// Whatever the order of the members was.
bool RequestReader::take_rest(Message& message, std::size_t index, const MessageRest& rest) {
  if (!rest.reasoning.empty()) take_reasoning(message, rest.reasoning);
  // Last: an answer to calls must follow them.
  if (!rest.calls.empty() && !read_tool_calls(rest.calls, message, index)) return false;
  if (!rest.has_content && message.role != Role::assistant)
    return refuse_in(index, "content", "Expected a string or an array of content parts", "missing");
  return message.role != Role::tool || take_result(message, rest.answered, index);
}

bool RequestReader::read_refusal(Reader& in, Message& message, std::size_t index) {
  Content& refusal = message.content.emplace_back();
  refusal.kind = Content::Kind::refusal;
  refusal.text = in.string().value_or(JsonText());
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
  }
  message.content.clear();
  message.content.push_back(std::move(result));
  return true;
}

// A member of a message that the canonical request does not know, unless it says nothing.
void RequestReader::note_member(Reader& in) {
  std::string name = "messages." + std::string(in.key());
  const std::string_view raw = in.raw();
  std::vector<std::string_view>& known = request_.message_extras;
  const bool says_nothing = raw == "null" || raw == "false" || raw == "[]" || raw == "{}";
  if (says_nothing || known.size() == limits::dropped_names_max ||
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
  while (again.next_member()) {
    const std::string_view key = again.key();
    if (json::equals(type, "text") && key == "text") {
      if (again.peek() != Type::string) return refuse_type(again, path + ".text", "a string");
      part.kind = Content::Kind::text;
      part.text = again.string().value_or(JsonText());
      estimate(part.text.escaped().size());
    } else if (json::equals(type, "refusal") && key == "refusal") {
      part.kind = Content::Kind::refusal;
      part.text = again.string().value_or(JsonText());
    } else if (json::equals(type, "image_url") && key == "image_url") {
      if (!read_image(again, part, path + ".image_url")) return false;
    } else if (json::equals(type, "file") && key == "file") {
      if (!read_file(again, part, "file_data", path + ".file")) return false;
    } else if (json::equals(type, "input_audio") && key == "input_audio") {
      if (!read_file(again, part, "data", path + ".input_audio")) return false;
    }
  }
  const bool known = json::equals(type, "text") || json::equals(type, "image_url");
  if (known && part.kind == Content::Kind::other)
    return refuse(path + "." + json::unescaped(type), "Expected the content of this part",
                  "missing");
  parts.push_back(std::move(part));
  return true;
}

// "data:image/png;base64,…" (RFC 2397) → media type without its parameters, and data; any other URL
// stays one.
void RequestReader::take_data_url(Content& part) {
  std::string_view url = part.url.escaped();
  if (url.find('\\') != std::string_view::npos) {  // some writers escape every slash
    std::string least;
    json::append_escaped(least, json::unescaped(part.url));
    url = request_.keep(std::move(least));
    part.url = JsonText::trusted(url);
  }
  constexpr std::string_view marker = ";base64,";
  const std::size_t split = url.substr(0, 200).find(marker);
  if (url.substr(0, 5) != "data:" || split == std::string_view::npos) return;
  const std::string_view type = url.substr(5, std::min(url.find(';'), split) - 5);
  // Common, but not its name.
  part.media_type = JsonText::trusted(type == "image/jpg" ? "image/jpeg" : type);
  part.base64 = JsonText::trusted(url.substr(split + marker.size()));
  part.url = {};
}

bool RequestReader::read_image(Reader& in, Content& part, const std::string& path) {
  part.kind = Content::Kind::image;
  request_.has_images = true;
  request_.input_tokens_estimate += 85;  // OpenAI's price of the smallest image
  if (in.peek() == Type::string) {
    part.url = in.string().value_or(JsonText());
  } else if (in.peek() == Type::object) {
    in.enter_object();
    while (in.next_member()) {
      if (in.key() == "url") {
        if (in.peek() != Type::string) return refuse_type(in, path + ".url", "a string");
        part.url = in.string().value_or(JsonText());
      } else if (in.key() == "detail") {
        part.detail = in.string().value_or(JsonText());
      }
    }
  } else {
    return refuse_type(in, path, "an object with a url");
  }
  if (part.url.empty())
    return refuse(path + ".url", "Expected a URL or a data: URL of an image", "missing");
  take_data_url(part);
  request_.has_image_urls = request_.has_image_urls || !part.url.empty();
  return true;
}

bool RequestReader::read_file(Reader& in, Content& part, std::string_view data_key,
                              const std::string& path) {
  if (in.peek() != Type::object) return refuse_type(in, path, "an object");
  part.kind = data_key == "data" ? Content::Kind::audio : Content::Kind::file;
  (data_key == "data" ? request_.has_audio : request_.has_files) = true;
  in.enter_object();
  while (in.next_member()) {
    if (in.key() == data_key) {
      part.url = in.string().value_or(JsonText());
    } else if (in.key() == "filename") {
      part.detail = in.string().value_or(JsonText());
    } else if (in.key() == "format") {
      part.media_type = in.string().value_or(JsonText());
    } else if (in.key() == "file_id") {
      part.id = in.string().value_or(JsonText());
    }
  }
  if (part.url.empty() && !part.id.empty()) request_.has_file_ids = true;
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
  JsonText arguments;
  in.enter_object();
  while (in.next_member()) {
    if (in.key() == "id") {
      if (in.peek() != Type::string) return refuse_type(in, path + ".id", "a string");
      call.id = in.string().value_or(JsonText());
    } else if (in.key() == "function") {
      if (in.peek() != Type::object) return refuse_type(in, path + ".function", "an object");
      in.enter_object();
      while (in.next_member()) {
        if (in.key() == "name") {
          call.name = in.string().value_or(JsonText());
        } else if (in.key() == "arguments") {
          if (in.peek() != Type::string)
            return refuse_type(in, path + ".function.arguments", "a string holding JSON");
          arguments = in.string().value_or(JsonText());
        }
      }
    }
  }
  if (call.name.empty())
    return refuse(path + ".function.name", "Expected the name of the tool", "missing");
  estimate(arguments.escaped().size());
  // A model may have written arguments that are no JSON object: they stay readable for targets that
  // need one.
  std::string plain = arguments.empty() ? "{}" : json::unescaped(arguments);
  if (!json::valid(plain, Type::object)) {
    plain = "{\"arguments\":\"";
    plain += arguments.escaped();
    plain += "\"}";
  }
  call.arguments = request_.keep(std::move(plain));
  return true;
}

bool RequestReader::read_tools() {
  if (in_.peek() != Type::array) return refuse_type(in_, "tools", "an array of tools");
  in_.enter_array();
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
  tool.raw = in_.raw();
  estimate(tool.raw.size());
  Reader in(tool.raw);
  bool is_function = false;
  in.enter_object();
  while (in.next_member()) {
    if (in.key() == "type") {
      is_function = in.string() == JsonText::trusted("function");
    } else if (in.key() == "function") {
      if (in.peek() != Type::object) return refuse_type(in, path + ".function", "an object");
      in.enter_object();
      while (in.next_member()) {
        if (in.key() == "name") {
          tool.name = in.string().value_or(JsonText());
        } else if (in.key() == "description") {
          tool.description = in.string().value_or(JsonText());
        } else if (in.key() == "parameters") {
          if (in.peek() != Type::object && in.peek() != Type::null)
            return refuse_type(in, path + ".function.parameters", "a JSON schema object");
          if (!in.null()) tool.parameters = in.raw();
        } else if (in.key() == "strict") {
          tool.strict = in.boolean().value_or(false);
        }
      }
    }
  }
  if (is_function && tool.name.empty())
    return refuse(path + ".function.name", "Expected the name of the tool", "missing");
  if (!is_function)
    want_verbatim(request_.keep(path + ".type"));  // a provider's own: custom, web search …
  return in_.ok();
}

bool RequestReader::read_tool_choice() {
  ToolChoice& choice = request_.tool_choice;
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
    if (in.key() == "function" && in.enter_object())
      while (in.next_member())
        if (in.key() == "name") choice.name = in.string().value_or(JsonText());
  choice.kind = choice.name.empty() ? ToolChoice::Kind::unset : ToolChoice::Kind::named;
  if (choice.kind == ToolChoice::Kind::unset) want_verbatim("tool_choice");  // allowed_tools …
  return in_.ok();
}

bool RequestReader::read_response_format() {
  if (in_.peek() != Type::object) return refuse_type(in_, "response_format", "an object");
  ResponseFormat& format = request_.response_format;
  format.raw = in_.raw();
  JsonText type;
  Reader in(format.raw);
  in.enter_object();
  while (in.next_member()) {
    if (in.key() == "type") {
      type = in.string().value_or(JsonText());
    } else if (in.key() == "json_schema" && in.enter_object()) {
      while (in.next_member()) {
        if (in.key() == "name") {
          format.name = in.string().value_or(JsonText());
        } else if (in.key() == "description") {
          format.description = in.string().value_or(JsonText());
        } else if (in.key() == "schema" && in.peek() == Type::object) {
          format.schema = in.raw();
        } else if (in.key() == "strict") {
          format.strict = in.boolean().value_or(false);
        }
      }
    }
  }
  estimate(format.schema.size());
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
