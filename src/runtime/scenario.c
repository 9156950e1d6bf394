/* What goes wrong in a run: the entries of all texts, and look-ups by a walk over them: there are few. */
#include "runtime/scenario.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/scenario_entry.h"

struct scenario {
    struct scenario_link base; /* of a link that no entry speaks of */
    struct scenario_damage damage;
    struct scenario_entry *entries; /* owned (capacity), of every kind, in their order */
    size_t count, capacity;
};

static void keep(void *context, const struct scenario_entry *entry)
{
    struct scenario *scenario = context;
    if (scenario->count == scenario->capacity) {
        scenario->capacity = scenario->capacity > 0 ? 2 * scenario->capacity : 8;
        scenario->entries = memory_realloc(scenario->entries, scenario->capacity, sizeof *entry);
    }
    scenario->entries[scenario->count++] = *entry;
}

enum status scenario_create(const struct scenario_params *params, struct scenario **out)
{
    const char *const texts[] = {
        [SCENARIO_SLOW] = params->slow, [SCENARIO_PAUSE] = params->pause, [SCENARIO_DEATH] = params->death,
        [SCENARIO_NAN] = params->nan,   [SCENARIO_LINKS] = params->links,
    };
    struct scenario *scenario = memory_zalloc(1, sizeof *scenario);
    enum status status = STATUS_OK;
    scenario->base = (struct scenario_link){
        .latency_s = params->latency_s, .bytes_per_second = params->bytes_per_second, .loss = params->loss};
    scenario->damage = params->damage;
    for (enum scenario_kind kind = SCENARIO_SLOW; kind <= SCENARIO_LINKS && status == STATUS_OK; kind++)
        status = scenario_entries_read(kind, texts[kind], params, keep, scenario);
    if (status != STATUS_OK)
        scenario_destroy(scenario);
    else
        *out = scenario;
    return status;
}

void scenario_destroy(struct scenario *scenario)
{
    if (scenario == NULL)
        return;
    free(scenario->entries);
    free(scenario);
}

/* The next entry of this kind, from `*at` on, that speaks of the worker, or NULL; `*at` moves behind it. */
static const struct scenario_entry *next_about(const struct scenario *scenario, enum scenario_kind kind, int worker,
                                               size_t *at)
{
    while (scenario != NULL && *at < scenario->count) {
        const struct scenario_entry *entry = &scenario->entries[(*at)++];
        if (entry->kind == kind && entry->first <= worker && worker <= entry->last)
            return entry;
    }
    return NULL;
}

static bool holds(const struct scenario_entry *entry, double time_s)
{
    return entry->from_s <= time_s && time_s < entry->to_s;
}

bool scenario_calm(const struct scenario *scenario)
{
    for (size_t k = 0; scenario != NULL && k < scenario->count; k++)
        if (scenario->entries[k].kind != SCENARIO_LINKS)
            return false;
    return true;
}

double scenario_slowdown(const struct scenario *scenario, int worker, double time_s)
{
    double factor = 1;
    const struct scenario_entry *entry;
    for (size_t at = 0; (entry = next_about(scenario, SCENARIO_SLOW, worker, &at)) != NULL;)
        if (holds(entry, time_s))
            factor *= entry->factor;
    return factor;
}

double scenario_pause_end_s(const struct scenario *scenario, int worker, double time_s)
{
    const struct scenario_entry *entry;
    for (size_t at = 0; (entry = next_about(scenario, SCENARIO_PAUSE, worker, &at)) != NULL;)
        if (holds(entry, time_s)) {
            time_s = entry->to_s;
            at = 0; /* another pause, of an earlier entry too, may hold on */
        }
    return time_s;
}

double scenario_next_pause_s(const struct scenario *scenario, int worker, double time_s)
{
    double next_s = INFINITY;
    const struct scenario_entry *entry;
    for (size_t at = 0; (entry = next_about(scenario, SCENARIO_PAUSE, worker, &at)) != NULL;)
        if (entry->from_s > time_s && entry->from_s < next_s)
            next_s = entry->from_s;
    return next_s;
}

double scenario_longest_pause_s(const struct scenario *scenario)
{
    double longest_s = 0;
    for (size_t k = 0; scenario != NULL && k < scenario->count; k++) {
        const struct scenario_entry *entry = &scenario->entries[k];
        for (int worker = entry->first; entry->kind == SCENARIO_PAUSE && worker <= entry->last; worker++) {
            double end_s = scenario_pause_end_s(scenario, worker, entry->from_s);
            if (isfinite(end_s))
                longest_s = fmax(longest_s, end_s - entry->from_s);
        }
    }
    return longest_s;
}

double scenario_death_s(const struct scenario *scenario, int worker)
{
    double death_s = INFINITY;
    const struct scenario_entry *entry;
    for (size_t at = 0; (entry = next_about(scenario, SCENARIO_DEATH, worker, &at)) != NULL;)
        death_s = fmin(death_s, entry->from_s);
    return death_s;
}

bool scenario_nan(const struct scenario *scenario, int worker, double time_s)
{
    const struct scenario_entry *entry;
    for (size_t at = 0; (entry = next_about(scenario, SCENARIO_NAN, worker, &at)) != NULL;)
        if (holds(entry, time_s))
            return true;
    return false;
}

struct scenario_link scenario_link(const struct scenario *scenario, int a, int b)
{
    if (scenario == NULL)
        return (struct scenario_link){.bytes_per_second = INFINITY};
    struct scenario_link link = scenario->base;
    for (size_t k = 0; k < scenario->count; k++) {
        const struct scenario_entry *entry = &scenario->entries[k];
        bool this_one = (entry->first == a && entry->last == b) || (entry->first == b && entry->last == a);
        if (entry->kind != SCENARIO_LINKS || !(this_one || entry->first < 0))
            continue;
        link.latency_s = isnan(entry->link.latency_s) ? link.latency_s : entry->link.latency_s;
        link.bytes_per_second =
            isnan(entry->link.bytes_per_second) ? link.bytes_per_second : entry->link.bytes_per_second;
        link.loss = isnan(entry->link.loss) ? link.loss : entry->link.loss;
    }
    return link;
}

struct scenario_damage scenario_damage(const struct scenario *scenario)
{
    return scenario != NULL ? scenario->damage : (struct scenario_damage){0};
}

bool scenario_damages(const struct scenario *scenario)
{
    struct scenario_damage damage = scenario_damage(scenario);
    return damage.duplicate > 0 || damage.torn > 0 || damage.corrupt > 0;
}

double scenario_link_delay_s(struct scenario_link link, double bytes)
{
    return link.latency_s + bytes / link.bytes_per_second;
}
