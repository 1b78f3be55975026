// The rules for a chat that is over, and for the end of a seed: what the client was told, what the
// log says, and that nothing is left.

#include <algorithm>

#include "simulation.h"

namespace spillway::sim {

using enum FailureKind;

void Simulation::count(const Chat& chat, Fate fate) {
  ++tally_.chats;
  ++tally_.fates[static_cast<std::size_t>(fate)];
  std::array<bool, kFaults> met{};
  for (const std::uint32_t number : chat.exchanges)
    met[static_cast<std::size_t>(exchanges_[number]->plan.fault)] = true;
  met[static_cast<std::size_t>(Fault::client_leaves)] = chat.left;
  met[static_cast<std::size_t>(Fault::client_stalls)] = chat.stalled_ever;
  const bool native = chat.pipes() && chat.spliced != kNone;
  met[static_cast<std::size_t>(Fault::native_pipe)] = native;
  if (native) ++tally_.injected[static_cast<std::size_t>(Fault::native_pipe)];
  met[static_cast<std::size_t>(Fault::chunk_splits)] = swarm_.on(Fault::chunk_splits);
  met[static_cast<std::size_t>(Fault::late_timers)] = swarm_.on(Fault::late_timers);
  met[static_cast<std::size_t>(Fault::early_timers)] = swarm_.on(Fault::early_timers);
  for (const std::uint32_t number : chat.exchanges)
    if (exchanges_[number]->cancelled && exchanges_[number]->goes_on) {
      ++tally_.injected[static_cast<std::size_t>(Fault::late_inputs)];
      met[static_cast<std::size_t>(Fault::late_inputs)] = true;
    }
  for (std::size_t fault = 1; fault < kFaults; ++fault)
    if (met[fault]) ++tally_.by_fault[fault][static_cast<std::size_t>(fate)];
}

void Simulation::close(std::uint32_t number) {
  Chat& chat = chats_[number];
  chat.closed = true;
  --open_chats_;
  if (gateway_->router().state_of(chat.id) != ChatState::gone)
    return violate("leak", "the router keeps a chat that is over");
  for (const std::uint32_t each : chat.exchanges)
    if (exchanges_[each]->open()) return violate("leak", "an exchange outlives its chat");
  if (chat.responded && !is_head(chat.head)) return violate("client", "a head is no JSON object");
  if (chat.ended && chat.status != 204) chat.reading.finish();
  if (!chat.reading.problem().empty()) return violate("client", chat.reading.problem());
  if (!chat.is_chat) {
    if (chat.status != chat.visit_status)
      violate("request", "status " + std::to_string(chat.status) + ", not " +
                             std::to_string(chat.visit_status));
    return;
  }
  if (chat.answered && chat.ended) {
    check_answer(chat);
  } else if (chat.ended) {
    check_error(chat);
  }
  if (!violation_) check_log(chat);
  if (!violation_) check_liveness(chat);
  if (violation_) return;
  const bool done = completed(chat);
  count(chat, chat.left        ? Fate::left
              : !chat.answered ? Fate::failed
              : done           ? Fate::completed
                               : Fate::cut);
}

bool Simulation::gave_up_reading(const Chat& chat) const {
  return chat.reading.over() == Reading::Over::broken && chat.spliced != kNone &&
         exchanges_[chat.spliced]->plan.native_garbage;
}

// Told as finished, and not by a provider alone that had told an error before (natively).
bool Simulation::completed(const Chat& chat) const {
  // A client that is piped to gives up at what it cannot read; its provider may go on to a good
  // end.
  if (gave_up_reading(chat)) return chat.line.find(R"("outcome":"completed")") != std::string::npos;
  if (chat.reading.over() != Reading::Over::done) return false;
  const bool is_cut = chat.line.find(R"("outcome":"cut")") != std::string::npos;
  return !(is_cut && chat.reading.expects_late_error());
}

void Simulation::check_answer(const Chat& chat) {
  const bool streams =
      header_of(chat.head, "content-type").find("event-stream") != std::string::npos;
  if (streams != chat.ask.stream) return violate("client", "the answer has the wrong content-type");
  const std::uint32_t number = chat.exchanges.back();
  const Exchange& exchange = *exchanges_[number];
  const bool cut = !completed(chat) || gave_up_reading(chat);
  if (cut && !chat.ask.stream) return violate("client", "an error with status 200");
  if (cut) {
    const KindSet kinds = possible_kinds(chat, exchange);
    const bool excused =
        chat.stalled_ever || exchange.plan.kinds != kNoKind || gave_up_reading(chat);
    if (kinds == kNoKind && !excused)
      return violate("false failure", "an answer is cut whose provider did nothing wrong: " +
                                          std::string(name_of(exchange.plan.fault)));
    if (chat.reading.over() == Reading::Over::broken && !exchange.plan.native_garbage)
      return violate("client", "the client is sent what it cannot read");
    const std::string fault = fault_of_beginning(chat.reading.told(), sources_of(chat));
    if (!fault.empty()) return violate("answer", fault);
    if (gave_up_reading(chat)) return check_skipped(chat);
    return check_not_rescued(chat);
  }
  if (!chat.ask.stream && chat.reading.choices() != 1)
    return violate("client", "an answer without one choice");
  // When the chat's time is over, the latest finish reason counts.
  const Sources sources = sources_of(chat);
  const bool is_out_of_time = exchange.plan.fault == Fault::early_finish &&
                              total_deadline(chat) <= now_ &&
                              !exchange.plan.finish.must_be_known(sources.last().bytes);
  const std::string fault = is_out_of_time
                                ? fault_of_beginning(chat.reading.told(), sources)
                                : fault_of_whole(chat.reading.told(), sources, chat.ask.stream);
  if (!fault.empty()) return violate("answer", fault);
  check_usage(chat, exchange);
}

// What a client has whole, but for events that only some cannot read, is not called cut; what ends
// in an error is not called whole.
void Simulation::check_skipped(const Chat& chat) {
  const Exchange& exchange = *exchanges_[chat.spliced];
  const bool has_all =
      exchange.plan.finish.must_be_known(exchange.arrived) && exchange.number == chat.current;
  const Reading::Over over = chat.reading.skipped_over();
  if (over == Reading::Over::done && has_all && !completed(chat))
    return violate("log", "an answer that came whole is called cut");
  if (over == Reading::Over::error && completed(chat))
    return violate("log", "an answer that ends in an error is called whole");
}

// What the provider counted is what the client and the log are told.
void Simulation::check_usage(const Chat& chat, const Exchange& exchange) {
  LogLine line;
  line.read(chat.line);
  if (chat.ask.stream && !chat.ask.include_usage && line.mode != "splice" &&
      chat.reading.usage_alone())
    return violate("client", "a usage chunk that the client did not ask for");
  if (exchange.rescues) return check_bill(chat, line);
  if (!exchange.plan.usage.must_be_known(exchange.delivered)) return;
  // Behind an event that is too large the copy of a piped body is not read.
  if (exchange.plan.fault == Fault::oversized_event && chat.spliced == exchange.number) return;
  const Usage& meant = exchange.plan.script.usage;
  const auto equal = [&meant](const Usage& told) {
    return told.input == meant.input && told.output == meant.output;
  };
  if ((chat.ask.include_usage || !chat.ask.stream) && !equal(chat.reading.usage()))
    return violate("client", "the client is told another usage than the provider's");
  Usage logged;
  logged.input = line.input_tokens;
  logged.output = line.output_tokens;
  if (!equal(logged)) violate("log", "another usage than the provider's");
}

// Of an answer that several engines made: each has its line, and the client is told the sum.
void Simulation::check_bill(const Chat& chat, const LogLine& line) {
  const Bill& bill = chat.reading.bill();
  const bool is_billed = chat.ask.include_usage && chat.reading.usage_told();
  Usage sum;
  const auto add = [](std::int64_t& to, std::int64_t count) {
    if (count >= 0) to = std::max<std::int64_t>(to, 0) + count;
  };
  std::size_t told = 0;
  std::size_t surely_left = 0;
  const auto answers_surely = [this, &chat](std::size_t index) {
    return index == chat.first || index + 1 == chat.exchanges.size() ||
           exchanges_[chat.exchanges[index]]->answers;
  };
  for (std::size_t index = chat.first; index < chat.exchanges.size(); ++index)
    surely_left += answers_surely(index) ? 1 : 0;
  for (std::size_t index = chat.first; index < chat.exchanges.size(); ++index) {
    const Exchange& exchange = *exchanges_[chat.exchanges[index]];
    const bool surely = answers_surely(index);
    const LogLine::Attempt& attempt = line.attempts[index];
    const std::string& engine = world_.engines[exchange.engine].id;
    const bool is_told = told < bill.lines.size() && bill.lines[told].engine == engine;
    const bool has_counted = attempt.input_tokens >= 0 || attempt.output_tokens >= 0;
    if (!surely && !exchange.may_answer && has_counted)
      return violate("log", "an engine that did not answer has its count in the log");
    add(sum.input, attempt.input_tokens);
    add(sum.output, attempt.output_tokens);
    const Usage least = counted_of(exchange.plan, exchange.read, Sure::yes);
    const Usage most = counted_of(exchange.plan, exchange.read, Sure::no);
    const auto within = [](std::int64_t low, std::int64_t count, std::int64_t high) {
      return low <= count && count <= high;
    };
    if ((surely || has_counted) && !(within(least.input, attempt.input_tokens, most.input) &&
                                     within(least.output, attempt.output_tokens, most.output)))
      return violate("log", engine + " has counted something else than the log says");
    if (!is_billed) continue;
    if (surely && !is_told) return violate("client", "the usage does not name " + engine);
    surely_left -= surely ? 1 : 0;
    // One that may have joined has its line if there are lines to spare.
    const bool to_spare = bill.lines.size() > told + surely_left;
    const bool agrees = is_told && bill.lines[told].usage.input == attempt.input_tokens &&
                        bill.lines[told].usage.output == attempt.output_tokens;
    if (!surely && !(exchange.may_answer && agrees && (has_counted || to_spare))) continue;
    if (!agrees) return violate("client", "the usage and the log do not agree on " + engine);
    ++told;
  }
  if (line.input_tokens != sum.input || line.output_tokens != sum.output)
    return violate("log", "the usage is not the sum of what the engines have counted");
  if (chat.ask.include_usage && !is_billed && sum.input >= 0)
    return violate("client", "the usage that it asked for is not told");
  if (!is_billed) return;
  if (told != bill.lines.size() || bill.rescues != line.rescues)
    return violate("client", "the usage names an engine that did not answer");
  const Usage& usage = chat.reading.usage();
  if (usage.input != std::max<std::int64_t>(sum.input, 0) ||
      usage.output != std::max<std::int64_t>(sum.output, 0))
    violate("client", "the usage is not the sum of what the engines have counted");
}

// An answer is told as cut when no engine can go on, and not before.
void Simulation::check_not_rescued(const Chat& chat) {
  const Told& told = chat.reading.told();
  if (!chat.ask.rules.rescue || chat.ask.verbatim || total_deadline(chat) <= now_) return;
  if (!told.calls.empty() || !told.refusal.empty() || chat.windows_out) return;
  const Exchange& last = *exchanges_[chat.exchanges.back()];
  // What a piped client has of an event may not let anything follow.
  LogLine line;
  line.read(chat.line);
  if (line.mode == "splice" && !last.rescues) return;
  // The request to go on is ours: what one engine refuses of it another may take.
  KindSet stops = set_of(context_too_long);
  if (!last.rescues || last.may_answer) stops |= set_of(bad_request) | set_of(content_filter);
  const KindSet kinds = last.judged ? last.kinds : possible_kinds(chat, last);
  if (kinds == kNoKind || (kinds & stops) != 0) return;
  if (rescues_of(chat).most >= limits::rescues_max) return;
  const bool answers = !last.rescues || last.answers;
  if (!answers && attempts_of(chat).most >= chat.ask.rules.attempts_max) return;
  if (last.plan.fault == Fault::prefill_refused && kinds == set_of(bad_request))
    return violate("rescue", "an engine that refuses a beginning is not asked in words");
  for (const std::size_t engine : chat.ask.fit)
    if (engine != last.engine && !contains(chat.given_up, engine) && !contains(chat.unsure, engine))
      return violate("rescue", "the answer is told as cut although " + world_.engines[engine].id +
                                   " has not been asked to go on");
}

void Simulation::check_error(const Chat& chat) {
  const Reading& reading = chat.reading;
  if (reading.over() != Reading::Over::error)
    return violate("client", "a refusal without an error");
  if (chat.ask.refused_status != 0) {
    if (chat.status != chat.ask.refused_status)
      violate("request", "status " + std::to_string(chat.status) + ", not " +
                             std::to_string(chat.ask.refused_status));
    return;
  }
  if (chat.exchanges.empty()) return violate("choice", "an error without an attempt");
  const Code* const code = code_named(reading.error_code());
  if (code == nullptr) return violate("client", "an unknown code: " + reading.error_code());
  const int status = chat.early ? code->status : chat.status;
  if (code->status != status || code->type != reading.error_type())
    return violate("client", "status " + std::to_string(chat.status) + " and type " +
                                 reading.error_type() + " with the code " + reading.error_code());
  KindSet kinds = kNoKind;
  for (const std::uint32_t each : chat.exchanges) {
    const Exchange& exchange = *exchanges_[each];
    KindSet own = exchange.judged ? exchange.kinds : possible_kinds(chat, exchange);
    // Of what the router had added the client is not to blame.
    const bool is_ours = exchange.plan.fault == Fault::addition_refused &&
                         exchange.delivered == exchange.plan.body.size();
    if (is_ours) own &= ~set_of(bad_request);
    kinds |= own;
  }
  if (total_deadline(chat) <= now_) kinds |= set_of(timeout);
  if ((kinds & code->kinds) == 0)
    return violate("client", "an error that no attempt gave: " + reading.error_code() + ", not " +
                                 names_of(kinds));
  check_given_up(chat);
}

// A chat gives up when nothing is left to try, and not before.
void Simulation::check_given_up(const Chat& chat) {
  const Rules& rules = chat.ask.rules;
  if (total_deadline(chat) <= now_ || chat.windows_out) return;
  if (static_cast<int>(chat.exchanges.size()) >= rules.attempts_max) return;
  std::vector<std::size_t> tried = chat.given_up;
  tried.insert(tried.end(), chat.unsure.begin(), chat.unsure.end());
  for (const std::uint32_t number : {chat.current, chat.rival}) {
    if (number == kNone) continue;
    const Exchange& last = *exchanges_[number];
    const KindSet kinds = last.judged ? last.kinds : possible_kinds(chat, last);
    constexpr KindSet stops =
        set_of(bad_request) | set_of(content_filter) | set_of(auth) | set_of(context_too_long);
    if ((kinds & stops) != 0) return;
    tried.push_back(last.engine);
  }
  for (const std::size_t engine : chat.ask.fit)
    if (!contains(tried, engine))
      return violate("choice",
                     "gave up although " + world_.engines[engine].id + " has not been tried");
}

// One line a chat, and every word of it true.
void Simulation::check_log(const Chat& chat) {
  // What the gateway refuses has no line; what the router refuses has one.
  if (chat.exchanges.empty() && chat.logs == 0 && chat.ask.refused_status != 0) return;
  if (chat.logs != 1) return violate("log", std::to_string(chat.logs) + " lines for one chat");
  LogLine line;
  if (!line.read(chat.line)) return violate("log", "the line is no JSON object: " + chat.line);
  const auto differs = [this, &chat](const char* what) {
    violate("log", std::string(what) + " is not what happened: " + chat.line);
  };
  const bool done = completed(chat);
  const std::string_view outcome = chat.left        ? "client_closed"
                                   : !chat.answered ? "failed"
                                   : done           ? "completed"
                                                    : "cut";
  if (line.event != "chat" || line.outcome != outcome) return differs("outcome");
  if (line.stream != chat.ask.stream) return differs("stream");
  if (line.total_ms != now_ - chat.opened_at) return differs("total_ms");
  if (chat.responded && line.request_id != header_of(chat.head, "x-request-id"))
    return differs("request_id");
  const bool answers = chat.answered;
  if (answers != (line.first_content_ms >= 0)) return differs("time_to_first_content_ms");
  if (answers && line.first_content_ms != chat.answered_at - chat.opened_at)
    return differs("time_to_first_content_ms");
  const auto* mode = std::find(kModes.begin(), kModes.end(), line.mode);
  if (answers == (mode == kModes.end())) return differs("mode");
  if (answers) ++tally_.modes[static_cast<std::size_t>(mode - kModes.begin())];
  if (answers && (line.mode == "splice") != (chat.spliced != kNone) && chat.ask.stream &&
      !(line.mode == "splice" && !exchanges_[chat.exchanges.back()]->open()))
    return differs("mode");
  if (!chat.left && !answers && line.error != chat.reading.error_code()) return differs("error");
  if (line.attempts.size() != chat.exchanges.size()) return differs("attempts");
  const Range rescues = rescues_of(chat);
  if (line.rescues < rescues.least || line.rescues > rescues.most) return differs("rescues");
  if (done && line.engine != world_.engines[exchanges_[chat.exchanges.back()]->engine].id)
    return differs("engine");
  if (done && line.rescues > 0) ++tally_.rescued;
  std::string header;
  for (std::size_t index = 0; index < line.attempts.size(); ++index) {
    const LogLine::Attempt& attempt = line.attempts[index];
    const std::uint32_t number = chat.exchanges[index];
    Exchange& exchange = *exchanges_[number];
    if (attempt.engine != world_.engines[exchange.engine].id) return differs("an attempt's engine");
    if (attempt.status != (exchange.has_head ? exchange.plan.status : 0)) {
      // Headers that came after the attempt was over are none of its.
      const bool too_late = exchange.has_head && (exchange.judged || exchange.lost) &&
                            exchange.headers_at >= exchange.failed_at && attempt.status == 0;
      if (!too_late) return differs("an attempt's status");
    }
    if (!answers || index <= chat.first) {
      header += (index == 0 ? "" : ", ") + attempt.engine + "=";
      header += answers && index == chat.first ? "ok" : attempt.outcome;
    }
    const bool is_racing_still = is_racing(chat, number);
    if (exchange.lost != (attempt.outcome == "cancelled") && !is_racing_still)
      return differs("an attempt's outcome");
    if (attempt.outcome == "cancelled") {
      standings_.let_go(exchange.engine, number);
      continue;
    }
    if (attempt.outcome == "ok" || attempt.outcome == "client_closed") {
      const bool has_answered = answers && (!exchange.rescues || attempt.outcome == "ok");
      if ((number != chat.current && !is_racing_still) || (attempt.outcome == "ok") != has_answered)
        return differs("an attempt's outcome");
      standings_.let_go(exchange.engine, number);
      continue;
    }
    const KindSet kind = kind_named(attempt.outcome);
    const KindSet kinds = exchange.judged ? exchange.kinds : possible_kinds(chat, exchange);
    const bool stalled_out = chat.stalled_ever && kind == set_of(timeout);
    if ((kinds & kind) == 0 && !stalled_out)
      return violate("log", "an attempt is called " + attempt.outcome + " and was " +
                                names_of(kinds) + " (" + std::string(name_of(exchange.plan.fault)) +
                                ")");
    if (exchange.judged) continue;
    exchange.judged = true;
    exchange.failed_at = now_;
    exchange.kinds = kind;
    const bool whole =
        !exchange.plan.refusal || (exchange.delivered == exchange.plan.body.size() &&
                                   exchange.delivered <= limits::error_body_bytes_max);
    if (kind == set_of(timeout) && total_deadline(chat) <= now_) {
      standings_.failed(now_, exchange.engine, exchange.key, number, kAnyKind, {}, false, false);
    } else {
      standings_.failed(now_, exchange.engine, exchange.key, number,
                        blamed_kinds(chat, exchange, kind), exchange.plan.hint, whole,
                        exchange.plan.to_key);
    }
  }
  if (!answers && !chat.left) return;
  if (!chat.responded || (chat.early && !answers)) return;
  // The header stops at the durations of what failed.
  std::string shown = chat.early ? chat.late_attempts : header_of(chat.head, "x-spillway-attempts");
  for (std::size_t at = shown.find(';'); at != std::string::npos; at = shown.find(';'))
    shown.erase(at, std::min(shown.find(',', at), shown.size()) - at);
  if (shown != header)
    violate("log", "x-spillway-attempts says " + shown + ", the log says " + header);
}

// Once every provider behaves, nothing may fail any more.
void Simulation::check_liveness(const Chat& chat) {
  if (chat.time == Time::storm || chat.left) return;
  if (chat.ask.refused_status == 503) return;  // the storm still fills the router
  if (chat.status != 200 || chat.reading.over() != Reading::Over::done)
    return violate("liveness", "every provider behaves, and a chat is not answered");
  if (chat.exchanges.size() != (chat.hedged ? 2 : 1))
    return violate("liveness", "every provider behaves, and it took " +
                                   std::to_string(chat.exchanges.size()) + " attempts");
  const std::uint32_t asked_first = *std::min_element(chat.exchanges.begin(), chat.exchanges.end());
  const std::size_t engine = exchanges_[asked_first]->engine;
  if (chat.time == Time::rested && engine != chat.ask.fit.front())
    violate("cooldown",
            "long after every cooldown the chain is not kept: " + world_.engines[engine].id);
}

void Simulation::check_end() {
  for (const Chat& chat : chats_)
    if (!chat.closed)
      return violate("liveness",
                     "chat " + std::to_string(static_cast<int>(chat.id)) + " waits for nothing");
  if (gateway_->router().chats() != 0) return violate("leak", "the router still has a chat");
  if (gateway_->router().exchanges() != 0) violate("leak", "the router still has an exchange");
}

}  // namespace spillway::sim
