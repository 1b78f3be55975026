// How providers say no: status, headers and body in each dialect's words, with every way to ask for
// a wait. What each of them means is written here by hand, not asked of the core.
#pragma once

#include <string>
#include <string_view>

#include "clock.h"
#include "dialects.h"
#include "fault.h"
#include "kinds.h"

namespace spillway::sim {

// How long a provider asked to wait: from when its answer is read, or until a point in time.
struct Hint {
  Millis after_ms = -1;
  Instant until;

  [[nodiscard]] bool given() const { return after_ms >= 0 || until != Instant(); }
  [[nodiscard]] Instant from(Instant now) const {
    return after_ms >= 0 ? now + after_ms : std::max(now, until);
  }
};

struct Refusal {
  int status = 0;
  std::string headers;  // JSON members
  std::string body;
  KindSet kinds = 0;      // what the whole of it means
  KindSet kinds_cut = 0;  // what it may be taken for when its body is cut
  Hint hint;
};

// `key`: some quote it back. `guess`: what the client chose, which many quote back.
Refusal refuse(Random& random, DialectName dialect, Fault fault, Instant now, std::string_view key,
               std::string_view guess);

// An error inside a 200, as an event of the stream.
struct InBand {
  Piece piece;
  KindSet kinds = 0;
};
InBand fail_in_band(Random& random, DialectName dialect, std::string_view guess);

}  // namespace spillway::sim
