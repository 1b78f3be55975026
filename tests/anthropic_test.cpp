// The anthropic dialect, as spoken to a provider: what a chat becomes on the wire, what the wire
// says, and every recorded stream.
#include <gtest/gtest.h>

#include <set>

#include "upstream_dialect.h"

namespace spillway {
namespace {

using adapters::anthropic;
using upstream_dialect::decode_body;
using upstream_dialect::decode_frame;
using upstream_dialect::Encoded;
using upstream_dialect::Gathered;
using Strings = std::vector<std::string>;

// An engine of the newest generation: effort levels, no sampling parameters are refused unless a
// quirk says so.
Target target() {
  Target target;
  target.model = "claude-x";
  target.output_tokens_max = 64'000;
  return target;
}

Target target(quirk::Set quirks) {
  Target result = target();
  result.quirks = quirks;
  return result;
}

constexpr std::string_view kHead = R"({"model":"claude-x","max_tokens":32000,"stream":true,)";

// The request that `members` of a client's body, beside the messages, become: what follows the
// head.
Encoded encode(std::string_view body, const Target& to = target()) {
  return upstream_dialect::encode(anthropic, body, to);
}

std::string with_messages(std::string_view members) {
  return R"({"model":"m","messages":[{"role":"user","content":"Hi"}],)" + std::string(members) +
         "}";
}

constexpr std::string_view kHi =
    R"("messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}])";

// What is written for a member beside the head and the one message.
std::string rest(std::string_view members, const Target& to = target()) {
  const std::string body = encode(with_messages(members), to).body;
  const std::size_t at = body.find(kHi);
  EXPECT_NE(at, std::string::npos) << body;
  return body.substr(at + kHi.size(), body.size() - at - kHi.size() - 1);
}

Strings dropped(std::string_view members, const Target& to = target()) {
  return encode(with_messages(members), to).dropped;
}

std::string messages(std::string_view client_messages, const Target& to = target()) {
  const std::string body =
      encode(R"({"model":"m","messages":)" + std::string(client_messages) + "}", to).body;
  const auto parsed = nlohmann::ordered_json::parse(body, nullptr, false);
  return parsed["messages"].dump();
}

std::string system_of(std::string_view client_messages) {
  const std::string body =
      encode(R"({"model":"m","messages":)" + std::string(client_messages) + "}").body;
  return nlohmann::ordered_json::parse(body, nullptr, false)["system"].dump();
}

// --- request

TEST(AnthropicRequest, Path) {
  std::string path;
  anthropic.append_path(target(), path);
  EXPECT_EQ(path, "/messages");
}

TEST(AnthropicRequest, SmallestBody) {
  const Encoded encoded =
      encode(R"({"model":"m","messages":[{"role":"user","content":"Hi \"you\" é\n"}]})");
  EXPECT_EQ(
      encoded.body,
      std::string(kHead) +
          R"("messages":[{"role":"user","content":[{"type":"text","text":"Hi \"you\" é\n"}]}]})");
  EXPECT_EQ(encoded.dropped, Strings{});
}

TEST(AnthropicRequest, NotStreamed) {
  Target to = target();
  to.stream = false;
  EXPECT_EQ(encode(R"({"model":"m","messages":[{"role":"user","content":"Hi"}]})", to).body,
            R"({"model":"claude-x","max_tokens":32000,"stream":false,)" + std::string(kHi) + "}");
}

TEST(AnthropicRequest, OutputLimit) {
  const auto limit = [](std::string_view members, std::int64_t engine) {
    Target to = target();
    to.output_tokens_max = engine;
    const std::string body = encode(with_messages(members), to).body;
    return nlohmann::json::parse(body, nullptr, false)["max_tokens"].get<int>();
  };
  EXPECT_EQ(limit(R"("max_tokens":100)", 64'000), 100);
  EXPECT_EQ(limit(R"("max_completion_tokens":100)", 64'000), 100);
  EXPECT_EQ(limit(R"("max_tokens":100000)", 64'000), 64'000);
  EXPECT_EQ(limit(R"("max_tokens":100000)", 0), 100'000);
  EXPECT_EQ(limit(R"("stream":true)", 64'000), 32'000);
  EXPECT_EQ(limit(R"("stream":true)", 4096), 4096);
  EXPECT_EQ(limit(R"("stream":true)", 0), 8192);
}

TEST(AnthropicRequest, SystemPromptsStandAtTheTop) {
  EXPECT_EQ(system_of(R"([{"role":"system","content":"A"},
                          {"role":"developer","content":[{"type":"text","text":"B"}]},
                          {"role":"user","content":"Hi"}])"),
            R"([{"type":"text","text":"A"},{"type":"text","text":"B"}])");
}

TEST(AnthropicRequest, LaterSystemPromptsAreHoisted) {
  constexpr std::string_view chat =
      R"([{"role":"system","content":"A"},{"role":"user","content":"1"},
      {"role":"assistant","content":"2"},{"role":"system","content":"B"},{"role":"user",
      "content":"3"}])";
  EXPECT_EQ(system_of(chat), R"([{"type":"text","text":"A"},{"type":"text","text":"B"}])");
  EXPECT_EQ(messages(chat), R"([{"role":"user","content":[{"type":"text","text":"1"}]},)"
                            R"({"role":"assistant","content":[{"type":"text","text":"2"}]},)"
                            R"({"role":"user","content":[{"type":"text","text":"3"}]}])");
}

TEST(AnthropicRequest, NothingButInstructionsIsSaidByTheUser) {
  const Encoded encoded = encode(R"({"model":"m","messages":[{"role":"system","content":"Go"}]})");
  EXPECT_EQ(encoded.body,
            std::string(kHead) +
                R"("messages":[{"role":"user","content":[{"type":"text","text":"Go"}]}]})");
}

TEST(AnthropicRequest, TurnsAlternate) {
  EXPECT_EQ(
      messages(R"([{"role":"user","content":"1"},{"role":"user","content":"2"},
                         {"role":"assistant","content":"3"},{"role":"assistant","content":"4"},
                         {"role":"user","content":"5"}])"),
      R"([{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]},)"
      R"({"role":"assistant","content":[{"type":"text","text":"3"},{"type":"text","text":"4"}]},)"
      R"({"role":"user","content":[{"type":"text","text":"5"}]}])");
}

TEST(AnthropicRequest, TheUserBegins) {
  EXPECT_EQ(
      messages(R"([{"role":"assistant","content":"Welcome"},{"role":"user","content":"Hi"}])"),
      R"([{"role":"user","content":[{"type":"text","text":"Hello."}]},)"
      R"({"role":"assistant","content":[{"type":"text","text":"Welcome"}]},)"
      R"({"role":"user","content":[{"type":"text","text":"Hi"}]}])");
}

TEST(AnthropicRequest, BlankTextIsLeftOut) {
  EXPECT_EQ(
      messages(R"([{"role":"user","content":[{"type":"text","text":" \n\t"},
                                                   {"type":"text","text":"\\n"}]},
                         {"role":"assistant","content":""},{"role":"user","content":"Hi"}])"),
      R"([{"role":"user","content":[{"type":"text","text":"\\n"},{"type":"text","text":"Hi"}]}])");
  EXPECT_EQ(messages(R"([{"role":"system","content":"\u0020\u000a"},
                         {"role":"user","content":"Hi"},{"role":"assistant","content":"\u00a0"}])"),
            R"([{"role":"user","content":[{"type":"text","text":"Hi"}]}])");
}

