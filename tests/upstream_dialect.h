// What the tests of dialects spoken to providers share: a request of an OpenAI client as the target
// reads it, events as text, and the replay of recorded answers.
//
// Recordings: SPILLWAY_WIRE, or ../shared/wire beside the repository. Without them a replay is
// skipped with a line.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "adapters.h"
#include "dialect.h"
#include "framing.h"
#include "translate.h"

namespace spillway::upstream_dialect {

struct Encoded {
  std::string body;
  std::vector<std::string> dropped;
};

inline Encoded encode(const Dialect& dialect, const ChatRequest& request, const Target& target) {
  Encoded encoded;
  json::Writer out(encoded.body);
  Dropped dropped;
  dialect.encode_request(request, target, out, dropped);
  encoded.dropped.assign(dropped.begin(), dropped.end());
  EXPECT_TRUE(json::valid(encoded.body, json::Type::object)) << encoded.body;
  return encoded;
}

// The same from the body of a Chat Completions client.
inline Encoded encode(const Dialect& dialect, std::string_view body, const Target& target) {
  ChatRequest request;
  request.body = body;
  BadRequest problem;
  if (!adapters::openai_chat.decode_request(request, problem)) {
    ADD_FAILURE() << problem.param << ": " << problem.message;
    return {};
  }
  return encode(dialect, request, target);
}

// Also apart from what a client is told: there `other` is "stop".
inline std::string word_of(FinishReason reason) {
  return reason == FinishReason::other ? "other" : std::string(name_of(reason));
}

// One event as a line; texts stay escaped, so a line never breaks.
struct EventPrinter {
  std::string& out;

  static std::string quoted(JsonText text) { return '"' + std::string(text.escaped()) + '"'; }
  void line(const std::vector<std::string>& words) const {
    std::string_view separator;
    for (const std::string& word : words) {
      out += separator;
      out += word;
      separator = " ";
    }
    out += '\n';
  }

