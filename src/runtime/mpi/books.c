/* The numbers of a real worker's state, in the order in which they are kept. */
#include "runtime/mpi/books.h"

static void walk_sums(struct run_state_walk *walk, struct books *books)
{
    struct since_report *since = &books->since;
    run_state_walk_double(walk, &books->idle_s);
    run_state_walk_double(walk, &books->load_s);
    run_state_walk_double(walk, &books->before_s);
    run_state_walk_double(walk, &books->update_progress);
    run_state_walk_double(walk, &books->next_evaluation);
    run_state_walk_double(walk, &books->next_checkpoint);
    run_state_walk_double(walk, &books->best_accuracy);
    run_state_walk_double(walk, &since->begin_s);
    run_state_walk_double(walk, &since->loss);
    run_state_walk_double(walk, &since->idle_s);
    run_state_walk_double(walk, &since->load_s);
    run_state_walk_double(walk, &since->distance_sum);
    run_state_walk_whole(walk, &since->steps);
    run_state_walk_whole(walk, &since->correct);
    run_state_walk_whole(walk, &since->exchanges);
}

static void walk_saved(struct run_state_walk *walk, struct communicator_saved *saved)
{
    struct communicator_counts *counts = &saved->counts;
    run_state_walk_whole(walk, &counts->exchanges);
    run_state_walk_whole(walk, &counts->ticks);
    run_state_walk_whole(walk, &counts->unserved);
    run_state_walk_whole(walk, &counts->pending);
    run_state_walk_whole(walk, &counts->lost);
    run_state_walk_whole(walk, &counts->given_up);
    run_state_walk_whole(walk, &counts->damaged);
    run_state_walk_whole(walk, &counts->repeated);
    run_state_walk_double(walk, &counts->distance_sum);
    run_state_walk_double(walk, &saved->average_s);
    run_state_walk_double(walk, &saved->time);
    run_state_walk_whole(walk, &saved->steps);
    for (size_t j = 0; j < saved->degree; j++) {
        run_state_walk_whole(walk, &saved->due[j]);
        run_state_walk_whole(walk, &saved->met[j]);
    }
    for (size_t i = 0; i < saved->worker_count; i++) {
        run_state_walk_whole(walk, &saved->meetings[i]);
        run_state_walk_whole(walk, &saved->gradients[i]);
    }
}

void books_walk(struct run_state_walk *walk, struct books *books, double *time, struct communicator_saved *saved)
{
    double no_time = 0;
    run_state_walk_whole(walk, &books->steps);
    run_state_walk_double(walk, time != NULL ? time : &no_time);
    walk_sums(walk, books);
    walk_saved(walk, saved);
}
