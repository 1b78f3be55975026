#include "framing.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "limits.h"
#include "scan.h"

namespace spillway {

namespace {

// The first CR or LF in [at, end), else end. One pass for both: a search for each would run to the
// end of the chunk again and again where only the other is used.
const char* find_line_end(const char* at, const char* end) {
  return scan::find(
      at, end, [](scan::Block block) { return block.equal_to('\n') | block.equal_to('\r'); },
      [](char c) { return c == '\n' || c == '\r'; });
}

constexpr std::string_view kBom = "\xEF\xBB\xBF";

}  // namespace

void Framing::feed(std::string_view bytes) {
  if (overflowed_) return;
  assert(input_.empty());
  if (!kept_.empty()) return resume(bytes);
  input_ = bytes;
}

void Framing::resume(std::string_view bytes) {
  kept_.append(bytes);
  input_ = kept_;
}

void Framing::end() {
  ended_ = true;
  if (!overflowed_ && !kept_.empty()) input_ = kept_;
}

// The next whole line without its end; at the end of the stream also an unfinished one.
bool Framing::take_line(Span& line) {
  if (after_cr_ && line_ < input_.size()) {
    if (input_[line_] == '\n') {
      scanned_ = ++line_;
      if (frame_is_empty()) frame_ = line_;
    }
    after_cr_ = false;
  }
  const char* const begin = input_.data();
  const char* const end = begin + input_.size();
  const char* const found = find_line_end(begin + scanned_, end);
  const auto stop = static_cast<std::size_t>(found - begin);
  scanned_ = stop;
  if (found == end && (!ended_ || line_ == stop)) return false;
  after_cr_ = found != end && *found == '\r';
  line = {line_, stop - line_};
  line_ = scanned_ = std::min(stop + 1, input_.size());
  return true;
}

// Copies what the next chunk will continue, and forgets the lent one.
void Framing::keep_rest() {
  const std::size_t begin = frame_;
  if (begin != input_.size() || !kept_.empty()) keep_from(begin);
  line_ -= begin;
  scanned_ -= begin;
  event_.begin -= event_.size == 0 ? event_.begin : begin;
  data_.begin -= data_lines_ == 0 ? data_.begin : begin;
  frame_ = 0;
  input_ = {};
}

void Framing::keep_from(std::size_t begin) {
  if (kept_.empty()) {
    kept_.assign(input_.substr(begin));
  } else {
    kept_.erase(0, begin);
  }
}

void Framing::start_frame() {
  frame_ = line_;
  event_ = data_ = {};
  data_lines_ = 0;
}

void Framing::read_field(Span line) {
  const std::string_view text = at(line);
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view name = text.substr(0, colon);
  if (name != "data" && name != "event") return keep_stray(text);
  Span value{line.begin + colon, line.size - colon};
  if (value.size != 0) ++value.begin, --value.size;
  if (value.size != 0 && input_[value.begin] == ' ') ++value.begin, --value.size;
  if (name == "event") {
    event_ = value;
    return;
  }
  if (data_lines_++ == 0) {
    data_ = value;
  } else {
    join_line(value);
  }
}

void Framing::keep_stray(std::string_view line) {
  const std::string_view name = line.substr(0, line.find(':'));
  if (name.empty() || name == "id" || name == "retry") return;
  if (stray_.size() + line.size() >= limits::stray_bytes_max) return;
  if (!stray_.empty()) stray_.push_back('\n');
  stray_ += line;
}

void Framing::join_line(Span value) {
  if (data_lines_ == 2) joined_.assign(at(data_));
  joined_.push_back('\n');
  joined_.append(at(value));
}

std::optional<Frame> Framing::dispatch() {
  if (data_lines_ == 0) {
    start_frame();
    return std::nullopt;
  }
  const Frame frame{at(event_), data_lines_ == 1 ? at(data_) : std::string_view(joined_),
                    data_lines_};
  start_frame();
  return frame;
}

// A line of NDJSON; nothing when it is blank.
std::optional<Frame> Framing::take_json(Span line) {
  const std::string_view text = at(line);
  start_frame();
  if (text.find_first_not_of(" \t") == std::string_view::npos) return std::nullopt;
  return Frame{{}, text};
}

std::optional<Frame> Framing::overflow() {
  overflowed_ = true;
  keep_rest();  // unfinished() tells what of it has come
  return std::nullopt;
}

// At the very beginning, at a byte that a BOM begins with. False: more of it must come first.
bool Framing::skip_bom() {
  const bool may_be_bom = kBom.substr(0, input_.size()) == input_.substr(0, kBom.size());
  if (may_be_bom && input_.size() < kBom.size() && !ended_) {
    keep_rest();
    return false;
  }
  if (may_be_bom && input_.size() >= kBom.size()) frame_ = line_ = scanned_ = kBom.size();
  return true;
}

std::optional<Frame> Framing::next() {
  if (input_.empty()) return std::nullopt;
  if (at_start_ && kBom.front() == input_.front() && !skip_bom()) return std::nullopt;
  at_start_ = false;
  Span line;
  while (take_line(line)) {
    if (line.begin + line.size - frame_ > limits::frame_bytes_max) return overflow();
    if (kind_ == FrameKind::ndjson) {
      if (auto frame = take_json(line)) return frame;
    } else if (line.size == 0) {
      if (auto frame = dispatch()) return frame;
    } else {
      read_field(line);
      if (frame_is_empty()) frame_ = line_;
    }
  }
  if (ended_)
    if (auto frame = dispatch()) return frame;
  if (input_.size() - frame_ > limits::frame_bytes_max) return overflow();
  keep_rest();
  return std::nullopt;
}

}  // namespace spillway