TEST(AnthropicRequest, AResultOfBlankTextsHasNoContent) {
  const std::string sent =
      messages(R"([{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[
      {"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":""},
      {"type":"text","text":"\u0020"}]}])");
  EXPECT_NE(sent.find(R"([{"type":"tool_result","tool_use_id":"c1"}])"), std::string::npos) << sent;
}

// Whatever stands behind it that is not sent.
TEST(AnthropicRequest, TheLastWordsSentAreThePrefill) {
  constexpr std::string_view sent =
      R"([{"role":"user","content":[{"type":"text","text":"Hi"}]},)"
      R"({"role":"assistant","content":[{"type":"text","text":"a"}]}])";
  for (
      const std::string_view end :
      {R"({"role":"assistant","content":"a\u0020\u000a"})",
       R"({"role":"assistant","content":[{"type":"text","text":"a "},{"type":"text","text":" "}]})",
       R"({"role":"assistant","content":"a "},{"role":"system","content":"Be kind."})",
       R"({"role":"assistant","content":"a "},{"role":"assistant","content":null})",
       R"({"role":"assistant","content":"a "},{"role":"user","content":"\u0020"})"})
    EXPECT_EQ(messages(R"([{"role":"user","content":"Hi"},)" + std::string(end) + "]"), sent)
        << end;
}

TEST(AnthropicRequest, PrefillEndsWithoutWhiteSpace) {
  EXPECT_EQ(
      messages(R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"{\\n \n \t"}])"),
      R"([{"role":"user","content":[{"type":"text","text":"Hi"}]},)"
      R"({"role":"assistant","content":[{"type":"text","text":"{\\n"}]}])");
  EXPECT_EQ(messages(R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"a "},
                         {"role":"user","content":"b "}])"),
            R"([{"role":"user","content":[{"type":"text","text":"Hi"}]},)"
            R"({"role":"assistant","content":[{"type":"text","text":"a "}]},)"
            R"({"role":"user","content":[{"type":"text","text":"b "}]}])");
}

TEST(AnthropicRequest, Images) {
  constexpr std::string_view chat = R"([{"role":"user","content":[
      {"type":"image_url","image_url":{"url":"https://x.test/a.png","detail":"auto"}},
      {"type":"image_url","image_url":{"url":"data:image/jpg;base64,QUJD"}},
      {"type":"text","text":"What?"}]}])";
  EXPECT_EQ(
      messages(chat),
      R"([{"role":"user","content":[)"
      R"({"type":"image","source":{"type":"url","url":"https://x.test/a.png"}},)"
      R"({"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"QUJD"}},)"
      R"({"type":"text","text":"What?"}]}])");
  const Encoded inline_only = encode(R"({"model":"m","messages":)" + std::string(chat) + "}",
                                     target(quirk::images_inline_only));
  EXPECT_EQ(inline_only.dropped, Strings{"messages.content.image_url"});
  EXPECT_EQ(inline_only.body.find("x.test"), std::string::npos);
  EXPECT_EQ(encode(R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"?"},
      {"type":"image_url","image_url":{"url":"https://x.test/a.png","detail":"low"}}]}]})")
                .dropped,
            Strings{"messages.content.image_url.detail"});
}

TEST(AnthropicRequest, Files) {
  const Encoded encoded = encode(R"({"model":"m","messages":[{"role":"user","content":[
      {"type":"file","file":{"filename":"a.pdf",
      "file_data":"data:application/pdf;base64,JVBERi0="}},
      {"type":"file","file":{"file_data":"https://x.test/b.pdf"}},
      {"type":"file","file":{"file_data":"data:text/csv;base64,QQ=="}},
      {"type":"file","file":{"file_id":"file-1"}},
      {"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}},
      {"type":"video","video":{}}]}]})");
  EXPECT_EQ(encoded.body,
            std::string(kHead) +
                R"("messages":[{"role":"user","content":[)"
                R"({"type":"document","source":{"type":"base64","media_type":"application/pdf",)"
                R"("data":"JVBERi0="},"title":"a.pdf"},)"
                R"({"type":"document","source":{"type":"url","url":"https://x.test/b.pdf"}}]}]})");
  EXPECT_EQ(encoded.dropped,
            (Strings{"messages.content.file", "messages.content.input_audio", "messages.content"}));
}

