# clang-19 for wasm32-wasi with Debian's wasi-libc and libc++ (the parts wasi-sdk is made of).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_SYSROOT /usr)
# A test executable would need an entry point and wasm-ld before our flags are known.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
