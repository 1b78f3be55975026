// One seed: a host with scripted providers, clients and a virtual clock around a real Gateway, and
// what must hold at every step.
//
// Three times follow one another. In the storm, providers are unwell as the swarm has it. Then all
// behave, while much is still cooling: every chat must be answered at its first attempt. At last,
// long after every cooldown, each must be answered by the first engine of its chain.
//
// simulation.cpp draws and plays; simulation_host.cpp is the host's side of the ABI; the rules are
// in simulation_rules.cpp (every step), simulation_racing.cpp (who answers, of two that are asked)
// and simulation_closing.cpp (the end of a chat).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agenda.h"
#include "answer_rule.h"
#include "client.h"
#include "coverage.h"
#include "gateway.h"
#include "log_line.h"
#include "plan.h"
#include "standing.h"
#include "tally.h"
#include "trace.h"
#include "world.h"

namespace spillway::sim {

// A rule that was broken.
struct Violation {
  const char* rule = nullptr;
  std::string what;
};

class Simulation final : public Actions {
 public:
  Simulation(const std::vector<World>& worlds, std::uint64_t seed, Coverage& coverage, Tally& tally,
             Trace* trace);

  // Nothing when every rule held.
  std::optional<Violation> run();
  // Of everything that came out, in order: equal for equal seeds.
  [[nodiscard]] std::uint64_t digest() const { return digest_; }
  // Of everything that clients see, and of who was asked when: equal for equal seeds whatever the
  // secrets are.
  [[nodiscard]] std::uint64_t seen() const { return seen_; }

  void fetch(ExchangeId id, std::string_view head, std::string_view body) override;
  void cancel(ExchangeId id) override;
  void read(ChatId id) override;
  void respond(ChatId id, int status, std::string_view head) override;
  void write(ChatId id, std::string_view bytes) override;
  void splice(ChatId id, ExchangeId exchange) override;
  void gather(ChatId id, ExchangeId exchange, Millis within) override;
  void end(ChatId id) override;
  void wake(ChatId id, Instant at) override;
  void log(LogLevel level, std::string_view line) override;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kNoKey = SIZE_MAX;

  enum class Time : std::uint8_t { storm, calm, rested };

  struct Exchange {
    std::uint32_t number = 0;
    std::uint32_t chat = 0;
    std::size_t engine = 0;
    std::size_t key = kNoKey;
    Plan plan;
    std::size_t step = 0;       // of the plan, to be played next
    std::uint32_t planned = 0;  // the generation of that step's entry in the agenda
    std::size_t arrived = 0;    // bytes of the body that the host has
    std::size_t delivered = 0;  // bytes of it that the core has got
    std::size_t read = 0;       // … before it was over
    bool has_head = false;      // delivered
    bool over = false;          // ended or broken
    bool ended = false;         // ended, and the core was told
    bool cancelled = false;
    bool goes_on = false;  // the host delivers what comes after a cancel
    bool judged = false;
    bool tap_due = false;
    Instant tap_ready;  // the next slice of the copy
    Millis lag = 0;     // gathered: what has come may be delivered so much later
    Instant started;
    Instant headers_at;
    // When content was last known to the core: surely, and perhaps.
    Instant content_sure;
    Instant content_maybe;
    Instant finish_maybe;
    KindSet kinds = 0;    // what its failure may be called, once it has failed
    bool whole = false;   // the failure was read whole
    bool hedges = false;  // asked beside another one, which was slow
    bool lost = false;    // the other one answered
    // Of an answer that broke off: what the client had of its text when this was asked to go on.
    bool rescues = false;
    bool may_answer = false;  // it has said something that may have been joined
    bool answers = false;     // the client has been told something of it
    Instant failed_at;

    [[nodiscard]] bool open() const { return !over && !cancelled; }
  };

