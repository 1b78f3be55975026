// Going on with an answer that broke off while the client was reading it: another engine is asked
// for the rest, and its text is joined to what the client has.

#include <algorithm>

#include "chat_machine.h"

namespace spillway {

namespace {

constexpr std::string_view kGoOn =
    "Your answer was cut off. Go on exactly where it stopped, in the middle of the word if it "
    "stopped there, and in the language of the answer: repeat nothing, and say nothing else.";

std::string message_of(std::string_view role, std::string_view escaped) {
  std::string raw = R"({"role":")";
  raw += role;
  raw += R"(","content":")";
  raw += escaped;
  raw += R"("})";
  return raw;
}

void add_message(ChatRequest& request, Role role, std::string_view role_name, std::string text) {
  json::mend_halves(text);  // it may have been cut inside a character
  Message message;
  message.role = role;
  Content content;
  message.raw = request.keep(message_of(role_name, text));
  content.text = JsonText::trusted(request.keep(std::move(text)));
  message.content.push_back(std::move(content));
  request.messages.push_back(std::move(message));
}

void add_count(std::int64_t& sum, std::int64_t count) {
  if (count >= 0) sum = std::max<std::int64_t>(sum, 0) + count;
}

}  // namespace

bool Chat::may_be_rescued() const {
  // What is relayed tells a call before it is known whole.
  const bool has_half_call = attempt_->mode != Mode::translate && attempt_->transcript.has_calls();
  return keeps_text_ && joinable_ && !has_half_call && request_ != nullptr &&
         report_.rescues < limits::rescues_max;
}

// What the client has been told by the engine that answers.
void Chat::remember(const Part& part) {
  if (const auto* delta = std::get_if<PartDelta>(&part)) {
    if (delta->kind == PartKind::text) text_ += delta->text.escaped();
    joinable_ = joinable_ && text_.size() <= limits::rescue_text_bytes_max;
  } else if (const auto* begin = std::get_if<PartBegin>(&part)) {
    // Half a call is no call, and what is refused is refused.
    const bool is_whole = begin->kind == PartKind::text || begin->kind == PartKind::reasoning;
    joinable_ = joinable_ && is_whole;
  }
}

// Looks for an engine that goes on; false when the client must be told that its answer is cut.
bool Chat::rescue(Instant now, const Failure& failure) {
  Attempt& attempt = *attempt_;
  if (!may_be_rescued() || !may_go_on(failure.kind)) return false;
  if (is_spent(report_.attempts.size())) return false;
  if (opened_ + policy_.timeouts.total_ms <= now) return false;
  // A client that is piped to has read what the provider said was wrong.
  const bool is_silent =
      failure.kind == FailureKind::network || failure.kind == FailureKind::timeout;
  if (attempt.mode == Mode::splice && !is_silent) return false;
  if (pick(now, attempt.candidate) == nullptr) return false;

  keep_tail();
  shared_.out.clear();
  Surface::Broken broken;
  if (!surface_.print_break(attempt.tail, shared_.out, broken)) return false;
  shared_.events.clear();
  // Where the stream has ended behind it, it has been read as the last one.
  const bool is_read = attempt.framing.unfinished().empty();
  if (!is_read && !broken.event.empty())
    provider().dialect->decode_frame(Frame{{}, broken.event}, shared_.events);
  for (const Event& said : shared_.events) {
    if (const auto* text = std::get_if<Text>(&said)) {
      if (broken.is_whole) text_ += text->text.escaped();
    } else if (!std::holds_alternative<Started>(said) && !std::holds_alternative<Counted>(said) &&
               !std::holds_alternative<Reasoning>(said)) {
      return false;
    }
  }
  flush();
  // From here on the stream is ours.
  attempt.tail.clear();
  attempt.mode = Mode::translate;
  if (!attempt.printed && !rescue_) identify(now);
  attempt.candidate->out = true;
  ++report_.rescues;
  heard_at_ = now;
  rescue_ = Rescue{{failure, engine().id}, text_.size(), report_.attempts.size(), false, false, {}};
  try_next(now);
  return true;
}

