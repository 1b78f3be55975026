// A log line and a response's head, read back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::sim {

struct LogLine {
  struct Attempt {
    std::string engine;
    std::string outcome;
    std::int64_t status = 0;
    std::int64_t input_tokens = -1;
    std::int64_t output_tokens = -1;
  };

  // False when it is no JSON object.
  bool read(std::string_view text);

  std::string event;
  std::string outcome;
  std::string request_id;
  std::string mode;
  std::string engine;
  std::string error;
  std::vector<Attempt> attempts;
  std::int64_t total_ms = -1;
  std::int64_t rescues = 0;
  std::int64_t first_content_ms = -1;
  std::int64_t input_tokens = -1;
  std::int64_t output_tokens = -1;
  bool stream = false;
};

// The value of a header, from a response's head; empty when it is not there.
std::string header_of(std::string_view head, std::string_view name);
// A JSON object of strings that may stand in headers.
bool is_head(std::string_view head);

}  // namespace spillway::sim
