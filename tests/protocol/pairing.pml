/* Who meets whom, and what a consistent cut holds: a model of src/runtime/mpi/pairing.c for the model checker Spin.
 *
 * Not a program: every worker may at any moment do anything that a rule allows, and Spin goes through all orders of
 * that. The edge states, the kinds of words and the numbers of the rules are those of pairing.c (protocol.bash compares
 * them). Ticks are left out: they choose whom to ask, and here anybody may ask anybody.
 *
 * What is checked, in every state that can be reached:
 *   - a snapshot is applied once, and it is the peer's of the same meeting, which exactly one of the two has committed;
 *   - nobody withdraws from a meeting once its own snapshot has left;
 *   - a slot is kept until the put into it has arrived and has been read, a snapshot buffer until it has left;
 *   - at most WORDS_IN_FLIGHT words of one direction are on their way;
 *   - a recorded cut that both ends of an edge have completed holds the same meetings at both;
 * and in every state where nothing can move any more, when every worker that lives has nothing left to do:
 *   - no worker that lives is engaged; between two of them each meeting is withdrawn by both or applied by both, and
 *     applied if it was committed; the last cut of a worker whose neighbors live is complete.
 *
 * Cuts. A worker may record its own state, its next cut, at any moment. Every word carries the writer's number of cuts,
 * and who reads a higher number than its own takes its cuts up to there before it reacts (all of them here; the program
 * takes the last, so that there is less to agree on). A meeting belongs to the number m that its COMMIT carries: it is
 * in every cut above m and in no other. Who takes cut e marks the edges that are then GRANTED or EXCHANGING as
 * outstanding: their differences are added to the recorded state when they are applied, unless the COMMIT turns out to
 * carry m >= e, or the attempt ends without one. A recorded state is complete when nothing is outstanding; a newer cut
 * abandons one that is not. So every difference is in the recorded states of both ends or of neither, and their sum is
 * kept. It is not a cut of causes: the snapshot of an outstanding meeting may have been taken after it.
 *
 * The world. The words of one direction arrive in order, each at any later time, and a reader may miss some. A payload
 * arrives whole, at any later time, unordered to everything else (what has been damaged on its way is put again below
 * this protocol: it arrives later). What a dead worker has put may arrive or vanish; of words, any tail. A stopped
 * worker is one that does nothing for a while, and that is any worker; what SILENT adds is that nobody gives up a wait
 * for one that is not. Torn and repeated payloads, restarts with lost memory and endless runs are not modelled, so
 * nothing is shown about starvation.
 *
 * Four things keep the number of states small and lose none that matters:
 *   - One rule is one indivisible step: it reads one word or one slot, and then only writes.
 *   - Only the reader can tell when a word or a payload has arrived, so it arrives when it is read. A channel holds the
 *     words that are on their way; a rule reads on to the first that it needs: nearer ones it has missed, farther ones
 *     it may still read. That all but the last are missed is a step of its own.
 *   - Words that no rule of their reader needs any more are dropped.
 *   - A draining record is drained when somebody takes it; until then it counts as either.
 *
 *   -DWORKERS=2..4   in a ring (2: one edge); -DLINE: in a line; -DCOMPLETE: every two; -DDIRECTED: in a ring, where
 *                    each asks the one before it only (and calls back)
 *   -DRECORDS=..     payload slots, each with a snapshot buffer, of a worker: 1 to 3
 *   -DATTEMPTS=..    attempts of each edge, at most 7
 *   -DCUTS=..        cuts of each worker
 *   -DTIME_LIMIT=..  NEVER, ANY (any wait may be given up at any time), SILENT (one for a stopped or dead worker);
 *                    -DGIVEN_UP_MAX=..: with ANY, so many in all at most
 *   -DDEATHS=.. -DSTOPS=..   how many workers die, how often one stops and goes on
 *   -DKEEP_ALL_WORDS each word is on its way until its reader has read it or a later one, needed or not: for the bound
 *                    WORDS_IN_FLIGHT
 *   -DMUTANT_..      a protocol with a mistake in it, which must be found; they are listed in protocol.bash
 *
 * What was searched completely, without an error, with Spin 6.5.2 (states stored; RECORDS=2 where nothing is said; the
 * lines of pairing_test.sh, about a minute in all, and of pairing_long.sh, about six, on one core of an EPYC):
 *
 *   workers                 attempts  cuts  time limit      deaths  stops      states
 *   2                              4     2  ANY                  1      -     469,273
 *   2                              3     2  SILENT               1      2     700,062
 *   2, KEEP_ALL_WORDS              4     0  ANY                  1      -      30,516
 *   3                              2     1  NEVER                -      -     237,003
 *   3                              1     0  ANY                  -      -     446,546
 *   3                              1     1  ANY, once            -      -     230,506
 *   3, RECORDS=1                   1     1  ANY, once            -      -     232,929
 *   3, LINE                        1     1  ANY                  -      -     154,084
 *   3                              1     1  SILENT               1      -     473,437
 *   3                              1     1  SILENT               -      1   1,144,727
 *   4                              1     1  NEVER                -      -     265,115
 *   4                              1     0  SILENT               1      -     286,920
 *   4                              1     0  SILENT               -      1     597,933
 *   4, LINE                        1     1  SILENT               1      -   1,181,745
 *   4, DIRECTED                    1     0  ANY, twice           -      -      95,617
 *   long: 2                        7     2  ANY                  1      -   4,681,862
 *         2                        5     2  SILENT               1      2   2,542,770
 *         2, KEEP_ALL_WORDS        7     1  ANY                  1      -   2,934,104
 *         3, KEEP_ALL_WORDS        1     0  ANY                  -      -   4,529,812
 *         3                        1     0  ANY                  1      -   3,469,439
 *         3                        3     1  NEVER                -      -   3,700,231
 *         3                        2     1  ANY, once            -      -   6,921,422
 *         3                        1     1  ANY, three times     -      -   7,580,305
 *         3, LINE                  2     1  ANY, three times     -      -   3,750,118
 *         3, LINE                  1     2  ANY                  -      -   1,563,229
 *         4                        1     1  ANY, once            -      -   6,892,741
 *         4                        1     1  SILENT               1      -  14,436,059
 *         4, LINE                  1     1  SILENT               -      1   2,574,340
 *         4, COMPLETE              1     1  NEVER                -      -   7,660,652
 *
 * Not complete, and so not among them: three workers with any number of waits given up and cuts; four with several
 * attempts. The random networks of tests/unit go there.
 */
