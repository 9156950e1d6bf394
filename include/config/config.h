/* The typed configuration of a run: YAML text and key=value arguments, checked against one schema table.
 *
 * The layer knows keys, types, defaults and bounds, not what the values mean; only app/plan.c reads this struct,
 * every module below it takes its own small params. The table in schema_table.c drives reading, checking, writing,
 * `grapevine config` and the docs: a new key is one field here and one row there. */
#ifndef GRAPEVINE_CONFIG_CONFIG_H
#define GRAPEVINE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "base/text.h"

enum { CONFIG_LIST_MAX = 16, CONFIG_KEYS_MAX = 128 };

struct config_list {
    double items[CONFIG_LIST_MAX];
    int count;
};

/* Where a key was given last. */
struct config_origin {
    char *place; /* owned: "run.yaml:3" or argument "data.alpha=1", as messages name it; NULL: nowhere */
    bool is_argument;
};

/* A number, or the word `auto` (NAN). */
typedef double config_auto_number;

struct config {
    int64_t seed;
    struct {
        char *name, *path, *partition; /* strings are owned by the config */
        bool augment;
        double alpha;                    /* of partition dirichlet */
        double validation;               /* share of the training pictures kept back */
        double test_share;               /* of a set without test images: share of the training images for tests */
        int64_t train_count, test_count; /* shapes: pictures drawn; others: the first so many, 0: all */
        int64_t dimension, classes;      /* gaussian: features of a sample; classes, 0: 10 (npy: as many as labels) */
        struct config_list mean, deviation; /* npy: of each channel; none: measured */
        double condition;                   /* gaussian: largest over smallest variance of a feature */
        char *folder;                       /* imagenet, photos: of the set, below path; "": its usual name */
        char *size;                         /* imagenet, photos: "224", or "160-224" for one that grows */
        char *shuffle;                      /* auto | uniform | blocks */
        double block_mib, pool_mib;         /* packed sets: read at once, shuffled together */
        char *on_bad;                       /* skip | stop */
        int64_t threads;                    /* that make pictures; 0: as many as there are cores for it */
    } data;
    struct {
        char *name, *init; /* init: a checkpoint to start from, "" for none */
        double dropout;
        int64_t width;    /* 0: the model's own */
        double condition; /* quadratic: largest over smallest curvature */
    } model;
    struct {
        char *name;
        config_auto_number eta, alpha, alpha_tilde;
    } algorithm;
    struct {
        char *name, *file, *rates, *budget; /* rates: uniform | best; budget: total | worker */
        int64_t degree, seed;
        double probability;
    } graph;
    struct {
        double rate;
        bool enforce_rate;
        int64_t pending;      /* meetings that may be due before compute waits */
        char *transport;      /* auto | ipc | put | sendrecv */
        int64_t records;      /* K of the pairing protocol */
        double patience_s;    /* wait for a peer in one step of a meeting before serving others */
        double limit_s;       /* wait of start-up and closing steps before the run is given up */
        int64_t chunk_bytes;  /* of a payload put */
        int64_t bucket_bytes; /* of an all-reduce */
    } communication;
    struct {
        double lr, lr_per_samples, momentum, weight_decay, clip_norm;
        bool nesterov, decay_norm_and_bias;
    } optimizer;
    struct {
        char *name;
        config_auto_number warmup_epochs;
        struct config_list milestones;
        double factor;
    } schedule;
    struct {
        int64_t workers, batch;
        double epochs, label_smoothing;
        char *on_nan; /* stop | skip | rejoin */
    } train;
    struct {
        char *time, *gradients; /* ideal | modelled; poisson | regular */
        int64_t jobs;           /* gradients at once; 0: as the cores allow */
        char *distribution;     /* of a gradient's duration: constant | normal | lognormal | exponential */
        double step_s, jitter, speed_spread;
        double overlap;                     /* all-reduce: share of a gradient during which sums may travel */
        double latency_s, bytes_per_second; /* of every link */
    } simulate;
    struct {
        char *slow, *pause, *death, *nan, *links; /* see runtime/scenario.h for their grammar */
        double loss;                              /* share of meetings lost */
        double duplicate, torn, corrupt;          /* shares of snapshots */
    } inject;
    struct {
        char *policy; /* recomputed | averaged | own */
        int64_t batches;
    } batch_norm;
    struct {
        char *name, *precision;
        bool deterministic;
        int64_t threads;
    } device;
    struct {
        char *dir, *log_level;
        int64_t log_every;
        double eval_every_epochs, checkpoint_every_epochs, state_every_epochs;
        int64_t keep_states;
        bool trace, tensorboard, keep_best, record, optimum;
    } run;
    struct config_origin origins[CONFIG_KEYS_MAX]; /* of the keys, in the schema's order */
};

