# The CUDA backend, where nvcc is found: built on request, by the targets lanes_cuda (the library, as cuda/liblanes.so) and
# lanes_cuda_tests. Included by the project's CMakeLists.txt.
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(STATUS "nvcc was not found: no CUDA backend")
  return()
endif()
# Targets are written out below.
set(CMAKE_CUDA_ARCHITECTURES OFF)
enable_language(CUDA)
find_package(CUDAToolkit QUIET REQUIRED)
if(CUDAToolkit_VERSION VERSION_LESS 13.0)
  message(STATUS "CUDA ${CUDAToolkit_VERSION} is older than 13.0: no CUDA backend")
  return()
endif()

# One of them makes a quick build for development. `ptx` is for GPUs to come.
set(LANES_CUDA_ARCHITECTURES "80;90;100;120;ptx" CACHE STRING "GPUs to compile for: 80, 90, 100, 120, ptx")
set(LANES_CUDA_TARGETS)
foreach(architecture ${LANES_CUDA_ARCHITECTURES})
  if(architecture STREQUAL "ptx")
    list(APPEND LANES_CUDA_TARGETS -gencode=arch=compute_80,code=compute_80)
  elseif(architecture MATCHES "^(100|120)$")
    # Instructions of the whole family.
    list(APPEND LANES_CUDA_TARGETS -gencode=arch=compute_${architecture}f,code=sm_${architecture})
  else()
    list(APPEND LANES_CUDA_TARGETS -gencode=arch=compute_${architecture},code=sm_${architecture})
  endif()
endforeach()

set(CMAKE_CUDA_STANDARD 20)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  # CMake 3.25 does not know what nvcc has for it.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_FLAGS_RELWITHDEBINFO "-O3")
set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
option(LANES_CUDA_STRICT "Warnings of nvcc, spilled registers and serialised wgmma fail the build; OFF: they are said" ON)
set(CMAKE_CUDA_COMPILER_LAUNCHER bash ${PROJECT_SOURCE_DIR}/ci/nvcc.sh)
if(NOT LANES_CUDA_STRICT)
  list(APPEND CMAKE_CUDA_COMPILER_LAUNCHER --report)
endif()
set(LANES_NVCC_OPTIONS --fmad=false --compress-mode=size -Xptxas -v
  -Xcompiler=-Wall,-Wextra,-Wno-unused-function,-Wno-unused-parameter,-ffp-contract=off,-fno-math-errno)
if(LANES_CUDA_STRICT)
  list(APPEND LANES_NVCC_OPTIONS -Werror all-warnings)
endif()

# What kernels share with host code is C++; a file's name says what it is compiled for.
file(GLOB LANES_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/native/src/cuda/*/*.cc ${PROJECT_SOURCE_DIR}/native/src/cuda/*/*.cu)
file(GLOB LANES_CUDA_SM90_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/native/src/cuda/*/*_sm90.cu)
list(REMOVE_ITEM LANES_CUDA_SOURCES ${LANES_CUDA_SM90_SOURCES})

function(lanes_add_cuda_objects name)
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${ARGN})
  target_include_directories(${name} PRIVATE native/include native/src ${CUDAToolkit_INCLUDE_DIRS})
  target_compile_definitions(${name} PRIVATE ${LANES_DEFINITIONS})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${LANES_OPTIONS}> $<$<COMPILE_LANGUAGE:CUDA>:${LANES_NVCC_OPTIONS}>)
endfunction()

lanes_add_cuda_objects(lanes_cuda_objects ${LANES_CUDA_SOURCES})
target_compile_options(lanes_cuda_objects PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${LANES_CUDA_TARGETS}>)
lanes_add_cuda_objects(lanes_cuda_sm90_objects ${LANES_CUDA_SM90_SOURCES})
target_compile_options(lanes_cuda_sm90_objects PRIVATE -gencode=arch=compute_90a,code=sm_90a)

# The same file name as the library without: it takes its place.
add_library(lanes_cuda SHARED EXCLUDE_FROM_ALL $<TARGET_OBJECTS:lanes_objects> $<TARGET_OBJECTS:lanes_cuda_objects>
            $<TARGET_OBJECTS:lanes_cuda_sm90_objects>)
lanes_link_options(lanes_cuda)
target_link_libraries(lanes_cuda PRIVATE Threads::Threads CUDA::cudart_static)
set_target_properties(lanes_cuda PROPERTIES OUTPUT_NAME lanes LINKER_LANGUAGE CXX
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/cuda RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/cuda)

# For tuning on a GPU of capability 9.0.
add_executable(cuda_gemm_bench EXCLUDE_FROM_ALL native/bench/cuda/gemm_bench.cc $<TARGET_OBJECTS:lanes_objects>
               $<TARGET_OBJECTS:lanes_cuda_objects> $<TARGET_OBJECTS:lanes_cuda_sm90_objects>)
target_include_directories(cuda_gemm_bench PRIVATE native/include native/src ${CUDAToolkit_INCLUDE_DIRS})
target_compile_options(cuda_gemm_bench PRIVATE ${LANES_OPTIONS})
target_link_libraries(cuda_gemm_bench PRIVATE Threads::Threads CUDA::cudart_static)
set_target_properties(cuda_gemm_bench PROPERTIES LINKER_LANGUAGE CXX RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/cuda)
