// The gemini dialect, as spoken to a provider: what a chat becomes on the wire, what the wire says,
// and every recorded stream.
#include <gtest/gtest.h>

#include <set>

#include "transcript.h"
#include "upstream_dialect.h"

namespace spillway {
namespace {

using adapters::gemini;
using upstream_dialect::decode_body;
using upstream_dialect::decode_frame;
using upstream_dialect::Encoded;
using upstream_dialect::Gathered;
using Strings = std::vector<std::string>;

Target target(quirk::Set quirks = 0) {
  Target target;
  target.model = "gemini-x";
  target.output_tokens_max = 65'536;
  target.quirks = quirks;
  return target;
}

Encoded encode(std::string_view body, const Target& to = target()) {
  return upstream_dialect::encode(gemini, body, to);
}

constexpr std::string_view kHi = R"({"contents":[{"role":"user","parts":[{"text":"Hi"}]}])";

std::string with_messages(std::string_view members) {
  return R"({"model":"m","messages":[{"role":"user","content":"Hi"}],)" + std::string(members) +
         "}";
}

// What is written for a member beside the one message.
std::string rest(std::string_view members, const Target& to = target()) {
  const std::string body = encode(with_messages(members), to).body;
  EXPECT_EQ(body.rfind(kHi, 0), 0U) << body;
  return body.substr(kHi.size(), body.size() - kHi.size() - 1);
}

Strings dropped(std::string_view members, const Target& to = target()) {
  return encode(with_messages(members), to).dropped;
}

std::string contents(std::string_view client_messages, const Target& to = target()) {
  const std::string body =
      encode(R"({"model":"m","messages":)" + std::string(client_messages) + "}", to).body;
  return nlohmann::ordered_json::parse(body, nullptr, false)["contents"].dump();
}

// --- request

TEST(GeminiRequest, Path) {
  const auto path = [](std::string_view model, bool stream) {
    Target to = target();
    to.model = model;
    to.stream = stream;
    std::string text;
    gemini.append_path(to, text);
    return text;
  };
  EXPECT_EQ(path("gemini-2.5-flash", true),
            "/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
  EXPECT_EQ(path("models/gemini-2.5-flash", false), "/models/gemini-2.5-flash:generateContent");
  // A name from a client cannot reach another resource.
  EXPECT_EQ(path("../x?key=1#é:y", false), "/models/..%2Fx%3Fkey%3D1%23%C3%A9%3Ay:generateContent");
}

TEST(GeminiRequest, SmallestBody) {
  const Encoded encoded =
      encode(R"({"model":"m","messages":[{"role":"user","content":"Hi \"you\" é\n"}]})");
  EXPECT_EQ(encoded.body, R"({"contents":[{"role":"user","parts":[{"text":"Hi \"you\" é\n"}]}]})");
  EXPECT_EQ(encoded.dropped, Strings{});
}

TEST(GeminiRequest, SystemPromptsStandApart) {
  EXPECT_EQ(
      encode(
          R"({"model":"m","messages":[{"role":"system","content":"A"},{"role":"user","content":"1"},
                {"role":"assistant","content":"2"},{"role":"developer","content":"B"},
                {"role":"user","content":"3"}]})")
          .body,
      R"({"systemInstruction":{"parts":[{"text":"A"},{"text":"B"}]},"contents":[)"
      R"({"role":"user","parts":[{"text":"1"}]},{"role":"model","parts":[{"text":"2"}]},)"
      R"({"role":"user","parts":[{"text":"3"}]}]})");
  EXPECT_EQ(encode(R"({"model":"m","messages":[{"role":"system","content":"Go"}]})").body,
            R"({"contents":[{"role":"user","parts":[{"text":"Go"}]}]})");
}

TEST(GeminiRequest, TurnsAlternateAndTheUserBegins) {
  EXPECT_EQ(
      contents(R"([{"role":"assistant","content":"0"},{"role":"user","content":"1"},
                         {"role":"user","content":[{"type":"text","text":""},{"type":"text",
                         "text":"2"}]},
                         {"role":"assistant","content":"3"},{"role":"assistant","content":"4"}])"),
      R"([{"role":"user","parts":[{"text":"Hello."}]},{"role":"model","parts":[{"text":"0"}]},)"
      R"({"role":"user","parts":[{"text":"1"},{"text":"2"}]},)"
      R"({"role":"model","parts":[{"text":"3"},{"text":"4"}]}])");
}

