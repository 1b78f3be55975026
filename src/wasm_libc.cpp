// Keeps the C library's file calls out of the module's import list.
//
// Both wasm C libraries reach stderr (abort messages, assertion text) through three WASI calls. The
// host lends no files, and an import that some runtime lacks makes the module unloadable, so they
// are defined here to fail. Contract: the module's imports are `host.*` only.

#include <cstddef>
#include <cstdint>

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

}  // extern "C"
