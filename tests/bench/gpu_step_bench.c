/* One worker's training step on a GPU, pictures picked and cropped on the device, beside PyTorch's and beside all its
 * convolutions alone, measured in turn in one run.
 *
 *     gpu_step_bench [--model NAME] [--batch N] [--data shapes|cifar10|noise] [--pictures N] [--size PIXELS]
 *                    [--classes N] [--precision NAME] [--rounds N] [--seconds S | --steps N] [--threads N]
 *                    [--torch COMMAND] [--compile-limit S] [--goal-eager R] [--goal-compile R] [--label NAME]
 *                    [--limit S]
 *
 * A step is forward, backward, update and cast, as runtime/mpi calls them: results are waited for run_ahead steps late.
 * "A2CiD2" updates x and x̃, "SGD" x alone; neither clips. A round measures windows of `seconds` (or `steps`) of each:
 * SGD and A2CiD2 in turn, four times each; the convolutions; then PyTorch, by gpu_step_torch.py, which COMMAND starts:
 * eager and compiled, with one batch that lies on the GPU, and with crops made there. What PyTorch does not deliver is
 * left out. No round but the first begins later than `limit` seconds after the start (600). Batches come from the
 * program's own loader, so its crops and shuffles are those of a run.
 *
 * Correct: loss and gradient of the first batch agree with the CPU's in fp32, up to what the precision makes of them
 * (--threads 0 leaves that out), and the losses are finite and fall. Exit status 70 if our own are not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/stopwatch.h"
#include "base/text.h"
#include "bench/gpu_ceiling.h"
#include "bench/gpu_figures.h"
#include "bench/gpu_peer.h"
#include "bench/gpu_pictures.h"
#include "data/loader.h"
#include "nn/model.h"
#include "nn/store.h"

enum { ROUNDS_MOST = SERIES_MOST / 4, PARTS = 4, WARM_UP = 8, LOADER_SLOTS = 4, STEPS_THAT_TEACH = 64 };

struct options {
    const char *model, *data, *precision, *torch, *label;
    size_t batch, pictures, steps;
    int size, classes, rounds, threads;
    double seconds, limit_s, compile_limit_s, goal_eager, goal_compile;
};

enum arm { SGD, ACID, ARMS };
enum torch_arm { EAGER, EAGER_AUGMENTED, COMPILED, COMPILED_AUGMENTED, TORCH_ARMS };

static const char *const torch_names[TORCH_ARMS] = {"eager", "eager-augmented", "compile", "compile-augmented"};

/* What one algorithm has of its own. */
struct replica {
    float *x, *x_tilde, *m; /* owned device vectors; x_tilde NULL for SGD */
    double first_loss, last_loss;
    size_t steps;
    bool finite;
};

struct bench {
    struct options options;
    const struct device_ops *ops;
    struct device *device;
    struct dataset *set;
    struct pictures *pictures;
    struct partition partition;
    struct loader *loader;
    struct net_spec *spec;
    struct net *net;
    float *g, *buffers; /* owned device vectors */
    float *initial;     /* owned (parameter_size), host memory */
    struct replica replicas[ARMS];
    struct ceiling *ceiling;
    struct peer torch;
    bool torch_ready[TORCH_ARMS], torch_falls[TORCH_ARMS];
    double torch_peak[TORCH_ARMS]; /* bytes */
    double begin_s;
    double loss_error, gradient_error;
};

struct window {
    size_t steps;
    double seconds, cpu_seconds, loss; /* cpu: of the thread that calls; loss: mean */
    bool finite;
};

struct figures {
    struct series rate[ARMS], ceiling_rate, torch_rate[TORCH_ARMS]; /* images per second */
    struct series over_torch[TORCH_ARMS], over_ceiling, acid_over_sgd, host_share;
};

/* --- the step --- */

static enum status take_result(struct bench *b, size_t age, struct window *w)
{
    struct net_result result;
    TRY(b->ops->net_result(b->net, (int)age, &result));
    w->loss += result.loss;
    w->finite &= result.finite;
    return STATUS_OK;
}

