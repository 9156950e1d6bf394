# Grapevine's build. `make help` lists what it can do.
include scripts/make/variant.mk

CC      ?= cc
MPICC   ?= mpicc
PKG     ?= pkg-config
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
# 1: with the CUDA backend, where nvcc is found; no GPU is needed to build it
NVCC_FOUND := $(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA    ?= $(if $(NVCC_FOUND),1,0)

CSTD     := -std=c11 -D_GNU_SOURCE
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wwrite-strings -Wvla
OPT      ?= -O3 -g -fno-math-errno -fno-trapping-math
CPPFLAGS += -Iinclude -Isrc -DGRAPEVINE_VERSION='"$(VERSION)"'
CFLAGS   += $(CSTD) $(OPT) $(WARN) $(EXTRA_CFLAGS) -fopenmp -MMD -MP
LDLIBS   += -ldnnl -lyaml -lcjson -llapacke -lcholmod -ldsdp -ljpeg -lpng -lwebpdemux -lwebp -lz -lm -lpthread -ldl \
            -fopenmp

# --- sources: everything but main.c goes into one library; the runtime's MPI part is compiled with mpicc ---
SRC_ALL  := $(sort $(wildcard src/*/*.c src/*/*/*.c kernels/*.c))
SRC_CUDA := $(sort $(wildcard src/device/cuda/*.c))
SRC_ALL  := $(if $(filter 1,$(CUDA)),$(SRC_ALL),$(filter-out $(SRC_CUDA),$(SRC_ALL)))
SRC_MAIN := src/app/main.c
SRC_MPI  := $(filter src/runtime/mpi/%,$(SRC_ALL))
SRC_LIB  := $(filter-out $(SRC_MAIN) $(SRC_MPI),$(SRC_ALL))
OBJ_LIB  := $(SRC_LIB:%.c=$(BUILD)/obj/%.o)
OBJ_MPI  := $(SRC_MPI:%.c=$(BUILD)/obj/%.o)
OBJ_MAIN := $(SRC_MAIN:%.c=$(BUILD)/obj/%.o)
LIBRARY  := $(BUILD)/libgrapevine.a

.DEFAULT_GOAL := all
include scripts/make/cuda.mk

# --- whatever was compiled with other settings is compiled again ---
SETTINGS := $(CC) $(MPICC) $(CPPFLAGS) $(CFLAGS) CUDA=$(CUDA) \
            $(if $(filter 1,$(CUDA)),$(NVCC) $(NVCCFLAGS) $(CUDA_HOST))
.PHONY: force
$(BUILD)/settings: force
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(SETTINGS))' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

.PHONY: all
all: $(BUILD)/grapevine ## build the program (the default)

$(BUILD)/grapevine: $(OBJ_MAIN) $(LIBRARY) $(LIB_KERNELS)
	$(MPICC) -o $@ $(OBJ_MAIN) $(LIBRARY) $(CUDA_LINK) $(LDFLAGS) $(LDLIBS)

$(LIBRARY): $(OBJ_LIB) $(OBJ_MPI)
	rm -f $@ && ar rcs $@ $^

$(OBJ_LIB) $(OBJ_MAIN): $(BUILD)/obj/%.o: %.c $(BUILD)/settings
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(OBJ_MPI): $(BUILD)/obj/%.o: %.c $(BUILD)/settings
	@mkdir -p $(@D)
	$(MPICC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# --- tests and benchmarks: one program per file; those under tests/mpi run under mpirun ---
TEST_SRC  := $(sort $(wildcard tests/unit/*_test.c tests/laws/*_test.c tests/sim/*_test.c \
             $(filter-out tests/parity/cuda_%,$(wildcard tests/parity/*_test.c))))
TEST_BIN  := $(TEST_SRC:tests/%.c=$(BUILD)/tests/%)
DUMP_BIN  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/parity/*_dump.c)))
BENCH_BIN := $(patsubst tests/%.c,$(BUILD)/tests/%,$(filter-out tests/bench/gpu_%,$(sort \
             $(wildcard tests/bench/*_bench.c))))
MPI_BIN   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/mpi/*.c tests/bench/mpi_*.c) \
             $(if $(VARIANT),tests/sanitizers/planted.c)))

$(TEST_BIN) $(DUMP_BIN) $(BENCH_BIN): $(BUILD)/tests/%: tests/%.c $(LIBRARY) $(LIB_KERNELS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -o $@ $< $(LIBRARY) $(CUDA_LINK) $(LDFLAGS) -lcmocka $(LDLIBS)

$(MPI_BIN): $(BUILD)/tests/%: tests/%.c $(LIBRARY) $(LIB_KERNELS)
	@mkdir -p $(@D)
	$(MPICC) $(CPPFLAGS) -Itests $(CFLAGS) -o $@ $< $(LIBRARY) $(CUDA_LINK) $(LDFLAGS) $(LDLIBS)

.PHONY: tests
tests: $(TEST_BIN) $(DUMP_BIN) $(MPI_BIN)

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)

-include scripts/make/checks.mk
-include scripts/make/fuzz.mk
-include $(OBJ_LIB:.o=.d) $(OBJ_MPI:.o=.d) $(OBJ_MAIN:.o=.d) $(TEST_BIN:%=%.d) $(MPI_BIN:%=%.d)