#define NEVER 0
#define ANY 1
#define SILENT 2

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef RECORDS
#define RECORDS 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef TIME_LIMIT
#define TIME_LIMIT ANY
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef STOPS
#define STOPS 0
#endif

#define WORDS_IN_FLIGHT 5

#define EDGE_IDLE 0
#define EDGE_ASKED 1
#define EDGE_CANCELLED 2
#define EDGE_GRANTED 3
#define EDGE_EXCHANGING 4

#define WORD_ASK 1
#define WORD_CANCEL 2
#define WORD_COMMIT 3
#define WORD_REFUSE 4
#define WORD_GRANT 5

#define RECORD_FREE 0
#define RECORD_HELD 1
#define RECORD_DRAINING 2

#define NOBODY WORKERS
#define NO_RECORD RECORDS

/* What worker a keeps about worker b, or puts to it, stands at AT(a, b). */
#define AT(a, b) ((a) * WORKERS + (b))
#define PAIRS (WORKERS * WORKERS)
#if defined(LINE)
#define IS_EDGE(a, b) ((a) + 1 == (b) || (b) + 1 == (a))
#elif defined(COMPLETE)
#define IS_EDGE(a, b) ((a) != (b))
#else
#define IS_EDGE(a, b) ((a) != (b) && (((a) + 1) % WORKERS == (b) || ((b) + 1) % WORKERS == (a)))
#endif