// The client's request, with the answer so far: as the beginning of the engine's own answer where
// it can take that, else with the instruction to go on.
void Chat::ask_to_go_on(const Candidate& candidate) {
  ChatRequest& request = *request_;
  request.messages.resize(messages_);
  Rescue& rescue = *rescue_;
  text_.resize(rescue.text_size);
  rescue.said = false;
  rescue.prefilled = (candidate.engine->capabilities & capability::prefill) != 0 &&
                     !candidate.refuses_prefill && !text_.empty();
  rescue.seam.emplace(
      json::unescaped(JsonText::trusted(text_)),
      rescue.prefilled ? Seam::Continuation::prefilled : Seam::Continuation::instructed);
  if (text_.empty()) return;
  add_message(request, Role::assistant, "assistant", text_);
  if (rescue.prefilled) return;
  std::string go_on;
  json::append_escaped(go_on, policy_.go_on.empty() ? kGoOn : policy_.go_on);
  add_message(request, Role::user, "user", go_on);
}

// The parts of an engine that goes on: of its text what the client has not got, then calls and the
// end. What it thinks about going on is nobody's business.
void Chat::print_joined() {
  Rescue& rescue = *rescue_;
  Seam& seam = *rescue.seam;
  std::string& out = state_ == ChatState::listening ? attempt_->held : shared_.out;
  for (const Part& part : shared_.parts) {
    const auto* delta = std::get_if<PartDelta>(&part);
    const auto* begin = std::get_if<PartBegin>(&part);
    const bool is_text = delta != nullptr && delta->kind == PartKind::text;
    const bool is_call = (delta != nullptr && delta->kind == PartKind::tool_call) ||
                         (begin != nullptr && begin->kind == PartKind::tool_call);
    const bool is_refusal = begin != nullptr && begin->kind == PartKind::refusal;
    const auto* closing = std::get_if<Closing>(&part);
    rescue.said = rescue.said || is_text || is_call;
    std::string& text = shared_.joined;
    text.clear();
    if (is_text) {
      seam.take(delta->text, text);
    } else if (is_refusal) {
      seam.refuse();
    } else if (is_call || closing != nullptr) {
      seam.end(text);
    }
    if (is_contradicted()) return;
    if (!text.empty()) {
      const PartDelta rest{0, PartKind::text, 0, JsonText::trusted(text), {}};
      remember(rest);
      surface_.print(rest, out);
    }
    if (begin != nullptr) remember(part);
    if (is_call) surface_.print(part, out);
    if (closing != nullptr) {
      pay();
      surface_.tell_paid(paid());
      surface_.print(Closing{closing->reason, report_.usage}, out);
    }
  }
}

// What the engine that answers has counted so far.
void Chat::pay() {
  AttemptRecord& attempt = *attempt_->record;
  attempt.answered = true;
  report_.answered_model = attempt_->model;
  attempt.usage = attempt_->transcript.usage();
  attempt.cost_picodollars = cost_picodollars(engine(), attempt.usage);
  report_.usage = {};
  std::int64_t cost = 0;
  for (const AttemptRecord& each : report_.attempts) {
    if (!each.answered) continue;
    add_count(report_.usage.input, each.usage.input);
    add_count(report_.usage.output, each.usage.output);
    add_count(report_.usage.cache_read, each.usage.cache_read);
    add_count(report_.usage.cache_write, each.usage.cache_write);
    add_count(report_.usage.reasoning, each.usage.reasoning);
    // Known only if what each has cost is known.
    cost = cost < 0 || each.cost_picodollars < 0 ? -1 : cost + each.cost_picodollars;
  }
  report_.cost_picodollars = cost;
}

// {"rescues":1,"engines":[{"engine":"a:b","prompt_tokens":3,"completion_tokens":5}, …]}
std::string Chat::paid() const {
  std::string paid;
  json::Writer out(paid);
  out.begin_object().key("rescues").integer(report_.rescues).key("engines").begin_array();
  for (const AttemptRecord& attempt : report_.attempts) {
    if (!attempt.answered) continue;
    out.begin_object().key("engine").string(attempt.engine);
    if (attempt.usage.input >= 0) out.key("prompt_tokens").integer(attempt.usage.input);
    if (attempt.usage.output >= 0) out.key("completion_tokens").integer(attempt.usage.output);
    out.end_object();
  }
  out.end_array().end_object();
  return paid;
}

}  // namespace spillway
