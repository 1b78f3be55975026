// The HTTP face: paths, client keys, CORS, and what is answered without a provider. Chats go on to
// the router.
//
//   POST /v1/chat/completions   GET /v1/models   GET /v1/models/{id}   GET /health
//   (HEAD as GET; OPTIONS anywhere)
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "rare.h"
#include "router.h"

namespace spillway {

// A client's request, as the host handed it over: JSON head and the body's bytes.
struct HttpRequest {
  std::string head;
  std::string body;
  bool body_too_large = false;  // the host read no further than input() accepts
};

class Gateway {
 public:
  // Both outlive it.
  Gateway(const Config& config, Actions& actions);

  // Takes a request; answers it or opens a chat. `seed` is this request's only source of
  // randomness.
  ChatId open(Instant now, std::uint64_t seed, HttpRequest request);
  void step(Instant now, const Input& input) { router_.step(now, input); }

  // One log line that says which providers can serve and what the others lack.
  SPILLWAY_RARE void log_providers() const;

  [[nodiscard]] const Router& router() const { return router_; }
  [[nodiscard]] const Config& config() const { return config_; }

 private:
  struct Call;

  void open_chat(Instant now, Call& call, HttpRequest& request);
  SPILLWAY_RARE void answer_health(Instant now, const Call& call);
  SPILLWAY_RARE void answer_models(const Call& call);
  SPILLWAY_RARE void answer_model(const Call& call, std::string_view id);
  SPILLWAY_RARE void answer(const Call& call, int status, std::string_view body,
                            std::string_view more_headers = {});
  SPILLWAY_RARE void refuse(const Call& call, const ClientError& error,
                            std::string_view more_headers = {});
  SPILLWAY_RARE void answer_preflight(const Call& call);
  SPILLWAY_RARE void answer_other(Instant now, const Call& call);
  SPILLWAY_RARE void refuse_method(const Call& call, std::string_view expected,
                                   std::string_view allowed);
  SPILLWAY_RARE void refuse_key(const Call& call);
  SPILLWAY_RARE void refuse_size(const Call& call);
  SPILLWAY_RARE void refuse_load(const Call& call);
  SPILLWAY_RARE void refuse_body(const Call& call, const BadRequest& problem);
  [[nodiscard]] bool allowed(const Call& call) const;

  const Config& config_;
  Actions& actions_;
  Router router_;
  std::int32_t next_chat_ = 1;
};

}  // namespace spillway
