# Finds the single-header doctest and defines doctest::doctest.
find_path(DOCTEST_INCLUDE_DIR doctest/doctest.h)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(doctest REQUIRED_VARS DOCTEST_INCLUDE_DIR)
if(doctest_FOUND AND NOT TARGET doctest::doctest)
  add_library(doctest::doctest INTERFACE IMPORTED)
  target_include_directories(doctest::doctest SYSTEM INTERFACE ${DOCTEST_INCLUDE_DIR})
endif()
mark_as_advanced(DOCTEST_INCLUDE_DIR)
