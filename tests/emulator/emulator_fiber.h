/* Fibers: stacks of their own, switched by hand, for the threads of an emulated block. Not thread-safe: the emulator's
 * lock is held wherever they run. */
#ifndef GRAPEVINE_TESTS_EMULATOR_FIBER_H
#define GRAPEVINE_TESTS_EMULATOR_FIBER_H

#include <stddef.h>

namespace emulator
{

struct fiber {
    void *stack_pointer; /* while it does not run */
    char *stack;         /* lowest address; NULL for the stack of a thread of the host */
    size_t stack_size;
    void *sanitizer; /* what the sanitizer keeps for it */
};

/* A fiber that runs `entry` when first switched to; entry never returns. None is ever ended: they are reused. */
fiber *fiber_create(void (*entry)());
/* Run `to`; return when something switches back to `from`, which is the fiber that runs now. */
void fiber_switch(fiber *from, fiber *to);
/* The first lines of an entry: complete the switch on the sanitizer's side. */
void fiber_entered();

} // namespace emulator

#endif
