/* libcudart's memory: device memory, pinned host memory, copies, and handles that another process opens.
 *
 * Fresh memory is NaN, and lies between two zones of NaNs of another kind, which change when something is added to
 * them. Zones are checked when the memory is freed and at the end of the program; a change aborts. Freed memory is
 * unmapped and its addresses are not used again, so that a late touch dies.
 *
 * Copies follow CUDA where it matters for order: from or to pinned memory they read and write when they run; pageable
 * memory is staged when the call is made (to the device) or waited for (from the device); cudaMemset and copies inside
 * the device return before they have run. */
#include <cuda_runtime_api.h>

#include <fcntl.h>
#include <map>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emulator.h"
#include "emulator_streams.h"

using namespace emulator;

namespace
{

enum memory_kind { DEVICE, PINNED, REGISTERED, OPENED };
enum { PAGE = 4096, ZONE = 4096, ZONE_BEHIND = 512, FRESH = 0xff, HANDLE_MAGIC = 0x47764970 };

/* What a cudaIpcMemHandle_t holds. */
struct handle_content {
    uint32_t magic;
    int process, file, device;
    uint64_t serial, size, mapped;
};

struct allocation {
    memory_kind kind;
    int device;
    size_t size;
    char *base; /* of the mapping; NULL for what the program registered */
    size_t mapped;
    int file; /* of memory that other processes may open; -1 */
    uint64_t serial;
    int owner;      /* process, of opened memory */
    int references; /* of opened memory */
};

struct memory_state {
    std::map<uintptr_t, allocation> allocations; /* by address */
    std::map<int, size_t> used;                  /* by device */
    uint64_t next_serial = 1;
    bool protect = setting_number("PROTECT", 0) != 0;
    bool open = true;
};

memory_state &memory()
{
    static auto *made = new memory_state();
    return *made;
}

size_t total_memory()
{
    return (size_t)setting_number("MEMORY_MIB", 8192) << 20;
}

/* The allocation that holds this address, or NULL. */
std::pair<const uintptr_t, allocation> *holder(const void *pointer)
{
    auto after = memory().allocations.upper_bound((uintptr_t)pointer);
    if (after == memory().allocations.begin())
        return NULL;
    --after;
    return (uintptr_t)pointer < after->first + after->second.size ? &*after : NULL;
}

enum place { PLACE_DEVICE, PLACE_PINNED, PLACE_PAGEABLE, PLACE_BROKEN };

/* Where a range lies; PLACE_BROKEN if it runs out of an allocation, or into one. */
place place_of(const void *pointer, size_t size)
{
    auto *first = holder(pointer), *last = holder((const char *)pointer + size - 1);
    if (size == 0)
        return PLACE_PAGEABLE;
    if (first != last)
        return PLACE_BROKEN;
    if (first == NULL)
        return PLACE_PAGEABLE;
    return first->second.kind == DEVICE || first->second.kind == OPENED ? PLACE_DEVICE : PLACE_PINNED;
}

/* --- zones --- */

/* 0x7fa5 again and again: NaN in 16 bits, and a signalling NaN in 32. */
char zone_byte(const char *at)
{
    return (uintptr_t)at % 2 == 0 ? (char)0xa5 : 0x7f;
}

void fill_zone(char *from, const char *to)
{
    for (; from < to; from++)
        *from = zone_byte(from);
}

void check_zone(const char *from, const char *to, const allocation &a, uintptr_t address, const char *where)
{
    for (const char *byte = from; byte < to; byte++) {
        if (*byte != zone_byte(byte))
            fail("something wrote %s %s memory of %zu bytes at %p: offset %td", where,
                 a.kind == PINNED ? "pinned" : "device", a.size, (void *)address, byte - (const char *)address);
    }
}

void check_zones(uintptr_t address, const allocation &a)
{
    if (a.kind != DEVICE && a.kind != PINNED)
        return;
    check_zone(a.base, (char *)address, a, address, "in front of");
    check_zone((char *)address + a.size, a.base + a.mapped, a, address, "behind");
}

void check_at_exit()
{
    call_if_free([]() {
        open_memory();
        for (auto &entry : memory().allocations)
            check_zones(entry.first, entry.second);
    });
}

/* --- mappings --- */

void set_access(const allocation &a, bool open)
{
    if ((a.kind == DEVICE || a.kind == OPENED) && mprotect(a.base, a.mapped, open ? PROT_READ | PROT_WRITE : PROT_NONE))
        fail("mprotect of device memory failed");
}

int allocate(void **pointer, size_t size, memory_kind kind)
{
    static bool checked = false;
    if (!checked)
        checked = atexit(check_at_exit) == 0;
    *pointer = NULL;
    if (size == 0)
        return cudaSuccess;
    size_t &used = memory().used[current_device()];
    if (kind == DEVICE && (size > total_memory() || used + size > total_memory()))
        return cudaErrorMemoryAllocation;
    size_t mapped = ZONE + (size + ZONE_BEHIND + PAGE - 1) / PAGE * PAGE;
    void *base = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return cudaErrorMemoryAllocation;
    allocation made = {kind, current_device(), size, (char *)base, mapped, -1, memory().next_serial++, 0, 0};
    *pointer = made.base + ZONE;
    memset(*pointer, FRESH, size);
    fill_zone(made.base, made.base + ZONE);
    fill_zone(made.base + ZONE + size, made.base + mapped);
    memory().allocations.emplace((uintptr_t)*pointer, made);
    if (kind == DEVICE)
        used += size;
    if (memory().protect && !memory().open)
        set_access(made, false);
    return cudaSuccess;
}

/* The addresses stay taken and cannot be touched. */
void unmap(const allocation &a)
{
    void *again = mmap(a.base, a.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (again == MAP_FAILED)
        fail("memory could not be unmapped");
    if (a.file >= 0)
        close(a.file);
}

int release(void *pointer, memory_kind kind)
{
    if (pointer == NULL)
        return cudaSuccess;
    int refused = refuse_unsafe_call();
    if (refused)
        return refused;
    auto found = memory().allocations.find((uintptr_t)pointer);
    if (found == memory().allocations.end() || found->second.kind != kind)
        return cudaErrorInvalidValue;
    complete_all(); /* cudaFree waits for the device */
    open_memory();
    check_zones(found->first, found->second);
    if (kind == DEVICE)
        memory().used[found->second.device] -= found->second.size;
    unmap(found->second);
    memory().allocations.erase(found);
    return cudaSuccess;
}

} // namespace

namespace emulator
{

bool on_device(const void *pointer, size_t size, bool mapped)
{
    if (size == 0)
        return true;
    place where = place_of(pointer, size);
    return where == PLACE_DEVICE || (mapped && where == PLACE_PINNED);
}

static void set_all_access(bool open)
{
    memory_state &m = memory();
    if (!m.protect || m.open == open)
        return;
    for (auto &entry : m.allocations)
        set_access(entry.second, open);
    m.open = open;
}

void open_memory()
{
    set_all_access(true);
}

void close_memory()
{
    set_all_access(false);
}

} // namespace emulator

cudaError_t cudaMalloc(void **pointer, size_t size)
{
    return (cudaError_t)call([&]() -> int {
        int refused = refuse_unsafe_call();
        if (refused)
            return refused;
        return allocate(pointer, size, DEVICE);
    });
}

cudaError_t cudaFree(void *pointer)
{
    return (cudaError_t)call([&]() -> int { return release(pointer, DEVICE); });
}

cudaError_t cudaHostAlloc(void **pointer, size_t size, unsigned flags)
{
    return (cudaError_t)call([&]() -> int {
        if (flags & ~(unsigned)(cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined))
            return cudaErrorInvalidValue;
        int refused = refuse_unsafe_call();
        return refused ? refused : allocate(pointer, size, PINNED);
    });
}

cudaError_t cudaMallocHost(void **pointer, size_t size)
{
    return cudaHostAlloc(pointer, size, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void *pointer)
{
    return (cudaError_t)call([&]() -> int { return release(pointer, PINNED); });
}

cudaError_t cudaHostRegister(void *pointer, size_t size, unsigned flags)
{
    return (cudaError_t)call([&]() -> int {
        const unsigned known = cudaHostRegisterPortable | cudaHostRegisterMapped | cudaHostRegisterReadOnly;
        if (pointer == NULL || size == 0 || (flags & ~known))
            return cudaErrorInvalidValue;
        int refused = refuse_unsafe_call();
        if (refused)
            return refused;
        if (place_of(pointer, size) != PLACE_PAGEABLE)
            return cudaErrorHostMemoryAlreadyRegistered;
        allocation made = {REGISTERED, current_device(), size, NULL, 0, -1, memory().next_serial++, 0, 0};
        memory().allocations.emplace((uintptr_t)pointer, made);
        return cudaSuccess;
    });
}

cudaError_t cudaHostUnregister(void *pointer)
{
    return (cudaError_t)call([&]() -> int {
        auto found = memory().allocations.find((uintptr_t)pointer);
        if (found == memory().allocations.end() || found->second.kind != REGISTERED)
            return cudaErrorHostMemoryNotRegistered;
        int refused = refuse_unsafe_call();
        if (refused)
            return refused;
        complete_all();
        memory().allocations.erase(found);
        return cudaSuccess;
    });
}

cudaError_t cudaHostGetDevicePointer(void **on_the_device, void *pointer, unsigned flags)
{
    return (cudaError_t)call([&]() -> int {
        if (flags != 0 || pointer == NULL || place_of(pointer, 1) != PLACE_PINNED)
            return cudaErrorInvalidValue;
        *on_the_device = pointer;
        return cudaSuccess;
    });
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    return (cudaError_t)call([&]() -> int {
        *total_bytes = total_memory();
        *free_bytes = *total_bytes - memory().used[current_device()];
        return cudaSuccess;
    });
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *pointer)
{
    return (cudaError_t)call([&]() -> int {
        *attributes = cudaPointerAttributes();
        auto *found = holder(pointer);
        if (found == NULL) {
            attributes->device = cudaInvalidDeviceId;
            attributes->hostPointer = (void *)(uintptr_t)pointer;
            return cudaSuccess;
        }
        bool device = found->second.kind == DEVICE || found->second.kind == OPENED;
        attributes->type = device ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
        attributes->device = found->second.device;
        attributes->devicePointer = (void *)(uintptr_t)pointer;
        attributes->hostPointer = device ? NULL : (void *)(uintptr_t)pointer;
        return cudaSuccess;
    });
}

/* --- copies --- */

/* Whether a copy from `from` to `to` is of this kind, which the program must say rightly. */
static bool kind_fits(enum cudaMemcpyKind kind, place to, place from)
{
    switch (kind) {
    case cudaMemcpyHostToHost:
        return to != PLACE_DEVICE && from != PLACE_DEVICE;
    case cudaMemcpyHostToDevice:
        return to == PLACE_DEVICE && from != PLACE_DEVICE;
    case cudaMemcpyDeviceToHost:
        return to != PLACE_DEVICE && from == PLACE_DEVICE;
    case cudaMemcpyDeviceToDevice:
        return to == PLACE_DEVICE && from == PLACE_DEVICE;
    default:
        return kind == cudaMemcpyDefault;
    }
}

static int check_copy(enum cudaMemcpyKind kind, void *to, const void *from, size_t size, place *at, place *of)
{
    *at = place_of(to, size);
    *of = place_of(from, size);
    if (*at == PLACE_BROKEN || *of == PLACE_BROKEN)
        return cudaErrorInvalidValue;
    if (kind_fits(kind, *at, *of))
        return cudaSuccess;
    return kind == cudaMemcpyHostToHost ? cudaErrorInvalidMemcpyDirection : cudaErrorInvalidValue;
}

/* memmove of what lies in `from` when the operation runs. */
static int submit_copy(CUstream_st *stream, void *to, const void *from, size_t size)
{
    return submit(stream, "copy", [=]() { memmove(to, from, size); });
}

/* Into memory of another process piece by piece: it takes a while, and who looks too early sees half of it. */
static int submit_copy_across(CUstream_st *stream, void *to, const void *from, size_t size)
{
    const size_t pieces = 16;
    int error = cudaSuccess;
    for (size_t k = 0; k < pieces && !error; k++) {
        size_t first = size * k / pieces, last = size * (k + 1) / pieces;
        error = submit_copy(stream, (char *)to + first, (const char *)from + first, last - first);
    }
    return error;
}

static int submit_staged(CUstream_st *stream, void *to, const void *from, size_t size)
{
    auto staged = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + size);
    return submit(stream, "copy from pageable memory", [=]() { memcpy(to, staged->data(), size); });
}

static int finish(CUstream_st *stream, int error)
{
    if (!error)
        complete(find_stream(stream)->tail);
    return error;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    return (cudaError_t)call([&]() -> int {
        CUstream_st *found = find_stream(stream);
        if (found == NULL)
            return cudaErrorInvalidResourceHandle;
        if (size == 0)
            return cudaSuccess;
        place at, of;
        int error = check_copy(kind, to, from, size, &at, &of);
        if (error)
            return error;
        bool pageable = at == PLACE_PAGEABLE || of == PLACE_PAGEABLE;
        if (pageable && found->capture)
            return spoil_capture(found->capture, cudaErrorStreamCaptureUnsupported);
        if (at == PLACE_PAGEABLE)
            return finish(stream, submit_copy(stream, to, from, size));
        if (at == PLACE_DEVICE && of == PLACE_DEVICE && holder(to)->second.kind == OPENED)
            return submit_copy_across(stream, to, from, size);
        return of == PLACE_PAGEABLE ? submit_staged(stream, to, from, size) : submit_copy(stream, to, from, size);
    });
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t size, enum cudaMemcpyKind kind)
{
    return (cudaError_t)call([&]() -> int {
        if (size == 0)
            return cudaSuccess;
        int refused = refuse_unsafe_call();
        if (refused)
            return refused;
        place at, of;
        int error = check_copy(kind, to, from, size, &at, &of);
        if (error)
            return error;
        error = submit_copy(NULL, to, from, size);
        return at == PLACE_DEVICE && of == PLACE_DEVICE ? error : finish(NULL, error);
    });
}

cudaError_t cudaMemsetAsync(void *pointer, int value, size_t size, cudaStream_t stream)
{
    return (cudaError_t)call([&]() -> int {
        if (!on_device(pointer, size, true))
            return cudaErrorInvalidValue;
        return size == 0 ? cudaSuccess : submit(stream, "fill", [=]() { memset(pointer, value, size); });
    });
}

cudaError_t cudaMemset(void *pointer, int value, size_t size)
{
    return (cudaError_t)call([&]() -> int {
        int refused = refuse_unsafe_call();
        if (refused)
            return refused;
        if (!on_device(pointer, size, true))
            return cudaErrorInvalidValue;
        if (size == 0)
            return cudaSuccess;
        int error = submit(NULL, "fill", [=]() { memset(pointer, value, size); });
        return place_of(pointer, size) == PLACE_PINNED ? finish(NULL, error) : error;
    });
}

/* --- memory of another process --- */

/* The mapping is exchanged for one of a file without a name, at the same addresses and with the same content. */
static void make_shareable(allocation *a)
{
    if (a->file >= 0)
        return;
    int file = memfd_create("grapevine-emulated-memory", MFD_CLOEXEC);
    open_memory();
    if (file < 0 || ftruncate(file, (off_t)a->mapped) != 0)
        fail("no file for memory that other processes may open");
    for (size_t written = 0; written < a->mapped;) {
        ssize_t part = pwrite(file, a->base + written, a->mapped - written, (off_t)written);
        if (part <= 0)
            fail("memory that other processes may open could not be written");
        written += (size_t)part;
    }
    if (mmap(a->base, a->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED)
        fail("memory that other processes may open could not be mapped");
    a->file = file;
}

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t *handle, void *pointer)
{
    static_assert(sizeof(handle_content) <= sizeof(*handle), "the handle is too small");
    return (cudaError_t)call([&]() -> int {
        auto found = memory().allocations.find((uintptr_t)pointer);
        if (found == memory().allocations.end() || found->second.kind != DEVICE)
            return cudaErrorInvalidValue;
        allocation *a = &found->second;
        make_shareable(a);
        handle_content content = {HANDLE_MAGIC, (int)getpid(), a->file, a->device, a->serial, a->size, a->mapped};
        *handle = cudaIpcMemHandle_t();
        memcpy(handle, &content, sizeof(content));
        return cudaSuccess;
    });
}

/* What an MPI library says of itself, instead of the one that is linked: device memory is memory of the process here,
 * and every library puts from it. */
extern "C" int MPIX_Query_cuda_support(void)
{
    static const choice way = setting_choice("MPI", "knows", "knows|refuses");
    return way.word == "knows";
}

static int open_handle(void **pointer, const handle_content &content)
{
    static const choice way = setting_choice("IPC", "works", "works|refuse|lose");
    if (way.word == "refuse")
        return cudaErrorPeerAccessUnsupported;
    for (auto &entry : memory().allocations) {
        allocation *a = &entry.second;
        if (a->kind == OPENED && a->owner == content.process && a->serial == content.serial) {
            a->references++;
            *pointer = (void *)entry.first;
            return cudaSuccess;
        }
    }
    std::string path = "/proc/" + std::to_string(content.process) + "/fd/" + std::to_string(content.file);
    int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0)
        return cudaErrorMapBufferObjectFailed;
    int sharing = way.word == "lose" ? MAP_PRIVATE : MAP_SHARED;
    void *base = mmap(NULL, content.mapped, PROT_READ | PROT_WRITE, sharing, file, 0);
    close(file);
    if (base == MAP_FAILED)
        return cudaErrorMapBufferObjectFailed;
    allocation made = {
        OPENED, content.device, content.size, (char *)base, content.mapped, -1, content.serial, content.process, 1};
    *pointer = made.base + ZONE;
    memory().allocations.emplace((uintptr_t)*pointer, made);
    if (memory().protect && !memory().open)
        set_access(made, false);
    return cudaSuccess;
}

