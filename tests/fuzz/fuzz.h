// What the fuzzers share: input bytes taken as choices, what does not hold said before the end, and
// the checks of what goes out.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "../framing_reference.h"
#include "failure.h"
#include "json.h"
#include "limits.h"
#include "surface.h"

namespace spillway::fuzz {

inline void require(bool right, std::string_view what, std::string_view seen = {}) {
  if (right) return;
  std::fprintf(stderr, "does not hold: %.*s\n%.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(seen.size()), seen.data());
  std::abort();
}

// The fuzzer's bytes, from the front: choices first, then what is left. Beyond their end every
// choice is the first.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  unsigned byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }
  std::size_t below(std::size_t bound) { return byte() % bound; }
  template <class T, std::size_t N>
  const T& one_of(const T (&table)[N]) {
    return table[below(N)];
  }
  // A byte that says how many follow.
  std::string_view text() {
    const std::size_t size = byte();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// What a client of chat completions can read to its end: events of JSON, the last of them the
// terminator or an error. `whole`: it has ended.
inline std::string fault_of_stream(std::string_view bytes, bool whole) {
  if (whole && (bytes.size() < 2 || bytes.substr(bytes.size() - 2) != "\n\n"))
    return "the last event is not complete";
  bool over = false;
  for (const OwnedFrame& frame : reference_frames(FrameKind::sse, bytes)) {
    if (over) return "an event comes behind the end";
    over = frame.data == "[DONE]" || Surface::is_error(frame.data);
    if (frame.data != "[DONE]" && !json::valid(frame.data, json::Type::object))
      return "an event is no JSON object";
  }
  return over || !whole ? "" : "the stream ends with neither [DONE] nor an error";
}

// One line of text that a client, a header and a log can take.
inline bool is_line(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  std::string quoted = "\"";
  quoted += text;
  return text.find_first_of("\"\\") != std::string_view::npos || json::valid(quoted + '"');
}

// A provider's words as we took them, and as the client is told them.
inline void check_failure(const Failure& failure, const Dialect& client) {
  require(!failure.reason.empty(), "a failure has a reason");
  require(failure.reason.size() <= limits::reason_bytes_max, "a reason is bounded");
  require(is_line(failure.reason), "a reason is one line", failure.reason);
  require(failure.code.size() <= limits::error_code_bytes_max, "a code is bounded", failure.code);
  require(is_line(failure.code), "a code is one line", failure.code);
  require(is_line(failure.param), "a param is one line", failure.param);
  require(failure.retry_after_ms >= -1, "a wait is none or positive");
  const ClientError error = client_error(failure, failure.reason);
  require(error.status >= 400 && error.status < 600, "an error has the status of one");
  std::string body;
  client.encode_error(error, body);
  require(json::valid(body, json::Type::object) && Surface::is_error(body), "an error is JSON",
          body);
  std::string event;
  client.encode_stream_error(error, event);
  require(fault_of_stream(event, true).empty(), "an error ends a stream", event);
}

}  // namespace spillway::fuzz
