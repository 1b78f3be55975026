#include "answer_rule.h"

#include <algorithm>

#include "json.h"
#include "text.h"

namespace spillway::sim {

namespace {

std::string differs(std::string_view what, std::string_view told, std::string_view script) {
  return std::string(what) + " is \"" + std::string(told) + "\", the script says \"" +
         std::string(script) + "\"";
}

bool is_beginning(std::string_view told, std::string_view script) {
  return starts_with(script, told);
}

// Calls without arguments may be given empty ones.
bool are_arguments(std::string_view told, std::string_view script) {
  return told == script || (script.empty() && told == "{}");
}

// "finish_reason": what the content bears out, in Chat Completions' words.
std::string_view finish_of(const Script& script) {
  if (script.finish == FinishReason::length || script.finish == FinishReason::content_filter)
    return name_of(script.finish);
  return script.calls.empty() ? "stop" : "tool_calls";
}

// The text as it must be in the end: of an answer that was gone on with, in plain characters, for
// where two texts are joined escapes may be written anew.
std::string whole_text(const Plan& plan) {
  if (!plan.rescues) return plan.script.text;
  return plan.client_text + (plan.joint == Joint::contradicts ? "" : plan.rest);
}
std::string told_text(const Told& told, const Plan& plan) {
  if (!plan.rescues) return told.text;
  std::string_view text = told.text;
  std::string plain = json::unescaped(JsonText::trusted(text));
  // The other half of a pair may be on its way.
  constexpr std::string_view half = R"(\ud83d)";
  const std::size_t size = text.size() - std::min(text.size(), half.size());
  if (text.substr(size) != half || is_beginning(plain, whole_text(plan))) return plain;
  return json::unescaped(JsonText::trusted(text.substr(0, size)));
}

std::string fault_of_calls(const Told& told, const Script& script) {
  if (told.calls.size() > script.calls.size())
    return "there are " + std::to_string(told.calls.size()) + " tool calls, the script has " +
           std::to_string(script.calls.size());
  for (std::size_t index = 0; index < told.calls.size(); ++index) {
    const Told::ToolCall& call = told.calls[index];
    const Call& meant = script.calls[index];
    if (call.name != meant.name) return differs("a tool's name", call.name, meant.name);
    if (!meant.id.empty() && call.id != meant.id) return differs("a call's id", call.id, meant.id);
    if (!is_beginning(call.arguments, meant.arguments) &&
        !are_arguments(call.arguments, meant.arguments))
      return differs("a call's arguments", call.arguments, meant.arguments);
  }
  return {};
}

}  // namespace

std::string fault_of_beginning(const Told& told, const Sources& sources) {
  if (sources.empty()) return "an answer without a provider";
  const Plan& plan = *sources.last().plan;
  const Script& first = sources.all[sources.first].plan->script;
  if (!plan.rescues) {
    // Most answers: nothing is copied for them.
    if (!is_beginning(told.text, plan.script.text))
      return differs("the text", told.text, plan.script.text);
  } else {
    const std::string text = told_text(told, plan);
    const std::string whole = whole_text(plan);
    if (!is_beginning(text, whole)) return differs("the text", text, whole);
    if (text.size() < plan.client_text.size())
      return differs("what was told before", text, plan.client_text);
  }
  if (!is_beginning(told.reasoning, first.reasoning))
    return differs("the reasoning", told.reasoning, first.reasoning);
  if (!is_beginning(told.refusal, first.refusal))
    return differs("the refusal", told.refusal, first.refusal);
  return fault_of_calls(told, plan.script);
}

std::string fault_of_whole(const Told& told, const Sources& sources, bool raw) {
  std::string fault = fault_of_beginning(told, sources);
  if (!fault.empty()) return fault;
  const Source& source = sources.last();
  const Plan& plan = *source.plan;
  const Script& script = plan.script;
  if (!plan.finish.may_be_known(source.bytes))
    return "the answer is told as finished, and its provider had not finished: " +
           std::to_string(source.bytes) + " bytes had come, the end is at " +
           std::to_string(plan.finish.begun);
  if (plan.rescues && plan.joint == Joint::contradicts)
    return "an answer that does not join is told as finished";
  const std::string text = told_text(told, plan);
  const std::string whole = whole_text(plan);
  if (text != whole) return differs("the whole text", text, whole);
  // What an engine thinks about going on is nobody's business.
  if (!plan.rescues && told.reasoning != script.reasoning)
    return differs("the whole reasoning", told.reasoning, script.reasoning);
  if (told.refusal != script.refusal)
    return differs("the whole refusal", told.refusal, script.refusal);
  if (told.calls.size() != script.calls.size()) return "a tool call is missing";
  for (std::size_t index = 0; index < told.calls.size(); ++index)
    if (!are_arguments(told.calls[index].arguments, script.calls[index].arguments))
      return differs("a call's whole arguments", told.calls[index].arguments,
                     script.calls[index].arguments);
  // In its own words a provider may leave the reason out.
  const bool left_out =
      raw && !plan.rescues && plan.fault == Fault::no_finish && told.finish.empty();
  if (!left_out && told.finish != finish_of(script))
    return differs("the finish reason", told.finish, finish_of(script));
  return {};
}

bool may_begin(const Sources& sources) {
  if (sources.empty()) return false;
  const Source& source = sources.last();
  return source.plan->content.may_be_known(source.bytes) ||
         source.plan->finish.may_be_known(source.bytes);
}

}  // namespace spillway::sim