static enum status step(struct bench *b, struct replica *replica, size_t *resulted, struct window *w)
{
    const struct update_coefficients update = {
        .mix = replica->x_tilde != NULL ? 0.05 : 0.0, .learning_rate = 0.01, .momentum = 0.9, .weight_decay = 5e-4};
    struct batch loaded;
    TRY(loader_next(b->loader, &loaded));
    const struct net_batch batch = {
        .pictures = b->pictures, .picks = loaded.picks, .labels = loaded.labels, .count = b->options.batch};
    enum status status = b->ops->net_forward(b->net, NET_TRAIN, &batch, 0, NULL);
    loader_release(b->loader);
    TRY(status);
    TRY(b->ops->net_backward(b->net, NULL, NULL));
    w->steps++;
    for (; *resulted + (size_t)b->ops->run_ahead < w->steps; ++*resulted)
        TRY(take_result(b, w->steps - 1 - *resulted, w));
    if (!b->ops->update(b->device, true, &update, b->spec->parameter_size, b->spec->decayed_size, replica->x,
                        replica->x_tilde, replica->m, b->g, b->net))
        b->ops->net_cast(b->net, replica->x);
    return STATUS_OK;
}

/* Steps until `seconds` have passed, or `steps` where that is not 0, to the last one's end. */
static enum status run_window(struct bench *b, struct replica *replica, double seconds, size_t steps,
                              struct window *out)
{
    struct window w = {.finite = true};
    size_t resulted = 0;
    b->ops->net_cast(b->net, replica->x);
    double begin_s = stopwatch_now(), cpu_begin_s = stopwatch_thread_cpu();
    while (steps > 0 ? w.steps < steps : stopwatch_now() - begin_s < seconds)
        TRY(step(b, replica, &resulted, &w));
    for (; resulted < w.steps; resulted++)
        TRY(take_result(b, w.steps - 1 - resulted, &w));
    w.cpu_seconds = stopwatch_thread_cpu() - cpu_begin_s;
    w.seconds = stopwatch_now() - begin_s;
    w.loss /= (double)w.steps;
    replica->finite &= w.finite;
    replica->steps += w.steps;
    replica->last_loss = w.loss;
    *out = w;
    return STATUS_OK;
}

/* --- set-up --- */

static enum status open_data(struct bench *b)
{
    const struct options *o = &b->options;
    TRY(bench_pictures_open(o->data, o->pictures, o->size, o->classes, &b->set));
    TRY(b->ops->pictures_create(b->device, b->set->bytes, &b->pictures));
    struct partition_params shared = {.name = "shared", .worker_count = 1, .seed = 1};
    TRY(partition_create(&shared, b->set, &b->partition, NULL));
    struct loader_params loader = {.set = b->set,
                                   .partition = &b->partition,
                                   .batch = o->batch,
                                   .seed = 1,
                                   .augment = true,
                                   .picks = true,
                                   .slots = LOADER_SLOTS};
    return loader_create(&loader, &b->loader);
}

static enum status open_replica(struct bench *b, struct replica *replica, bool keeps_tilde)
{
    float **vectors[] = {&replica->x, &replica->m, &replica->x_tilde};
    for (int k = 0; k < (keeps_tilde ? 3 : 2); k++)
        TRY(b->ops->vector_alloc(b->device, b->spec->parameter_size, vectors[k]));
    b->ops->vector_write(b->device, replica->x, b->spec->parameter_size, b->initial);
    if (keeps_tilde)
        b->ops->vector_write(b->device, replica->x_tilde, b->spec->parameter_size, b->initial);
    replica->finite = true;
    return STATUS_OK;
}

static enum status open_net(struct bench *b)
{
    struct model_params model = {.name = b->options.model,
                                 .channels = b->set->channels,
                                 .height = b->set->height,
                                 .width = b->set->width,
                                 .class_count = b->set->class_count};
    TRY(model_build(&model, &b->spec));
    size_t count = b->spec->parameter_size, buffer_count = b->spec->buffer_size;
    float *initial_buffers = memory_zalloc(buffer_count + 1, sizeof initial_buffers[0]);
    b->initial = memory_alloc_aligned(count * sizeof b->initial[0]);
    store_init_parameters(b->spec, 1, b->initial);
    store_init_buffers(b->spec, initial_buffers);
    TRY(b->ops->vector_alloc(b->device, count, &b->g));
    TRY(b->ops->vector_alloc(b->device, buffer_count + 1, &b->buffers));
    b->ops->vector_write(b->device, b->buffers, buffer_count, initial_buffers);
    free(initial_buffers);
    double begin_s = stopwatch_now();
    TRY(b->ops->net_create(b->device, b->spec, b->options.batch, b->g, b->buffers, &b->net));
    printf("the network was made in %.1f s\n", stopwatch_now() - begin_s);
    TRY(open_replica(b, &b->replicas[SGD], false));
    return open_replica(b, &b->replicas[ACID], true);
}