TEST(GeminiRequest, Media) {
  constexpr std::string_view chat = R"([{"role":"user","content":[
      {"type":"image_url","image_url":{"url":"https://x.test/a.PNG.jpg?b=.gif"}},
      {"type":"image_url","image_url":{"url":"https://x.test/a"}},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}},
      {"type":"file","file":{"file_data":"data:application/pdf;base64,JVBERi0=",
      "filename":"a.pdf"}},
      {"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}}]}])";
  EXPECT_EQ(contents(chat),
            R"([{"role":"user","parts":[)"
            R"({"fileData":{"mimeType":"image/jpeg","fileUri":"https://x.test/a.PNG.jpg?b=.gif"}},)"
            R"({"fileData":{"fileUri":"https://x.test/a"}},)"
            R"({"inlineData":{"mimeType":"image/png","data":"QUJD"}},)"
            R"({"inlineData":{"mimeType":"application/pdf","data":"JVBERi0="}},)"
            R"({"inlineData":{"mimeType":"audio/wav","data":"QQ=="}}]}])");
  const Encoded inline_only = encode(R"({"model":"m","messages":)" + std::string(chat) + "}",
                                     target(quirk::images_inline_only));
  EXPECT_EQ(inline_only.dropped, Strings{"messages.content.image_url"});
  EXPECT_EQ(inline_only.body.find("x.test"), std::string::npos);
}

// Slashes that were escaped are not for data URLs to be seen; what must be escaped stays so.
TEST(GeminiRequest, EscapesInUrls) {
  EXPECT_EQ(contents(R"([{"role":"user","content":[
      {"type":"image_url","image_url":{"url":"https:\/\/x.test\/\"}],\u0022a"}},
      {"type":"image_url","image_url":{"url":"data:image\/png;base64,QU\/D\"\\"}}]}])"),
            R"([{"role":"user","parts":[{"fileData":{"fileUri":"https://x.test/\"}],\"a"}},)"
            R"({"inlineData":{"mimeType":"image/png","data":"QU/D\"\\"}}]}])");
}

TEST(GeminiRequest, PartsWithoutAPlaceAreReported) {
  EXPECT_EQ(
      encode(R"({"model":"m","messages":[{"role":"user","name":"ann","content":[
      {"type":"file","file":{"file_id":"file-1"}},{"type":"video","video":{}},
      {"type":"image_url","image_url":{"url":"https://x.test/a","detail":"high"}}]},
      {"role":"assistant","content":"2","reasoning_content":"Hm"}]})")
          .dropped,
      (Strings{"messages.content.file", "messages.content", "messages.content.image_url.detail",
               "messages.reasoning_content", "messages.name"}));
}

TEST(GeminiRequest, CallsAndResults) {
  EXPECT_EQ(contents(R"([{"role":"user","content":"Weather?"},
          {"role":"assistant","content":"Looking","tool_calls":[
             {"id":"c1","type":"function","function":{"name":"get",
             "arguments":"{\"city\": \"Paris\"}"}},
             {"id":"c2","type":"function","function":{"name":"now","arguments":""}}]},
          {"role":"user","content":"Quick!"},
          {"role":"tool","tool_call_id":"c2","content":"\"noon\""},
          {"role":"tool","tool_call_id":"c1","content":" {\"t\": 20}"},
          {"role":"assistant","tool_calls":[{"id":"c1","type":"function",
          "function":{"name":"again","arguments":"{}"}}]},
          {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"a\n"},
          {"type":"text","text":"b"}]},
          {"role":"tool","tool_call_id":"c9","content":""}])"),
            R"([{"role":"user","parts":[{"text":"Weather?"}]},)"
            R"({"role":"model","parts":[{"text":"Looking"},)"
            R"({"functionCall":{"id":"c1","name":"get","args":{"city":"Paris"}},)"
            R"("thoughtSignature":"skip_thought_signature_validator"},)"
            R"({"functionCall":{"id":"c2","name":"now","args":{}}}]},)"
            R"({"role":"user","parts":[)"
            R"({"functionResponse":{"id":"c2","name":"now","response":{"result":"\"noon\""}}},)"
            R"({"functionResponse":{"id":"c1","name":"get","response":{"t":20}}}]},)"
            R"({"role":"user","parts":[{"text":"Quick!"}]},)"
            R"({"role":"model","parts":[{"functionCall":{"id":"c1","name":"again","args":{}},)"
            R"("thoughtSignature":"skip_thought_signature_validator"}]},)"
            R"({"role":"user","parts":[)"
            R"({"functionResponse":{"id":"c1","name":"again","response":{"result":"a\nb"}}},)"
            R"({"functionResponse":{"id":"c9","name":"c9","response":{"result":""}}}]}])");
}

