/* The threads of a grid, one block after another, each thread on a fiber.
 *
 * A thread runs until it ends or waits for others. A fiber whose thread ended takes the next thread that has not begun,
 * so that a kernel without barriers runs on one fiber, by plain calls. Which thread is next follows
 * GRAPEVINE_EMULATOR_ORDER. When none can run and not all have ended, the kernel is at fault: it says where its threads
 * stand and aborts. */
#include "cuda_kernel.h"

#include <algorithm>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "emulator.h"
#include "emulator_fiber.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

/* Known to the symbol table by this name: places the thread-local variables of kernels. */
extern "C" {
thread_local char emulator_shared_probe = 0;
}

namespace emulator
{

enum { WARP = 32, MAX_THREADS = 1024, ERROR_CONFIGURATION = 9 };
enum thread_state { FRESH, READY, AT_BARRIER, AT_SHUFFLE, ENDED };

static const char *const state_names[] = {"not begun", "able to run", "at a barrier", "at a shuffle", "ended"};

struct block_thread {
    thread_state state;
    fiber *on; /* while it has begun and not ended */
    const char *file;
    int line; /* of what it waits at */
};

struct warp {
    unsigned waiting;
    unsigned turn; /* which half of `words` the next shuffle uses: a fast lane may be one shuffle ahead */
    uint64_t words[2][WARP];
};

/* The block that runs. */
static struct {
    const char *kernel;
    const work_fn *body;
    unsigned count, able, ended, at_barrier; /* threads: all; not begun or able to run; ... */
    unsigned current;                        /* the thread that runs */
    unsigned cursor;                         /* where in `order` the search for the next one begins */
    uint16_t order[MAX_THREADS];
    uint3 index[MAX_THREADS];
    block_thread threads[MAX_THREADS];
    warp warps[MAX_THREADS / WARP];
    fiber host; /* who called run_grid */
    std::vector<fiber *> idle;
} now;

/* --- which thread is next --- */

static const choice &order_choice()
{
    static const choice *chosen = new choice(setting_choice("ORDER", "forward", "forward|reverse|random"));
    return *chosen;
}

static chance &order_chance()
{
    static chance drawn = {order_choice().seed * 0x9e3779b97f4a7c15u + 1};
    return drawn;
}

static void order_threads()
{
    for (unsigned i = 0; i < now.count; i++)
        now.order[i] = (uint16_t)i;
    if (order_choice().word == "reverse")
        std::reverse(now.order, now.order + now.count);
}

static void shuffle_order()
{
    for (unsigned i = now.count; i > 1; i--)
        std::swap(now.order[i - 1], now.order[order_chance().below(i)]);
}

/* The next thread that can run becomes the current one; false if there is none. */
static bool choose_next()
{
    if (now.able == 0)
        return false;
    for (;; now.cursor++) {
        if (now.cursor == now.count)
            now.cursor = 0;
        unsigned thread = now.order[now.cursor];
        if (now.threads[thread].state <= READY) {
            now.current = thread;
            threadIdx = now.index[thread];
            now.able--;
            return true;
        }
    }
}

/* --- fibers of the block --- */

static void run_threads();

static fiber *take_idle()
{
    if (now.idle.empty())
        return fiber_create(run_threads);
    fiber *taken = now.idle.back();
    now.idle.pop_back();
    return taken;
}

/* Where the current thread goes on. */
static fiber *fiber_of_current()
{
    block_thread *thread = &now.threads[now.current];
    if (thread->state == FRESH)
        thread->on = take_idle();
    return thread->on;
}

/* The entry of every fiber: run the current thread, then others, for ever. */
static void run_threads()
{
    fiber_entered();
    for (;;) {
        fiber *self = now.threads[now.current].on;
        now.threads[now.current].state = READY;
        (*now.body)();
        now.threads[now.current].state = ENDED;
        now.ended++;
        bool more = choose_next();
        if (more && now.threads[now.current].state == FRESH) {
            now.threads[now.current].on = self;
            continue;
        }
        now.idle.push_back(self);
        fiber_switch(self, more ? now.threads[now.current].on : &now.host);
    }
}

/* The current thread waits (or may run again later); return when it is its turn. */
static void give_way()
{
    unsigned thread = now.current;
    fiber *self = now.threads[thread].on;
    fiber *next = choose_next() ? fiber_of_current() : &now.host;
    if (next != self)
        fiber_switch(self, next);
}

/* --- what threads wait for --- */

static std::string name_thread(unsigned thread)
{
    const uint3 *i = &now.index[thread];
    char text[64];
    snprintf(text, sizeof(text), "thread (%u, %u, %u)", i->x, i->y, i->z);
    return text;
}

[[noreturn]] static void fail_block(const std::string &why)
{
    fail("kernel %s, block (%u, %u, %u): %s", now.kernel, blockIdx.x, blockIdx.y, blockIdx.z, why.c_str());
}

static std::string place(const char *file, int line)
{
    return std::string(file) + ":" + std::to_string(line);
}

/* Nothing can run and not all threads ended: one line for each state and place. */
[[noreturn]] static void fail_stuck()
{
    std::string text = "threads wait for others that never come";
    std::vector<bool> told(now.count, false);
    for (unsigned i = 0; i < now.count; i++) {
        const block_thread *one = &now.threads[i];
        unsigned alike = 0;
        for (unsigned j = i; j < now.count; j++) {
            const block_thread *other = &now.threads[j];
            if (told[j] || one->state != other->state || (one->state != ENDED && one->line != other->line))
                continue;
            told[j] = true;
            alike++;
        }
        if (alike > 0)
            text += "\n    " + std::to_string(alike) + " from " + name_thread(i) + " on " + state_names[one->state] +
                    (one->state == ENDED ? "" : ", " + place(one->file, one->line));
    }
    fail_block(text);
}

static void wait_as(thread_state state, const char *file, int line)
{
    block_thread *self = &now.threads[now.current];
    self->state = state;
    self->file = file;
    self->line = line;
}

static void check_same_place(unsigned other, const char *what, const char *file, int line)
{
    const block_thread *thread = &now.threads[other];
    if (thread->line != line || (thread->file != file && strcmp(thread->file, file) != 0))
        fail_block(name_thread(now.current) + " waits at the " + what + " in " + place(file, line) + ", " +
                   name_thread(other) + " at that in " + place(thread->file, thread->line));
}

static void release(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        now.threads[i].state = READY;
    now.able += count;
}

} // namespace emulator

