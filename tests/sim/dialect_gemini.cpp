// A provider of Gemini's generateContent, and the events that say nothing in any dialect.

#include "dialects.h"

namespace spillway::sim {

namespace {

std::string_view finish_word(FinishReason reason) {
  if (reason == FinishReason::length) return "MAX_TOKENS";
  return reason == FinishReason::content_filter ? "SAFETY" : "STOP";
}

// Arguments as the object that they are: the escapes of a string go, those inside it stay.
std::string object_of(std::string_view escaped) {
  std::string out;
  for (std::size_t at = 0; at < escaped.size(); ++at) {
    if (escaped[at] == '\\') ++at;
    out.push_back(escaped[at]);
  }
  return out.empty() ? "{}" : out;
}

// What it thought is told at once, what it said at the end, and what is known is 0 from then on.
std::string counts_in_parts(bool is_first, const Script& script, Usage& known) {
  const std::int64_t thoughts = script.usage.output / 2;
  const bool is_last = known.output == script.usage.output;
  const std::int64_t said = is_last ? script.usage.output - thoughts : 0;
  known.output = thoughts + said;
  std::string counts = R"({"promptTokenCount":)" + std::to_string(is_first ? known.input : 0);
  if (is_first) counts += R"(,"thoughtsTokenCount":)" + std::to_string(thoughts);
  if (said > 0) counts += R"(,"candidatesTokenCount":)" + std::to_string(said);
  return counts + "}";
}

std::string part_of(const Script& script, const Script::Delta& delta) {
  if (delta.kind == Kind::call) {
    const Call& call = script.calls[delta.call];
    std::string part = R"({"functionCall":{"name":")" + call.name + "\"";
    if (!call.id.empty()) part += R"(,"id":")" + call.id + "\"";
    return part + ",\"args\":" + object_of(call.arguments) + "}}";
  }
  std::string part = "{\"text\":\"";
  part += script.slice(delta);
  part += delta.kind == Kind::reasoning ? "\",\"thought\":true}" : "\"}";
  return part;
}

}  // namespace

void say_gemini(Random& random, const Script& script, const Manner& manner, Pieces& out) {
  const auto say = [&](std::string_view parts, std::string_view finish) {
    Piece piece{{}, R"({"candidates":[{"content":{"parts":[)"};
    piece.data += parts;
    piece.data += R"(],"role":"model"})";
    if (!finish.empty()) {
      piece.data += ",\"finishReason\":\"";
      piece.data += finish;
      piece.data += '"';
      piece.finish = true;
    }
    piece.counted = {script.usage.input, piece.finish ? script.usage.output : 1};
    piece.data += R"(,"index":0}],"usageMetadata":)";
    piece.data += manner.usage_in_parts
                      ? counts_in_parts(out.empty(), script, piece.counted)
                      : R"({"promptTokenCount":)" + std::to_string(piece.counted.input) +
                            R"(,"candidatesTokenCount":)" + std::to_string(piece.counted.output) +
                            "}";
    piece.data += R"(,"modelVersion":")";
    piece.data += manner.model;
    piece.data += R"(","responseId":"g)" + std::to_string(manner.exchange) + "\"}";
    piece.content = !parts.empty();
    piece.usage = true;
    out.push_back(std::move(piece));
  };
  const bool finish_with_content = random.percent(50);
  std::uint32_t last_call = UINT32_MAX;
  for (std::size_t index = 0; index < script.deltas.size(); ++index) {
    const Script::Delta& delta = script.deltas[index];
    // A call comes whole.
    if (delta.kind == Kind::call && delta.call == last_call) continue;
    if (delta.kind == Kind::call) last_call = delta.call;
    const bool is_last = index + 1 == script.deltas.size() ||
                         (delta.kind == Kind::call && delta.call + 1 == script.calls.size() &&
                          script.deltas.back().kind == Kind::call);
    say(part_of(script, delta),
        is_last && finish_with_content ? finish_word(script.finish) : std::string_view());
  }
  const bool is_finished = !out.empty() && out.back().finish;
  if (!is_finished) say({}, finish_word(script.finish));
}

Piece unknown_piece(Random& random, DialectName dialect) {
  switch (dialect) {
    case DialectName::anthropic:
      return {"vendor_notice", R"({"type":"vendor_notice","text":"not for you"})"};
    case DialectName::gemini:
      return {{}, R"({"vendorNotice":{"text":"not for you"}})"};
    case DialectName::openai_chat:
      break;
  }
  if (random.percent(50)) return {"vendor.notice", R"({"vendor":{"content":"not for you"}})"};
  return {{}, R"({"id":"","object":"","choices":[],"prompt_filter_results":[{"x":1}]})"};
}

Piece silent_piece(Random& random, DialectName dialect, const Manner& manner) {
  switch (dialect) {
    case DialectName::anthropic:
      return {"ping", R"({"type":"ping"})"};
    case DialectName::gemini:
      return {{}, R"({"candidates":[{"content":{"role":"model"},"index":0}]})"};
    case DialectName::openai_chat:
      break;
  }
  std::string data =
      R"({"id":"c)" + std::to_string(manner.exchange) + R"(","choices":[{"index":0,)";
  data += random.percent(50) ? R"("delta":{"content":""})" : R"("delta":{})";
  return {{}, data + R"(,"finish_reason":null}]})"};
}

}  // namespace spillway::sim