  void operator()(const Started& event) const {
    line({"started", quoted(event.id), quoted(event.model)});
  }
  void operator()(const Text& event) const { line({"text", quoted(event.text)}); }
  void operator()(const Reasoning& event) const {
    line({"reasoning", quoted(event.text), quoted(event.signature)});
  }
  void operator()(const ToolCall& event) const {
    line({"call", std::to_string(event.key), quoted(event.id), quoted(event.name),
          quoted(event.signature)});
  }
  void operator()(const ToolArguments& event) const {
    line({"arguments", std::to_string(event.key), quoted(event.fragment)});
  }
  void operator()(const ToolInput& event) const {
    line({"input", std::to_string(event.key), std::string(event.object)});
  }
  void operator()(const Refusal& event) const { line({"refusal", quoted(event.text)}); }
  void operator()(const Counted& event) const {
    const Usage& usage = event.usage;
    std::vector<std::string> words{"counted",
                                   std::to_string(usage.input),
                                   std::to_string(usage.output),
                                   std::to_string(usage.cache_read),
                                   std::to_string(usage.cache_write),
                                   std::to_string(usage.reasoning)};
    const auto add = [&words](const char* name, std::int64_t count) {
      if (count >= 0) words.push_back(name + std::to_string(count));
    };
    add("total=", usage.total);
    add("uncached=", event.input_uncached);
    add("tools=", event.input_tools);
    add("unreasoned=", event.output_unreasoned);
    line(words);
  }
  void operator()(const Finished& event) const {
    line({"finished", word_of(event.reason), quoted(event.raw)});
  }
  void operator()(const Failed& event) const {
    line({"failed", event.body.empty() ? quoted(event.finish) : std::string(event.body)});
  }
  void operator()(const Done&) const { line({"done"}); }
  void operator()(const Garbled& event) const { line({"garbled", event.problem}); }
  void operator()(const Remark& event) const { line({"remark", std::string(event.text)}); }
};

inline void print(const Events& events, std::string& out) {
  for (const Event& event : events) std::visit(EventPrinter{out}, event);
}

inline std::string decode_frame(const Dialect& dialect, std::string_view data,
                                std::string_view event = {}) {
  Events events;
  dialect.decode_frame(Frame{event, data}, events);
  std::string text;
  print(events, text);
  return text;
}

inline std::string decode_body(const Dialect& dialect, std::string_view body) {
  Events events;
  dialect.decode_body(body, events);
  std::string text;
  print(events, text);
  return text;
}

// What an answer comes to, whoever read it.
struct Gathered {
  std::string text;
  std::string reasoning;
  std::string calls;  // a line for each: name, then its arguments as compact JSON
  std::int64_t output_tokens = -1;
  friend bool operator==(const Gathered&, const Gathered&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Gathered& gathered) {
    return out << "text: " << gathered.text << "\nreasoning: " << gathered.reasoning << "\ncalls:\n"
               << gathered.calls << "output tokens: " << gathered.output_tokens;
  }
};

// Arguments in one spelling, so that two readers can be compared.
inline std::string compact(const std::string& arguments) {
  if (arguments.empty()) return "{}";
  const auto value = nlohmann::json::parse(arguments, nullptr, false);
  return value.is_discarded() ? "broken: " + arguments : value.dump();
}

// Sums up events as they come: fragments of a call by its key.
class Gatherer {
 public:
  void take(const Events& events) {
    for (const Event& event : events) {
      if (const auto* text = std::get_if<Text>(&event)) {
        json::append_unescaped(gathered_.text, text->text);
      } else if (const auto* reasoning = std::get_if<Reasoning>(&event)) {
        json::append_unescaped(gathered_.reasoning, reasoning->text);
      } else if (const auto* call = std::get_if<ToolCall>(&event)) {
        calls_.push_back({call->key, json::unescaped(call->name), {}});
      } else if (const auto* arguments = std::get_if<ToolArguments>(&event)) {
        append(arguments->key, json::unescaped(arguments->fragment));
      } else if (const auto* input = std::get_if<ToolInput>(&event)) {
        append(input->key, std::string(input->object));
      } else if (const auto* counted = std::get_if<Counted>(&event)) {
        const Usage& usage = counted->usage;
        if (usage.reasoning >= 0) reasoning_tokens_ = usage.reasoning;
        if (counted->output_unreasoned >= 0) unreasoned_tokens_ = counted->output_unreasoned;
        if (usage.output >= 0) gathered_.output_tokens = usage.output;
        if (usage.output < 0 && (usage.reasoning >= 0 || counted->output_unreasoned >= 0))
          gathered_.output_tokens = unreasoned_tokens_ + reasoning_tokens_;
      }
      finished_ += std::holds_alternative<Finished>(event);
      done_ += std::holds_alternative<Done>(event);
      failed_ += std::holds_alternative<Failed>(event);
      garbled_ += std::holds_alternative<Garbled>(event);
    }
  }
  [[nodiscard]] Gathered gathered() const {
    Gathered gathered = gathered_;
    for (const Call& call : calls_) gathered.calls += call.name + " " + compact(call.text) + "\n";
    return gathered;
  }
  [[nodiscard]] int finished() const { return finished_; }
  [[nodiscard]] int done() const { return done_; }
  [[nodiscard]] int failed() const { return failed_; }
  [[nodiscard]] int garbled() const { return garbled_; }

