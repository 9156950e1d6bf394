# The CUDA backend: included by the Makefile, whose variables it uses.
#
#   CUDA=1   build it (the default where nvcc is found); the toolkit is needed, a GPU is not
#   CUDA=0   leave it out
#   CUDA_HOME              the toolkit's folder
#   CUDNN_INCLUDE          folder of cudnn.h and cudnn_backend.h, where that is not the toolkit's
#   CUDA_ARCHITECTURES     compute capabilities that machine code is made for; PTX of the last one serves later GPUs
CUDA_HOME  ?= $(patsubst %/bin/nvcc,%,$(realpath $(NVCC_FOUND)))
NVCC       ?= $(CUDA_HOME)/bin/nvcc
CUDA_ARCHITECTURES ?= 80 90 100
CUDNN_INCLUDE      ?= $(CUDA_HOME)/include
CUDA_LIBRARY_DIR   ?= $(firstword $(wildcard $(CUDA_HOME)/lib64 $(CUDA_HOME)/lib))

SRC_KERNELS := $(sort $(wildcard kernels/*.cu))

ifeq ($(CUDA),1)
CUDA_INCLUDES  := -isystem $(CUDNN_INCLUDE) -isystem $(CUDA_HOME)/include
CUDA_HOST      := $(CUDA_INCLUDES) -DGRAPEVINE_CUDA_LIBRARIES='"$(CUDA_LIBRARY_DIR)"'
# The same bits as the plain-C twins: no contraction of a·b + c.
NVCCFLAGS      := -std=c++17 -O3 -fmad=false -Werror all-warnings -Xcompiler -Wall,-Wextra -Xfatbin=-compress-all \
                  $(foreach arch,$(CUDA_ARCHITECTURES),-gencode arch=compute_$(arch),code=sm_$(arch)) \
                  -gencode arch=compute_$(lastword $(CUDA_ARCHITECTURES)),code=compute_$(lastword $(CUDA_ARCHITECTURES))
OBJ_KERNELS    := $(SRC_KERNELS:%.cu=$(BUILD)/obj/%.cu.o)
LIB_KERNELS    := $(BUILD)/libgrapevine_kernels.a
CUDA_LINK       = $(LIB_KERNELS) -L$(CUDA_LIBRARY_DIR) -lcudart_static -lstdc++ -ldl -lrt

$(BUILD)/obj/src/device/cuda/%.o: CPPFLAGS += $(CUDA_HOST)
$(BUILD)/obj/src/device/device.o: CPPFLAGS += -DGRAPEVINE_CUDA

$(OBJ_KERNELS): $(BUILD)/obj/%.cu.o: %.cu kernels/cuda_kernel.h $(wildcard include/kernels/*.h) $(BUILD)/settings
	@mkdir -p $(@D)
	$(NVCC) $(NVCCFLAGS) -Iinclude -Ikernels -c -o $@ $<

$(LIB_KERNELS): $(OBJ_KERNELS)
	rm -f $@ && ar rcs $@ $^

# --- the same backend and kernels on an emulated GPU (tests/emulator): what no GPU is needed for ---
EMULATED        := $(BUILD)/emulated
SRC_EMULATOR    := $(sort $(wildcard tests/emulator/*.cpp))
OBJ_EMULATOR    := $(SRC_EMULATOR:%.cpp=$(BUILD)/obj/%.o) $(SRC_KERNELS:%.cu=$(BUILD)/obj/emulated/%.o)
LIB_EMULATOR    := $(BUILD)/libgrapevine_emulator.a
EMULATOR_LINK    = $(LIB_EMULATOR) -rdynamic -lstdc++ -ldl -lrt
EMULATOR_FLAGS  := -std=c++17 -O2 -g -Wall -Wextra -Werror -ffp-contract=off -Itests/emulator -Iinclude -MMD -MP

$(BUILD)/obj/tests/emulator/%.o: tests/emulator/%.cpp
	@mkdir -p $(@D)
	$(CXX) $(EMULATOR_FLAGS) $(CUDA_INCLUDES) -c -o $@ $<

$(BUILD)/obj/emulated/kernels/%.o: kernels/%.cu
	@mkdir -p $(@D)
	$(CXX) $(EMULATOR_FLAGS) -x c++ -c -o $@ $<

$(LIB_EMULATOR): $(OBJ_EMULATOR)
	rm -f $@ && ar rcs $@ $^

EMULATED_TEST_SRC := $(sort $(wildcard tests/parity/cuda_*_test.c) $(wildcard tests/parity/device_*_test.c))
EMULATED_TEST_BIN := $(EMULATED_TEST_SRC:tests/%.c=$(EMULATED)/%)
DEVICE_TEST_BIN   := $(EMULATED_TEST_SRC:tests/%.c=$(BUILD)/tests/gpu/%)

$(EMULATED)/grapevine: $(OBJ_MAIN) $(LIBRARY) $(LIB_EMULATOR)
	@mkdir -p $(@D)
	$(MPICC) -o $@ $(OBJ_MAIN) $(LIBRARY) -Wl,--whole-archive $(LIB_EMULATOR) -Wl,--no-whole-archive $(EMULATOR_LINK) \
	    $(LDFLAGS) $(LDLIBS)

$(EMULATED_TEST_BIN): $(EMULATED)/%: tests/%.c $(LIBRARY) $(LIB_EMULATOR)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CUDA_INCLUDES) -Itests $(CFLAGS) -o $@ $< $(LIBRARY) -Wl,--whole-archive $(LIB_EMULATOR) \
	    -Wl,--no-whole-archive $(EMULATOR_LINK) $(LDFLAGS) -lcmocka $(LDLIBS)

# The emulator's own tests.
EMULATOR_TEST_SRC := $(sort $(wildcard tests/unit/emulator*_test.cpp))
EMULATOR_TEST_BIN := $(EMULATOR_TEST_SRC:tests/%.cpp=$(EMULATED)/%)

$(BUILD)/obj/emulated/tests/emulator/%.o: tests/emulator/%.cu
	@mkdir -p $(@D)
	$(CXX) $(EMULATOR_FLAGS) -x c++ -c -o $@ $<

$(EMULATOR_TEST_BIN): $(EMULATED)/%: tests/%.cpp $(BUILD)/obj/emulated/tests/emulator/emulator_test_kernels.o \
    $(LIB_EMULATOR)
	@mkdir -p $(@D)
	$(CXX) $(EMULATOR_FLAGS) $(CUDA_INCLUDES) -o $@ $(filter %.cpp %.o,$^) $(EMULATOR_LINK) -lcmocka -lpthread

# What needs no argument and no variable to run, for make check.
EMULATED_CHECKS := $(filter-out $(EMULATED)/parity/device_%,$(EMULATED_TEST_BIN)) $(EMULATOR_TEST_BIN)

# The same tests on a real GPU: scripts/gpu_check.sh runs them.
$(DEVICE_TEST_BIN): $(BUILD)/tests/gpu/%: tests/%.c $(LIBRARY) $(LIB_KERNELS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CUDA_INCLUDES) -Itests $(CFLAGS) -o $@ $< $(LIBRARY) $(CUDA_LINK) $(LDFLAGS) -lcmocka $(LDLIBS)

.PHONY: gpu-tests
gpu-tests: $(DEVICE_TEST_BIN) ## build the tests that need a GPU

# Benchmarks on a GPU, and the same programs on the emulator, where their figures mean nothing: to try them.
GPU_BENCH_SRC      := $(sort $(wildcard tests/bench/gpu_*_bench.c))
GPU_BENCH_BIN      := $(GPU_BENCH_SRC:tests/%.c=$(BUILD)/tests/gpu/%)
EMULATED_BENCH_BIN := $(GPU_BENCH_SRC:tests/%.c=$(EMULATED)/%)

$(GPU_BENCH_BIN): $(BUILD)/tests/gpu/%: tests/%.c $(LIBRARY) $(LIB_KERNELS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CUDA_INCLUDES) -Itests $(CFLAGS) -o $@ $< $(LIBRARY) $(CUDA_LINK) $(LDFLAGS) $(LDLIBS)

$(EMULATED_BENCH_BIN): $(EMULATED)/%: tests/%.c $(LIBRARY) $(LIB_EMULATOR)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CUDA_INCLUDES) -Itests $(CFLAGS) -o $@ $< $(LIBRARY) -Wl,--whole-archive $(LIB_EMULATOR) \
	    -Wl,--no-whole-archive $(EMULATOR_LINK) $(LDFLAGS) $(LDLIBS)

.PHONY: gpu-bench emulated-bench
gpu-bench: $(GPU_BENCH_BIN) ## build the benchmarks that need a GPU: scripts/gpu_check.sh runs them
emulated-bench: $(EMULATED_BENCH_BIN)

tests: $(EMULATED)/grapevine $(EMULATED_TEST_BIN) $(EMULATOR_TEST_BIN)

-include $(OBJ_EMULATOR:.o=.d) $(EMULATED_TEST_BIN:%=%.d)
-include $(DEVICE_TEST_BIN:%=%.d) $(GPU_BENCH_BIN:%=%.d) $(EMULATED_BENCH_BIN:%=%.d)
endif
