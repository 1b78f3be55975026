// One request being served: the state machine of router.h's picture, and the only place where its
// states change. chat_machine.cpp chooses engines, ends attempts and keeps deadlines;
// chat_reading.cpp reads upstream; chat_answering.cpp speaks to the client; chat_racing.cpp asks
// two engines at once; chat_rescuing.cpp goes on with an answer that broke off.
#pragma once

#include <optional>
#include <vector>

#include "attempt.h"
#include "policy.h"
#include "rare.h"
#include "report.h"
#include "router.h"
#include "seam.h"

namespace spillway {

class Chat {
 public:
  Chat(RouterShared& shared, ChatOpening&& opening, Instant now);
  Chat(const Chat&) = delete;
  Chat& operator=(const Chat&) = delete;
  SPILLWAY_RARE ~Chat() = default;

  // Begins, or answers with an error at once.
  void start(Instant now);
  void take(Instant now, const input::Response& response);
  void take(Instant now, const input::Chunk& chunk);
  void take(Instant now, const input::End& end);
  void take(Instant now, const input::Error& error);
  void take(Instant now, const input::Wake& wake);
  void take(Instant now, const input::Close& close);

  [[nodiscard]] ChatState state() const { return state_; }
  [[nodiscard]] ChatId id() const { return id_; }
  // Whether it still wants to hear of this exchange; what it takes next is about that.
  bool turn_to(ExchangeId exchange);

 private:
  struct Remembered {
    Failure failure;
    std::string engine;
  };
  // An answer that broke off while the client was reading it, and how it goes on.
  struct Rescue {
    Remembered broke;           // told when no engine can go on
    std::size_t text_size = 0;  // so much of the client's text came before
    std::size_t attempts = 0;   // so many attempts too
    bool prefilled = false;     // as this attempt was asked
    bool said = false;          // it has said something
    std::optional<Seam> seam;
  };

  // choosing
  SPILLWAY_RARE void refuse_policy(Instant now, Resolution resolution,
                                   const ConfigProblem& problem);
  // What the engines have in common that cannot take the request.
  struct Misfits {
    bool all_retired = true;
    bool any_ready = false;  // of those whose provider could be called
    bool all_too_small = true;
    std::string_view field;  // that all of them stumble over

    SPILLWAY_RARE void add(Unfit why, std::string_view other);
  };
  SPILLWAY_RARE bool skip_unfit(Instant now);
  SPILLWAY_RARE [[nodiscard]] ClientError none_fits(const Misfits& misfits) const;
  SPILLWAY_RARE void skip(Candidate& candidate, std::string_view word, std::string_view text);
  [[nodiscard]] Instant ready_at(Instant now, const Candidate& candidate) const;
  [[nodiscard]] Candidate* pick(Instant now, const Candidate* except = nullptr);
  void try_next(Instant now);
  bool begin(Instant now, Candidate& candidate);
  [[nodiscard]] Millis headers_ms(const Timeouts& timeouts, const Target& target,
                                  Millis first_content_ms) const;
  [[nodiscard]] int attempts_left(std::size_t before) const;
  [[nodiscard]] bool is_spent(std::size_t before) const { return attempts_left(before) <= 0; }
  SPILLWAY_RARE bool is_refusal_of_ours(const Failure& failure);
  SPILLWAY_RARE void skip_lossy(Candidate& candidate, const Dropped& dropped);
  void again(Instant now, Candidate& candidate);

  // reading
  void let_go_request();
  bool take_frame(Instant now, const Frame& frame);
  bool take_event(Instant now, const Event& event);
  SPILLWAY_APART void take_name(JsonText given, std::string& name);
  SPILLWAY_RARE bool take_failure(Instant now, const Failed& failure);
  SPILLWAY_RARE bool take_problem(Instant now, const Failure& failure);
  SPILLWAY_RARE bool take_overflow(Instant now);
  SPILLWAY_RARE void take_remark(const Remark& remark);
  [[nodiscard]] bool is_piped() const;
  SPILLWAY_RARE [[nodiscard]] Failure broken_off(Instant now, std::string_view what) const;
  SPILLWAY_APART bool find_body_kind(std::string_view bytes);
  SPILLWAY_APART void relay(const Frame& frame);
  SPILLWAY_RARE [[nodiscard]] std::string without_keys(std::string_view body) const;
  void print_parts(Instant now);
  void identify(Instant now);
  SPILLWAY_RARE void take_refusal(Instant now, std::string_view bytes);
  SPILLWAY_RARE void take_whole(Instant now, std::string_view bytes);
  void drain_frames(Instant now);
  void after_frames(Instant now);
  void gather_rest();
  SPILLWAY_RARE void read_refusal(Instant now, bool is_cut);
  SPILLWAY_RARE void read_whole(Instant now);