  struct Chat {
    ChatId id = ChatId::none;
    Ask ask;
    Time time = Time::storm;
    bool is_chat = true;  // else it is answered at once, with this status
    int visit_status = 0;
    bool opened = false;
    bool reads = false;  // the body is asked for
    bool responded = false;
    bool ended = false;
    bool left = false;
    bool closed = false;  // judged for the last time
    bool stalled_ever = false;
    bool native = false;    // its host pipes natively
    bool early = false;     // the response began before it was known who answers
    bool answered = false;  // the answer has begun
    bool hedged = false;
    int status = 0;
    int logs = 0;
    std::string head;
    std::string line;  // of the log
    Reading reading;
    std::string held;  // written while a native pipe owned the body
    std::vector<std::uint32_t> exchanges;
    std::uint32_t spliced = kNone;
    std::uint32_t current = kNone;  // the exchange that was asked for last, or answers
    std::uint32_t rival = kNone;    // the other one, while two are asked
    std::uint32_t answered_step = 0;
    std::size_t first = 0;              // of the exchanges, the one with which the answer began
    std::vector<std::size_t> given_up;  // engines
    std::vector<std::size_t> unsure;    // engines that may be given up
    std::string late_attempts;          // told inside a stream that began early
    bool windows_out = false;           // engines of small or unknown window may be out
    Millis waited_ms = 0;
    Instant opened_at;
    Instant answered_at;
    Instant stalled_until;
    Instant second_look;
    Instant wake_at = Instant::never();
    std::uint32_t timer = 0;  // the timer's generation

    // What has begun with a comment is moved by the host's own code.
    [[nodiscard]] bool pipes() const { return native && !early; }
  };

  // --- simulation.cpp
  void draw();
  void draw_moods();
  void add_chat(Instant at, Time time);
  void add_visit(Instant at);
  void schedule(Instant at, Due due, std::uint32_t subject, std::uint32_t generation = 0);
  void play(const Entry& entry);
  void open(std::uint32_t chat);
  void give_body(std::uint32_t chat);
  void stall(std::uint32_t chat);
  void leave(std::uint32_t chat);
  void fire_timer(const Entry& entry);
  Fault draw_fault(const Exchange& exchange);
  void make_plan(Exchange& exchange, std::uint32_t number, bool streamed, std::string_view body,
                 Continuation continuation);
  void draw_client_faults(std::uint32_t chat);

  // --- simulation_host.cpp
  void play_exchange(const Entry& entry);
  void schedule_step(std::uint32_t number);
  void schedule_exchange(Instant at, std::uint32_t number);
  void ping(std::uint32_t number);
  void arrive(std::uint32_t number, std::size_t upto);
  void deliver(std::uint32_t number, std::size_t upto);
  void deliver_bytes(std::uint32_t number, std::string_view bytes);
  void deliver_copy(std::uint32_t number);
  void finish(std::uint32_t number, Step::What how);
  void note_progress(Exchange& exchange, std::size_t before);
  void to_client(Chat& chat, std::string_view bytes, bool native);
  void flush_held(Chat& chat);
  [[nodiscard]] bool is_own_of_provider(const Chat& chat, std::string_view bytes) const;
  [[nodiscard]] bool piped_natively(std::uint32_t number) const;
  [[nodiscard]] bool is_gathered(std::uint32_t number) const;
  [[nodiscard]] bool is_copying(const Chat& chat) const;
  [[nodiscard]] bool stalled(const Chat& chat) const {
    return chat.responded && now_ < chat.stalled_until;
  }
  template <class Event>
  void step(std::uint32_t chat, Column column, const Event& event, std::string_view shown);
  void find_engine(Exchange& exchange, std::string_view head, std::string_view body);

  // --- simulation_rules.cpp
  void violate(const char* rule, std::string what);
  Chat* acting(ChatId id, const char* action);
  void check_choice(std::uint32_t number, const Continuation& continuation);
  void check_hedge(Chat& chat, Exchange& next);
  void check_retry(const Chat& chat, const Exchange& last, const Exchange& next);
  void check_rescue(const Chat& chat, const Exchange& last, const Exchange& next,
                    const Continuation& continuation);
  void note_answering(Chat& chat);
  void check_order(const Chat& chat, const Exchange& next);
  [[nodiscard]] bool has_refused_ours(const Chat& chat, std::size_t engine) const;
  void check_step(std::uint32_t chat);
  void check_pending(std::uint32_t chat);
  void check_client(std::uint32_t chat);
  void check_secret(std::string_view bytes, const char* where);
  void judge(Chat& chat, Exchange& exchange, std::uint32_t number);
  // The running step is a wake-up.
  [[nodiscard]] bool by_time() const {
    return cause_ == Column::wake || cause_ == Column::wake_stalled;
  }
  [[nodiscard]] KindSet possible_kinds(const Chat& chat, const Exchange& exchange) const;
  [[nodiscard]] static Millis idle_ms(const Exchange& exchange, const Timeouts& timeouts);
  [[nodiscard]] bool overdue(const Chat& chat, const Exchange& exchange,
                             const Timeouts& timeouts) const;
  [[nodiscard]] KindSet blamed_kinds(const Chat& chat, const Exchange& exchange,
                                     KindSet kinds) const;
  [[nodiscard]] Instant latest_deadline(const Chat& chat) const;
  [[nodiscard]] Instant latest_deadline(const Chat& chat, const Exchange& exchange) const;
  [[nodiscard]] Millis first_content_ms(const Chat& chat, const Exchange& exchange,
                                        const Timeouts& timeouts) const;
  [[nodiscard]] Instant total_deadline(const Chat& chat) const {
    return chat.opened_at + chat.ask.rules.timeouts.total_ms;
  }
  [[nodiscard]] Sources sources_of(const Chat& chat) const;
  // How many attempts have been made since the last engine that answered, and how often the answer
  // has been gone on with: at least and at most, for an engine that only repeats may have joined.
  struct Range {
    int least = 0;
    int most = 0;
  };
  [[nodiscard]] Range attempts_of(const Chat& chat) const;
  [[nodiscard]] Range rescues_of(const Chat& chat) const;
  [[nodiscard]] bool has_open_exchange(const Chat& chat) const;

