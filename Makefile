# Grapevine's build. `make help` lists what it can do.
CC      ?= cc
MPICC   ?= mpicc
PKG     ?= pkg-config
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

CSTD     := -std=c11 -D_GNU_SOURCE
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla
OPT      ?= -O3 -g -fno-math-errno -fno-trapping-math
CPPFLAGS += -Iinclude -Isrc -DGRAPEVINE_VERSION='"$(VERSION)"'
CFLAGS   += $(CSTD) $(OPT) $(WARN) $(EXTRA_CFLAGS) -fopenmp -MMD -MP
LDLIBS   += -ldnnl -lyaml -lcjson -llapacke -lz -lm -lpthread -fopenmp

# --- sources: one folder per layer; the runtime's MPI part and the app are compiled with mpicc ---
SRC_LIB := $(sort $(wildcard src/base/*.c kernels/*.c src/config/*.c src/graph/*.c src/device/*.c src/device/cpu/*.c \
             src/nn/*.c src/data/*.c src/algo/*.c src/worker/*.c))
SRC_APP := $(sort $(wildcard src/runtime/*.c src/runtime/mpi/*.c src/app/*.c))
OBJ_LIB := $(SRC_LIB:%.c=$(BUILD)/obj/%.o)
OBJ_APP := $(SRC_APP:%.c=$(BUILD)/obj/%.o)

.DEFAULT_GOAL := all
.PHONY: all
all: $(BUILD)/grapevine

$(BUILD)/grapevine: $(OBJ_APP) $(BUILD)/libgrapevine.a
	$(MPICC) -o $@ $(OBJ_APP) $(BUILD)/libgrapevine.a $(LDFLAGS) $(LDLIBS)

$(BUILD)/libgrapevine.a: $(OBJ_LIB)
	rm -f $@ && ar rcs $@ $^

$(OBJ_LIB): $(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(OBJ_APP): $(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(MPICC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# --- unit, law and parity tests: one program per file, cmocka, no MPI ---
TEST_SRC := $(sort $(wildcard tests/unit/*_test.c tests/laws/*_test.c tests/parity/*_test.c))
TEST_BIN := $(TEST_SRC:tests/%.c=$(BUILD)/tests/%)

$(BUILD)/tests/%: tests/%.c $(BUILD)/libgrapevine.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -o $@ $< $(BUILD)/libgrapevine.a $(LDFLAGS) -lcmocka $(LDLIBS)

.PHONY: tests
tests: $(TEST_BIN)

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(OBJ_LIB:.o=.d) $(OBJ_APP:.o=.d) $(TEST_BIN:%=%.d)
