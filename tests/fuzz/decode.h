// One upstream half of a dialect on any bytes. The first byte says what they are, the second is the
// seed of the cuts, the third chooses quirks; then the answer.
//
// A stream tells the same however it is cut, and parts in their order; a whole answer tells events
// that end; what is printed for a client is a stream and reads back as what was said; and every
// error in it becomes one failure that can be told.
#pragma once

#include <random>

#include "../answer_reading.h"
#include "fuzz.h"

namespace spillway::fuzz {

inline void check_heard(const Said& heard, const Said& said, std::string_view printed) {
  require(heard.text == said.text, "a client reads the same text", printed);
  require(heard.reasoning == said.reasoning, "a client reads the same reasoning", printed);
  require(heard.refusal == said.refusal, "a client reads the same refusal", printed);
  require(heard.calls == said.calls, "a client reads the same calls", printed);
  require(heard.reason == said.reason, "a client reads the same finish reason", printed);
  const auto is_plain = [](std::int64_t tokens) { return tokens <= limits::tokens_max; };
  const bool counted = said.input >= 0 || said.output >= 0;
  if (!is_plain(said.input) || !is_plain(said.output)) return;  // sums of more than one may have
  require(heard.input == (counted ? std::max<std::int64_t>(said.input, 0) : -1),
          "a client reads the same count of what went in", printed);
  require(heard.output == (counted ? std::max<std::int64_t>(said.output, 0) : -1),
          "a client reads the same count of what came out", printed);
}

inline void check_reading(const Reading& reading) {
  require(reading.scribe.faults().empty(), reading.scribe.faults(), reading.scribe.log());
  const std::string stream = reading.printed + std::string(adapters::openai_chat.terminator);
  require(fault_of_stream(stream, true).empty(), fault_of_stream(stream, true), stream);
  if (reading.overflowed) return;
  const Reading heard = read(adapters::openai_chat, 0, reading.printed, {});
  require(heard.scribe.faults().empty(), heard.scribe.faults(), heard.scribe.log());
  require(heard.trouble.empty(), heard.trouble, reading.printed);
  check_heard(heard.scribe.said(), reading.scribe.said(), reading.printed);
}

inline void check_stream(const Dialect& dialect, quirk::Set quirks, unsigned seed,
                         std::string_view stream) {
  const Reading whole = read(dialect, quirks, stream, {});
  check_reading(whole);
  std::mt19937 random(seed);
  std::vector<std::size_t> sizes;
  for (std::size_t at = 0; at < stream.size(); at += sizes.back())
    sizes.push_back(1 + random() % (seed % 2 == 0 ? 7 : 200));
  for (const auto& cuts : {sizes, std::vector<std::size_t>(stream.size(), 1)}) {
    const Reading cut = read(dialect, quirks, stream, cuts);
    require(cut.scribe.log() == whole.scribe.log(), "a stream tells the same however it is cut",
            cut.scribe.log());
    require(cut.trouble == whole.trouble, "a stream fails the same however it is cut", cut.trouble);
    require(cut.printed == whole.printed, "a stream prints the same however it is cut");
  }
}

inline void check_failures(const Events& events) {
  ResponseHead head;
  head.status = 200;
  for (const Event& event : events)
    if (const auto* failed = std::get_if<Failed>(&event))
      check_failure(failed->body.empty() ? ended_with(json::unescaped(failed->finish))
                                         : classify(Instant::at_ms(1), head, failed->body),
                    adapters::openai_chat);
}

// The errors that a stream holds.
inline void check_failures(const Dialect& dialect, std::string_view stream) {
  Framing framing(dialect.framing);
  const auto drain = [&] {
    while (const auto frame = framing.next()) {
      Events events;
      dialect.decode_frame(*frame, events);
      check_failures(events);
    }
  };
  framing.feed(stream);
  drain();
  framing.end();
  drain();
}

inline void check_body(const Dialect& dialect, quirk::Set quirks, std::string_view body) {
  const std::vector<char> exact(body.begin(), body.end());  // AddressSanitizer sees overreads
  Events events;
  dialect.decode_body({exact.data(), exact.size()}, events);
  require(!events.empty(), "a body tells something");
  const bool garbled = std::holds_alternative<Garbled>(events.back());
  require(garbled || json::valid(body), "what is no JSON is garbled");
  require(garbled ? events.size() == 1 : std::holds_alternative<Done>(events.back()),
          "a body ends in Done or is nothing but garbled");
  check_failures(events);

  Reader reader(dialect, quirks);
  reader.read_body(body);
  const Reading reading = reader.end();
  check_reading(reading);

  Transcript transcript(quirks, 1);
  transcript.gather();
  Parts parts;
  for (const Event& event : events) transcript.take(event, parts);
  transcript.close(parts);
  if (transcript.overflowed()) return;
  Envelope envelope;
  std::string answer;
  adapters::openai_chat.encode_answer(transcript.answer(), envelope, answer);
  require(json::valid(answer, json::Type::object), "an answer is JSON", answer);
  Reader again(adapters::openai_chat, 0);
  again.read_body(answer);
  const Reading heard = again.end();
  require(heard.trouble.empty(), heard.trouble, answer);
  check_heard(heard.scribe.said(), reading.scribe.said(), answer);
}

inline int fuzz_decoder(const Dialect& dialect, const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  const bool is_stream = choices.below(2) == 0;
  const unsigned seed = choices.byte();
  constexpr quirk::Set kQuirks[] = {0, quirk::think_tags, quirk::usage_excludes_reasoning};
  const quirk::Set quirks = choices.one_of(kQuirks);
  if (is_stream) {
    check_stream(dialect, quirks, seed, choices.rest());
    check_failures(dialect, choices.rest());
  } else {
    check_body(dialect, quirks, choices.rest());
  }
  return 0;
}

}  // namespace spillway::fuzz
