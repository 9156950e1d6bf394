# Fuzzing: `make fuzz MINUTES=n` runs each target of tests/fuzz for so many minutes, with clang's libFuzzer, ASan and
# UBSan. What it has learnt lies in BUILD/fuzz/TARGET.corpus; a finding ends it, in a file BUILD/fuzz/TARGET-*.
MINUTES    ?= 1
FUZZ_SRC   := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ_BIN   := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
# The readers of foreign bytes, and what they stand on.
FUZZ_READS := $(sort $(wildcard src/base/*.c src/config/*.c src/graph/*.c src/data/*.c src/data/*/*.c \
              kernels/resample*.c) src/app/safetensors.c src/app/safetensors_write.c src/app/run_directory.c \
              src/app/event_log.c src/app/event_log_read.c src/app/replica_vector.c src/app/state_file.c)
FUZZ_FLAGS := -std=c11 -D_GNU_SOURCE -O1 -g -DGRAPEVINE_VERSION='"$(VERSION)"' -Iinclude -Isrc -Itests \
              -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Wno-unknown-pragmas

$(FUZZ_BIN): $(BUILD)/fuzz/%: tests/fuzz/%.c $(wildcard tests/fuzz/*.h) $(FUZZ_READS)
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) -o $@ $< $(FUZZ_READS) -lyaml -lcjson -llapacke -lcholmod -ldsdp -ljpeg -lpng \
	    -lwebpdemux -lwebp -lz -lm -lpthread

.PHONY: fuzz fuzz-run
fuzz: ## fuzz every reader of foreign bytes for MINUTES (1) each
	@scripts/setup.sh --fuzz
	@+$(MAKE) --no-print-directory -j$(JOBS) fuzz-run

fuzz-run: $(FUZZ_BIN)
	@set -e; for target in $(notdir $(FUZZ_BIN)); do \
	    run=$(BUILD)/fuzz/$$target; mkdir -p $$run.corpus; echo "== $$target, $(MINUTES) min"; \
	    $$run -max_total_time=$$(($(MINUTES) * 60)) -max_len=65536 -rss_limit_mb=1024 -timeout=20 \
	        -artifact_prefix=$$run- $$run.corpus tests/fuzz/seeds/$${target%_fuzz} >$$run.log 2>&1 || \
	        { tail -n 40 $$run.log; exit 1; }; \
	    grep '^Done' $$run.log; \
	done
