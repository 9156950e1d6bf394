/* The best rates as one semidefinite program, solved by DSDP.
 *
 * With μ = uλ, M the Laplacian of μ, and the budget C (u is √(χ1/χ2) at the optimum, where the objective is 2√(χ1χ2)):
 *
 *     minimise ½ t1 + t2  over  μ ≥ 0, μ ∈ uC, u, t1, t2, s, and X_p of every piece p of the graph
 *     [[M_p, uI], [uI, X_p]] ⪰ 0     so that X_p ⪰ u² M_p⁻¹, and t1 ≥ eᵀ X_p e for every edge: t1 ≥ 2uχ2
 *     M ⪰ s(I − 11ᵀ/n),  [[s, 1], [1, t2]] ⪰ 0     so that t2 ≥ 1/s ≥ χ1/u
 *
 * That is the thesis's program with its LMI per edge gathered into one per piece: for the complete graph of 32, 496
 * blocks of order 33 become one of order 62 and 496 scalar rows. Laplacians are grounded (one worker's row and column
 * left out): definite, sparse, of rank one per edge, and with the same resistances. As χ2 ≤ χ1, the thesis's u ≥ 1
 * holds by itself.
 *
 * Why DSDP 5.8 (Benson and Ye, dual scaling; Debian's libdsdp-dev): it is the one SDP solver of Debian 12 with a plain
 * C interface to sparse rank-one data; iterates stay feasible on the side where the rates live, so that what it
 * returns are rates however far it came; it prints nothing, reads no file and no clock. CSDP (libsdp-dev) was touched
 * later (2017 against 2006), but keeps the products dense and prints; SDPA is C++ and brings MUMPS; SCS is first order
 * and in later Debians only. DSDP's upstream is finished and its Debian package orphaned, but CVXOPT builds on it. */
#include "graph/rate_program.h"

#include <assert.h>
#include <dsdp/dsdp5.h>
#include <lapacke.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

enum { ITERATIONS_MAX = 200, SCALARS = 4 };

/* Relative to the objective: what the solver is asked for, what is good enough, and what is an answer at all. */
static const double gap_asked = 1e-9, gap_good = 1e-7, gap_accepted = 1e-5;

/* Ways to ask, the quickest first; where rates lie far apart the first may stall, and the next is tried. */
static const struct attempt {
    bool from_own_rates; /* else from DSDP's own infeasible start */
    int corrector_steps; /* that reuse one factored matrix, the dearest part of an iteration */
} attempts[] = {{true, 10}, {true, 4}, {false, 4}};

/* DSDP numbers variables from 1: rates, then the pieces' X, then u, t1, t2, s. */
struct program {
    const struct graph *graph;         /* borrowed */
    const struct graph_pieces *pieces; /* borrowed */
    struct spectrum spectrum;          /* of the graph's own rates */
    enum rate_budget budget;
    int unknowns, u, t1, t2, s;
    int *first;                /* owned, (pieces): first variable of X_p, its lower triangle by rows */
    int *local;                /* owned, (2·edge_count): places of an edge's ends in its piece, −1 where grounded */
    int *indices;              /* owned: data of the matrices, which DSDP reads to the end */
    double *values;            /* owned */
    size_t used, capacity;     /* of both */
    struct row_entry *entries; /* owned: of the scalar rows */
    size_t entry_count;
    int *row_starts, *row_list; /* owned: the same entries by variable */
    double *row_values;         /* owned */
    DSDP solver;
    SDPCone matrices;
    LPCone rows;
};

struct row_entry {
    int variable, row;
    double value;
};

size_t rate_program_unknowns(const struct graph *graph, const struct graph_pieces *pieces)
{
    size_t count = (size_t)graph->edge_count + SCALARS;
    for (int p = 0; p < pieces->count; p++)
        count += (size_t)pieces->rank[p] * ((size_t)pieces->rank[p] + 1) / 2;
    return count;
}

/* Place (row, column) of a packed lower triangle, row ≥ column. */
static int packed(int row, int column)
{
    return row * (row + 1) / 2 + column;
}

static int x_variable(const struct program *program, int piece, int i, int j)
{
    return program->first[piece] + (i >= j ? packed(i, j) : packed(j, i));
}

/* Within each piece its workers are numbered as they come; the last one is grounded. */
static void number_workers(struct program *program)
{
    const struct graph *graph = program->graph;
    int *seen = memory_zalloc((size_t)program->pieces->count * (size_t)graph->worker_count, sizeof *seen);
    int *count = memory_zalloc((size_t)program->pieces->count, sizeof *count);
    for (int e = 0; e < graph->edge_count; e++) {
        int ends[2] = {graph->edges[e].a, graph->edges[e].b}, piece = program->pieces->of_edge[e];
        for (int k = 0; k < 2; k++) {
            int *number = &seen[(size_t)piece * (size_t)graph->worker_count + (size_t)ends[k]];
            if (*number == 0)
                *number = ++count[piece];
            program->local[2 * e + k] = *number <= program->pieces->rank[piece] ? *number - 1 : -1;
        }
    }
    free(seen);
    free(count);
}

