#include "failure.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "error_body.h"
#include "failure_table.h"
#include "limits.h"
#include "text.h"
#include "wait_hint.h"

namespace spillway {

namespace {

constexpr std::array<std::string_view, kFailureKinds> kKindNames{
    "rate_limited",    "overloaded",     "server",          "timeout",          "network",
    "protocol",        "empty",          "model_not_found", "context_too_long", "auth",
    "quota_exhausted", "content_filter", "bad_request",     "too_large"};

// "ValidationException:http://internal.amazon.com/…" → ValidationException
std::string_view exception_name(std::string_view error_type) {
  error_type = trimmed(error_type.substr(0, error_type.find(':')));
  return error_type.size() <= limits::error_code_bytes_max ? error_type : std::string_view();
}

FailureKind kind_of_status(int status) {
  for (const auto& row : failure_table::kStatuses)
    if (row.status == status) return row.kind;
  if (status >= 500) return FailureKind::server;
  if (status >= 400) return FailureKind::bad_request;
  return status >= 300 ? FailureKind::protocol : FailureKind::server;
}

// Kinds after which an engine or a key is left out for a while, for all clients.
bool blames(FailureKind kind) {
  switch (kind) {
    case FailureKind::empty:
    case FailureKind::context_too_long:
    case FailureKind::content_filter:
    case FailureKind::bad_request:
    case FailureKind::too_large:
      return false;
    default:
      return true;
  }
}

// The message around what it quotes, from the first quote to the last. A refused request is quoted
// back ("Invalid value: 'insufficient balance'"), and no client may talk a key out of use that way.
std::string without_quotes(std::string_view message) {
  const auto is_letter = [message](std::size_t at) {
    return at < message.size() && (static_cast<unsigned char>(message[at]) | 0x20U) >= 'a' &&
           (static_cast<unsigned char>(message[at]) | 0x20U) <= 'z';
  };
  std::size_t first = message.size();
  std::size_t last = 0;
  for (std::size_t at = 0; at < message.size(); ++at) {
    if (message[at] != '"' && message[at] != '`' && message[at] != '\'') continue;
    if (message[at] == '\'' && at > 0 && is_letter(at - 1) && is_letter(at + 1)) continue;  // don't
    first = std::min(first, at);
    last = at + 1;
  }
  if (first == message.size()) return std::string(message);
  return std::string(message.substr(0, first)).append(message.substr(last));
}

FailureKind kind_of(int status, const ErrorBody& said) {
  const std::string message = lower_case(said.message);
  // An engine in trouble quotes its own name, a refused request its client.
  const bool refused = status >= 400 && status < 500 && status != 429;
  const std::string whole = said.words + message;
  const std::string unquoted = refused ? said.words + without_quotes(message) : whole;
  std::string line;
  for (const auto& row : failure_table::kRows) {
    if (!failure_table::holds(row.when, status)) continue;
    if (row.said == failure_table::phrase) {
      const std::string& evidence = blames(row.kind) ? unquoted : whole;
      if (evidence.find(row.text) != std::string::npos) return row.kind;
      continue;
    }
    line.assign("\n").append(row.text).append("\n");
    if (said.words.find(line) != std::string::npos) return row.kind;
  }
  return kind_of_status(status);
}

bool passes_by_itself(FailureKind kind) {
  switch (kind) {
    case FailureKind::rate_limited:
    case FailureKind::overloaded:
    case FailureKind::server:
    case FailureKind::timeout:
    case FailureKind::network:
      return true;
    default:
      return false;
  }
}

// When some limit is whole again: for want of something better. A reset at 0 is no hint: that limit
// is not the one that was hit, or the clocks differ. Of two the sooner: a probe that comes too
// early costs one request, one that comes too late leaves a healthy engine idle.
Millis wait_for_reset(Instant now, const ResponseHead& head, const ErrorBody& said) {
  for (const std::string_view exact : {head.reset, std::string_view(said.reset)})
    if (const Millis wait = wait_from(now, exact); wait > 0) return wait;
  const Millis requests = wait_from(now, head.reset_requests);
  const Millis tokens = wait_from(now, head.reset_tokens);
  if (requests <= 0) return tokens > 0 ? tokens : kNoWait;
  return tokens > 0 ? std::min(requests, tokens) : requests;
}

// What says it most exactly comes first.
Millis wait_of(Instant now, FailureKind kind, const ResponseHead& head, const ErrorBody& said) {
  if (!passes_by_itself(kind)) return kNoWait;
  // Some send such headers with every answer: in a 200 they are not about the error.
  const ResponseHead hints = head.status >= 400 ? head : ResponseHead();
  Millis wait = wait_from_ms(hints.retry_after_ms);
  if (wait == kNoWait) wait = wait_from(now, hints.retry_after);
  if (wait == kNoWait) wait = wait_from(now, said.wait);
  if (wait == kNoWait) wait = wait_in_words(said.message);
  if (wait == kNoWait && kind == FailureKind::rate_limited) wait = wait_for_reset(now, hints, said);
  return wait;
}

}  // namespace

std::string_view name_of(FailureKind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }

Failure classify(Instant now, const ResponseHead& head, std::string_view body) {
  ErrorBody said = read_error_body(body);
  if (const std::string_view name = exception_name(head.error_type); !name.empty()) {
    const std::string exception = folded(name, limits::error_code_bytes_max);
    said.words.append(lower_case(exception)).append("\n");
    if (said.code.empty()) said.code = exception;
  }
  // An error inside a 200 often names the status that it would have had.
  const bool in_band = head.status < 300;
  const int status = in_band && said.status != 0 ? said.status : head.status;

  Failure failure;
  failure.kind = kind_of(status, said);
  failure.status = head.status;
  failure.retry_after_ms = wait_of(now, failure.kind, head, said);
  failure.reason = std::move(said.message);
  if (failure.reason.empty()) failure.reason = said.code;
  if (failure.reason.empty()) {
    failure.reason = "no reason was given";
    if (status != 0) failure.reason += " (HTTP " + std::to_string(status) + ")";
  }
  failure.code = std::move(said.code);
  failure.param = std::move(said.param);
  return failure;
}

// The word alone decides: what else the frame holds is the model's, and may be the client's words.
Failure ended_with(std::string_view finish) {
  const std::string word = folded(finish, limits::error_code_bytes_max);
  Failure failure = failed(FailureKind::empty, "the answer ended with " + word);
  for (const auto& row : failure_table::kFinishes)
    if (row.finish == lower_case(word)) failure.kind = row.kind;
  failure.status = 200;
  failure.code = word;
  return failure;
}

Failure failed(FailureKind kind, std::string_view reason) {
  Failure failure;
  failure.kind = kind;
  failure.reason = folded(reason, limits::reason_bytes_max);
  return failure;
}

}  // namespace spillway
