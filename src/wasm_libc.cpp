// What the C and C++ libraries would ask of a host, defined here so that they do not.
//
// * Both wasm C libraries reach stderr (abort messages, assertion text) through three WASI calls,
//   and exit through a fourth. The host lends no files and has nowhere to exit to, and an import
//   that some runtime lacks makes the module unloadable, so they are defined here, to fail.
//   Contract: the module's imports are `host.*` only.
// * A broken invariant, or memory that is used up, traps: the shim then drops the instance. The
//   library's own handlers would print a message first, and the printf they need is 4.5 KB of the
//   packed module that nobody could read.

#include <cstddef>
#include <cstdint>

#if __has_include(<__verbose_abort>)  // libc++ 15 and later
#include <__verbose_abort>
_LIBCPP_BEGIN_NAMESPACE_STD
void __libcpp_verbose_abort(const char* /*format*/, ...) { __builtin_trap(); }
_LIBCPP_END_NAMESPACE_STD
#endif

namespace {
constexpr std::uint16_t kBadFileDescriptor = 8;  // WASI errno `badf`
}

extern "C" {

std::uint16_t __wasi_fd_close(std::int32_t /*fd*/) { return kBadFileDescriptor; }

std::uint16_t __wasi_fd_seek(std::int32_t /*fd*/, std::int64_t /*offset*/, std::uint8_t /*whence*/,
                             std::uint64_t* /*new_offset*/) {
  return kBadFileDescriptor;
}

std::uint16_t __wasi_fd_write(std::int32_t /*fd*/, const void* /*buffers*/,
                              std::size_t /*buffers_count*/, std::size_t* /*written*/) {
  return kBadFileDescriptor;
}

[[noreturn]] void __wasi_proc_exit(std::uint32_t /*code*/) { __builtin_trap(); }

#ifdef __wasm_bulk_memory__
// One instruction each, where wasi-libc has a kilobyte of loops to load and to compile.
void* memcpy(void* to, const void* from, std::size_t size) {
  return __builtin_memcpy(to, from, size);
}
void* memmove(void* to, const void* from, std::size_t size) {
  return __builtin_memmove(to, from, size);
}
void* memset(void* to, int byte, std::size_t size) { return __builtin_memset(to, byte, size); }
#endif

// A few instructions each, where wasi-libc has a word at a time: what is long is searched in
// scan.h.
void* memchr(const void* in, int byte, std::size_t size) {
  const auto* at = static_cast<const unsigned char*>(in);
  for (; size != 0; ++at, --size)
    if (*at == static_cast<unsigned char>(byte)) return const_cast<unsigned char*>(at);
  return nullptr;
}
// What it must not be taken for is a call of itself.
__attribute__((no_builtin("strlen"))) std::size_t strlen(const char* text) {
  std::size_t size = 0;
  while (text[size] != '\0') ++size;
  return size;
}

[[noreturn]] void __cxa_pure_virtual() { __builtin_trap(); }

}  // extern "C"
