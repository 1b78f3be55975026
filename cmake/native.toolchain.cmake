# clang-19 and lld-19 for this machine.
include(${CMAKE_CURRENT_LIST_DIR}/llvm-19.cmake)
set(CMAKE_LINKER /usr/bin/ld.lld-19 CACHE FILEPATH "")
set(CMAKE_EXE_LINKER_FLAGS "--ld-path=/usr/bin/ld.lld-19" CACHE STRING "")
