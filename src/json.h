// JSON for bytes that flow: a zero-copy pull reader and an appending writer (RFC 8259).
//
//   json::Reader in(text);
//   if (in.enter_object())
//     while (in.next_member())
//       if (in.key() == "model") model = in.string();   // members that are not read are skipped
//   if (!in.finish()) report(in.problem(), in.offset());
//
// Reader rules
// * Nothing is copied: what comes back are spans of the text given to the constructor, which must
//   outlive them. (Names with escapes are the exception: those are the reader's own, see key().)
// * A value of another type than asked for is skipped and the read gives nullopt (or false): wrong
//   types are for the caller to judge. Each value can be read once. Broken JSON makes the reader
//   fail for good: every loop then ends, every read gives nothing, and problem() says why.
// * A loop over a container runs to its end: next_member() / next_element() answering false leaves
//   it.
// * Strings are checked: no raw control characters, known escapes, valid UTF-8. Lone surrogates in
//   \u escapes are valid JSON and pass. Depth is bounded by limits::json_depth_max.
//
// JsonText is the inside of a JSON string, still escaped and known to be valid, so that a token's
// text crosses from one JSON dialect to another as a copy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rare.h"

namespace spillway {

class JsonText {
 public:
  constexpr JsonText() = default;

  // Text that needs no escaping (identifiers, names in the code). Asserts that it is so.
  static JsonText plain(std::string_view text);
  // Bytes that came out of a JsonText or json::append_escaped before (kept copies, slices at safe
  // places).
  static constexpr JsonText trusted(std::string_view escaped) { return JsonText(escaped); }

  [[nodiscard]] constexpr std::string_view escaped() const { return escaped_; }
  [[nodiscard]] constexpr bool empty() const { return escaped_.empty(); }
  friend constexpr bool operator==(JsonText a, JsonText b) { return a.escaped_ == b.escaped_; }

 private:
  explicit constexpr JsonText(std::string_view escaped) : escaped_(escaped) {}
  std::string_view escaped_;
};

namespace json {

enum class Type : std::uint8_t { object, array, string, number, boolean, null, none };

// "an object", "a string" …, for error messages.
std::string_view with_article(Type type);

// The name of a member: where it stands in the text or, if it has escapes there, a copy without
// them. To ask for it is a load: names are what most of the code around a Reader looks at.
class MemberName {
 public:
  MemberName() = default;
  MemberName(const MemberName& other) { *this = other; }
  MemberName& operator=(const MemberName& other) {
    plain_ = other.plain_;
    escaped_ = other.escaped_;
    own_ = other.own_;
    if (!own_.empty()) plain_ = own_;
    return *this;
  }
  ~MemberName() = default;

  [[nodiscard]] std::string_view plain() const { return plain_; }
  [[nodiscard]] std::string_view escaped() const { return escaped_; }
  void set(std::string_view text) {
    plain_ = escaped_ = text;
    if (!own_.empty()) own_.clear();
  }
  SPILLWAY_RARE void unescape();

 private:
  std::string_view plain_;
  std::string_view escaped_;
  std::string own_;  // empty when there are no escapes
};

class Reader {
 public:
  explicit Reader(std::string_view text)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  // The type of the value that comes next; `none` when the text is broken or over.
  [[nodiscard]] SPILLWAY_APART Type peek();

  bool enter_object();
  bool next_member();
  // The name of the current member, unescaped. Valid until its value is read.
  [[nodiscard]] std::string_view key() const { return key_.plain(); }
  // The same as it stands in the text, and valid as long as that.
  [[nodiscard]] JsonText escaped_key() const { return JsonText::trusted(key_.escaped()); }

  bool enter_array();
  bool next_element();

  SPILLWAY_APART std::optional<JsonText> string();
  std::optional<bool> boolean();
  // A whole number that fits. 1.0 and 1e3 count as whole, if they are below 2^53 as a double.
  std::optional<std::int64_t> integer();
  // A number that is finite as a double and has at most limits::number_digits_max characters.
  std::optional<double> number();
  // Takes a null; anything else stays.
  bool null();
  // Takes any value and gives its source span.
  std::string_view raw();
  void skip() { (void)raw(); }

