#include "kinds.h"

#include <algorithm>

namespace spillway::sim {

namespace {

using enum FailureKind;

constexpr std::array kCodes{
    Code{"rate_limit_exceeded", 429, "rate_limit_error", set_of(rate_limited)},
    Code{"overloaded", 503, "server_error", set_of(overloaded)},
    Code{"upstream_error", 502, "server_error", set_of(server)},
    Code{"timeout", 504, "server_error", set_of(timeout)},
    Code{"network_error", 502, "server_error", set_of(network)},
    Code{"protocol_error", 502, "server_error", set_of(protocol)},
    Code{"empty_answer", 502, "server_error", set_of(empty)},
    Code{"model_not_found", 404, "invalid_request_error", set_of(model_not_found)},
    Code{"context_length_exceeded", 400, "invalid_request_error", set_of(context_too_long)},
    Code{"provider_auth_failed", 401, "authentication_error", set_of(auth)},
    Code{"insufficient_quota", 429, "insufficient_quota", set_of(quota_exhausted)},
    Code{"content_filter", 400, "invalid_request_error", set_of(content_filter)},
    Code{"invalid_request", 400, "invalid_request_error", set_of(bad_request)},
    Code{"request_too_large", 413, "invalid_request_error", set_of(too_large)},
};

constexpr std::array<std::string_view, kFailureKinds> kKindNames{
    "rate_limited",    "overloaded",     "server",          "timeout",          "network",
    "protocol",        "empty",          "model_not_found", "context_too_long", "auth",
    "quota_exhausted", "content_filter", "bad_request",     "too_large"};

}  // namespace

KindSet kind_named(std::string_view name) {
  for (std::size_t kind = 0; kind < kKindNames.size(); ++kind)
    if (kKindNames[kind] == name) return 1U << kind;
  return kNoKind;
}

std::string names_of(KindSet kinds) {
  std::string names;
  for (std::size_t kind = 0; kind < kKindNames.size(); ++kind)
    if ((kinds & 1U << kind) != 0)
      names += (names.empty() ? "" : ", ") + std::string(kKindNames[kind]);
  return names.empty() ? "none" : names;
}

const Code* code_named(std::string_view code) {
  const auto* found = std::find_if(kCodes.begin(), kCodes.end(),
                                   [code](const Code& row) { return row.code == code; });
  return found == kCodes.end() ? nullptr : found;
}

}  // namespace spillway::sim
