#include "surface.h"

#include <algorithm>
#include <array>

#include "limits.h"
#include "mend.h"
#include "text.h"

namespace spillway {

namespace {

// A JSON object of headers. What is written into it is made of characters that JSON takes as they
// are: names, tokens and numbers.
class HeadWriter {
 public:
  explicit HeadWriter(const CommonHeaders& common) {
    head_ += '{';
    head_ += common;
  }
  // Where the value goes, until end().
  std::string& begin(std::string_view name) {
    head_ += head_.size() > 1 ? ",\"" : "\"";
    head_ += name;
    head_ += "\":\"";
    return head_;
  }
  void end() { head_ += '"'; }
  void add(std::string_view name, std::string_view value) {
    begin(name) += value;
    end();
  }
  [[nodiscard]] std::string take() {
    head_ += '}';
    return std::move(head_);
  }

 private:
  std::string head_;
};

// An engine's id as a token in a header: model names are the client's words, so anything but plain
// ones is percent-encoded (RFC 3986).
void append_token(std::string& out, std::string_view id) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/@+!$&'()*?";
  for (const char c : id) {
    if (plain.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(hex[byte >> 4]);
      out.push_back(hex[byte & 15]);
    }
  }
}

void append_number(std::string& out, std::int64_t number) { json::append_integer(out, number); }

// Nothing is told of an attempt that is under way.
bool any_told(const AttemptRecords& attempts) {
  return std::any_of(attempts.begin(), attempts.end(),
                     [](const AttemptRecord& attempt) { return !attempt.outcome.empty(); });
}

// Appends items, as many as fit into what one list of a header may take, and gives how many did
// not. `append(item)` appends one, false when there is nothing to say of it.
template <class Items, class Append>
std::size_t append_items(std::string& out, const Items& items, Append append) {
  constexpr std::string_view comma = ", ";
  constexpr std::size_t kMoreBytes = 20;
  const std::size_t begin = out.size();
  std::size_t more = 0;
  for (const auto& item : items) {
    const std::size_t end = out.size();
    if (end > begin) out += comma;
    const bool is_told = append(item);
    const bool fits = more == 0 && out.size() - begin <= limits::told_list_bytes_max - kMoreBytes;
    if (!is_told || !fits) out.resize(end);
    if (is_told && !fits) ++more;
  }
  if (more > 0 && out.size() > begin) out += comma;
  return more;
}

SPILLWAY_RARE void append_more(std::string& out, std::size_t more) {
  out += '(';
  append_number(out, static_cast<std::int64_t>(more));
  out += " more)";
}

// groq:llama-3.3-70b=rate_limited;12ms, cerebras:gpt-oss-120b=ok
void append_attempts(std::string& out, const AttemptRecords& attempts) {
  const std::size_t more = append_items(out, attempts, [&out](const AttemptRecord& attempt) {
    if (attempt.outcome.empty()) return false;
    append_token(out, attempt.engine);
    out += '=';
    out += attempt.outcome;
    if (attempt.outcome == "ok" || attempt.duration_ms < 0) return true;
    out += ';';
    append_number(out, attempt.duration_ms);
    out += "ms";
    return true;
  });
  if (more > 0) append_more(out, more);
}

// W3C Server Timing: one metric an attempt, in order, then all that the client has waited.
// (Attempts may run side by side, or have a pause between them.) Quotes are those of a JSON text.
void append_timing(std::string& out, const AttemptRecords& attempts, Millis total) {
  const std::size_t more = append_items(out, attempts, [&out](const AttemptRecord& attempt) {
    if (attempt.outcome.empty() || attempt.duration_ms < 0) return false;
    out += R"(attempt;desc=\")";
    append_token(out, attempt.engine);
    out += ' ';
    out += attempt.outcome;
    out += R"(\";dur=)";
    append_number(out, attempt.duration_ms);
    return true;
  });
  if (more > 0) {
    out += R"(more;desc=\")";
    append_more(out, more);
    out += R"(\")";
  }
  out += ", total;dur=";
  append_number(out, total);
}

void add_attempts(HeadWriter& head, const AttemptRecords& attempts, Millis total) {
  if (!any_told(attempts)) return;
  append_attempts(head.begin("x-spillway-attempts"), attempts);
  head.end();
  append_timing(head.begin("server-timing"), attempts, total);
  head.end();
}

}  // namespace