 private:
  struct Call {
    CallKey key;
    std::string name;
    std::string text;
  };
  void append(CallKey key, const std::string& text) {
    for (auto call = calls_.rbegin(); call != calls_.rend(); ++call)
      if (key == kLatestCall || call->key == key) {
        call->text += text;
        return;
      }
  }
  Gathered gathered_;
  std::int64_t reasoning_tokens_ = 0;
  std::int64_t unreasoned_tokens_ = 0;
  std::vector<Call> calls_;
  int finished_ = 0;
  int done_ = 0;
  int failed_ = 0;
  int garbled_ = 0;
};

// --- recordings

struct Recording {
  std::string file;
  std::string bytes;
  std::vector<std::size_t> chunk_sizes;  // as the socket gave them; empty when not recorded
};

inline std::filesystem::path wire_folder() {
  if (const char* const folder = std::getenv("SPILLWAY_WIRE")) return folder;
#ifdef SPILLWAY_SOURCE_DIR
  return std::filesystem::path(SPILLWAY_SOURCE_DIR) / ".." / "shared" / "wire";
#else
  return std::filesystem::path("..") / "shared" / "wire";
#endif
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The recordings of one kind whose api is one of `apis`.
inline std::vector<Recording> recordings(std::string_view kind,
                                         const std::vector<std::string>& apis) {
  std::vector<Recording> found;
  const std::filesystem::path folder = wire_folder();
  std::ifstream manifest(folder / "MANIFEST.jsonl");
  for (std::string line; std::getline(manifest, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object() || row.value("kind", "") != kind) continue;
    if (std::find(apis.begin(), apis.end(), row.value("api", "")) == apis.end()) continue;
    if (row.value("provider", "") == "openai") continue;  // has another API called "messages"
    Recording recording{row.value("file", ""), {}, {}};
    recording.bytes = read_file(folder / recording.file);
    if (row.contains("net_chunks")) {
      const std::string sizes = read_file(folder / (recording.file + ".chunksizes.json"));
      for (const auto& size : nlohmann::json::parse(sizes, nullptr, false))
        recording.chunk_sizes.push_back(size.get<std::size_t>());
    }
    found.push_back(std::move(recording));
  }
  return found;
}

// A stream fed in pieces: the next size is asked for until all is fed.
struct Replayed {
  std::string events;
  Gatherer gatherer;
};
inline Replayed replay(const Dialect& dialect, std::string_view bytes,
                       const std::function<std::size_t()>& next_size) {
  Replayed replayed;
  Events events;
  Framing framing(dialect.framing);
  const auto drain = [&] {
    while (const auto frame = framing.next()) {
      events.clear();
      dialect.decode_frame(*frame, events);
      print(events, replayed.events);
      replayed.gatherer.take(events);
    }
  };
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = std::min(std::max<std::size_t>(next_size(), 1), bytes.size() - at);
    // A copy of exactly this size: reading past a chunk is seen by the sanitizer.
    const std::vector<char> chunk(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                  bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
    framing.feed(std::string_view(chunk.data(), chunk.size()));
    drain();
    at += size;
  }
  framing.end();
  drain();
  return replayed;
}

// Each recorded stream whole, byte by byte and as the socket cut it gives the same events; they are
// well formed and say what `expect`, another reader of the same bytes, makes of the data of its
// frames.
inline void replay_streams(
    const Dialect& dialect, const std::vector<std::string>& apis, bool has_terminator,
    const std::function<Gathered(const std::vector<nlohmann::json>&)>& expect) {
  const std::vector<Recording> streams = recordings("sse", apis);
  if (streams.empty()) GTEST_SKIP() << "no recordings in " << wire_folder();
  std::size_t with_sizes = 0;
  for (const Recording& stream : streams) {
    SCOPED_TRACE(stream.file);
    const Replayed whole = replay(dialect, stream.bytes, [&] { return stream.bytes.size(); });
    const Replayed bytewise = replay(dialect, stream.bytes, [] { return std::size_t{1}; });
    EXPECT_EQ(whole.events, bytewise.events);
    if (!stream.chunk_sizes.empty()) {
      ++with_sizes;
      std::size_t chunk = 0;
      const Replayed recorded = replay(dialect, stream.bytes, [&] {
        return chunk < stream.chunk_sizes.size() ? stream.chunk_sizes[chunk++]
                                                 : stream.bytes.size();
      });
      EXPECT_EQ(whole.events, recorded.events);
    }
    EXPECT_EQ(whole.gatherer.garbled(), 0);
    EXPECT_EQ(whole.gatherer.failed(), 0);
    EXPECT_GE(whole.gatherer.finished(), 1);
    EXPECT_EQ(whole.gatherer.done() >= 1, has_terminator);

    std::vector<nlohmann::json> frames;
    std::istringstream lines(stream.bytes);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("data:")) continue;
      auto value = nlohmann::json::parse(line.substr(5), nullptr, false);
      if (!value.is_discarded() && value.is_object()) frames.push_back(std::move(value));
    }
    EXPECT_EQ(whole.gatherer.gathered(), expect(frames));
  }
  std::cout << "replayed " << streams.size() << " streams, " << with_sizes
            << " of them also as the socket cut them\n";
}

