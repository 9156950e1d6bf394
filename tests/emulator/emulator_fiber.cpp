/* Fibers for x86-64: the registers that a function call must keep are pushed, and the stack pointer is exchanged. The
 * address and thread sanitizers are told of each switch. */
#include "emulator_fiber.h"

#include <stdint.h>
#include <sys/mman.h>

#include "emulator.h"

#ifndef __x86_64__
#error "the emulator's fibers are written for x86-64"
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

extern "C" void emulator_fiber_exchange(void **save, void *load);

asm(R"(
    .text
    .globl emulator_fiber_exchange
    .type emulator_fiber_exchange, @function
emulator_fiber_exchange:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulator_fiber_exchange, . - emulator_fiber_exchange
)");

namespace emulator
{

enum { STACK_SIZE = 128 << 10, GUARD_SIZE = 4096, SAVED_REGISTERS = 6 };

fiber *fiber_create(void (*entry)())
{
    void *memory =
        mmap(NULL, STACK_SIZE + GUARD_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, GUARD_SIZE, PROT_NONE))
        fail("no memory for the stacks of a block's threads");
    fiber *made = new fiber();
    made->stack = (char *)memory + GUARD_SIZE;
    made->stack_size = STACK_SIZE;
    /* As a call would leave it: a return address below a 16-byte boundary, and the entry as what to return to. Stacks
     * begin at different places in their pages, or they would all compete for the same lines of the cache. */
    static size_t serial = 0;
    void **top = (void **)(made->stack + STACK_SIZE - serial++ * 448 % 8192);
    *--top = NULL;
    *--top = (void *)(uintptr_t)entry;
    for (int i = 0; i < SAVED_REGISTERS; i++)
        *--top = NULL;
    made->stack_pointer = top;
#ifdef __SANITIZE_THREAD__
    made->sanitizer = __tsan_create_fiber(0);
#endif
    return made;
}

#if defined(__SANITIZE_ADDRESS__)

/* The stack that was left, for the way back to a thread of the host. */
static fiber *left;

/* A switch has ended; `kept` is what the sanitizer kept for who runs now. */
static void finish_switch(void *kept)
{
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(kept, &bottom, &size);
    if (left->stack == NULL) {
        left->stack = (char *)(uintptr_t)bottom;
        left->stack_size = size;
    }
}

void fiber_entered()
{
    finish_switch(NULL);
}

void fiber_switch(fiber *from, fiber *to)
{
    left = from;
    __sanitizer_start_switch_fiber(&from->sanitizer, to->stack, to->stack_size);
    emulator_fiber_exchange(&from->stack_pointer, to->stack_pointer);
    finish_switch(from->sanitizer);
}

#elif defined(__SANITIZE_THREAD__)

void fiber_entered()
{
}

void fiber_switch(fiber *from, fiber *to)
{
    from->sanitizer = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->sanitizer, 0);
    emulator_fiber_exchange(&from->stack_pointer, to->stack_pointer);
}

#else

void fiber_entered()
{
}

void fiber_switch(fiber *from, fiber *to)
{
    emulator_fiber_exchange(&from->stack_pointer, to->stack_pointer);
}

#endif

} // namespace emulator
