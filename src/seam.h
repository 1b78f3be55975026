// The seam between two engines' texts: what the client has of an answer that broke off, and what
// another engine says when it is asked to go on.
//
//   Seam seam(delivered, Seam::Continuation::instructed);
//   while (…) seam.take(text, out);       // `out` gets what the client has not got yet
//   seam.end(out);                        // the new answer is over
//   if (seam.state() == Seam::State::contradicted) …   // nothing of it has come out
//
// The new text may go on exactly where the old one stopped, repeat its last words, or begin again
// with all of it. It is held until that is clear: while it can still be a repetition that reaches
// the end of the old text. What was begun again in other words does not join.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "json.h"

namespace spillway {

class Seam {
 public:
  enum class State : std::uint8_t { undecided, joined, contradicted };
  // How the engine was asked. `prefilled`: the old text is the beginning of its own answer, so only
  // a long repetition is taken for one. `instructed`: it was asked in words to go on, and may begin
  // with the last word again.
  enum class Continuation : std::uint8_t { prefilled, instructed };

  // `delivered` is plain UTF-8 text and is kept.
  Seam(std::string delivered, Continuation continuation)
      : delivered_(std::move(delivered)), continuation_(continuation) {}

  // Appends to `out`, escaped, what of `text` goes to the client now.
  void take(JsonText text, std::string& out);
  // Decides with what there is.
  void end(std::string& out);

  // The new answer says that it will not go on.
  void refuse() {
    if (state_ == State::undecided) state_ = State::contradicted;
  }

  [[nodiscard]] State state() const { return state_; }

 private:
  void find_repetitions();
  void decide(bool over, std::string& out);
  void join(std::size_t repeated, std::string& out);
  [[nodiscard]] std::size_t last_words_repeated() const;
  [[nodiscard]] bool began_again() const;

  std::string delivered_;
  Continuation continuation_;
  State state_ = State::undecided;
  std::string half_;  // escaped: the first half of a surrogate pair, whose other half comes next
  std::string said_;  // plain: what has been held of the new text
  bool searched_ = false;
  std::vector<std::size_t> repetitions_;  // where in `delivered_` all of `said_` stands, as far as
  std::size_t agreed_ = 0;                // it reaches; so much of `said_` has been looked at
};

}  // namespace spillway