std::string list_of(const Dropped& dropped) {
  std::string value;
  const std::size_t more = append_items(value, dropped, [&value](std::string_view name) {
    append_token(value, name.substr(0, limits::dropped_name_bytes_max));
    return true;
  });
  if (more > 0) append_more(value, more);
  return value;
}

namespace {

struct Told {
  int status;
  std::string_view type;
  std::string_view code;
};

// In the order of FailureKind. Codes are OpenAI's where it has one.
constexpr std::array<Told, kFailureKinds> kTold{{
    {429, "rate_limit_error", "rate_limit_exceeded"},
    {503, "server_error", "overloaded"},
    {502, "server_error", "upstream_error"},
    {504, "server_error", "timeout"},
    {502, "server_error", "network_error"},
    {502, "server_error", "protocol_error"},
    {502, "server_error", "empty_answer"},
    {404, "invalid_request_error", "model_not_found"},
    {400, "invalid_request_error", "context_length_exceeded"},
    {401, "authentication_error", "provider_auth_failed"},
    {429, "insufficient_quota", "insufficient_quota"},
    {400, "invalid_request_error", "content_filter"},
    {400, "invalid_request_error", "invalid_request"},
    {413, "invalid_request_error", "request_too_large"},
}};

// The beginning of an event that a client has. (An event of several data lines is left as it is: no
// provider cuts its JSON into lines.)
struct Begun {
  Begun(std::string_view cut, const Dialect& dialect) {
    constexpr std::string_view field = "data: ";
    constexpr std::string_view line_ends = "\r\n";
    const std::size_t size = cut.find_last_not_of(line_ends) + 1;  // 0 when there is nothing else
    const bool has_ended = size < cut.size();                      // the line, not the event
    cut = cut.substr(0, size);
    const std::size_t line_at = cut.find_last_of(line_ends) + 1;  // 0 when there is no line end
    const std::string_view line = cut.substr(line_at);
    const bool is_first = cut.substr(0, line_at).find(field.substr(0, 5)) == std::string_view::npos;
    if (!is_first || line.empty()) return;
    is_data = starts_with(line, field.substr(0, 5));
    if (is_data) data = trimmed(line.substr(5));
    const std::string_view end = dialect.terminator.substr(
        std::min(dialect.terminator.find(field) + field.size(), dialect.terminator.size()));
    is_terminator =
        is_data && (has_ended ? data == trimmed(end) : !data.empty() && starts_with(end, data));
    if (is_data && has_ended) ended = data;
    is_data = is_data && !has_ended;
    is_field = starts_with(field, line) && !has_ended;
    if (is_field) rest_of_field = field.substr(line.size());
    if (is_field || is_terminator) rest_of_terminator = end.substr(data.size());
  }

  bool is_field = false;  // nothing but the field's name has come, maybe not all of that
  std::string_view rest_of_field;
  bool is_terminator = false;
  std::string_view rest_of_terminator;
  bool is_data = false;
  std::string_view data;
  std::string_view ended;  // the data of a line that is whole: only the event's end is missing
};

}  // namespace

ClientError client_error(const Failure& failure, std::string message) {
  const Told& told = kTold[static_cast<std::size_t>(failure.kind)];
  return {told.status, told.type, told.code, std::move(message), failure.param};
}

void Surface::identify(Instant now, std::string id, std::string model) {
  envelope_.created_s = now.seconds();
  envelope_.id = std::move(id);
  envelope_.model = std::move(model);
  if (stream_) dialect_.prepare(envelope_);
}

namespace {

// An event of several data lines is JSON with line ends in it, which are white space there.
SPILLWAY_RARE void join_lines(std::string& out, std::size_t begin) {
  std::replace(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), '\n', ' ');
}

}  // namespace

void Surface::relay(const Frame& frame, std::string& out) {
  constexpr std::string_view event = "event: ";
  constexpr std::string_view data = "data: ";
  constexpr std::string_view end = "\n\n";
  if (!frame.event.empty()) {
    out += event;
    out += frame.event;
    out += '\n';
  }
  out += data;
  const std::size_t begin = out.size();
  out += frame.data;
  if (frame.data_lines > 1) join_lines(out, begin);
  out += end;
}

bool Surface::is_error(std::string_view data) {
  bool found = false;
  json::Reader in(data);
  if (!in.enter_object()) return false;
  while (in.next_member()) found = found || (in.key() == "error" && !in.null());
  return found;
}