using namespace emulator;

void emulator_barrier(const char *file, int line)
{
    wait_as(AT_BARRIER, file, line);
    if (++now.at_barrier == now.count) {
        for (unsigned i = 0; i < now.count; i++)
            check_same_place(i, "barrier", file, line);
        now.at_barrier = 0;
        now.cursor = 0;
        release(0, now.count);
    }
    give_way();
}

uint64_t emulator_shuffle(uint32_t mask, uint64_t value, int lane_mask, const char *file, int line)
{
    unsigned lane = now.current % WARP, first = now.current - lane;
    warp *mine = &now.warps[first / WARP];
    unsigned turn = mine->turn & 1;
    if (mask != UINT32_MAX || first + WARP > now.count || lane_mask < 0 || lane_mask >= WARP)
        fail_block("shuffle that is not over a whole warp, " + place(file, line));
    mine->words[turn][lane] = value;
    wait_as(AT_SHUFFLE, file, line);
    if (++mine->waiting == WARP) {
        for (unsigned i = first; i < first + WARP; i++)
            check_same_place(i, "shuffle", file, line);
        mine->waiting = 0;
        mine->turn++;
        release(first, WARP);
    }
    give_way();
    return mine->words[turn][lane ^ (unsigned)lane_mask];
}

/* --- shared memory: what kernels declare is found in the symbol table, and filled with NaN between blocks --- */

namespace emulator
{

struct shared_array {
    ptrdiff_t from_probe;
    size_t size;
};

static std::vector<char> read_program()
{
    std::vector<char> bytes;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0)
        return bytes;
    if (fstat(file, &status) == 0) {
        bytes.resize((size_t)status.st_size);
        for (size_t got = 0; got < bytes.size();) {
            ssize_t part = read(file, bytes.data() + got, bytes.size() - got);
            if (part <= 0) {
                bytes.clear();
                break;
            }
            got += (size_t)part;
        }
    }
    close(file);
    return bytes;
}

