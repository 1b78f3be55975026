// Hides keys in a text that leaves the core: an error for a client, a model's name, a log line.
//
// The promise
// * A key that stands in the text whole is hidden, wherever and however it stands: as it is; with
//   any of its characters percent-encoded, or escaped as in JSON, or both; and inside base64 of
//   either alphabet, at whichever byte it begins there ("Basic " and the base64 of "user:key").
// * Nothing is asked about a part of a key. Whoever can have a text of their choice come through
//   here would be told whether it is one, and could read a key byte by byte. So who cuts a text
//   takes the word that is cut away with it, whatever it says: cut_text() below. A key is one word,
//   for it has no white space (is_key() in http_text.h).
// * No key is copied or encoded here: it is the text that is decoded.
//
// Time is linear in the text, and so is memory: it is read in one way after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rare.h"
#include "secret.h"

namespace spillway {

// Keys that are shorter stay: they would eat ordinary words.
inline constexpr std::size_t kHiddenKeyBytesMin = 6;

class Redaction {
 public:
  // `text` outlives it, and so do the secrets.
  SPILLWAY_RARE explicit Redaction(std::string_view text) : text_(text), hidden_(text.size()) {}

  void hide(const Secret& secret) {
    if (secret.reveal().size() >= kHiddenKeyBytesMin) secrets_.push_back(&secret);
  }
  // The text, with a mark in the place of what is hidden.
  [[nodiscard]] SPILLWAY_RARE std::string shown();

 private:
  // The text as somebody may read it: the bytes, and where in the text each of them stands.
  struct Reading {
    std::string bytes;
    std::vector<std::uint32_t> begins, ends;

    void add(char byte, std::size_t begin, std::size_t end);
  };
  void look(bool percent, bool json);
  void look_in(const Reading& reading);
  [[nodiscard]] Reading read_escapes(bool percent, bool json) const;
  [[nodiscard]] static Reading read_base64(const Reading& from, std::size_t digits_skipped);

  std::string_view text_;
  std::vector<const Secret*> secrets_;
  std::vector<bool> hidden_;  // each byte of the text
};

// So much of `text` as `bytes_max` allows, without the word that this cuts: a run of printable
// ASCII without blanks. (Scripts that write no blanks lose the character that is cut.)
[[nodiscard]] SPILLWAY_RARE std::string_view cut_text(std::string_view text, std::size_t bytes_max);
// What is left of a text that breaks off: all but its last word.
[[nodiscard]] SPILLWAY_RARE std::string_view without_last_word(std::string_view text);

}  // namespace spillway
