// A request as a host hands it over that has read the body: its head, then all of the body, if the
// core asks for it.
#pragma once

#include <string_view>

#include "gateway.h"

namespace spillway {

inline ChatId ask(Gateway& gateway, Instant now, std::uint64_t seed, std::string_view head,
                  std::string_view body) {
  const ChatId chat = gateway.open(now, seed, head);
  if (gateway.is_arriving(chat))
    gateway.step(now, input::Body{chat, body, input::Body::Rest::none});
  return chat;
}

}  // namespace spillway