void Surface::print_end(std::string_view cut, std::string& out) const {
  const Begun begun(cut, dialect_);
  if (begun.is_field || begun.is_terminator) {
    out += begun.rest_of_field;
    out += begun.rest_of_terminator;
    return;
  }
  if (begun.is_data) (void)complete_object(begun.data, dialect_.needed_member, out);
  if (!cut.empty()) out += "\n\n";
  out += dialect_.terminator;
}

bool Surface::print_break(std::string_view cut, std::string& out, Broken& broken) const {
  if (cut.empty()) return true;
  const Begun begun(cut, dialect_);
  if (begun.is_terminator) return false;  // the provider was through with its answer
  const std::size_t size = out.size();
  if (begun.is_field) {
    out += begun.rest_of_field;
    out += '{';
    out += dialect_.needed_member;
    out += '}';
  } else if (begun.is_data && complete_object(begun.data, dialect_.needed_member, out)) {
    broken.event = begun.data;
    broken.event.append(out, size, std::string::npos);
  } else {
    broken.event = begun.is_data ? begun.data : begun.ended;
    broken.is_whole = true;
    if (begun.is_data && !json::valid(begun.data)) return false;
  }
  out += "\n\n";
  return true;
}

void Surface::print_stream_error(const ClientError& error, std::string_view cut,
                                 std::string& out) const {
  // What the client has becomes the event that tells the error, for a client gives up at an event
  // that it cannot read.
  const Begun begun(cut, dialect_);
  std::string body;
  dialect_.encode_error(error, body);
  if (begun.is_field) {
    out += begun.rest_of_field;
    out += body;
    out += "\n\n";
    return;
  }
  if (begun.is_terminator) {  // the provider was through with its answer
    out += begun.rest_of_terminator;
    return;
  }
  std::string closing;
  bool needs_comma = false;
  if (begun.is_data && mend_object(begun.data, closing, needs_comma)) {
    // Its object is closed, and the error becomes a member of it.
    out += closing;
    if (needs_comma) out += ',';
    out.append(body, 1, std::string::npos);  // without its opening brace
    out += "\n\n";
    return;
  }
  if (!cut.empty()) out += "\n\n";
  dialect_.encode_stream_error(error, out);
}

void Surface::tell_skipped(const std::string& engine, std::string_view why) {
  AttemptRecord& record = skipped_.emplace_back();
  record.engine = engine;
  record.outcome = why;
  record.duration_ms = -1;
}

AttemptRecords Surface::told(const AttemptRecords& attempts) const {
  AttemptRecords all = skipped_;
  all.insert(all.end(), attempts.begin(), attempts.end());
  return all;
}

std::string Surface::answer_head(const AttemptRecords& attempts, Millis total,
                                 const Dropped& dropped) const {
  HeadWriter head(common_);
  head.add("content-type", stream_ ? "text/event-stream; charset=utf-8" : "application/json");
  head.add("cache-control", stream_ ? "no-cache, no-transform" : "no-store");
  if (!attempts.empty() && attempts.back().outcome == "ok") {
    append_token(head.begin("x-spillway-engine"), attempts.back().engine);
    head.end();
  }
  add_attempts(head, skipped_.empty() ? attempts : told(attempts), total);
  if (!dropped.empty()) head.add("x-spillway-dropped", list_of(dropped));
  return head.take();
}

void Surface::print_late_head(const AttemptRecords& attempts, const Dropped& dropped,
                              std::string& out) const {
  out += ": x-spillway-engine: ";
  append_token(out, attempts.back().engine);
  out += "\n: x-spillway-attempts: ";
  append_attempts(out, skipped_.empty() ? attempts : told(attempts));
  if (!dropped.empty()) {
    out += "\n: x-spillway-dropped: ";
    out += list_of(dropped);
  }
  out += "\n\n";
}

std::string Surface::error_head(const AttemptRecords& attempts, Millis total,
                                const ClientError& error, Millis retry_after_ms) const {
  HeadWriter head(common_);
  head.add("content-type", "application/json");
  head.add("cache-control", "no-store");
  add_attempts(head, skipped_.empty() ? attempts : told(attempts), total);
  if (retry_after_ms >= 0) {
    append_number(head.begin("retry-after"), (retry_after_ms + 999) / 1000);
    head.end();
  }
  // The official clients try 429 again by themselves, which does not bring credit back.
  if (error.code == "insufficient_quota") head.add("x-should-retry", "false");
  return head.take();
}

}  // namespace spillway
