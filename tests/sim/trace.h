// What happened, readable: every input and what came out of it.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "clock.h"

namespace spillway::sim {

class Trace {
 public:
  explicit Trace(std::FILE* out) : out_(out) {}

  void begin(Instant start) { start_ = start; }
  // Something comes in.
  void event(Instant now, std::string_view text);
  // Something goes out.
  void action(std::string_view text);

  // Bytes on one line, the middle of long ones left out.
  static std::string shown(std::string_view bytes);

 private:
  std::FILE* out_;
  Instant start_;
};

}  // namespace spillway::sim
