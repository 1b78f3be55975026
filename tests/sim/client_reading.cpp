#include <algorithm>
#include <optional>

#include "client.h"
#include "json.h"
#include "text.h"

namespace spillway::sim {

namespace {

// So much of what has been told can be taken back.
struct Sizes {
  explicit Sizes(const Told& told)
      : text(told.text.size()),
        reasoning(told.reasoning.size()),
        refusal(told.refusal.size()),
        calls(told.calls),
        finish(told.finish) {}
  void restore(Told& told) const {
    told.text.resize(text);
    told.reasoning.resize(reasoning);
    told.refusal.resize(refusal);
    told.calls = calls;
    told.finish = finish;
  }

  std::size_t text;
  std::size_t reasoning;
  std::size_t refusal;
  std::vector<Told::ToolCall> calls;
  std::string finish;
};

// One chunk of a stream, or a whole answer, as a client's library reads it.
class ChunkReader {
 public:
  explicit ChunkReader(Told& told) : told_(told) {}

  bool read(std::string_view text) {
    json::Reader in(text);
    if (!in.enter_object()) return false;
    std::optional<Sizes> before;
    while (in.next_member()) {
      if (in.key() == "choices") {
        // Of two members of one name the last counts.
        if (before) {
          before->restore(told_);
        } else {
          before.emplace(told_);
        }
        choices = 0;
        if (!in.enter_array()) continue;
        while (in.next_element()) {
          ++choices;
          read_choice(in);
        }
      } else if (in.key() == "usage") {
        read_usage(in);
      } else if (in.key() == "error") {
        read_error(in);
      } else if (in.key() == "object") {
        object = in.string().value_or(JsonText()).escaped();
      } else if (in.key() == "id") {
        id = in.string().value_or(JsonText()).escaped();
      }
    }
    return in.finish();
  }

  bool has_error = false;
  std::string error_code;
  std::string error_type;
  bool has_usage = false;
  Usage usage;
  std::size_t choices = 0;
  std::string object;
  std::string id;
  Bill bill;

 private:
  static void append(std::string& to, json::Reader& in) {
    to += in.string().value_or(JsonText()).escaped();
  }

  void read_choice(json::Reader& in) {
    if (!in.enter_object()) return;
    while (in.next_member()) {
      if (in.key() == "delta" || in.key() == "message") {
        read_delta(in);
      } else if (in.key() == "finish_reason") {
        const JsonText word = in.string().value_or(JsonText());
        if (!word.empty()) told_.finish = word.escaped();
      }
    }
  }

  void read_delta(json::Reader& in) {
    if (!in.enter_object()) return;
    while (in.next_member()) {
      if (in.key() == "content") {
        append(told_.text, in);
      } else if (in.key() == "reasoning_content" || in.key() == "reasoning") {
        append(told_.reasoning, in);
      } else if (in.key() == "refusal") {
        append(told_.refusal, in);
      } else if (in.key() == "tool_calls" && in.enter_array()) {
        for (std::size_t position = 0; in.next_element(); ++position) read_call(in, position);
      }
    }
  }

  void read_call(json::Reader& in, std::size_t position) {
    Told::ToolCall call;
    if (!in.enter_object()) return;
    while (in.next_member()) {
      if (in.key() == "index") {
        position = static_cast<std::size_t>(in.integer().value_or(0));
      } else if (in.key() == "id") {
        append(call.id, in);
      } else if (in.key() == "function" && in.enter_object()) {
        while (in.next_member()) {
          if (in.key() == "name") append(call.name, in);
          if (in.key() == "arguments") append(call.arguments, in);
        }
      }
    }
    constexpr std::size_t calls_max = 64;
    if (told_.calls.size() <= position) told_.calls.resize(std::min(position, calls_max) + 1);
    Told::ToolCall& known = told_.calls[std::min(position, calls_max)];
    known.id += call.id;
    known.name += call.name;
    known.arguments += call.arguments;
  }

  void read_usage(json::Reader& in) {
    if (!in.enter_object()) return;
    has_usage = true;
    while (in.next_member()) {
      if (in.key() == "prompt_tokens") usage.input = in.integer().value_or(-1);
      if (in.key() == "completion_tokens") usage.output = in.integer().value_or(-1);
      if (in.key() == "spillway") read_bill(in);
    }
  }

  void read_bill(json::Reader& in) {
    if (!in.enter_object()) return;
    while (in.next_member()) {
      if (in.key() == "rescues") bill.rescues = in.integer().value_or(-1);
      if (in.key() != "engines" || !in.enter_array()) continue;
      while (in.next_element()) {
        Bill::Line& line = bill.lines.emplace_back();
        if (!in.enter_object()) continue;
        while (in.next_member()) {
          if (in.key() == "engine") append(line.engine, in);
          if (in.key() == "prompt_tokens") line.usage.input = in.integer().value_or(-2);
          if (in.key() == "completion_tokens") line.usage.output = in.integer().value_or(-2);
        }
      }
    }
  }