static void layout(struct program *program)
{
    const struct graph *graph = program->graph;
    int next = graph->edge_count + 1;
    program->first = memory_zalloc((size_t)program->pieces->count, sizeof *program->first);
    program->local = memory_zalloc(2 * (size_t)graph->edge_count, sizeof *program->local);
    for (int p = 0; p < program->pieces->count; p++) {
        program->first[p] = next;
        next += packed(program->pieces->rank[p], 0);
    }
    program->u = next;
    program->t1 = next + 1;
    program->t2 = next + 2;
    program->s = next + 3;
    program->unknowns = next + 3;
    number_workers(program);
    /* An edge has at most 2 entries in each of two Laplacians; u one for each row of a piece; s a triangle. */
    size_t n = (size_t)graph->worker_count;
    program->capacity = 4 * (size_t)graph->edge_count + 2 * (size_t)program->unknowns + n * n + n;
    program->indices = memory_zalloc(program->capacity, sizeof *program->indices);
    program->values = memory_zalloc(program->capacity, sizeof *program->values);
    /* An edge: its own row, its resistance's row (t1 and 3 entries of X), and two of the budget; u: every budget. */
    program->entries = memory_zalloc(7 * (size_t)graph->edge_count + n, sizeof *program->entries);
}

static size_t add_datum(struct program *program, int index, double value)
{
    assert(program->used < program->capacity);
    program->indices[program->used] = index;
    program->values[program->used] = value;
    return program->used++;
}

static void add_entry(struct program *program, int variable, int row, double value)
{
    program->entries[program->entry_count++] = (struct row_entry){variable, row, value};
}

/* DSDP's slack is C − Σ A_k y_k: a term y·vvᵀ of a block is A = −vvᵀ. */
static int add_edge_term(struct program *program, int block, int order, int variable, int a, int b)
{
    size_t at = program->used;
    if (a >= 0)
        add_datum(program, a, 1);
    if (b >= 0)
        add_datum(program, b, -1);
    return SDPConeSetARankOneMat(program->matrices, block, variable, order, -1, 0, program->indices + at,
                                 program->values + at, (int)(program->used - at));
}

static int add_sparse_term(struct program *program, int block, int order, int variable, size_t at)
{
    return SDPConeSetASparseVecMat(program->matrices, block, variable, order, -1, 0, program->indices + at,
                                   program->values + at, (int)(program->used - at));
}

/* [[M_p, uI], [uI, X_p]]: M's edges are added by add_edges. */
static int add_piece(struct program *program, int piece)
{
    int rank = program->pieces->rank[piece], order = 2 * rank, info = 0;
    info |= SDPConeSetBlockSize(program->matrices, piece, order);
    info |= SDPConeSetStorageFormat(program->matrices, piece, 'P');
    for (int i = 0; i < rank; i++)
        for (int j = 0; j <= i; j++) {
            size_t at = add_datum(program, packed(rank + i, rank + j), 1);
            info |= add_sparse_term(program, piece, order, x_variable(program, piece, i, j), at);
        }
    size_t at = program->used;
    for (int i = 0; i < rank; i++)
        add_datum(program, packed(rank + i, i), 1);
    info |= add_sparse_term(program, piece, order, program->u, at);
    return info;
}

/* M − s(I − 11ᵀ/n), grounded at the last worker, and [[s, 1], [1, t2]]. */
static int add_connectivity(struct program *program)
{
    int n = program->graph->worker_count, block = program->pieces->count, info = 0;
    info |= SDPConeSetBlockSize(program->matrices, block, n - 1);
    info |= SDPConeSetStorageFormat(program->matrices, block, 'P');
    size_t at = program->used;
    for (int i = 0; i < n - 1; i++)
        for (int j = 0; j <= i; j++)
            add_datum(program, packed(i, j), (i == j) - 1.0 / n);
    info |= SDPConeSetADenseVecMat(program->matrices, block, program->s, n - 1, 1, program->values + at,
                                   (int)(program->used - at));
    info |= SDPConeSetBlockSize(program->matrices, block + 1, 2);
    info |= SDPConeSetStorageFormat(program->matrices, block + 1, 'P');
    at = add_datum(program, packed(1, 0), -1);
    info |= add_sparse_term(program, block + 1, 2, 0, at);
    at = add_datum(program, packed(0, 0), 1);
    info |= add_sparse_term(program, block + 1, 2, program->s, at);
    at = add_datum(program, packed(1, 1), 1);
    return info | add_sparse_term(program, block + 1, 2, program->t2, at);
}

