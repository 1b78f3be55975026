// The host ABI (docs/ARCHITECTURE.md): exports → the core → imports. The only file that knows the
// host. Both toolchains build it with no generated glue. Bytes are lent for one call, both ways.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "gateway.h"
#include "limits.h"
#include "log.h"

#define SPILLWAY_IMPORT(name) __attribute__((import_module("host"), import_name(#name))) extern "C"
// The C names are not the exported ones: `open` and `close` are the C library's.
#define SPILLWAY_EXPORT(name) extern "C" __attribute__((export_name(#name), used))

// A broken invariant on purpose, for tests of the host: never in the shipped module.
#ifdef SPILLWAY_TEST_TRAP
#define SPILLWAY_TRAP_AT(input, word) \
  if ((input).find(word) != std::string_view::npos) __builtin_trap()
#else
#define SPILLWAY_TRAP_AT(input, word) static_cast<void>(0)
#endif

SPILLWAY_IMPORT(fetch)
void host_fetch(std::int32_t exchange, const char* head, std::size_t head_size, const char* body,
                std::size_t body_size);
SPILLWAY_IMPORT(cancel) void host_cancel(std::int32_t exchange);
SPILLWAY_IMPORT(read) void host_read(std::int32_t chat);
SPILLWAY_IMPORT(respond)
void host_respond(std::int32_t chat, std::int32_t status, const char* head, std::size_t size);
SPILLWAY_IMPORT(write) void host_write(std::int32_t chat, const char* bytes, std::size_t size);
SPILLWAY_IMPORT(splice) void host_splice(std::int32_t chat, std::int32_t exchange);
SPILLWAY_IMPORT(gather)
void host_gather(std::int32_t chat, std::int32_t exchange, std::int32_t within_ms);
SPILLWAY_IMPORT(end) void host_end(std::int32_t chat);
SPILLWAY_IMPORT(wake) void host_wake(std::int32_t chat, double at_ms);
SPILLWAY_IMPORT(log) void host_log(std::int32_t level, const char* text, std::size_t size);

namespace {

using namespace spillway;

class HostActions final : public Actions {
 public:
  void fetch(ExchangeId exchange, std::string_view head, std::string_view body) override {
    host_fetch(static_cast<std::int32_t>(exchange), head.data(), head.size(), body.data(),
               body.size());
  }
  void cancel(ExchangeId exchange) override { host_cancel(static_cast<std::int32_t>(exchange)); }
  void read(ChatId chat) override { host_read(static_cast<std::int32_t>(chat)); }
  void respond(ChatId chat, int status, std::string_view head) override {
    host_respond(static_cast<std::int32_t>(chat), status, head.data(), head.size());
  }
  void write(ChatId chat, std::string_view bytes) override {
    host_write(static_cast<std::int32_t>(chat), bytes.data(), bytes.size());
  }
  void splice(ChatId chat, ExchangeId exchange) override {
    host_splice(static_cast<std::int32_t>(chat), static_cast<std::int32_t>(exchange));
  }
  void gather(ChatId chat, ExchangeId exchange, Millis within) override {
    host_gather(static_cast<std::int32_t>(chat), static_cast<std::int32_t>(exchange),
                static_cast<std::int32_t>(within));
  }
  void end(ChatId chat) override { host_end(static_cast<std::int32_t>(chat)); }
  void wake(ChatId chat, Instant at) override {
    host_wake(static_cast<std::int32_t>(chat), static_cast<double>(at.ms()));
  }
  void log(LogLevel level, std::string_view line) override {
    host_log(static_cast<std::int32_t>(level), line.data(), line.size());
  }
};

// What one instance of the module holds. Made once and never destroyed: an instance is dropped
// whole.
struct Instance {
  HostActions actions;
  std::unique_ptr<char[]> input;  // not cleared: the host fills it
  std::size_t input_size = 0;
  Gateway* gateway = nullptr;
};

Instance& instance() {
  static Instance* const made = new Instance;
  return *made;
}

Instant instant(double ms) { return Instant::at_ms(static_cast<std::int64_t>(ms)); }

std::string_view taken(std::int32_t size) {
  return {instance().input.get(), static_cast<std::size_t>(size)};
}

SPILLWAY_RARE void log_refused(const ConfigProblem& problem) {
  std::string line;
  json::Writer out(line);
  out.begin_object().key("event").string("config_refused");
  out.key("path").string(problem.path).key("message").string(problem.message).end_object();
  write_log(instance().actions, LogLevel::error, line);
}

}  // namespace

