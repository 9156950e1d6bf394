/* Consistent cuts in the model of the pairing protocol: what worker i records, and that its neighbors record the same.
 * Included by pairing.pml, which says what a cut is. */

#if CUTS > 0
/* Nothing is outstanding: worker i's recorded cut is complete, and holds what its neighbors' hold. */
inline complete_if_ready()
{
    k = 0;
    do
    :: k < WORKERS && !outstanding[AT(i, k)] -> k++
    :: else -> break
    od;
    if
    :: k == WORKERS && cut[i] > 0 && !COMPLETED(cut[i], i) ->
       COMPLETED(cut[i], i) = 1;
       for (k : 0 .. WORKERS - 1) {
           if
           :: IS_EDGE(i, k) && COMPLETED(cut[i], k) ->
              assert(RECORDED(cut[i], i, k) == RECORDED(cut[i], k, i));
              RECORDED(cut[i], i, k) = 0;
              RECORDED(cut[i], k, i) = 0
           :: else
           fi
       }
    :: else
    fi;
    k = 0
}

inline abandon_if_incomplete()
{
    if
    :: cut[i] > 0 && !COMPLETED(cut[i], i) ->
       for (k : 0 .. WORKERS - 1) {
           RECORDED(cut[i], i, k) = 0
       }
    :: else
    fi
}

#ifdef MUTANT_GRANTED_NOT_OUTSTANDING
#define OUTSTANDING(edge_state) (edge_state == EDGE_EXCHANGING)
#elif defined(MUTANT_EXCHANGING_NOT_OUTSTANDING)
#define OUTSTANDING(edge_state) (edge_state == EDGE_GRANTED)
#elif defined(MUTANT_NOTHING_OUTSTANDING)
#define OUTSTANDING(edge_state) false
#else
#define OUTSTANDING(edge_state) (edge_state == EDGE_GRANTED || edge_state == EDGE_EXCHANGING)
#endif

inline take_cut()
{
    abandon_if_incomplete();
    cut[i]++;
    for (k : 0 .. WORKERS - 1) {
        RECORDED(cut[i], i, k) = applied[AT(i, k)];
        outstanding[AT(i, k)] = OUTSTANDING(state[AT(i, k)])
    }
    complete_if_ready()
}

inline catch_up()
{
    do
    :: cut[i] < seen_cut -> take_cut()
    :: else -> break
    od
}

/* The meeting is committed with number m (seen_cut): is it before the newest cut? */
inline sort_commit()
{
#ifndef MUTANT_COMMIT_NUMBER_IGNORED
    if
    :: seen_cut >= cut[i] -> not_outstanding()
    :: else
    fi
#endif
    skip
}

inline not_outstanding()
{
    outstanding[MINE] = 0;
    complete_if_ready()
}

inline add_to_recorded()
{
    if
    :: outstanding[MINE] ->
       RECORDED(cut[i], i, j) = RECORDED(cut[i], i, j) | BIT(attempt[MINE]);
       not_outstanding()
    :: else
    fi
}
#else
inline catch_up() { skip }
inline sort_commit() { skip }
inline not_outstanding() { skip }
inline add_to_recorded() { skip }
#endif