  [[nodiscard]] bool ok() const { return problem_ == nullptr; }
  // True when the whole text is one valid value. Skips it if nothing of it was read.
  bool finish();
  [[nodiscard]] const char* problem() const { return problem_; }
  [[nodiscard]] std::size_t offset() const { return static_cast<std::size_t>(at_ - begin_); }
  // Whether a lone surrogate stands in what was taken so far: see mend_halves.
  [[nodiscard]] bool has_halves() const { return has_halves_; }

 private:
  // Providers write hardly any: one comparison tells that there is none.
  void white() {
    if (at_ < end_ && static_cast<unsigned char>(*at_) <= ' ') take_white();
  }
  SPILLWAY_RARE void take_white();
  SPILLWAY_RARE void fail(const char* problem);
  bool take_string(std::string_view& inside);
  SPILLWAY_APART bool take_escape();
  SPILLWAY_RARE bool take_unicode_escape();
  SPILLWAY_RARE bool take_utf8();
  bool take_number();
  bool take_literal(std::string_view word);
  bool take_scalar(Type type);
  void take_container();
  std::string_view take(Type type);
  bool leave(char close);
  SPILLWAY_APART bool enter(Type type);
  bool descend();

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* problem_ = nullptr;
  MemberName key_;
  bool has_escapes_ = false;  // the last string that was taken
  bool has_halves_ = false;
  unsigned depth_ = 0;
  bool comma_ = false;   // the innermost container has had a value
  bool pending_ = true;  // a value was announced (the text, a member, an element) and not read yet
};

// Appends JSON to a string that the caller owns and reuses. Commas are its own business.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  Writer& begin_object() { return open('{'); }
  Writer& end_object() { return close('}'); }
  Writer& begin_array() { return open('['); }
  Writer& end_array() { return close(']'); }
  // Names that the code knows, or that were checked, need no escaping (see JsonText::plain).
  Writer& key(std::string_view plain);
  Writer& key(JsonText name);
  // A name that is someone else's: escaped here, with a copy of its own.
  Writer& any_key(std::string_view name);
  Writer& text(JsonText text);
  Writer& string(std::string_view plain);
  Writer& integer(std::int64_t value);
  Writer& boolean(bool value) { return raw(value ? "true" : "false"); }
  Writer& null() { return raw("null"); }
  // One valid JSON value, copied as it is.
  Writer& raw(std::string_view value);
  // A string whose inside the caller appends to out() between the two calls, already escaped.
  Writer& begin_text();
  Writer& end_text();

  [[nodiscard]] std::string& out() { return out_; }

 private:
  Writer& open(char bracket);
  Writer& close(char bracket);
  void comma();

  std::string& out_;
  bool comma_ = false;
};

// Plain UTF-8 → the inside of a JSON string. Bytes that are not UTF-8 become U+FFFD.
void append_escaped(std::string& out, std::string_view plain);
// The inside of a JSON string → UTF-8. Lone surrogates become U+FFFD.
void append_unescaped(std::string& out, JsonText text);
[[nodiscard]] std::string unescaped(JsonText text);
// A byte of plain text takes so many escaped ones at most: \u0041.
inline constexpr std::size_t kEscapeBytesMax = 6;
// The text as an error quotes it: unescaped, and cut (quote() in text.h).
[[nodiscard]] SPILLWAY_RARE std::string quoted(JsonText text);
// Whether `text` stands for exactly the plain ASCII `plain`, whatever escapes it uses.
[[nodiscard]] bool equals(JsonText text, std::string_view plain);
// Whether a text says nothing: it is empty or white space (Unicode's), however that is written.
[[nodiscard]] bool is_blank(JsonText text);
[[nodiscard]] SPILLWAY_RARE JsonText without_white_end(JsonText text);
// Puts U+FFFD in the place of each lone surrogate in JSON text, from `begin` on. They are valid
// JSON, but most readers of others refuse them. No byte moves: views of the text stay.
SPILLWAY_RARE void mend_halves(std::string& text, std::size_t begin = 0);
// Whether a value, as it stands in the text, holds nothing: null, or an empty string, array or
// object.
[[nodiscard]] bool is_empty(std::string_view value);
// Whether `text` is one valid JSON value (of type object when `type` says so).
[[nodiscard]] bool valid(std::string_view text, Type type = Type::none);
void append_integer(std::string& out, std::int64_t value);
// A decimal that does not need floating point: `units` × 10^-`decimals`, trailing zeros removed.
// 0 <= decimals <= 18.
void append_decimal(std::string& out, std::int64_t units, int decimals);

}  // namespace json
}  // namespace spillway