TEST(GeminiRequest, MediaOfResultsStandBehindThem) {
  constexpr std::string_view chat = R"([{"role":"user","content":"Look"},
      {"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"shot",
      "arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"read","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"c1","content":[
      {"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}},
      {"type":"text","text":"seen"},{"type":"image_url","image_url":{"url":"https://x.test/a.gif"}},
      {"type":"video","video":{}}]},
      {"role":"tool","tool_call_id":"c2","content":[{"type":"file","file":{"file_data":
      "data:application/pdf;base64,JVBERi0="}}]}])";
  const std::string body = R"({"model":"m","messages":)" + std::string(chat) + "}";
  const Encoded encoded = encode(body);
  EXPECT_NE(encoded.body.find(
                R"({"role":"user","parts":[)"
                R"({"functionResponse":{"id":"c1","name":"shot","response":{"result":"seen"}}},)"
                R"({"inlineData":{"mimeType":"image/png","data":"QUJD"}},)"
                R"({"fileData":{"mimeType":"image/gif","fileUri":"https://x.test/a.gif"}},)"
                R"({"functionResponse":{"id":"c2","name":"read","response":{"result":""}}},)"
                R"({"inlineData":{"mimeType":"application/pdf","data":"JVBERi0="}}]})"),
            std::string::npos)
      << encoded.body;
  EXPECT_EQ(encoded.dropped, Strings{"messages.content"});
  EXPECT_EQ(encode(body, target(quirk::images_inline_only)).dropped,
            (Strings{"messages.content.image_url", "messages.content"}));
}

TEST(GeminiRequest, SignaturesAndErrorsOfOtherClients) {
  ChatRequest request;
  Message question;
  question.content.emplace_back().text = JsonText::plain("Go");
  Message call;
  call.role = Role::assistant;
  Content thought;
  thought.kind = Content::Kind::reasoning;
  thought.text = JsonText::plain("Hm");
  thought.signature = JsonText::plain("s0=");
  Content use;
  use.kind = Content::Kind::tool_call;
  use.name = JsonText::plain("f");
  use.arguments = JsonText::trusted("{}");
  use.signature = JsonText::plain("s1=");
  call.content = {thought, use};
  Message answer;
  answer.role = Role::tool;
  Content& result = answer.content.emplace_back();
  result.kind = Content::Kind::tool_result;
  result.text = JsonText::trusted(R"({\"a\":1})");
  result.is_error = true;
  request.messages = {question, call, answer};
  EXPECT_EQ(upstream_dialect::encode(gemini, request, target()).body,
            R"({"contents":[{"role":"user","parts":[{"text":"Go"}]},{"role":"model","parts":[)"
            R"({"text":"Hm","thought":true,"thoughtSignature":"s0="},)"
            R"({"functionCall":{"name":"f","args":{}},"thoughtSignature":"s1="}]},)"
            R"({"role":"user","parts":[{"functionResponse":{"name":"f",)"
            R"("response":{"error":"{\"a\":1}"}}}]}]})");
}

