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

#include "answer_reading.h"
#include "case_run.h"
#include "config.h"

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
    for (const Call& call : said.calls) EXPECT_NE(call.name, "");
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
  bool is_regular;
  const char* asks;
};
constexpr Way kWays[] = {
    {"spliced", true, R"("stream":true,"stream_options":{"include_usage":true})"},
    {"relayed", true, R"("stream":true)"},
    {"translated", false, R"("stream":true)"},
    {"gathered", true, R"("stream":false)"},
};

cases::Scenario scenario_of(const Recording& recording, const std::string& bytes, const Way& way) {
  cases::Scenario scenario;
  const Json provider{{"dialect", recording.dialect->name},
                      {"base_url", "https://upstream.test"},
                      {"keys", Json::array()},
                      {"regular_stream", way.is_regular}};
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
