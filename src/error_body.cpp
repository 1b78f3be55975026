#include "error_body.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "json.h"
#include "limits.h"
#include "redact.h"
#include "text.h"

namespace spillway {

namespace {

// What a member means, by its name.
enum class Role : std::uint8_t {
  inside,     // the error, or a wrapper of it; as a text, the message
  aside,      // more about the error: speaks only where nothing else does
  container,  // of the answer: only its `error` counts, the rest may be anyone's text
  message,
  title,
  code,
  type,
  status,  // a number, or a word like INVALID_ARGUMENT
  reason,
  param,
  wait,
  reset,
  blocked,  // the mere presence says that content was refused
  unknown,
};

struct Name {
  std::string_view name;
  Role role;
};
// Names are compared without case: headers that were passed on vary.
constexpr std::array kNames{
    Name{"error", Role::inside},
    Name{"errors", Role::inside},          // Cloudflare
    Name{"detail", Role::inside},          // FastAPI, RFC 9457
    Name{"metadata", Role::inside},        // OpenRouter: raw, headers
    Name{"raw", Role::inside},             // OpenRouter: the provider's own body as a string
    Name{"headers", Role::inside},         // OpenRouter: rate limit headers, passed on
    Name{"details", Role::aside},          // Google: ErrorInfo, RetryInfo; Azure: FastAPI's list
    Name{"innererror", Role::aside},       // Azure
    Name{"base_resp", Role::inside},       // MiniMax
    Name{"promptfeedback", Role::inside},  // Gemini: a 200 without candidates
    Name{"choices", Role::container},      // OpenRouter: choices[].error
    Name{"response", Role::container},     // Responses API: response.failed
    Name{"message", Role::message},
    Name{"msg", Role::message},  // FastAPI
    Name{"error_message", Role::message},
    Name{"error_msg", Role::message},
    Name{"errormessage", Role::message},
    Name{"error_description", Role::message},  // OAuth
    Name{"status_msg", Role::message},         // MiniMax
    Name{"blockreasonmessage", Role::message},
    Name{"title", Role::title},  // RFC 9457
    Name{"code", Role::code},
    Name{"error_code", Role::code},
    Name{"errorcode", Role::code},
    Name{"type", Role::type},
    Name{"__type", Role::type},      // AWS
    Name{"error_type", Role::type},  // Hugging Face
    Name{"status", Role::status},
    Name{"status_code", Role::status},      // Groq's stream errors
    Name{"raw_status_code", Role::status},  // Mistral
    Name{"reason", Role::reason},           // Google's ErrorInfo
    Name{"param", Role::param},
    Name{"loc", Role::param},        // FastAPI
    Name{"retrydelay", Role::wait},  // Google's RetryInfo
    Name{"retry_after", Role::wait},
    Name{"retry-after", Role::wait},
    Name{"estimated_time", Role::wait},  // Hugging Face: a model that is loading
    Name{"x-ratelimit-reset", Role::reset},
    Name{"blockreason", Role::blocked},  // Gemini
};

Role role_of(std::string_view key) {
  if (key.size() > 32) return Role::unknown;
  const std::string name = lower_case(key);
  const auto found = std::find_if(kNames.begin(), kNames.end(),
                                  [&name](const Name& each) { return each.name == name; });
  return found == kNames.end() ? Role::unknown : found->role;
}

// How far in a text was found. The innermost wins, then the first; what stands aside comes last.
using Rank = int;
constexpr Rank kAside = 0;

struct Slot {
  std::string text;
  Rank rank = -1;

  void offer(std::string_view offered, Rank at, std::size_t bytes_max) {
    if (at <= rank) return;
    std::string kept = folded(offered, bytes_max);
    if (kept.empty()) return;
    text = std::move(kept);
    rank = at;
  }
};

// Objects, arrays and strings of JSON inside one another that are followed; the deepest recorded
// (a gateway around a gateway around Google's details) takes six.
constexpr int kDepthMax = 12;

class BodyReader {
 public:
  bool read_json(std::string_view text, Rank rank, int depth) {
    json::Reader in(text);
    read(in, Role::inside, rank, depth);
    return in.finish();
  }
  void read_markup(std::string_view text);

  Slot message, code, reason, type, param, wait, reset;
  int status = 0;
  std::string words = "\n";

