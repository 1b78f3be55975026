// Framing done the obvious way, on the whole text at once, to compare the real one with; and the
// real one driven with chunks as a host would lend them. Used by framing_test.cpp and the fuzzer.
#pragma once

#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "framing.h"

namespace spillway {

struct OwnedFrame {
  std::string event;
  std::string data;
  friend bool operator==(const OwnedFrame&, const OwnedFrame&) = default;
};
using OwnedFrames = std::vector<OwnedFrame>;

inline std::ostream& operator<<(std::ostream& out, const OwnedFrame& frame) {
  return out << '{' << frame.event << "|" << frame.data << '}';
}

using Chunks = std::vector<std::string_view>;

// The frames that Framing gives for a stream that comes in these chunks. Each chunk is an exact
// copy on the heap that is freed when the loan is over, so that AddressSanitizer sees every byte
// that is read outside of it or too late.
inline OwnedFrames frames_of(Framing& framing, const Chunks& chunks) {
  OwnedFrames frames;
  const auto drain = [&] {
    while (const auto frame = framing.next())
      frames.push_back({std::string(frame->event), std::string(frame->data)});
    if (framing.next()) abort();  // nullopt stays until something new comes
  };
  for (const std::string_view chunk : chunks) {
    const std::vector<char> lent(chunk.begin(), chunk.end());
    framing.feed({lent.data(), lent.size()});
    drain();
  }
  framing.end();
  drain();
  return frames;
}

inline OwnedFrames frames_of(FrameKind kind, const Chunks& chunks) {
  Framing framing(kind);
  return frames_of(framing, chunks);
}

// All lines without their ends (LF, CRLF or CR); the last one need not have an end.
inline std::vector<std::string> reference_lines(std::string_view text) {
  std::vector<std::string> lines;
  std::string line;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && i > 0 && text[i - 1] == '\r') continue;
    if (text[i] == '\n' || text[i] == '\r') {
      lines.push_back(line);
      line.clear();
    } else {
      line.push_back(text[i]);
    }
  }
  if (!line.empty()) lines.push_back(line);
  return lines;
}

inline OwnedFrames reference_frames(FrameKind kind, std::string_view text) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  OwnedFrames frames;
  if (kind == FrameKind::ndjson) {
    for (const std::string& line : reference_lines(text))
      if (line.find_first_not_of(" \t") != std::string::npos) frames.push_back({"", line});
    return frames;
  }
  std::string event;
  std::string data;  // every line followed by LF, as the specification has it
  const auto dispatch = [&] {
    if (!data.empty()) frames.push_back({event, data.substr(0, data.size() - 1)});
    event.clear();
    data.clear();
  };
  for (const std::string& line : reference_lines(text)) {
    if (line.empty()) dispatch();
    std::string name = line;
    std::string value;
    if (const std::size_t colon = line.find(':'); colon != std::string::npos) {
      name = line.substr(0, colon);
      value = line.substr(colon + 1);
      if (!value.empty() && value[0] == ' ') value.erase(0, 1);
    }
    if (name == "event") event = value;
    if (name == "data") data += value + "\n";
  }
  dispatch();  // Framing::end(): a last event counts without its blank line
  return frames;
}

}  // namespace spillway