/* Thread-local variables of functions: C++ mangles a function's static variable as _ZZ…E…, nothing else so. */
static std::vector<shared_array> collect_shared(const char *image, const Elf64_Shdr *symbols, const Elf64_Shdr *names)
{
    std::vector<shared_array> found;
    const Elf64_Sym *table = (const Elf64_Sym *)(image + symbols->sh_offset);
    size_t count = symbols->sh_size / sizeof(*table), probe = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const char *name = image + names->sh_offset + table[i].st_name;
        if (ELF64_ST_TYPE(table[i].st_info) != STT_TLS || table[i].st_shndx == SHN_UNDEF)
            continue;
        if (strcmp(name, "emulator_shared_probe") == 0)
            probe = table[i].st_value;
        else if (strncmp(name, "_ZZ", 3) == 0 && strncmp(name, "_ZZNSt", 6) != 0)
            found.push_back({(ptrdiff_t)table[i].st_value, table[i].st_size});
    }
    if (probe == SIZE_MAX)
        return {};
    for (shared_array &array : found)
        array.from_probe -= (ptrdiff_t)probe;
    return found;
}

static std::vector<shared_array> find_shared()
{
    std::vector<char> program = read_program();
    const char *image = program.data();
    if (program.size() < sizeof(Elf64_Ehdr))
        return {};
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(image + header->e_shoff);
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type == SHT_SYMTAB)
            return collect_shared(image, &sections[i], &sections[sections[i].sh_link]);
    }
    return {};
}

/* NaN in every format. With much shared memory in the program not before each block, but before the first always. */
static void spoil_shared(uint64_t block)
{
    enum { PER_BLOCK = 32 << 10 };
    static const std::vector<shared_array> &arrays = *new std::vector<shared_array>(find_shared());
    static size_t total = 0;
    if (total == 0) {
        for (const shared_array &array : arrays)
            total += array.size;
        total += 1;
    }
    if (block % (total / PER_BLOCK + 1) != 0)
        return;
    for (const shared_array &array : arrays)
        memset(&emulator_shared_probe + array.from_probe, 0xff, array.size);
}

/* --- the grid --- */

static void run_block()
{
    now.able = now.count;
    now.ended = now.at_barrier = now.cursor = 0;
    for (unsigned i = 0; i < now.count; i++)
        now.threads[i].state = FRESH;
    for (unsigned i = 0; i < now.count; i += WARP)
        now.warps[i / WARP].waiting = 0;
    if (order_choice().word == "random")
        shuffle_order();
    choose_next();
    fiber_switch(&now.host, fiber_of_current());
    if (now.ended != now.count)
        fail_stuck();
}

static void begin_grid(const char *kernel, const unsigned block[3], const work_fn &body)
{
    now.kernel = kernel;
    now.body = &body;
    now.count = block[0] * block[1] * block[2];
    now.host = fiber();
    order_threads();
    for (unsigned i = 0; i < now.count; i++)
        now.index[i] = uint3{i % block[0], i / block[0] % block[1], i / block[0] / block[1]};
}

void run_grid(const char *kernel, const unsigned grid[3], const unsigned block[3], const work_fn &body)
{
    begin_grid(kernel, block, body);
    gridDim = dim3(grid[0], grid[1], grid[2]);
    blockDim = dim3(block[0], block[1], block[2]);
    uint64_t serial = 0;
    for (unsigned z = 0; z < grid[2]; z++) {
        for (unsigned y = 0; y < grid[1]; y++) {
            for (unsigned x = 0; x < grid[0]; x++) {
                blockIdx = uint3{x, y, z};
                spoil_shared(serial++);
                run_block();
            }
        }
    }
}

static bool configuration_is_valid(const dim3 &grid, const dim3 &block)
{
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    return threads >= 1 && threads <= MAX_THREADS && block.z <= 64 && grid.x >= 1 && grid.x <= INT32_MAX &&
           grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535;
}

} // namespace emulator

int emulator_launch(const char *kernel, dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> thread)
{
    call([&]() -> int {
        if (!configuration_is_valid(grid, block))
            return ERROR_CONFIGURATION;
        int refused = check_stream(stream);
        if (refused)
            return refused;
        return submit(stream, kernel, [=]() {
            const unsigned blocks[3] = {grid.x, grid.y, grid.z}, threads[3] = {block.x, block.y, block.z};
            run_grid(kernel, blocks, threads, thread);
        });
    });
    return last_error();
}