 private:
  void read(json::Reader& in, Role role, Rank rank, int depth);
  void read_members(json::Reader& in, Role role, Rank rank, int depth);
  void read_path(json::Reader& in, Rank rank);
  void take(Role role, std::string_view text, Rank rank, int depth);
  void take_message(std::string_view text, Rank rank, int depth);
  void take_code(std::string_view text, Rank rank);
  bool take_status(std::string_view text, Rank rank);
  void add_word(std::string_view word);

  Rank status_rank_ = -1;
};

void BodyReader::read(json::Reader& in, Role role, Rank rank, int depth) {
  const bool follow = depth <= kDepthMax && role != Role::unknown;
  const json::Type next = follow ? in.peek() : json::Type::none;
  if (next == json::Type::object) {
    read_members(in, role, rank, depth);
  } else if (next == json::Type::array) {
    if (role == Role::param) return read_path(in, rank);
    if (!in.enter_array()) return;
    while (in.next_element()) read(in, role, rank, depth + 1);
  } else if (next == json::Type::string) {
    if (const auto text = in.string()) take(role, json::unescaped(*text), rank, depth);
  } else if (next == json::Type::number) {
    take(role == Role::status ? Role::code : role, in.raw(), rank, depth);
  } else {
    in.skip();
  }
}

void BodyReader::read_members(json::Reader& in, Role role, Rank rank, int depth) {
  if (!in.enter_object()) return;
  const Rank inner = rank == kAside ? kAside : rank + 1;
  while (in.next_member()) {
    Role child = role_of(in.key());
    if (role == Role::container && in.key() != "error") child = Role::unknown;
    // An answer's own metadata holds the client's words, an error's holds the provider's.
    if (depth == 0 && in.key() == "metadata") child = Role::unknown;
    read(in, child, child == Role::aside ? kAside : inner, depth + 1);
  }
}

// FastAPI's ["body", "messages", 0, "content"] → messages.0.content
void BodyReader::read_path(json::Reader& in, Rank rank) {
  std::string path;
  if (!in.enter_array()) return;
  while (in.next_element()) {
    std::string part;
    if (in.peek() == json::Type::string) {
      if (const auto text = in.string()) json::append_unescaped(part, *text);
    } else if (in.peek() == json::Type::number) {
      part = in.raw();
    }
    if (part.empty() || (path.empty() && part == "body") ||
        path.size() > limits::error_code_bytes_max)
      continue;
    if (!path.empty()) path.push_back('.');
    path.append(part);
  }
  param.offer(path, rank, limits::error_code_bytes_max);
}

void BodyReader::take(Role role, std::string_view text, Rank rank, int depth) {
  switch (role) {
    case Role::inside:
    case Role::aside:
    case Role::message:
      return take_message(text, rank, depth);
    case Role::title:
      return message.offer(text, kAside, limits::reason_bytes_max);
    case Role::code:
      return take_code(text, rank);
    case Role::param:
      return param.offer(text, rank, limits::error_code_bytes_max);
    case Role::wait:
      return wait.offer(text, rank, limits::error_code_bytes_max);
    case Role::reset:
      return reset.offer(text, rank, limits::error_code_bytes_max);
    case Role::reason:
      add_word(text);
      return reason.offer(text, rank, limits::error_code_bytes_max);
    case Role::blocked:
      add_word("blockReason");
      message.offer("the prompt was refused: " + std::string(text), kAside,
                    limits::reason_bytes_max);
      return type.offer(text, rank, limits::error_code_bytes_max);
    case Role::type:
    case Role::status:
      if (text == "error") return;  // says only what is known
      add_word(text);
      return type.offer(text, rank, limits::error_code_bytes_max);
    case Role::container:
    case Role::unknown:
      return;
  }
}

void BodyReader::take_message(std::string_view text, Rank rank, int depth) {
  text = trimmed(text);
  if (starts_with(text, "{") || starts_with(text, "[{")) {
    // Valid JSON that says nothing is no message; what is not JSON after all is one.
    if (depth < kDepthMax && read_json(text, rank == kAside ? kAside : rank + 1, depth + 1)) return;
  }
  message.offer(text, rank, limits::reason_bytes_max);
}

void BodyReader::take_code(std::string_view text, Rank rank) {
  add_word(text);
  if (!take_status(text, rank)) code.offer(text, rank, limits::error_code_bytes_max);
}

// A code that only repeats an HTTP status ("404" at Azure, 400 at Google) is a status.
bool BodyReader::take_status(std::string_view text, Rank rank) {
  if (text.size() != 3 || (text[0] != '4' && text[0] != '5')) return false;
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + (c - '0');
  }
  if (rank > status_rank_) {
    status = number;
    status_rank_ = rank;
  }
  return true;
}

void BodyReader::add_word(std::string_view word) {
  if (words.size() > limits::reason_bytes_max) return;
  words.append(lower_case(folded(word, limits::error_code_bytes_max)));
  words.push_back('\n');
}

// A page of a proxy: its title is all that is worth telling. AWS answers in XML at times.
void BodyReader::read_markup(std::string_view text) {
  const std::string lower = lower_case(text);
  for (const std::string_view tag : {"title", "h1", "message"}) {
    const std::string opening = "<" + std::string(tag);
    const std::size_t open = lower.find(opening);
    if (open == std::string::npos) continue;
    const std::size_t begin = lower.find('>', open);
    if (begin == std::string::npos) continue;
    const std::size_t end = lower.find('<', begin);
    message.offer(text.substr(begin + 1, end == std::string::npos ? end : end - begin - 1), kAside,
                  limits::reason_bytes_max);
    if (!message.text.empty()) return;
  }
  const bool is_page = lower.find("</") != std::string::npos;
  if (!is_page) message.offer(text, kAside, limits::reason_bytes_max);  // "<400> InternalError…"
}

// The content of the first `data:` line of an SSE body, or the text itself.
std::string_view without_sse(std::string_view text) {
  if (!starts_with(text, "data:") && !starts_with(text, "event:")) return text;
  const std::size_t data = starts_with(text, "data:") ? 0 : text.find("\ndata:");
  if (data == std::string_view::npos) return text;
  text.remove_prefix(text.find(':', data) + 1);
  return trimmed(text.substr(0, text.find('\n')));
}

std::string_view text_of(std::string_view body) {
  if (starts_with(body, "\xEF\xBB\xBF")) body.remove_prefix(3);
  return without_sse(trimmed(body));
}

bool is_text(std::string_view bytes) {
  return std::none_of(bytes.begin(), bytes.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
  });
}

}  // namespace