TEST(AnthropicRequest, ToolResultsComeFirstAfterTheirCalls) {
  EXPECT_EQ(
      messages(R"([{"role":"user","content":"Weather?"},
          {"role":"assistant","content":"Looking","tool_calls":[
             {"id":"call_1","type":"function","function":{"name":"get",
             "arguments":"{\"city\": \"Paris\"}"}},
             {"id":"call_2","type":"function","function":{"name":"now","arguments":""}}]},
          {"role":"user","content":"Quick!"},
          {"role":"tool","tool_call_id":"call_1","content":"sunny"},
          {"role":"system","content":"Be brief."},
          {"role":"tool","tool_call_id":"call_2","content":[{"type":"text","text":"noon"},
          {"type":"text","text":" "}]},
          {"role":"user","content":"And?"}])"),
      R"([{"role":"user","content":[{"type":"text","text":"Weather?"}]},)"
      R"({"role":"assistant","content":[{"type":"text","text":"Looking"},)"
      R"({"type":"tool_use","id":"call_1","name":"get","input":{"city":"Paris"}},)"
      R"({"type":"tool_use","id":"call_2","name":"now","input":{}}]},)"
      R"({"role":"user","content":[)"
      R"({"type":"tool_result","tool_use_id":"call_1","content":"sunny"},)"
      R"({"type":"tool_result","tool_use_id":"call_2","content":[{"type":"text","text":"noon"}]},)"
      R"({"type":"text","text":"Quick!"},{"type":"text","text":"And?"}]}])");
}

TEST(AnthropicRequest, ToolIdsAreRepairedAlikeOnBothSides) {
  const auto ids = [](const std::string& id) {
    const auto parsed = nlohmann::json::parse(
        messages(R"([{"role":"user","content":"?"},{"role":"assistant","tool_calls":[{"id":")" +
                 id +
                 R"(","type":"function","function":{"name":"f","arguments":"{}"}}]},)"
                 R"({"role":"tool","tool_call_id":")" +
                 id + R"(","content":"1"}])"),
        nullptr, false);
    const auto call = parsed[1]["content"][0]["id"].get<std::string>();
    EXPECT_EQ(call, parsed[2]["content"][0]["tool_use_id"].get<std::string>());
    return call;
  };
  EXPECT_EQ(ids("toolu_01-A"), "toolu_01-A");
  EXPECT_EQ(ids(std::string(64, 'a')), std::string(64, 'a'));
  EXPECT_EQ(ids("functions.f:0"), "call_8b7dcd9e269e0eb4");
  EXPECT_NE(ids("functions.f:0"), ids("functions_f:0"));
  for (const std::string& id : {std::string(65, 'a'), std::string("é"), std::string("a\\/b c")})
    EXPECT_EQ(ids(id).size(), 21U) << id;
}

TEST(AnthropicRequest, ResultsOfOtherClients) {
  ChatRequest request;
  Message call;
  call.role = Role::assistant;
  Content thoughts;
  thoughts.kind = Content::Kind::reasoning;
  thoughts.text = JsonText::plain("Hm");
  thoughts.signature = JsonText::plain("sig==");
  Content hidden = thoughts;
  hidden.text = {};
  Content use;
  use.kind = Content::Kind::tool_call;
  use.id = JsonText::plain("c1");
  use.name = JsonText::plain("shoot");
  use.arguments = JsonText::trusted("{}");
  call.content = {thoughts, hidden, use};
  Content image;
  image.kind = Content::Kind::image;
  image.media_type = JsonText::plain("image/png");
  image.base64 = JsonText::plain("QQ==");
  Content result;
  result.kind = Content::Kind::tool_result;
  result.id = JsonText::plain("c1");
  result.parts = {image};
  result.is_error = true;
  Message answer;
  answer.content = {result};
  Message question;
  question.content.emplace_back().text = JsonText::plain("Shoot");
  request.messages = {question, call, answer};
  EXPECT_EQ(
      upstream_dialect::encode(anthropic, request, target()).body,
      std::string(kHead) +
          R"("messages":[{"role":"user","content":[{"type":"text","text":"Shoot"}]},)"
          R"({"role":"assistant","content":[{"type":"thinking","thinking":"Hm",)"
          R"("signature":"sig=="},)"
          R"({"type":"redacted_thinking","data":"sig=="},{"type":"tool_use","id":"c1",)"
          R"("name":"shoot","input":{}}]},)"
          R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[)"
          R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"QQ=="}}],)"
          R"("is_error":true}]}]})");
}

TEST(AnthropicRequest, UnsignedThoughtsAndNamesAreReported) {
  const Encoded encoded =
      encode(R"({"model":"m","messages":[{"role":"user","name":"ann","content":"1"},
      {"role":"assistant","content":"2","reasoning_content":"Hm"},{"role":"user",
      "content":"3"}]})");
  EXPECT_EQ(encoded.dropped, (Strings{"messages.reasoning_content", "messages.name"}));
  EXPECT_EQ(encoded.body.find("Hm"), std::string::npos);
}

TEST(AnthropicRequest, CacheControlPasses) {
  const Encoded encoded = encode(R"({"model":"m","messages":[{"role":"user","content":[
      {"type":"text","text":"long","cache_control":{"type":"ephemeral"}}]}],
      "tools":[{"type":"function","function":{"name":"f"},
      "cache_control":{"type":"ephemeral","ttl":"1h"}}]})");
  EXPECT_EQ(encoded.body,
            std::string(kHead) +
                R"("messages":[{"role":"user","content":[)"
                R"({"type":"text","text":"long","cache_control":{"type":"ephemeral"}}]}],)"
                R"("tools":[{"name":"f","input_schema":{"type":"object","properties":{}},)"
                R"("cache_control":{"type":"ephemeral","ttl":"1h"}}]})");
}

