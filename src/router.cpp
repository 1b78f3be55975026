#include "router.h"

#include "chat_machine.h"

namespace spillway {

Router::Router(const Config& config, Actions& actions)
    : shared_{config, actions, Health(config.cooldown_ms), {}, {}, 1, {}, {}, {}, {}, {}} {}

Router::~Router() = default;

Chat* Router::find(ChatId chat) {
  const auto found = chats_.find(chat);
  return found == chats_.end() ? nullptr : found->second.get();
}

// The chat that still wants to hear of this exchange.
Chat* Router::find(ExchangeId exchange) {
  const auto found = shared_.exchanges.find(exchange);
  if (found == shared_.exchanges.end()) return nullptr;
  Chat* const chat = find(found->second);
  return chat != nullptr && chat->turn_to(exchange) ? chat : nullptr;
}

ChatState Router::state_of(ChatId chat) const {
  const auto found = chats_.find(chat);
  return found == chats_.end() ? ChatState::gone : found->second->state();
}

void Router::forget_if_gone(Chat* chat) {
  if (chat->state() == ChatState::gone) chats_.erase(chat->id());
}

void Router::open(Instant now, ChatOpening&& opening) {
  const ChatId id = opening.id;
  Chat* const chat = (chats_[id] = std::make_unique<Chat>(shared_, std::move(opening), now)).get();
  chat->start(now);
  forget_if_gone(chat);
}

void Router::step(Instant now, const Input& input) {
  std::visit(
      [this, now](const auto& event) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(event)>, input::Body>) {
          Chat* chat = nullptr;
          if constexpr (requires { event.exchange; }) {
            chat = find(event.exchange);
          } else {
            chat = find(event.chat);
          }
          if (chat == nullptr) return;
          chat->take(now, event);
          forget_if_gone(chat);
        }
      },
      input);
}

}  // namespace spillway
