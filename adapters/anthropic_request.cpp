// Writes a request to Anthropic Messages.
// https://platform.claude.com/docs/en/api/messages, …/build-with-claude/thinking,
// …/structured-outputs. OpenAI's words in Anthropic's:
// https://platform.claude.com/docs/en/api/openai-sdk
//
// Rules of the format that shape the request: max_tokens is required; system prompts stand at the
// top; user and assistant take turns, the user first; tool results are the user's and come first in
// the turn after their calls; temperature is at most 1.

#include <algorithm>
#include <array>

#include "anthropic_upstream.h"
#include "limits.h"
#include "rare.h"
#include "translate.h"

namespace spillway::adapters::anthropic_upstream {
namespace {

using json::Reader;
using json::Writer;
using translate::Conversation;
using translate::drop;
using translate::Effort;
using translate::has;

constexpr Conversation::Style kStyle{"assistant", "content", R"({"type":"text","text":"Hello."})"};

class RequestWriter {
 public:
  RequestWriter(const ChatRequest& request, const Target& target, Writer& out, Dropped& dropped)
      : request_(request),
        target_(target),
        out_(out),
        dropped_(dropped),
        content_(target, out, dropped) {}

  void write() {
    limit_output();
    if (!request_.reasoning_effort.empty()) choose_thinking();
    out_.begin_object();
    out_.key("model").string(target_.model);
    out_.key("max_tokens").integer(output_tokens_max_);
    out_.key("stream").boolean(target_.stream);
    const std::size_t tools_skipped = request_.cache_marks > 0 ? skip_cache_marks() : 0;
    write_system();
    write_messages();
    if (!request_.tools.empty()) {
      content_.skip_cache_marks(tools_skipped);
      write_tools();
      write_tool_choice();
    }
    write_output_config();
    if (thinking_ != Thinking::unset) write_thinking();
    if (!request_.temperature.empty() || !request_.top_p.empty() || !request_.top_k.empty())
      write_sampling();
    if (!request_.stop.empty()) write_stop();
    if (!request_.user.empty()) write_user();
    if (!request_.cache_control.empty()) out_.key("cache_control").raw(request_.cache_control);
    drop_the_rest();
    out_.end_object();
  }

 private:
  enum class Thinking : std::uint8_t { unset, off, budget, adaptive };

  void limit_output() {
    const std::int64_t engine = target_.output_tokens_max;
    output_tokens_max_ = request_.output_tokens_max.value_or(
        engine > 0 ? std::min(engine, limits::anthropic_output_tokens)
                   : limits::anthropic_output_tokens_unknown);
    if (engine > 0) output_tokens_max_ = std::min(output_tokens_max_, engine);
  }

  // The last part of the conversation that is sent, if it is the assistant's.
  [[nodiscard]] const Content* last_taken_of_model() const {
    const bool instructions_too = translate::only_instructs(request_);
    for (auto message = request_.messages.rbegin(); message != request_.messages.rend();
         ++message) {
      if (translate::instructs(*message) && !instructions_too) continue;
      for (auto part = message->content.rbegin(); part != message->content.rend(); ++part)
        if (takes(*part, target_.quirks))
          return message->role == Role::assistant ? &*part : nullptr;
    }
    return nullptr;
  }

  // Whether the answer goes on from words of the assistant that a thinking model would have begun
  // with its signed thoughts: an unfinished turn of tools, or a prefill. Those models then refuse a
  // thinking budget.
  [[nodiscard]] bool goes_on_without_thoughts() const {
    const auto last =
        std::find_if(request_.messages.rbegin(), request_.messages.rend(),
                     [](const Message& message) { return message.role == Role::assistant; });
    if (last == request_.messages.rend()) return false;
    const auto any = [&last](auto test) {
      return std::any_of(last->content.begin(), last->content.end(), test);
    };
    const bool calls =
        any([](const Content& part) { return part.kind == Content::Kind::tool_call; });
    const bool is_signed = any([](const Content& part) {
      return part.kind == Content::Kind::reasoning && !part.signature.empty();
    });
    return last_taken_of_model() != nullptr || (calls && !is_signed);
  }

  SPILLWAY_RARE void choose_budget(std::int64_t tokens) {
    if (translate::forces_tool(request_, target_) || goes_on_without_thoughts()) {
      drop(dropped_, "reasoning_effort");
      return;
    }
    if (!request_.output_tokens_max && target_.output_tokens_max > 0)  // room for the answer too
      output_tokens_max_ = std::min(target_.output_tokens_max, output_tokens_max_ + tokens);
    budget_tokens_ = std::min(tokens, output_tokens_max_ / 2);
    if (budget_tokens_ < limits::anthropic_thinking_tokens_min) {
      drop(dropped_, "reasoning_effort");
    } else {
      thinking_ = Thinking::budget;
    }
  }

