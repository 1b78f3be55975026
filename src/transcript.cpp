#include "transcript.h"

#include <algorithm>
#include <initializer_list>

#include "limits.h"
#include "text.h"

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

void Transcript::take(const Event& event, Parts& out) {
  if (const auto* text = std::get_if<Text>(&event)) {
    take_text(text->text, out);
  } else if (const auto* counted = std::get_if<Counted>(&event)) {
    count(*counted);
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
    take_arguments(*arguments, out);
  } else if (const auto* input = std::get_if<ToolInput>(&event)) {
    scratch_.clear();
    json::append_escaped(scratch_, input->object);
    take_arguments({input->key, JsonText::trusted(scratch_), false}, out);
  } else if (const auto* finished = std::get_if<Finished>(&event)) {
    finished_ = finished->reason;
    met_stop_sequence_ = finished->raw == JsonText::trusted("stop_sequence");
  }
}

// A 0 told late is not known better than a count.
void Transcript::count(const Counted& told) {
  const auto merge = [](std::int64_t& known, std::int64_t count) {
    if (count > 0 || known < 0) known = count;
  };
  merge(counted_.usage.input, told.usage.input);
  merge(counted_.usage.output, told.usage.output);
  merge(counted_.usage.cache_read, told.usage.cache_read);
  merge(counted_.usage.cache_write, told.usage.cache_write);
  merge(counted_.usage.reasoning, told.usage.reasoning);
  merge(counted_.usage.total, told.usage.total);
  merge(counted_.input_uncached, told.input_uncached);
  merge(counted_.input_tools, told.input_tools);
  merge(counted_.output_unreasoned, told.output_unreasoned);
}

