// The client's side of a chat: prints parts, relayed frames and errors in the client's dialect, and
// its response headers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attempt_record.h"
#include "dialect.h"
#include "failure.h"
#include "rare.h"

namespace spillway {

// Headers that every response to one client carries, as JSON members: `"name":"value",…`.
using CommonHeaders = std::string;

class Surface {
 public:
  Surface(const Dialect& dialect, bool stream, bool include_usage, CommonHeaders common)
      : dialect_(dialect), stream_(stream), common_(std::move(common)) {
    envelope_.include_usage = include_usage;
  }

  [[nodiscard]] const Dialect& dialect() const { return dialect_; }
  [[nodiscard]] bool streams() const { return stream_; }
  // The client asked for usage in its stream.
  [[nodiscard]] bool tells_usage() const { return envelope_.include_usage; }

  // What the answer is called, once it is known: set before the first part is printed.
  void identify(Instant now, std::string id, std::string model);

  void print(const Part& part, std::string& out) const {
    dialect_.encode_part(part, envelope_, out);
  }
  void print(const Answer& answer, std::string& out) const {
    dialect_.encode_answer(answer, envelope_, out);
  }
  // The end of a stream whose answer is whole. `cut` as for print_stream_error().
  void print_end(std::string_view cut, std::string& out) const;
  // The end of what the client has of an event, so that others can follow. An event that is not all
  // there is taken back: the client reads nothing of it. False when it cannot be ended.
  struct Broken {
    std::string event;      // its data, with all that was in it; empty when there is none
    bool is_whole = false;  // not taken back
  };
  bool print_break(std::string_view cut, std::string& out, Broken& broken) const;
  // What each engine of an answer counted, a JSON value: told with the usage.
  void tell_paid(std::string paid) { envelope_.paid = std::move(paid); }
  // A frame of the client's own dialect, as it is.
  SPILLWAY_APART static void relay(const Frame& frame, std::string& out);
  // Whether clients take an event with this data for an error: it has an `error` that is not null.
  static bool is_error(std::string_view data);
  // An error as the whole body, or as the last event of a stream. `cut`: bytes of an event that the
  // client already has in part, so that this completes it.
  void print_error(const ClientError& error, std::string& out) const {
    dialect_.encode_error(error, out);
  }
  void print_stream_error(const ClientError& error, std::string_view cut, std::string& out) const;

  // An engine that is not asked, and why: told in front of all attempts.
  SPILLWAY_RARE void tell_skipped(const std::string& engine, std::string_view why);
  // Response heads, JSON objects. `total`: since the request came.
  [[nodiscard]] std::string answer_head(const AttemptRecords& attempts, Millis total,
                                        const Dropped& dropped) const;
  // What of the answer's head was not known when the stream began, as comments.
  void print_late_head(const AttemptRecords& attempts, const Dropped& dropped,
                       std::string& out) const;
  [[nodiscard]] std::string error_head(const AttemptRecords& attempts, Millis total,
                                       const ClientError& error, Millis retry_after_ms) const;

 private:
  [[nodiscard]] AttemptRecords told(const AttemptRecords& attempts) const;

  const Dialect& dialect_;
  bool stream_;
  CommonHeaders common_;
  Envelope envelope_;
  AttemptRecords skipped_;
};

// temperature, seed, … (5 more): fit for a header, for a client names its own unknown fields.
std::string list_of(const Dropped& dropped);

// A provider's failure in the client's terms.
ClientError client_error(const Failure& failure, std::string message);

}  // namespace spillway