TEST(AnthropicRequest, Tools) {
  constexpr std::string_view tools = R"("tools":[
      {"type":"function","function":{"name":"a","description":"An \"a\"","strict":true,
        "parameters":{ "type":"object", "properties":{"x":{"type":"integer","minimum":1}} }}},
      {"type":"function","function":{"name":"b"}},
      {"type":"function","function":{"name":"c","parameters":{}}},
      {"type":"function","function":{"name":"d","parameters":{"properties":{"y":{}},"k\"":1}}}])";
  EXPECT_EQ(rest(tools),
            R"(,"tools":[{"name":"a","description":"An \"a\"","input_schema":)"
            R"({ "type":"object", "properties":{"x":{"type":"integer","minimum":1}} }},)"
            R"({"name":"b","input_schema":{"type":"object","properties":{}}},)"
            R"({"name":"c","input_schema":{"type":"object","properties":{}}},)"
            R"({"name":"d","input_schema":{"type":"object","properties":{"y":{}},"k\"":1}}])");
  EXPECT_EQ(dropped(tools), Strings{"tools.strict"});
}

TEST(AnthropicRequest, ToolChoice) {
  const auto choice = [](std::string_view members) {
    constexpr std::string_view tools =
        R"(,"tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}])";
    const std::string text =
        rest(R"("tools":[{"type":"function","function":{"name":"f"}}])" + std::string(members));
    EXPECT_EQ(text.rfind(tools, 0), 0U) << text;
    return text.substr(tools.size());
  };
  EXPECT_EQ(choice(""), "");
  EXPECT_EQ(choice(R"(,"tool_choice":"auto")"), R"(,"tool_choice":{"type":"auto"})");
  EXPECT_EQ(choice(R"(,"tool_choice":"none")"), R"(,"tool_choice":{"type":"none"})");
  EXPECT_EQ(choice(R"(,"tool_choice":"required")"), R"(,"tool_choice":{"type":"any"})");
  EXPECT_EQ(choice(R"(,"tool_choice":{"type":"function","function":{"name":"f"}})"),
            R"(,"tool_choice":{"type":"tool","name":"f"})");
  EXPECT_EQ(choice(R"(,"parallel_tool_calls":true)"), "");
  EXPECT_EQ(choice(R"(,"parallel_tool_calls":false)"),
            R"(,"tool_choice":{"type":"auto","disable_parallel_tool_use":true})");
  EXPECT_EQ(choice(R"(,"parallel_tool_calls":false,"tool_choice":"required")"),
            R"(,"tool_choice":{"type":"any","disable_parallel_tool_use":true})");
  EXPECT_EQ(choice(R"(,"parallel_tool_calls":false,"tool_choice":"none")"),
            R"(,"tool_choice":{"type":"none"})");
  EXPECT_EQ(rest(R"("tool_choice":"auto")"), "");  // refused there without tools
}

TEST(AnthropicRequest, JsonSchema) {
  EXPECT_EQ(rest(
                R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,
              "schema":
      {"type":"object","properties":{"a":{"type":"string"}},"required":["a"],
      "additionalProperties":false}}})"),
            R"(,"output_config":{"format":{"type":"json_schema","schema":)"
            R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],)"
            R"("additionalProperties":false}}})");
}

// Whatever the answer loses by it is reported.
TEST(AnthropicRequest, ChangesOfTheSchemaAreReported) {
  const auto loses = [](std::string_view schema) {
    return !dropped(
                R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":)" +
                std::string(schema) + "}}")
                .empty();
  };
  for (const std::string_view kept :
       {R"({"type":"object","properties":{"a":{"type":"string","format":"date","title":"T"}}})",
        R"({"type":"object","additionalProperties":false})",
        R"({"additionalProperties":false,"type":["object","null"],"properties":{}})",
        R"({"type":"array","minItems":1,"items":{"anyOf":[{"const":1},{"enum":[2]}]}})",
        R"({"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"type":"string","pattern":"a"}}})"})
    EXPECT_FALSE(loses(kept)) << kept;
  for (const std::string_view changed :
       {R"({"type":"object"})", R"({"type":"object","properties":{}})",
        R"({"type":"object","properties":{"m":{"type":"object"}}})",
        R"({"type":"array","items":{"type":["null","object"]}})",
        R"({"type":"object","anyOf":[{"properties":{"a":{"type":"string"}}}]})",
        R"({"type":"object","properties":{"a":{}},"additionalProperties":true})",
        R"({"oneOf":[{"type":"string"},{"type":"integer"}]})", R"({"not":{"type":"string"}})",
        R"({"type":"object","properties":{"a":{}},"if":{},"then":{}})",
        R"({"type":"object","properties":{"a":{}},"patternProperties":{"x":{}}})",
        R"({"type":"integer","format":"int32"})", R"({"type":"array","contains":{"const":1}})"})
    EXPECT_TRUE(loses(changed)) << changed;
  EXPECT_EQ(
      rest(R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":
      {"anyOf":[{"const":1}],"oneOf":[{"const":2}]}}})"),
      R"(,"output_config":{"format":{"type":"json_schema","schema":{"anyOf":[{"const":1}]}}})");
}

// A choice of schemas is refused at the top of a tool's input only.
TEST(AnthropicRequest, NoChoiceAtTheTopOfAnInput) {
  constexpr std::string_view tools = R"("tools":[{"type":"function","function":{"name":"f",
      "parameters":{"properties":{"a":{"anyOf":[{"type":"string"}]}},"anyOf":[{"required":["a"]}]}}}])";
  EXPECT_EQ(rest(tools), R"(,"tools":[{"name":"f","input_schema":{"type":"object",)"
                         R"("properties":{"a":{"anyOf":[{"type":"string"}]}}}}])");
  EXPECT_EQ(dropped(tools), Strings{"tools.parameters"});
}

