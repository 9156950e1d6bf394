/* Multinomial logistic regression: F(θ) = Σ_n w_n [log Σ_c exp z_nc − z_n,label] + ½ Σ_k λ_k Σ_c θ_ck², z_n = θ row_n.
 *
 * Newton's method from 0. A direction d solves H d = −∇F by conjugate gradients, preconditioned by one matrix for all
 * classes, M = Σ_n w_n h_n row_n row_nᵀ + diag(λ_k), h_n the mean curvature of picture n; a step is halved until F
 * falls by a share of what its slope promises, so the method converges from anywhere. With p_n = softmax(z_n) and
 * Δ_n = d row_n:
 *     F(θ + d) − F(θ) = ∇F(θ)ᵀ d + D(d)
 *     D(d) = Σ_n w_n log(1 + Σ_c p_nc φ(Δ_nc − p_nᵀ Δ_n)) + ½ Σ_k λ_k Σ_c d_ck² ≥ 0,  φ(u) = exp u − 1 − u ≥ 0
 * Nothing cancels in D: it judges a step next to the minimiser too, and at the minimiser it is the gap itself.
 *
 * A constant added to every class changes no p, so directions have sum 0 over the classes. Without decay there is a
 * minimiser only where no direction pulls some picture's label ahead of another class and never lets one fall behind:
 * F falls along such a direction for ever. */
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "worker/logistic_loss.h"

enum { NEWTON_STEPS_MAX = 200, CONJUGATE_STEPS_MAX = 2000, HALVINGS_MAX = 60, UNSETTLED_STEPS_MAX = 8 };

static const double gradient_share = 1e-10;    /* ‖∇F‖ ≤ this · ‖∇F(0)‖ */
static const double gradient_rounding = 1e-15; /* of the root mean square of ‖row‖: what rounding leaves of ∇F */
static const double change_settled = 0.01;     /* of a logit in a step: beyond it the next step is not negligible */
static const double change_separable = 0.5; /* with ‖∇F‖ at its target, without decay: where it would end is no place */
static const double share_precise = 1e-4;  /* of the residual that a precise step leaves */
static const double descent_share = 0.1;   /* of the slope that a step must keep */
static const double margin_certain = 1e-6; /* of a label's logit over the others: no rounding makes that */

struct newton {
    size_t count;        /* classes · size */
    double *gradient;    /* owned, (classes, size), as are the next five */
    double *direction;   /* d */
    double *residual;    /* −∇F − H d */
    double *corrected;   /* M⁻¹ residual */
    double *search;      /* conjugate direction */
    double *image;       /* H search */
    double *sums;        /* owned, (parts, classes, size) */
    double *curvatures;  /* owned, (padded): w_n h_n */
    double *factor;      /* owned, (size, size): Cholesky's, of M */
    double *spare;       /* owned, (size, size): where the next one is made */
    size_t steps_since;  /* conjugate steps since M was made */
    double value, start; /* F, ‖∇F(0)‖ */
    double norm, target; /* ‖∇F‖ and where it is to get */
    double margin;       /* least logit of a label over another class's */
    double change;       /* largest of a logit, in the last step */
    int unsettled;       /* steps that changed a logit much though ‖∇F‖ was at its target */
};

static bool logistic_fits(const struct net_spec *spec)
{
    return convex_layer_fits(spec, NET_LOSS_CROSS_ENTROPY);
}

/* --- vectors (classes, size) --- */

static double dot(const double *a, const double *b, size_t count)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t k = 0; k < count; k++)
        sum += a[k] * b[k];
    return sum;
}

/* y += factor x. */
static void add(double *y, double factor, const double *x, size_t count)
{
#pragma omp simd
    for (size_t k = 0; k < count; k++)
        y[k] += factor * x[k];
}

/* y += λ x. */
static void add_decay(const struct logistic *logistic, double *y, const double *x)
{
    for (size_t c = 0; c < logistic->layer.classes; c++)
        for (size_t k = 0; k < logistic->layer.size; k++, y++, x++)
            *y += logistic->decay[k] * *x;
}