static void close_bench(struct bench *b)
{
    peer_stop(&b->torch);
    loader_destroy(b->loader);
    ceiling_destroy(b->ceiling);
    if (b->net != NULL)
        b->ops->net_destroy(b->net);
    for (int k = 0; k < ARMS && b->device != NULL; k++) {
        b->ops->vector_free(b->device, b->replicas[k].x);
        b->ops->vector_free(b->device, b->replicas[k].x_tilde);
        b->ops->vector_free(b->device, b->replicas[k].m);
    }
    if (b->device != NULL) {
        b->ops->vector_free(b->device, b->g);
        b->ops->vector_free(b->device, b->buffers);
        b->ops->pictures_destroy(b->pictures);
        b->ops->destroy(b->device);
    }
    partition_release(&b->partition);
    dataset_close(b->set);
    memory_free_aligned(b->initial);
    model_destroy(b->spec);
}

/* --- the CPU's result --- */

/* Loss and gradient of the set's first pictures, not cropped, at the initial weights, on `ops`; g in host memory. */
static enum status first_gradient(struct bench *b, const struct device_ops *ops, struct device *device, struct net *net,
                                  const float *gradient, float *g, double *loss)
{
    size_t batch = b->options.batch,
           picture = (size_t)b->set->channels * (size_t)b->set->height * (size_t)b->set->width;
    float *images = ops->host_memory ? memory_alloc_aligned(batch * picture * sizeof images[0]) : NULL;
    struct picture_pick *picks = memory_zalloc(batch, sizeof picks[0]);
    struct net_result result = {0};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < batch; i++) {
        b->set->ops->pick(b->set, i % b->set->count, NULL, &picks[i]);
        if (images != NULL)
            TRY_GOTO(b->set->ops->fetch(b->set, i % b->set->count, NULL, images + i * picture), free_batch);
    }
    const struct net_batch loaded = {
        .images = images, .pictures = b->pictures, .picks = picks, .labels = b->set->labels, .count = batch};
    TRY_GOTO(ops->net_forward(net, NET_TRAIN, &loaded, 0, &result), free_batch);
    TRY_GOTO(ops->net_backward(net, NULL, NULL), free_batch);
    ops->vector_read(device, gradient, b->spec->parameter_size, g);
    *loss = result.loss;
free_batch:
    memory_free_aligned(images);
    free(picks);
    return status;
}

static enum status reference_gradient(struct bench *b, float *g, double *loss)
{
    struct device_params params = {.name = "cpu", .threads = b->options.threads, .precision = "fp32"};
    const struct device_ops *ops = device_choose("cpu");
    struct device *device = NULL;
    struct net *net = NULL;
    float *gradient = NULL, *buffers = NULL;
    enum status status;
    TRY(ops->create(&params, &device));
    TRY_GOTO(ops->vector_alloc(device, b->spec->parameter_size, &gradient), destroy);
    TRY_GOTO(ops->vector_alloc(device, b->spec->buffer_size + 1, &buffers), destroy);
    store_init_buffers(b->spec, buffers);
    TRY_GOTO(ops->net_create(device, b->spec, b->options.batch, gradient, buffers, &net), destroy);
    ops->net_cast(net, b->initial);
    status = first_gradient(b, ops, device, net, gradient, g, loss);
destroy:
    if (net != NULL)
        ops->net_destroy(net);
    ops->vector_free(device, gradient);
    ops->vector_free(device, buffers);
    ops->destroy(device);
    return status;
}

static enum status compare_with_cpu(struct bench *b)
{
    size_t count = b->spec->parameter_size;
    float *g = memory_alloc_aligned(count * sizeof g[0]), *wanted = memory_alloc_aligned(count * sizeof wanted[0]);
    double loss = 0, wanted_loss = 0, difference = 0, norm = 0;
    enum status status;
    b->ops->net_cast(b->net, b->replicas[SGD].x);
    TRY_GOTO(first_gradient(b, b->ops, b->device, b->net, b->g, g, &loss), free_gradients);
    TRY_GOTO(reference_gradient(b, wanted, &wanted_loss), free_gradients);
    for (size_t i = 0; i < count; i++) {
        difference += pow((double)g[i] - wanted[i], 2);
        norm += pow(wanted[i], 2);
    }
    b->loss_error = fabs(loss - wanted_loss) / wanted_loss;
    b->gradient_error = sqrt(difference / norm);
free_gradients:
    memory_free_aligned(g);
    memory_free_aligned(wanted);
    return status;
}