/* Defaults of every key; texts are never NULL. */
struct config *config_create(void);
void config_destroy(struct config *config);

/* Read a YAML file into the config. Errors (one logged message, STATUS_USAGE) name file, line, key, value, the allowed
 * range or words, and the nearest known key: unreadable file, bad YAML, unknown key, wrong type, out of bounds, a key
 * twice, an undefined variable in a path (base/path.h). After an error the config is as it was. graph.file given
 * without graph.name makes that "file". */
enum status config_load(struct config *config, const char *path);

/* Apply one "section.key=value" argument; errors name the argument. The value is YAML: true, 0.1, [0.5, 0.75],
 * "a: b". Of graph.name and graph.file the one given last decides. */
enum status config_set(struct config *config, const char *assignment);

/* data.name and model.name have no default: STATUS_USAGE (logged) while one is missing. */
enum status config_require(const struct config *config, const char *path);

/* Write the resolved config as YAML that config_load reads back to the same values. */
void config_write(const struct config *config, FILE *out);

/* A value with its type. */
struct config_item {
    const char *section, *key; /* section "" at the top */
    enum { CONFIG_BOOL, CONFIG_INTEGER, CONFIG_NUMBER, CONFIG_TEXT, CONFIG_LIST } type;
    bool flag;
    int64_t integer;
    double number; /* NAN: auto */
    const char *text;
    const struct config_list *list;
};
typedef void config_item_fn(void *context, const struct config_item *item);
/* Calls `visit` with every key, section by section. */
void config_each(const struct config *config, config_item_fn *visit, void *context);

/* Calls `visit` with the name and value (as YAML) of each key that all ranks of a run must agree on. */
typedef void config_value_fn(void *context, const char *name, const char *value);
void config_each_shared(const struct config *config, config_value_fn *visit, void *context);

/* Add the value of "section.key" as config_write shows it, but texts without YAML's quotes. STATUS_USAGE (logged,
 * nearest key): there is no such key. */
enum status config_get(const struct config *config, const char *key, struct text *value);

/* All keys, in the order of the schema. */
size_t config_key_count(void);
const char *config_key_name(size_t key);

/* Add "train.epochs: 10, was 5; ..." for each key whose values differ; returns how many do. */
int config_differences(const struct config *before, const struct config *now, struct text *list);

/* All keys of a section have the same values. */
bool config_same_section(const struct config *before, const struct config *now, const char *section);

/* A key that the user has given, in a file or as an argument. */
struct config_given {
    const char *key;   /* "data.alpha" */
    const char *place; /* where, as messages name it; borrowed from the config */
    bool is_argument;
    bool is_off; /* the value is false, 0, "" or [] */
};

/* The given keys in the schema's order: the first from *index on, which moves behind it (begin with 0). False: no
 * more. */
bool config_next_given(const struct config *config, size_t *index, struct config_given *out);

/* Of a key that there is: whether an argument gave it last; whether two configs have the same value of it; its value as
 * YAML. */
bool config_is_argument(const struct config *config, const char *key);
bool config_same_value(const struct config *config, const struct config *other, const char *key);
void config_add_value(const struct config *config, const char *key, struct text *out);

/* `grapevine config [KEY]`: every key, a section or one key, with type, default, bounds and meaning.
 * STATUS_USAGE (logged, nearest key) for an unknown one. The `out` stream is the caller's: stdout belongs to app/. */
enum status config_describe(const char *key, FILE *out);

#endif
