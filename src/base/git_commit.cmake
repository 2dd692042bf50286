# Writes OUTPUT, a header that defines MUSTER_GIT_COMMIT for the checkout in ROOT; run at every
# build and touching the file only when the answer changes, so that nothing is compiled in vain.
set(commit "")
find_program(GIT git)
if(GIT AND EXISTS ${ROOT}/.git)
  execute_process(COMMAND ${GIT} rev-parse HEAD WORKING_DIRECTORY ${ROOT}
                  OUTPUT_VARIABLE commit RESULT_VARIABLE failed ERROR_QUIET
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed)
    set(commit "")
  else()
    execute_process(COMMAND ${GIT} --no-optional-locks status --porcelain --untracked-files=no
                    WORKING_DIRECTORY ${ROOT} OUTPUT_VARIABLE changes ERROR_QUIET)
    if(NOT changes STREQUAL "")
      string(APPEND commit "-dirty")
    endif()
  endif()
endif()
set(content "#pragma once\n#define MUSTER_GIT_COMMIT \"${commit}\"\n")
set(current "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} current)
endif()
if(NOT current STREQUAL content)
  file(WRITE ${OUTPUT} "${content}")
endif()
