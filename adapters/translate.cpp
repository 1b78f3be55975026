#include "translate.h"

#include <algorithm>
#include <array>

namespace spillway::adapters::translate {
namespace {

bool asks_for_call(const ChatRequest& request) {
  const ToolChoice::Kind kind = request.tool_choice.kind;
  return kind == ToolChoice::Kind::required || kind == ToolChoice::Kind::named;
}

}  // namespace

void drop(Dropped& dropped, std::string_view name) {
  if (std::find(dropped.begin(), dropped.end(), name) == dropped.end()) dropped.push_back(name);
}

namespace {

SPILLWAY_RARE void drop_unknown(const ChatRequest& request, Dropped& dropped) {
  // Not through drop(): a client may send very many.
  for (const Extra& extra : request.extras)
    if (!extra.asks_nothing) dropped.push_back(extra.key);
  for (const std::string_view name : request.message_extras) dropped.push_back(name);
}

}  // namespace

void write_arguments(JsonText arguments, json::Writer& out) {
  if (arguments.empty()) {
    out.raw("{}");
    return;
  }
  std::string& text = out.raw("").out();
  const std::size_t begin = text.size();
  json::append_unescaped(text, arguments);
  json::mend_halves(text, begin);  // escapes within escapes
  if (json::valid(std::string_view(text).substr(begin), json::Type::object)) return;
  text.resize(begin);
  text += R"({"arguments":")";
  text += arguments.escaped();
  text += R"("})";
}

void drop_unmet(const ChatRequest& request, Dropped& dropped) {
  for (const std::string_view name : request.unmet) drop(dropped, name);
}

void drop_extras(const ChatRequest& request, Dropped& dropped) {
  if (!request.extras.empty() || !request.message_extras.empty()) drop_unknown(request, dropped);
  if (!request.response_format.description.empty())
    drop(dropped, "response_format.json_schema.description");
  drop_unmet(request, dropped);
}

std::optional<Effort> effort_of(const ChatRequest& request, const Target& target,
                                Dropped& dropped) {
  using Level = Effort::Level;
  struct Row {
    std::string_view word;
    Effort effort;
  };
  // The budgets are those of Google's OpenAI compatible endpoint; above "high" it has none.
  static constexpr std::array kRows{
      Row{"none", {Level::none, 0}},      Row{"minimal", {Level::low, 1024}},
      Row{"low", {Level::low, 1024}},     Row{"medium", {Level::medium, 8192}},
      Row{"high", {Level::high, 24'576}}, Row{"xhigh", {Level::xhigh, 32'768}},
      Row{"max", {Level::max, 32'768}},
  };
  if (request.reasoning_effort.empty()) return std::nullopt;
  const auto row = std::find_if(kRows.begin(), kRows.end(), [&request](const Row& candidate) {
    return json::equals(request.reasoning_effort, candidate.word);
  });
  if (target.reasons && row != kRows.end()) return row->effort;
  // An engine that cannot reason does what "none" asks for.
  if (row == kRows.end() || row->effort.level != Level::none) drop(dropped, "reasoning_effort");
  return std::nullopt;
}

bool only_instructs(const ChatRequest& request) {
  return std::all_of(request.messages.begin(), request.messages.end(), instructs);
}

void Conversation::turn(Side side) {
  if (side == side_) return;
  if (side_ == Side::none && side == Side::model) open();
  if (side_ != Side::none) out_.end_array().end_object();
  side_ = side;
  out_.begin_object().key("role").string(side == Side::model ? style_.model_role : "user");
  out_.key(style_.content_key).begin_array();
}

void Conversation::open() {
  turn(Side::user);
  out_.raw(style_.opener);
}

void Conversation::end() {
  if (side_ == Side::none) open();
  out_.end_array().end_object();
}

void drop_number(Dropped& dropped, std::string_view name, std::string_view number,
                 double default_value) {
  if (number.empty() || json::Reader(number).number() == default_value) return;
  drop(dropped, name);
}

std::string format_instruction(const ResponseFormat& format) {
  std::string text = "Answer with one JSON object and nothing else: no prose, no code fence.";
  if (!format.schema.empty()) {
    text += " It must be valid under this JSON schema: ";
    text += format.schema;
  }
  return text;
}

bool forces_tool(const ChatRequest& request, const Target& target) {
  return asks_for_call(request) && !has(target, quirk::no_forced_tool_choice);
}

ToolChoice::Kind choice_of(const ChatRequest& request, const Target& target, Dropped& dropped) {
  if (!asks_for_call(request) || forces_tool(request, target)) return request.tool_choice.kind;
  drop(dropped, "tool_choice");
  return ToolChoice::Kind::automatic;
}

}  // namespace spillway::adapters::translate