TEST(AnthropicRequest, JsonSchemaIsFittedToWhatIsTaken) {
  constexpr std::string_view format =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{
      "$defs":{"p":{"type":"object","properties":{"minimum":{"type":"integer","minimum":0,
      "enum":[1,2]}}}},
      "type":["object","null"],
      "properties":{
        "list":{"type":"array","items":{"oneOf":[{"$ref":"#/$defs/p"},{"type":"string",
        "maxLength":3}]},
                "minItems":1,"maxItems":5},
        "two":{"type":"array","items":true,"minItems":2},
        "map":{"type":"object","additionalProperties":{"type":"string"}},
        "k\"":{"const":{"minimum":1}}},
      "additionalProperties":false}}})";
  EXPECT_EQ(
      rest(format),
      R"(,"output_config":{"format":{"type":"json_schema","schema":{)"
      R"("$defs":{"p":{"type":"object","properties":{"minimum":{"type":"integer","enum":[1,2]}},)"
      R"("additionalProperties":false}},)"
      R"("type":["object","null"],"properties":{)"
      R"("list":{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/p"},{"type":"string"}]},)"
      R"("minItems":1},)"
      R"("two":{"type":"array","items":true},)"
      R"("map":{"type":"object","additionalProperties":false},)"
      R"("k\"":{"const":{"minimum":1}}},"additionalProperties":false}}})");
  EXPECT_EQ(dropped(format), Strings{"response_format.json_schema.schema"});
}

TEST(AnthropicRequest, JsonModeIsAskedForInWords) {
  const Encoded encoded = encode(with_messages(R"("response_format":{"type":"json_object"})"));
  EXPECT_EQ(
      encoded.body,
      std::string(kHead) +
          R"("system":[{"type":"text",)"
          R"("text":"Answer with one JSON object and nothing else: no prose, no code fence."}],)" +
          std::string(kHi) + "}");
  EXPECT_EQ(encoded.dropped, Strings{"response_format"});
  EXPECT_EQ(rest(R"("response_format":{"type":"text"})"), "");
}

TEST(AnthropicRequest, EffortAsLevel) {
  const auto level = [](std::string_view effort, quirk::Set quirks = 0) {
    return rest(R"("reasoning_effort":")" + std::string(effort) + '"', target(quirks));
  };
  constexpr std::string_view adaptive = R"(,"thinking":{"type":"adaptive","display":"summarized"})";
  const auto expected = [&adaptive](std::string_view word) {
    return R"(,"output_config":{"effort":")" + std::string(word) + "\"}" + std::string(adaptive);
  };
  EXPECT_EQ(level("minimal"), expected("low"));
  EXPECT_EQ(level("low"), expected("low"));
  EXPECT_EQ(level("medium"), expected("medium"));
  EXPECT_EQ(level("high"), expected("high"));
  EXPECT_EQ(level("xhigh"), expected("xhigh"));
  EXPECT_EQ(level("max"), expected("max"));
  EXPECT_EQ(level("none"), R"(,"thinking":{"type":"disabled"})");
  EXPECT_EQ(level("none", quirk::reasoning_always), R"(,"output_config":{"effort":"low"})");
  EXPECT_EQ(dropped(R"("reasoning_effort":"none")", target(quirk::reasoning_always)),
            Strings{"reasoning_effort"});
  EXPECT_EQ(level("absurd"), "");
  EXPECT_EQ(dropped(R"("reasoning_effort":"absurd")"), Strings{"reasoning_effort"});
}

TEST(AnthropicRequest, EffortForEnginesThatDoNotReason) {
  Target to = target();
  to.reasons = false;
  EXPECT_EQ(rest(R"("reasoning_effort":"high")", to), "");
  EXPECT_EQ(dropped(R"("reasoning_effort":"high")", to), Strings{"reasoning_effort"});
  EXPECT_EQ(dropped(R"("reasoning_effort":"none")", to), Strings{});
}

TEST(AnthropicRequest, EffortWithAForcedTool) {
  constexpr std::string_view members = R"("reasoning_effort":"high","tool_choice":"required",
      "tools":[{"type":"function","function":{"name":"f"}}])";
  const std::string level = rest(members);
  EXPECT_NE(level.find(R"("output_config":{"effort":"high"})"), std::string::npos) << level;
  EXPECT_EQ(level.find("thinking"), std::string::npos) << level;
  EXPECT_EQ(dropped(members), Strings{});
  const Target budget = target(quirk::reasoning_budget);
  EXPECT_EQ(rest(members, budget).find("thinking"), std::string::npos);
  EXPECT_EQ(dropped(members, budget), Strings{"reasoning_effort"});
}

TEST(AnthropicRequest, EffortAsBudget) {
  const auto thinking = [](std::string_view members) {
    const std::string body = encode(with_messages(members), target(quirk::reasoning_budget)).body;
    const auto parsed = nlohmann::json::parse(body, nullptr, false);
    return parsed["max_tokens"].dump() +
           (parsed.contains("thinking") ? parsed["thinking"].dump() : std::string(" off"));
  };
  EXPECT_EQ(thinking(R"("reasoning_effort":"low")"),
            R"(33024{"budget_tokens":1024,"type":"enabled"})");
  EXPECT_EQ(thinking(R"("reasoning_effort":"medium")"),
            R"(40192{"budget_tokens":8192,"type":"enabled"})");
  EXPECT_EQ(thinking(R"("reasoning_effort":"high")"),
            R"(56576{"budget_tokens":24576,"type":"enabled"})");
  EXPECT_EQ(thinking(R"("reasoning_effort":"xhigh")"),
            R"(64000{"budget_tokens":32000,"type":"enabled"})");
  EXPECT_EQ(thinking(R"("reasoning_effort":"high","max_tokens":10000)"),
            R"(10000{"budget_tokens":5000,"type":"enabled"})");
  EXPECT_EQ(thinking(R"("reasoning_effort":"none")"), "32000 off");
  EXPECT_EQ(thinking(R"("reasoning_effort":"high","max_tokens":2000)"), "2000 off");
  EXPECT_EQ(
      dropped(R"("reasoning_effort":"high","max_tokens":2000)", target(quirk::reasoning_budget)),
      Strings{"reasoning_effort"});
}