  // --- simulation_racing.cpp
  void begin_early(Chat& chat);
  void begin_answer(Chat& chat, std::string_view engine);
  [[nodiscard]] bool gave_up_reading(const Chat& chat) const;
  void return_to_empty(Chat& chat, const std::function<bool(std::uint32_t)>& is_it);
  void settle_race(Chat& chat);
  void lose(std::uint32_t number);
  [[nodiscard]] Instant hedge_at(const Chat& chat) const;
  [[nodiscard]] static bool is_racing(const Chat& chat, std::uint32_t number) {
    return chat.rival != kNone && (number == chat.current || number == chat.rival);
  }

  // --- simulation_closing.cpp
  void close(std::uint32_t chat);
  void check_answer(const Chat& chat);
  void check_skipped(const Chat& chat);
  void check_error(const Chat& chat);
  void check_given_up(const Chat& chat);
  void check_log(const Chat& chat);
  void check_usage(const Chat& chat, const Exchange& exchange);
  void check_bill(const Chat& chat, const LogLine& line);
  void check_not_rescued(const Chat& chat);
  void check_liveness(const Chat& chat);
  void check_end();
  void count(const Chat& chat, Fate fate);
  [[nodiscard]] bool completed(const Chat& chat) const;

  static bool contains(const std::vector<std::size_t>& list, std::size_t item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  }
  void say(std::string_view text) {
    if (trace_ != nullptr) trace_->event(now_, text);
  }
  void say_action(std::string_view text) {
    if (trace_ != nullptr) trace_->action(text);
  }
  void mix(std::string_view bytes);
  void mix(std::uint64_t value) { digest_ = (digest_ ^ value) * 0x9E3779B97F4A7C15ULL; }

  const World& world_;
  Random random_;
  Swarm swarm_;
  Coverage& coverage_;
  Tally& tally_;
  Trace* trace_;
  Agenda agenda_;
  Instant now_;
  Instant calm_at_ = Instant::never();  // from here on every provider behaves
  std::uint32_t steps_ = 0;
  std::uint32_t steps_max_ = 0;

  // What ails whom in the storm: a fault that strikes always, or how often one is drawn.
  struct Mood {
    Fault always = Fault::none;
    unsigned percent = 0;
  };
  std::vector<Mood> moods_;                     // by engine
  std::vector<std::vector<Fault>> key_faults_;  // by provider and key

  std::vector<Chat> chats_;                           // in the order in which they are drawn
  std::vector<std::uint32_t> by_id_;                  // chats, by their ids from 1
  std::vector<std::unique_ptr<Exchange>> exchanges_;  // by their ids from 1
  std::uint32_t open_chats_ = 0;
  std::uint32_t current_ = kNone;  // the chat whose step is running
  bool opening_ = false;
  std::optional<Column> cause_;  // of the running step; none: the chat is being opened
  std::uint32_t cause_exchange_ = kNone;
  Standings standings_;
  std::int64_t hedges_saved_ = 1000;  // in thousandths
  std::vector<std::size_t> begun_;    // exchanges, by engine
  std::vector<bool> refuse_usage_;    // engines that have said so by the field's name
  std::optional<Violation> violation_;
  void see(std::uint64_t value) { seen_ = (seen_ ^ value) * 0x9E3779B97F4A7C15ULL; }
  void see(std::string_view bytes);
  std::uint64_t digest_ = 0;
  std::uint64_t seen_ = 0;

  std::unique_ptr<Gateway> gateway_;
};

}  // namespace spillway::sim