  // answering
  void commit(Instant now);
  SPILLWAY_RARE void print_late_head();
  void conclude(Instant now);
  SPILLWAY_RARE void wind_up(Instant now);
  SPILLWAY_RARE [[nodiscard]] bool ended_well() const;
  SPILLWAY_RARE [[nodiscard]] bool is_answer_though_empty() const;
  SPILLWAY_RARE bool answer_with_nothing(Instant now);
  SPILLWAY_RARE void keep_tail();
  SPILLWAY_RARE void relay_held();
  void complete(Instant now);
  SPILLWAY_RARE ClientError tell(const Remembered& failed, std::string_view joint);
  SPILLWAY_RARE void cut(Instant now, const Remembered& broke);
  SPILLWAY_RARE void answer_error(Instant now, const ClientError& error, Millis retry_after_ms);
  SPILLWAY_RARE void give_up(Instant now);
  SPILLWAY_RARE [[nodiscard]] Millis retry_after_ms(Instant now) const;
  void flush();

  // asking a second engine while the first is slow
  SPILLWAY_RARE void expect_slowness(Instant now);
  SPILLWAY_RARE void hedge(Instant now);
  void turn();
  SPILLWAY_RARE void settle_race(Instant now);
  SPILLWAY_RARE void learn(const Candidate& candidate, Millis wait);
  SPILLWAY_RARE void drop_rival(Instant now, std::string_view outcome);
  SPILLWAY_RARE void continue_with_rival(Instant now);

  // going on with an answer that broke off
  [[nodiscard]] bool may_be_rescued() const;
  SPILLWAY_RARE bool rescue(Instant now, const Failure& failure);
  SPILLWAY_RARE void ask_to_go_on(const Candidate& candidate);
  void remember(const Part& part);
  SPILLWAY_RARE void print_joined();
  [[nodiscard]] bool is_joined() const {
    return !rescue_ || rescue_->seam->state() == Seam::State::joined;
  }
  [[nodiscard]] bool is_contradicted() const {
    return rescue_ && rescue_->seam->state() == Seam::State::contradicted;
  }
  static constexpr std::string_view kCancelled = "cancelled";
  static constexpr const char* kDoesNotJoin = "it does not go on where the answer stopped";
  void pay();
  SPILLWAY_RARE [[nodiscard]] std::string paid() const;

  // ending an attempt
  SPILLWAY_RARE void fail(Instant now, const Failure& failure);
  SPILLWAY_RARE void fail(Instant now, FailureKind kind, std::string_view reason);
  SPILLWAY_RARE void remember(const Failure& failure);
  void hang_up();
  void praise(Instant now);
  SPILLWAY_RARE void settle_health(Instant now, const Failure& failure);
  SPILLWAY_RARE [[nodiscard]] Situation situation(Instant now, FailureKind kind);
  void record(Instant now, std::string_view outcome);
  void record_answer(Instant now);
  void leave(Instant now, Outcome outcome);

  // deadlines
  [[nodiscard]] Instant deadline() const;
  [[nodiscard]] Instant deadline_of(ChatState state, const Attempt* attempt) const;
  [[nodiscard]] Instant comment_at() const;
  SPILLWAY_RARE void comment(Instant now, bool reading);
  void arm(Instant now);
  [[nodiscard]] bool may_be_behind() const;
  SPILLWAY_RARE void expire(Instant now);
  SPILLWAY_RARE [[nodiscard]] Failure late(Instant now, std::string_view what, Millis allowed_ms,
                                           Instant fair) const;

  std::uint64_t random();
  [[nodiscard]] const Engine& engine() const { return *attempt_->candidate->engine; }
  [[nodiscard]] const Provider& provider() const { return *engine().provider; }

  RouterShared& shared_;
  ChatId id_;
  Occupancy::Seat seat_;
  const Client* client_;
  ChatState state_ = ChatState::trying;
  std::unique_ptr<ChatRequest> request_;  // until no engine is asked any more
  Surface surface_;
  Policy policy_;
  Chain chain_;
  std::unique_ptr<Attempt> attempt_;  // of a chat that hedges, the one that was heard of last
  std::unique_ptr<Attempt> rival_;    // the other one, and how it stands
  ChatState rival_state_ = ChatState::trying;
  bool racing_ = false;  // the attempt's first content counts for hedging
  bool hedged_ = false;
  Instant hedge_at_ = Instant::never();
  std::optional<Remembered> failure_;  // the most useful so far
  std::unique_ptr<Attempt> empty_;  // ended well and said nothing: the answer, if there is no other
  bool answering_ = false;          // the response has begun
  bool early_ = false;              // before it was known which engine answers
  bool embedded_;
  Instant heard_at_;           // when the client last got something that is no content
  bool keeps_text_ = false;    // to go on from there, should it break off
  bool joinable_ = true;       // nothing but text and reasoning so far
  bool answers_tool_ = false;  // the last that was said is what a tool gave
  std::string text_;           // escaped: what the client has of the answer's text
  std::size_t messages_ = 0;   // of the client's own
  std::optional<Rescue> rescue_;
  std::string refusals_;  // which engines cannot take the request, and why
  Report report_;
  Instant opened_;
  Instant wait_until_;
  Instant armed_ = Instant::never();
  Candidate* waiting_candidate_ = nullptr;
  Millis waited_ms_ = 0;
  std::uint64_t random_state_;
};

}  // namespace spillway
