// spillway_sim: runs seeds, or one of them with a trace.
//
//   spillway_sim --seeds 20000 [--from N] [--jobs N] [--brief]
//   spillway_sim --seed N [--trace]
//
// Exit code 1 when a rule was broken, or when a cell that can be reached was not.

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>

#include "simulation.h"

namespace spillway::sim {
namespace {

struct Options {
  std::uint64_t seeds = 20'000;
  std::uint64_t from = 0;
  std::optional<std::uint64_t> seed;
  unsigned jobs = 0;
  bool trace = false;
  bool brief = false;
};

// So many seeds one thread takes at a time.
constexpr std::uint64_t kBlock = 128;
// Fewer seeds than this need not reach every cell.
constexpr std::uint64_t kSeedsForCoverage = 5000;
// Every so many seeds one is run twice.
constexpr std::uint64_t kTwiceOneIn = 64;
// … and so often in a world that differs in nothing but its secrets.
constexpr std::uint64_t kOtherSecretsOneIn = 8;

Violation interference() {
  return {"interference", "with other secrets clients see something else, or others are asked"};
}

struct Failure {
  std::uint64_t seed = UINT64_MAX;
  Violation violation;
};

class Runner {
 public:
  Runner(const Options& options, const std::vector<World>& worlds,
         const std::vector<World>& other_secrets)
      : options_(options), worlds_(worlds), other_secrets_(other_secrets), next_(options.from) {}

  int run();

 private:
  void work();
  void keep(std::uint64_t seed, Violation violation);
  int report(double seconds) const;

