# Set-up, checks, installation and help: included by the Makefile, whose variables it uses.
#
# A remark "## what it does" behind a target is what `make help` prints.
JOBS   ?= $(shell getconf _NPROCESSORS_ONLN)
PYTHON ?= /usr/bin/python3

.PHONY: setup quickstart check check-long check-build bench lint format install uninstall help

setup: ## install what the build needs (Debian, Ubuntu; elsewhere: list it)
	@scripts/setup.sh --minimal

quickstart: ## install what is missing, build, train 4 workers (about 90 s on 2 cores)
	@scripts/setup.sh --minimal
	@+$(MAKE) --no-print-directory -j$(JOBS) all
	@BUILD=$(BUILD) scripts/quickstart.sh

# --- checks: first what takes no time, then the tests; one after another, since they share the cores ---
CHECKS      := scripts/check_layers.sh "scripts/check_layers.sh --self-test" \
               scripts/check_style.sh "scripts/check_style.sh --self-test" "scripts/run_tests.sh --self-test"
PARITY      := "tests/parity/torch_parity.py $(BUILD)/tests/parity/net_dump convnet convnet-smoothed resnet20 resnet18 \
               resnet50 vgg13" \
               tests/parity/checkpoint_torch.py "tests/parity/photo_torch.py $(BUILD)/tests/parity/photo_dump"
SCRIPTS     := $(sort $(wildcard tests/unit/*.sh tests/laws/*.sh tests/sim/*.sh tests/mpi/*.sh tests/e2e/*.sh \
               tests/protocol/*.sh))
LONG        := $(sort $(wildcard tests/*/*_long.sh))
CHECK_TESTS  = $(CHECKS) $(TEST_BIN) $(EMULATED_CHECKS) $(PARITY) $(filter-out $(LONG),$(SCRIPTS))
RUN_TESTS    = XDG_CACHE_HOME=$(abspath $(BUILD))/cache BUILD=$(BUILD) PYTHON=$(PYTHON) $(SANITIZED) \
               scripts/run_tests.sh

# --- with VARIANT=asan or tsan: what has memory, threads and ranks of its own, at a size that takes minutes. Left out:
# tests of time, of PyTorch and of statistics, which say nothing new when they are watched, long ones, and with tsan
# those that compute on two threads: there is one (scripts/sanitized.sh), and oneDNN would wait for the other ---
ifneq ($(VARIANT),)
SANITIZED     := scripts/sanitized.sh $(VARIANT)
LEFT_OUT       = $(BUILD)/tests/laws/convex_bias_test $(BUILD)/tests/laws/shapes_linear_test $(LEFT_OUT_$(VARIANT))
LEFT_OUT_tsan := $(BUILD)/tests/parity/%_test
LONG          :=
CHECK_TESTS    = tests/sanitizers/planted_test.sh $(filter-out $(LEFT_OUT),$(TEST_BIN)) tests/sim/golden_test.sh \
                 "tests/mpi/laws_test.sh short" tests/mpi/allreduce_test.sh tests/sanitizers/commands_test.sh \
                 "$(SANITIZED) --reports"
endif

check-build:
	@BUILD=$(BUILD) scripts/setup.sh $(if $(VARIANT),--sanitize,--tests)
	@+$(MAKE) --no-print-directory -j$(JOBS) all tests

check: check-build ## set-up, build, every check and test; the last line counts them
	@$(RUN_TESTS) $(CHECK_TESTS)

check-long: check-build ## the same and the long tests (tests/*/*_long.sh), valgrind among them
	@BUILD=$(BUILD) scripts/setup.sh --long
	@$(RUN_TESTS) $(CHECK_TESTS) $(LONG)

