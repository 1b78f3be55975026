// malloc() and operator new of the module: heap.h on the module's own memory. Memory that is used
// up traps where C++ asks for it: the shim then drops the instance.

#include <cstddef>
#include <cstdint>
#include <new>

#include "heap.h"

extern "C" unsigned char __heap_base;  // the linker's: behind data and stack

namespace {

constexpr std::size_t kPageBytes = std::size_t{64} * 1024;
static_assert(spillway::Heap::kGrain % kPageBytes == 0);

// In pages that are behind all others, so that what was there before and what is new touch.
void* grow(std::size_t size) {
  const std::size_t page = __builtin_wasm_memory_grow(0, size / kPageBytes);
  if (page == SIZE_MAX) return nullptr;
  // The instruction gives a number. NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<void*>(page * kPageBytes);
}

constinit spillway::Heap heap(grow);
constinit bool has_first_memory = false;

}  // namespace

extern "C" {

// Once in the module: inlined they would stand at every place that allocates.
//
// Defined here, so the library's own are not linked; if anything needed more of them (realloc …),
// it would not link at all.
[[gnu::noinline]] void* malloc(std::size_t size) {
  if (!has_first_memory) {
    has_first_memory = true;
    constexpr std::uintptr_t unaligned = spillway::Heap::kAlignment - 1;
    const std::uintptr_t base = reinterpret_cast<std::uintptr_t>(&__heap_base);
    const std::uintptr_t begin = (base + unaligned) & ~unaligned;
    heap.add(&__heap_base + (begin - base), __builtin_wasm_memory_size(0) * kPageBytes - begin);
  }
  return heap.take(size);
}
[[gnu::noinline]] void free(void* block) { heap.give(block); }

}  // extern "C"

[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const block = malloc(size);
  if (block == nullptr) __builtin_trap();
  return block;
}

[[gnu::noinline]] void operator delete(void* block) noexcept { free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t /*size*/) noexcept { free(block); }

void* operator new[](std::size_t size) { return operator new(size); }
void operator delete[](void* block) noexcept { free(block); }
void operator delete[](void* block, std::size_t /*size*/) noexcept { free(block); }