/* --- the worker's own state, as struct pairing holds it --- */
byte state[PAIRS];               /* EDGE_ */
byte attempt[PAIRS];             /* number of the last attempt */
byte record[PAIRS];              /* held, or NO_RECORD */
bit owed[PAIRS];                 /* a has refused b and has not called it since */
bit outstanding[PAIRS];          /* the meeting is, or may be, before the newest cut, and was not applied by then */
byte records[WORKERS * RECORDS]; /* RECORD_ */
byte engaged[WORKERS];           /* the neighbor that the worker is busy with, or NOBODY */
byte cut[WORKERS];               /* the number of cuts that it has taken */

/* --- the world --- */
chan word[PAIRS] = [WORDS_IN_FLIGHT + 1] of { byte, byte, byte, byte }; /* attempt, WORD_, slot, cut */
byte payload_attempt[PAIRS]; /* of the payload that is on its way, 0: none */
byte payload_slot[PAIRS];
bit dead[WORKERS], stopped[WORKERS];
byte deaths, stops, given_up;

/* --- what the checks remember: sets of attempts, attempt s as bit s --- */
byte committed[PAIRS], begun[PAIRS], applied[PAIRS];
#if CUTS > 0
byte recorded[CUTS * PAIRS]; /* the meetings with b in a's recorded cut; forgotten once both ends agree */
bit completed[CUTS * WORKERS];
#define RECORDED(e, a, b) recorded[((e) - 1) * PAIRS + AT(a, b)]
#define COMPLETED(e, a) completed[((e) - 1) * WORKERS + (a)]
#endif

#ifdef MUTANT_EARLY_FREE
bit busy[WORKERS * RECORDS]; /* the record was reserved before it was drained, and it still is not */
#endif

/* Within one step: the word that was read, and a counter. */
hidden byte seen_attempt, seen_kind, seen_slot, seen_cut, k;

#define BIT(s) (1 << (s))
#define MINE AT(i, j)
#define THEIRS AT(j, i)
#define AWAKE(a) (!dead[a] && !stopped[a])
#define RECORD_OF(a, b) records[(a) * RECORDS + record[AT(a, b)]]

#if RECORDS == 1
#define ANY_RECORD(a, which) (records[a] which)
#elif RECORDS == 2
#define ANY_RECORD(a, which) (records[2 * (a)] which || records[2 * (a) + 1] which)
#else
#define ANY_RECORD(a, which) (records[3 * (a)] which || records[3 * (a) + 1] which || records[3 * (a) + 2] which)
#endif
/* A draining record may be found drained, or not yet. */
#define HAS_RECORD(a) ANY_RECORD(a, != RECORD_HELD)
#define MAY_LACK_RECORD(a) (!ANY_RECORD(a, == RECORD_FREE))

#if WORKERS == 2
#define OWES_ANYBODY(a) (owed[AT(a, 0)] || owed[AT(a, 1)])
#elif WORKERS == 3
#define OWES_ANYBODY(a) (owed[AT(a, 0)] || owed[AT(a, 1)] || owed[AT(a, 2)])
#else
#define OWES_ANYBODY(a) (owed[AT(a, 0)] || owed[AT(a, 1)] || owed[AT(a, 2)] || owed[AT(a, 3)])
#endif

#ifdef DIRECTED
#define MAY_ASK(a, b) ((b) == (a + WORKERS - 1) % WORKERS)
#else
#define MAY_ASK(a, b) true
#endif

#if TIME_LIMIT == NEVER
#define MAY_GIVE_UP(a) false
#elif TIME_LIMIT == SILENT
#define MAY_GIVE_UP(a) (dead[a] || stopped[a])
#elif defined(GIVEN_UP_MAX)
#define MAY_GIVE_UP(a) (given_up < GIVEN_UP_MAX)
#else
#define MAY_GIVE_UP(a) true
#endif

