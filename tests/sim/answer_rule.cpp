#include "answer_rule.h"

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

}  // namespace

std::string fault_of_beginning(const Told& told, const Sources& sources) {
  if (sources.empty()) return "an answer without a provider";
  const Script& script = sources.back().plan->script;
  if (!is_beginning(told.text, script.text)) return differs("the text", told.text, script.text);
  if (!is_beginning(told.reasoning, script.reasoning))
    return differs("the reasoning", told.reasoning, script.reasoning);
  if (!is_beginning(told.refusal, script.refusal))
    return differs("the refusal", told.refusal, script.refusal);
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

std::string fault_of_whole(const Told& told, const Sources& sources, bool raw) {
  std::string fault = fault_of_beginning(told, sources);
  if (!fault.empty()) return fault;
  const Source& source = sources.back();
  const Script& script = source.plan->script;
  if (!source.plan->finish.may_be_known(source.bytes))
    return "the answer is told as finished, and its provider had not finished: " +
           std::to_string(source.bytes) + " bytes had come, the end is at " +
           std::to_string(source.plan->finish.begun);
  if (told.text != script.text) return differs("the whole text", told.text, script.text);
  if (told.reasoning != script.reasoning)
    return differs("the whole reasoning", told.reasoning, script.reasoning);
  if (told.refusal != script.refusal)
    return differs("the whole refusal", told.refusal, script.refusal);
  if (told.calls.size() != script.calls.size()) return "a tool call is missing";
  for (std::size_t index = 0; index < told.calls.size(); ++index)
    if (!are_arguments(told.calls[index].arguments, script.calls[index].arguments))
      return differs("a call's whole arguments", told.calls[index].arguments,
                     script.calls[index].arguments);
  // In its own words a provider may leave the reason out.
  const bool left_out = raw && source.plan->fault == Fault::no_finish && told.finish.empty();
  if (!left_out && told.finish != finish_of(script))
    return differs("the finish reason", told.finish, finish_of(script));
  return {};
}

bool may_begin(const Sources& sources) {
  if (sources.empty()) return false;
  const Source& source = sources.back();
  return source.plan->content.may_be_known(source.bytes) ||
         source.plan->finish.may_be_known(source.bytes);
}

}  // namespace spillway::sim
