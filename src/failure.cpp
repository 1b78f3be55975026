#include "failure.h"

#include <algorithm>
#include <array>
#include <span>
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

constexpr std::string_view kNoReason = "no reason was given";

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

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// Whether a model is named, and not a longer name that holds this one ("gpt-5" in "gpt-5.2-pro").
bool names(std::string_view message, std::string_view model) {
  if (model.empty()) return false;
  for (std::size_t at = message.find(model); at != std::string_view::npos;
       at = message.find(model, at + 1)) {
    const std::string_view rest = message.substr(at + model.size());
    const bool goes_on =
        !rest.empty() &&
        (is_name_byte(rest[0]) ||
         (rest.size() > 1 && (rest[0] == '.' || rest[0] == ':') && is_name_byte(rest[1])));
    if (!goes_on && (at == 0 || !is_name_byte(message[at - 1]))) return true;
  }
  return false;
}

// What is looked for, all of it in lower case.
struct Evidence {
  const ErrorBody& said;
  std::string message;
  std::string whole;     // with the words
  std::string unquoted;  // of a refused request: without what it quotes
  std::string model;

  // Nothing that a client may have said proves anything against an engine or a key.
  [[nodiscard]] bool proves(std::string_view phrase) const {
    return unquoted.find(phrase) != std::string::npos && model.find(phrase) == std::string::npos;
  }
  [[nodiscard]] bool has_word(std::string_view word) const {
    std::string line = "\n";
    line.append(word).append("\n");
    return said.words.find(line) != std::string::npos;
  }
  [[nodiscard]] bool shows(const failure_table::Row& row) const {
    if (row.said == failure_table::word) return has_word(row.text);
    return blames(row.kind) ? proves(row.text) : whole.find(row.text) != std::string::npos;
  }
};

bool proves_any(const Evidence& evidence, std::span<const std::string_view> phrases) {
  return std::any_of(phrases.begin(), phrases.end(),
                     [&evidence](std::string_view phrase) { return evidence.proves(phrase); });
}

bool denies(const Evidence& evidence, int status) {
  if (kind_of_status(status) == FailureKind::auth) return true;
  if (!failure_table::holds(failure_table::kInBand, status)) return false;
  return std::any_of(std::begin(failure_table::kDenyingWords),
                     std::end(failure_table::kDenyingWords),
                     [&evidence](std::string_view word) { return evidence.has_word(word); });
}

// Something is denied: the key, the model to this key, or, where nothing is said of either, it is
// somebody on the way who denies it to all.
void find_what_is_denied(const Evidence& evidence, int status, Failure& failure) {
  if (proves_any(evidence, failure_table::kKeyPhrases)) {
    failure.kind = FailureKind::auth;
  } else if (names(evidence.message, evidence.model) ||
             proves_any(evidence, failure_table::kModelPhrases)) {
    failure.kind = FailureKind::model_not_found;
    failure.is_to_key = true;
  } else {
    const bool is_key = status == 401 || proves_any(evidence, failure_table::kKeyNames);
    failure.kind = is_key ? FailureKind::auth : FailureKind::server;
  }
}

void find_kind(int status, const ErrorBody& said, std::string_view model, Failure& failure) {
  Evidence evidence{said, lower_case(said.message), {}, {}, {}};
  evidence.model = lower_case(folded(model, limits::name_bytes_max));
  evidence.whole = said.words + evidence.message;
  // An engine in trouble quotes its own name, a refused request its client.
  const bool refused = status >= 400 && status < 500 && status != 429;
  evidence.unquoted = refused ? said.words + without_quotes(evidence.message) : evidence.whole;
  failure.kind = kind_of_status(status);
  for (const auto& row : failure_table::kRows) {
    if (!failure_table::holds(row.when, status) || !evidence.shows(row)) continue;
    failure.kind = row.kind;
    failure.is_to_key = row.kind == FailureKind::model_not_found &&
                        (row.when == failure_table::kDenied || row.when == 403);
    return;
  }
  if (denies(evidence, status)) find_what_is_denied(evidence, status, failure);
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

Failure classify(Instant now, const ResponseHead& head, std::string_view body,
                 std::string_view model) {
  ErrorBody said = read_error_body(body, head.body_is_cut);
  if (const std::string_view name = exception_name(head.error_type); !name.empty()) {
    const std::string exception = folded(name, limits::error_code_bytes_max);
    said.words.append(lower_case(exception)).append("\n");
    if (said.code.empty()) said.code = exception;
  }
  // In a 200 it may be an answer, and its words the model's.
  if (said.is_guess && head.status < 300) said.message.clear();
  // An error inside a 200 often names the status that it would have had.
  const bool in_band = head.status < 300;
  const int status = in_band && said.status != 0 ? said.status : head.status;

  Failure failure;
  find_kind(status, said, model, failure);
  failure.status = head.status;
  failure.retry_after_ms = wait_of(now, failure.kind, head, said);
  failure.reason = std::move(said.message);
  if (failure.reason.empty()) failure.reason = said.code;
  if (failure.reason.empty()) {
    failure.reason = kNoReason;
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
  if (failure.reason.empty()) failure.reason = kNoReason;
  return failure;
}

}  // namespace spillway
