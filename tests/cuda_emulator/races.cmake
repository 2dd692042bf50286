# Kernels in which races are looked for (races.h), by GCC's calls for every access to memory. Loops stay loops of single
# accesses, and nothing is read that the source does not read.
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12 OR MUSTER_SANITIZE)
  return()
endif()
target_sources(cuda_emulator PRIVATE watched_accesses.cpp)
function(muster_watched name)
  muster_emulated(${name} ${ARGN})
  target_compile_options(${name} PRIVATE -O2 -fsanitize=thread --param=tsan-instrument-func-entry-exit=0
    -fno-tree-vectorize -fno-tree-loop-distribute-patterns -fno-tree-loop-if-convert)
endfunction()
muster_watched(cuda_watched_kernels ${kernels} ${attention} ${MUSTER_CUDA_TILES})
muster_emulated_backend(muster_cuda_watched $<TARGET_OBJECTS:cuda_watched_kernels>)
target_sources(muster_cuda_watched PRIVATE limited_arena.cpp)
target_link_options(muster_cuda_watched PUBLIC LINKER:--wrap=_ZN6muster4cuda5Arena8allocateEm)

# The rules themselves.
muster_watched(cuda_faulty_kernels faulty_kernels.cpp)
add_executable(cuda_race_rules_tests races_test.cpp $<TARGET_OBJECTS:cuda_faulty_kernels>
  ${CMAKE_SOURCE_DIR}/tests/unit/main.cpp)
target_link_libraries(cuda_race_rules_tests PRIVATE cuda_emulator doctest::doctest)
add_test(NAME unit.cuda_races.rules COMMAND cuda_race_rules_tests)
set_tests_properties(unit.cuda_races.rules PROPERTIES TIMEOUT 120 LABELS unit)

# The tests of the backend and of its kernels: the objects of programs that run without looking for races.
set(backend rows matmul score top_logits draw_logits attention fused experts cuda_backend cuda_experts)
list(JOIN backend "|" names)
add_executable(cuda_races_tests
  "$<FILTER:$<TARGET_OBJECTS:backend_tests>,INCLUDE,/(${names})_test[.]|/named_backends[.]|/main[.]>"
  "$<FILTER:$<TARGET_OBJECTS:cuda_attention_tests>,INCLUDE,/(attention_test|attention_scene|thread_order)[.]>"
  "$<FILTER:$<TARGET_OBJECTS:cuda_ceilings_tests>,INCLUDE,/ceilings_test[.]>"
  "$<FILTER:$<TARGET_OBJECTS:cuda_products_tests>,INCLUDE,/(product_trial|tile_product)_test[.]>")
set_target_properties(cuda_races_tests PROPERTIES LINKER_LANGUAGE CXX)
target_link_libraries(cuda_races_tests PRIVATE muster_cuda_watched doctest::doctest)

# Each writes down which kernels it has launched; in the end, there is none that nobody has. Cases that take long, or
# much memory, and run what the others run in more ways are left out.
set(launches ${CMAKE_CURRENT_BINARY_DIR}/launches)
file(MAKE_DIRECTORY ${launches})
function(muster_races_test name)
  add_test(NAME unit.cuda_races.${name} COMMAND cuda_races_tests ${ARGN}
    "--test-case-exclude=attention gives the same bits*,a row has the same bits alone and among others that go to*,matmul_add_norm of more rows*")
  set_tests_properties(unit.cuda_races.${name} PROPERTIES TIMEOUT 900 LABELS unit FIXTURES_SETUP cuda_launches
    ENVIRONMENT EMULATED_LAUNCHES=${launches}/${name})
endfunction()
muster_races_test(attention --source-file=*cuda_emulator/attention_test*)
muster_races_test(products --source-file=*cuda_emulator/tile_product*,*cuda_emulator/product_trial*,*cuda_emulator/ceilings*)
muster_races_test(backend --source-file=*unit/backend/*)
add_test(NAME unit.cuda_races.all_kernels COMMAND ${CMAKE_COMMAND} -DSOURCES=${cuda} -DLAUNCHES=${launches}
  -P ${CMAKE_CURRENT_SOURCE_DIR}/check_launches.cmake)
set_tests_properties(unit.cuda_races.all_kernels PROPERTIES LABELS unit FIXTURES_REQUIRED cuda_launches)
