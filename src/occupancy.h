// What of an instance's limits is taken: chats, and bytes of request bodies, in all and by each
// client. None ever has all of it, so that no client keeps the others out. (Each key of
// SPILLWAY_KEYS counts as a client of its own here.)
//
//   if (auto seat = occupancy.take_seat(caller)) …        // one chat, until the seat goes
//   if (occupancy.take_bytes(*seat, size)) …              // of its body, until it goes or gives
//   back
//
// A seat points into the occupancy, which outlives it.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "config.h"

namespace spillway {

// Who asks. Without a key: this machine, or the program that embeds the router.
struct Caller {
  const ClientKey* key = nullptr;
  [[nodiscard]] const Client* client() const { return key == nullptr ? nullptr : key->client; }
};

class Occupancy {
 public:
  struct Use {
    std::size_t chats = 0;
    std::size_t body_bytes = 0;
  };

  class Seat {
   public:
    Seat() = default;
    Seat(Seat&& other) noexcept { swap(other); }
    Seat& operator=(Seat&& other) noexcept {
      swap(other);
      return *this;
    }
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    ~Seat() {
      give_bytes();
      for (Use* use : {all_, client_, key_})
        if (use != nullptr) --use->chats;
    }
    // The body is not kept any longer.
    void give_bytes() {
      for (Use* use : {all_, client_, key_})
        if (use != nullptr) use->body_bytes -= bytes_;
      bytes_ = 0;
    }

   private:
    friend class Occupancy;
    Seat(Use& all, Use* client, Use* key) : all_(&all), client_(client), key_(key) {
      for (Use* use : {all_, client_, key_})
        if (use != nullptr) ++use->chats;
    }
    void swap(Seat& other) {
      std::swap(all_, other.all_);
      std::swap(client_, other.client_);
      std::swap(key_, other.key_);
      std::swap(bytes_, other.bytes_);
    }

    Use* all_ = nullptr;
    Use* client_ = nullptr;
    Use* key_ = nullptr;
    std::size_t bytes_ = 0;
  };

  explicit Occupancy(const Config& config)
      : config_(config), clients_(config.clients.size()), keys_(config.client_keys.size()) {}

  [[nodiscard]] const Use& all() const { return all_; }

  // Nothing when there is no room for one more chat of this caller.
  [[nodiscard]] std::optional<Seat> take_seat(const Caller& caller) {
    if (all_.chats >= config_.chats_max) return std::nullopt;
    if (caller.key == nullptr) return Seat(all_, nullptr, nullptr);
    const Client& row = *caller.client();
    Use& client = clients_[row.number];
    Use* const key = row.is_default ? &keys_[caller.key->number] : nullptr;
    const Use& sharer = key != nullptr ? *key : client;
    const bool is_full = row.chats_max > 0
                             ? client.chats >= row.chats_max
                             : sharer.chats > 0 && sharer.chats >= share_of(config_.chats_max);
    if (is_full) return std::nullopt;
    return Seat(all_, &client, key);
  }

  // False when there is no room for so many more. What is a client's only body may have all that is
  // free: else no body could be larger than the share.
  [[nodiscard]] bool take_bytes(Seat& seat, std::size_t bytes) {
    if (bytes > config_.bodies_bytes_max - std::min(all_.body_bytes, config_.bodies_bytes_max))
      return false;
    const Use* const sharer = seat.key_ != nullptr ? seat.key_ : seat.client_;
    const bool is_only = sharer == nullptr || sharer->body_bytes == seat.bytes_;
    if (!is_only && sharer->body_bytes + bytes > share_of(config_.bodies_bytes_max)) return false;
    for (Use* use : {seat.all_, seat.client_, seat.key_})
      if (use != nullptr) use->body_bytes += bytes;
    seat.bytes_ += bytes;
    return true;
  }

 private:
  [[nodiscard]] std::size_t share_of(std::size_t whole) const {
    return static_cast<std::size_t>(static_cast<double>(whole) *
                                    static_cast<double>(config_.client_share_per_mille) / 1000);
  }

  const Config& config_;
  Use all_;
  std::vector<Use> clients_;
  std::vector<Use> keys_;
};

}  // namespace spillway