  SPILLWAY_RARE void choose_thinking() {
    const std::optional<Effort> asked = translate::effort_of(request_, target_, dropped_);
    if (!asked) return;
    const bool is_off = asked->level == Effort::Level::none;
    if (has(target_, quirk::reasoning_budget)) {
      if (!is_off) choose_budget(asked->budget_tokens);  // these think only when told to
      return;
    }
    if (is_off && !has(target_, quirk::reasoning_always)) {
      thinking_ = Thinking::off;
      return;
    }
    if (is_off) drop(dropped_, "reasoning_effort");
    static constexpr std::array<std::string_view, 6> kWords{"low",  "low",   "medium",
                                                            "high", "xhigh", "max"};
    effort_ = kWords[static_cast<std::size_t>(asked->level)];
    // A forced tool and thinking that was asked for exclude each other; the effort still counts.
    if (!is_off && !translate::forces_tool(request_, target_)) thinking_ = Thinking::adaptive;
  }

  // Of too many breakpoints the first are left out: the later ones cache what these would. Tools
  // come first in a prompt, but are written last. Returns how many of theirs.
  SPILLWAY_RARE std::size_t skip_cache_marks() {
    const std::size_t marks = request_.cache_marks;
    if (marks <= limits::anthropic_cache_marks_max) return 0;
    const std::size_t excess = marks - limits::anthropic_cache_marks_max;
    const auto of_tools = static_cast<std::size_t>(
        std::count_if(request_.tools.begin(), request_.tools.end(),
                      [](const Tool& tool) { return !tool.cache_control.empty(); }));
    const std::size_t tools_skipped = std::min(excess, of_tools);
    content_.skip_cache_marks(excess - tools_skipped);
    return tools_skipped;
  }

  [[nodiscard]] bool needs_format_instruction() const {
    return request_.response_format.kind == ResponseFormat::Kind::json_object;
  }

  void write_system() {
    bool any = false;
    const auto begin = [this, &any] {
      if (!any) out_.key("system").begin_array();
      any = true;
    };
    translate::instruct(request_, [&](const Message&, const Content& part) {
      if (part.kind != Content::Kind::text) {
        drop(dropped_, "messages.content");
      } else if (content_.takes(part)) {
        begin();
        content_.write(part);
      }
    });
    if (needs_format_instruction()) {
      begin();
      write_format_instruction();
    }
    if (any) out_.end_array();
  }

  // There is no such mode, only the one with a schema.
  SPILLWAY_RARE void write_format_instruction() {
    drop(dropped_, "response_format");
    out_.begin_object().key("type").string("text");
    out_.key("text").string(translate::format_instruction(request_.response_format)).end_object();
  }

  void write_messages() {
    content_.set_prefill(last_taken_of_model());
    out_.key("messages").begin_array();
    Conversation conversation(kStyle, out_);
    translate::converse(request_, [&](const Message& message, const Content& part) {
      if (!content_.takes(part)) return;
      conversation.turn(message.role == Role::assistant ? Conversation::Side::model
                                                        : Conversation::Side::user);
      content_.write(part);
    });
    conversation.end();
    out_.end_array();
  }

  SPILLWAY_RARE void write_tools() {
    out_.key("tools").begin_array();
    for (const Tool& tool : request_.tools) {
      if (tool.name.empty()) {
        drop(dropped_, "tools");
        continue;
      }
      // Not every engine takes `strict`, and those that do refuse many schemas with it.
      if (tool.strict) drop(dropped_, "tools.strict");
      out_.begin_object().key("name").text(tool.name);
      if (!tool.description.empty()) out_.key("description").text(tool.description);
      out_.key("input_schema");
      if (write_input_schema(tool.parameters, out_)) drop(dropped_, "tools.parameters");
      content_.write_cache_control(tool.cache_control);
      out_.end_object();
    }
    out_.end_array();
  }

  SPILLWAY_RARE void write_tool_choice() {
    using Kind = ToolChoice::Kind;
    const Kind kind = translate::choice_of(request_, target_, dropped_);
    const bool one_at_a_time = request_.parallel_tool_calls == false && kind != Kind::none;
    if (kind == Kind::unset && !one_at_a_time) return;
    out_.key("tool_choice").begin_object().key("type");
    switch (kind) {
      case Kind::unset:
      case Kind::automatic:
        out_.string("auto");
        break;
      case Kind::none:
        out_.string("none");
        break;
      case Kind::required:
        out_.string("any");
        break;
      case Kind::named:
        out_.string("tool").key("name").text(request_.tool_choice.name);
        break;
    }
    if (one_at_a_time) out_.key("disable_parallel_tool_use").boolean(true);
    out_.end_object();
  }