# --- figures: every tests/bench/*_bench.sh; the programs that they run are built first ---
BENCH_SRC := $(sort $(wildcard tests/bench/*_bench.c))

bench: all $(BENCH_BIN) $(MPI_BIN)
	@set -e; export BUILD=$(BUILD) PYTHON=$(PYTHON) MPIRUN="$$(BUILD=$(BUILD) scripts/launch.sh --mpirun)"; \
	for bench in $(sort $(wildcard tests/bench/*_bench.sh)); do echo "== $$bench"; bash $$bench; done

-include $(BENCH_BIN:%=%.d) $(DUMP_BIN:%=%.d)

# --- style: all our C files; warnings that the plain build leaves out stop here ---
C_FILES   := $(sort $(wildcard include/*/*.h src/*/*.[ch] src/*/*/*.[ch] kernels/*.[ch] tests/*.h tests/*/*.[ch]))
NEEDS_CUDA := src/device/cuda/% tests/parity/cuda_% tests/bench/gpu_%
LINT_SRC  := $(sort $(SRC_ALL) $(filter-out $(if $(filter 1,$(CUDA)),,$(NEEDS_CUDA)),$(wildcard tests/*/*.c)))
LINT_CUDA  = $(if $(filter $(NEEDS_CUDA),$<),$(CUDA_HOST))
LINT_WARN := -Werror -Wcast-align -Wdate-time -Wduplicated-branches -Wduplicated-cond -Wfloat-conversion -Wformat=2 \
             -Wno-format-nonliteral -Wformat-signedness -Wimplicit-fallthrough -Wlogical-op -Wredundant-decls -Wundef \
             -Wunused-macros
TIDY       = clang-tidy --quiet $(if $(filter tests/%,$<),--checks=-clang-analyzer-*) $<
# clang-tidy does not know mpicc: the MPI headers come in as system headers.
MPI_FLAGS  = $(patsubst -I%,-isystem %,$(filter -I%,$(shell $(MPICC) --showme:compile 2>/dev/null || $(MPICC) -show)))
LINT_TARGETS := $(LINT_SRC:%.c=$(BUILD)/lint/%.ok)

lint: ## warnings as errors, clang-tidy, shellcheck
	@scripts/setup.sh --lint
	@+$(MAKE) --no-print-directory -k -j$(JOBS) lint-sources lint-scripts
	@echo "lint: clean"

.PHONY: lint-sources lint-scripts
lint-sources: $(LINT_TARGETS)

# A file is looked at again when it, a header or the rules have changed.
$(BUILD)/lint/%.ok: %.c $(filter %.h,$(C_FILES)) .clang-tidy
	@mkdir -p $(@D)
	@echo "lint $<"
	@$(CC) $(CPPFLAGS) -Itests $(LINT_CUDA) $(MPI_FLAGS) $(filter-out -MMD -MP,$(CFLAGS)) $(LINT_WARN) \
	    $(if $(filter tests/%,$<),-Wno-float-conversion) -c -o $(@:.ok=.o) $<
	@$(TIDY) -- $(CPPFLAGS) -Itests $(LINT_CUDA) $(MPI_FLAGS) $(CSTD) -Wno-unknown-warning-option 2>$(@:.ok=.log) || \
	    { cat $(@:.ok=.log) >&2; exit 1; }
	@touch $@

# Not for the tests: names shared with their fixture, and statuses that a declaration hides.
lint-scripts:
	@shellcheck $(sort $(wildcard scripts/*.sh scripts/*/*.sh)) .ci/run
	@shellcheck --severity=warning --shell=bash --exclude=SC2034,SC2154,SC2155 /dev/null \
	    $(sort $(wildcard tests/*.bash tests/*/*.sh))

format: ## clang-format all C files in place
	@scripts/setup.sh --lint
	@clang-format -i $(C_FILES)

# --- installation: the program, its configs, the licence and the manual; nothing outside PREFIX ---
install: all ## into $(DESTDIR)$(PREFIX): program, configs, documents
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/grapevine/configs $(DESTDIR)$(PREFIX)/share/doc/grapevine
	install -m 755 $(BUILD)/grapevine $(DESTDIR)$(PREFIX)/bin/grapevine
	install -m 644 $(wildcard configs/*.yaml) $(DESTDIR)$(PREFIX)/share/grapevine/configs
	install -m 755 scripts/get_data.sh $(DESTDIR)$(PREFIX)/share/grapevine/get_data.sh
	install -m 644 LICENSE README.md $(DESTDIR)$(PREFIX)/share/doc/grapevine
	install -d $(DESTDIR)$(PREFIX)/share/doc/grapevine/docs/pictures
	install -m 644 $(wildcard docs/pictures/*.svg) $(DESTDIR)$(PREFIX)/share/doc/grapevine/docs/pictures

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/grapevine
	rm -rf $(DESTDIR)$(PREFIX)/share/grapevine $(DESTDIR)$(PREFIX)/share/doc/grapevine

help: ## this list
	@awk -F' *## *' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "make check VARIANT=asan  what makes sense of it under AddressSanitizer and UBSan; VARIANT=tsan: ThreadSanitizer"
	@echo "variables:        BUILD=$(BUILD) PREFIX=$(PREFIX) DESTDIR= JOBS=$(JOBS) CC=$(CC) MPICC=$(MPICC) EXTRA_CFLAGS="
