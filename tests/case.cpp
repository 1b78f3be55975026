#include "case.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "text.h"

namespace spillway::cases {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kMark = "=== ";

Section read_title(std::string_view title, std::size_t line) {
  Section section;
  section.title = title;
  section.line = line;
  bool first = true;
  split(title, '|', [&](std::string_view piece) {
    if (first) {
      section.name = trimmed(piece);
    } else {
      const std::size_t colon = std::min(piece.find(':'), piece.size());
      const std::string_view value = trimmed(piece.substr(std::min(colon + 1, piece.size())));
      section.modifiers.emplace_back(trimmed(piece.substr(0, colon)), value);
    }
    first = false;
  });
  return section;
}

// Takes the next line off `text`, without its end.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::optional<std::int64_t> number(std::string_view text) {
  text = trimmed(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "name: value" lines up to an empty one; the rest stays in `text`.
Json take_headers(std::string_view& text) {
  Json headers = Json::object();
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (trimmed(line).empty()) break;
    const std::size_t colon = std::min(line.find(':'), line.size());
    headers[std::string(trimmed(line.substr(0, colon)))] =
        std::string(trimmed(line.substr(std::min(colon + 1, line.size()))));
  }
  return headers;
}

std::string with_crlf(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

// A number that is also a secret would be "found" everywhere.
constexpr std::size_t kSecretBytesMin = 6;

class ScenarioReader {
 public:
  ScenarioReader(const CaseFile& defaults, const CaseFile& file)
      : defaults_(defaults), file_(file) {}

  Scenario read();

 private:
  void read_settings(const CaseFile& file);
  void read_call(const Section& section);
  void read_answer(const Section& section);
  void read_pause(const Section& section);
  void read_body_end(const Section& section, std::string& bytes);
  std::int64_t number_of(const Section& section, std::string_view name, std::int64_t otherwise);
  void allow(const Section& section, std::initializer_list<std::string_view> modifiers);
  void refuse(const Section& section, std::string_view message) {
    if (out_.problem.empty())
      out_.problem = file_.path + ":" + std::to_string(section.line) + ": " + std::string(message);
  }

  const CaseFile& defaults_;
  const CaseFile& file_;
  Scenario out_;
  Json configs_ = Json::array();
  Json env_ = Json::object();
  bool crlf_ = false;
  bool in_answer_ = false;
};

std::int64_t ScenarioReader::number_of(const Section& section, std::string_view name,
                                       std::int64_t otherwise) {
  const std::string* text = section.modifier(name);
  if (text == nullptr) return otherwise;
  const auto value = number(*text);
  if (!value) refuse(section, std::string(name) + ": expected a whole number");
  return value.value_or(otherwise);
}

void ScenarioReader::allow(const Section& section,
                           std::initializer_list<std::string_view> modifiers) {
  for (const auto& [name, value] : section.modifiers)
    if (std::find(modifiers.begin(), modifiers.end(), name) == modifiers.end())
      refuse(section, "unknown modifier \"" + name + "\"");
}

void ScenarioReader::read_settings(const CaseFile& file) {
  for (const Section& section : file.sections) {
    if (section.name == "config") configs_.push_back(section.text);
    if (section.name != "env") continue;
    split(section.text, '\n', [this](std::string_view line) {
      const std::size_t equals = line.find('=');
      if (equals == std::string_view::npos) return;
      env_[std::string(trimmed(line.substr(0, equals)))] =
          std::string(trimmed(line.substr(equals + 1)));
    });
  }
}

void ScenarioReader::read_call(const Section& section) {
  allow(section, {"at", "seed", "remote", "trusted", "body after", "body breaks off", "no body"});
  constexpr std::int64_t default_seed = 42;
  ClientCall call;
  if (section.modifier("at") != nullptr) call.at_ms = number_of(section, "at", 0);
  call.seed = static_cast<std::uint64_t>(number_of(section, "seed", default_seed));
  call.body_after_ms = number_of(section, "body after", 0);
  if (section.modifier("no body") != nullptr) call.body_after_ms = ClientCall::kNever;
  call.body_breaks_off = section.modifier("body breaks off") != nullptr;

  std::string_view rest = section.text;
  std::string method = "POST";
  std::string path = "/v1/chat/completions";
  Json headers{{"content-type", "application/json"}};
  const bool has_head = !rest.empty() && rest.front() >= 'A' && rest.front() <= 'Z';
  if (has_head) {
    const std::string_view line = take_line(rest);
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return refuse(section, "expected \"METHOD /path\"");
    method = line.substr(0, space);
    path = trimmed(line.substr(space + 1));
    headers = take_headers(rest);
  }
  while (!rest.empty() && rest.back() == '\n') rest.remove_suffix(1);
  call.body = rest;
  Json head{{"method", method}, {"url", "https://spillway.test" + path}, {"headers", headers}};
  head["local"] = section.modifier("remote") == nullptr;
  head["trusted"] = section.modifier("trusted") != nullptr;
  call.head = head.dump();
  out_.calls.push_back(std::move(call));
}

// What comes of a body as it is written: with other line ends, without its last bytes.
void ScenarioReader::read_body_end(const Section& section, std::string& bytes) {
  if (crlf_) bytes = with_crlf(bytes);
  const auto drop = static_cast<std::size_t>(number_of(section, "drop", 0));
  bytes.resize(bytes.size() - std::min(drop, bytes.size()));
}

void ScenarioReader::read_answer(const Section& section) {
  allow(section, {"after", "cut", "silent", "client leaves", "crlf", "drop", "error"});
  if (out_.calls.empty()) return refuse(section, "expected a client request before it");
  UpstreamAnswer answer;
  using Ending = UpstreamAnswer::Ending;
  answer.after_ms = number_of(section, "after", answer.after_ms);
  if (const std::string* reason = section.modifier("error")) answer.rejected = *reason;
  if (const std::string* reason = section.modifier("cut")) {
    answer.ending = Ending::cut;
    answer.reason = *reason;
  }
  if (section.modifier("silent") != nullptr) answer.ending = Ending::silent;
  if (section.modifier("client leaves") != nullptr) answer.ending = Ending::client_leaves;
  crlf_ = section.modifier("crlf") != nullptr;

  std::string_view rest = section.text;
  if (!answer.rejected && !trimmed(rest).empty()) {
    const std::string_view line = take_line(rest);
    const auto status = starts_with(line, "HTTP ") ? number(line.substr(5)) : std::nullopt;
    if (!status) return refuse(section, "expected \"HTTP <status>\", then headers");
    answer.has_head = true;
    answer.status = static_cast<int>(*status);
    answer.head = take_headers(rest).dump();
    Burst burst;
    burst.bytes = rest;
    read_body_end(section, burst.bytes);
    if (!burst.bytes.empty()) answer.bursts.push_back(std::move(burst));
  }
  if (!answer.has_head && !answer.rejected && answer.ending == Ending::end)
    return refuse(section, "expected a response, or the modifier silent or error");
  out_.calls.back().answers.push_back(std::move(answer));
}

// The body goes on after a while.
void ScenarioReader::read_pause(const Section& section) {
  allow(section, {"client stalls", "drop"});
  const auto ms = number(section.name.substr(std::string_view("pause").size()));
  if (!ms || !in_answer_) return refuse(section, "expected \"pause <ms>\" inside a response");
  Burst burst;
  burst.after_ms = *ms;
  burst.client_stalls = section.modifier("client stalls") != nullptr;
  burst.bytes = section.text;
  read_body_end(section, burst.bytes);
  out_.calls.back().answers.back().bursts.push_back(std::move(burst));
}

Scenario ScenarioReader::read() {
  if (!file_.problem.empty() || !defaults_.problem.empty()) {
    out_.problem = file_.problem.empty() ? defaults_.problem : file_.problem;
    return std::move(out_);
  }
  read_settings(defaults_);
  read_settings(file_);
  for (const Section& section : file_.sections) {
    const bool is_pause = starts_with(section.name, "pause ");
    if (section.name == "client request") {
      read_call(section);
    } else if (section.name == "upstream response") {
      read_answer(section);
    } else if (is_pause) {
      read_pause(section);
    } else if (section.name == "client response") {
      allow(section, {"all headers", "has"});
    } else if (section.name != "config" && section.name != "env" &&
               section.name != "upstream request" && section.name != "events" &&
               section.name != "log" && section.name != "config refused") {
      refuse(section, "unknown section \"" + section.name + "\"");
    }
    in_answer_ = section.name == "upstream response" || is_pause;
  }
  for (const auto& [name, value] : env_.items()) {
    const std::string text = value.get<std::string>();
    const bool is_key = name.find("KEY") != std::string::npos;
    split(text, ',', [this, is_key](std::string_view key) {
      key = trimmed(key);
      if (is_key && key.size() >= kSecretBytesMin) out_.secrets.emplace_back(key);
    });
  }
  out_.configuration = Json{{"config", configs_}, {"env", env_}}.dump();
  return std::move(out_);
}

}  // namespace

const std::string* Section::modifier(std::string_view wanted) const {
  for (const auto& [modifier_name, value] : modifiers)
    if (modifier_name == wanted) return &value;
  return nullptr;
}

CaseFile read_case_file(const std::string& path) {
  CaseFile file;
  file.path = path;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    file.problem = path + ": cannot be read";
    return file;
  }
  std::ostringstream content;
  content << in.rdbuf();
  const std::string text = content.str();
  std::string_view rest = text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::string_view whole = rest;
    const std::string_view line = take_line(rest);
    if (starts_with(line, kMark)) {
      file.sections.push_back(read_title(line.substr(kMark.size()), number));
    } else {
      std::string& out = file.sections.empty() ? file.prose : file.sections.back().text;
      out.append(whole.substr(0, whole.size() - rest.size()));
    }
  }
  if (trimmed(file.prose).empty()) file.problem = path + ":1: expected prose: what this case shows";
  return file;
}

std::string print_case_file(const CaseFile& file) {
  std::string text = file.prose;
  for (const Section& section : file.sections) {
    text += kMark;
    text += section.title;
    text += '\n';
    text += section.text;
  }
  return text;
}

Scenario read_scenario(const CaseFile& defaults, const CaseFile& file) {
  return ScenarioReader(defaults, file).read();
}

}  // namespace spillway::cases