TEST(AnthropicRequest, NoBudgetWithinATurnThatBeganWithoutThoughts) {
  const auto dropped_of = [](std::string_view chat) {
    return encode(R"({"model":"m","reasoning_effort":"high","messages":[{"role":"user",)"
                  R"("content":"1"},)" +
                      std::string(chat) + "]}",
                  target(quirk::reasoning_budget))
        .dropped;
  };
  constexpr std::string_view call =
      R"({"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f",)"
      R"("arguments":"{}"}}]},)"
      R"({"role":"tool","tool_call_id":"c","content":"1"})";
  EXPECT_EQ(dropped_of(call), Strings{"reasoning_effort"});
  EXPECT_EQ(dropped_of(R"({"role":"assistant","content":"{"})"), Strings{"reasoning_effort"});
  EXPECT_EQ(dropped_of(std::string(call) +
                       R"(,{"role":"assistant","content":"2"},{"role":"user","content":"3"})"),
            Strings{});
}

TEST(AnthropicRequest, Sampling) {
  EXPECT_EQ(rest(R"("temperature":0.7,"top_k":40)"), R"(,"temperature":0.7,"top_k":40)");
  EXPECT_EQ(rest(R"("top_p":0.9)"), R"(,"top_p":0.9)");
  EXPECT_EQ(rest(R"("temperature":1.0)"), R"(,"temperature":1.0)");
  EXPECT_EQ(rest(R"("temperature":1.5)"), R"(,"temperature":1)");
  EXPECT_EQ(dropped(R"("temperature":1.5)"), Strings{"temperature"});
  EXPECT_EQ(rest(R"("temperature":0.5,"top_p":0.9)"), R"(,"temperature":0.5)");
  EXPECT_EQ(dropped(R"("temperature":0.5,"top_p":0.9)"), Strings{"top_p"});
  constexpr std::string_view all = R"("temperature":0.5,"top_p":0.9,"top_k":1)";
  EXPECT_EQ(rest(all, target(quirk::no_sampling)), "");
  EXPECT_EQ(dropped(all, target(quirk::no_sampling)), (Strings{"temperature", "top_p", "top_k"}));
  EXPECT_EQ(rest(R"("temperature":0.2,"reasoning_effort":"low")").find("temperature"),
            std::string::npos);
  EXPECT_EQ(dropped(std::string(all) + R"(,"reasoning_effort":"low")"),
            (Strings{"temperature", "top_p", "top_k"}));
}

TEST(AnthropicRequest, DefaultsThatAreRefusedAreNoLoss) {
  constexpr std::string_view defaults =
      R"("temperature":1.0,"top_p":1,"presence_penalty":0,"frequency_penalty":0.0)";
  EXPECT_EQ(rest(defaults), R"(,"temperature":1.0)");
  EXPECT_EQ(dropped(defaults), Strings{});
  EXPECT_EQ(rest(defaults, target(quirk::no_sampling)), "");
  EXPECT_EQ(dropped(defaults, target(quirk::no_sampling)), Strings{});
}

TEST(AnthropicRequest, StopAndUser) {
  EXPECT_EQ(rest(R"("stop":["END","\n","a\nb"],"user":"u-1")"),
            R"(,"stop_sequences":["END","a\nb"],"metadata":{"user_id":"u-1"})");
  EXPECT_EQ(dropped(R"("stop":["END","\n"])"), Strings{"stop"});
  EXPECT_EQ(rest(R"("stop":"\n")"), "");
  EXPECT_EQ(rest(R"("stop":"END")", target(quirk::no_stop)), "");
  EXPECT_EQ(dropped(R"("user":")" + std::string(257, 'u') + '"'), Strings{"user"});
}

TEST(AnthropicRequest, WhatHasNoPlaceIsReported) {
  EXPECT_EQ(
      rest(R"("seed":1,"frequency_penalty":0.1,"presence_penalty":0.2,"logit_bias":{"1":2},"n":1,)"
           R"("store":false)"),
      "");
  EXPECT_EQ(
      dropped(
          R"("seed":1,"frequency_penalty":0.1,"presence_penalty":0.2,"logit_bias":{"1":2},"n":1,)"
          R"("store":false)"),
      (Strings{"frequency_penalty", "presence_penalty", "seed", "logit_bias"}));
}

// --- stream

TEST(AnthropicStream, MessageStart) {
  EXPECT_EQ(decode_frame(anthropic,
                         R"({"type":"message_start","message":{"model":"claude-x-1","id":"msg_1",
      "type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,
      "usage":{
      "input_tokens":5,"cache_creation_input_tokens":20,"cache_read_input_tokens":300,
      "cache_creation":{"ephemeral_5m_input_tokens":20},"output_tokens":1,
      "service_tier":"standard"}}})"),
            "started \"msg_1\" \"claude-x-1\"\n"
            "counted -1 1 300 20 -1 uncached=5\n");
}

TEST(AnthropicStream, Text) {
  EXPECT_EQ(
      decode_frame(
          anthropic,
          R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})"),
      "");
  EXPECT_EQ(decode_frame(anthropic,
                         R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta",)"
                         R"("text":"Hé\n\"x\""}})"),
            "text \"Hé\\n\\\"x\\\"\"\n");
  // Any order of members, and text already at the start of its block.
  EXPECT_EQ(
      decode_frame(
          anthropic,
          R"({"delta":{"text":"a","type":"text_delta"},"index":0,"type":"content_block_delta"})"),
      "text \"a\"\n");
  EXPECT_EQ(
      decode_frame(
          anthropic,
          R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":"b",)"
          R"("citations":[]}})"),
      "text \"b\"\n");
  EXPECT_EQ(decode_frame(anthropic, R"({"type":"content_block_stop","index":0})"), "");
}

TEST(AnthropicStream, Thinking) {
  EXPECT_EQ(
      decode_frame(anthropic,
                   R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking",)"
                   R"("thinking":"","signature":""}})"),
      "");
  EXPECT_EQ(
      decode_frame(anthropic,
                   R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta",)"
                   R"("thinking":"Hm"}})"),
      "reasoning \"Hm\" \"\"\n");
  EXPECT_EQ(
      decode_frame(anthropic,
                   R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta",)"
                   R"("signature":"EqQB=="}})"),
      "reasoning \"\" \"EqQB==\"\n");
  EXPECT_EQ(
      decode_frame(
          anthropic,
          R"({"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking",)"
          R"("data":"Emw="}})"),
      "reasoning \"\" \"Emw=\"\n");
}