/* --- PyTorch --- */

static void prepare_torch(struct bench *b, enum torch_arm arm, double limit_s)
{
    char question[64];
    snprintf(question, sizeof question, "prepare %s", torch_names[arm]);
    bool answered = peer_ask(&b->torch, question, limit_s);
    b->torch_ready[arm] = answered && strncmp(b->torch.line, "ok", 2) == 0;
    printf("PyTorch, %s: %s\n", torch_names[arm], answered ? b->torch.line : "no answer");
    fflush(stdout);
}

static bool start_torch(struct bench *b)
{
    const double start_limit_s = 120;
    if (b->options.torch == NULL || !peer_start(&b->torch, b->options.torch))
        return false;
    prepare_torch(b, EAGER, start_limit_s);
    prepare_torch(b, EAGER_AUGMENTED, start_limit_s);
    return true;
}

/* Where compiling takes too long PyTorch is stopped, and started again for the rest. */
static void open_torch(struct bench *b)
{
    const struct options *o = &b->options;
    const double patience_s = 30, rest_s = 100; /* for what comes after it */
    if (!start_torch(b))
        return;
    double left_s = o->limit_s - (stopwatch_now() - b->begin_s) - rest_s;
    if (left_s > patience_s)
        prepare_torch(b, COMPILED, fmin(o->compile_limit_s, left_s));
    if (b->torch_ready[COMPILED])
        prepare_torch(b, COMPILED_AUGMENTED, patience_s);
    if (b->torch.process == 0)
        start_torch(b);
}

static double ask_torch(struct bench *b, enum torch_arm arm)
{
    char question[64];
    double rate = NAN, first_loss, last_loss, peak;
    const double patience_s = 60 + 10 * b->options.seconds;
    snprintf(question, sizeof question, "run %s %g", torch_names[arm], b->options.seconds);
    if (!b->torch_ready[arm] || !peer_ask(&b->torch, question, patience_s))
        return NAN;
    if (sscanf(b->torch.line, "ok %lf %lf %lf %lf", &rate, &first_loss, &last_loss, &peak) != 4)
        return NAN;
    b->torch_falls[arm] = last_loss < first_loss; /* not where one is no number */
    b->torch_peak[arm] = peak;
    return rate;
}

/* --- rounds --- */

/* SGD and A²CiD² in short windows in turn, in changing order. */
static enum status measure_arms(struct bench *b, int round, struct figures *f, double *rate)
{
    const struct options *o = &b->options;
    double steps[ARMS] = {0}, seconds[ARMS] = {0}, cpu_seconds = 0;
    for (int part = 0; part < PARTS; part++) {
        double step_s[ARMS];
        for (int turn = 0; turn < ARMS; turn++) {
            enum arm arm = (round + part + turn) % 2 == 0 ? SGD : ACID;
            struct window w;
            TRY(run_window(b, &b->replicas[arm], o->seconds / PARTS, o->steps, &w));
            step_s[arm] = w.seconds / (double)w.steps;
            steps[arm] += (double)w.steps;
            seconds[arm] += w.seconds;
            cpu_seconds += arm == SGD ? w.cpu_seconds : 0;
        }
        series_add(&f->acid_over_sgd, step_s[ACID] / step_s[SGD]);
    }
    for (int arm = 0; arm < ARMS; arm++)
        series_add(&f->rate[arm], (double)o->batch * steps[arm] / seconds[arm]);
    series_add(&f->host_share, cpu_seconds / seconds[SGD]);
    *rate = (double)o->batch * steps[SGD] / seconds[SGD];
    return STATUS_OK;
}

static enum status measure_round(struct bench *b, int round, struct figures *f)
{
    double rate, alone_s = 0, batch = (double)b->options.batch;
    TRY(measure_arms(b, round, f, &rate));
    size_t times = b->options.steps > 0 ? b->options.steps : (size_t)(b->options.seconds * rate / batch) + 1;
    TRY(ceiling_time(b->ceiling, times, &alone_s));
    series_add(&f->ceiling_rate, batch / alone_s);
    series_add(&f->over_ceiling, rate * alone_s / batch);
    for (int arm = 0; arm < TORCH_ARMS; arm++) {
        double torch_rate = ask_torch(b, (enum torch_arm)arm);
        series_add(&f->torch_rate[arm], torch_rate);
        series_add(&f->over_torch[arm], rate / torch_rate);
    }
    return STATUS_OK;
}

