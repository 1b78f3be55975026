#include "seam.h"

#include <algorithm>

#include "limits.h"

namespace spillway {

namespace {

bool is_white(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// How many of the last bytes are the \u escape of a high surrogate that waits for its other half: 6
// or 0.
std::size_t half_pair(std::string_view escaped) {
  constexpr std::size_t size = 6;
  if (escaped.size() < size) return 0;
  const std::size_t at = escaped.size() - size;
  const std::string_view unit = escaped.substr(at);
  const char nibble = static_cast<char>(unit[3] | 0x20);  // of \uD800 to \uDBFF
  const bool high = unit[0] == '\\' && unit[1] == 'u' && (unit[2] | 0x20) == 'd' &&
                    (nibble == '8' || nibble == '9' || nibble == 'a' || nibble == 'b');
  if (!high) return 0;
  std::size_t backslashes = 0;  // an even number in front: this one is not escaped itself
  while (backslashes < at && escaped[at - backslashes - 1] == '\\') ++backslashes;
  return backslashes % 2 == 0 ? size : 0;
}

// White space of any kind: no prefill may end in it.
bool is_blank(std::string_view text) {
  std::string escaped;
  json::append_escaped(escaped, text);
  return json::is_blank(JsonText::trusted(escaped));
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
  const std::size_t size = std::min(a.size(), b.size());
  std::size_t at = 0;
  while (at < size && a[at] == b[at]) ++at;
  return at;
}

}  // namespace

void Seam::take(JsonText text, std::string& out) {
  if (state_ == State::joined) {
    out += text.escaped();
    return;
  }
  if (state_ == State::contradicted) return;
  half_ += text.escaped();
  const std::size_t whole = half_.size() - half_pair(half_);
  json::append_unescaped(said_, JsonText::trusted(std::string_view(half_).substr(0, whole)));
  half_.erase(0, whole);
  decide(false, out);
}

void Seam::end(std::string& out) {
  if (state_ == State::undecided) decide(true, out);
}

// Where the beginning of the new text stands in the old one.
void Seam::find_repetitions() {
  searched_ = true;
  const std::string_view old = delivered_;
  const std::string_view sample = std::string_view(said_).substr(0, limits::seam_sample_bytes);
  for (std::size_t at = old.find(sample); at != std::string_view::npos;
       at = old.find(sample, at + 1)) {
    // Of a text that repeats itself the first place counts, where it would begin again, and the
    // last ones, where it would repeat its end.
    if (repetitions_.size() == limits::seam_places_max)
      repetitions_.erase(repetitions_.begin() + 1);
    const bool long_enough = old.size() - at >= limits::seam_beginning_bytes;
    if (continuation_ == Continuation::instructed || long_enough || at == 0)
      repetitions_.push_back(at);
  }
}

void Seam::decide(bool over, std::string& out) {
  const std::string_view old = delivered_;
  const std::string_view said = said_;
  if (said.size() < limits::seam_sample_bytes && !over) return;
  if (!searched_ && said.size() >= limits::seam_sample_bytes) find_repetitions();
  // Only what is new is compared, so that a long repetition costs its length.
  const auto differs = [this, old, said](std::size_t place) {
    const std::string_view rest = old.substr(place);
    const std::size_t agreed = std::min(agreed_, rest.size());
    const std::size_t size = std::min(said.size(), rest.size()) - agreed;
    return said.substr(agreed, size) != rest.substr(agreed, size);
  };
  repetitions_.erase(std::remove_if(repetitions_.begin(), repetitions_.end(), differs),
                     repetitions_.end());
  agreed_ = said.size();
  // The longest repetition wins: a shorter one only counts once all that began earlier are none.
  for (const std::size_t place : repetitions_) {
    const std::size_t left = old.size() - place;
    if (said.size() >= left) return join(left, out);
    if (!over) return;
  }
  if (began_again()) {
    state_ = State::contradicted;
    return;
  }
  join(last_words_repeated(), out);
}

// Whether the new text begins like the old one, and then says something else or nothing.
bool Seam::began_again() const {
  const std::size_t same = common_prefix(delivered_, said_);
  // At the beginning of a line the old text's own beginning may come again: items of a list do.
  const bool at_line = !delivered_.empty() && delivered_.back() == '\n';
  return same >= (at_line ? limits::seam_beginning_bytes : limits::seam_sample_bytes);
}

// How many bytes at the end of the old text the new one begins with, no longer than a sample.
std::size_t Seam::last_words_repeated() const {
  const std::string_view old = delivered_;
  const std::string_view said = said_;
  for (std::size_t size = std::min({old.size(), said.size(), limits::seam_sample_bytes}); size > 0;
       --size) {
    const std::size_t at = old.size() - size;
    const bool only_white = is_blank(old.substr(at));
    const bool at_word = at == 0 || is_white(old[at - 1]) || is_white(old[at]) || only_white;
    // An answer that was prefilled goes on behind its last word: some dialects let no prefill end
    // in white space. One that was asked for in words may begin with that word.
    const bool wanted = continuation_ == Continuation::prefilled ? only_white : !only_white;
    if (at_word && wanted && said.substr(0, size) == old.substr(at)) return size;
  }
  return 0;
}

void Seam::join(std::size_t repeated, std::string& out) {
  state_ = State::joined;
  json::append_escaped(out, std::string_view(said_).substr(repeated));
  out += half_;
  half_.clear();
  said_.clear();
  repetitions_.clear();
}

}  // namespace spillway