  const Options& options_;
  const std::vector<World>& worlds_;
  const std::vector<World>& other_secrets_;
  std::atomic<std::uint64_t> next_;
  std::atomic<std::uint64_t> first_failure_{UINT64_MAX};
  std::mutex mutex_;
  Failure failure_;
  Coverage coverage_;
  Tally tally_;
};

void Runner::keep(std::uint64_t seed, Violation violation) {
  const std::scoped_lock lock(mutex_);
  if (seed > failure_.seed) return;
  failure_ = {seed, std::move(violation)};
  first_failure_ = seed;
}

// Blocks are handed out in order, and none that was begun is left: the failure of the lowest seed
// is the one that is told, however many threads there are.
void Runner::work() {
  Coverage coverage;
  Tally tally;
  const std::uint64_t end = options_.from + options_.seeds;
  for (;;) {
    const std::uint64_t begin = next_.fetch_add(kBlock);
    if (begin >= end || begin > first_failure_) break;
    for (std::uint64_t seed = begin; seed < std::min(begin + kBlock, end); ++seed) {
      Simulation simulation(worlds_, seed, coverage, tally, nullptr);
      if (auto violation = simulation.run()) {
        keep(seed, std::move(*violation));
        break;
      }
      Coverage ignored_coverage;
      Tally ignored_tally;
      if (seed % kOtherSecretsOneIn == 0) {
        Simulation other(other_secrets_, seed, ignored_coverage, ignored_tally, nullptr);
        auto other_violation = other.run();
        if (!other_violation && other.seen() != simulation.seen()) other_violation = interference();
        if (other_violation) {
          keep(seed, std::move(*other_violation));
          break;
        }
      }
      if (seed % kTwiceOneIn != 0) continue;
      Simulation again(worlds_, seed, ignored_coverage, ignored_tally, nullptr);
      again.run();
      if (again.digest() != simulation.digest())
        keep(seed, {"determinism", "the same inputs gave other outputs"});
    }
  }
  const std::scoped_lock lock(mutex_);
  coverage_.add(coverage);
  tally_.add(tally);
}

int Runner::run() {
  const auto start = std::chrono::steady_clock::now();
  const unsigned jobs =
      options_.jobs > 0 ? options_.jobs : std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (unsigned job = 0; job < jobs; ++job) threads.emplace_back([this] { work(); });
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return report(took.count());
}

int Runner::report(double seconds) const {
  if (failure_.seed != UINT64_MAX) {
    std::printf("FAILED  seed %llu breaks the rule \"%s\"\n        %s\n",
                static_cast<unsigned long long>(failure_.seed), failure_.violation.rule,
                failure_.violation.what.c_str());
    std::printf("        npm run sim -- --seed %llu --trace\n",
                static_cast<unsigned long long>(failure_.seed));
    return 1;
  }
  const auto steps = static_cast<double>(coverage_.steps());
  std::printf(
      "%llu seeds, %llu chats, %llu upstream exchanges, %.0f events in %.1f s (%.1f s of CPU "
      "time): "
      "%.0f events/s\n",
      static_cast<unsigned long long>(options_.seeds),
      static_cast<unsigned long long>(tally_.chats),
      static_cast<unsigned long long>(tally_.exchanges), steps, seconds,
      static_cast<double>(std::clock()) / CLOCKS_PER_SEC, steps / seconds);
  std::printf("no rule was broken; up to %llu chats at once in one router\n",
              static_cast<unsigned long long>(tally_.together_max));
  if (!options_.brief) {
    std::printf("\nstate × input\n");
    coverage_.print(stdout);
    std::printf("\nfaults, and what became of the chats that met them\n");
    tally_.print(stdout);
  }
  const std::size_t missing = coverage_.missing();
  if (missing == 0 || options_.seeds < kSeedsForCoverage) return 0;
  std::printf("FAILED  %zu cells that can be reached were not\n", missing);
  return 1;
}

int replay(const Options& options, const std::vector<World>& worlds,
           const std::vector<World>& other_secrets) {
  Coverage coverage;
  Tally tally;
  Trace trace(stdout);
  Simulation simulation(worlds, *options.seed, coverage, tally, options.trace ? &trace : nullptr);
  auto violation = simulation.run();
  if (!violation) {
    Simulation other(other_secrets, *options.seed, coverage, tally, nullptr);
    violation = other.run();
    if (!violation && other.seen() != simulation.seen()) violation = interference();
  }
  if (!violation) {
    std::printf("seed %llu: no rule was broken\n", static_cast<unsigned long long>(*options.seed));
    return 0;
  }
  std::printf("seed %llu breaks the rule \"%s\"\n  %s\n",
              static_cast<unsigned long long>(*options.seed), violation->rule,
              violation->what.c_str());
  return 1;
}

std::optional<std::uint64_t> number(const char* text) {
  std::uint64_t value = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

int run(int count, char** arguments) {
  Options options;
  for (int at = 1; at < count; ++at) {
    const std::string_view name = arguments[at];
    if (name == "--trace") {
      options.trace = true;
      continue;
    }
    if (name == "--brief") {
      options.brief = true;
      continue;
    }
    const auto value = at + 1 < count ? number(arguments[++at]) : std::nullopt;
    if (value && name == "--seeds") {
      options.seeds = *value;
    } else if (value && name == "--from") {
      options.from = *value;
    } else if (value && name == "--seed") {
      options.seed = *value;
    } else if (value && name == "--jobs") {
      options.jobs = static_cast<unsigned>(*value);
    } else {
      std::fprintf(stderr,
                   "usage: spillway_sim [--seeds N] [--from N] [--jobs N] [--brief]\n"
                   "       spillway_sim --seed N [--trace]\n");
      return 2;
    }
  }
  std::vector<World> worlds;
  std::vector<World> other_secrets;
  for (std::uint64_t world = 0; world < kWorlds; ++world) {
    worlds.push_back(make_world(world, Secrets::first));
    other_secrets.push_back(make_world(world, Secrets::second));
  }
  if (options.seed) return replay(options, worlds, other_secrets);
  return Runner(options, worlds, other_secrets).run();
}

}  // namespace
}  // namespace spillway::sim

int main(int count, char** arguments) { return spillway::sim::run(count, arguments); }