static enum status warm_up(struct bench *b)
{
    for (int arm = 0; arm < ARMS; arm++) {
        struct window w;
        TRY(run_window(b, &b->replicas[arm], 0, WARM_UP, &w));
        b->replicas[arm].first_loss = w.loss;
    }
    return STATUS_OK;
}

/* --- the table --- */

static const char *verdict(bool correct)
{
    return correct ? "yes" : "NO";
}

/* A few steps prove nothing but that the loss is a number. */
static bool falls(const struct replica *replica)
{
    return replica->finite && (replica->steps < STEPS_THAT_TEACH || replica->last_loss < replica->first_loss);
}

/* In 16 bits a gradient at random weights is far from the fp32 one, since many ReLUs near 0 fall to the other side:
 * ‖g − g₁‖/‖g₁‖ of ResNet-18 with batches of 4 is 0.35 here and 0.65 under PyTorch's autocast. */
static bool agrees(const struct bench *b)
{
    bool narrow = b->net->type != CUDA_FP32 || b->net->tf32;
    return b->loss_error <= (narrow ? 0.02 : 1e-4) && b->gradient_error <= (narrow ? 0.7 : 1e-2);
}

static void print_row(const char *name, const struct series *series, const char *correct)
{
    char text[96];
    if (series->count > 0)
        printf("%-34s %30s  %s\n", name, series_text(series, text), correct);
}

static void print_figures(const struct bench *b, const struct figures *f)
{
    const struct options *o = &b->options;
    static const char *const over[TORCH_ARMS] = {"over_eager", "over_eager_augmented", "over_compile",
                                                 "over_compile_augmented"};
    char goal[32];
    figure_print(o->label, "images_per_second", &f->rate[SGD], "-");
    for (int arm = 0; arm < TORCH_ARMS; arm++) {
        double wanted = arm == EAGER ? o->goal_eager : arm == COMPILED ? o->goal_compile : 0;
        snprintf(goal, sizeof goal, wanted > 0 ? ">=%g" : "-", wanted);
        figure_print(o->label, over[arm], &f->over_torch[arm], goal);
    }
    figure_print(o->label, "over_convolutions_alone", &f->over_ceiling, "-");
    figure_print(o->label, "acid_over_sgd", &f->acid_over_sgd, "<=1.03");
    figure_print(o->label, "host_share", &f->host_share, "<=0.05");
}

static bool print_all(const struct bench *b, const struct figures *f)
{
    const struct options *o = &b->options;
    bool correct = falls(&b->replicas[SGD]) && falls(&b->replicas[ACID]) && agrees(b);
    printf("%s, batch %zu, %d × %d pictures of %s, %s on %s, %d rounds: median (least to largest)\n", o->model,
           o->batch, b->set->height, b->set->width, o->data, o->precision, b->device->gpu, o->rounds);
    printf("%-34s %30s  %s\n", "", "images/s", "correct");
    print_row("step, SGD", &f->rate[SGD], verdict(falls(&b->replicas[SGD]) && agrees(b)));
    print_row("step, A2CiD2", &f->rate[ACID], verdict(falls(&b->replicas[ACID])));
    print_row("its convolutions alone", &f->ceiling_rate, "");
    for (int arm = 0; arm < TORCH_ARMS; arm++) {
        char name[64];
        snprintf(name, sizeof name, "PyTorch, %s", torch_names[arm]);
        print_row(name, &f->torch_rate[arm], verdict(b->torch_falls[arm]));
    }
    printf("network %.0f MB; PyTorch at its peak %.0f MB eager, %.0f MB compiled\n",
           (double)b->ops->net_bytes(b->net) * 1e-6, b->torch_peak[EAGER] * 1e-6, b->torch_peak[COMPILED] * 1e-6);
    for (int arm = 0; arm < ARMS; arm++)
        printf("loss, %s: %.4f -> %.4f\n", arm == SGD ? "SGD" : "A2CiD2", b->replicas[arm].first_loss,
               b->replicas[arm].last_loss);
    if (o->threads > 0)
        printf("first batch against the CPU in fp32: loss differs by %.1e, gradient by %.1e of its norm\n",
               b->loss_error, b->gradient_error);
    printf("%s\n", correct ? "correct" : "WRONG");
    return correct;
}