/* Make the sum over the classes 0. */
static void center(const struct convex_layer *layer, double *vector)
{
    size_t size = layer->size, count = layer->classes * size;
    for (size_t k = 0; k < size; k++) {
        double sum = 0;
        for (size_t i = k; i < count; i += size)
            sum += vector[i];
        for (size_t i = k; i < count; i += size)
            vector[i] -= sum / (double)layer->classes;
    }
}

/* --- the direction: conjugate gradients --- */

/* M at the present p, factored; the old factor stays where M is singular to working precision (false). */
static bool make_preconditioner(struct logistic *logistic, struct newton *newton)
{
    size_t size = logistic->layer.size, classes = logistic->layer.classes;
    lapack_int order = (lapack_int)size;
    for (size_t n = 0; n < logistic->padded; n++) {
        const double *shares = logistic->shares + n * classes;
        double curvature = 0;
        for (size_t c = 0; c < classes; c++)
            curvature += shares[c] * (1 - shares[c]);
        newton->curvatures[n] = logistic->weights[n] * curvature / (double)(classes > 1 ? classes - 1 : 1);
    }
    memset(newton->spare, 0, size * size * sizeof *newton->spare);
    convex_layer_add_moment(&logistic->layer, logistic->rows, newton->curvatures, logistic->padded, newton->spare,
                            logistic->threads);
    for (size_t k = 0; k < size; k++)
        newton->spare[k * size + k] += logistic->decay[k];
    newton->steps_since = 0;
    /* The upper triangle in rows is LAPACK's lower one in columns. */
    double scale = LAPACKE_dlansy(LAPACK_COL_MAJOR, '1', 'L', order, newton->spare, order), reciprocal_condition = 0;
    if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', order, newton->spare, order) != 0)
        return false;
    LAPACKE_dpocon(LAPACK_COL_MAJOR, 'L', order, newton->spare, order, scale, &reciprocal_condition);
    if (!(reciprocal_condition > (double)size * DBL_EPSILON))
        return false;
    double *old = newton->factor;
    newton->factor = newton->spare;
    newton->spare = old;
    return true;
}

/* corrected = M⁻¹ residual. Returns their product, the square of the residual's norm. */
static double precondition(const struct logistic *logistic, struct newton *newton)
{
    lapack_int size = (lapack_int)logistic->layer.size, classes = (lapack_int)logistic->layer.classes;
    memcpy(newton->corrected, newton->residual, newton->count * sizeof *newton->corrected);
    LAPACKE_dpotrs(LAPACK_COL_MAJOR, 'L', size, classes, newton->factor, size, newton->corrected, size);
    center(&logistic->layer, newton->corrected);
    return dot(newton->residual, newton->corrected, newton->count);
}

/* image = H search. */
static void apply_curvature(struct logistic *logistic, struct newton *newton)
{
    logistic_curvature(logistic, newton->search, newton->sums);
    memcpy(newton->image, newton->sums, newton->count * sizeof *newton->image);
    add_decay(logistic, newton->image, newton->search);
}

/* direction ≈ −H⁻¹ gradient: the residual falls by `share`. Any number of steps, one at least, gives a descent. */
static void find_direction(const struct convex_setup *setup, struct logistic *logistic, struct newton *newton,
                           double share)
{
    size_t count = newton->count;
    memset(newton->direction, 0, count * sizeof *newton->direction);
    for (size_t k = 0; k < count; k++)
        newton->residual[k] = -newton->gradient[k];
    double square = precondition(logistic, newton), target = share * share * square;
    memcpy(newton->search, newton->corrected, count * sizeof *newton->search);
    for (int step = 0; step < CONJUGATE_STEPS_MAX; step++) {
        apply_curvature(logistic, newton);
        convex_progress(setup, newton->norm / newton->start, 1);
        double curvature = dot(newton->search, newton->image, count), before = square;
        if (!(curvature > 0))
            break;
        add(newton->direction, square / curvature, newton->search, count);
        add(newton->residual, -square / curvature, newton->image, count);
        newton->steps_since++;
        square = precondition(logistic, newton);
        if (!(square > target))
            break;
        for (size_t k = 0; k < count; k++)
            newton->search[k] = newton->corrected[k] + square / before * newton->search[k];
    }
    center(&logistic->layer, newton->direction);
}

