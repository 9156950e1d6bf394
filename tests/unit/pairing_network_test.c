/* runtime/mpi/pairing.h in random networks: time-outs, stopped and dead workers, and what holds in spite of them. */
#include "pairing_network.h"

/* From "never gives up" to "gives up before anything can arrive". */
static const double patiences_s[] = {1e9, 400, 60, 15, 3};
enum { PATIENCES = sizeof patiences_s / sizeof patiences_s[0] };

static struct network_params draw_params(uint64_t seed)
{
    static const int worker_counts[] = {2, 3, 4, 5, 6};
    return (struct network_params){
        .seed = seed,
        .topology = (enum topology)(seed % 3),
        .worker_count = worker_counts[seed / 3 % 5],
        .records = 1 + (int)(seed / 15 % 3),
        .patience_s = patiences_s[seed / 45 % PATIENCES],
    };
}

static void random_networks_keep_every_promise(void **state)
{
    (void)state;
    uint64_t meetings = 0;
    for (uint64_t seed = 0; seed < 4500; seed++) {
        struct network_params params = draw_params(seed);
        struct network *network = network_create(&params);
        network_run(network, 1000, seed % 2 == 0 ? 3 : 30);
        if (network->params.patience_s < 60)
            network->params.patience_s = 60; /* else few waits end well */
        network_finish(network, 1000000);
        network_check_end(network);
        meetings += network->drawn;
        network_destroy(network);
    }
    assert_true(meetings > 100000);
}

/* No wait is ever given up from some moment on: whatever was parked or owed by then resolves by itself. */
static void no_state_needs_time_outs_to_get_out_of(void **state)
{
    (void)state;
    for (uint64_t seed = 10000; seed < 11800; seed++) {
        struct network_params params = draw_params(seed);
        struct network *network = network_create(&params);
        network_run(network, 400, 4);
        network->params.patience_s = 1e9;
        network_finish(network, 1000000);
        network_check_end(network);
        network_destroy(network);
    }
}

static void a_stopped_worker_holds_up_nobody_and_catches_up(void **state)
{
    (void)state;
    for (uint64_t seed = 20000; seed < 20300; seed++) {
        struct network_params params = draw_params(seed);
        params.topology = TOPOLOGY_COMPLETE;
        params.worker_count = 4 + (int)(seed % 2);
        params.records = 2 + (int)(seed / 2 % 2);
        params.patience_s = 60;
        struct network *network = network_create(&params);
        network_run(network, (int)(seed % 100) * 4, 6);
        struct member *stopped = &network->members[seed / 7 % 4];
        stopped->stopped = true;
        for (int window = 0; window < 3; window++) {
            uint64_t before[WORKERS_MAX];
            for (int i = 0; i < params.worker_count; i++)
                before[i] = network->members[i].meetings;
            network_run(network, 3000, 10);
            for (int i = 0; i < params.worker_count; i++)
                EXPECT(network, (network->members[i].meetings > before[i]) == (i != stopped->id));
        }
        stopped->stopped = false;
        network_finish(network, 1000000);
        network_check_end(network);
        network_destroy(network);
    }
}

/* Nobody can serve a tick with a dead worker. */
static void void_ticks(struct network *network, int dead)
{
    for (int i = 0; i < network->params.worker_count; i++)
        network->members[i].ticks[dead] = 0;
}

static void a_dead_worker_blocks_no_third_one(void **state)
{
    (void)state;
    for (uint64_t seed = 30000; seed < 30300; seed++) {
        struct network_params params = draw_params(seed);
        params.topology = seed % 2 == 0 ? TOPOLOGY_COMPLETE : TOPOLOGY_RING;
        params.worker_count = 4 + (int)(seed / 2 % 3);
        params.records = 3;
        params.patience_s = 60;
        struct network *network = network_create(&params);
        network_run(network, (int)(seed % 100) * 4, 6);
        int dead = (int)(seed / 7 % 4);
        network_kill(network, dead);
        for (int window = 0; window < 3; window++) {
            uint64_t before[WORKERS_MAX];
            for (int i = 0; i < params.worker_count; i++)
                before[i] = network->members[i].meetings;
            network_run(network, 4000, 10);
            for (int i = 0; i < params.worker_count; i++)
                EXPECT(network, i == dead || network->members[i].meetings > before[i]);
        }
        void_ticks(network, dead);
        network_finish(network, 1000000);
        network_check_end(network);
        network_destroy(network);
    }
}

