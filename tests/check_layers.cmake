message(STATUS "layers: to be written")
