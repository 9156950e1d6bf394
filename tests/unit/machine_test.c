/* base/machine.h: limits of control groups of both versions, wherever they stand between a group and the root. */
#include "base/machine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/sysinfo.h>

#include <cmocka.h>

#include "photo_fixture.h"

/* A file below the folder of control groups, and the group that the process is in. */
struct entry {
    const char *file, *text;
};

static struct machine_limits limits_of(const struct photo_fixture *fixture, const char *membership)
{
    char *list = photo_path(fixture, "membership"), *root = photo_path(fixture, "groups");
    photo_write_text(fixture, "membership", membership);
    struct machine_limits limits = machine_limits_read(list, root);
    free(root);
    free(list);
    return limits;
}

static void write_entries(const struct photo_fixture *fixture, const struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *name = text_format("groups/%s", entries[i].file);
        photo_write_text(fixture, name, entries[i].text);
        free(name);
    }
}

static void expect(const struct photo_fixture *fixture, const char *membership, double memory, double cores)
{
    struct machine_limits limits = limits_of(fixture, membership);
    if (limits.memory != memory || limits.cores != cores)
        fail_msg("%s: %g bytes and %g cores, should be %g and %g", membership, limits.memory, limits.cores, memory,
                 cores);
}

/* A container's: its own group looks like the root, which has no limits of its own on a real machine. */
static void version_2_at_the_root(void **state)
{
    static const struct entry entries[] = {{"memory.max", "1073741824\n"}, {"cpu.max", "250000 100000\n"}};
    write_entries(*state, entries, 2);
    expect(*state, "0::/\n", 1073741824, 2.5);
    expect(*state, "0::/somewhere/else\n", 1073741824, 2.5); /* the path is the host's */
}

/* A batch system's: the job has the limit, and the task is deep in it. */
static void version_2_around_the_group(void **state)
{
    static const struct entry entries[] = {
        {"slurm/job_7/memory.max", "8589934592\n"},        {"slurm/job_7/cpu.max", "max 100000\n"},
        {"slurm/job_7/step_0/memory.max", "max\n"},        {"slurm/job_7/step_0/cpu.max", "400000 100000\n"},
        {"slurm/job_7/step_0/task_3/memory.max", "max\n"}, {"slurm/job_8/memory.max", "1\n"}};
    write_entries(*state, entries, 6);
    expect(*state, "0::/slurm/job_7/step_0/task_3\n", 8589934592, 4);
    expect(*state, "0::/slurm/job_7\n", 8589934592, INFINITY);
    expect(*state, "0::/slurm\n", INFINITY, INFINITY);
}

/* One hierarchy for each controller, some of them together. */
static void version_1(void **state)
{
    static const struct entry entries[] = {{"memory/jobs/memory.limit_in_bytes", "2147483648\n"},
                                           {"memory/jobs/a/memory.limit_in_bytes", "9223372036854771712\n"},
                                           {"memory/memory.limit_in_bytes", "9223372036854771712\n"},
                                           {"cpu/jobs/cpu.cfs_quota_us", "-1\n"},
                                           {"cpu/jobs/cpu.cfs_period_us", "100000\n"},
                                           {"cpu/jobs/a/cpu.cfs_quota_us", "150000\n"},
                                           {"cpu/jobs/a/cpu.cfs_period_us", "50000\n"}};
    write_entries(*state, entries, 7);
    expect(*state, "9:memory:/jobs/a\n4:cpuacct,cpu:/jobs/a\n1:name=systemd:/\n0::/\n", 2147483648, 3);
    expect(*state, "9:memory:/jobs/a\n4:cpuset:/jobs/a\n", 2147483648, INFINITY);
    expect(*state, "4:cpu,cpuacct:/jobs\n", INFINITY, INFINITY);
}

static void nothing_is_no_limit(void **state)
{
    expect(*state, "", INFINITY, INFINITY);
    expect(*state, "0::/a/b\n", INFINITY, INFINITY);
    expect(*state, "nonsense\n::\n0:memory\n7:memory:\n", INFINITY, INFINITY);
    struct machine_limits limits = machine_limits_read("/nonexistent/cgroup", "/nonexistent");
    assert_true(isinf(limits.memory) && isinf(limits.cores));
}

static void this_machine(void **state)
{
    struct sysinfo about;
    (void)state;
    assert_int_equal(sysinfo(&about), 0);
    assert_true(machine_memory() > 1 << 20 && machine_memory() <= (uint64_t)about.totalram * about.mem_unit);
    assert_in_range(machine_cores(), 1, get_nprocs_conf());
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, photo_fixture_set_up, photo_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(version_2_at_the_root), IN_FOLDER(version_2_around_the_group), IN_FOLDER(version_1),
        IN_FOLDER(nothing_is_no_limit),   cmocka_unit_test(this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