SPILLWAY_EXPORT(abi_version) std::int32_t spillway_abi_version() { return 4; }

// Room for the inputs of the calls that follow, until configure() has returned or the next input();
// null when it is more than the core accepts.
SPILLWAY_EXPORT(input) char* spillway_input(std::int32_t size) {
  Instance& self = instance();
  const auto wanted = static_cast<std::size_t>(size);
  if (wanted > limits::input_bytes_max) return nullptr;
  if (self.input_size < wanted) {
    self.input.reset(new char[wanted]);
    self.input_size = wanted;
  }
  return self.input.get();
}

SPILLWAY_EXPORT(configure) std::int32_t spillway_configure(std::int32_t size) {
  Instance& self = instance();
  ConfigProblem problem;
  auto config = Config::load(taken(size), problem);
  // The environment has gone through here: nothing of it stays behind.
  std::memset(self.input.get(), 0, self.input_size);
  asm volatile("" : : "r"(self.input.get()) : "memory");  // else the zeros would be left out
  self.input.reset();
  self.input_size = 0;
  if (config == nullptr) {
    log_refused(problem);
    return 1;
  }
  self.gateway = new Gateway(*config.release(), self.actions);
  return 0;
}

SPILLWAY_EXPORT(log_providers) void spillway_log_providers() {
  instance().gateway->log_providers();
}

SPILLWAY_EXPORT(open)
std::int32_t spillway_open(double now, double seed, std::int32_t size) {
  return static_cast<std::int32_t>(
      instance().gateway->open(instant(now), static_cast<std::uint64_t>(seed), taken(size)));
}

SPILLWAY_EXPORT(on_body)
void spillway_on_body(double now, std::int32_t chat, std::int32_t rest, std::int32_t size) {
  SPILLWAY_TRAP_AT(taken(size), "spillway-trap-open");
  instance().gateway->step(
      instant(now), input::Body{ChatId{chat}, taken(size), static_cast<input::Body::Rest>(rest)});
}

SPILLWAY_EXPORT(on_response)
void spillway_on_response(double now, std::int32_t exchange, std::int32_t status,
                          std::int32_t size) {
  instance().gateway->step(instant(now),
                           input::Response{ExchangeId{exchange}, status, taken(size)});
}

SPILLWAY_EXPORT(on_chunk)
void spillway_on_chunk(double now, std::int32_t exchange, std::int32_t size) {
  SPILLWAY_TRAP_AT(taken(size), "spillway-trap-3");
  instance().gateway->step(instant(now), input::Chunk{ExchangeId{exchange}, taken(size)});
}

SPILLWAY_EXPORT(on_end) void spillway_on_end(double now, std::int32_t exchange) {
  instance().gateway->step(instant(now), input::End{ExchangeId{exchange}});
}

SPILLWAY_EXPORT(on_error)
void spillway_on_error(double now, std::int32_t exchange, std::int32_t size) {
  instance().gateway->step(instant(now), input::Error{ExchangeId{exchange}, taken(size)});
}

SPILLWAY_EXPORT(on_wake)
void spillway_on_wake(double now, std::int32_t chat, std::int32_t reading) {
  instance().gateway->step(instant(now), input::Wake{ChatId{chat}, reading != 0});
}

SPILLWAY_EXPORT(close) void spillway_close(double now, std::int32_t chat) {
  instance().gateway->step(instant(now), input::Close{ChatId{chat}});
}
