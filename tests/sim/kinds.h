// Kinds of failure as sets, and what each of them means: for engines and keys, and for the client.
// Written by hand from docs/FAILURES.md, not asked of the core.
#pragma once

#include <string>
#include <string_view>

#include "failure.h"

namespace spillway::sim {

using KindSet = std::uint32_t;
constexpr KindSet set_of(FailureKind kind) { return 1U << static_cast<unsigned>(kind); }
inline constexpr KindSet kNoKind = 0;
inline constexpr KindSet kAnyKind = ~kNoKind;

inline constexpr KindSet kBlamesEngine =
    set_of(FailureKind::overloaded) | set_of(FailureKind::server) | set_of(FailureKind::timeout) |
    set_of(FailureKind::network) | set_of(FailureKind::protocol);
inline constexpr KindSet kBlamesKey = set_of(FailureKind::rate_limited);
inline constexpr KindSet kSetsEngineAside = set_of(FailureKind::model_not_found);
inline constexpr KindSet kSetsKeyAside =
    set_of(FailureKind::auth) | set_of(FailureKind::quota_exhausted);
inline constexpr KindSet kBlamesNobody =
    set_of(FailureKind::empty) | set_of(FailureKind::context_too_long) |
    set_of(FailureKind::content_filter) | set_of(FailureKind::bad_request) |
    set_of(FailureKind::too_large);
// The same engine may be asked again, as attempts_per_engine says for each of them.
inline constexpr KindSet kRetried = set_of(FailureKind::overloaded) | set_of(FailureKind::server) |
                                    set_of(FailureKind::timeout) | set_of(FailureKind::network);

// By its stable name; kNoKind when there is none of this name.
KindSet kind_named(std::string_view name);
std::string names_of(KindSet kinds);

// An error as the client is told it.
struct Code {
  std::string_view code;
  int status = 0;
  std::string_view type;
  KindSet kinds = kNoKind;  // that are told so
};
// nullptr when there is no such code.
const Code* code_named(std::string_view code);

}  // namespace spillway::sim
