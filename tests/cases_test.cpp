// Every tests/cases/**/*.case, in every chunking: see docs/TESTING.md.
// UPDATE_CASES=1 writes what the core did into the expected sections instead of comparing.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "case.h"
#include "case_run.h"
#include "case_text.h"
#include "text.h"

namespace spillway::cases {
namespace {

const std::string kFolder = std::string(SPILLWAY_SOURCE_DIR) + "/tests/cases";
const std::string kDefaults = "defaults.case";

// Longer bodies are split at this many random places instead of at every byte.
constexpr std::size_t kEverySplitBytesMax = 4096;
constexpr std::size_t kRandomSplits = 300;

std::vector<std::string> find_cases() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFolder)) {
    const std::string path = std::filesystem::relative(entry.path(), kFolder).string();
    if (entry.path().extension() == ".case" && path != kDefaults) paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool updating() {
  const char* value = std::getenv("UPDATE_CASES");
  return value != nullptr && std::string_view(value) == "1";
}

// Puts what a run did beside what the file expects. In a file that is being updated, the expected
// sections become what the run did; otherwise differences are collected.
class Expectations {
 public:
  Expectations(CaseFile file, const Config& config, const Scenario& scenario, const Playback& run)
      : file_(std::move(file)), config_(config), scenario_(scenario), run_(run) {}

  // The file with its expected sections filled in.
  CaseFile settle();
  [[nodiscard]] const std::string& differences() const { return differences_; }

 private:
  void open_chat(const Section& section);
  void finish_answer();
  void finish_chat();
  void settle_section(Section section, const std::string& actual);
  void compare(const Section& section, const std::string& actual);
  [[nodiscard]] const ChatRun* chat() const {
    return chat_ < run_.chats.size() ? &run_.chats[chat_] : nullptr;
  }
  // Looks ahead in the file: the section that belongs to the current place, if the next ones
  // include it.
  const Section* find_ahead(std::string_view name, std::initializer_list<std::string_view> until);

  CaseFile file_;
  const Config& config_;
  const Scenario& scenario_;
  const Playback& run_;
  std::vector<Section> out_;
  std::string differences_;
  std::size_t at_ = 0;
  std::size_t chat_ = 0;
};

// `expected`: a status line, an empty line, and JSON whose members must be in the actual body.
bool has(std::string_view expected, std::string_view actual) {
  const auto body = [](std::string_view text) {
    return text.substr(std::min(text.find("\n\n"), text.size()));
  };
  const bool same_status =
      expected.substr(0, expected.find('\n')) == actual.substr(0, actual.find('\n'));
  return same_status && holds_json(body(actual), body(expected));
}

void Expectations::compare(const Section& section, const std::string& actual) {
  bool same = canonical(section.text) == canonical(actual);
  if (section.modifier("has") != nullptr) same = has(section.text, actual);
  if (same) return;
  differences_ += file_.path + ":" + std::to_string(section.line) + ": " + section.name + "\n";
  differences_ += difference(trimmed(section.text), trimmed(actual));
}

void Expectations::settle_section(Section section, const std::string& actual) {
  compare(section, actual);
  const bool keep = section.modifier("has") != nullptr;
  if (!keep && canonical(section.text) != canonical(actual))
    section.text = std::string(trimmed(actual)) + "\n\n";
  if (section.title.empty()) section.title = section.name;
  out_.push_back(std::move(section));
}

const Section* Expectations::find_ahead(std::string_view name,
                                        std::initializer_list<std::string_view> until) {
  for (std::size_t at = at_; at < file_.sections.size(); ++at) {
    const Section& section = file_.sections[at];
    if (section.name == name) return &section;
    if (std::find(until.begin(), until.end(), section.name) != until.end()) return nullptr;
  }
  return nullptr;
}

Section missing(std::string_view name) {
  Section section;
  section.name = name;
  return section;
}

CaseFile Expectations::settle() {
  const std::vector<Section>& sections = file_.sections;
  while (at_ < sections.size() && sections[at_].name != "client request")
    out_.push_back(sections[at_++]);
  while (at_ < sections.size() && chat() != nullptr) {
    out_.push_back(sections[at_++]);  // client request
    const ChatRun& run = *chat();
    const std::size_t answers = scenario_.calls[chat_].answers.size();
    for (std::size_t index = 0; index < std::max(run.requests.size(), answers); ++index) {
      const Section* known = find_ahead(
          "upstream request", {"upstream response", "client request", "client response", "log"});
      const bool asked = index < run.requests.size();
      if (known != nullptr) at_ = static_cast<std::size_t>(known - sections.data()) + 1;
      if (asked)
        settle_section(known == nullptr ? missing("upstream request") : *known,
                       text_of(run.requests[index]));
      const Section* answer =
          find_ahead("upstream response", {"client request", "client response"});
      if (answer == nullptr) continue;
      at_ = static_cast<std::size_t>(answer - sections.data());
      do {
        out_.push_back(sections[at_++]);
      } while (at_ < sections.size() && starts_with(sections[at_].name, "pause "));
      if (at_ < sections.size() && sections[at_].name == "events") {
        const Section& events = sections[at_++];
        if (asked)
          settle_section(events, events_of(config_, run.requests[index],
                                           scenario_.calls[chat_].answers[index]));
      }
    }
    const Section* response = find_ahead("client response", {"client request"});
    const bool all_headers = response != nullptr && response->modifier("all headers") != nullptr;
    settle_section(response == nullptr ? missing("client response") : *response,
                   text_of(run, all_headers));
    if (const Section* log = find_ahead("log", {"client request"})) {
      std::string lines;
      for (const std::string& line : run.logs) lines += laid_out(line) + "\n";
      settle_section(*log, lines);
    }
    while (at_ < sections.size() && sections[at_].name != "client request") ++at_;
    ++chat_;
  }
  CaseFile settled = file_;
  settled.sections = std::move(out_);
  return settled;
}

std::string describe(const Chunking& chunking) {
  switch (chunking.kind) {
    case Chunking::Kind::whole:
      return "whole";
    case Chunking::Kind::bytes:
      return "byte by byte";
    case Chunking::Kind::split:
      break;
  }
  return "response " + std::to_string(chunking.answer + 1) + " split at byte " +
         std::to_string(chunking.at);
}

std::vector<Chunking> chunkings(const Scenario& scenario) {
  std::vector<Chunking> all{{Chunking::Kind::bytes}};
  const std::vector<std::size_t> sizes = body_sizes(scenario);
  std::mt19937_64 random(1);
  for (std::size_t answer = 0; answer < sizes.size(); ++answer) {
    if (sizes[answer] <= kEverySplitBytesMax) {
      for (std::size_t at = 1; at < sizes[answer]; ++at)
        all.push_back({Chunking::Kind::split, answer, at});
    } else {
      for (std::size_t i = 0; i < kRandomSplits; ++i)
        all.push_back({Chunking::Kind::split, answer, 1 + random() % (sizes[answer] - 1)});
    }
  }
  return all;
}

std::string list(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "  ! " + line + "\n";
  return text;
}

std::string whole_text(const Playback& run) {
  std::string text;
  for (const ChatRun& chat : run.chats) {
    for (const UpstreamRequest& request : chat.requests) text += text_of(request) + "\n";
    text += text_of(chat, true) + "\n";
    for (const std::string& line : chat.logs) text += line + "\n";
  }
  return text;
}

std::string titles(const CaseFile& file) {
  std::string text;
  for (const Section& section : file.sections) text += section.title + "\n";
  return text;
}

void expect_refused(const CaseFile& file, const ConfigProblem& problem) {
  const std::string actual = problem.path + ": " + problem.message + "\n";
  CaseFile updated = file;
  for (Section& section : updated.sections) {
    if (section.name != "config refused") continue;
    if (trimmed(section.text) == trimmed(actual)) return;
    if (updating()) {
      section.text = actual;
      std::ofstream(file.path, std::ios::binary) << print_case_file(updated);
      return;
    }
    FAIL() << file.path << ":" << section.line << ": config refused\n"
           << difference(trimmed(section.text), trimmed(actual));
  }
  FAIL() << file.path << ": the config was refused: " << actual;
}

// --- the tools: a comparison that misses a difference would pass everything

TEST(CaseText, OnlyWhiteSpaceBetweenTokensDoesNotCount) {
  EXPECT_EQ(compact(" { \"a b\" : [ 1.0 ,\n\"\\\" \" ] } "), R"({"a b":[1.0,"\" "]})");
  EXPECT_EQ(canonical("HTTP 200 \n\n{ \"a\": 1 }\n\n"), canonical("HTTP 200\n\n{\"a\":1}\n"));
  EXPECT_NE(canonical("HTTP 200\n\n{\"a\": 1}"), canonical("HTTP 200\n\n{\"a\": 1.0}"));
  EXPECT_NE(canonical("HTTP 200\n\n{\"a\": \"b\"}"), canonical("HTTP 200\n\n{\"a\": \"b \"}"));
  EXPECT_NE(canonical("data: {\"a\":1}\n\ndata: 2"), canonical("data: {\"a\":1}\ndata: 2"));
  EXPECT_NE(canonical("data: {\"a\":1}"), canonical("data: {\"a\": 1}"));
}

