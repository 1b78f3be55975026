// The two directions of the core's border: what may come in (Input) and what may go out (Actions).
// All bytes are lent for the call, both ways. docs/ARCHITECTURE.md "Host ABI" is the same contract
// for the host.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "clock.h"

namespace spillway {

// A chat is one client request; an exchange is one upstream HTTP exchange. Never 0, never used
// twice.
enum class ChatId : std::int32_t { none = 0 };
enum class ExchangeId : std::int32_t { none = 0 };

enum class LogLevel : std::uint8_t { debug, info, warn, error };

namespace input {
// The upstream's response headers came: `head` is a JSON object of them.
struct Response {
  ExchangeId exchange;
  int status;
  std::string_view head;
};
struct Chunk {
  ExchangeId exchange;
  std::string_view bytes;
};
struct End {
  ExchangeId exchange;
};
// The exchange broke; `reason` is for logs and error messages.
struct Error {
  ExchangeId exchange;
  std::string_view reason;
};
// The time that wake() asked for has come. `reading`: the host waits for upstream bytes, not for
// its client.
struct Wake {
  ChatId chat;
  bool reading;
};
// The client left.
struct Close {
  ChatId chat;
};
// A piece of the request's body, once read() has asked for it.
struct Body {
  enum class Rest : std::uint8_t {
    more,    // follows
    none,    // that was all of it
    broken,  // it broke off
  };
  ChatId chat;
  std::string_view bytes;
  Rest rest;
};
}  // namespace input

using Input = std::variant<input::Response, input::Chunk, input::End, input::Error, input::Wake,
                           input::Close, input::Body>;

class Actions {
 public:
  // Start an upstream exchange; `head` is JSON {method, url, headers}.
  virtual void fetch(ExchangeId exchange, std::string_view head, std::string_view body) = 0;
  virtual void cancel(ExchangeId exchange) = 0;
  // Read the body of the client's request: input::Body follows, until the chat has ended. A body
  // that is not asked for is not read.
  virtual void read(ChatId chat) = 0;
  // respond(), then any number of write(), then end(): once each. `head` is a JSON object of
  // headers.
  virtual void respond(ChatId chat, int status, std::string_view head) = 0;
  virtual void write(ChatId chat, std::string_view bytes) = 0;
  // The host pipes the rest of the exchange to the client itself; chunks still come in, as copies.
  virtual void splice(ChatId chat, ExchangeId exchange) = 0;
  // The client waits for the whole answer: what comes of the rest of the exchange may be handed
  // over together, so much later.
  virtual void gather(ChatId chat, ExchangeId exchange, Millis within) = 0;
  virtual void end(ChatId chat) = 0;
  // One timer a chat: replaces the one before.
  virtual void wake(ChatId chat, Instant at) = 0;
  // By write_log() alone (log.h).
  virtual void log(LogLevel level, std::string_view line) = 0;

 protected:
  ~Actions() = default;
};

}  // namespace spillway