/* A rule of worker i about its neighbor j. */
#define RULE(number, edge_state, condition) AWAKE(i) && state[MINE] == edge_state && (condition)
/* A word of that kind (or any: _) of our attempt, or of the one after it, can be read. */
#define SAME(kind) (word[THEIRS] ?? [eval(attempt[MINE]), kind, _, _])
#define NEW(kind) (word[THEIRS] ?? [eval(attempt[MINE] + 1), kind, _, _])
#define SEEN_SAME (seen_attempt == attempt[MINE])
#define SEEN_NEW (seen_attempt == attempt[MINE] + 1)
/* No rule will need it, however far the state goes from here. */
#define SEEN_STALE                                                                                   \
    (seen_attempt < attempt[MINE] ||                                                                 \
     (SEEN_SAME && (state[MINE] == EDGE_IDLE || state[MINE] == EDGE_EXCHANGING ||                    \
                    (state[MINE] == EDGE_GRANTED && (seen_kind == WORD_ASK || seen_kind == WORD_REFUSE)))))
#ifdef MUTANT_NO_INFERENCE
#define PASSED false
#else
#define PASSED NEW(_)
#endif

inline put(kind, slot)
{
    assert(nfull(word[MINE]));
#ifdef MUTANT_NO_CUT_IN_WORDS
    word[MINE] ! attempt[MINE], kind, slot, 0;
#else
    word[MINE] ! attempt[MINE], kind, slot, cut[i];
#endif
}

/* Read on to the first word with that condition, and take the cuts that it tells of. */
inline read(condition)
{
    do
    :: word[THEIRS] ? <seen_attempt, seen_kind, seen_slot, seen_cut>;
       if
       :: condition -> break
       :: else -> word[THEIRS] ? _, _, _, _
       fi
    od;
#if !defined(MUTANT_NO_CUT_ON_READING) && !defined(MUTANT_CUT_AFTER_REACTING)
    catch_up()
#endif
}

/* What follows a reaction. */
inline reacted()
{
#ifdef MUTANT_CUT_AFTER_REACTING
    catch_up();
#endif
#ifndef KEEP_ALL_WORDS
    do
    :: word[THEIRS] ? <seen_attempt, seen_kind, seen_slot, seen_cut> ->
       if
       :: SEEN_STALE -> word[THEIRS] ? _, _, _, _
       :: else -> break
       fi
    :: empty(word[THEIRS]) -> break
    od;
#endif
    seen_attempt = 0;
    seen_kind = 0;
    seen_slot = 0;
    seen_cut = 0
}

/* All words on their way but the last `left` never arrive. */
inline lose_words(left)
{
    do
    :: len(word[THEIRS]) > left -> word[THEIRS] ? _, _, _, _
    :: else -> break
    od;
    skip
}

/* A free record before a draining one: the latter may still be found not drained. */
inline reserve()
{
    k = 0;
    do
    :: k < RECORDS && records[i * RECORDS + k] != RECORD_FREE -> k++
    :: else -> break
    od;
    if
    :: k == RECORDS ->
       k = 0;
       do
       :: k < RECORDS && records[i * RECORDS + k] != RECORD_DRAINING -> k++
       :: else -> break
       od
    :: else
    fi;
    assert(k < RECORDS && record[MINE] == NO_RECORD);
#ifdef MUTANT_EARLY_FREE
    busy[i * RECORDS + k] = (records[i * RECORDS + k] == RECORD_DRAINING);
#endif
    records[i * RECORDS + k] = RECORD_HELD;
    record[MINE] = k;
    k = 0
}

/* Nothing may be on its way to a slot that is given back. */
inline release(next)
{
    assert(payload_attempt[THEIRS] == 0 || payload_slot[THEIRS] != record[MINE]);
    RECORD_OF(i, j) = next;
    record[MINE] = NO_RECORD
}

/* The attempt is over without a commitment: possible only while our snapshot has not left. */
inline withdraw(next)
{
    assert(!(begun[MINE] & BIT(attempt[MINE])));
    release(RECORD_FREE);
    state[MINE] = next
}

inline leave()
{
    if
    :: engaged[i] == j -> engaged[i] = NOBODY
    :: else
    fi
}

/* The one commitment of the attempt. */
inline commit()
{
    assert(!(committed[MINE] & BIT(attempt[MINE])));
    committed[MINE] = committed[MINE] | BIT(attempt[MINE]);
    committed[THEIRS] = committed[MINE];
    put(WORD_COMMIT, record[MINE])
}