TEST(GeminiRequest, Tools) {
  constexpr std::string_view tools = R"("tools":[
      {"type":"function","function":{"name":"a","description":"An \"a\"","strict":true,
        "parameters":{ "type":"object", "properties":{"x":{"$ref":"#/$defs/y"}} }}},
      {"type":"function","function":{"name":"b"}}])";
  EXPECT_EQ(rest(tools),
            R"(,"tools":[{"functionDeclarations":[{"name":"a","description":"An \"a\"",)"
            R"("parametersJsonSchema":)"
            R"({ "type":"object", "properties":{"x":{"$ref":"#/$defs/y"}} }},{"name":"b"}]}])");
  EXPECT_EQ(dropped(tools), Strings{"tools.strict"});
}

TEST(GeminiRequest, ToolChoice) {
  const auto choice = [](std::string_view members) {
    constexpr std::string_view tools = R"(,"tools":[{"functionDeclarations":[{"name":"f"}]}])";
    const std::string text =
        rest(R"("tools":[{"type":"function","function":{"name":"f"}}])" + std::string(members));
    EXPECT_EQ(text.rfind(tools, 0), 0U) << text;
    return text.substr(tools.size());
  };
  EXPECT_EQ(choice(""), "");
  EXPECT_EQ(choice(R"(,"tool_choice":"auto")"),
            R"(,"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}})");
  EXPECT_EQ(choice(R"(,"tool_choice":"none")"),
            R"(,"toolConfig":{"functionCallingConfig":{"mode":"NONE"}})");
  EXPECT_EQ(choice(R"(,"tool_choice":"required")"),
            R"(,"toolConfig":{"functionCallingConfig":{"mode":"ANY"}})");
  EXPECT_EQ(
      choice(R"(,"tool_choice":{"type":"function","function":{"name":"f"}})"),
      R"(,"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}})");
  EXPECT_EQ(rest(R"("tool_choice":"auto")"), "");
  constexpr std::string_view one =
      R"("parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"f"}}])";
  EXPECT_EQ(dropped(one), Strings{"parallel_tool_calls"});
}

TEST(GeminiRequest, GenerationConfig) {
  EXPECT_EQ(
      rest(R"("max_tokens":100,"temperature":1.5,"top_p":0.9,"top_k":40,"presence_penalty":0.5,
                    "frequency_penalty":-0.5,"seed":-7,"stop":["A","\n"])"),
      R"(,"generationConfig":{"maxOutputTokens":100,"temperature":1.5,"topP":0.9,"topK":40,)"
      R"("presencePenalty":0.5,"frequencyPenalty":-0.5,"seed":-7,"stopSequences":["A","\n"]})");
  EXPECT_EQ(rest(R"("max_tokens":100000)"), R"(,"generationConfig":{"maxOutputTokens":65536})");
}

TEST(GeminiRequest, WhatIsRefusedIsReported) {
  EXPECT_EQ(dropped(R"("seed":2147483648)"), Strings{"seed"});
  EXPECT_EQ(rest(R"("seed":2147483647)"), R"(,"generationConfig":{"seed":2147483647})");
  constexpr std::string_view penalties =
      R"("temperature":0.5,"presence_penalty":0.5,"frequency_penalty":0.5)";
  EXPECT_EQ(rest(penalties, target(quirk::no_penalties)),
            R"(,"generationConfig":{"temperature":0.5})");
  EXPECT_EQ(dropped(penalties, target(quirk::no_penalties)),
            (Strings{"presence_penalty", "frequency_penalty"}));
  EXPECT_EQ(dropped(penalties, target(quirk::no_sampling)),
            (Strings{"temperature", "presence_penalty", "frequency_penalty"}));
  EXPECT_EQ(rest(R"("stop":["1","2","3","4","5","6"])"),
            R"(,"generationConfig":{"stopSequences":["1","2","3","4","5"]})");
  EXPECT_EQ(dropped(R"("stop":["1","2","3","4","5","6"])"), Strings{"stop"});
  EXPECT_EQ(rest(R"("stop":"1")", target(quirk::no_stop)), "");
  EXPECT_EQ(dropped(R"("user":"u","logit_bias":{"1":2},"n":1,"store":false)"),
            (Strings{"user", "logit_bias"}));
}

