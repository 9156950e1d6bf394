/* Errors that are to be found: `planted NAME` makes one, `planted NAME mpi` makes it as a rank of MPI, the last one.
 *
 * tests/sanitizers/planted_test.sh runs it; what the sanitizers find in Grapevine is worth what they find here. */
#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The compiler knows neither the values nor whether they are used. */
static volatile int one = 1;
static void *volatile kept;

static pthread_mutex_t locks[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static char *shared; /* (shared_bytes) */
static const size_t shared_bytes = 10000;

static void nothing(void)
{
    kept = malloc(8);
    free(kept);
}

static void overflow(void)
{
    char *bytes = malloc(8);
    kept = bytes;
    bytes[7 + one] = 1;
    free(bytes);
}

static void after_free(void)
{
    char *bytes = malloc(8);
    kept = bytes;
    free(bytes);
    *(volatile char *)kept = 1;
}

static void stack_overflow(void)
{
    volatile int values[4] = {0};
    values[3 + one] = 1;
    one += values[0];
}

static void leak(void)
{
    kept = malloc(8);
    kept = NULL;
}

static void signed_overflow(void)
{
    int most = INT_MAX;
    kept = (void *)(intptr_t)(most + one);
}

static void null_copy(void)
{
    memcpy(shared, kept, (size_t)(one - 1));
}

/* Both threads at once: the started one has a context. */
static void in_two_threads(void *(*run)(void *))
{
    pthread_t thread;
    pthread_create(&thread, NULL, run, shared);
    run(NULL);
    pthread_join(thread, NULL);
}

static void *count(void *context)
{
    (void)context;
    for (int k = 0; k < 1000; k++)
        shared[k]++;
    return NULL;
}

static void race(void)
{
    in_two_threads(count);
}

static void *copy(void *context)
{
    static char own[2][10000];
    memcpy(shared, own[context != NULL], shared_bytes - (size_t)one);
    return NULL;
}

/* Where calls of libraries without the sanitizer are ignored, so are these. */
static void race_of_copies(void)
{
    in_two_threads(copy);
}

static void *lock_both(void *context)
{
    int first = context != NULL;
    pthread_mutex_lock(&locks[first]);
    pthread_mutex_lock(&locks[!first]);
    pthread_mutex_unlock(&locks[!first]);
    pthread_mutex_unlock(&locks[first]);
    return NULL;
}

/* One after the other: nothing stops, and it is an error all the same. */
static void lock_order(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, lock_both, shared);
    pthread_join(thread, NULL);
    lock_both(NULL);
}

static const struct planted {
    const char *name;
    void (*make)(void);
} all[] = {
    {"nothing", nothing},
    {"overflow", overflow},
    {"after_free", after_free},
    {"stack_overflow", stack_overflow},
    {"leak", leak},
    {"signed_overflow", signed_overflow},
    {"null_copy", null_copy},
    {"race", race},
    {"race_of_copies", race_of_copies},
    {"lock_order", lock_order},
};

/* A communicator that is never freed: a leak of ours, though MPI allocates it. */
static void leak_communicator(void)
{
    MPI_Comm *copy = malloc(sizeof *copy);
    MPI_Comm_dup(MPI_COMM_WORLD, copy);
    kept = copy;
    kept = NULL;
}

static void make(const char *name)
{
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        if (strcmp(name, all[k].name) == 0)
            all[k].make();
}

int main(int argc, char **argv)
{
    int level, rank, size;
    shared = calloc(shared_bytes, 1);
    if (argc == 2) {
        make(argv[1]);
    } else if (argc == 3) {
        MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        MPI_Comm_size(MPI_COMM_WORLD, &size);
        if (strcmp(argv[1], "leak_communicator") == 0)
            leak_communicator();
        else if (rank == size - 1)
            make(argv[1]);
        MPI_Finalize();
    }
    free(shared);
    return 0;
}