TEST(CaseText, LaidOutJsonIsTheSameJson) {
  const std::string json = R"({"a":{"b":[")" + std::string(90, 'x') + R"(",{}],"c":[]},"d":1e5})";
  const std::string text = laid_out(json);
  EXPECT_EQ(compact(text), json);
  EXPECT_NE(text.find("\n  \"c\": []\n"), std::string::npos) << text;
}

TEST(CaseText, APartIsHeldByTheWhole) {
  constexpr std::string_view whole = R"({"a": [{"b": 1, "c": 2}, 3], "d": null})";
  EXPECT_TRUE(holds_json(whole, R"({"a": [3, {"c": 2}]})"));
  EXPECT_FALSE(holds_json(whole, R"({"a": [{"c": 3}]})"));
  EXPECT_FALSE(holds_json(whole, R"({"d": 0})"));
  EXPECT_FALSE(holds_json(whole, R"({"e": null})"));
  EXPECT_FALSE(holds_json(whole, "not json"));
}

TEST(CaseText, HiddenBytesAreShown) {
  EXPECT_EQ(visible("a\r\n\xc3\xa9 \xc3 \x7f\xf0\x9f\x98\x80\xf0\x9f"),
            "a\\x0d\n\xc3\xa9 \\xc3 \\x7f\xf0\x9f\x98\x80\\xf0\\x9f");
}