Usage Transcript::usage() const {
  const auto sum = [](std::initializer_list<std::int64_t> counts) {
    std::int64_t all = -1;
    for (const std::int64_t count : counts)
      if (count >= 0) all = std::max<std::int64_t>(all, 0) + count;
    return all;
  };
  Usage usage = counted_.usage;
  usage.input = usage.input >= 0 ? sum({usage.input, counted_.input_tools})
                                 : sum({counted_.input_uncached, counted_.input_tools,
                                        usage.cache_read, usage.cache_write});
  if (usage.output < 0) {
    usage.output = sum({counted_.output_unreasoned, usage.reasoning});
  } else if (usage.reasoning > 0 && (quirks_ & quirk::usage_excludes_reasoning) != 0) {
    usage.output += usage.reasoning;
  }
  usage.cache_read = std::min(usage.cache_read, usage.input);
  return usage;
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
    if (!calls_.empty()) begin_calls(out);
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

// The call that is gone on with, nullptr when another one begins. Providers of one dialect give
// each delta a new id, one id two keys, all calls one key, or no ids at all; what tells calls apart
// then is that the arguments of the one are whole and the next has a name. `twin`: one of the same
// id that was whole before.
Transcript::Call* Transcript::find_call(const ToolCall& told, Call*& twin) {
  if (told.key == kLatestCall) return nullptr;
  const std::string_view id = told.id.escaped();
  const std::string_view name = told.name.escaped();
  if (!id.empty()) {
    const auto same = std::find_if(calls_.rbegin(), calls_.rend(),
                                   [id](const Call& call) { return call.id == id; });
    if (same != calls_.rend()) {
      if (!same->arguments.whole() || name.empty()) return &*same;
      if (name == same->name) twin = &*same;
      return nullptr;
    }
  }
  Call* const known = find_call(told.key);
  if (known == nullptr || name.empty() || known->name.empty()) return known;
  if (known->arguments.whole()) return nullptr;
  const bool is_same_name = name == known->name;
  if (known->arguments.begun()) return is_same_name ? known : nullptr;
  const bool is_other_id = !id.empty() && !known->id.empty();
  return is_other_id || (told.is_typed && !starts_with(name, known->name)) ? nullptr : known;
}

Transcript::Call* Transcript::add_call(CallKey key, Parts& out) {
  if (calls_.size() == limits::tool_calls_max) {
    overflowed_ = true;
    return nullptr;
  }
  if (open_part_) end_part(out);
  begin_calls(out);
  Call& call = calls_.emplace_back();
  call.key = key;
  return &call;
}

// A name may be repeated, in pieces, or told as far as it is known.
void Transcript::add_name(Call& call, JsonText told) {
  const std::string_view name = told.escaped();
  if (call.begun || name.empty() || name == call.name) return;
  const bool is_longer = name.substr(0, call.name.size()) == call.name;
  if (is_longer) call.name.clear();
  call.name += name;
  overflowed_ = overflowed_ || call.name.size() > limits::answer_bytes_max;
  has_content_ = true;
}

void Transcript::take_call(const ToolCall& told, Parts& out) {
  Call* twin = nullptr;
  Call* call = find_call(told, twin);
  if (call == nullptr) {
    call = add_call(told.key, out);
    if (call == nullptr) return;
    call->twin = twin;
  }
  call->key = told.key;
  if (call->id.empty()) call->id = told.id.escaped();
  add_name(*call, told.name);
  if (!told.signature.empty()) {
    call->signature = told.signature.escaped();
    if (call->begun)
      emit(PartDelta{call->index, PartKind::tool_call, call->tool_index, {}, told.signature}, out);
  }
  if (!call->held.empty() && !call->waits()) begin_call(*call, out);
}

// The id that the client gets: one that is missing, or another call's, is made.
void Transcript::choose_id(Call& call) const {
  const bool is_taken = std::any_of(calls_.begin(), calls_.end(), [&call](const Call& other) {
    return other.begun && other.told_id == call.id;
  });
  call.told_id = call.id;
  if (!call.id.empty() && !is_taken) return;
  constexpr std::string_view hex = "0123456789abcdef";
  call.told_id = "call_";
  std::uint64_t bits = seed_ + 0x9E3779B97F4A7C15ULL * (call.tool_index + 1);
  for (int i = 0; i < 16; ++i, bits >>= 4) call.told_id.push_back(hex[bits & 15]);
}

void Transcript::begin_call(Call& call, Parts& out) {
  if (call.begun) return;
  if (open_part_) end_part(out);
  call.index = next_index_++;
  call.tool_index = next_tool_index_++;
  choose_id(call);
  call.begun = true;
  emit(PartBegin{call.index, PartKind::tool_call, call.tool_index, JsonText::trusted(call.told_id),
                 JsonText::trusted(call.name)},
       out);
  if (!call.signature.empty())
    emit(PartDelta{call.index,
                   PartKind::tool_call,
                   call.tool_index,
                   {},
                   JsonText::trusted(call.signature)},
         out);
  if (!call.held.empty())
    emit(
        PartDelta{
            call.index, PartKind::tool_call, call.tool_index, JsonText::trusted(call.held), {}},
        out);
}

// Those that have a name wait for nothing more.
void Transcript::begin_calls(Parts& out) {
  for (Call& call : calls_)
    if (!call.name.empty() && !call.is_repetition()) begin_call(call, out);
}

bool Transcript::has_nameless_call() const {
  return std::any_of(calls_.begin(), calls_.end(),
                     [](const Call& call) { return call.name.empty(); });
}

void Transcript::take_arguments(const ToolArguments& told, Parts& out) {
  JsonText fragment = told.fragment;
  if (fragment.empty()) return;
  Call* call = find_call(told.key);
  if (call == nullptr && told.may_begin) call = add_call(told.key, out);
  if (call == nullptr) return;
  if (!call->has_arguments) {
    call->arguments = {};
    // Some begin with an empty object and let the arguments follow. Without any, it is told last.
    if (fragment == JsonText::trusted("{}")) {
      (void)call->arguments.follow(fragment);
      return;
    }
  }
  fragment = call->arguments.follow(fragment);
  if (fragment.empty()) return;  // told before
  call->has_arguments = true;
  if (call->waits()) {
    call->held += fragment.escaped();
    overflowed_ = overflowed_ || call->held.size() > limits::answer_bytes_max;
    if (call->twin == nullptr || !call->arguments.whole() || call->is_repetition()) return;
    call->twin = nullptr;  // its id alone is another's
    return begin_call(*call, out);
  }
  begin_call(*call, out);
  emit(PartDelta{call->index, PartKind::tool_call, call->tool_index, fragment, {}}, out);
}

FinishReason Transcript::reason() const {
  const FinishReason told = finished_.value_or(FinishReason::other);
  if (told == FinishReason::length || told == FinishReason::content_filter) return told;
  const bool calls = std::any_of(calls_.begin(), calls_.end(),
                                 [](const Call& call) { return !call.name.empty(); });
  return calls ? FinishReason::tool_calls : FinishReason::stop;
}

void Transcript::close(Parts& out) {
  if (!tag_.empty()) {
    scratch_ = std::move(tag_);
    tag_.clear();
    say(thinking_ == Thinking::inside ? PartKind::reasoning : PartKind::text,
        JsonText::trusted(scratch_), {}, out);
  }
  if (open_part_) end_part(out);
  begin_calls(out);
  for (const Call& call : calls_) {
    if (!call.begun) continue;
    if (!call.has_arguments)
      emit(PartDelta{call.index, PartKind::tool_call, call.tool_index, JsonText::plain("{}"), {}},
           out);
    emit(PartEnd{call.index, PartKind::tool_call, call.tool_index}, out);
  }
  emit(Closing{reason(), usage()}, out);
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
