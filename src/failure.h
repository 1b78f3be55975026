// What can go wrong with an upstream attempt, and how a provider's words are read into it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "clock.h"
#include "rare.h"

namespace spillway {

enum class FailureKind : std::uint8_t {
  rate_limited,      // too fast for now: waiting helps
  overloaded,        // the provider has no capacity for anyone
  server,            // 5xx and its relatives
  timeout,           // a deadline of ours, or the provider's own
  network,           // no connection, or one that broke
  protocol,          // a 200 that is not the dialect's stream
  empty,             // an answer with nothing usable in it
  model_not_found,   // unknown, retired, or not for this account or place
  context_too_long,  // the prompt does not fit the window
  auth,              // the key is refused
  quota_exhausted,   // the account is out of credit: waiting does not help
  content_filter,    // the provider's policy refuses the content
  bad_request,       // the request itself is wrong
  too_large,         // over the provider's limit for one request, whatever the model's window
};
inline constexpr std::size_t kFailureKinds = 14;
// The first of them may be gone when the same engine is asked again.
inline constexpr std::size_t kRepeatableKinds = 7;
// … and pass by themselves, without anybody being asked to wait.
inline constexpr std::array kRepeatedAlike{FailureKind::overloaded, FailureKind::server,
                                           FailureKind::timeout, FailureKind::network};

// The stable name used in headers, logs and error codes: "rate_limited" …
std::string_view name_of(FailureKind kind);

struct Failure {
  FailureKind kind = FailureKind::server;
  int status = 0;              // HTTP status of the provider, 0 when there was none
  std::string reason;          // the provider's own words: one line of UTF-8, never empty,
                               // at most limits::reason_bytes_max
  std::string code;            // the provider's own code, when it gave one
  std::string param;           // the field that a bad request named, when it did
  Millis retry_after_ms{-1};   // how long the provider asked to wait, -1 when it did not say
  bool is_to_key = false;      // model_not_found: another key may be allowed to use it
  bool is_by_request = false;  // the request allowed less time than its route: nobody is to blame
};

// The headers of a response that classify() looks at. Views into the host's lent bytes.
struct ResponseHead {
  int status = 0;
  std::string_view content_type;
  std::string_view retry_after;     // seconds, or an HTTP date (RFC 9110 section 10.2.3)
  std::string_view retry_after_ms;  // milliseconds
  // x-ratelimit-reset-requests, anthropic-ratelimit-requests-reset …: "6ms", "8.64s", "1m2s",
  // seconds, RFC 3339, or an epoch in seconds or milliseconds. Looked at only when nothing better
  // says how long to wait: they tell when a limit is whole again, not when it has room again.
  std::string_view reset_requests;
  std::string_view reset_tokens;
  std::string_view error_type;  // x-amzn-errortype
  std::string_view reset;       // x-ratelimit-reset, ratelimit-reset
  bool body_is_cut = false;     // there was more of the body, or would have been
};

// Reads an error response (or an error inside a 200, status 200) of any provider. Status alone does
// not decide: the codes, types and phrases of the body do, by one table; status decides what the
// table does not know. `now` turns absolute times into waits. A wait is given only for kinds that
// pass by themselves: rate_limited, overloaded, server, timeout, network. `model` is the one that
// was asked for: a refusal that names it is about that model and not about the key, and no client
// may talk a key out of use by the name that it gives a model.
// Sources: recorded errors and the providers' error pages; failure_table.h says where each row was
// seen.
SPILLWAY_RARE Failure classify(Instant now, const ResponseHead& head, std::string_view body,
                               std::string_view model = {});

// An answer that its provider ended with a word that tells a failure: "error",
// "MALFORMED_FUNCTION_CALL".
Failure ended_with(std::string_view finish);

// A failure that we found ourselves.
Failure failed(FailureKind kind, std::string_view reason);

}  // namespace spillway