ErrorBody read_error_body(std::string_view body, bool is_cut) {
  const std::string_view text = text_of(body.substr(0, limits::error_body_bytes_max));
  // For what is read as it is; a string of JSON counts only when it is whole.
  const std::string_view words =
      text_of(cut_text(is_cut ? without_last_word(body) : body, limits::error_body_bytes_max));

  BodyReader reader;
  bool is_guess = false;
  if (starts_with(text, "<")) {
    reader.read_markup(words);
  } else if (is_text(text)) {
    const bool json = starts_with(text, "{") || starts_with(text, "[") || starts_with(text, "\"");
    const bool whole = json && reader.read_json(text, kAside + 1, 0);
    is_guess = json && reader.message.text.empty();
    // A shape that no one has seen yet: its text is better than nothing, unless it is just `{}`.
    if (!whole || text.size() > 4) reader.message.offer(words, kAside, limits::reason_bytes_max);
  }

  ErrorBody said;
  said.is_guess = is_guess;
  said.message = std::move(reader.message.text);
  for (Slot* const slot : {&reader.code, &reader.reason, &reader.type})
    if (said.code.empty()) said.code = std::move(slot->text);
  said.param = std::move(reader.param.text);
  said.words = std::move(reader.words);
  said.wait = std::move(reader.wait.text);
  said.reset = std::move(reader.reset.text);
  said.status = reader.status;
  return said;
}

std::string folded(std::string_view bytes, std::size_t bytes_max) {
  // Escaping and unescaping again is what makes any bytes valid UTF-8. Twice the bound leaves room
  // for whitespace that will fold; a longer run of it is not worth reading.
  std::string escaped;
  json::append_escaped(escaped, cut_text(trimmed(bytes), 2 * bytes_max));
  const std::string valid = json::unescaped(JsonText::trusted(escaped));

  std::string line;
  bool space = false;
  for (const char c : valid) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F) {
      space = !line.empty();
      continue;
    }
    if (space) line.push_back(' ');
    space = false;
    line.push_back(c);
  }
  line.resize(cut_text(line, bytes_max).size());
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return lower;
}

}  // namespace spillway
