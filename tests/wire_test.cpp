// Real recorded answers of thirty providers, decoded whole, byte by byte and in the socket reads
// they came in: the same well-formed transcript each time, which printed for a client and read back
// says the same.
//
// The recordings stand beside the repository (SPILLWAY_WIRE, default ../shared/wire); without them
// the test is skipped. MANIFEST.jsonl has a line for each: file, provider, api, kind and the
// request that was sent.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "adapters.h"
#include "case_run.h"
#include "config.h"
#include "framing.h"
#include "transcript.h"

namespace spillway {
namespace {

using Json = nlohmann::json;

struct Recording {
  std::string file;
  std::string provider;
  const Dialect* dialect = nullptr;
  bool streamed = true;
};

// Why a recording is not a complete, plain answer.
struct Exception {
  std::string_view file;
  std::string_view reason;
};
constexpr Exception kFailed[] = {
    {"azure/json/chat--openllmetry-testing--de7e6af9.json", "a filter's error with status 200"},
    {"cerebras/streams/chat--llama3.1-8b--915095d6.sse", "the recorder left a quote behind it"},
    {"groq/streams/chat--meta-llama-llama-4-scout-17b-16e-instruct--903f1d52.sse", "an error"},
    {"groq/streams/chat--meta-llama-llama-4-scout-17b-16e-instruct--95c09869.sse", "an error"},
    {"groq/streams/chat--openai-gpt-oss-120b--36e74e07.sse", "an error after content"},
    {"groq/streams/chat--openai-gpt-oss-120b--86bc1adc.sse", "an error after reasoning"},
    {"openrouter/streams/chat--google-gemini-2.5-flash-lite--afdd60b4.sse",
     "an error inside a choice: malformed function call"},
    {"openrouter/streams/chat--meta-llama-llama-3.3-70b-instruct-free--fbe8eb76.sse",
     "an error before content"},
    {"openrouter/streams/chat--minimax-minimax-m2-free--eb07db62.sse", "an error beside choices"},
};
// These end with the dialect's terminator, or whole, and never say why.
constexpr Exception kUnfinished[] = {
    {"openai/json/chat--gpt-4-vision-preview--8a31b26c.json", "finish_details of a preview"},
    {"openai/json/messages--x--1923be52.json", "a list of messages, no answer"},
    {"openai/streams/chat--gpt-4.1-mini--4a97c4a8.sse", "Kimi K2 behind a gateway"},
    {"openai/streams/chat--gpt-4.1-mini--c34c983c.sse", "Kimi K2 behind a gateway"},
    {"openrouter/json/chat--deepseek-deepseek-r1--436d55ea.json", "Nebius behind a gateway"},
    {"openrouter/streams/chat--minimax-minimax-m2-free--a8eb765d.sse", "gave nothing at all"},
    {"snowflake/json/chat--claude-sonnet-4-6--08faf2d8.json", "Snowflake never does"},
    {"snowflake/streams/chat--claude-sonnet-4-6--3a05f2bd.sse", "Snowflake never does"},
    {"snowflake/streams/chat--claude-sonnet-4-6--3d36bcc2.sse", "Snowflake never does"},
};
constexpr Exception kEmpty[] = {
    {"anthropic/streams/messages--claude-haiku-4-5--5e6278dd.sse", "a stop sequence at once"},
    {"anthropic/streams/messages--claude-haiku-4-5-20251001--ca987c80.sse", "an empty text"},
    {"azure/json/chat--openllmetry-testing--a19075b9.json", "filtered"},
    {"azure/streams/chat--gpt-5-nano--3683169d.sse", "the limit went to hidden reasoning"},
    {"cloudflare/json/chat--cf-meta-llama-3.3-70b-instruct-fp8-fast--3fada016.json",
     "JSON mode of Workers AI: the content is an object, when it is not streamed"},
    {"deepseek/json/chat--deepseek-v4-flash--abdb3afe.json", "the limit went to hidden reasoning"},
    {"deepseek/streams/chat--deepseek-v4-flash--789ac54a.sse",
     "the limit went to hidden reasoning"},
    {"gemini/json/generate--gemini-2.0-flash-001--f6be6227.json", "an empty text"},
    {"llamacpp/json/chat--qwen3-1.7b-q4-k-m--d0a94a3c.json", "one token, hidden"},
    {"mistral/json/chat--ministral-3b-latest--b1d622e0.json", "one token, hidden"},
    {"mistral/streams/chat--ministral-3b-latest--0abecb44.sse", "one token, hidden"},
    {"mistral/streams/chat--mistral-small-latest--fa2242fb.sse", "one token, hidden"},
    {"openai/json/messages--x--1923be52.json", "a list of messages, no answer"},
    {"openai/streams/chat--gpt-5-mini--74417d2b.sse", "the limit went to hidden reasoning"},
    {"openai/streams/chat--gpt-5-mini--b4afec3c.sse", "the limit went to hidden reasoning"},
    {"openrouter/streams/chat--minimax-minimax-m2-free--a8eb765d.sse", "gave nothing at all"},
    {"openrouter/streams/chat--mistralai-mistral-small-3.1-24b-instruct--ce32d201.sse",
     "500 tokens that are not shown, then the limit"},
    {"openrouter/streams/chat--openai-gpt-5-pro--1894a19d.sse",
     "the limit went to hidden reasoning"},
    {"vertex/json/generate--gemini-2.5-pro--a18def38.json", "the limit went to thoughts"},
};

template <std::size_t N>
bool listed(const Exception (&rows)[N], const std::string& file) {
  return std::any_of(std::begin(rows), std::end(rows),
                     [&file](const Exception& row) { return row.file == file; });
}

std::string folder() {
  const char* given = std::getenv("SPILLWAY_WIRE");
  return given != nullptr ? given : std::string(SPILLWAY_SOURCE_DIR) + "/../shared/wire";
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  return content.str();
}

const Dialect* dialect_of(std::string_view api) {
  if (api == "chat") return &adapters::openai_chat;
  if (api == "messages" || api.substr(0, 10) == "rawpredict") return &adapters::anthropic;
  if (api == "generate" || api == "generate-stream") return &adapters::gemini;
  return nullptr;
}

std::vector<Recording> recordings() {
  std::vector<Recording> all;
  std::istringstream lines(read_file(folder() + "/MANIFEST.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line, nullptr, false);
    if (!entry.is_object()) continue;
    const std::string kind = entry.value("kind", "");
    Recording recording;
    recording.file = entry.value("file", "");
    recording.provider = entry.value("provider", "");
    recording.dialect = dialect_of(entry.value("api", ""));
    recording.streamed = kind == "sse" || kind == "ndjson";
    const bool answers = recording.streamed || (kind == "json" && entry.value("status", 0) == 200);
    if (recording.dialect != nullptr && answers) all.push_back(std::move(recording));
  }
  return all;
}

// What a provider's row in the registry says about its streams.
quirk::Set quirks_of(const Config& config, const std::string& provider) {
  const Provider* row = config.find_provider(provider);
  return row == nullptr ? 0 : row->quirks;
}

// --- one answer, written down

struct Call {
  std::string id;
  std::string name;
  std::string arguments;
  friend bool operator==(const Call&, const Call&) = default;
};

struct Said {
  std::string text;
  std::string reasoning;
  std::string refusal;
  std::vector<Call> calls;
  FinishReason reason = FinishReason::stop;
  std::int64_t input = -1;
  std::int64_t output = -1;
};

// Follows the parts of one answer: writes them down, and what is wrong with their order.
class Scribe {
 public:
  void take(const Part& part) { std::visit(*this, part); }

  void operator()(const Opening&) {
    if (opened_) fault("opened twice");
    opened_ = true;
    log_ += "opening\n";
  }
  void operator()(const PartBegin& begin) {
    check_open();
    if (begin.index != parts_.size()) fault("a part's index does not count on");
    const bool is_call = begin.kind == PartKind::tool_call;
    for (const State& part : parts_)
      if (part.open && part.kind != PartKind::tool_call)
        fault("a part begins inside one that is no call");
    parts_.push_back({begin.kind, true});
    log_ += "begin " + std::to_string(begin.index) + " " +
            std::to_string(static_cast<int>(begin.kind)) + " " + std::string(begin.id.escaped()) +
            " " + std::string(begin.name.escaped()) + "\n";
    if (!is_call) return;
    if (begin.tool_index != said_.calls.size()) fault("a call's index does not count on");
    if (begin.id.empty()) fault("a call without an id");
    if (begin.name.empty()) fault("a call without a name");
    said_.calls.push_back({json::unescaped(begin.id), json::unescaped(begin.name), {}});
  }
  void operator()(const PartDelta& delta) {
    check(delta.index, delta.kind);
    log_ += "delta " + std::to_string(delta.index) + " " + std::string(delta.text.escaped()) + " " +
            std::string(delta.signature.escaped()) + "\n";
    std::string* to = nullptr;
    switch (delta.kind) {
      case PartKind::text:
        to = &said_.text;
        break;
      case PartKind::reasoning:
        to = &said_.reasoning;
        break;
      case PartKind::refusal:
        to = &said_.refusal;
        break;
      case PartKind::tool_call:
        if (delta.tool_index >= said_.calls.size()) return fault("a fragment of no call");
        to = &said_.calls[delta.tool_index].arguments;
        break;
    }
    *to += delta.text.escaped();
  }
  void operator()(const PartEnd& end) {
    check(end.index, end.kind);
    log_ += "end " + std::to_string(end.index) + "\n";
    if (end.index < parts_.size()) parts_[end.index].open = false;
  }
  void operator()(const Closing& closing) {
    check_open();
    closed_ = true;
    for (const State& part : parts_)
      if (part.open) fault("a part is open at the end");
    said_.reason = closing.reason;
    said_.input = closing.usage.input;
    said_.output = closing.usage.output;
    log_ += "closing " + std::string(name_of(closing.reason)) + " " +
            std::to_string(closing.usage.input) + " " + std::to_string(closing.usage.output) + " " +
            std::to_string(closing.usage.cache_read) + " " +
            std::to_string(closing.usage.cache_write) + " " +
            std::to_string(closing.usage.reasoning) + "\n";
  }

  [[nodiscard]] const std::string& log() const { return log_; }
  [[nodiscard]] std::string faults() const { return closed_ ? faults_ : faults_ + "not closed\n"; }
  // Texts unescaped, since two ways of escaping say the same.
  [[nodiscard]] Said said() const {
    Said plain = said_;
    for (std::string* text : {&plain.text, &plain.reasoning, &plain.refusal})
      *text = json::unescaped(JsonText::trusted(*text));
    for (Call& call : plain.calls)
      call.arguments = json::unescaped(JsonText::trusted(call.arguments));
    return plain;
  }

 private:
  struct State {
    PartKind kind;
    bool open;
  };
  void fault(const std::string& text) { faults_ += text + "\n"; }
  void check_open() {
    if (!opened_) fault("a part before the opening");
    if (closed_) fault("a part after the closing");
  }
  void check(std::uint32_t index, PartKind kind) {
    check_open();
    if (index >= parts_.size() || !parts_[index].open || parts_[index].kind != kind)
      fault("a delta or end of a part that is not open");
  }

  bool opened_ = false;
  bool closed_ = false;
  std::vector<State> parts_;
  Said said_;
  std::string log_;
  std::string faults_;
};

struct Reading {
  Scribe scribe;
  std::string printed;  // as a stream for a client
  bool finished = false;
  bool has_content = false;
  std::string trouble;  // what the provider failed with, or what could not be read
};

class Reader {
 public:
  Reader(const Dialect& dialect, quirk::Set quirks)
      : dialect_(dialect), framing_(dialect.framing), transcript_(quirks, 1) {
    envelope_.id = "c1";
    envelope_.model = "m";
    envelope_.include_usage = true;
    adapters::openai_chat.prepare(envelope_);
  }

  void feed(std::string_view bytes) {
    // Lent as hosts lend: exactly as long as it is, and gone afterwards.
    const auto copy = std::make_unique<char[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    framing_.feed({copy.get(), bytes.size()});
    drain();
  }
  void read_body(std::string_view body) {
    dialect_.decode_body(body, events_);
    take_events();
  }
  Reading end() {
    framing_.end();
    drain();
    reading_.finished = transcript_.finished();
    transcript_.close(parts_);
    take_parts();
    reading_.has_content = transcript_.has_content();
    return std::move(reading_);
  }

 private:
  void drain() {
    while (const auto frame = framing_.next()) {
      dialect_.decode_frame(*frame, events_);
      take_events();
    }
  }
  void take_events() {
    for (const Event& event : events_) {
      if (const auto* failed = std::get_if<Failed>(&event))
        reading_.trouble += "failed: " + std::string(failed->body.substr(0, 300)) + "\n";
      if (const auto* garbled = std::get_if<Garbled>(&event))
        reading_.trouble += std::string("garbled: ") + garbled->problem + "\n";
      transcript_.take(event, parts_);
      take_parts();
    }
    events_.clear();
  }
  void take_parts() {
    for (const Part& part : parts_) {
      reading_.scribe.take(part);
      adapters::openai_chat.encode_part(part, envelope_, reading_.printed);
    }
    parts_.clear();
  }

  const Dialect& dialect_;
  Framing framing_;
  Transcript transcript_;
  Envelope envelope_;
  Events events_;
  Parts parts_;
  Reading reading_;
};

Reading read(const Dialect& dialect, quirk::Set quirks, std::string_view bytes,
             const std::vector<std::size_t>& sizes) {
  Reader reader(dialect, quirks);
  for (const std::size_t size : sizes) {
    reader.feed(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
  if (!bytes.empty()) reader.feed(bytes);
  return reader.end();
}

// The socket reads that a stream was recorded in; none when they were not kept.
std::vector<std::size_t> socket_reads(const std::string& path) {
  std::vector<std::size_t> sizes;
  const Json json = Json::parse(read_file(path + ".chunksizes.json"), nullptr, false);
  if (json.is_array())
    for (const Json& size : json) sizes.push_back(size.get<std::size_t>());
  return sizes;
}

// --- the tests

class Wire : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(folder() + "/MANIFEST.jsonl"))
      GTEST_SKIP() << "no recordings at " << folder() << " (SPILLWAY_WIRE)";
    ConfigProblem problem;
    config_ = Config::load(R"({"config":[],"env":{}})", problem);
    ASSERT_NE(config_, nullptr) << problem.message;
    all_ = recordings();
    ASSERT_FALSE(all_.empty());
  }

  void check_answer(const Recording& recording, const Reading& reading) {
    SCOPED_TRACE(recording.file);
    EXPECT_EQ(reading.scribe.faults(), "");
    const Said said = reading.scribe.said();
    if (listed(kFailed, recording.file)) {
      EXPECT_NE(reading.trouble, "") << "listed as failed";
    } else {
      EXPECT_EQ(reading.trouble, "");
    }
    const bool whole = reading.trouble.empty();
    if (whole) {
      EXPECT_EQ(reading.finished, !listed(kUnfinished, recording.file)) << "finish reason";
      EXPECT_EQ(reading.has_content, !listed(kEmpty, recording.file)) << "content";
    }
    if (whole && reading.finished && said.reason != FinishReason::length)
      for (const Call& call : said.calls)
        EXPECT_TRUE(json::valid(call.arguments, json::Type::object))
            << call.name << " is called with " << call.arguments;
    if (whole && reading.finished && said.reason != FinishReason::length)
      EXPECT_EQ(said.reason == FinishReason::tool_calls, !said.calls.empty())
          << name_of(said.reason) << " with " << said.calls.size() << " calls";
    check_printed(reading, said);
  }

  // What a client reads of it.
  static void check_printed(const Reading& reading, const Said& said) {
    const Reading again = read(adapters::openai_chat, 0, reading.printed, {});
    EXPECT_EQ(again.scribe.faults(), "");
    EXPECT_EQ(again.trouble, "");
    const Said heard = again.scribe.said();
    EXPECT_EQ(heard.text, said.text);
    EXPECT_EQ(heard.reasoning, said.reasoning);
    EXPECT_EQ(heard.refusal, said.refusal);
    EXPECT_TRUE(heard.calls == said.calls);
    EXPECT_EQ(heard.reason, said.reason);
    const bool counted = said.input >= 0 || said.output >= 0;
    EXPECT_EQ(heard.input, counted ? std::max<std::int64_t>(said.input, 0) : -1);
    EXPECT_EQ(heard.output, counted ? std::max<std::int64_t>(said.output, 0) : -1);
  }

  void print_counts(const char* what, const std::map<std::string, int>& counts) {
    int total = 0;
    std::string text;
    for (const auto& [provider, count] : counts) {
      text += " " + provider + " " + std::to_string(count);
      total += count;
    }
    std::cout << what << ": " << total << " (" << text.substr(text.empty() ? 0 : 1) << ")\n";
    for (const auto& [provider, count] : counts) RecordProperty(provider, count);
  }

  std::unique_ptr<const Config> config_;
  std::vector<Recording> all_;
};

TEST_F(Wire, StreamsReadTheSameInAnyChunksAndPrintAgain) {
  std::map<std::string, int> counts;
  int in_socket_reads = 0;
  for (const Recording& recording : all_) {
    if (!recording.streamed) continue;
    const std::string path = folder() + "/" + recording.file;
    const std::string bytes = read_file(path);
    const quirk::Set quirks = quirks_of(*config_, recording.provider);
    const Reading whole = read(*recording.dialect, quirks, bytes, {});
    const Reading single =
        read(*recording.dialect, quirks, bytes, std::vector<std::size_t>(bytes.size(), 1));
    ASSERT_EQ(single.scribe.log(), whole.scribe.log()) << recording.file << ", byte by byte";
    if (const auto sizes = socket_reads(path); !sizes.empty()) {
      const Reading chunked = read(*recording.dialect, quirks, bytes, sizes);
      ASSERT_EQ(chunked.scribe.log(), whole.scribe.log()) << recording.file << ", in socket reads";
      ++in_socket_reads;
    }
    check_answer(recording, whole);
    ++counts[recording.provider];
  }
  print_counts("streams", counts);
  std::cout << "in their socket reads: " << in_socket_reads << "\n";
  EXPECT_GT(in_socket_reads, 0);
}

TEST_F(Wire, WholeAnswersReadAndPrintAsStreams) {
  std::map<std::string, int> counts;
  for (const Recording& recording : all_) {
    if (recording.streamed) continue;
    const std::string body = read_file(folder() + "/" + recording.file);
    Reader reader(*recording.dialect, quirks_of(*config_, recording.provider));
    reader.read_body(body);
    check_answer(recording, reader.end());
    ++counts[recording.provider];
  }
  print_counts("whole answers", counts);
}

// How a client asks, and what the provider's row says, so that the answer takes each of the ways
// through the router.
struct Way {
  const char* name;
  const char* quirks;
  const char* asks;
};
constexpr Way kWays[] = {
    {"spliced", "[]", R"("stream":true,"stream_options":{"include_usage":true})"},
    {"relayed", "[]", R"("stream":true)"},
    {"translated", R"(["irregular_stream"])", R"("stream":true)"},
    {"gathered", "[]", R"("stream":false)"},
};

cases::Scenario scenario_of(const Recording& recording, const std::string& bytes, const Way& way) {
  cases::Scenario scenario;
  const Json provider{{"dialect", recording.dialect->name},
                      {"base_url", "https://upstream.test"},
                      {"keys", Json::array()},
                      {"quirks", Json::parse(way.quirks)}};
  const Json config{{"providers", {{"p", provider}}}};
  scenario.configuration = Json{{"config", {config.dump()}}, {"env", Json::object()}}.dump();
  cases::ClientCall call;
  call.head =
      R"({"method":"POST","url":"https://s/v1/chat/completions","headers":{},"trusted":true})";
  call.body = R"({"model":"p:m","messages":[{"role":"user","content":"Hi"}],)" +
              std::string(way.asks) + "}";
  cases::UpstreamAnswer answer;
  answer.has_head = true;
  answer.status = 200;
  answer.head = R"({"content-type":"text/event-stream"})";
  answer.bursts.push_back({0, false, bytes});
  call.answers.push_back(std::move(answer));
  scenario.calls.push_back(std::move(call));
  return scenario;
}

TEST_F(Wire, StreamsReachAClientOnEveryWay) {
  int played = 0;
  for (const Recording& recording : all_) {
    if (!recording.streamed) continue;
    const std::string bytes = read_file(folder() + "/" + recording.file);
    const Reading reading = read(*recording.dialect, 0, bytes, {});
    const Said said = reading.scribe.said();
    // A piped event that cannot be read has reached the client before it is known to be one.
    const bool garbled = reading.trouble.find("garbled") != std::string::npos;
    const bool is_answer = !listed(kFailed, recording.file) && !listed(kEmpty, recording.file);
    for (const Way& way : kWays) {
      SCOPED_TRACE(recording.file + ", " + way.name);
      const cases::Scenario scenario = scenario_of(recording, bytes, way);
      const cases::Loaded loaded = cases::load(scenario);
      ASSERT_NE(loaded.config, nullptr) << loaded.problem.message;
      const cases::Playback run = cases::play(scenario, *loaded.config, {});
      EXPECT_TRUE(run.violations.empty()) << run.violations.front();
      const auto faults = cases::faults_of(scenario, run);
      EXPECT_TRUE(faults.empty() || (garbled && run.chats.front().spliced)) << faults.front();
      if (!is_answer) continue;
      const cases::ChatRun& chat = run.chats.front();
      ASSERT_EQ(chat.status, 200) << chat.body;
      Reader reader(adapters::openai_chat, 0);
      if (chat.head.find("event-stream") != std::string::npos) {
        reader.feed(chat.body);
      } else {
        reader.read_body(chat.body);
      }
      const Reading heard = reader.end();
      EXPECT_EQ(heard.trouble, "");
      EXPECT_EQ(heard.scribe.said().text, said.text);
      EXPECT_EQ(heard.scribe.said().reasoning, said.reasoning);
      EXPECT_EQ(heard.scribe.said().reason, said.reason);
      EXPECT_EQ(heard.scribe.said().calls.size(), said.calls.size());
      ++played;
    }
  }
  std::cout << "answers that reached a client: " << played << "\n";
}

// A list of exceptions that no recording needs any more would hide the next real one.
TEST_F(Wire, ExceptionsAreAboutRecordings) {
  std::set<std::string> files;
  for (const Recording& recording : all_) files.insert(recording.file);
  const auto check = [&files](const auto& rows) {
    for (const Exception& row : rows)
      EXPECT_TRUE(files.count(std::string(row.file)) == 1) << row.file;
  };
  check(kFailed);
  check(kUnfinished);
  check(kEmpty);
}

}  // namespace
}  // namespace spillway
