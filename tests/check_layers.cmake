# Holds every #include in src/ and include/ against the table of rooms:
#
#     cmake -DROOT=<repository> -P tests/check_layers.cmake
#
# A room may include the doors (include/muster/<room>/) of the rooms in its row and its own sources; a
# third-party header may be included in its home alone, and by no door. Prints file:line of each
# breach and fails if there is one.
cmake_minimum_required(VERSION 3.25)

# The rooms that each room may include, besides itself. `program` is src/main.cpp and src/cli/.
set(may_base "")
set(may_mpi base)
set(may_config base)
set(may_tensor base config)
set(may_results base)
set(may_image base tensor)
set(may_text base config)
set(may_backend base mpi tensor)
set(may_model base config tensor image backend)
set(may_task base config text image)
set(may_metric base task)
set(may_engine base mpi tensor image text backend model)
set(may_eval base mpi config tensor results image text backend model task metric engine)
set(may_program ${may_eval} eval)
set(rooms ${may_program})

# Third-party headers: "<pattern of the header> <pattern of the folder below src/ that is its home>".
set(homes
  "^mpi\\.h$ ^mpi/"
  "^nlohmann/ ^config/"
  "^yaml-cpp/ ^config/"
  "^hdf5(_hl)?\\.h$ ^results/"
  "^pcre2\\.h$ ^text/"
  "^utf8proc\\.h$ ^text/"
  "^openssl/ ^base/"
  "^boost/ ^(cli/|main\\.cpp$)"
  "^omp\\.h$ ^backend/cpu/"
  "^(immintrin|arm_neon|arm_sve)\\.h$ ^backend/cpu/"
  "^nmmintrin\\.h$ ^base/"
  "^(jpeglib|turbojpeg|png)\\.h$ ^image/"
  "^webp/ ^image/"
  "^(cuda[^/]*$|cublas|cub/|nccl|nvtx3/|mma|cooperative_groups|emulated_ptx) ^backend/cuda/")
# Headers of the C++ library, and of POSIX and Linux: free to all.
set(standard "^([a-z_]+|(sys|linux|net|netinet|arpa)/[a-z_]+\\.h)$")
set(posix "^(dirent|dlfcn|fcntl|fnmatch|glob|link|poll|pthread|pwd|sched|signal|termios|unistd)\\.h$")

# Sets `out` to what is wrong with `file` (relative to the root) including `header`, written in
# <angles> or "quotes" as `style` says; "" if nothing is.
function(judge_include file style header out)
  set(${out} "" PARENT_SCOPE)
  set(is_door FALSE)
  if(file MATCHES "^include/muster/([a-z]+)/")
    set(room ${CMAKE_MATCH_1})
    set(is_door TRUE)
  elseif(file MATCHES "^src/(main\\.cpp$|cli/)")
    set(room program)
  elseif(file MATCHES "^src/([a-z]+)/")
    set(room ${CMAKE_MATCH_1})
  else()
    set(${out} "this file lies in no room" PARENT_SCOPE)
    return()
  endif()
  if(NOT DEFINED may_${room})
    set(${out} "room ${room} is not in the table" PARENT_SCOPE)
    return()
  endif()

  if(header MATCHES "^muster/")
    if(NOT header MATCHES "^muster/([a-z]+)/[a-z0-9_]+\\.h$" OR NOT CMAKE_MATCH_1 IN_LIST rooms)
      set(${out} "\"${header}\" is not a door of any room" PARENT_SCOPE)
    elseif(NOT CMAKE_MATCH_1 STREQUAL room AND NOT CMAKE_MATCH_1 IN_LIST may_${room})
      list(JOIN may_${room} ", " allowed)
      set(${out} "room ${room} may not include room ${CMAKE_MATCH_1} (only: ${allowed})" PARENT_SCOPE)
    endif()
    return()
  endif()

  foreach(entry IN LISTS homes)
    string(REPLACE " " ";" entry "${entry}")
    list(GET entry 0 pattern)
    list(GET entry 1 home)
    if(header MATCHES "${pattern}")
      string(REGEX REPLACE "^src/" "" inside "${file}")
      if(is_door)
        set(${out} "a door includes no third-party header: <${header}>" PARENT_SCOPE)
      elseif(NOT inside MATCHES "${home}")
        set(${out} "<${header}> belongs to src/ files that match ${home}" PARENT_SCOPE)
      endif()
      return()
    endif()
  endforeach()

  if(style STREQUAL "angles")
    if(NOT header MATCHES "${standard}" AND NOT header MATCHES "${posix}")
      set(${out} "<${header}> is neither standard nor a third-party header with a home" PARENT_SCOPE)
    endif()
  elseif(is_door)
    set(${out} "a door includes only doors: \"${header}\"" PARENT_SCOPE)
  else()
    # The room's own headers, beside the file or below src/<room>/ (src/ for the program). One that
    # is in neither place is generated, and then has no path.
    get_filename_component(folder ${file} DIRECTORY)
    set(base src/${room})
    if(room STREQUAL "program")
      set(base src)
    endif()
    foreach(candidate ${folder}/${header} ${base}/${header})
      cmake_path(NORMAL_PATH candidate)
      if(EXISTS ${ROOT}/${candidate})
        if(NOT candidate MATCHES "^src/${room}/" AND NOT room STREQUAL "program")
          set(${out} "\"${header}\" reaches into ${candidate}, outside its room" PARENT_SCOPE)
        elseif(room STREQUAL "program" AND NOT candidate MATCHES "^src/cli/")
          set(${out} "\"${header}\" is not the program's own" PARENT_SCOPE)
        endif()
        return()
      endif()
    endforeach()
    if(header MATCHES "/")
      set(${out} "\"${header}\" is no header of this room" PARENT_SCOPE)
    endif()
  endif()