/* With one record alone, too: nothing is lost to the dead. Survivors learn of the death one after another. */
static void a_buried_worker_leaves_nothing_open(void **state)
{
    (void)state;
    for (uint64_t seed = 60000; seed < 62000; seed++) {
        struct network_params params = draw_params(seed);
        params.worker_count = 3 + (int)(seed % 4);
        struct network *network = network_create(&params);
        network_run(network, 400, 3);
        int dead = (int)(seed / 7 % 3);
        network_kill(network, dead);
        for (int i = 0; i < params.worker_count; i++) {
            network_run(network, (int)(seed % 50), 3);
            if (i != dead)
                network_bury(network, i, dead);
        }
        network_run(network, 400, 3);
        void_ticks(network, dead);
        if (network->params.patience_s < 60)
            network->params.patience_s = 60;
        network_finish(network, 1000000);
        network_check_end(network);
        for (int i = 0; i < params.worker_count; i++) {
            struct pairing *pairing = &network->members[i].pairing;
            for (int k = 0; k < 1000 && i != dead && !pairing_quiet(pairing); k++)
                pairing_sweep(pairing, network->now_s, network->params.patience_s);
            EXPECT(network, i == dead || (pairing_quiet(pairing) && pairing->engaged == PAIRING_NOBODY));
        }
        network_destroy(network);
    }
}

/* Cuts that workers begin on their own, at the same time or one after another, fast or slow. */
static void neighbors_agree_on_what_is_in_a_cut(void **state)
{
    (void)state;
    uint64_t compared = 0;
    for (uint64_t seed = 50000; seed < 53000; seed++) {
        struct network_params params = draw_params(seed);
        if (seed % 5 == 0) { /* somebody dies */
            params.records = 3;
            params.patience_s = 60;
        }
        struct network *network = network_create(&params);
        network->cuts_one_in = seed % 4 == 0 ? 20 : seed % 4 == 1 ? 100 : 500;
        network_run(network, 1500, 3);
        if (seed % 5 == 0)
            network_kill(network, (int)(seed / 5 % 2));
        network_run(network, 500, 3);
        if (seed % 5 == 0)
            void_ticks(network, (int)(seed / 5 % 2));
        if (network->params.patience_s < 60)
            network->params.patience_s = 60;
        network_finish(network, 1000000);
        network_check_end(network);
        compared += network->cuts_compared;
        network_destroy(network);
    }
    assert_true(compared > 30000);
}

/* Everybody always wants everybody: nobody is left out, whoever was met before. */
static void nobody_starves_in_a_complete_graph_of_three(void **state)
{
    (void)state;
    for (uint64_t seed = 40000; seed < 40030; seed++) {
        struct network_params params = {
            .seed = seed, .topology = TOPOLOGY_COMPLETE, .worker_count = 3, .records = 1 + (int)(seed % 3)};
        params.patience_s = 1e9;
        struct network *network = network_create(&params);
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 1000; k++)
                for (int j = 0; j < 3; j++)
                    network_draw_tick(network, i, j);
        for (int window = 0; window < 30; window++) {
            uint64_t before[3];
            for (int i = 0; i < 3; i++)
                before[i] = network->members[i].meetings;
            for (int k = 0; k < 500; k++)
                network_step(network);
            for (int i = 0; i < 3; i++)
                EXPECT(network, network->members[i].meetings > before[i]);
        }
        network_destroy(network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_networks_keep_every_promise),
        cmocka_unit_test(no_state_needs_time_outs_to_get_out_of),
        cmocka_unit_test(a_stopped_worker_holds_up_nobody_and_catches_up),
        cmocka_unit_test(a_dead_worker_blocks_no_third_one),
        cmocka_unit_test(a_buried_worker_leaves_nothing_open),
        cmocka_unit_test(neighbors_agree_on_what_is_in_a_cut),
        cmocka_unit_test(nobody_starves_in_a_complete_graph_of_three),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
