# spillway_wasm → build/<preset>/spillway.wasm: no entry point, no generated glue, the exports are
# the functions marked export_name in src/wasm.cpp, the imports are `host.*`.
# (wasm-opt runs twice: the second run packs better for gzip.)
file(GLOB wasm_sources CONFIGURE_DEPENDS src/wasm*.cpp)
if(NOT wasm_sources)
  message(STATUS "No src/wasm*.cpp yet: spillway_wasm is not built")
  return()
endif()

add_executable(spillway_wasm ${wasm_sources})
target_link_libraries(spillway_wasm PRIVATE spillway_core)
target_compile_options(spillway_wasm PRIVATE -fno-exceptions -fno-rtti)

if(SPILLWAY_TARGET STREQUAL "emscripten")
  set_target_properties(spillway_wasm PROPERTIES OUTPUT_NAME spillway SUFFIX .wasm)
  target_link_options(spillway_wasm PRIVATE
    -sSTANDALONE_WASM --no-entry -sALLOW_MEMORY_GROWTH
    # 1 MiB to begin with (Emscripten's own default is 16), and the stack of the shipped build.
    -sINITIAL_MEMORY=1048576 -sTOTAL_STACK=65536
    # The imports are the host's to give; Emscripten 3.1 looks for them in its JavaScript library.
    -sERROR_ON_UNDEFINED_SYMBOLS=0 -sWARN_ON_UNDEFINED_SYMBOLS=0)
else()
  set_target_properties(spillway_wasm PROPERTIES OUTPUT_NAME spillway.linked SUFFIX .wasm)
  target_link_options(spillway_wasm PRIVATE
    -mexec-model=reactor
    # For the driver, which else runs wasm-opt by itself; what is linked has been optimized.
    -O0 -Wl,--lto-O2,-O2
    -Wl,--no-entry,--gc-sections
    # 64 KiB of stack at the bottom of memory: an overflow traps instead of writing over data.
    -Wl,-z,stack-size=65536 -Wl,--stack-first
    # What an instance with its configuration and a few chats takes: growing is slower than a start
    # can wait for, and pages that nothing touches take no memory.
    -Wl,--initial-memory=524288)
  # Features: what clang was told to use (see the preset), all present in Node 20. What is kept out
  # of line (src/rare.h) stays there.
  set(wasm_opt_flags --enable-bulk-memory --enable-sign-ext --enable-mutable-globals
    --enable-nontrapping-float-to-int --enable-simd --one-caller-inline-max-function-size=30
    --always-inline-max-function-size=8)
  add_custom_command(OUTPUT spillway.wasm
    COMMAND ${WASM_OPT_EXECUTABLE} -Oz ${wasm_opt_flags} $<TARGET_FILE:spillway_wasm>
            -o ${CMAKE_BINARY_DIR}/spillway.small.wasm
    COMMAND ${WASM_OPT_EXECUTABLE} -O3 ${wasm_opt_flags}
            --strip-debug --strip-producers --strip-target-features
            ${CMAKE_BINARY_DIR}/spillway.small.wasm -o ${CMAKE_BINARY_DIR}/spillway.wasm
    DEPENDS spillway_wasm
    COMMENT "Optimizing spillway.wasm"
    VERBATIM)
  add_custom_target(spillway_wasm_optimized ALL DEPENDS ${CMAKE_BINARY_DIR}/spillway.wasm)

  # spillway_wasm_trap → spillway.trap.wasm, for tests of what happens around a module that traps:
  # the same core behind imports and exports that trap on purpose. Never in dist/.
  add_executable(spillway_wasm_trap EXCLUDE_FROM_ALL ${wasm_sources})
  target_compile_definitions(spillway_wasm_trap PRIVATE SPILLWAY_TEST_TRAP)
  target_link_libraries(spillway_wasm_trap PRIVATE spillway_core)
  target_compile_options(spillway_wasm_trap PRIVATE -fno-exceptions -fno-rtti)
  set_target_properties(spillway_wasm_trap PROPERTIES OUTPUT_NAME spillway.trap SUFFIX .wasm)
  get_target_property(wasm_link_options spillway_wasm LINK_OPTIONS)
  target_link_options(spillway_wasm_trap PRIVATE ${wasm_link_options})
endif()
