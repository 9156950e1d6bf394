/* The ways to χ1 and χ2 that spectrum.c chooses among, and the Laplacian that they share.
 *
 *     dense       LAPACK: eigenvalue and inverse, O(n³); exact to rounding             spectrum_dense.c
 *     direct      sparse LDLᵀ (CHOLMOD), inverse on the factor's pattern               spectrum_factor.c
 *     iterative   conjugate gradients, Chebyshev series; for graphs that fill factors  spectrum_iterate.c, _chebyshev.c
 *
 * All are for connected workers and rates > 0. One thread; scratch memory is theirs. */
#ifndef GRAPEVINE_GRAPH_SPECTRUM_PARTS_H
#define GRAPEVINE_GRAPH_SPECTRUM_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "graph/graph.h"
#include "graph/spectrum.h"

/* Λ in compressed rows: row i holds its neighbors by ascending id. */
struct laplacian {
    const char *name; /* borrowed: of the graph, for messages */
    int worker_count, edge_count;
    struct graph_edge *edges; /* owned: those with a rate > 0, in the graph's order */
    int *start;               /* owned, (worker_count + 1) */
    int *column, *edge;       /* owned, (2·edge_count): neighbor, and index into edges */
    double *rate;             /* owned, (2·edge_count) */
    double *degree;           /* owned, (worker_count): Λ_ii, sum of the row's rates */
};

/* rates (graph.edge_count) stand for those of the graph; NULL: the graph's own. */
struct laplacian *laplacian_create(const struct graph *graph, const double *rates);
void laplacian_destroy(struct laplacian *laplacian);
bool laplacian_is_connected(const struct laplacian *laplacian);
void laplacian_multiply(const struct laplacian *laplacian, const double *x, double *out);
enum status laplacian_report_unresolved(const struct laplacian *laplacian, const char *what);

/* What was asked for. Each way sets chi1 where it is not NULL, and the others on success. */
struct spectrum_request {
    double *chi1;        /* NULL: not wanted */
    double *chi2;        /* NULL: not wanted */
    double *resistances; /* (edge_count of the Laplacian) or NULL: not wanted */
};

enum spectrum_way { SPECTRUM_DENSE, SPECTRUM_DIRECT, SPECTRUM_ITERATIVE, SPECTRUM_CHOSEN };

/* Answer by the given way, whatever the size; SPECTRUM_CHOSEN chooses. For tests and benchmarks, and spectrum.c. */
enum status spectrum_answer(const struct laplacian *laplacian, enum spectrum_way way,
                            const struct spectrum_request *request);

enum status dense_answer(const struct laplacian *laplacian, const struct spectrum_request *request);

/* --- direct --- */

struct factor;

/* Order and analyze the Laplacian without its most connected worker; no numbers yet. NULL where the library gives up
 * (out of memory, or an index beyond its range): then the graph is not one for this way. */
struct factor *factor_create(const struct laplacian *laplacian);
void factor_destroy(struct factor *factor);
double factor_operations(const struct factor *factor); /* of the factorization; the inverse takes twice as many */
double factor_entries(const struct factor *factor);    /* of the factor, 20 bytes each with the inverse's */
enum status factor_answer(struct factor *factor, const struct spectrum_request *request);

/* --- iterative --- */

/* Edges that a symmetry of the graph maps onto one another have the same resistance. Looks for rotation of the ids,
 * for flips of their bits, and for workers with the same neighbors and rates. same_as (edge_count): the
 * representative of each edge, itself for a representative. Returns the number of representatives. */
int edge_classes(const struct laplacian *laplacian, int *same_as);

/* Upper bound of the second smallest eigenvalue μ_2 of D^{-1/2} Λ D^{-1/2} by 40 matrix products: near to it in an
 * expander, some 10⁻³ in a graph of long paths. */
enum status gap_probe(const struct laplacian *laplacian, double *gap);

/* The same with a relative error below 1e-3, by conjugate gradients. */
enum status gap_compute(const struct laplacian *laplacian, double *gap);

/* χ1 by Lanczos on Λ⁺, which conjugate gradients apply. */
enum status iterate_chi1(const struct laplacian *laplacian, double *chi1);

/* Resistance of one edge by conjugate gradients, relative error below 1e-9. */
enum status iterate_resistance(const struct laplacian *laplacian, int edge, double *resistance);

/* Resistances of the representatives (edges with same_as[e] == e), relative error below 1e-6 for gaps
 * (μ_2) of 0.02 or more: rounding grows as gaps shrink. */
void chebyshev_resistances(const struct laplacian *laplacian, double gap, const int *same_as, double *resistances);
/* Multiply-adds that it takes. */
double chebyshev_operations(const struct laplacian *laplacian, double gap, const int *same_as);

/* --- both --- */

struct symmetric_operator {
    int size;
    const double *kernel; /* (size), of length 1: the search is among the vectors orthogonal to it */
    enum status (*apply)(void *context, const double *in, double *out);
    void *context;
};

struct lanczos_limits {
    double tolerance; /* of the residual, relative to the eigenvalue */
    int step_max;     /* products with the operator */
};

/* The largest eigenvalue, and how large the residual still is, relative to it: some eigenvalue is no farther away.
 * Eigenvalues that coincide do no harm: one vector of their space is enough. */
enum status lanczos_largest(const struct symmetric_operator *symmetric, const struct lanczos_limits *limits,
                            double *largest, double *residual);

#endif
