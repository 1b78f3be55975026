// Checks that the cost of some work grows no faster than its input: quadratic work would be found
// by any client that sends a large body.
#pragma once

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>

namespace spillway {

// CPU time of this thread: what other processes do on the machine does not count.
inline double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// `prepare(n)` makes input for n units and gives back the work to be measured, which at n = `units`
// should take at least 20 µs. Ten times the input may cost 40 times the time (quadratic: 100), and
// noise must spoil five measurements in a row to be believed.
inline void expect_linear(const char* what, std::size_t units,
                          const std::function<std::function<void()>(std::size_t)>& prepare) {
  const auto cost = [](const std::function<void()>& work) {
    double best = std::numeric_limits<double>::max();
    for (int i = 0; i < 3; ++i) {
      const double start = thread_cpu_seconds();
      work();
      best = std::min(best, thread_cpu_seconds() - start);
    }
    return best;
  };
  const std::function<void()> work[] = {prepare(units), prepare(10 * units), prepare(100 * units)};
  double worst = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const double cost_1 = cost(work[0]);
    const double cost_10 = cost(work[1]);
    const double cost_100 = cost(work[2]);
    worst = std::max(cost_10 / cost_1, cost_100 / cost_10);
    if (worst < 40) return;
  }
  ADD_FAILURE() << what << ": ten times the input cost " << worst << " times the CPU time";
}

}  // namespace spillway
