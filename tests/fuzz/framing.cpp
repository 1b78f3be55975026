// Framing on any bytes, cut anywhere: the frames are those of the whole text and of the reference,
// and every loan ends when next() has answered nullopt (framing_reference.h).
#include <cstdint>
#include <cstdlib>
#include <random>

#include "../framing_reference.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spillway;
  if (size < 2) return 0;
  const FrameKind kind = data[0] % 4 == 0 ? FrameKind::ndjson : FrameKind::sse;
  std::mt19937 random(data[1]);  // where it is cut
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);

  Chunks chunks;
  const std::size_t most = 1 + data[0] / 8;
  for (std::string_view rest = stream; !rest.empty(); rest.remove_prefix(chunks.back().size()))
    chunks.push_back(rest.substr(0, random() % (most + 1)));

  const OwnedFrames expected = reference_frames(kind, stream);
  if (frames_of(kind, {stream}) != expected) std::abort();
  if (frames_of(kind, chunks) != expected) std::abort();
  return 0;
}
