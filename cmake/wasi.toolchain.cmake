# clang-19 for wasm32-wasi with Debian's wasi-libc and libc++ (the parts wasi-sdk is made of).
# Binaryen has no version in its name; /usr/bin's is Debian's.
include(${CMAKE_CURRENT_LIST_DIR}/llvm-19.cmake)
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_SYSROOT /usr)
set(CMAKE_LINKER /usr/bin/wasm-ld-19 CACHE FILEPATH "")
set(CMAKE_EXE_LINKER_FLAGS "-fuse-ld=/usr/bin/wasm-ld-19" CACHE STRING "")
set(WASM_OPT_EXECUTABLE /usr/bin/wasm-opt CACHE FILEPATH "")
# A test executable would need an entry point and wasm-ld before our flags are known.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
