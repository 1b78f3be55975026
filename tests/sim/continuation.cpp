#include "continuation.h"

#include <algorithm>

#include "json.h"
#include "limits.h"

namespace spillway::sim {

namespace {

bool is_white(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_boundary(std::string_view text, std::size_t at) {
  return at >= text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
}

struct Turn {
  std::string role;
  std::string text;
};

// A turn's text: a string, or a list of pieces.
void read_text(json::Reader& in, std::string& text) {
  if (in.peek() == json::Type::string) {
    json::append_unescaped(text, in.string().value_or(JsonText()));
    return;
  }
  if (!in.enter_array()) return;
  while (in.next_element()) {
    if (!in.enter_object()) continue;
    while (in.next_member())
      if (in.key() == "text") json::append_unescaped(text, in.string().value_or(JsonText()));
  }
}

std::vector<Turn> read_turns(std::string_view body) {
  std::vector<Turn> turns;
  json::Reader in(body);
  if (!in.enter_object()) return turns;
  while (in.next_member()) {
    const bool has_turns = in.key() == "messages" || in.key() == "contents";
    if (!has_turns || !in.enter_array()) continue;
    while (in.next_element()) {
      Turn& turn = turns.emplace_back();
      if (!in.enter_object()) continue;
      while (in.next_member()) {
        if (in.key() == "role") {
          turn.role = json::unescaped(in.string().value_or(JsonText()));
        } else if (in.key() == "content" || in.key() == "parts") {
          read_text(in, turn.text);
        }
      }
    }
  }
  return turns;
}

// Whether some end of `text`, long enough to be taken for a repetition, is a beginning of `said`.
bool repeats_an_end(std::string_view text, std::string_view said) {
  for (std::size_t size = limits::seam_sample_bytes; size <= said.size(); ++size)
    if (text.substr(text.size() - size) == said.substr(0, size)) return true;
  return false;
}

// What of the old text comes again; nothing when this way of going on is not open.
std::string_view repeated(Random& random, const Continuation& asked, std::string_view client) {
  // A long repetition is seen wherever it begins, a short one where a word does; of its own
  // beginning an engine repeats a long one or none.
  const std::size_t least = asked.prefilled ? limits::seam_beginning_bytes : 1;
  if (client.size() < least) return {};
  std::size_t at = client.size() - least - random.below(client.size() - least + 1);
  while (!is_boundary(client, at)) --at;
  std::string_view end = client.substr(at);
  if (end.size() >= limits::seam_sample_bytes) return end;
  while (at > 0 && !is_white(client[at - 1])) --at;
  end = client.substr(at);
  // The first word again looks like the beginning of another answer.
  if (at > 0 && client.substr(0, end.size()) == end) return {};
  return std::all_of(end.begin(), end.end(), is_white) ? std::string_view() : end;
}

std::string_view begun_again(const Continuation& asked, std::string_view client) {
  // Of a text this short no one can tell whether it is begun again or gone on with.
  return asked.prefilled && client.size() < limits::seam_sample_bytes ? std::string_view() : client;
}

std::string_view contradicted(Random& random, std::string_view client) {
  const bool at_line = !client.empty() && client.back() == '\n';
  const std::size_t least = at_line ? limits::seam_beginning_bytes : limits::seam_sample_bytes;
  if (client.size() <= least) return {};
  std::size_t size = least + random.below(client.size() - least);
  while (!is_boundary(client, size)) ++size;
  const std::string_view said = client.substr(0, size);
  return size == client.size() || repeats_an_end(client, said) ? std::string_view() : said;
}

// Puts plain text in front of the script's, as deltas of its own.
void say_first(Random& random, std::string_view plain, Script& script) {
  if (plain.empty()) return;
  std::string first;
  std::vector<Script::Delta> deltas;
  const std::size_t pieces = 1 + random.below(3);
  for (std::size_t at = 0; at < plain.size();) {
    std::size_t end = std::min(plain.size(), at + 1 + plain.size() / pieces);
    while (!is_boundary(plain, end)) ++end;
    const auto begin = static_cast<std::uint32_t>(first.size());
    json::append_escaped(first, plain.substr(at, end - at));
    deltas.push_back({Kind::text, 0, begin, static_cast<std::uint32_t>(first.size()) - begin});
    at = end;
  }
  const auto moved = static_cast<std::uint32_t>(first.size());
  for (Script::Delta& delta : script.deltas)
    if (delta.kind == Kind::text) delta.begin += moved;
  script.text.insert(0, first);
  const auto place =
      std::find_if(script.deltas.begin(), script.deltas.end(),
                   [](const Script::Delta& delta) { return delta.kind != Kind::reasoning; });
  script.deltas.insert(place, deltas.begin(), deltas.end());
}

}  // namespace

std::string_view name_of(Joint joint) {
  constexpr std::array<std::string_view, kJoints> names{"goes_on", "repeats", "begins_again",
                                                        "adds_nothing", "contradicts"};
  return names[static_cast<std::size_t>(joint)];
}

Continuation read_continuation(std::string_view body) {
  Continuation continuation;
  const std::vector<Turn> turns = read_turns(body);
  const auto is_own = [](const Turn& turn) {
    return turn.role == "assistant" || turn.role == "model";
  };
  // The simulated clients ask with one turn of their own.
  if (turns.size() < 2 || !is_own(turns[1])) return continuation;
  continuation.asked = true;
  continuation.prefilled = turns.size() == 2;
  continuation.begun = turns[1].text;
  return continuation;
}

Joint go_on(Random& random, const Continuation& continuation, std::string_view client, bool is_well,
            Script& script) {
  constexpr std::array<Joint, 6> joints{Joint::goes_on,      Joint::goes_on,
                                        Joint::repeats,      Joint::begins_again,
                                        Joint::adds_nothing, Joint::contradicts};
  Joint joint = random.pick(joints);
  std::string_view first;
  switch (joint) {
    case Joint::repeats:
      first = repeated(random, continuation, client);
      break;
    case Joint::begins_again:
      first = begun_again(continuation, client);
      break;
    case Joint::contradicts:
      first = contradicted(random, client);
      break;
    case Joint::goes_on:
    case Joint::adds_nothing:
    case Joint::count:
      break;
  }
  if (joint == Joint::adds_nothing && continuation.prefilled && is_well) {
    script = Script{{}, {}, {}, {}, {}, FinishReason::stop, script.usage};
    return joint;
  }
  if (first.empty()) {
    joint = Joint::goes_on;
    // The white space that its dialect takes no prefill to end in is its to say again.
    const std::size_t kept = continuation.begun.size();
    if (kept < client.size() && random.percent(50)) first = client.substr(kept);
  }
  say_first(random, first, script);
  return joint;
}

}  // namespace spillway::sim