TEST(GeminiRequest, DefaultsThatAreRefusedAreNoLoss) {
  constexpr std::string_view defaults =
      R"("temperature":1.0,"top_p":1,"presence_penalty":0,"frequency_penalty":0.0)";
  EXPECT_EQ(rest(defaults, target(quirk::no_sampling)), "");
  EXPECT_EQ(dropped(defaults, target(quirk::no_sampling)), Strings{});
  EXPECT_EQ(dropped(R"("top_k":1)", target(quirk::no_sampling)), Strings{"top_k"});
}

TEST(GeminiRequest, ResponseFormat) {
  EXPECT_EQ(rest(R"("response_format":{"type":"json_object"})"),
            R"(,"generationConfig":{"responseMimeType":"application/json"})");
  EXPECT_EQ(rest(R"("response_format":{"type":"json_schema","json_schema":{"name":"n",)"
                 R"("schema":{"type":"object"}}})"),
            R"(,"generationConfig":{"responseMimeType":"application/json",)"
            R"("responseJsonSchema":{"type":"object"}})");
  EXPECT_EQ(rest(R"("response_format":{"type":"text"})"), "");
}

TEST(GeminiRequest, ResponseFormatBesideToolsInWords) {
  const Encoded encoded =
      encode(with_messages(R"("tools":[{"type":"function","function":{"name":"f"}}],
      "response_format":{"type":"json_schema","json_schema":{"name":"n",
      "schema":{"type":"object"}}})"),
             target(quirk::no_json_with_tools));
  EXPECT_EQ(
      encoded.body,
      R"({"systemInstruction":{"parts":[{"text":"Answer with one JSON object and nothing else: )"
      R"(no prose, )"
      R"(no code fence. It must be valid under this JSON schema: {\"type\":\"object\"}"}]},)" +
          std::string(kHi.substr(1)) + R"(,"tools":[{"functionDeclarations":[{"name":"f"}]}]})");
  EXPECT_EQ(encoded.dropped, Strings{"response_format"});
}

TEST(GeminiRequest, Effort) {
  const auto thinking = [](std::string_view effort, quirk::Set quirks = 0) {
    return rest(R"("reasoning_effort":")" + std::string(effort) + '"', target(quirks));
  };
  const auto expected = [](std::string_view config) {
    return R"(,"generationConfig":{"thinkingConfig":{)" + std::string(config) + "}}";
  };
  EXPECT_EQ(thinking("none"), expected(R"("thinkingLevel":"low")"));
  EXPECT_EQ(thinking("minimal"), expected(R"("includeThoughts":true,"thinkingLevel":"low")"));
  EXPECT_EQ(thinking("low"), expected(R"("includeThoughts":true,"thinkingLevel":"low")"));
  EXPECT_EQ(thinking("medium"), expected(R"("includeThoughts":true,"thinkingLevel":"medium")"));
  EXPECT_EQ(thinking("high"), expected(R"("includeThoughts":true,"thinkingLevel":"high")"));
  EXPECT_EQ(thinking("xhigh"), expected(R"("includeThoughts":true,"thinkingLevel":"high")"));
  constexpr quirk::Set budget = quirk::reasoning_budget;
  EXPECT_EQ(thinking("none", budget), expected(R"("thinkingBudget":0)"));
  EXPECT_EQ(thinking("low", budget), expected(R"("includeThoughts":true,"thinkingBudget":1024)"));
  EXPECT_EQ(thinking("medium", budget),
            expected(R"("includeThoughts":true,"thinkingBudget":8192)"));
  EXPECT_EQ(thinking("high", budget), expected(R"("includeThoughts":true,"thinkingBudget":24576)"));
  EXPECT_EQ(thinking("xhigh", budget),
            expected(R"("includeThoughts":true,"thinkingBudget":24576)"));
  EXPECT_EQ(thinking("none", budget | quirk::reasoning_always),
            expected(R"("thinkingBudget":128)"));
  EXPECT_EQ(dropped(R"("reasoning_effort":"none")"), Strings{"reasoning_effort"});
  EXPECT_EQ(dropped(R"("reasoning_effort":"none")", target(budget)), Strings{});
  EXPECT_EQ(dropped(R"("reasoning_effort":"none")", target(budget | quirk::reasoning_always)),
            Strings{"reasoning_effort"});
}