endfunction()

# The judge is tried before it is believed: each of these must be refused, and each of those not.
function(expect file style header wanted)
  judge_include(${file} ${style} ${header} problem)
  if((wanted STREQUAL "refused" AND problem STREQUAL "") OR
     (wanted STREQUAL "allowed" AND NOT problem STREQUAL ""))
    message(FATAL_ERROR "check_layers is broken: ${file} including ${header} must be ${wanted}; ${problem}")
  endif()
endfunction()
expect(src/base/a.cpp quotes muster/config/value.h refused)
expect(src/metric/a.cpp quotes muster/model/model.h refused)
expect(include/muster/task/a.h quotes muster/engine/engine.h refused)
expect(src/eval/a.cpp angles mpi.h refused)
expect(src/eval/a.cpp quotes mpi.h refused)
expect(include/muster/mpi/a.h angles mpi.h refused)
expect(src/backend/a.cpp angles omp.h refused)
expect(src/backend/cpu/a.cpp angles cuda_runtime.h refused)
expect(src/backend/a.cpp angles cuda/std/span refused)
expect(src/backend/a.cpp quotes cuda/module.h allowed)
expect(src/task/a.cpp angles boost/algorithm/string.hpp refused)
expect(src/task/a.cpp angles curl/curl.h refused)
expect(src/engine/a.cpp quotes ../model/weights.h refused)
expect(src/engine/a.cpp quotes muster/nowhere/a.h refused)
expect(src/nowhere/a.cpp angles string refused)
expect(include/muster/text/a.h quotes unicode.h refused)
expect(src/base/a.cpp quotes git_commit.h allowed)
expect(src/mpi/a.cpp angles mpi.h allowed)
expect(src/main.cpp angles boost/program_options.hpp allowed)
expect(src/cli/run.cpp quotes muster/eval/evaluator.h allowed)
expect(src/eval/a.cpp quotes muster/metric/metric.h allowed)
expect(src/base/a.cpp angles sys/mman.h allowed)

# The line of the first #include of `header` in `file`.
function(find_line file header out)
  file(READ ${ROOT}/${file} text)
  string(FIND "${text}" "${header}" at)
  string(SUBSTRING "${text}" 0 ${at} text)
  string(REGEX REPLACE "[^\n]" "" text "${text}")
  string(LENGTH "${text}" line)
  math(EXPR line "${line} + 1")
  set(${out} ${line} PARENT_SCOPE)
endfunction()

if(NOT IS_DIRECTORY "${ROOT}/src" OR NOT IS_DIRECTORY "${ROOT}/include/muster")
  message(FATAL_ERROR "ROOT=${ROOT}: expected the repository, with src/ and include/muster/")
endif()
set(breaches 0)
set(includes 0)
file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/src/*.h ${ROOT}/src/*.cpp ${ROOT}/src/*.cu
     ${ROOT}/src/*.cuh ${ROOT}/include/*.h)
foreach(file IN LISTS files)
  file(STRINGS ${ROOT}/${file} lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    math(EXPR includes "${includes} + 1")
    if(line MATCHES "include[ \t]*<([^>]+)>")
      set(header "<${CMAKE_MATCH_1}>")
      judge_include(${file} angles ${CMAKE_MATCH_1} problem)
    elseif(line MATCHES "include[ \t]*\"([^\"]+)\"")
      set(header "\"${CMAKE_MATCH_1}\"")
      judge_include(${file} quotes ${CMAKE_MATCH_1} problem)
    else()
      set(problem "an #include that names its header by a macro cannot be checked")
      set(header "${line}")
    endif()
    if(NOT problem STREQUAL "")
      find_line(${file} "${header}" number)
      message("${file}:${number}: ${problem}")
      math(EXPR breaches "${breaches} + 1")
    endif()
  endforeach()
endforeach()
if(includes EQUAL 0)
  message(FATAL_ERROR "${ROOT}: no #include found; this cannot be the repository")
endif()
if(breaches GREATER 0)
  message(FATAL_ERROR "layers: ${breaches} of ${includes} includes break the table of rooms")
endif()
message(STATUS "layers: ${includes} includes, all as the table of rooms allows")
