// The HTTP face: paths, client keys, CORS, and what is answered without a provider. A request is
// judged by its head; only the body of one that may ask is read, then its chat goes on to the
// router.
//
//   POST /v1/chat/completions   GET /v1/models   GET /v1/models/{id}   GET /health   GET /
//   (HEAD as GET; OPTIONS anywhere)
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "occupancy.h"
#include "rare.h"
#include "router.h"

namespace spillway {

class Gateway {
 public:
  // Both outlive it.
  Gateway(const Config& config, Actions& actions);
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
  ~Gateway();

  // Takes the head of a request, JSON {method, url, headers, local, trusted}: answers it, or asks
  // for its body (Actions::read), which opens a chat. `seed` is this request's only source of
  // randomness.
  ChatId open(Instant now, std::uint64_t seed, std::string_view head);
  void step(Instant now, const Input& input);

  // One log line that says which providers can serve and what the others lack.
  SPILLWAY_RARE void log_providers() const;

  [[nodiscard]] const Router& router() const { return router_; }
  // Chats, and requests whose bodies are being read.
  [[nodiscard]] std::size_t open_requests() const { return arrivals_.size() + router_.chats(); }
  [[nodiscard]] bool is_arriving(ChatId chat);
  [[nodiscard]] const Occupancy::Use& occupied() const { return occupancy_.all(); }
  [[nodiscard]] const Config& config() const { return config_; }

 private:
  struct Call;
  struct Arrival;

  void arrive(Instant now, Call&& call);
  std::list<Arrival>::iterator find_arrival(ChatId chat);
  void take(Instant now, const input::Body& piece);
  SPILLWAY_RARE void take_rare(Instant now, const Input& input);
  bool make_room(Arrival& arrival, std::size_t bytes);
  SPILLWAY_RARE void drop(Arrival& arrival, const input::Body& piece);
  void open_chat(Instant now, Arrival& arrival);
  SPILLWAY_RARE void log_endings(Instant now);
  SPILLWAY_RARE void answer_health(Instant now, const Call& call, bool in_full);
  SPILLWAY_RARE void answer_models(Instant now, const Call& call, const Caller& caller);
  SPILLWAY_RARE void answer_model(const Call& call, std::string_view id, const Caller& caller);
  SPILLWAY_RARE void answer(const Call& call, int status, std::string_view body,
                            std::string_view more_headers = {});
  SPILLWAY_RARE void refuse(const Call& call, const ClientError& error,
                            std::string_view more_headers = {});
  SPILLWAY_RARE void answer_preflight(const Call& call);
  SPILLWAY_RARE void answer_other(Instant now, const Call& call,
                                  const std::optional<Caller>& caller);
  SPILLWAY_RARE void answer_front(const Call& call);
  SPILLWAY_RARE void refuse_method(const Call& call, std::string_view expected,
                                   std::string_view allowed);
  SPILLWAY_RARE void refuse_key(const Call& call);
  SPILLWAY_RARE void refuse_size(const Call& call);
  SPILLWAY_RARE void refuse_load(const Call& call, std::string_view what);
  SPILLWAY_RARE void refuse_dropped(const Arrival& arrival);
  SPILLWAY_RARE void refuse_body(const Call& call, const BadRequest& problem);
  [[nodiscard]] std::optional<Caller> caller_of(const Call& call) const;
  [[nodiscard]] std::size_t body_bytes_max(const Call& call) const;

  const Config& config_;
  Actions& actions_;
  Occupancy occupancy_;
  std::list<Arrival> arrivals_;
  Router router_;
  std::int32_t next_chat_ = 1;
  Instant endings_due_;  // when it is looked next for engines that end
};

}  // namespace spillway