// --- stream

TEST(GeminiStream, TextAndUsage) {
  EXPECT_EQ(decode_frame(gemini,
                         R"({"candidates":[{"content":{"parts":[{"text":"Hé\n"}],
      "role":"model"},"index":0}],
      "usageMetadata":{"promptTokenCount":8,"totalTokenCount":8,
      "promptTokensDetails":[{"modality":"TEXT","tokenCount":8}]},
      "modelVersion":"gemini-x-1","responseId":"r1"})"),
            "started \"r1\" \"gemini-x-1\"\n"
            "text \"Hé\\n\"\n"
            "counted 8 -1 -1 -1 -1 total=8\n");
}

TEST(GeminiStream, TheLastFrame) {
  EXPECT_EQ(decode_frame(gemini,
                         R"({"candidates":[{"finishReason":"STOP","content":{"parts":[{"text":"."}],
              "role":"model"},"index":0}],
      "usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":10,"thoughtsTokenCount":30,
      "toolUsePromptTokenCount":2,
      "cachedContentTokenCount":4,"totalTokenCount":50}})"),
            "started \"\" \"\"\n"
            "text \".\"\n"
            "finished stop \"STOP\"\n"
            "counted 8 -1 4 -1 30 total=50 tools=2 unreasoned=10\n");
  // Nothing but its usage, and content without parts.
  EXPECT_EQ(decode_frame(
                gemini, R"({"candidates":[{"content":{"role":"model"},"finishReason":"MAX_TOKENS"}],
      "usageMetadata":{"trafficType":"ON_DEMAND"}})"),
            "started \"\" \"\"\nfinished length \"MAX_TOKENS\"\n");
}

TEST(GeminiStream, FinishReasons) {
  const auto reason = [](const std::string& word) {
    const std::string text =
        decode_frame(gemini, R"({"candidates":[{"finishReason":)" + word + "}]}");
    return text.substr(text.find('\n') + 1);
  };
  EXPECT_EQ(reason(R"("STOP")"), "finished stop \"STOP\"\n");
  EXPECT_EQ(reason(R"("MAX_TOKENS")"), "finished length \"MAX_TOKENS\"\n");
  for (const std::string word :
       {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
        "MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"})
    EXPECT_EQ(reason('"' + word + '"'), "finished content_filter \"" + word + "\"\n");
  for (const std::string word :
       {"OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "IMAGE_OTHER", "NO_IMAGE", "NEW_REASON"})
    EXPECT_EQ(reason('"' + word + '"'), "failed \"" + word + "\"\n");
  EXPECT_EQ(reason("1"), "finished stop \"1\"\n");
  EXPECT_EQ(reason("2"), "finished length \"2\"\n");
  for (const char* number : {"3", "4", "6", "7", "8"})
    EXPECT_EQ(reason(number), std::string("finished content_filter \"") + number + "\"\n");
  for (const char* number : {"5", "9", "10", "12"})
    EXPECT_EQ(reason(number), std::string("failed \"") + number + "\"\n");
  for (const char* absent : {"null", "0", R"("")", R"("FINISH_REASON_UNSPECIFIED")"})
    EXPECT_EQ(reason(absent), "") << absent;
}

TEST(GeminiStream, Thoughts) {
  EXPECT_EQ(decode_frame(gemini, R"({"candidates":[{"content":{"parts":[
      {"text":"Hm","thought":true},{"thought":true,"text":"so","thoughtSignature":"s="},
      {"text":"Yes","thoughtSignature":"t="},{"text":"","thoughtSignature":"u="},{"text":""},
      {"thought":true}]}}]})"),
            "started \"\" \"\"\n"
            "reasoning \"Hm\" \"\"\n"
            "reasoning \"so\" \"s=\"\n"
            "text \"Yes\"\n"
            "reasoning \"\" \"t=\"\n"
            "reasoning \"\" \"u=\"\n");
}