  void read_error(json::Reader& in) {
    if (in.null()) return;
    has_error = true;
    if (!in.enter_object()) return;
    while (in.next_member()) {
      if (in.key() == "code") append(error_code, in);
      if (in.key() == "type") append(error_type, in);
    }
  }

  Told& told_;
};

}  // namespace

void Reading::begin(bool stream) { stream_ = stream; }

void Reading::wrong(std::string_view what, std::string_view data) {
  if (!problem_.empty()) return;
  problem_ = std::string(what) + ": " + std::string(data.substr(0, 300));
}

void Reading::take(std::string_view bytes, bool native) {
  bytes_ += bytes.size();
  if (!stream_) {
    body_ += bytes;
    return;
  }
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    // Line ends complete what is there and add nothing.
    if (!native && !trimmed(bytes.substr(0, end)).empty()) native_ = false;
    if (end == std::string_view::npos) {
      line_ += bytes;
      return;
    }
    if (line_.empty()) {
      take_line(bytes.substr(0, end));
    } else {
      line_ += bytes.substr(0, end);
      take_line(line_);
      line_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
}

void Reading::take_line(std::string_view line) {
  if (at_start_ && starts_with(line, "\xEF\xBB\xBF")) line.remove_prefix(3);
  at_start_ = false;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line.empty()) return dispatch();
  if (!starts_with(line, "data:")) return;
  line.remove_prefix(5);
  if (starts_with(line, " ")) line.remove_prefix(1);
  if (has_data_) data_ += '\n';
  has_data_ = true;
  data_ += line;
}

void Reading::dispatch() {
  const bool native = native_;
  native_ = true;
  if (!has_data_) return;
  has_data_ = false;
  const std::string data = std::move(data_);
  data_.clear();
  if (over_ == Over::broken) return read_on(data, native);
  // What a provider itself sends behind its end, natively, no one can take back.
  if (over_ != Over::no && native) return;
  if (over_ != Over::no && !late_error_)
    return wrong("an event comes behind the end of the stream", data);
  if (data == "[DONE]") {
    over_ = Over::done;
    return;
  }
  const Sizes sizes(told_);
  ChunkReader chunk(told_);
  if (!chunk.read(data)) {
    sizes.restore(told_);
    over_ = Over::broken;
    if (!native) wrong("an event is no JSON object", data);
    return;
  }
  if (chunk.has_error) {
    sizes.restore(told_);
    over_ = Over::error;
    error_code_ = std::move(chunk.error_code);
    error_type_ = std::move(chunk.error_type);
    return;
  }
  if (told_.text.size() > sizes.text && !chunk.id.empty()) {
    if (!id_.empty() && chunk.id != id_) wrong("the answer has another id than before", data);
    id_ = std::move(chunk.id);
  }
  if (!chunk.has_usage) return;
  bill_ = std::move(chunk.bill);
  if (chunk.choices == 0) usage_alone_ = true;
  usage_told_ = true;
  usage_ = chunk.usage;
}

// What is written must fit where the stream is, whatever the provider has put there.
void Reading::read_on(const std::string& data, bool native) {
  if (skipped_over_ != Over::no) {
    if (!native && !late_error_) wrong("an event comes behind the end of the stream", data);
    return;
  }
  if (data == "[DONE]") {
    skipped_over_ = Over::done;
    return;
  }
  Told ignored;
  ChunkReader chunk(ignored);
  if (!chunk.read(data)) {
    if (!native) wrong("an event is no JSON object", data);
  } else if (chunk.has_error) {
    skipped_over_ = Over::error;
  }
}

void Reading::finish() {
  if (stream_) {
    if (over_ == Over::broken && skipped_over_ == Over::no)
      wrong("the stream ends with neither [DONE] nor an error behind what cannot be read",
            line_ + data_);
    if (over_ == Over::no) wrong("the stream ends with neither [DONE] nor an error", line_ + data_);
    if ((has_data_ || !line_.empty()) && !native_)
      wrong("the last event is not complete", line_ + data_);
    return;
  }
  ChunkReader answer(told_);
  if (!answer.read(body_)) return wrong("the body is no JSON object", body_);
  if (answer.has_error) {
    over_ = Over::error;
    error_code_ = std::move(answer.error_code);
    error_type_ = std::move(answer.error_type);
    return;
  }
  over_ = Over::done;
  choices_ = answer.choices;
  usage_told_ = answer.has_usage;
  usage_ = answer.usage;
}

}  // namespace spillway::sim
