// What all dialects share that a chat is translated into: the client's words are another dialect's,
// so nothing passes raw but schemas, arguments and texts, and what finds no place is named in
// Dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dialect.h"
#include "text.h"

namespace spillway::adapters::translate {

[[nodiscard]] inline bool has(const Target& target, quirk::Set quirk) {
  return (target.quirks & quirk) != 0;
}

// Reports a field; each name once, however many messages have it.
void drop(Dropped& dropped, std::string_view name);
// Reports what nobody is sent.
void drop_unmet(const ChatRequest& request, Dropped& dropped);
// That too, and what no other dialect has a place for, unless it asks for nothing (n: 1, logprobs:
// false): members that the canonical request does not know, and words around what it does.
void drop_extras(const ChatRequest& request, Dropped& dropped);

// --- reasoning

struct Effort {
  enum class Level : std::uint8_t { none, low, medium, high, xhigh, max };
  Level level = Level::none;
  std::int64_t budget_tokens = 0;
};
// What an OpenAI `reasoning_effort` asks for. Nothing when it was not given, or is unknown or not
// for this engine (both reported).
[[nodiscard]] std::optional<Effort> effort_of(const ChatRequest& request, const Target& target,
                                              Dropped& dropped);

// --- conversation

// The arguments of a tool call as one JSON object. A model may have written what is none: it stays
// readable. Written where it goes, for it may be most of a request.
SPILLWAY_RARE void write_arguments(JsonText arguments, json::Writer& out);

// A request of nothing but instructions: the user says them, since a conversation must not be
// empty.
[[nodiscard]] bool only_instructs(const ChatRequest& request);
[[nodiscard]] inline bool instructs(const Message& message) {
  return message.role == Role::system || message.role == Role::developer;
}

// Calls say(message, part) for each part of the system prompt. The targets have one place for it,
// at the top: instructions from later in the conversation are hoisted there, as the OpenAI
// compatible endpoint of Anthropic does it. They keep their authority and lose their position.
template <class Say>
void instruct(const ChatRequest& request, Say say) {
  if (only_instructs(request)) return;
  for (const Message& message : request.messages)
    if (instructs(message))
      for (const Content& part : message.content) say(message, part);
}

// Calls say(message, part) for each part of the conversation, in the order that targets insist on:
// between two messages of the assistant, tool results come first.
template <class Say>
void converse(const ChatRequest& request, Say say) {
  using At = std::list<Message>::const_iterator;
  enum class Parts : std::uint8_t { results, others, all };
  const bool instructions_too = only_instructs(request);
  const auto say_all = [&](At begin, At end, Parts wanted) {
    for (At message = begin; message != end; ++message) {
      if (instructs(*message) && !instructions_too) continue;
      for (const Content& part : message->content) {
        const bool is_result = part.kind == Content::Kind::tool_result;
        if (wanted == Parts::all || is_result == (wanted == Parts::results)) say(*message, part);
      }
    }
  };
  const At last = request.messages.end();
  for (At begin = request.messages.begin(); begin != last;) {
    At end = begin;
    while (end != last && end->role != Role::assistant) ++end;
    say_all(begin, end, Parts::results);
    say_all(begin, end, Parts::others);
    begin = end;
    if (end == last) break;
    say_all(end, ++begin, Parts::all);
  }
}

// Writes the messages of the target: one for as long as the same side goes on.
class Conversation {
 public:
  enum class Side : std::uint8_t { none, user, tools, model };
  // How a target writes a message. `opener` is what the user says when the conversation would begin
  // with the model or be empty, which targets refuse.
  struct Style {
    std::string_view model_role;
    std::string_view content_key;
    std::string_view opener;
  };

  Conversation(const Style& style, json::Writer& out) : style_(style), out_(out) {}
  // Whatever is written next belongs to `side`.
  void turn(Side side);
  void end();

 private:
  void open();

  const Style& style_;
  json::Writer& out_;
  Side side_ = Side::none;
};

// --- pieces

// What whoever answers can fetch; not a data URL, nor bare data.
[[nodiscard]] inline bool is_web_url(JsonText url) {
  return starts_with(url.escaped(), "https://") || starts_with(url.escaped(), "http://");
}

// A sampling parameter that the target refuses: reported, unless it is the default that many
// clients always send and nothing is lost.
void drop_number(Dropped& dropped, std::string_view name, std::string_view number,
                 double default_value);

// A response format in words, for where the target has no field for it.
[[nodiscard]] std::string format_instruction(const ResponseFormat& format);
// Whether the tool choice makes the model call a tool, as far as the target takes that.
[[nodiscard]] bool forces_tool(const ChatRequest& request, const Target& target);
// The tool choice to send: one that forces a call becomes automatic, reported, where it is refused.
[[nodiscard]] ToolChoice::Kind choice_of(const ChatRequest& request, const Target& target,
                                         Dropped& dropped);

}  // namespace spillway::adapters::translate
