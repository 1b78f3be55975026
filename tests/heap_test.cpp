#include "heap.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

namespace spillway {
namespace {

constexpr std::size_t MiB = std::size_t{1024} * 1024;

// A memory that grows like a module's: in one piece, to a bound.
struct Memory {
  static constexpr std::size_t kBytesMax = 64 * MiB;
  std::vector<std::uint64_t> bytes = std::vector<std::uint64_t>(kBytesMax / 8);
  std::size_t used = 0;
  std::size_t bound = kBytesMax;
};
Memory* memory = nullptr;

void* grow(std::size_t size) {
  if (size > memory->bound - memory->used) return nullptr;
  void* const begin = reinterpret_cast<std::byte*>(memory->bytes.data()) + memory->used;
  memory->used += size;
  return begin;
}

class HeapTest : public ::testing::Test {
 protected:
  void SetUp() override { memory = &memory_; }
  Memory memory_;
  Heap heap_{grow};
};

struct Block {
  unsigned char* bytes;
  std::size_t size;
  unsigned char mark;
};

void fill(const Block& block) { std::memset(block.bytes, block.mark, block.size); }
bool is_whole(const Block& block) {
  for (std::size_t at = 0; at < block.size; ++at)
    if (block.bytes[at] != block.mark) return false;
  return true;
}

TEST_F(HeapTest, BlocksOfAllSizesKeepWhatIsInThem) {
  std::vector<Block> blocks;
  const auto take = [&](std::size_t size) {
    auto* const bytes = static_cast<unsigned char*>(heap_.take(size));
    ASSERT_NE(bytes, nullptr) << size;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes) % Heap::kAlignment, 0U) << size;
    blocks.push_back({bytes, size, static_cast<unsigned char>(blocks.size())});
    fill(blocks.back());
  };
  for (std::size_t size = 0; size < 3000; ++size) take(size);
  for (std::size_t size = 3000; size < 200'000; size = size * 17 / 16) take(size);
  for (const Block& block : blocks) EXPECT_TRUE(is_whole(block)) << block.size;
}

TEST_F(HeapTest, ManyBlocksComeAndGo) {
  constexpr std::uint32_t seed = 1;
  std::mt19937 random(seed);
  std::vector<Block> blocks;
  for (int step = 0; step < 200'000; ++step) {
    if (blocks.size() < 50 || (blocks.size() < 500 && random() % 2 == 0)) {
      // Most are small, a few are bodies.
      const std::size_t size = random() % 64 == 0 ? random() % 200'000 : random() % 700;
      auto* const bytes = static_cast<unsigned char*>(heap_.take(size));
      ASSERT_NE(bytes, nullptr) << step;
      blocks.push_back({bytes, size, static_cast<unsigned char>(random())});
      fill(blocks.back());
    } else {
      const std::size_t which = random() % blocks.size();
      ASSERT_TRUE(is_whole(blocks[which])) << step;
      heap_.give(blocks[which].bytes);
      blocks[which] = blocks.back();
      blocks.pop_back();
    }
  }
  for (const Block& block : blocks) EXPECT_TRUE(is_whole(block));
}

TEST_F(HeapTest, WhatIsGivenBackIsUsedAgain) {
  std::vector<void*> blocks;
  std::size_t used = 0;
  for (int round = 0; round < 100; ++round) {
    for (const std::size_t size : {24, 100, 300, 2000, 20'000, 70'000, 1'000'000})
      for (int each = 0; each < 5; ++each) blocks.push_back(heap_.take(size));
    for (void* block : blocks) heap_.give(block);
    blocks.clear();
    if (round == 0) used = memory_.used;
  }
  EXPECT_EQ(memory_.used, used);
}

// A text that doubles again and again, next to another: the gaps it leaves become one.
TEST_F(HeapTest, GapsThatTouchBecomeOne) {
  std::size_t most = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<void*> texts(2, nullptr);
    for (std::size_t size = 64; size <= 4 * MiB; size *= 2)
      for (void*& text : texts) {
        void* const longer = heap_.take(size);
        ASSERT_NE(longer, nullptr);
        heap_.give(text);
        text = longer;
      }
    for (void* text : texts) heap_.give(text);
    if (round == 0) most = memory_.used;
  }
  EXPECT_EQ(memory_.used, most);
  EXPECT_NE(heap_.take(most - MiB), nullptr) << "all of it is one gap but the runs";
  EXPECT_EQ(memory_.used, most);
}

TEST_F(HeapTest, WhatIsLeftOfARunServesSmallerBlocks) {
  // Two of these fit into a run, and leave 12 KiB.
  std::vector<void*> blocks;
  for (int each = 0; each < 3; ++each) blocks.push_back(heap_.take(26'000));
  EXPECT_EQ(memory_.used, 2 * Heap::kGrain);
  std::size_t small = 0;
  while (memory_.used == 2 * Heap::kGrain) {
    blocks.push_back(heap_.take(1000));
    ++small;
  }
  // 12 KiB of the first run, 38 KiB of the second.
  EXPECT_GT(small, 36U);
}

TEST_F(HeapTest, MemoryThatIsUsedUpIsSaidAndNothingIsLost) {
  memory_.bound = MiB;
  std::vector<void*> blocks;
  while (void* const block = heap_.take(10'000)) blocks.push_back(block);
  EXPECT_GT(blocks.size(), 70U);
  EXPECT_EQ(heap_.take(100'000), nullptr);
  EXPECT_EQ(heap_.take(SIZE_MAX), nullptr);
  EXPECT_EQ(heap_.take(SIZE_MAX - 4), nullptr);
  heap_.give(blocks.back());
  EXPECT_EQ(heap_.take(10'000), blocks.back());
}

TEST_F(HeapTest, MemoryThatIsThereIsTakenFirst) {
  std::vector<std::uint64_t> there(MiB / 8);
  heap_.add(there.data(), MiB);
  const auto is_in = [&there](const void* block) {
    const void* const begin = there.data();
    const void* const end = there.data() + there.size();
    return begin <= block && block < end;
  };
  EXPECT_TRUE(is_in(heap_.take(10)));
  EXPECT_TRUE(is_in(heap_.take(500'000)));
  EXPECT_EQ(memory_.used, 0U);
  EXPECT_FALSE(is_in(heap_.take(600'000)));
}

TEST_F(HeapTest, NothingIsGivenBackForNothing) {
  heap_.give(nullptr);
  EXPECT_EQ(memory_.used, 0U);
}

}  // namespace
}  // namespace spillway
