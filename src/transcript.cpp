#include "transcript.h"

#include <algorithm>

#include "limits.h"

namespace spillway {

namespace {

constexpr std::string_view kThink = "<think>";
constexpr std::string_view kThinkEnd = "</think>";

// How many of the last bytes of `text` are the beginning of `tag`.
std::size_t tag_begun(std::string_view text, std::string_view tag) {
  for (std::size_t size = std::min(text.size(), tag.size() - 1); size > 0; --size)
    if (text.substr(text.size() - size) == tag.substr(0, size)) return size;
  return 0;
}

// Appends escaped text with \u003c and \u003e (as Go prints < and >) written plainly.
void append_with_plain_angles(std::string& out, std::string_view escaped) {
  for (std::size_t at = 0; at < escaped.size();) {
    const std::size_t stop = std::min(escaped.find('\\', at), escaped.size());
    out.append(escaped.substr(at, stop - at));
    at = stop;
    if (at == escaped.size()) return;
    const std::string_view unit = escaped.substr(at, 6);
    if (unit == "\\u003c" || unit == "\\u003C" || unit == "\\u003e" || unit == "\\u003E") {
      out.push_back((unit[5] | 0x20) == 'c' ? '<' : '>');
      at += 6;
    } else {
      out.append(escaped.substr(at, 2));
      at += 2;
    }
  }
}

// White space at the beginning of escaped text, "\n" as two bytes included.
std::size_t leading_white(std::string_view escaped) {
  std::size_t at = 0;
  for (;;) {
    if (at < escaped.size() && escaped[at] == ' ') {
      ++at;
    } else if (const auto unit = escaped.substr(at, 2);
               unit == "\\n" || unit == "\\r" || unit == "\\t") {
      at += 2;
    } else {
      return at;
    }
  }
}

}  // namespace

std::string_view name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::length:
      return "length";
    case FinishReason::tool_calls:
      return "tool_calls";
    case FinishReason::content_filter:
      return "content_filter";
    case FinishReason::stop:
    case FinishReason::other:
    case FinishReason::failed:
      break;
  }
  return "stop";
}

std::int64_t read_tokens(json::Reader& in) {
  const std::int64_t tokens = in.integer().value_or(-1);
  return tokens >= 0 && tokens <= limits::tokens_max ? tokens : -1;
}

void tell_garbled(const char* problem, std::size_t told, Events& out) {
  out.cut(told);
  out.emplace_back(Garbled{problem});
}

void Transcript::take(const Event& event, Parts& out) {
  if (const auto* text = std::get_if<Text>(&event)) {
    take_text(text->text, out);
  } else if (const auto* counted = std::get_if<Counted>(&event)) {
    count(counted->usage);
  } else {
    take_other(event, out);
  }
}

void Transcript::take_other(const Event& event, Parts& out) {
  if (const auto* reasoning = std::get_if<Reasoning>(&event)) {
    say(PartKind::reasoning, reasoning->text, reasoning->signature, out);
  } else if (const auto* refusal = std::get_if<Refusal>(&event)) {
    say(PartKind::refusal, refusal->text, {}, out);
  } else if (const auto* call = std::get_if<ToolCall>(&event)) {
    take_call(*call, out);
  } else if (const auto* arguments = std::get_if<ToolArguments>(&event)) {
    take_arguments(arguments->key, arguments->fragment, out);
  } else if (const auto* input = std::get_if<ToolInput>(&event)) {
    scratch_.clear();
    json::append_escaped(scratch_, input->object);
    take_arguments(input->key, JsonText::trusted(scratch_), out);
  } else if (const auto* finished = std::get_if<Finished>(&event)) {
    finished_ = finished->reason;
  }
}

void Transcript::count(const Usage& usage) {
  const auto merge = [](std::int64_t& known, std::int64_t told) {
    if (told >= 0) known = told;
  };
  merge(usage_.input, usage.input);
  merge(usage_.reasoning, usage.reasoning);
  merge(usage_.cache_read, usage.cache_read);
  merge(usage_.cache_write, usage.cache_write);
  std::int64_t output = usage.output;
  if (output >= 0 && usage.reasoning > 0 && (quirks_ & quirk::usage_excludes_reasoning) != 0)
    output += usage.reasoning;
  merge(usage_.output, output);
}

void Transcript::take_text(JsonText text, Parts& out) {
  if ((quirks_ & quirk::think_tags) == 0 || thinking_ == Thinking::over) {
    say(PartKind::text, text, {}, out);
  } else {
    take_tagged(text, out);
  }
}

// Reasoning in front of the text, between tags that may be cut anywhere. Only tags at the very
// beginning count: later ones are the model talking about tags.
void Transcript::take_tagged(JsonText text, Parts& out) {
  scratch_.assign(tag_);
  append_with_plain_angles(scratch_, text.escaped());
  tag_.clear();
  std::string_view rest = scratch_;
  if (thinking_ == Thinking::undecided) {
    const std::size_t white = leading_white(rest);
    const std::string_view begin = rest.substr(white);
    const bool may_begin = white <= limits::think_white_bytes_max;
    if (may_begin && begin.size() < kThink.size() && begin == kThink.substr(0, begin.size())) {
      tag_ = rest;
      return;
    }
    const bool begins = may_begin && begin.substr(0, kThink.size()) == kThink;
    thinking_ = begins ? Thinking::inside : Thinking::over;
    if (thinking_ == Thinking::inside) rest = begin.substr(kThink.size());
  }
  if (thinking_ == Thinking::inside) {
    const std::size_t end = rest.find(kThinkEnd);
    if (end == std::string_view::npos) {
      const std::size_t held = tag_begun(rest, kThinkEnd);
      say(PartKind::reasoning, JsonText::trusted(rest.substr(0, rest.size() - held)), {}, out);
      tag_ = rest.substr(rest.size() - held);
      return;
    }
    say(PartKind::reasoning, JsonText::trusted(rest.substr(0, end)), {}, out);
    thinking_ = Thinking::over;
    rest.remove_prefix(end + kThinkEnd.size());
  }
  say(PartKind::text, JsonText::trusted(rest), {}, out);
}