/* Rows e: μ_e ≥ 0; rows E + e: t1 ≥ eᵀXe; the rest: the budget. */
static int add_edges(struct program *program)
{
    const struct graph *graph = program->graph;
    int n = graph->worker_count, edges = graph->edge_count, info = 0;
    for (int e = 0; e < edges; e++) {
        int a = graph->edges[e].a, b = graph->edges[e].b, piece = program->pieces->of_edge[e];
        int i = program->local[2 * e], j = program->local[2 * e + 1];
        info |= add_edge_term(program, piece, 2 * program->pieces->rank[piece], e + 1, i, j);
        info |= add_edge_term(program, program->pieces->count, n - 1, e + 1, a, b < n - 1 ? b : -1);
        add_entry(program, e + 1, e, -1);
        add_entry(program, program->t1, edges + e, -1);
        if (i >= 0)
            add_entry(program, x_variable(program, piece, i, i), edges + e, 1);
        if (j >= 0)
            add_entry(program, x_variable(program, piece, j, j), edges + e, 1);
        if (i >= 0 && j >= 0)
            add_entry(program, x_variable(program, piece, i, j), edges + e, -2);
        bool each = program->budget == RATE_BUDGET_WORKER;
        add_entry(program, e + 1, 2 * edges + (each ? a : 0), 1);
        if (each)
            add_entry(program, e + 1, 2 * edges + b, 1);
    }
    return info;
}

/* The rows by variable, as DSDP wants them: column 0 is the constant, which is 0 in all rows. */
static int add_rows(struct program *program)
{
    int n = program->graph->worker_count, edges = program->graph->edge_count;
    int budgets = program->budget == RATE_BUDGET_WORKER ? n : 1;
    for (int k = 0; k < budgets; k++)
        add_entry(program, program->u, 2 * edges + k, budgets == 1 ? -0.5 * n : -1);
    size_t columns = (size_t)program->unknowns + 1;
    program->row_starts = memory_zalloc(columns + 1, sizeof *program->row_starts);
    program->row_list = memory_zalloc(program->entry_count, sizeof *program->row_list);
    program->row_values = memory_zalloc(program->entry_count, sizeof *program->row_values);
    for (size_t k = 0; k < program->entry_count; k++)
        program->row_starts[program->entries[k].variable + 1]++;
    for (size_t c = 0; c < columns; c++)
        program->row_starts[c + 1] += program->row_starts[c];
    int *next = memory_zalloc(columns, sizeof *next);
    for (size_t c = 0; c < columns; c++)
        next[c] = program->row_starts[c];
    for (size_t k = 0; k < program->entry_count; k++) {
        const struct row_entry *entry = &program->entries[k];
        program->row_list[next[entry->variable]] = entry->row;
        program->row_values[next[entry->variable]++] = entry->value;
    }
    free(next);
    return LPConeSetData(program->rows, 2 * edges + budgets, program->row_starts, program->row_list,
                         program->row_values);
}

static int build(struct program *program)
{
    int info = DSDPCreate(program->unknowns, &program->solver);
    if (info != 0)
        return info;
    info |= DSDPCreateSDPCone(program->solver, program->pieces->count + 2, &program->matrices);
    info |= DSDPCreateLPCone(program->solver, &program->rows);
    for (int p = 0; p < program->pieces->count; p++)
        info |= add_piece(program, p);
    info |= add_connectivity(program);
    info |= add_edges(program);
    info |= add_rows(program);
    info |= DSDPSetDualObjective(program->solver, program->t1, -0.5);
    return info | DSDPSetDualObjective(program->solver, program->t2, -1);
}

/* The grounded Laplacian's lower triangle of a piece, by columns, of the graph's own rates. */
static void fill_piece(const struct program *program, int piece, double *laplacian)
{
    size_t rank = (size_t)program->pieces->rank[piece];
    memset(laplacian, 0, rank * rank * sizeof *laplacian);
    for (int e = 0; e < program->graph->edge_count; e++) {
        int i = program->local[2 * e], j = program->local[2 * e + 1];
        double rate = program->graph->edges[e].rate;
        if (program->pieces->of_edge[e] != piece)
            continue;
        if (i >= 0)
            laplacian[(size_t)i * rank + (size_t)i] += rate;
        if (j >= 0)
            laplacian[(size_t)j * rank + (size_t)j] += rate;
        if (i >= 0 && j >= 0)
            laplacian[(size_t)(i < j ? i : j) * rank + (size_t)(i < j ? j : i)] -= rate;
    }
}

