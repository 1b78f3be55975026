#include "redact.h"

#include <algorithm>

#include "json_text.h"
#include "text.h"

namespace spillway {

namespace {

constexpr std::string_view kMark = "[redacted]";

struct Unit {
  char byte;
  std::size_t size;  // of what stands for it
};

Unit escaped_byte(std::string_view digits, std::size_t size, char otherwise) {
  const int high = hex_digit(digits[0]);
  const int low = hex_digit(digits[1]);
  if (high < 0 || low < 0) return {otherwise, 1};
  return {static_cast<char>(high * 16 + low), size};
}

// What the beginning of `text` stands for, which is not empty.
Unit unit_of(std::string_view text, bool percent, bool json) {
  constexpr std::string_view unicode = "\\u00";
  const char first = text.front();
  if (percent && first == '%' && text.size() >= 3) return escaped_byte(text.substr(1), 3, first);
  if (!json || first != '\\' || text.size() < 2) return {first, 1};
  if (text.substr(0, unicode.size()) == unicode && text.size() >= 6)
    return escaped_byte(text.substr(unicode.size()), 6, first);
  const char second = text[1];
  const bool stands_for_itself = second == '/' || second == '\\' || second == '"';
  return stands_for_itself ? Unit{second, 2} : Unit{first, 1};
}

// Six bits, in both alphabets; -1 for what belongs to none.
int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  return c == '/' || c == '_' ? 63 : -1;
}

bool is_word_byte(char c) { return c > ' ' && c <= '~'; }

}  // namespace

void Redaction::Reading::add(char byte, std::size_t begin, std::size_t end) {
  bytes.push_back(byte);
  begins.push_back(static_cast<std::uint32_t>(begin));
  ends.push_back(static_cast<std::uint32_t>(end));
}

Redaction::Reading Redaction::read_escapes(bool percent, bool json) const {
  Reading reading;
  for (std::size_t at = 0; at < text_.size();) {
    const Unit unit = unit_of(text_.substr(at), percent, json);
    reading.add(unit.byte, at, at + unit.size);
    at += unit.size;
  }
  return reading;
}

// Each run of digits without its first few.
Redaction::Reading Redaction::read_base64(const Reading& from, std::size_t digits_skipped) {
  Reading reading;
  unsigned bits = 0;
  unsigned bits_held = 0;
  std::size_t digits = 0;  // of this run
  for (std::size_t at = 0; at < from.bytes.size(); ++at) {
    const int digit = base64_digit(from.bytes[at]);
    // What is decoded of two runs does not join: no key has a line end in it.
    if (digit < 0 && digits > 0) reading.add('\n', from.begins[at], from.ends[at]);
    if (digit < 0) digits = bits_held = 0;
    if (digit < 0 || ++digits <= digits_skipped) continue;
    bits = bits << 6 | static_cast<unsigned>(digit);
    bits_held += 6;
    if (bits_held < 8) continue;
    bits_held -= 8;
    reading.add(static_cast<char>(bits >> bits_held & 0xFF), from.begins[at - 1], from.ends[at]);
  }
  return reading;
}

// Finds the keys in the text as it is read in one way, and in what is base64 of it.
void Redaction::look(bool percent, bool json) {
  const Reading reading = read_escapes(percent, json);
  look_in(reading);
  // Where base64 begins cannot be seen when a slash or a plus stands before it.
  for (std::size_t skipped = 0; skipped < 4; ++skipped) look_in(read_base64(reading, skipped));
}

void Redaction::look_in(const Reading& reading) {
  for (const Secret* const secret : secrets_) {
    const std::string_view key = secret->reveal();
    std::size_t hidden = 0;  // up to here; keys may overlap themselves
    for (std::size_t at = reading.bytes.find(key); at != std::string::npos;
         at = reading.bytes.find(key, at + 1)) {
      const std::size_t end = reading.ends[at + key.size() - 1];
      for (hidden = std::max<std::size_t>(hidden, reading.begins[at]); hidden < end; ++hidden)
        hidden_[hidden] = true;
    }
  }
}

// All keys are found before one is replaced: they may begin, hold or overlap one another.
std::string Redaction::shown() {
  const bool has_percent = text_.find('%') != std::string_view::npos;
  const bool has_backslash = text_.find('\\') != std::string_view::npos;
  look(false, false);
  if (has_percent) look(true, false);
  if (has_backslash) look(false, true);
  if (has_percent && has_backslash) look(true, true);
  std::string shown;
  for (std::size_t at = 0; at < text_.size(); ++at) {
    if (!hidden_[at]) {
      shown += text_[at];
    } else if (at == 0 || !hidden_[at - 1]) {
      shown += kMark;
    }
  }
  return shown;
}

std::string_view cut_text(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  const bool is_in_word = is_word_byte(text[bytes_max]);
  text = beginning(text, bytes_max);
  return is_in_word ? without_last_word(text) : text;
}

std::string_view without_last_word(std::string_view text) {
  while (!text.empty() && is_word_byte(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace spillway