TEST(GeminiStream, FunctionCalls) {
  EXPECT_EQ(decode_frame(gemini, R"({"candidates":[{"content":{"parts":[
      {"functionCall":{"name":"get","args":{"city": "P"}},"thoughtSignature":"s="},
      {"functionCall":{"id":"x1","name":"now"}},{"functionCall":{"args":{"a":1}}},
      {"functionCall":{"name":"nil","args":null}}]}}]})"),
            "started \"\" \"\"\n"
            "call -1 \"\" \"get\" \"s=\"\n"
            "input -1 {\"city\": \"P\"}\n"
            "call -1 \"x1\" \"now\" \"\"\n"
            "input -1 {}\n"
            "call -1 \"\" \"nil\" \"\"\n"
            "input -1 {}\n");
}

// The same name without an id, in one frame and the next: three calls.
TEST(GeminiStream, CallsNeverMerge) {
  constexpr std::string_view frames[] = {
      R"({"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}}},)"
      R"({"functionCall":{"name":"f","args":{"a":2}}}]}}]})",
      R"({"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":3}}}]},)"
      R"("finishReason":"STOP"}]})"};
  Transcript transcript(0, 1);
  transcript.gather();
  Parts parts;
  for (const std::string_view data : frames) {
    Events events;
    gemini.decode_frame(Frame{{}, data}, events);
    for (const Event& event : events) transcript.take(event, parts);
  }
  transcript.close(parts);
  ASSERT_EQ(transcript.answer().pieces.size(), 3U);
  EXPECT_EQ(transcript.answer().pieces[0].text, R"({\"a\":1})");
  EXPECT_EQ(transcript.answer().pieces[1].text, R"({\"a\":2})");
  EXPECT_EQ(transcript.answer().pieces[2].text, R"({\"a\":3})");
  EXPECT_NE(transcript.answer().pieces[1].id, transcript.answer().pieces[2].id);
  EXPECT_EQ(transcript.reason(), FinishReason::tool_calls);
}

TEST(GeminiStream, Failures) {
  constexpr std::string_view blocked = R"({"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},)"
                                       R"("usageMetadata":{"promptTokenCount":8}})";
  EXPECT_EQ(decode_frame(gemini, blocked),
            "started \"\" \"\"\ncounted 8 -1 -1 -1 -1\nfailed " + std::string(blocked) + "\n");
  EXPECT_EQ(decode_frame(gemini, R"({"promptFeedback":{"safetyRatings":[]}})"),
            "started \"\" \"\"\n");
  constexpr std::string_view error =
      R"({"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}})";
  EXPECT_EQ(decode_frame(gemini, error), "started \"\" \"\"\nfailed " + std::string(error) + "\n");
  const std::string wrapped = "[" + std::string(error) + "]";
  EXPECT_EQ(decode_frame(gemini, wrapped), "started \"\" \"\"\nfailed " + wrapped + "\n");
}

TEST(GeminiStream, BrokenFramesAreGarbledAndTellNothing) {
  EXPECT_EQ(decode_frame(gemini, "<html>"), "remark <html>\n");
  EXPECT_EQ(decode_frame(gemini, "[1"), "garbled expected a JSON array\n");
  EXPECT_EQ(decode_frame(gemini, "[DONE]"), "done\n");
  EXPECT_EQ(decode_frame(gemini, R"({"candidates":[{"content":{"parts":[{"text":"a"}]}}]} x)"),
            "garbled more text after the value\n");
  upstream_dialect::survive_damage(
      gemini, R"([{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"f",)"
              R"("args":{"a":[1]}},"thoughtSignature":"s"}]},"finishReason":"STOP"}],)"
              R"("usageMetadata":{"promptTokenCount":1}}])");
}

TEST(GeminiStream, WrongTypesAreAbsent) {
  EXPECT_EQ(
      decode_frame(gemini, R"({"candidates":[7,{"content":[]},{"content":{"parts":{"text":"a"}}},
      {"content":{"parts":["a",{"text":7,"thought":"yes","functionCall":"f"}]},"finishReason":{}}],
      "usageMetadata":{"promptTokenCount":"8","candidatesTokenCount":-1.5},"responseId":1,
      "promptFeedback":null,"error":null})"),
      "started \"\" \"\"\n");
}