/* X_p = factor·M_p⁻¹ */
static int start_piece(struct program *program, int piece, double factor)
{
    int rank = program->pieces->rank[piece], info;
    double *inverse = memory_zalloc((size_t)rank * (size_t)rank, sizeof *inverse);
    fill_piece(program, piece, inverse);
    info = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', rank, inverse, rank);
    if (info == 0)
        info = LAPACKE_dpotri(LAPACK_COL_MAJOR, 'L', rank, inverse, rank);
    for (int i = 0; i < rank; i++)
        for (int j = 0; j <= i; j++)
            info |= DSDPSetY0(program->solver, x_variable(program, piece, i, j),
                              factor * inverse[(size_t)j * (size_t)rank + (size_t)i]);
    free(inverse);
    return info;
}

/* A strictly feasible start saves the solver the search for one, half of its iterations: the graph's own rates at half
 * of the budget, and twice or four times what everything else must then be at least. */
static int start(struct program *program)
{
    const struct graph *graph = program->graph;
    double scale = 0.5 / rate_budget_used(graph, program->budget);
    double chi1 = program->spectrum.chi1 / scale, chi2 = program->spectrum.chi2 / scale, u = sqrt(chi1 / chi2);
    int info = DSDPSetR0(program->solver, 0);
    for (int e = 0; e < graph->edge_count; e++)
        info |= DSDPSetY0(program->solver, e + 1, u * scale * graph->edges[e].rate);
    for (int p = 0; p < program->pieces->count; p++)
        info |= start_piece(program, p, 2 * u / scale);
    info |= DSDPSetY0(program->solver, program->u, u);
    info |= DSDPSetY0(program->solver, program->t1, 8 * u * chi2);
    info |= DSDPSetY0(program->solver, program->s, 0.5 * u / chi1);
    return info | DSDPSetY0(program->solver, program->t2, 4 * chi1 / u);
}

static int solve(struct program *program, const struct attempt *attempt)
{
    int info = attempt->from_own_rates ? start(program) : 0;
    info |= DSDPSetGapTolerance(program->solver, gap_asked);
    info |= DSDPSetMaxIts(program->solver, ITERATIONS_MAX);
    info |= DSDPSetPotentialParameter(program->solver, 5);
    info |= DSDPReuseMatrix(program->solver, attempt->corrector_steps);
    if (info == 0)
        info = DSDPSetup(program->solver);
    if (info == 0)
        info = DSDPSolve(program->solver);
    return info != 0 ? info : DSDPComputeX(program->solver);
}

/* Into rates and bound where the gap is smaller than *gap, which it then becomes. */
static int read_result(struct program *program, double *rates, double *bound, double *gap)
{
    double *unknowns = memory_zalloc((size_t)program->unknowns, sizeof *unknowns), primal = 0, dual = 0;
    int info = DSDPGetY(program->solver, unknowns, program->unknowns);
    info |= DSDPGetPPObjective(program->solver, &primal);
    info |= DSDPGetDDObjective(program->solver, &dual);
    double u = unknowns[program->u - 1], found = fabs(primal - dual) / fabs(dual);
    if (info == 0 && u > 0 && found < *gap) {
        for (int e = 0; e < program->graph->edge_count; e++)
            rates[e] = fmax(unknowns[e], 0) / u;
        *bound = -primal / 2;
        *gap = found;
    }
    free(unknowns);
    return info;
}

static void release(struct program *program)
{
    if (program->solver != NULL)
        DSDPDestroy(program->solver);
    free(program->first);
    free(program->local);
    free(program->indices);
    free(program->values);
    free(program->entries);
    free(program->row_starts);
    free(program->row_list);
    free(program->row_values);
}

static int try_to_solve(struct program program, const struct attempt *attempt, double *rates, double *bound,
                        double *gap)
{
    layout(&program);
    int info = build(&program);
    if (info == 0)
        info = solve(&program, attempt);
    if (info == 0)
        info = read_result(&program, rates, bound, gap);
    release(&program);
    return info;
}

enum status rate_program_solve(const struct graph *graph, const struct graph_pieces *pieces,
                               const struct spectrum *spectrum, enum rate_budget budget, double *rates, double *bound)
{
    struct program program = {.graph = graph, .pieces = pieces, .spectrum = *spectrum, .budget = budget};
    double gap = INFINITY;
    int info = 0;
    assert(graph->worker_count >= 3 && rate_program_unknowns(graph, pieces) < INT_MAX / 2);
    for (size_t k = 0; k < sizeof attempts / sizeof attempts[0] && gap > gap_good; k++)
        info = try_to_solve(program, &attempts[k], rates, bound, &gap);
    if (gap <= gap_accepted)
        return STATUS_OK;
    log_error("graph %s: best rates of %d workers and %d edges: DSDP did not converge (gap %.2g, code %d); use rates "
              "uniform",
              graph->name, graph->worker_count, graph->edge_count, gap, info);
    return STATUS_MACHINE;
}