cudaError_t cudaIpcOpenMemHandle(void **pointer, cudaIpcMemHandle_t handle, unsigned flags)
{
    return (cudaError_t)call([&]() -> int {
        handle_content content;
        memcpy(&content, &handle, sizeof(content));
        if (flags != cudaIpcMemLazyEnablePeerAccess || content.magic != HANDLE_MAGIC)
            return cudaErrorInvalidValue;
        if (content.process == (int)getpid())
            return cudaErrorDeviceUninitialized; /* as CUDA answers the process that made the handle */
        return open_handle(pointer, content);
    });
}

cudaError_t cudaIpcCloseMemHandle(void *pointer)
{
    return (cudaError_t)call([&]() -> int {
        auto found = memory().allocations.find((uintptr_t)pointer);
        if (found == memory().allocations.end() || found->second.kind != OPENED)
            return cudaErrorInvalidValue;
        complete_all();
        if (--found->second.references == 0) {
            unmap(found->second);
            memory().allocations.erase(found);
        }
        return cudaSuccess;
    });
}

cudaError_t cudaIpcGetEventHandle(cudaIpcEventHandle_t *, cudaEvent_t)
{
    return (cudaError_t)call([]() -> int { return cudaErrorNotSupported; });
}

cudaError_t cudaIpcOpenEventHandle(cudaEvent_t *, cudaIpcEventHandle_t)
{
    return (cudaError_t)call([]() -> int { return cudaErrorNotSupported; });
}
