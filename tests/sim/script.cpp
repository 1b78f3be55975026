#include "script.h"

namespace spillway::sim {

namespace {

// What follows a word: text that would be mistaken for a border, an escape or an end by a reader
// that looks at bytes instead of structure.
constexpr std::array<std::string_view, 25> kTails{
    " ",
    " ",
    ", ",
    ". ",
    R"(\n)",
    R"(\n\n)",
    R"(\r\n)",
    R"(\t)",
    R"(\")",
    R"(\\)",
    R"(\/)",
    R"(\u00e9)",
    R"(\ud83d\ude00)",
    "\xC3\xA9",
    "\xE2\x82\xAC",
    "\xF0\x9F\x98\x80",
    R"(\n\ndata: [DONE]\n\n)",
    R"({\"error\": {\"message\": \"no\"}})",
    R"(\"finish_reason\":\"stop\")",
    R"(event: error\n)",
    R"(\u2028)",
    R"(\u0000)",
    // … or for an error of its provider.
    "API key not valid. ",
    "insufficient_quota ",
    "maximum context length ",
};

void append_word(Random& random, std::uint32_t exchange, std::size_t word, std::string& out) {
  out += std::to_string(exchange);
  out += ':';
  out += std::to_string(word);
  out += random.pick(kTails);
}

void say(Random& random, std::uint32_t exchange, Kind kind, std::uint32_t call, std::string& text,
         Script& script) {
  const auto begin = static_cast<std::uint32_t>(text.size());
  append_word(random, exchange, script.deltas.size(), text);
  if (random.one_in(6)) append_word(random, exchange, script.deltas.size(), text);
  auto size = static_cast<std::uint32_t>(text.size()) - begin;
  // Some providers cut between the halves of a surrogate pair.
  const std::size_t pair = text.find(R"(\ud83d\ude00)", begin);
  if (pair != std::string::npos && random.one_in(3)) {
    const auto first = static_cast<std::uint32_t>(pair) + 6 - begin;
    script.deltas.push_back({kind, call, begin, first});
    script.deltas.push_back({kind, call, begin + first, size - first});
    return;
  }
  script.deltas.push_back({kind, call, begin, size});
}

void write_call(Random& random, std::uint32_t exchange, const ScriptWishes& wishes,
                Script& script) {
  const auto index = static_cast<std::uint32_t>(script.calls.size());
  Call& call = script.calls.emplace_back();
  const std::string number = std::to_string(exchange) + "_" + std::to_string(index);
  if (wishes.call_ids) call.id = "call_" + number;
  call.name = "tool_" + number;
  if (random.one_in(8)) {  // without arguments
    script.deltas.push_back({Kind::call, index, 0, 0});
    return;
  }
  call.arguments = R"({\"q\":\")" + number + R"( \\n)";
  switch (random.below(4)) {
    case 0:
      call.arguments += R"(\\\"x\\\")";
      break;
    case 1:
      call.arguments += "\xC3\xA9";
      break;
    case 2:
      call.arguments += R"(data: [DONE])";
      break;
    default:
      break;
  }
  call.arguments += R"(\"})";
  // Fragments end anywhere but inside an escape.
  std::uint32_t begin = 0;
  const auto size = static_cast<std::uint32_t>(call.arguments.size());
  for (std::uint32_t at = 0; at < size;) {
    at += call.arguments[at] == '\\' ? 2 : 1;
    const bool inside =
        at < size && (static_cast<unsigned char>(call.arguments[at]) & 0xC0) == 0x80;
    if (at < size && (inside || !random.one_in(12))) continue;
    script.deltas.push_back({Kind::call, index, begin, at - begin});
    begin = at;
  }
}

void write_deltas(Random& random, std::uint32_t exchange, Kind kind, std::string& text,
                  std::uint32_t count, Script& script) {
  for (std::uint32_t delta = 0; delta < count; ++delta)
    say(random, exchange, kind, 0, text, script);
}

}  // namespace

std::string_view Script::slice(const Delta& delta) const {
  const std::string* from = &text;
  if (delta.kind == Kind::reasoning) from = &reasoning;
  if (delta.kind == Kind::refusal) from = &refusal;
  if (delta.kind == Kind::call) from = &calls[delta.call].arguments;
  return std::string_view(*from).substr(delta.begin, delta.size);
}

Script write_script(Random& random, std::uint32_t exchange, const ScriptWishes& wishes) {
  Script script;
  const auto some = [&random, &wishes] { return 1 + random.below(wishes.deltas_max); };
  if (wishes.reasoning && random.percent(60))
    write_deltas(random, exchange, Kind::reasoning, script.reasoning, some(), script);
  if (wishes.refusal && random.one_in(12)) {
    write_deltas(random, exchange, Kind::refusal, script.refusal, some(), script);
  } else {
    const bool calls = wishes.calls && random.percent(60);
    if (!calls || random.percent(50))
      write_deltas(random, exchange, Kind::text, script.text, some(), script);
    for (std::uint32_t left = calls ? 1 + random.below(2) : 0; left > 0; --left)
      write_call(random, exchange, wishes, script);
    if (wishes.reasoning && !wishes.think_tags && random.one_in(6))
      write_deltas(random, exchange, Kind::reasoning, script.reasoning, 1, script);
  }
  if (random.one_in(8)) {
    script.finish = FinishReason::length;
  } else if (random.one_in(24)) {
    script.finish = FinishReason::content_filter;
  } else if (!script.calls.empty()) {
    script.finish = FinishReason::tool_calls;
  }
  script.usage.input = random.between(1, 5000);
  script.usage.output = random.between(1, 500);
  return script;
}

}  // namespace spillway::sim
