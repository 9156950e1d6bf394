/* A²CiD²: randomized gossip with a continuous momentum (Nabli, Belilovsky, Oyallon, NeurIPS 2023).
 *
 *     dx_i = η(x̃_i − x_i) dt − γ ∇F_i(x_i, ξ_i) dN_i(t) − α Σ_j (x_i − x_j) dM_ij(t)
 *     dx̃_i = η(x_i − x̃_i) dt − γ ∇F_i(x_i, ξ_i) dN_i(t) − α̃ Σ_j (x_i − x_j) dM_ij(t)
 *
 * Between two events only the η terms act, and they are solved exactly: after Δ units of time the pair (x, x̃) has
 * moved by ±mix·(x̃ − x) with mix = ½(1 − exp(−2ηΔ)). That keeps x + x̃, and leaves x = x̃ alone to the last bit. The
 * state is therefore (x, x̃) as of the last event, and each event starts by advancing to its own time, in the same pass
 * over memory. (Oyallon, habilitation thesis 2023, eq. 5.22-5.23.) */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/replica.h"
#include "base/memory.h"

struct algo {
    struct replica replica;
    float *x_tilde; /* owned, (count) */
    double t_last;  /* time of the last event, to which x and x̃ belong */
    bool retuned;   /* η has changed since then, at last at t_eta, and ∫ η dt from t_last to t_eta is `mixed` */
    double t_eta, mixed;
};

static double mix_at(const struct algo *algo, double t)
{
    assert(t >= algo->t_last);
    double eta = algo->replica.params.eta;
    return -0.5 * expm1(-2 * (algo->retuned ? algo->mixed + eta * (t - algo->t_eta) : eta * (t - algo->t_last)));
}

static void end_event(struct algo *algo, double t)
{
    algo->t_last = t;
    algo->retuned = false;
}

static void acid_destroy(struct algo *algo)
{
    if (algo == NULL)
        return;
    const struct algo_params *p = &algo->replica.params;
    p->ops->vector_free(p->device, algo->x_tilde);
    replica_release(&algo->replica);
    free(algo);
}

static void acid_reset(struct algo *algo, double t)
{
    replica_copy(&algo->replica, true, 0, algo->replica.params.count, algo->x_tilde);
    end_event(algo, t);
}

static enum status acid_create(const struct algo_params *params, struct algo **out)
{
    assert(params->eta >= 0 && isfinite(params->eta));
    enum status status;
    struct algo *algo = memory_zalloc(1, sizeof *algo);
    TRY_GOTO(replica_init(&algo->replica, params), destroy);
    TRY_GOTO(params->ops->vector_alloc(params->device, params->count, &algo->x_tilde), destroy);
    acid_reset(algo, 0);
    *out = algo;
    return STATUS_OK;
destroy:
    acid_destroy(algo);
    return status;
}

static bool acid_on_update(struct algo *algo, double t, const struct update *update)
{
    double mix = mix_at(algo, t);
    end_event(algo, t);
    return replica_update(&algo->replica, mix, algo->x_tilde, update);
}

static void acid_on_pair(struct algo *algo, double t, bool shared, const struct pair *pair)
{
    const struct algo_params *p = &algo->replica.params;
    struct pair_coefficients c = {.mix = mix_at(algo, t), .alpha = p->alpha, .alpha_tilde = p->alpha_tilde};
    p->ops->pair(p->device, shared, &c, p->count, p->x, algo->x_tilde, pair->own, pair->peer);
    end_event(algo, t);
}

static void acid_snapshot(struct algo *algo, double t, bool shared, size_t first, size_t count, float *out)
{
    const struct algo_params *p = &algo->replica.params;
    p->ops->snapshot(p->device, shared, mix_at(algo, t), count, p->x + first, algo->x_tilde + first, out);
}

static float *acid_vector(struct algo *algo, const char *name)
{
    return strcmp(name, "x_tilde") == 0 ? algo->x_tilde : replica_vector(&algo->replica, name);
}

/* No event: what the old η does until t is kept as an exponent. */
static void acid_retune(struct algo *algo, double t, const struct dynamic *dynamic)
{
    struct algo_params *p = &algo->replica.params;
    algo->mixed = algo->retuned ? algo->mixed + p->eta * (t - algo->t_eta) : p->eta * (t - algo->t_last);
    algo->t_eta = t;
    algo->retuned = true;
    p->eta = dynamic->eta;
    p->alpha = dynamic->alpha;
    p->alpha_tilde = dynamic->alpha_tilde;
}

static double *acid_time(struct algo *algo)
{
    return &algo->t_last;
}

const struct algo_ops acid_ops = {
    .name = "acid",
    .meets = ALGO_MEETS_ONE,
    .has_momentum_vector = true,
    .create = acid_create,
    .destroy = acid_destroy,
    .on_update = acid_on_update,
    .on_pair = acid_on_pair,
    .snapshot = acid_snapshot,
    .vector = acid_vector,
    .reset = acid_reset,
    .retune = acid_retune,
    .time = acid_time,
};
