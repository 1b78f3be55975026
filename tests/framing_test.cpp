// Framing: each case is cut whole, byte by byte, and at every place in two and (when short) three
// parts, and must give the same frames; then random streams against a reference.
#include "framing.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "framing_reference.h"
#include "limits.h"
#include "linear.h"

namespace spillway {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kThreePartsMax = 60;  // bytes: beyond it, three parts take too long

struct Case {
  const char* name;
  FrameKind kind;
  std::string_view stream;
  OwnedFrames frames;
};

constexpr FrameKind kSse = FrameKind::sse;
constexpr FrameKind kNdjson = FrameKind::ndjson;

const Case kCases[] = {
    // Line ends.
    {"LF", kSse, "data: a\n\ndata: b\n\n", {{"", "a"}, {"", "b"}}},
    {"CRLF", kSse, "data: a\r\n\r\ndata: b\r\n\r\n", {{"", "a"}, {"", "b"}}},
    {"CR", kSse, "data: a\r\rdata: b\r\r", {{"", "a"}, {"", "b"}}},
    {"mixed line ends",
     kSse,
     "data: a\r\n\ndata: b\n\rdata: c\r\r\n",
     {{"", "a"}, {"", "b"}, {"", "c"}}},
    {"LF CR is two line ends", kSse, "data: a\n\r\ndata: b\n\n", {{"", "a"}, {"", "b"}}},
    {"CRLF inside an event", kSse, "event: e\r\ndata: a\r\ndata: b\r\n\r\n", {{"e", "a\nb"}}},
    {"CR inside an event", kSse, "event: e\rdata: a\rdata: b\r\r", {{"e", "a\nb"}}},
    {"many blank lines", kSse, "\n\r\n\r\r\ndata: a\n\n\n\r\n\n", {{"", "a"}}},
    {"a line of eight bytes", kSse, "data: ab\ndata: cd\r\n\r\n", {{"", "ab\ncd"}}},
    {"bytes next to CR and LF",
     kSse,
     "data: \x0b\x0c\x0e\x09\x8a\x8d\n\n",
     {{"", "\x0b\x0c\x0e\x09\x8a\x8d"}}},
    // The byte order mark.
    {"BOM",
     kSse,
     "\xEF\xBB\xBF"
     "data: a\n\n",
     {{"", "a"}}},
    {"BOM alone", kSse, "\xEF\xBB\xBF", {}},
    {"BOM and a blank line", kSse, "\xEF\xBB\xBF\n\n", {}},
    {"only the first BOM is dropped",
     kSse,
     "\xEF\xBB\xBF\xEF\xBB\xBF"
     "data: a\n\ndata: b\n\n",
     {{"", "b"}}},
    {"BOM later is part of the name",
     kSse,
     "data: a\n\n\xEF\xBB\xBF"
     "data: b\n\n",
     {{"", "a"}}},
    {"half a BOM", kSse, "\xEF\xBB", {}},
    {"half a BOM, then data", kSse, "\xEF\xBB\ndata: a\n\n", {{"", "a"}}},
    // Fields.
    {"comments", kSse, ": ping\n\n:\n\ndata: a\n: between\ndata: b\n:after\n\n", {{"", "a\nb"}}},
    {"only pings", kSse, ": ping\n\n: ping\n\n:\n", {}},
    {"event", kSse, "event: start\ndata: a\n\ndata: b\n\n", {{"start", "a"}, {"", "b"}}},
    {"event after data", kSse, "data: a\nevent: late\n\n", {{"late", "a"}}},
    {"the last event name wins", kSse, "event: x\nevent: y\ndata: a\n\n", {{"y", "a"}}},
    {"event name set back", kSse, "event: x\nevent\ndata: a\n\n", {{"", "a"}}},
    {"event without a name",
     kSse,
     ": longer than the rest\r\nevent\r\ndata: a\r\n\r\n",
     {{"", "a"}}},
    {"event without data", kSse, "event: x\n\ndata: a\n\n", {{"", "a"}}},
    {"id and retry", kSse, "id: 7\nretry: 10\ndata: a\nid\n\n", {{"", "a"}}},
    {"unknown fields",
     kSse,
     "foo: 1\nbar\nDATA: x\ndata2: y\n data: z\ndata : w\ndata: a\n\n",
     {{"", "a"}}},
    {"data without a space", kSse, "data:a\n\n", {{"", "a"}}},
    {"one space is dropped", kSse, "data:  a \n\n", {{"", " a "}}},
    {"a tab is kept", kSse, "data:\ta\n\n", {{"", "\ta"}}},
    {"data without a colon", kSse, "data\n\n", {{"", ""}}},
    {"data with nothing", kSse, "data:\n\ndata: \n\n", {{"", ""}, {"", ""}}},
    {"colons in the data", kSse, "data: a: b:\n\ndata::\n\n", {{"", "a: b:"}, {"", ":"}}},
    {"several data lines",
     kSse,
     "data: a\ndata: b\ndata: c\n\ndata: d\n\n",
     {{"", "a\nb\nc"}, {"", "d"}}},
    {"empty data lines", kSse, "data\ndata:\ndata: a\ndata\n\n", {{"", "\n\na\n"}}},
    {"the example of the specification",
     kSse,
     "data\n\ndata\ndata\n\ndata:",
     {{"", ""}, {"", "\n"}, {"", ""}}},
    {"multibyte",
     kSse,
     "data: \xE2\x82\xAC\xF0\x9F\x98\x80\n\n",
     {{"", "\xE2\x82\xAC\xF0\x9F\x98\x80"}}},
    {"NUL and other controls",
     kSse,
     "data: \0\x01\x1f\x7f\n\n"sv,
     {{"", std::string("\0\x01\x1f\x7f", 4)}}},
    // How it ends.
    {"nothing", kSse, "", {}},
    {"no final blank line", kSse, "data: a\n\ndata: b\n", {{"", "a"}, {"", "b"}}},
    {"no final line end", kSse, "data: a\n\nevent: e\ndata: b", {{"", "a"}, {"e", "b"}}},
    {"ends in CR", kSse, "data: a\r\n\r\ndata: b\r", {{"", "a"}, {"", "b"}}},
    {"ends in a name", kSse, "data: a\n\nevent: e", {{"", "a"}}},
    // A whole exchange.
    {"chat chunks",
     kSse,
     ": PROCESSING\r\n\r\nevent: delta\r\ndata: {\"a\":1}\r\n\r\ndata: [DONE]\r\n\r\n",
     {{"delta", "{\"a\":1}"}, {"", "[DONE]"}}},
    // NDJSON.
    {"lines",
     kNdjson,
     "{\"a\":1}\n{\"b\":2}\r\n[3]\r{}",
     {{"", "{\"a\":1}"}, {"", "{\"b\":2}"}, {"", "[3]"}, {"", "{}"}}},
    {"blank lines", kNdjson, "\n \n\t\r\n{}\n\n  {} \n\r\n", {{"", "{}"}, {"", "  {} "}}},
    {"fields mean nothing", kNdjson, "data: a\n: b\n", {{"", "data: a"}, {"", ": b"}}},
    {"BOM before a line", kNdjson, "\xEF\xBB\xBF{}\n", {{"", "{}"}}},
    {"no lines", kNdjson, "", {}},
    {"unfinished line", kNdjson, "{}\n{\"a\":", {{"", "{}"}, {"", "{\"a\":"}}},
};

Chunks byte_by_byte(std::string_view stream) {
  Chunks chunks;
  for (std::size_t i = 0; i < stream.size(); ++i) chunks.push_back(stream.substr(i, 1));
  return chunks;
}

class FramingCase : public testing::TestWithParam<Case> {};

TEST_P(FramingCase, IsTheSameHoweverItIsCut) {
  const auto& [name, kind, stream, frames] = GetParam();
  EXPECT_EQ(reference_frames(kind, stream), frames) << "the reference itself";
  EXPECT_EQ(frames_of(kind, {stream}), frames);
  EXPECT_EQ(frames_of(kind, byte_by_byte(stream)), frames);
  for (std::size_t i = 0; i <= stream.size(); ++i)
    ASSERT_EQ(frames_of(kind, {stream.substr(0, i), stream.substr(i)}), frames) << "cut at " << i;
  if (stream.size() > kThreePartsMax) return;
  for (std::size_t i = 0; i <= stream.size(); ++i)
    for (std::size_t j = i; j <= stream.size(); ++j)
      ASSERT_EQ(frames_of(kind, {stream.substr(0, i), stream.substr(i, j - i), stream.substr(j)}),
                frames)
          << "cut at " << i << " and " << j;
}

INSTANTIATE_TEST_SUITE_P(All, FramingCase, testing::ValuesIn(kCases), [](const auto& info) {
  std::string name = info.param.name;
  for (char& c : name)
    if (!isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
});

TEST(Framing, AgreesWithTheReferenceOnRandomStreams) {
  // Often the start of something that matters.
  // clang-format off
  const std::string_view pieces[] = {
      "\n", "\n", "\r", "\r\n", "\n\n", ":", ": ", " ", "data", "data: ", "event", "event: ",
      "id: 1", "a", "{}", "\xEF\xBB\xBF", "\xEF", "\xE2\x82\xAC", "0123456789abcdef"};
  // clang-format on
  std::mt19937 random(20240611);
  const auto below = [&random](std::size_t bound) { return random() % bound; };
  for (int round = 0; round < 40'000; ++round) {
    const FrameKind kind = below(4) == 0 ? kNdjson : kSse;
    std::string stream;
    for (std::size_t left = below(24); left > 0; --left) stream += pieces[below(std::size(pieces))];
    Chunks chunks;
    for (std::string_view rest = stream; !rest.empty(); rest.remove_prefix(chunks.back().size()))
      chunks.push_back(rest.substr(0, below(12)));  // empty chunks too
    ASSERT_EQ(frames_of(kind, chunks), reference_frames(kind, stream))
        << "round " << round << ": " << stream;
  }
}

TEST(Framing, LendsWholeFramesWithoutCopying) {
  for (const std::string_view chunk :
       {"event: e\ndata: a\n\ndata: b\n\n", "event: e\r\ndata: a\r\n\r\ndata: b\r\n\r\n",
        "event: e\rdata: a\r\rdata: b\r\r"}) {
    Framing framing(kSse);
    for (int i = 0; i < 3; ++i) {
      framing.feed(chunk);
      while (const auto frame = framing.next()) {
        EXPECT_GE(frame->data.data(), chunk.data());
        EXPECT_LT(frame->data.data(), chunk.data() + chunk.size());
      }
    }
  }
}

TEST(Framing, KeepsNothingOfPings) {
  for (const std::string_view ping : {": a comment that no blank line follows\n", ": ping\r\n",
                                      ": ping\r", "id: 1\n", "retry: 5\n", "event\n", "\n"}) {
    Framing framing(kSse);
    for (int i = 0; i < 1000; ++i) {
      framing.feed(ping);
      EXPECT_FALSE(framing.next());
    }
    EXPECT_LT(framing.held(), 200u) << ping;
  }
}

TEST(Framing, MayBeMovedBetweenChunks) {
  const std::string_view chunk = "data: a";  // short enough to be kept inside the object
  Framing first(kSse);
  first.feed(chunk);
  EXPECT_FALSE(first.next());
  auto second = std::make_unique<Framing>(std::move(first));
  second->feed("b");
  EXPECT_FALSE(second->next());
  Framing third = std::move(*second);
  second.reset();
  EXPECT_EQ(frames_of(third, {}), (OwnedFrames{{"", "ab"}}));
}

TEST(Framing, GivesWhatWasNotDrainedBeforeTheEnd) {
  const std::string chunk = "data: a\n\ndata: b";
  Framing framing(kSse);
  framing.feed(chunk);
  framing.end();
  EXPECT_EQ(framing.next().value_or(Frame{}).data, "a");
  EXPECT_EQ(framing.next().value_or(Frame{}).data, "b");
  EXPECT_FALSE(framing.next());
}

TEST(Framing, TellsWhatIsUnfinished) {
  struct {
    std::string_view chunk;
    std::string_view unfinished;
  } const steps[] = {
      {"data: a\n\nda", "da"},      {"ta: b\n", "data: b\n"},  {"\n", ""},      {": ping\n", ""},
      {"event: e\n", "event: e\n"}, {"data: c\r\n\r\n:", ":"}, {" ping\r", ""}, {"\n", ""},
      {"data: d", "data: d"},
  };
  Framing framing(kSse);
  for (const auto& [chunk, unfinished] : steps) {
    framing.feed(chunk);
    while (framing.next()) continue;
    EXPECT_EQ(framing.unfinished(), unfinished) << "after " << chunk;
  }
  framing.end();
  EXPECT_EQ(framing.next().value_or(Frame{}).data, "d");
  EXPECT_FALSE(framing.next());
  EXPECT_EQ(framing.unfinished(), "");

  const std::string large = "data: a\n\n" + std::string(limits::frame_bytes_max + 1, 'x');
  Framing overflowing(kSse);
  overflowing.feed(large);
  while (overflowing.next()) continue;
  EXPECT_TRUE(overflowing.overflowed());
  EXPECT_EQ(overflowing.unfinished().size(), limits::frame_bytes_max + 1);
  overflowing.end();
  EXPECT_FALSE(overflowing.next());
}

// A stream whose third frame has `size` bytes before what ends it.
struct LargeFrame {
  const char* name;
  FrameKind kind;
  std::string (*frame)(std::size_t size);
  std::string_view end;
  std::size_t frames;  // in the stream, when it is not too large
};

std::string one_line(std::string_view begin, std::size_t size, std::string_view end) {
  std::string text(begin);
  text.append(size - begin.size() - end.size(), 'x');
  return text.append(end);
}

const LargeFrame kLargeFrames[] = {
    {"a data line", kSse, [](std::size_t size) { return one_line("data: ", size, "\n"); }, "\n", 4},
    {"CRLF", kSse, [](std::size_t size) { return one_line("data:", size, "\r\n"); }, "\r\n", 4},
    {"two data lines", kSse,
     [](std::size_t size) { return "event: e\n" + one_line("data: a\ndata:", size - 9, "\n"); },
     "\n", 4},
    {"a comment", kSse, [](std::size_t size) { return one_line(":", size, ""); }, "\n\n", 3},
    {"a line", kNdjson, [](std::size_t size) { return one_line("", size, ""); }, "\n", 4},
};

TEST(Framing, OverflowsAtTheSameByteHoweverItIsCut) {
  for (const auto& [name, kind, frame, end, frames_whole] : kLargeFrames) {
    for (const bool too_large : {false, true}) {
      const std::size_t size = limits::frame_bytes_max + (too_large ? 1 : 0);
      const std::string blank = kind == kSse ? "\n\n" : "\n";
      std::string stream;
      stream.append("data: 1").append(blank).append("data: 2").append(blank);
      const std::size_t cut = stream.size() + size - 4;
      stream.append(frame(size)).append(end).append("data: 4").append(blank);

      const std::string_view all = stream;
      Chunks bytes_at_the_end = byte_by_byte(all.substr(cut));
      bytes_at_the_end.insert(bytes_at_the_end.begin(), all.substr(0, cut));
      Chunks even;
      for (std::size_t i = 0; i < all.size(); i += 65536) even.push_back(all.substr(i, 65536));

      for (const Chunks& chunks : {Chunks{all}, bytes_at_the_end, even}) {
        SCOPED_TRACE(testing::Message()
                     << name << ", too large: " << too_large << ", " << chunks.size() << " chunks");
        Framing framing(kind);
        const OwnedFrames frames = frames_of(framing, chunks);
        EXPECT_EQ(framing.overflowed(), too_large);
        EXPECT_EQ(frames.size(), too_large ? 2 : frames_whole);  // nothing after it
      }
    }
  }
}

std::string repeated(std::string_view piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

TEST(Framing, CostsLinearTime) {
  struct Shape {
    const char* name;
    FrameKind kind;
    std::string_view begin, piece, end;
    std::size_t chunk_bytes;  // 0: whole
  };
  const Shape shapes[] = {
      {"a long line in tiny chunks", kSse, "data: ", "0123456789", "\n\n", 5},
      {"many data lines in tiny chunks", kSse, "", "data: a\n", "\n", 5},
      {"many data lines at once", kSse, "", "data: a\n", "\n", 0},
      {"many events at once", kSse, "", "data: a\n\n", "", 0},
      {"many events, only CR", kSse, "", "data: a\r\r", "", 0},
      {"many events, only CR, last LF", kSse, "", "data: a\r\r", "\n", 0},
      {"many events after an unfinished one", kSse, "data: a", "\r\n\r\ndata: b", "", 4096},
      {"blank lines", kSse, "", "\n\r\n\r", "", 0},
      {"pings in tiny chunks", kSse, "", ": ping\n", "", 3},
      {"many lines at once", kNdjson, "", "{\"a\":1}\n", "", 0},
      {"a long line of JSON in tiny chunks", kNdjson, "\"", "0123456789", "\"\n", 5},
  };
  for (const Shape& shape : shapes) {
    expect_linear(shape.name, 300, [&shape](std::size_t units) -> std::function<void()> {
      const std::string stream =
          std::string(shape.begin) + repeated(shape.piece, units) + std::string(shape.end);
      const std::size_t step = shape.chunk_bytes == 0 ? stream.size() : shape.chunk_bytes;
      return [stream, step, kind = shape.kind] {
        Framing framing(kind);
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < stream.size(); i += step) {
          framing.feed(std::string_view(stream).substr(i, step));
          while (const auto frame = framing.next()) bytes += frame->data.size();
        }
        framing.end();
        while (const auto frame = framing.next()) bytes += frame->data.size();
        EXPECT_LE(bytes, stream.size());
      };
    });
  }
}

}  // namespace
}  // namespace spillway