TEST(AnthropicStream, ToolUse) {
  EXPECT_EQ(
      decode_frame(anthropic,
                   R"({"type":"content_block_start","index":1,"content_block":{"type":"tool_use",)"
                   R"("id":"toolu_1","name":"get","input":{}}})"),
      "call 1 \"toolu_1\" \"get\" \"\"\n");
  EXPECT_EQ(
      decode_frame(anthropic,
                   R"({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",)"
                   R"("partial_json":""}})"),
      "");
  EXPECT_EQ(
      decode_frame(anthropic,
                   R"({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",)"
                   R"("partial_json":"{\"city\": \"P"}})"),
      "arguments 1 \"{\\\"city\\\": \\\"P\"\n");
  EXPECT_EQ(
      decode_frame(anthropic,
                   R"({"type":"content_block_start","index":2,"content_block":{"type":"tool_use",)"
                   R"("id":"t2","name":"f","input":{"a": 1}}})"),
      "call 2 \"t2\" \"f\" \"\"\ninput 2 {\"a\": 1}\n");
}

TEST(AnthropicStream, ToolsOfTheProviderSayNothing) {
  for (const std::string_view data :
       {R"({"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use",)"
        R"("id":"srvtoolu_1","name":"web_search","input":{}}})",
        R"({"type":"content_block_start","index":2,)"
        R"("content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1",)"
        R"("content":[{"type":"web_search_result","title":"x","text":"y"}]}})",
        R"({"type":"content_block_delta","index":0,"delta":{"type":"citations_delta",)"
        R"("citation":{"cited_text":"x"}}})",
        R"({"type":"ping"})", R"({"type":"something_new","index":3,"payload":{"text":"x"}})",
        R"({})"})
    EXPECT_EQ(decode_frame(anthropic, data), "") << data;
}

TEST(AnthropicStream, StopReasons) {
  const auto reason = [](const std::string& word) {
    return decode_frame(anthropic, R"({"type":"message_delta","delta":{"stop_reason":")" + word +
                                       R"(","stop_sequence":null}})");
  };
  EXPECT_EQ(reason("end_turn"), "finished stop \"end_turn\"\n");
  EXPECT_EQ(reason("stop_sequence"), "finished stop \"stop_sequence\"\n");
  EXPECT_EQ(reason("tool_use"), "finished tool_calls \"tool_use\"\n");
  EXPECT_EQ(reason("max_tokens"), "finished length \"max_tokens\"\n");
  EXPECT_EQ(reason("model_context_window_exceeded"),
            "finished length \"model_context_window_exceeded\"\n");
  EXPECT_EQ(reason("refusal"), "finished content_filter \"refusal\"\n");
  EXPECT_EQ(reason("pause_turn"), "finished length \"pause_turn\"\n");
  EXPECT_EQ(reason("compaction"), "finished length \"compaction\"\n");
  EXPECT_EQ(reason("new_reason"), "finished other \"new_reason\"\n");
  EXPECT_EQ(decode_frame(anthropic, R"({"type":"message_delta","delta":{"stop_reason":null}})"),
            "");
}

TEST(AnthropicStream, UsageAtTheEnd) {
  const auto counted = [](std::string_view usage) {
    return decode_frame(anthropic,
                        R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":)" +
                            std::string(usage) + "}");
  };
  EXPECT_EQ(counted(R"({"output_tokens":15})"),
            "counted -1 15 -1 -1 -1\nfinished stop \"end_turn\"\n");
  EXPECT_EQ(
      counted(R"({"input_tokens":100,"cache_read_input_tokens":7,"cache_creation_input_tokens":0,
                        "output_tokens":15,"output_tokens_details":{"thinking_tokens":9}})"),
      "counted -1 15 7 0 9 uncached=100\nfinished stop \"end_turn\"\n");
  EXPECT_EQ(counted(R"({"input_tokens":3,"cache_read_input_tokens":null,"output_tokens":"many"})"),
            "counted -1 -1 -1 -1 -1 uncached=3\nfinished stop \"end_turn\"\n");
  EXPECT_EQ(counted("null"), "finished stop \"end_turn\"\n");
}

TEST(AnthropicStream, EndsAndErrors) {
  EXPECT_EQ(decode_frame(anthropic, R"({"type":"message_stop"})", "message_stop"), "done\n");
  EXPECT_EQ(decode_frame(anthropic, "[DONE]"), "done\n");
  constexpr std::string_view error =
      R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})";
  EXPECT_EQ(decode_frame(anthropic, error), "failed " + std::string(error) + "\n");
  EXPECT_EQ(decode_frame(anthropic, error, "error"), "failed " + std::string(error) + "\n");
  EXPECT_EQ(decode_frame(anthropic, "upstream gone", "error"), "failed upstream gone\n");
}

TEST(AnthropicStream, FramesWithoutAnObjectSayNothing) {
  for (const char* data :
       {"", "null", "ping", "12", "\"half", "[1]", "[]", "<html>", "error: busy"})
    EXPECT_EQ(decode_frame(anthropic, data), std::string("remark ") + data + "\n");
  EXPECT_EQ(decode_frame(anthropic, "", "ping"), "remark \n");
  EXPECT_EQ(decode_frame(anthropic, "", "error"), "failed error\n");
  EXPECT_EQ(decode_frame(anthropic, "[DONE]"), "done\n");
  EXPECT_EQ(decode_frame(anthropic, R"([{"error":{"message":"busy"}}])"),
            "failed {\"error\":{\"message\":\"busy\"}}\n");
}

