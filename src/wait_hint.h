// How long a provider asks to wait, read from any of the ways it is written.
//
//   wait_from(now, "20")                               Retry-After in seconds, also "8.64"
//   wait_from(now, "Fri, 31 Jul 2026 10:00:00 GMT")    Retry-After as a date (RFC 9110
//   section 5.6.7) wait_from(now, "34.4s"), "6ms", "1m2s"             RetryInfo.retryDelay,
//   x-ratelimit-reset-* wait_from(now, "2026-07-31T10:00:00Z")             a reset as RFC 3339
//   wait_from(now, "1785492000"), "1785492000000"      a reset as an epoch in seconds or
//   milliseconds wait_in_words("Please try again in 9m38.016s.")    a hint inside a message
//
// Rules: kNoWait when there is no hint; a time that has passed is 0; parts of a millisecond round
// up (a retry must not come early); a wait is never over limits::timeout_ms_max, one day, which is
// longer than any cooldown, so what a wrong clock or a hostile header says stays harmless.
#pragma once

#include <string_view>

#include "clock.h"

namespace spillway {

inline constexpr Millis kNoWait = -1;

[[nodiscard]] Millis wait_from(Instant now, std::string_view text);
// Retry-After-Ms: a plain number is milliseconds here.
[[nodiscard]] Millis wait_from_ms(std::string_view text);
[[nodiscard]] Millis wait_in_words(std::string_view message);

}  // namespace spillway