  void write_output_config() {
    const bool has_schema = request_.response_format.kind == ResponseFormat::Kind::json_schema;
    if (has_schema || !effort_.empty()) write_output_config(has_schema);
  }

  SPILLWAY_RARE void write_output_config(bool has_schema) {
    out_.key("output_config").begin_object();
    if (!effort_.empty()) out_.key("effort").string(effort_);
    if (has_schema) {
      out_.key("format").begin_object().key("type").string("json_schema").key("schema");
      if (write_output_schema(request_.response_format.schema, out_))
        drop(dropped_, "response_format.json_schema.schema");
      out_.end_object();
    }
    out_.end_object();
  }

  SPILLWAY_RARE void write_thinking() {
    out_.key("thinking").begin_object().key("type");
    switch (thinking_) {
      case Thinking::unset:
      case Thinking::off:
        out_.string("disabled");
        break;
      case Thinking::budget:
        out_.string("enabled").key("budget_tokens").integer(budget_tokens_);
        break;
      // Without `display` newer models think silently.
      case Thinking::adaptive:
        out_.string("adaptive").key("display").string("summarized");
        break;
    }
    out_.end_object();
  }

  SPILLWAY_RARE void write_sampling() {
    const bool thinks = thinking_ == Thinking::budget || thinking_ == Thinking::adaptive;
    if (thinks || has(target_, quirk::no_sampling)) {
      translate::drop_number(dropped_, "temperature", request_.temperature, 1);
      translate::drop_number(dropped_, "top_p", request_.top_p, 1);
      if (!request_.top_k.empty()) drop(dropped_, "top_k");
      return;
    }
    if (!request_.temperature.empty()) {
      // What no double holds (1e999) is above, too.
      const bool is_above = Reader(request_.temperature).number().value_or(2) > 1;
      if (is_above) drop(dropped_, "temperature");
      out_.key("temperature").raw(is_above ? "1" : request_.temperature);
      // Models since Opus 4.1 take one of the two.
      translate::drop_number(dropped_, "top_p", request_.top_p, 1);
    } else if (!request_.top_p.empty()) {
      out_.key("top_p").raw(request_.top_p);
    }
    if (!request_.top_k.empty()) out_.key("top_k").raw(request_.top_k);
  }

  SPILLWAY_RARE void write_stop() {
    bool any = false;
    for (const JsonText& sequence : request_.stop) {
      if (json::is_blank(sequence) || has(target_, quirk::no_stop)) {
        drop(dropped_, "stop");
        continue;
      }
      if (!any) out_.key("stop_sequences").begin_array();
      any = true;
      out_.text(sequence);
    }
    if (any) out_.end_array();
  }

  SPILLWAY_RARE void write_user() {
    if (request_.user.escaped().size() > limits::anthropic_user_id_bytes_max) {
      drop(dropped_, "user");
    } else {
      out_.key("metadata").begin_object().key("user_id").text(request_.user).end_object();
    }
  }

  SPILLWAY_RARE void drop_penalties() {
    translate::drop_number(dropped_, "frequency_penalty", request_.frequency_penalty, 0);
    translate::drop_number(dropped_, "presence_penalty", request_.presence_penalty, 0);
  }

  void drop_the_rest() {
    if (!request_.frequency_penalty.empty() || !request_.presence_penalty.empty()) drop_penalties();
    if (!request_.seed.empty()) drop(dropped_, "seed");
    for (const Message& message : request_.messages)
      if (!message.name.empty() && message.role != Role::tool) drop(dropped_, "messages.name");
    translate::drop_extras(request_, dropped_);
  }

  const ChatRequest& request_;
  const Target& target_;
  Writer& out_;
  Dropped& dropped_;
  ContentWriter content_;
  std::int64_t output_tokens_max_ = 0;
  std::int64_t budget_tokens_ = 0;
  std::string_view effort_;
  Thinking thinking_ = Thinking::unset;
};

}  // namespace

void encode_request(const ChatRequest& request, const Target& target, Writer& out,
                    Dropped& dropped) {
  RequestWriter(request, target, out, dropped).write();
}

}  // namespace spillway::adapters::anthropic_upstream
