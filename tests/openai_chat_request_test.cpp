// What a client's request is read as, where a member stands there twice: the last one counts, and
// of the others nothing stays behind.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "adapters.h"
#include "chat.h"
#include "dialect.h"

namespace spillway {
namespace {

std::unique_ptr<ChatRequest> read(std::string body) {
  auto request = std::make_unique<ChatRequest>();
  request->body = std::move(body);
  request->dialect = &adapters::openai_chat;
  BadRequest problem;
  EXPECT_TRUE(adapters::openai_chat.decode_request(*request, problem))
      << problem.param << ": " << problem.message << " in " << request->body;
  return request;
}

constexpr std::string_view kMessages = R"("messages":[{"role":"user","content":"Hi"}])";

std::string text_of(const std::list<Content>& parts);

// Everything that later decisions are made by, as one line.
std::string content_of(const Content& part) {
  constexpr std::string_view kinds[] = {"text",  "refusal", "reasoning",   "image", "file",
                                        "audio", "call",    "tool_result", "other"};
  std::string out(kinds[static_cast<std::size_t>(part.kind)]);
  for (const JsonText text :
       {part.text, part.url, part.media_type, part.base64, part.detail, part.id, part.name})
    if (!text.empty()) out += " " + std::string(text.escaped());
  if (!part.arguments.empty()) out += " " + std::string(part.arguments.escaped());
  if (!part.parts.empty()) out += text_of(part.parts);
  return out;
}

std::string text_of(const std::list<Content>& parts) {
  std::string out = "[";
  for (const Content& part : parts) out += (out.size() > 1 ? ", " : "") + content_of(part);
  return out + "]";
}

std::string what_is_read(const ChatRequest& request) {
  std::string out = request.model;
  const auto add = [&out](std::string_view name, std::string_view value) {
    if (!value.empty()) out += " " + std::string(name) + "=" + std::string(value);
  };
  for (const std::string& model : request.models) add("model", model);
  for (const Message& message : request.messages) {
    add("role", std::to_string(static_cast<int>(message.role)));
    add("name", message.name.escaped());
    add("content", text_of(message.content));
  }
  for (const std::string_view extra : request.message_extras) add("extra", extra);
  for (const Tool& tool : request.tools) {
    add("tool", tool.name.escaped());
    add("description", tool.description.escaped());
    add("parameters", tool.parameters);
    add("strict", tool.strict ? "yes" : "");
  }
  add("choice", std::to_string(static_cast<int>(request.tool_choice.kind)));
  add("choice", request.tool_choice.name.escaped());
  add("format", std::to_string(static_cast<int>(request.response_format.kind)));
  add("format", request.response_format.name.escaped());
  add("description", request.response_format.description.escaped());
  add("schema", request.response_format.schema);
  add("strict", request.response_format.strict ? "yes" : "");
  for (const JsonText stop : request.stop) add("stop", stop.escaped());
  add("usage", request.include_usage ? "yes" : "");
  add("verbatim", request.verbatim ? request.verbatim_for : "");
  add("images", request.has_images ? "yes" : "");
  add("image_urls", request.has_image_urls ? "yes" : "");
  add("files", request.has_files ? "yes" : "");
  add("file_ids", request.has_file_ids ? "yes" : "");
  add("audio", request.has_audio ? "yes" : "");
  add("tokens", std::to_string(request.input_tokens_estimate));
  return out;
}

// Of a body: `first` and `last` are the same member.
void expect_last(std::string_view begin, std::string_view first, std::string_view last,
                 std::string_view end) {
  const auto body = [begin, end](std::string_view members) {
    return std::string(begin).append(members).append(end);
  };
  const std::string both = std::string(first).append(",").append(last);
  EXPECT_EQ(what_is_read(*read(body(both))), what_is_read(*read(body(last)))) << body(both);
}

TEST(OpenAiChatRequest, OfAMemberThatStandsThereTwiceTheLastCounts) {
  struct Row {
    const char* first;
    const char* last;
  };
  const Row rows[] = {
      {R"("model":"one")", R"("model":"two")"},
      {R"("models":["a","b"])", R"("models":["c"])"},
      {R"("models":["a"])", R"("models":[])"},
      {R"("stop":["a","b"])", R"("stop":"c")"},
      {R"("stop":"a")", R"("stop":["b"])"},
      {R"("stream_options":{"include_usage":true})", R"("stream_options":{})"},
      {R"("tools":[{"type":"web_search"}])",
       R"("tools":[{"type":"function","function":{"name":"f"}}])"},
      {R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}])",
       R"("tools":[])"},
      {R"("tool_choice":{"type":"function","function":{"name":"f"}})", R"("tool_choice":"auto")"},
      {R"("tool_choice":{"type":"allowed_tools"})", R"("tool_choice":"none")"},
      {R"("tool_choice":{"type":"function","function":{"name":"f"}})",
       R"("tool_choice":{"type":"allowed_tools"})"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d",)"
       R"("strict":true,"schema":{"type":"object","description":"long enough to count"}}})",
       R"("response_format":{"type":"json_object"})"},
      {R"("n":2)", R"("n":1)"},
      {R"("logprobs":true)", R"("logprobs":false)"},
      {R"("modalities":["text","audio"])", R"("modalities":["text"])"},
  };
  for (const Row& row : rows)
    expect_last("{", row.first, row.last, std::string(",").append(kMessages) + "}");
}

