// What an error body says, whatever its shape. No provider is known here: only the names that
// error objects use for their parts.
//
//   const ErrorBody said = read_error_body(body);
//   said.message, said.code, said.words …
//
// Read are: {error:{…}}, {error:"text"}, {code,error}, flat {message,…}, {detail} as text or as a
// list (FastAPI), {status,title,detail} (RFC 9457), {errors:[{code,message}]}, [{error}],
// choices[].error, response.error, JSON inside a string of JSON, SSE `data:` lines, HTML and XML
// (their title), and plain text.
//
// Rules
// * The innermost words win: a gateway wraps what the provider said, and the provider knows better.
// * The text may be hostile: time and memory are linear in limits::error_body_bytes_max (what is
//   longer is cut), nesting is bounded, and broken JSON gives what was read before it broke.
// * All strings that come out are folded: valid UTF-8, no control characters, single spaces.
// * What is cut off, here or on its way to us, takes the word with it that it cuts (redact.h).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace spillway {

struct ErrorBody {
  std::string message;  // at most limits::reason_bytes_max; empty when nothing was said
  std::string code;     // the provider's own code; without one its reason, status word or type
  std::string param;    // the request field it names: "tools[0].function.parameters"
  // Every code, type, status word and reason in lower case, each on its own line: "\na\nb\n".
  std::string words = "\n";
  std::string wait;   // a wait as written: "34.4s", "20"
  std::string reset;  // an x-ratelimit-reset that was passed on inside the body
  int status = 0;     // an HTTP status, 400 to 599, that the body gives
  // JSON of a shape that nobody has seen: `message` is all of it, whatever it says.
  bool is_guess = false;
};

// `is_cut`: it broke off, or was not read to its end.
[[nodiscard]] ErrorBody read_error_body(std::string_view body, bool is_cut = false);

// Any bytes as one line of text: whitespace and control characters become single spaces, what is
// not UTF-8 becomes U+FFFD, and so many words at the end are left out that at most `bytes_max`
// remain.
[[nodiscard]] std::string folded(std::string_view bytes, std::size_t bytes_max);
[[nodiscard]] std::string lower_case(std::string_view text);

}  // namespace spillway
