// One wide log event per chat, as data: who was asked, who answered, what failed, how long it took,
// what it cost. Never a prompt, never a key. Names follow OpenTelemetry's GenAI semantic
// conventions where these have one.
#pragma once

#include <string>
#include <vector>

#include "attempt_record.h"
#include "config.h"
#include "event.h"
#include "surface.h"

namespace spillway {

// What became of the chat.
enum class Outcome : std::uint8_t { completed, failed, cut, client_closed };

struct Report {
  std::string request_id;
  std::string_view client;  // its name in the config, or `local`, or `embedded`
  std::string requested;    // model as the client wrote it
  bool stream = false;
  std::string_view mode;  // splice | relay | translate | whole; empty before the first content
  AttemptRecords attempts;
  AttemptRecords skipped;  // engines that could not take the request, and why
  Outcome outcome = Outcome::failed;
  std::string_view error_code;  // of what the client was told, empty when it was answered
  std::string reason;           // the provider's words for it
  std::string answered_model;   // as the provider named it
  std::string_view finish_reason;
  Millis first_content_ms = -1;  // since the request came
  Millis total_ms = 0;
  Usage usage;
  std::int64_t cost_picodollars = -1;
  int rescues = 0;  // how often another engine went on with the answer
};

// USD × 10^-12; -1 when a price or a count is unknown.
std::int64_t cost_picodollars(const Engine& engine, const Usage& usage);

// The JSON line. `engine`: who answered, nullptr when no one did.
std::string log_line(const Report& report, const Engine* engine, std::string_view provider);

}  // namespace spillway