/* Take the snapshot into the record's buffer, and put it into the peer's slot, which must be kept for it. */
inline begin(slot)
{
    assert(RECORD_OF(i, j) == RECORD_HELD);
#ifdef MUTANT_EARLY_FREE
    assert(!busy[i * RECORDS + record[MINE]] && !busy[j * RECORDS + slot]);
#endif
    assert(payload_attempt[MINE] == 0);
    assert(record[THEIRS] == slot && attempt[THEIRS] == attempt[MINE]);
    assert(RECORD_OF(j, i) == RECORD_HELD);
    assert(!(begun[MINE] & BIT(attempt[MINE])));
    begun[MINE] = begun[MINE] | BIT(attempt[MINE]);
    payload_attempt[MINE] = attempt[MINE];
    payload_slot[MINE] = slot;
    state[MINE] = EDGE_EXCHANGING
}

inline apply()
{
    assert(payload_attempt[THEIRS] == attempt[MINE] && payload_slot[THEIRS] == record[MINE]);
    assert(!(applied[MINE] & BIT(attempt[MINE])));
    assert(begun[MINE] & begun[THEIRS] & BIT(attempt[MINE]));
    assert(committed[MINE] & committed[THEIRS] & BIT(attempt[MINE]));
    applied[MINE] = applied[MINE] | BIT(attempt[MINE]);
    payload_attempt[THEIRS] = 0;
    payload_slot[THEIRS] = 0
}

/* Whom i cannot ask any more it owes nothing. */
inline forgive_after_last()
{
    owed[MINE] = owed[MINE] && attempt[MINE] < ATTEMPTS
}

inline give_up()
{
    engaged[i] = NOBODY;
#ifdef GIVEN_UP_MAX
    given_up++
#endif
}

#include "pairing_cut.pml"

/* --- the rules: worker i's end of its edge with j --- */

#ifdef MUTANT_SYMMETRIC
#define GRANTS_CROSSING true
#else
#define GRANTS_CROSSING (i > j)
#endif

#ifdef MUTANT_DEFER_ALL
#define REFUSES_WHEN_ENGAGED false
#else
#define REFUSES_WHEN_ENGAGED (j < i)
#endif

#ifdef MUTANT_NO_ACKNOWLEDGEMENT
#define HEARD true
#else
#define HEARD (SAME(_) || NEW(_))
#endif

#ifdef MUTANT_ONE_AT_A_TIME
#define MAY_EXCHANGE (engaged[i] == j || engaged[i] == NOBODY)
#else
#define MAY_EXCHANGE true
#endif

#ifdef MUTANT_ANNUL
#define ANNULLED 5 /* an edge state: the payload will be thrown away */
#endif

#ifdef MUTANT_NO_TAG
bit slot_written[WORKERS * RECORDS];
#define ARRIVED (payload_attempt[THEIRS] == attempt[MINE] || slot_written[i * RECORDS + record[MINE]])
#else
#define ARRIVED (payload_attempt[THEIRS] == attempt[MINE] && payload_slot[THEIRS] == record[MINE])
#endif

