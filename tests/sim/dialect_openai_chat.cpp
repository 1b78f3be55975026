// A provider of Chat Completions, with the liberties that providers of this dialect take.

#include "dialects.h"

namespace spillway::sim {

namespace {

std::string head(const Manner& manner) {
  std::string data = R"({"id":"c)" + std::to_string(manner.exchange) +
                     R"(","object":"chat.completion.chunk","created":1,"model":")";
  data += manner.model;
  data += R"(","choices":[)";
  return data;
}

std::string chunk(const Manner& manner, std::string_view delta, std::string_view finish) {
  std::string data = head(manner) + R"({"index":0,"delta":{)";
  data += delta;
  data += R"(},"finish_reason":)";
  data += finish;
  data += "}]}";
  return data;
}

std::string usage_object(const Usage& usage) {
  return R"({"prompt_tokens":)" + std::to_string(usage.input) + R"(,"completion_tokens":)" +
         std::to_string(usage.output) + R"(,"total_tokens":)" +
         std::to_string(usage.input + usage.output) + "}";
}

std::string member(std::string_view name, std::string_view text) {
  std::string out = "\"";
  out += name;
  out += "\":\"";
  out += text;
  out += '"';
  return out;
}

std::string call_delta(const Script& script, const Script::Delta& delta, const Manner& manner,
                       bool begins) {
  const Call& call = script.calls[delta.call];
  std::string out = R"("tool_calls":[{)";
  if (!manner.irregular) out += "\"index\":" + std::to_string(delta.call) + ",";
  if (begins) {
    if (!call.id.empty()) out += member("id", call.id) + ",";
    out += R"("type":"function",)";
  }
  out += "\"function\":{";
  if (begins) out += member("name", call.name) + ",";
  out += member("arguments", script.slice(delta)) + "}}]";
  return out;
}

std::string finish_word(const Script& script, const Manner& manner) {
  if (manner.irregular && !script.calls.empty() && script.finish == FinishReason::tool_calls)
    return R"("stop")";
  return "\"" + std::string(name_of(script.finish)) + "\"";
}

// The text with its reasoning between tags, delta by delta.
std::string tagged(const Script& script, std::size_t index) {
  const Script::Delta& delta = script.deltas[index];
  std::string text(script.slice(delta));
  const bool reasons = delta.kind == Kind::reasoning;
  if (reasons && index == 0) text.insert(0, "<think>");
  const bool ends = reasons && (index + 1 == script.deltas.size() ||
                                script.deltas[index + 1].kind != Kind::reasoning);
  if (ends) text += R"(\u003c/think>)";
  return text;
}

}  // namespace

void say_openai_chat(Random& random, const Script& script, const Manner& manner, Pieces& out) {
  out.push_back({{}, chunk(manner, R"("role":"assistant","content":"")", "null")});
  std::size_t begun = 0;  // calls
  for (std::size_t index = 0; index < script.deltas.size(); ++index) {
    const Script::Delta& delta = script.deltas[index];
    Piece piece{{}, {}, true};
    switch (delta.kind) {
      case Kind::text:
        piece.data = chunk(
            manner,
            member("content", manner.think_tags ? tagged(script, index) : script.slice(delta)),
            "null");
        break;
      case Kind::reasoning:
        if (manner.think_tags) {
          piece.data = chunk(manner, member("content", tagged(script, index)), "null");
        } else {
          const std::string_view name = manner.reasoning_word ? "reasoning" : "reasoning_content";
          piece.data =
              chunk(manner, R"("content":null,)" + member(name, script.slice(delta)), "null");
        }
        break;
      case Kind::refusal:
        piece.data = chunk(manner, member("refusal", script.slice(delta)), "null");
        break;
      case Kind::call: {
        const bool begins = delta.call == begun;
        if (begins) ++begun;
        piece.data = chunk(manner, call_delta(script, delta, manner, begins), "null");
        break;
      }
    }
    if (manner.usage && manner.usage_in_parts) {  // nothing yet
      piece.data.pop_back();
      piece.data += R"(,"usage":{"prompt_tokens":0,"completion_tokens":0}})";
      piece.usage = true;
      piece.counted = {0, 0};
    }
    out.push_back(std::move(piece));
  }
  Piece finish{{}, chunk(manner, "", finish_word(script, manner)), false, true};
  const bool usage_with_finish = manner.usage && random.one_in(4);
  if (usage_with_finish) {
    finish.data.pop_back();
    finish.data += ",\"usage\":" + usage_object(script.usage) + "}";
    finish.usage = true;
    finish.counted = script.usage;
  }
  out.push_back(std::move(finish));
  if (manner.usage && !usage_with_finish) {
    Piece usage{{}, head(manner) + "],\"usage\":" + usage_object(script.usage) + "}"};
    usage.usage = true;
    usage.counted = script.usage;
    out.push_back(std::move(usage));
  }
  if (manner.terminator) {
    Piece done{{}, "[DONE]"};
    done.terminator = true;
    out.push_back(std::move(done));
  }
}

std::string whole_openai_chat(const Script& script, const Manner& manner) {
  std::string data = R"({"id":"c)" + std::to_string(manner.exchange) +
                     R"(","object":"chat.completion","created":1,"model":")";
  data += manner.model;
  data += R"(","choices":[{"index":0,"message":{"role":"assistant",)";
  data += script.text.empty() ? R"("content":null)" : member("content", script.text);
  if (!script.reasoning.empty()) data += "," + member("reasoning_content", script.reasoning);
  if (!script.refusal.empty()) data += "," + member("refusal", script.refusal);
  if (!script.calls.empty()) {
    data += R"(,"tool_calls":[)";
    for (const Call& call : script.calls) {
      if (&call != &script.calls.front()) data += ",";
      data += "{" + member("id", call.id) + R"(,"type":"function","function":{)" +
              member("name", call.name) + "," + member("arguments", call.arguments) + "}}";
    }
    data += "]";
  }
  data += R"(},"logprobs":{"content":[]},"finish_reason":")";
  data += name_of(script.finish);
  data += "\"}],\"usage\":" + usage_object(script.usage) + "}";
  return data;
}

}  // namespace spillway::sim
