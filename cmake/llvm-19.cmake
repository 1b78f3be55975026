# LLVM 19, every tool by its version and its place: what else is on PATH (another `llvm-ar`, a
# wrapper called `c++`) has no part in a build. Debian's packages are listed in
# scripts/lib/packages.mjs.
set(CMAKE_CXX_COMPILER /usr/bin/clang++-19)
foreach(tool AR RANLIB NM STRIP OBJCOPY OBJDUMP READELF ADDR2LINE DLLTOOL)
  string(TOLOWER ${tool} name)
  set(CMAKE_${tool} /usr/bin/llvm-${name}-19 CACHE FILEPATH "")
endforeach()
# What link-time optimization uses in the place of the two above.
set(CMAKE_CXX_COMPILER_AR /usr/bin/llvm-ar-19 CACHE FILEPATH "")
set(CMAKE_CXX_COMPILER_RANLIB /usr/bin/llvm-ranlib-19 CACHE FILEPATH "")