// Each recorded request of a Chat Completions client, whatever provider it was sent to, as the
// dialect puts it.
inline void translate_requests(
    const Dialect& dialect, const Target& target,
    const std::function<void(const ChatRequest&, const nlohmann::json&)>& check) {
  const std::filesystem::path folder = wire_folder();
  std::ifstream manifest(folder / "MANIFEST.jsonl");
  std::size_t translated = 0;
  std::size_t refused = 0;
  for (std::string line; std::getline(manifest, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object() || row.value("api", "") != "chat" || !row.contains("request")) continue;
    const auto file = row["request"].is_string() ? row["request"].get<std::string>() : "";
    SCOPED_TRACE(file);
    ChatRequest request;
    request.body = read_file(folder / file);
    BadRequest problem;
    if (!adapters::openai_chat.decode_request(request, problem)) {
      ++refused;
      continue;
    }
    const Encoded encoded = encode(dialect, request, target);
    check(request, nlohmann::json::parse(encoded.body, nullptr, false));
    ++translated;
  }
  if (translated == 0) GTEST_SKIP() << "no recordings in " << folder;
  std::cout << "translated " << translated << " requests, " << refused << " were bad\n";
  EXPECT_LT(refused, translated / 10);
}

// Each recorded whole answer reads as the stream that it would have been.
inline void read_bodies(const Dialect& dialect, const std::vector<std::string>& apis,
                        const std::function<Gathered(const nlohmann::json&)>& expect) {
  const std::vector<Recording> bodies = recordings("json", apis);
  if (bodies.empty()) GTEST_SKIP() << "no recordings in " << wire_folder();
  for (const Recording& body : bodies) {
    SCOPED_TRACE(body.file);
    Events events;
    dialect.decode_body(body.bytes, events);
    Gatherer gatherer;
    gatherer.take(events);
    EXPECT_EQ(gatherer.garbled() + gatherer.failed(), 0);
    EXPECT_GE(gatherer.finished(), 1);
    ASSERT_FALSE(events.empty());
    EXPECT_TRUE(std::holds_alternative<Done>(events.back()));
    EXPECT_EQ(gatherer.gathered(), expect(nlohmann::json::parse(body.bytes, nullptr, false)));
  }
  std::cout << "read " << bodies.size() << " whole answers\n";
}

// Each recorded error reads as one failure, whole, and nothing else that counts.
inline void read_errors(const Dialect& dialect, const std::vector<std::string>& apis) {
  const std::vector<Recording> errors = recordings("error", apis);
  if (errors.empty()) GTEST_SKIP() << "no recordings in " << wire_folder();
  for (const Recording& error : errors) {
    SCOPED_TRACE(error.file);
    Events events;
    dialect.decode_body(error.bytes, events);
    Gatherer gatherer;
    gatherer.take(events);
    EXPECT_EQ(gatherer.garbled() + gatherer.finished(), 0);
    EXPECT_EQ(gatherer.failed(), 1);
    for (const Event& event : events)
      if (const auto* failed = std::get_if<Failed>(&event)) EXPECT_EQ(failed->body, error.bytes);
  }
  std::cout << "read " << errors.size() << " errors\n";
}

// No prefix of a frame and no frame with one byte changed breaks the reader; a cut one is never
// half told.
inline void survive_damage(const Dialect& dialect, std::string_view data) {
  EXPECT_EQ(decode_frame(dialect, ""), "remark \n");
  for (std::size_t size = 1; size < data.size(); ++size) {
    const std::string text = decode_frame(dialect, std::string(data.substr(0, size)));
    EXPECT_EQ(text.rfind("garbled ", 0), 0U) << text;
    EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
  }
  for (std::size_t at = 0; at < data.size(); ++at)
    for (const char c : {'\0', '"', '{', '}', '[', ',', '9', 'n', '\\', '\xFF'}) {
      std::string damaged(data);
      damaged[at] = c;
      decode_frame(dialect, damaged);
      decode_body(dialect, damaged);
    }
}

}  // namespace spillway::upstream_dialect