TEST(CaseText, DifferencesAreLines) {
  EXPECT_EQ(difference("a\nb\nc\nd\ne\nf", "a\nb\nc\nd\nE\nf"),
            "    c\n    d\n  - e\n  + E\n    f\n");
}

TEST(CaseFile, WhatIsNoCaseIsTold) {
  CaseFile defaults;
  const auto problem = [&defaults](const std::string& title, const std::string& text) {
    CaseFile file;
    file.path = "x";
    for (const char* name : {"client request", "upstream response"}) {
      Section section;
      section.name = name;
      section.text = section.name == "client request" ? "{}" : "HTTP 200\n";
      file.sections.push_back(section);
    }
    Section section;
    const std::size_t bar = title.find(" | ");
    section.name = title.substr(0, bar);
    if (bar != std::string::npos) section.modifiers.emplace_back(title.substr(bar + 3), "");
    section.text = text;
    file.sections.push_back(section);
    return read_scenario(defaults, file).problem;
  };
  EXPECT_EQ(problem("pause 5", "data: 1\n"), "");
  EXPECT_NE(problem("pause soon", ""), "");
  EXPECT_NE(problem("upstream respones", ""), "");
  EXPECT_NE(problem("upstream response | cuts", "HTTP 200\n"), "");
  EXPECT_NE(problem("upstream response", ""), "");
  EXPECT_NE(problem("upstream response", "200 OK\n"), "");
  EXPECT_NE(problem("client request | at", "{}"), "");
}

class Cases : public testing::TestWithParam<std::string> {};

TEST_P(Cases, GiveTheSameInEveryChunking) {
  const CaseFile file = read_case_file(kFolder + "/" + GetParam());
  const Scenario scenario = read_scenario(read_case_file(kFolder + "/" + kDefaults), file);
  ASSERT_EQ(scenario.problem, "");
  const Loaded loaded = load(scenario);
  if (loaded.config == nullptr) return expect_refused(file, loaded.problem);
  ASSERT_FALSE(scenario.calls.empty()) << file.path << ": no client request, and a valid config";

  const Playback whole = play(scenario, *loaded.config, {});
  EXPECT_EQ(list(whole.violations) + list(faults_of(scenario, whole)), "") << file.path;
  Expectations expectations(file, *loaded.config, scenario, whole);
  const CaseFile settled = expectations.settle();
  if (updating()) {
    const std::string text = print_case_file(settled);
    if (text != print_case_file(file)) std::ofstream(file.path, std::ios::binary) << text;
  } else {
    EXPECT_EQ(titles(settled), titles(file)) << file.path << ": sections are missing or left over";
    if (!expectations.differences().empty()) ADD_FAILURE() << expectations.differences();
  }
  for (const Chunking& chunking : chunkings(scenario)) {
    const Playback run = play(scenario, *loaded.config, chunking);
    ASSERT_EQ(list(run.violations), "") << file.path << ", " << describe(chunking);
    ASSERT_TRUE(run.chats == whole.chats)
        << file.path << ", " << describe(chunking) << ": differs from whole\n"
        << difference(whole_text(whole), whole_text(run));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Cases, testing::ValuesIn(find_cases()), [](const auto& test) {
  std::string name = test.param.substr(0, test.param.rfind('.'));
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace spillway::cases