/* --- Newton's method --- */

/* F, ∇F, p and the margins at θ. */
static void evaluate(struct logistic *logistic, struct newton *newton)
{
    double loss = logistic_gradient(logistic, newton->sums, &newton->margin);
    size_t size = logistic->layer.size;
    double decay = 0;
    for (size_t k = 0; k < newton->count; k++)
        decay += logistic->decay[k % size] * logistic->theta[k] * logistic->theta[k];
    memcpy(newton->gradient, newton->sums, newton->count * sizeof *newton->gradient);
    add_decay(logistic, newton->gradient, logistic->theta);
    center(&logistic->layer, newton->gradient);
    newton->value = loss + 0.5 * decay;
    newton->norm = sqrt(dot(newton->gradient, newton->gradient, newton->count));
}

/* θ += the longest of direction, ½ direction, … along which F falls enough. False: along none. */
static bool take_step(struct logistic *logistic, struct newton *newton)
{
    double slope = dot(newton->gradient, newton->direction, newton->count), step = 1;
    double change = logistic_change(logistic, newton->direction);
    for (int i = 0; i < HALVINGS_MAX && slope < 0; i++, step *= 0.5)
        if (logistic_excess(logistic, newton->direction, step) <= (1 - descent_share) * step * -slope) {
            add(logistic->theta, step, newton->direction, newton->count);
            center(&logistic->layer, logistic->theta);
            newton->change = step * change;
            return true;
        }
    return false;
}

static bool decays(const struct convex_setup *setup)
{
    return setup->decay > 0 && setup->decayed > 0;
}

static enum status refuse_separable(const struct convex_setup *setup)
{
    log_error("model.name logistic: its loss has no minimiser, because a linear classifier separates classes of the "
              "%zu training pictures, so that its weights grow for ever; set optimizer.weight_decay, which is %g, to "
              "1e-4 for example, or run.optimum to false",
              setup->count, setup->decay);
    return STATUS_USAGE;
}

static enum status refuse_dependent(const struct convex_setup *setup)
{
    log_error("model.name logistic: its loss has no single minimiser, because the features of the %zu training "
              "pictures are linearly dependent; set optimizer.weight_decay, which is %g, to 1e-4 for example, or "
              "run.optimum to false",
              setup->count, setup->decay);
    return STATUS_USAGE;
}

static enum status refuse_unreached(const struct convex_setup *setup, const struct newton *newton)
{
    log_error(
        "model.name logistic: its minimiser was not found, because its loss is almost flat around it: Newton's "
        "method leaves a gradient of %.1e of the first, %.0e is asked for; raise optimizer.weight_decay, which is "
        "%g, to 1e-4 for example, or run.optimum to false",
        newton->norm / newton->start, gradient_share, setup->decay);
    return STATUS_USAGE;
}

/* A class without a picture: nothing holds its bias, unless decay does. */
static enum status check_classes(const struct convex_setup *setup, const struct logistic *logistic)
{
    size_t classes = logistic->layer.classes, missing = 0;
    double *weights = memory_zalloc(classes, sizeof *weights);
    for (size_t n = 0; n < logistic->count; n++)
        weights[logistic->labels[n]] += logistic->weights[n];
    while (missing < classes && weights[missing] > 0)
        missing++;
    free(weights);
    if (missing == classes || classes == 1 || logistic->decay[logistic->layer.features] > 0)
        return STATUS_OK;
    log_error("model.name logistic: its loss has no minimiser, because none of the %zu training pictures is of class "
              "%zu, so that the bias of this class falls for ever; set optimizer.decay_norm_and_bias to true and "
              "optimizer.weight_decay, which is %g, to 1e-4 for example, or run.optimum to false",
              setup->count, missing, setup->decay);
    return STATUS_USAGE;
}