/* --- the command --- */

/* A word for each option: its name, where the value goes, and how it is read. */
static bool set_option(struct options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **text;
        size_t *size;
        int *number;
        double *real;
    } known[] = {{"--model", &o->model, NULL, NULL, NULL},
                 {"--data", &o->data, NULL, NULL, NULL},
                 {"--precision", &o->precision, NULL, NULL, NULL},
                 {"--torch", &o->torch, NULL, NULL, NULL},
                 {"--label", &o->label, NULL, NULL, NULL},
                 {"--batch", NULL, &o->batch, NULL, NULL},
                 {"--pictures", NULL, &o->pictures, NULL, NULL},
                 {"--steps", NULL, &o->steps, NULL, NULL},
                 {"--size", NULL, NULL, &o->size, NULL},
                 {"--classes", NULL, NULL, &o->classes, NULL},
                 {"--rounds", NULL, NULL, &o->rounds, NULL},
                 {"--threads", NULL, NULL, &o->threads, NULL},
                 {"--seconds", NULL, NULL, NULL, &o->seconds},
                 {"--goal-eager", NULL, NULL, NULL, &o->goal_eager},
                 {"--limit", NULL, NULL, NULL, &o->limit_s},
                 {"--goal-compile", NULL, NULL, NULL, &o->goal_compile},
                 {"--compile-limit", NULL, NULL, NULL, &o->compile_limit_s}};
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        if (strcmp(name, known[k].name) != 0)
            continue;
        if (known[k].text != NULL)
            *known[k].text = value;
        if (known[k].size != NULL)
            *known[k].size = strtoull(value, NULL, 10);
        if (known[k].number != NULL)
            *known[k].number = atoi(value);
        if (known[k].real != NULL)
            *known[k].real = atof(value);
        return true;
    }
    return false;
}

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.model = "resnet18",
                          .data = "shapes",
                          .precision = "bf16",
                          .label = "step",
                          .batch = 128,
                          .pictures = 50000,
                          .size = 32,
                          .classes = 10,
                          .rounds = 5,
                          .threads = (int)sysconf(_SC_NPROCESSORS_ONLN),
                          .seconds = 1,
                          .limit_s = 600,
                          .compile_limit_s = 300};
    for (int i = 1; i + 1 < argc; i += 2)
        if (!set_option(o, argv[i], argv[i + 1]))
            return false;
    return argc % 2 == 1 && o->batch > 0 && o->pictures > 0 && o->size > 0 && o->classes > 1 && o->rounds > 0 &&
           o->rounds <= ROUNDS_MOST && o->threads >= 0 && o->seconds > 0;
}

static enum status run(struct bench *b, struct figures *f)
{
    struct device_params params = {.name = "cuda", .threads = 1, .precision = b->options.precision};
    b->begin_s = stopwatch_now();
    b->ops = device_choose("cuda");
    if (b->ops == NULL)
        return STATUS_USAGE;
    TRY(b->ops->create(&params, &b->device));
    TRY(open_data(b));
    TRY(open_net(b));
    if (b->options.threads > 0)
        TRY(compare_with_cpu(b));
    TRY(warm_up(b));
    double alone_begin_s = stopwatch_now();
    TRY(ceiling_create(b->net, &b->ceiling));
    printf("its convolutions alone in %.1f s\n", stopwatch_now() - alone_begin_s);
    open_torch(b);
    for (int round = 0; round < b->options.rounds; round++) {
        if (round > 0 && stopwatch_now() - b->begin_s > b->options.limit_s)
            break;
        TRY(measure_round(b, round, f));
        print_figures(b, f); /* if this is stopped, so many are there */
        fflush(stdout);
    }
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    static struct bench b;
    static struct figures f;
    if (!parse(argc, argv, &b.options)) {
        fprintf(stderr,
                "usage: gpu_step_bench [--OPTION VALUE ...], rounds 1 to %d: see the head of "
                "tests/bench/gpu_step_bench.c\n",
                ROUNDS_MOST);
        return STATUS_USAGE;
    }
    enum status status = run(&b, &f);
    if (status == STATUS_OK && !print_all(&b, &f))
        status = STATUS_BUG;
    close_bench(&b);
    return (int)status;
}