proctype edge_end(byte i; byte j)
{
end:
    do
    :: d_step {
           RULE(1, EDGE_IDLE, engaged[i] == NOBODY && HAS_RECORD(i) && attempt[MINE] < ATTEMPTS &&
                              (owed[MINE] || (MAY_ASK(i, j) && !OWES_ANYBODY(i)))) ->
           owed[MINE] = 0;
           attempt[MINE]++;
           reserve();
           state[MINE] = EDGE_ASKED;
           engaged[i] = j;
           put(WORD_ASK, 0);
           reacted()
       }
    :: d_step {
           RULE(2, EDGE_IDLE, NEW(WORD_ASK) && engaged[i] == NOBODY && HAS_RECORD(i) &&
                              (owed[MINE] || !OWES_ANYBODY(i))) ->
           read(SEEN_NEW && seen_kind == WORD_ASK);
           owed[MINE] = 0;
           attempt[MINE]++;
           reserve();
           state[MINE] = EDGE_GRANTED;
           engaged[i] = j;
           put(WORD_GRANT, record[MINE]);
           reacted()
       }
    :: d_step {
           RULE(3, EDGE_IDLE, NEW(WORD_ASK) && ((engaged[i] != NOBODY && REFUSES_WHEN_ENGAGED) ||
                                                (engaged[i] == NOBODY && MAY_LACK_RECORD(i)))) ->
           read(SEEN_NEW && seen_kind == WORD_ASK);
           attempt[MINE]++;
           owed[MINE] = 1;
           forgive_after_last();
           put(WORD_REFUSE, 0);
           reacted()
       }
    /* RULE(4, EDGE_IDLE, a new ASK from a higher worker while engaged): nothing; it can be read again later. */
    :: d_step {
           RULE(5, EDGE_IDLE, NEW(WORD_CANCEL)) ->
           read(SEEN_NEW && seen_kind == WORD_CANCEL);
           attempt[MINE]++;
           forgive_after_last();
           put(WORD_REFUSE, 0);
           reacted()
       }
    :: d_step {
           RULE(6, EDGE_ASKED, SAME(WORD_GRANT)) ->
           read(SEEN_SAME && seen_kind == WORD_GRANT);
           commit();
           begin(seen_slot);
           reacted()
       }
    :: d_step {
           RULE(7, EDGE_ASKED, SAME(WORD_ASK) && GRANTS_CROSSING) ->
           read(SEEN_SAME && seen_kind == WORD_ASK);
           state[MINE] = EDGE_GRANTED;
           put(WORD_GRANT, record[MINE]);
           reacted()
       }
    /* RULE(8, EDGE_ASKED, the same ASK from a higher worker): nothing; its GRANT will come. */
    :: d_step {
           RULE(9, EDGE_ASKED, SAME(WORD_REFUSE) || SAME(WORD_CANCEL) || PASSED) ->
           read(SEEN_NEW || (SEEN_SAME && (seen_kind == WORD_REFUSE || seen_kind == WORD_CANCEL)));
           withdraw(EDGE_IDLE);
           leave();
           reacted()
       }
    :: d_step {
           RULE(10, EDGE_ASKED, engaged[i] == j && MAY_GIVE_UP(j)) ->
           put(WORD_CANCEL, 0);
           withdraw(EDGE_CANCELLED);
           give_up()
       }
    :: d_step {
           RULE(11, EDGE_CANCELLED, HEARD) ->
#ifndef MUTANT_NO_ACKNOWLEDGEMENT
           read(SEEN_SAME || SEEN_NEW);
#endif
           state[MINE] = EDGE_IDLE;
           reacted()
       }
    :: d_step {
           RULE(12, EDGE_GRANTED, SAME(WORD_COMMIT) && MAY_EXCHANGE) ->
           read(SEEN_SAME && seen_kind == WORD_COMMIT);
           sort_commit();
           begin(seen_slot);
           reacted()
       }
    :: d_step {
           RULE(13, EDGE_GRANTED, SAME(WORD_CANCEL) || PASSED) ->
           read(SEEN_NEW || (SEEN_SAME && seen_kind == WORD_CANCEL));
           withdraw(EDGE_IDLE);
           not_outstanding();
           leave();
           reacted()
       }
    :: d_step {
           RULE(14, EDGE_GRANTED, engaged[i] == j && MAY_GIVE_UP(j)) ->
#ifdef MUTANT_REVOKE
           put(WORD_REFUSE, 0);
           withdraw(EDGE_IDLE);
#endif
           give_up()
       }
    :: d_step {
           RULE(15, EDGE_EXCHANGING, ARRIVED) ->
           apply();
#ifdef MUTANT_NO_TAG
           slot_written[i * RECORDS + record[MINE]] = 1;
#endif
           add_to_recorded();
           release(RECORD_DRAINING);
           state[MINE] = EDGE_IDLE;
           leave();
           reacted()
       }
    :: d_step {
           RULE(16, EDGE_EXCHANGING, engaged[i] == j && MAY_GIVE_UP(j)) ->
#ifdef MUTANT_ANNUL
           state[MINE] = ANNULLED;
#endif
           give_up()
       }
#ifdef MUTANT_ANNUL
    :: d_step {
           RULE(-, ANNULLED, ARRIVED) ->
           payload_attempt[THEIRS] = 0;
           payload_slot[THEIRS] = 0;
           release(RECORD_DRAINING);
           state[MINE] = EDGE_IDLE
       }
#endif
#ifdef MUTANT_LATE_COMMIT
    :: d_step {
           RULE(-, EDGE_CANCELLED, SAME(WORD_GRANT) && engaged[i] == NOBODY && HAS_RECORD(i)) ->
           read(SEEN_SAME && seen_kind == WORD_GRANT);
           commit();
           reserve();
           engaged[i] = j;
           begin(seen_slot);
           reacted()
       }
#endif
    /* The world: i has missed all words but the last; what a dead j has put vanishes. */
    :: d_step { !dead[i] && len(word[THEIRS]) > 1 -> lose_words(1) }
#if DEATHS > 0
    :: d_step { dead[j] && nempty(word[THEIRS]) -> lose_words(0) }
    :: d_step {
           dead[j] && payload_attempt[THEIRS] != 0 ->
           payload_attempt[THEIRS] = 0;
           payload_slot[THEIRS] = 0
       }
#endif
    od
}