TEST(GeminiBody, WholeAnswerAndArray) {
  constexpr std::string_view body =
      R"({"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}],)"
      R"("responseId":"r"})";
  constexpr std::string_view events = "started \"r\" \"\"\ntext \"Hi\"\nfinished stop \"STOP\"\n";
  EXPECT_EQ(decode_body(gemini, body), std::string(events) + "done\n");
  EXPECT_EQ(decode_body(gemini, "[" + std::string(body) + ",\r\n" + std::string(body) + "]"),
            std::string(events) + std::string(events) + "done\n");
  EXPECT_EQ(decode_body(gemini, "not JSON"), "garbled expected a JSON object\n");
}

// --- recordings

// The same bytes by another reader.
void gather_response(const nlohmann::json& response, Gathered& gathered) {
  if (response.contains("usageMetadata")) {
    const auto& usage = response["usageMetadata"];
    const int output =
        usage.value("candidatesTokenCount", 0) + usage.value("thoughtsTokenCount", 0);
    if (usage.contains("candidatesTokenCount") || usage.contains("thoughtsTokenCount"))
      gathered.output_tokens = output;
  }
  if (!response.contains("candidates")) return;
  for (const auto& candidate : response["candidates"]) {
    if (!candidate.contains("content") || !candidate["content"].contains("parts")) continue;
    for (const auto& part : candidate["content"]["parts"]) {
      (part.value("thought", false) ? gathered.reasoning : gathered.text) += part.value("text", "");
      if (part.contains("functionCall"))
        gathered.calls += part["functionCall"].value("name", "") + " " +
                          part["functionCall"]["args"].dump() + "\n";
    }
  }
}

Gathered gather_stream(const std::vector<nlohmann::json>& frames) {
  Gathered gathered;
  for (const auto& frame : frames) gather_response(frame, gathered);
  return gathered;
}

Gathered gather_body(const nlohmann::json& body) {
  return gather_stream(body.is_array() ? body.get<std::vector<nlohmann::json>>()
                                       : std::vector<nlohmann::json>{body});
}

TEST(GeminiRecorded, Streams) {
  upstream_dialect::replay_streams(gemini, {"generate-stream"}, false, gather_stream);
}

TEST(GeminiRecorded, Bodies) {
  upstream_dialect::read_bodies(gemini, {"generate", "generate-stream"}, gather_body);
}

// What the API checks before anything else: sides, parts, and results that answer calls.
void check_contents(const ChatRequest&, const nlohmann::json& body) {
  EXPECT_FALSE(body["contents"].empty());
  std::string role = "model";
  std::set<std::string> calls;  // names that the turn before called
  bool were_results = false;
  for (const auto& content : body["contents"]) {
    // Results are a message of their own, so the user may speak right after them.
    EXPECT_TRUE(content["role"] != role || were_results);
    role = content["role"].get<std::string>();
    EXPECT_FALSE(content["parts"].empty());
    std::set<std::string> next_calls;
    std::size_t results = 0;
    for (const auto& part : content["parts"]) {
      EXPECT_FALSE(part.contains("text") && part["text"].get<std::string>().empty());
      if (part.contains("functionCall")) {
        EXPECT_EQ(part.contains("thoughtSignature"), next_calls.empty());
        next_calls.insert(part["functionCall"]["name"].get<std::string>() +
                          part["functionCall"].value("id", ""));
      }
      if (part.contains("functionResponse")) {
        ++results;
        EXPECT_TRUE(part["functionResponse"]["response"].is_object());
        EXPECT_EQ(calls.count(part["functionResponse"]["name"].get<std::string>() +
                              part["functionResponse"].value("id", "")),
                  1U)
            << part;
      }
    }
    EXPECT_TRUE(results == 0 || results == content["parts"].size());
    were_results = results != 0;
    calls = next_calls;
  }
}

TEST(GeminiRecorded, RequestsOfOtherProviders) {
  upstream_dialect::translate_requests(gemini, target(), check_contents);
}

TEST(GeminiRecorded, Errors) {
  upstream_dialect::read_errors(gemini, {"generate", "generate-stream"});
}

}  // namespace
}  // namespace spillway