/* θ is the minimiser as far as the gradient and a step tell: the last one, or, without decay, a precise one from here.
 * Where classes separate, little is left of the gradient and of the curvature alike, but not of their quotient. */
static bool arrived(const struct convex_setup *setup, struct logistic *logistic, struct newton *newton)
{
    if (newton->norm > newton->target)
        return false;
    newton->unsettled++;
    if (!decays(setup) && newton->norm > 0) {
        if (!make_preconditioner(logistic, newton))
            return false;
        find_direction(setup, logistic, newton, share_precise);
        newton->change = logistic_change(logistic, newton->direction);
    }
    return newton->change <= change_settled;
}

/* At θ = 0. */
static void begin_newton(struct logistic *logistic, struct newton *newton)
{
    evaluate(logistic, newton);
    newton->start = newton->norm;
    newton->target = fmax(gradient_share * newton->start, gradient_rounding * logistic->row_scale);
}

static enum status minimise(const struct convex_setup *setup, struct logistic *logistic, struct newton *newton)
{
    begin_newton(logistic, newton);
    /* Making M costs about as much as this many conjugate steps. */
    size_t steps_worth = 1 + logistic->layer.size / (4 * logistic->layer.classes);
    for (int step = 0; !arrived(setup, logistic, newton); step++) {
        if (!decays(setup) && newton->margin > margin_certain)
            return refuse_separable(setup);
        bool far = newton->unsettled > 0 && newton->change > change_separable;
        if ((far || newton->unsettled > UNSETTLED_STEPS_MAX) && !decays(setup))
            return refuse_separable(setup);
        if (step == NEWTON_STEPS_MAX)
            return refuse_unreached(setup, newton);
        bool stale = step == 0 || newton->steps_since >= steps_worth;
        if (stale && !make_preconditioner(logistic, newton) && step == 0)
            return refuse_dependent(setup);
        double share = fmin(0.1, sqrt(newton->norm / newton->start));
        find_direction(setup, logistic, newton, fmax(share, 0.1 * newton->target / newton->norm));
        if (!take_step(logistic, newton))
            return refuse_unreached(setup, newton);
        evaluate(logistic, newton);
        log_debug("logistic: Newton step %d, %zu conjugate steps: F %.17g, gradient %.2e of the first, logits change "
                  "by %.1e",
                  step + 1, newton->steps_since, newton->value, newton->norm / newton->start, newton->change);
    }
    return STATUS_OK;
}

/* --- memory --- */

static void newton_init(struct newton *newton, const struct logistic *logistic)
{
    size_t size = logistic->layer.size, count = logistic->layer.classes * size;
    *newton = (struct newton){.count = count};
    double **const vectors[] = {&newton->gradient,  &newton->direction, &newton->residual,
                                &newton->corrected, &newton->search,    &newton->image};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        *vectors[i] = memory_zalloc(count, sizeof **vectors[i]);
    newton->sums = memory_alloc_aligned_for(LOGISTIC_PARTS * count * sizeof *newton->sums,
                                            "the minimiser (run.optimum=false leaves it out)");
    newton->curvatures = memory_zalloc(logistic->padded, sizeof *newton->curvatures);
    newton->factor = memory_alloc_aligned_for(size * size * sizeof *newton->factor,
                                              "the minimiser (run.optimum=false leaves it out)");
    newton->spare = memory_alloc_aligned_for(size * size * sizeof *newton->spare,
                                             "the minimiser (run.optimum=false leaves it out)");
}

