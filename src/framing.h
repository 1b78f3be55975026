// Cuts a byte stream into frames: SSE events (WHATWG HTML, "Server-sent events") or NDJSON lines.
//
//   framing.feed(bytes);
//   while (auto frame = framing.next()) use(frame->data);
//   ...
//   framing.end();   // the stream is over: a last frame without its terminator counts
//   while (auto frame = framing.next()) use(frame->data);
//
// Rules
// * Chunk borders do not matter: a frame may span many chunks and a chunk may hold many frames.
// * Bytes are lent by feed() until next() has answered nullopt, which must come before the next
//   feed(). Only an unfinished frame is copied, and the scan resumes where it stopped, so the cost
//   is linear however finely a frame is cut.
// * A Frame's views hold until the following call of feed(), next() or end().
// * LF, CRLF and a lone CR end lines; a leading BOM is dropped; comments, `id` and `retry` are
//   skipped; events without data are skipped; several `data` lines are joined by LF.
// * A frame of more than limits::frame_bytes_max bytes (its fields and line ends, without the blank
//   line that ends it) sets overflowed(); nothing comes after it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rare.h"

namespace spillway {

enum class FrameKind : std::uint8_t { sse, ndjson };

struct Frame {
  std::string_view event;  // SSE event type, empty when none was named
  std::string_view data;
  unsigned data_lines = 1;  // SSE: how many lines of data were joined by LF
};

class Framing {
 public:
  explicit Framing(FrameKind kind) : kind_(kind) {}

  void feed(std::string_view bytes);
  void end();
  std::optional<Frame> next();
  [[nodiscard]] bool overflowed() const { return overflowed_; }
  // The bytes of the frame that has begun and not ended, after next() answered nullopt. Lines that
  // no frame is made of are left out once they have ended.
  [[nodiscard]] std::string_view unfinished() const { return kept_; }
  // SSE: lines that are neither fields nor comments, the first of them, joined by LF: some
  // providers write an error that way.
  [[nodiscard]] std::string_view stray() const { return stray_; }
  // Bytes copied and kept between chunks.
  [[nodiscard]] std::size_t held() const { return kept_.capacity() + joined_.capacity(); }

 private:
  struct Span {
    std::size_t begin = 0;
    std::size_t size = 0;
  };
  [[nodiscard]] std::string_view at(Span span) const {
    return {input_.data() + span.begin, span.size};
  }
  [[nodiscard]] bool take_line(Span& line);
  void keep_rest();
  SPILLWAY_APART void resume(std::string_view bytes);
  SPILLWAY_APART void keep_from(std::size_t begin);
  void read_field(Span line);
  SPILLWAY_RARE void join_line(Span value);
  SPILLWAY_RARE void keep_stray(std::string_view line);
  SPILLWAY_RARE bool skip_bom();
  void start_frame();
  // Nothing so far that a frame would be made of: pings and ids need not be kept.
  [[nodiscard]] bool frame_is_empty() const { return data_lines_ == 0 && event_.size == 0; }
  SPILLWAY_APART std::optional<Frame> dispatch();
  SPILLWAY_RARE std::optional<Frame> take_json(Span line);
  SPILLWAY_RARE std::optional<Frame> overflow();

  FrameKind kind_;
  std::string_view input_;  // being read: the lent chunk, or kept_; empty between chunks
  std::string kept_;        // the unfinished frame, once a chunk has ended inside it
  std::string joined_;      // data of an event with several data lines
  std::string stray_;
  std::size_t frame_ = 0;    // where the current frame began
  std::size_t line_ = 0;     // where the current line began
  std::size_t scanned_ = 0;  // no line end before here
  Span event_;
  Span data_;
  unsigned data_lines_ = 0;
  bool at_start_ = true;   // nothing consumed yet: a BOM may come
  bool after_cr_ = false;  // the last line ended in CR: an LF right here belongs to it
  bool ended_ = false;
  bool overflowed_ = false;
};

}  // namespace spillway
