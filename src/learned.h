// What engines have refused of what the router itself had added to a request: it is not added
// again. A value; the engines of the config have room always, others as long as there is some.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "failure.h"
#include "limits.h"
#include "quirk.h"
#include "rare.h"

namespace spillway {

class Learned {
 public:
  [[nodiscard]] quirk::Set of(std::string_view engine) const {
    const auto found = engines_.find(engine);
    return found == engines_.end() ? 0 : found->second;
  }
  SPILLWAY_RARE void add(std::string_view engine, quirk::Set quirks, bool is_configured) {
    if (!is_configured && engines_.size() >= limits::learned_engines_max) return;
    engines_[std::string(engine)] |= quirks;
  }

 private:
  std::map<std::string, quirk::Set, std::less<>> engines_;
};

// Which of the router's own additions `failure` refuses: no_stream_options, no_stream, or none.
// `asked`: those that the request had.
SPILLWAY_RARE quirk::Set refused_additions(const Failure& failure, quirk::Set asked);
// Whether the failure names the field itself, and not its message alone, which may quote a client:
// only that is remembered, for all.
SPILLWAY_RARE bool names_addition(const Failure& failure);

}  // namespace spillway
