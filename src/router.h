// The router: chats as state machines. Inputs come in with their time, actions go out; nothing
// waits in here.
//
// clang-format off
//   Trying ──2xx──► Listening ──first content──► Committed ──finished──► Closing ──► (gone)
//     │ other status   │ failure, or one inside the 200    │ failure → error event → (gone)
//     ▼                │
//   Refused ──► judge ◄┘        close (client left), from any state → cancel → (gone)
//                 next engine → Trying · same engine later → Waiting ──wake──► Trying · stop → error → (gone)
// clang-format on
//
// Rules
// * Nothing of a provider reaches the client before its first content; until then every failure
//   is survivable.
// * A step for one chat emits actions for that chat only, and never re-enters the router.
// * respond, then end, exactly once a chat, unless the client left. Inputs for what is gone are
//   ignored.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "actions.h"
#include "chat.h"
#include "config.h"
#include "health.h"
#include "learned.h"
#include "occupancy.h"
#include "pace.h"
#include "surface.h"
#include "transcript.h"

namespace spillway {

class Chat;

enum class ChatState : std::uint8_t {
  trying,
  refused,
  listening,
  committed,
  closing,
  waiting,
  gone
};

struct ChatOpening {
  ChatId id = ChatId::none;
  std::unique_ptr<ChatRequest> request;  // decoded
  Occupancy::Seat seat;                  // until it is gone
  const Client* client = nullptr;        // who asks, nullptr for whoever shows no key
  std::string_view client_name;          // as it is logged
  CommonHeaders headers;                 // of every response to this client
  std::string request_id;
  std::uint64_t seed = 0;
  bool embedded = false;  // the program itself asks: nothing between ends a silent connection
};

// What all chats share.
struct RouterShared {
  const Config& config;
  Actions& actions;
  Health health;
  Pace pace;
  Learned learned;
  std::int32_t next_exchange = 1;
  std::map<ExchangeId, ChatId> exchanges;
  // Reused from step to step, so that a token allocates nothing.
  Events events;
  Parts parts;
  std::string out;
  std::string joined;
};

class Router {
 public:
  Router(const Config& config, Actions& actions);
  ~Router();

  void open(Instant now, ChatOpening&& opening);
  void step(Instant now, const Input& input);

  [[nodiscard]] std::size_t chats() const { return chats_.size(); }
  [[nodiscard]] std::size_t exchanges() const { return shared_.exchanges.size(); }
  [[nodiscard]] const Health& health() const { return shared_.health; }
  // `gone` for a chat that is not open.
  [[nodiscard]] ChatState state_of(ChatId chat) const;

 private:
  Chat* find(ChatId chat);
  Chat* find(ExchangeId exchange);
  void forget_if_gone(Chat* chat);

  RouterShared shared_;
  std::map<ChatId, std::unique_ptr<Chat>> chats_;
};

}  // namespace spillway