TEST(AnthropicStream, BrokenFramesAreGarbledAndTellNothing) {
  EXPECT_EQ(decode_frame(anthropic, "[1"), "garbled expected a JSON array\n");
  EXPECT_EQ(
      decode_frame(
          anthropic,
          R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}} x)"),
      "garbled more text after the value\n");
  upstream_dialect::survive_damage(
      anthropic,
      R"({"type":"message_start","message":{"id":"m","content":[{"type":"tool_use","id":"t",)"
      R"("name":"f","input":{"a":[1]}}],"usage":{"input_tokens":1}}})");
}

TEST(AnthropicStream, WrongTypesAreAbsent) {
  EXPECT_EQ(
      decode_frame(
          anthropic,
          R"({"type":"content_block_delta","index":"0","delta":{"type":"text_delta","text":7}})"),
      "");
  EXPECT_EQ(decode_frame(
                anthropic,
                R"({"type":"content_block_delta","index":1e99,"delta":{"type":"input_json_delta",)"
                R"("partial_json":"x"}})"),
            "arguments -1 \"x\"\n");
  EXPECT_EQ(decode_frame(anthropic, R"({"type":["x"],"delta":"text","message":null,"usage":[]})"),
            "");
}

TEST(AnthropicBody, WholeAnswer) {
  EXPECT_EQ(
      decode_body(
          anthropic,
          R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-x-1","content":[
      {"type":"thinking","thinking":"Hm","signature":"s="},{"type":"text","text":"Hi"},
      {"type":"tool_use","id":"t1","name":"get","input":{"city":"P"}},{"type":"tool_use",
      "id":"t2","name":"now","input":{}}],
      "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":5,
      "output_tokens":9}})"),
      "started \"msg_1\" \"claude-x-1\"\n"
      "reasoning \"Hm\" \"s=\"\n"
      "text \"Hi\"\n"
      "call 2 \"t1\" \"get\" \"\"\n"
      "input 2 {\"city\":\"P\"}\n"
      "call 3 \"t2\" \"now\" \"\"\n"
      "finished tool_calls \"tool_use\"\n"
      "counted -1 9 -1 -1 -1 uncached=5\n"
      "done\n");
  EXPECT_EQ(decode_body(anthropic, "not JSON"), "garbled expected a JSON object\n");
}

// --- recordings

// The same bytes by another reader.
void gather_block(const nlohmann::json& block, Gathered& gathered) {
  const std::string type = block.value("type", "");
  if (type == "text" || type == "text_delta") gathered.text += block.value("text", "");
  if (type == "thinking" || type == "thinking_delta")
    gathered.reasoning += block.value("thinking", "");
}

Gathered gather_stream(const std::vector<nlohmann::json>& frames) {
  Gathered gathered;
  std::map<int, std::pair<std::string, std::string>> calls;  // by index: name, arguments
  for (const auto& frame : frames) {
    const int index = frame.value("index", -1);
    for (const char* const member : {"delta", "content_block"}) {
      if (!frame.contains(member)) continue;
      const auto& block = frame[member];
      gather_block(block, gathered);
      if (block.value("type", "") == "tool_use") calls[index].first = block.value("name", "");
      if (block.value("type", "") == "input_json_delta" && calls.count(index) != 0)
        calls[index].second += block.value("partial_json", "");
    }
    const auto& usage = frame.contains("message") ? frame["message"]["usage"]
                        : frame.contains("usage") ? frame["usage"]
                                                  : nlohmann::json();
    if (usage.is_object() && usage.contains("output_tokens"))
      gathered.output_tokens = usage["output_tokens"].get<std::int64_t>();
  }
  for (const auto& [index, call] : calls)
    gathered.calls += call.first + " " + upstream_dialect::compact(call.second) + "\n";
  return gathered;
}

Gathered gather_body(const nlohmann::json& body) {
  Gathered gathered;
  for (const auto& block : body["content"]) {
    gather_block(block, gathered);
    if (block.value("type", "") == "tool_use")
      gathered.calls += block.value("name", "") + " " + block["input"].dump() + "\n";
  }
  gathered.output_tokens = body["usage"]["output_tokens"].get<std::int64_t>();
  return gathered;
}

TEST(AnthropicRecorded, Streams) {
  upstream_dialect::replay_streams(anthropic, {"messages", "rawpredict-stream"}, true,
                                   gather_stream);
}

TEST(AnthropicRecorded, Bodies) {
  upstream_dialect::read_bodies(anthropic, {"messages", "rawpredict"}, gather_body);
}

// What the API checks before anything else: turns, blocks and ids.
void check_messages(const ChatRequest& request, const nlohmann::json& body) {
  EXPECT_GE(body["max_tokens"].get<int>(), 1);
  std::string role = "assistant";
  std::set<std::string> calls;  // of the turn before
  for (const auto& message : body["messages"]) {
    EXPECT_NE(message["role"], role);
    role = message["role"].get<std::string>();
    EXPECT_FALSE(message["content"].empty());
    std::set<std::string> next_calls;
    bool may_be_result = role == "user";
    for (const auto& block : message["content"]) {
      const auto type = block["type"].get<std::string>();
      if (type == "text")
        EXPECT_NE(block["text"].get<std::string>().find_first_not_of(" \n\r\t"), std::string::npos);
      if (type == "tool_use") {
        EXPECT_TRUE(block["input"].is_object());
        next_calls.insert(block["id"].get<std::string>());
      }
      if (type == "tool_result") {
        EXPECT_TRUE(may_be_result);
        EXPECT_EQ(calls.count(block["tool_use_id"].get<std::string>()), 1U) << block;
      }
      may_be_result = type == "tool_result";
    }
    calls = next_calls;
  }
  EXPECT_EQ(body["messages"].empty(), request.messages.empty());
}

TEST(AnthropicRecorded, RequestsOfOtherProviders) {
  upstream_dialect::translate_requests(anthropic, target(), check_messages);
}

TEST(AnthropicRecorded, Errors) { upstream_dialect::read_errors(anthropic, {"messages"}); }

}  // namespace
}  // namespace spillway