/* What worker i does by itself: its cuts, its records, its fate. */
proctype worker(byte i)
{
end:
    do
#if CUTS > 0
    :: d_step { AWAKE(i) && cut[i] < CUTS -> take_cut() }
#endif
#if DEATHS > 0
    :: d_step { AWAKE(i) && deaths < DEATHS -> deaths++; dead[i] = 1 }
#endif
#if STOPS > 0
    :: d_step { AWAKE(i) && stops < STOPS -> stops++; stopped[i] = 1 }
#endif
    :: stopped[i] -> stopped[i] = 0
#ifdef MUTANT_EARLY_FREE
    :: busy[i * RECORDS] -> busy[i * RECORDS] = 0
    :: busy[i * RECORDS + 1] -> busy[i * RECORDS + 1] = 0
#endif
    od
}

hidden byte a, b, has_dead_neighbor;

inline check_worker(a)
{
    assert(dead[a] || engaged[a] == NOBODY);
#if CUTS > 0
    assert(dead[a] || has_dead_neighbor || COMPLETED(CUTS, a));
#endif
}

inline check_edge(a, b)
{
    if
    :: IS_EDGE(a, b) && !dead[a] && !dead[b] ->
       assert(state[AT(a, b)] == EDGE_IDLE && state[AT(b, a)] == EDGE_IDLE);
       assert(attempt[AT(a, b)] == attempt[AT(b, a)]);
       assert(applied[AT(a, b)] == applied[AT(b, a)]);
       assert(applied[AT(a, b)] == committed[AT(a, b)])
    :: else
    fi
}

/* Moves only when nobody else can. */
active proctype at_rest()
{
    atomic {
        timeout ->
        for (a : 0 .. WORKERS - 1) {
            has_dead_neighbor = 0;
            for (b : 0 .. WORKERS - 1) {
                check_edge(a, b);
                has_dead_neighbor = has_dead_neighbor | (IS_EDGE(a, b) && dead[b])
            }
            check_worker(a)
        }
    }
}

init
{
    atomic {
        for (a : 0 .. WORKERS - 1) {
            engaged[a] = NOBODY;
            run worker(a);
            for (b : 0 .. WORKERS - 1) {
                record[AT(a, b)] = NO_RECORD;
                if
                :: IS_EDGE(a, b) ->
#ifdef KEEP_ALL_WORDS
                   word[AT(a, b)] ! 0, 0, 0, 0; /* b has seen it; so one word of the channel always has arrived */
#endif
                   run edge_end(a, b)
                :: else
                fi
            }
        }
    }
}