void Transcript::say(PartKind kind, JsonText text, JsonText signature, Parts& out) {
  if (text.empty() && signature.empty()) return;
  if (open_part_ != kind) {
    if (open_part_) end_part(out);
    open_part_ = kind;
    open_index_ = next_index_++;
    emit(PartBegin{open_index_, kind, 0, {}, {}}, out);
  }
  if (!text.empty()) has_content_ = true;
  emit(PartDelta{open_index_, kind, 0, text, signature}, out);
}

void Transcript::end_part(Parts& out) {
  emit(PartEnd{open_index_, *open_part_, 0}, out);
  open_part_.reset();
}

// The call that a fragment belongs to: the last one begun under its key.
Transcript::Call* Transcript::find_call(CallKey key) {
  if (key == kLatestCall) return calls_.empty() ? nullptr : &calls_.back();
  const auto found = std::find_if(calls_.rbegin(), calls_.rend(),
                                  [key](const Call& call) { return call.key == key; });
  return found == calls_.rend() ? nullptr : &*found;
}

void Transcript::take_call(const ToolCall& call, Parts& out) {
  if (call.key != kLatestCall) {
    // The same key goes on with its call, unless it comes with another id: then it is another call.
    const Call* known = find_call(call.key);
    if (known != nullptr && (call.id.empty() || call.id.escaped() == known->id)) return;
  }
  if (calls_.size() == limits::tool_calls_max) {
    overflowed_ = true;
    return;
  }
  if (open_part_) end_part(out);
  has_content_ = true;
  Call made{call.key, std::string(call.id.escaped()), next_index_++,
            static_cast<std::uint32_t>(calls_.size())};
  scratch_ = made.id;
  if (scratch_.empty()) {
    constexpr std::string_view hex = "0123456789abcdef";
    scratch_ = "call_";
    std::uint64_t bits = seed_ + 0x9E3779B97F4A7C15ULL * (calls_.size() + 1);
    for (int i = 0; i < 16; ++i, bits >>= 4) scratch_.push_back(hex[bits & 15]);
  }
  emit(PartBegin{made.index, PartKind::tool_call, made.tool_index, JsonText::trusted(scratch_),
                 call.name},
       out);
  if (!call.signature.empty())
    emit(PartDelta{made.index, PartKind::tool_call, made.tool_index, {}, call.signature}, out);
  calls_.push_back(std::move(made));
}

void Transcript::take_arguments(CallKey key, JsonText fragment, Parts& out) {
  Call* const call = find_call(key);
  if (call == nullptr || fragment.empty()) return;
  call->has_arguments = true;
  emit(PartDelta{call->index, PartKind::tool_call, call->tool_index, fragment, {}}, out);
}

FinishReason Transcript::reason() const {
  const FinishReason told = finished_.value_or(FinishReason::other);
  if (told == FinishReason::length || told == FinishReason::content_filter) return told;
  return calls_.empty() ? FinishReason::stop : FinishReason::tool_calls;
}

void Transcript::close(Parts& out) {
  if (!tag_.empty()) {
    scratch_ = std::move(tag_);
    tag_.clear();
    say(thinking_ == Thinking::inside ? PartKind::reasoning : PartKind::text,
        JsonText::trusted(scratch_), {}, out);
  }
  if (open_part_) end_part(out);
  for (const Call& call : calls_) {
    if (!call.has_arguments)
      emit(PartDelta{call.index, PartKind::tool_call, call.tool_index, JsonText::plain("{}"), {}},
           out);
    emit(PartEnd{call.index, PartKind::tool_call, call.tool_index}, out);
  }
  emit(Closing{reason(), usage_}, out);
}

void Transcript::emit(const Part& part, Parts& out) {
  if (!opened_) {
    opened_ = true;
    out.emplace_back(Opening{});
  }
  out.emplace_back(part);
  if (gathering_) gather(part);
}

void Transcript::gather(const Part& part) {
  if (const auto* begin = std::get_if<PartBegin>(&part)) {
    answer_.pieces.push_back({begin->kind,
                              {},
                              std::string(begin->id.escaped()),
                              std::string(begin->name.escaped()),
                              {}});
  } else if (const auto* delta = std::get_if<PartDelta>(&part)) {
    gathered_ += delta->text.escaped().size();
    if (gathered_ > limits::answer_bytes_max) {
      overflowed_ = true;
      return;
    }
    Answer::Piece& piece = answer_.pieces[delta->index];
    piece.text += delta->text.escaped();
    piece.signature += delta->signature.escaped();
  } else if (const auto* closing = std::get_if<Closing>(&part)) {
    answer_.reason = closing->reason;
    answer_.usage = closing->usage;
  }
}

}  // namespace spillway
