# Builds that look for errors of their own while they run: included by the Makefile before its own settings.
#
#   VARIANT=asan   AddressSanitizer (with leaks) and UndefinedBehaviorSanitizer
#   VARIANT=tsan   ThreadSanitizer: data races between the threads of a worker
#
# Each has a folder of its own, build-VARIANT. Without the CUDA backend: its kernels are checked on the emulated GPU,
# which switches stacks by itself, and neither sanitizer follows that. What the variants run: checks.mk; with which
# options: scripts/sanitized.sh.
VARIANT ?=

ifneq ($(VARIANT),)
SANITIZERS_asan := address,undefined
SANITIZERS_tsan := thread
ifeq ($(SANITIZERS_$(VARIANT)),)
$(error VARIANT=$(VARIANT) is not known; asan and tsan are)
endif
BUILD  ?= build-$(VARIANT)
CUDA   ?= 0
OPT    ?= -O1 -g -fno-omit-frame-pointer -fno-math-errno -fno-trapping-math
CFLAGS += -fsanitize=$(SANITIZERS_$(VARIANT)) -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SANITIZERS_$(VARIANT))
endif