TEST(OpenAiChatRequest, OfMessagesThatStandThereTwiceTheLastCount) {
  for (const char* first : {
           R"([{"role":"user","content":"a text of many words, which count as tokens"}])",
           R"([{"role":"user","content":[{"type":"image_url","image_url":"https://a/b.png"}]}])",
           R"([{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}])",
           R"([{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==",)"
           R"("format":"wav"}}]}])",
           R"([{"role":"user","content":"x","prefix":true},{"role":"assistant","content":"y"}])",
           R"([{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f"}}]}])",
       })
    expect_last("{", R"("messages":)" + std::string(first), kMessages, "}");
}

TEST(OpenAiChatRequest, OfAMessagesMembersTheLastCount) {
  struct Row {
    const char* first;
    const char* last;
    const char* rest = R"(,"role":"user")";
  };
  constexpr const char* assistant = R"(,"role":"assistant")";
  const Row rows[] = {
      {R"("content":"one, which is long enough to count")", R"("content":"two")"},
      {R"("content":[{"type":"text","text":"1"},{"type":"text","text":"2"}])",
       R"("content":[{"type":"text","text":"3"}])"},
      {R"("content":[{"type":"image_url","image_url":"https://a/b.png"}])", R"("content":"two")"},
      {R"("content":[{"type":"file","file":{"file_id":"f"}}])", R"("content":"two")"},
      {R"("content":"one")", R"("content":null)", R"(,"role":"assistant","refusal":"no")"},
      {R"("refusal":"one")", R"("refusal":"two")", assistant},
      {R"("reasoning":"one")", R"("reasoning":"two")", R"(,"role":"assistant","content":"c")"},
      {R"("tool_calls":[{"id":"1","function":{"name":"f"}},{"id":"2","function":{"name":"g"}}])",
       R"("tool_calls":[{"id":"3","function":{"name":"h"}}])", assistant},
      {R"("tool_call_id":"1")", R"("tool_call_id":"2")", R"(,"role":"tool","content":"c")"},
      {R"("name":"one")", R"("name":"two")", R"(,"role":"user","content":"c")"},
      {R"("role":"system")", R"("role":"user")", R"(,"content":"c","name":"n")"},
      {R"("role":"user")", R"("role":"assistant")",
       R"(,"content":"c","tool_calls":[{"id":"3","function":{"name":"h"}}])"},
  };
  for (const Row& row : rows)
    expect_last(R"({"messages":[{)", row.first, row.last, std::string(row.rest) + "}]}");
}

TEST(OpenAiChatRequest, OfAPartsMembersTheLastCount) {
  struct Row {
    const char* type;
    const char* first;
    const char* last;
  };
  const Row rows[] = {
      {"text", R"("text":"one, which is long enough to count")", R"("text":"two")"},
      {"image_url", R"("image_url":{"url":"data:image/png;base64,AA==","detail":"low"})",
       R"("image_url":{"url":"https://a/b.png"})"},
      {"image_url", R"("image_url":"https://a/b.png")",
       R"("image_url":"data:image/png;base64,AA==")"},
      {"file", R"("file":{"file_id":"f","filename":"n"})",
       R"("file":{"file_data":"data:application/pdf;base64,AA=="})"},
      {"file", R"("file":{"file_data":"data:application/pdf;base64,AA==","filename":"n"})",
       R"("file":{"file_id":"f"})"},
      {"input_audio", R"("input_audio":{"data":"AA==","format":"wav"})",
       R"("input_audio":{"data":"BB==","format":"mp3"})"},
  };
  for (const Row& row : rows)
    expect_last(
        R"({"messages":[{"role":"user","content":[{"type":")" + std::string(row.type) + "\",",
        row.first, row.last, "}]}]}");
  expect_last(R"({"messages":[{"role":"user","content":[{)", R"("type":"image_url")",
              R"("type":"text")", R"(,"text":"t","image_url":"https://a/b.png"}]}]})");
}

TEST(OpenAiChatRequest, OfAFunctionsMembersTheLastCount) {
  expect_last(R"({"messages":[{"role":"assistant","tool_calls":[{"id":"1",)",
              R"("function":{"name":"f","arguments":"{\"a\":1}"})", R"("function":{"name":"g"})",
              "}]}]}");
  const std::string tool = std::string("{").append(kMessages) + R"(,"tools":[{"type":"function",)";
  const std::string first =
      R"("function":{"name":"f","description":"d","parameters":{},"strict":true})";
  const auto both = read(tool + first + R"(,"function":{"name":"g"}}]})");
  ASSERT_EQ(both->tools.size(), 1U);
  EXPECT_EQ(both->tools[0].name.escaped(), "g");
  EXPECT_TRUE(both->tools[0].description.empty());
  EXPECT_TRUE(both->tools[0].parameters.empty());
  EXPECT_FALSE(both->tools[0].strict);
  expect_last(std::string("{").append(kMessages) + R"(,"response_format":{"type":"json_schema",)",
              R"("json_schema":{"name":"n","description":"d","strict":true,"schema":{}})",
              R"("json_schema":{"schema":{}})", "}}");
}

}  // namespace
}  // namespace spillway
