// A case file: one situation of the whole vertical contract as text. What the client sends, what
// each provider is sent and answers, what the client gets. docs/TESTING.md describes the format.
//
//   const CaseFile file = read_case_file(path);     // sections, as they stand in the file
//   const Scenario scenario = read_scenario(file);  // what comes in, ready to be played
//
// A file that is no case makes `problem` non-empty; nothing here throws.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clock.h"

namespace spillway::cases {

// `=== upstream response | cut: connection reset | crlf` and the lines below it.
struct Section {
  std::string name;
  std::vector<std::pair<std::string, std::string>> modifiers;
  std::string title;  // the line as it stands, without "=== "
  std::string text;   // every byte up to the next section
  std::size_t line = 0;

  [[nodiscard]] const std::string* modifier(std::string_view wanted) const;
};

struct CaseFile {
  std::string path;
  std::string prose;
  std::vector<Section> sections;
  std::string problem;
};

CaseFile read_case_file(const std::string& path);
std::string print_case_file(const CaseFile& file);

// --- what comes in

// Bytes of a body that come at one instant.
struct Burst {
  Millis after_ms = 0;
  bool client_stalls = false;  // the host waits for the client to take bytes until then
  std::string bytes;
};

struct UpstreamAnswer {
  enum class Ending : std::uint8_t { end, cut, silent, client_leaves };

  Millis after_ms = 20;
  std::optional<std::string> rejected;  // fetch fails, with this reason
  bool has_head = false;
  int status = 0;
  std::string head;  // JSON object of headers
  std::vector<Burst> bursts;
  Ending ending = Ending::end;
  std::string reason;  // of a cut
};

struct ClientCall {
  static constexpr Millis kNever = INT64_MAX;

  std::optional<Millis> at_ms;  // since the scenario began
  std::uint64_t seed = 0;
  std::string head;  // JSON, as the host hands it over
  std::string body;
  Millis body_after_ms = 0;             // since the head; never: it does not come
  bool body_breaks_off = false;         // at its end
  std::vector<UpstreamAnswer> answers;  // one for each upstream request, in order
};

struct Scenario {
  std::string configuration;         // configure()'s input
  std::vector<std::string> secrets;  // what must never reach a client or a log
  std::vector<ClientCall> calls;
  std::string problem;
};

// `defaults`: a file whose config and env come before those of `file`.
Scenario read_scenario(const CaseFile& defaults, const CaseFile& file);

}  // namespace spillway::cases