static void newton_release(struct newton *newton)
{
    free(newton->gradient);
    free(newton->direction);
    free(newton->residual);
    free(newton->corrected);
    free(newton->search);
    free(newton->image);
    memory_free_aligned(newton->sums);
    free(newton->curvatures);
    memory_free_aligned(newton->factor);
    memory_free_aligned(newton->spare);
}

/* --- what optimum.c calls --- */

static enum status logistic_solve(const struct convex_setup *setup, double *x, double *value, void **problem)
{
    enum status status;
    struct logistic *logistic;
    struct newton newton;
    TRY(logistic_create(setup, &logistic));
    newton_init(&newton, logistic);
    TRY_GOTO(check_classes(setup, logistic), release);
    TRY_GOTO(minimise(setup, logistic, &newton), release);
    *value = newton.value;
    convex_layer_to_flat(&logistic->layer, logistic->theta, x);
    *problem = logistic;
release:
    newton_release(&newton);
    if (status != STATUS_OK)
        logistic_destroy(logistic);
    return status;
}

static size_t logistic_remembered(const struct net_spec *spec)
{
    struct convex_layer layer = convex_layer_of(spec);
    return layer.classes * layer.size;
}

static void logistic_remember(const void *problem, double *numbers)
{
    const struct logistic *logistic = problem;
    memcpy(numbers, logistic->theta, logistic->layer.classes * logistic->layer.size * sizeof *numbers);
}

/* ∇F at θ against ∇F(0), as at the end of Newton's method. */
static enum status logistic_recall(const struct convex_setup *setup, const double *numbers, double *x, double *value,
                                   void **problem, bool *good)
{
    struct logistic *logistic;
    TRY(logistic_create(setup, &logistic));
    size_t count = logistic->layer.classes * logistic->layer.size;
    struct newton newton = {.count = count};
    newton.gradient = memory_zalloc(count, sizeof *newton.gradient);
    newton.sums = memory_zalloc(LOGISTIC_PARTS * count, sizeof *newton.sums);
    begin_newton(logistic, &newton);
    memcpy(logistic->theta, numbers, count * sizeof *numbers);
    evaluate(logistic, &newton);
    *good = newton.norm <= newton.target;
    free(newton.gradient);
    free(newton.sums);
    if (!*good) {
        logistic_destroy(logistic);
        return STATUS_OK;
    }
    *value = newton.value;
    convex_layer_to_flat(&logistic->layer, logistic->theta, x);
    *problem = logistic;
    return STATUS_OK;
}

static double logistic_gap(const struct optimum *optimum, const float *x)
{
    struct logistic *logistic = optimum->problem;
    size_t count = logistic->layer.classes * logistic->layer.size;
    double *difference = memory_zalloc(count, sizeof *difference);
    convex_layer_from_flat(&logistic->layer, x, difference);
    add(difference, -1, logistic->theta, count);
    logistic_change(logistic, difference);
    double gap = logistic_excess(logistic, difference, 1);
    free(difference);
    return gap;
}

static struct optimum_need logistic_need(const struct net_spec *spec, double count)
{
    struct convex_layer layer = convex_layer_of(spec);
    double size = (double)layer.size, classes = (double)layer.classes, vector = size * classes * sizeof(double);
    return (struct optimum_need){
        .solving = 2 * size * size * sizeof(double) + (LOGISTIC_PARTS + 6) * vector + count * sizeof(double),
        .kept = count * (size * sizeof(float) + 3 * classes * sizeof(double) + sizeof(int32_t) + sizeof(double)) +
                vector + LOGISTIC_PARTS * 4 * (size + classes) * sizeof(double),
    };
}

const struct convex_ops convex_logistic_ops = {
    .need = logistic_need,
    .recall = logistic_recall,
    .remembered = logistic_remembered,
    .remember = logistic_remember,
    .fits = logistic_fits,
    .solve = logistic_solve,
    .gap = logistic_gap,
    .destroy = logistic_destroy,
};
