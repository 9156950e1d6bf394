/* The rows of the schema, and nothing else: a new key is one field of struct config and one row here. */
#include "config/schema_table.h"

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* The field decides the type, so a row cannot disagree with struct config. */
#define TYPE_OF(field) \
    _Generic(((struct config *)0)->field, bool: SCHEMA_BOOL, int64_t: SCHEMA_INTEGER, double: SCHEMA_NUMBER,     \
             char *: SCHEMA_TEXT, struct config_list: SCHEMA_LIST)

#define TOP(key_) \
    .name = #key_, .section = "", .key = #key_, .offset = offsetof(struct config, key_), .type = TYPE_OF(key_)
#define KEY(section_, key_)                                                                                            \
    .name = #section_ "." #key_, .section = #section_, .key = #key_, .offset = offsetof(struct config, section_.key_), \
    .type = TYPE_OF(section_.key_)

/* clang-format off */
#define CLOSED(low_, high_) .bounds = {.low = (low_), .high = (high_)}
#define ABOVE(low_, high_) .bounds = {.low = (low_), .high = (high_), .low_open = true}
#define BELOW(low_, high_) .bounds = {.low = (low_), .high = (high_), .high_open = true}
#define BETWEEN(low_, high_) .bounds = {.low = (low_), .high = (high_), .low_open = true, .high_open = true}
#define OF_RANK .of_rank = true
#define WORDS(...) .words = (const char *const[]){__VA_ARGS__, NULL}
/* clang-format on */

#define SEED_MAX 9007199254740991.0 /* 2⁵³ − 1: what a JSON number holds exactly */

const struct schema_row schema_table[] = {
    {TOP(seed), CLOSED(0, SEED_MAX), .preset = "1", .summary = "seed of every random draw of the run",
     .details = "Initial weights, order of the data, augmentation, dropout and meeting times are functions of it. "
                "Under MPI the order in which workers meet still depends on their speed; `simulate` repeats a run "
                "byte for byte."},

    {KEY(data, name), .summary = "data set",
     .details = "shapes and gaussian (drawn, need no file), cifar10, cifar100, mnist, fashion-mnist, imagenet, photos, "
                "npy. "
                "gaussian: normal features with a chosen spread, labels of a noisy linear teacher; for the convex "
                "models. imagenet, photos: images (JPEG, PNG, WebP) in class folders, as they are or packed "
                "(`grapevine pack`). npy: NumPy arrays, as train_images.npy and train_labels.npy. Required."},
    {KEY(data, path), OF_RANK, .is_path = true, .preset = "\"\"", .summary = "folder that holds the data sets' folders",
     .details = "Empty: $GRAPEVINE_DATA. Below it: cifar-10-batches-bin/, cifar-100-binary/, mnist/, "
                "fashion-mnist/, which scripts/get_data.sh fetches, imagenet/{train,val}/, photos/{train,val}/; for "
                "photographs also the folder that holds train/ or the class folders itself."},
    {KEY(data, augment), .preset = "true", .summary = "augment training pictures",
     .details = "Random crop from a padding of 4, and a horizontal flip for colour pictures; photographs: a crop of "
                "random area and ratio, resized, and a flip. Never on test pictures."},
    {KEY(data, partition), WORDS("shared", "iid", "dirichlet"), .preset = "shared",
     .summary = "who sees which pictures",
     .details = "shared: every worker sees the whole training set in its own order. iid: disjoint shards of equal "
                "size. dirichlet: every class is dealt out in shares drawn from Dirichlet(data.alpha), so workers "
                "differ."},
    {KEY(data, alpha), ABOVE(0, 1e6), .preset = "0.3", .summary = "concentration of partition dirichlet",
     .details = "Small: each worker sees few classes; large: nearly alike."},
    {KEY(data, validation), BELOW(0, 1), .preset = "0", .summary = "share of training pictures kept for validation",
     .details = "0.1 keeps a tenth back, the same pictures for every worker. run.keep_best needs it above 0."},
    {KEY(data, test_share), BELOW(0, 1), .preset = "0.1", .summary = "share for tests where there are none",
     .details = "Photographs without a folder for tests (val, valid, validation, test), arrays without test arrays: so "
                "many of each class are tested on, and not trained on; which is a function of `seed` and of the names. "
                "Without effect where test images are there."},
    {KEY(data, train_count), CLOSED(0, 1e9), .preset = "0", .summary = "training pictures",
     .details = "shapes, gaussian: how many are drawn. Other sets: only the first so many are used (photographs: so "
                "many evenly from all). 0: all, or the set's usual number."},
    {KEY(data, test_count), CLOSED(0, 1e9), .preset = "0", .summary = "test pictures",
     .details = "As data.train_count."},

    {KEY(data, dimension), CLOSED(1, 1e6), .preset = "32", .summary = "gaussian: features of a sample"},
    {KEY(data, classes), CLOSED(0, 1e5), .preset = "0", .summary = "gaussian, npy: classes",
     .details = "0: 10 of gaussian; of npy the largest label plus one."},
    {KEY(data, mean), CLOSED(0, 1), .preset = "[]", .summary = "npy: mean of each channel",
     .details = "Of pixels scaled to [0, 1], as [0.49, 0.48, 0.45]. Empty: measured on the training images; the run's "
                "summary.json and checkpoints have it. Goes with data.deviation."},
    {KEY(data, deviation), ABOVE(0, 1), .preset = "[]", .summary = "npy: standard deviation of each channel",
     .details = "As data.mean."},
    {KEY(data, condition), CLOSED(1, 1e9), .preset = "1", .summary = "gaussian: largest over smallest variance",
     .details = "Variances of the features fall geometrically from 1 to 1/condition."},

    {KEY(data, folder), .is_path = true, .preset = "\"\"",
     .summary = "imagenet, photos, npy: the folder below data.path",
     .details = "In it train/ and val/, each with a folder for every class or packed. Empty: the name of the set."},
    {KEY(data, size), .preset = "224", .summary = "imagenet, photos: rows and columns of training pictures",
     .details = "Or two of them, 160-224, for pictures that grow in steps of 32, each for an equal share of the run. "
                "Tests look at the last: the middle of a shorter side that is 8/7 as long."},
    {KEY(data, shuffle), WORDS("auto", "uniform", "blocks"), .preset = "auto",
     .summary = "packed photographs: how they are shuffled",
     .details = "uniform: evenly; each picture is read by itself once the set is in memory. blocks: blocks of a shard "
                "in random order, the pictures of a pool of them among each other, each block read once in an epoch. "
                "auto: uniform if the set fits in half of the memory."},
    {KEY(data, block_mib), ABOVE(0, 1024), .preset = "32", .summary = "packed photographs: MiB read at once",
     .details = "Longer blocks suit slow disks; pictures of a block stay in the same pool for an epoch."},
    {KEY(data, pool_mib), ABOVE(0, 1048576), .preset = "512", .summary = "shuffle blocks: MiB shuffled together",
     .details = "Larger pools come closer to even shuffling, and need as much of the page cache, twice."},
    {KEY(data, on_bad), WORDS("skip", "stop"), .preset = "skip", .summary = "photographs that cannot be read",
     .details = "skip: the next of its class takes its place; the first twenty are named, once. stop: the run ends."},
    {KEY(data, threads), OF_RANK, CLOSED(0, 1024), .preset = "0", .summary = "threads that make pictures, per worker",
     .details = "0: for photographs as many as the worker has cores besides those that compute, 1 for other sets."},

    {KEY(model, name), .summary = "network",
     .details = "mlp, convnet, resnet20, resnet18, resnet34, resnet50, vgg13, vgg19; and, convex, with a known "
                "minimiser: quadratic, logistic, linear. Parameter names are torchvision's. Required."},
    {KEY(model, init), OF_RANK, .is_path = true, .preset = "\"\"", .summary = "safetensors file to start from",
     .details = "A checkpoint of Grapevine or of torchvision; a head for another number of classes is drawn "
                "afresh. Empty: random weights, distributed as PyTorch's defaults."},
    {KEY(model, dropout), BELOW(0, 1), .preset = "0", .summary = "dropout rate (vgg*, mlp)",
     .details = "Probability that a unit is dropped, as in torch.nn.Dropout. Models without dropout refuse it."},
    {KEY(model, width), CLOSED(0, 65536), .preset = "0", .summary = "width of mlp and convnet",
     .details = "mlp: units of each hidden layer; convnet: channels of the first stage. 0: the model's own."},
    {KEY(model, condition), CLOSED(1, 1e9), .preset = "10", .summary = "quadratic: largest over smallest curvature",
     .details = "The loss of w at a picture p is the sum of a_k (w_k - p_k)^2 / 2; the a_k fall geometrically from "
                "1 to 1/condition."},

    {KEY(algorithm, name), .preset = "acid", .summary = "how the replicas are kept together",
     .details = "acid: A2CiD2, asynchronous meetings of pairs with continuous momentum. gossip: the same without "
                "momentum (AD-PSGD). allreduce: synchronous SGD, gradients averaged over all workers in every "
                "step (as DDP does)."},
    {KEY(algorithm, eta), CLOSED(0, 1e6), .can_be_auto = true, .preset = "auto",
     .summary = "acid: mixing rate of x and x_tilde",
     .details = "Per unit of time, one unit being the duration of one gradient. auto: 1/(2 sqrt(chi1 chi2)) of "
                "the graph and its rates (`grapevine graph` shows it)."},
    {KEY(algorithm, alpha), CLOSED(0, 1), .can_be_auto = true, .preset = "auto",
     .summary = "step of x towards the peer at a meeting", .details = "auto: 1/2, the plain average of the two."},
    {KEY(algorithm, alpha_tilde), CLOSED(0, 1e6), .can_be_auto = true, .preset = "auto",
     .summary = "acid: step of x_tilde at a meeting", .details = "auto: 1/2 sqrt(chi1/chi2) of the graph."},

    {KEY(graph, name), .preset = "ring", .summary = "who may meet whom",
     .details = "ring, complete, line, star, torus, grid, hypercube, exponential, tree, barbell, random-regular, "
                "erdos-renyi, or file. Where graph.file is given and graph.name is not, it is file."},
    {KEY(graph, file), OF_RANK, .is_path = true, .preset = "\"\"", .summary = "edge list of graph file",
     .details = "A line `a b` or `a b rate` per edge, workers counted from 0, separated by blanks, tabs, commas or "
                "semicolons; # and % begin a comment, and the first line may name the columns. Also networkx' "
                "write_edgelist (the weight is the rate) and MatrixMarket. A rate, of all edges or of none, is in "
                "meetings per gradient; communication.rate multiplies it."},
    {KEY(graph, degree), CLOSED(1, 65535), .preset = "4", .summary = "neighbors per worker of random-regular"},
    {KEY(graph, probability), ABOVE(0, 1), .preset = "0.3", .summary = "probability of an edge of erdos-renyi"},
    {KEY(graph, seed), CLOSED(0, SEED_MAX), .preset = "1", .summary = "seed of the random graphs",
     .details = "Of its own, so that runs with several seeds share one graph."},

    {KEY(graph, rates), WORDS("uniform", "best"), .preset = "uniform", .summary = "how meetings spread over edges",
     .details = "uniform: evenly over each worker's neighbors. best: the rates that make A2CiD2 fastest on this graph "
                "within graph.budget (`grapevine graph --rates best` shows them)."},
    {KEY(graph, budget), WORDS("total", "worker"), .preset = "total", .summary = "rates best: what is kept",
     .details = "total: the meetings of all edges together, as with uniform rates. worker: no worker meets more than "
                "communication.rate."},

    {KEY(communication, rate), CLOSED(0, 1000), .preset = "1.0", .summary = "meetings per gradient and worker",
     .details = "Spread evenly over a worker's neighbors, at random times. Below 1: fewer meetings than "
                "gradients. 0: none before the final average. Where an edge list gives rates, it multiplies them."},
    {KEY(communication, enforce_rate), .preset = "true", .summary = "compute waits for overdue meetings",
     .details = "true: gradients pause while more than communication.pending meetings are due, so that the rate "
                "is kept (as in the paper's tables). false: never waits, and the realised rate may be lower."},
    {KEY(communication, pending), CLOSED(1, 1e6), .preset = "2",
     .summary = "meetings that may be due before compute waits",
     .details = "Only with enforce_rate. Meetings with a peer that does not answer do not count."},
    {KEY(communication, transport), WORDS("auto", "ipc", "cuda", "put", "sendrecv"), .preset = "auto",
     .summary = "how snapshots travel",
     .details = "ipc: from GPU to GPU, between ranks of one node. cuda: the same by an MPI library that knows GPU "
                "memory, between nodes too. put: one-sided MPI_Rput into the peer's window, from GPUs through host "
                "memory. sendrecv: two-sided, where windows do not work. auto: the first of ipc, put and sendrecv that "
                "works in a probe at the start."},
    {KEY(communication, records), CLOSED(1, 16), .preset = "3", .summary = "exchanges a worker can hold open",
     .details = "Each costs twice the model's memory. More let a worker serve others while some peers are slow."},
    {KEY(communication, patience_s), ABOVE(0, 3600), .preset = "1.0",
     .summary = "seconds to wait for one step of a meeting",
     .details = "Then the worker serves others and ends that meeting later."},
    {KEY(communication, limit_s), CLOSED(1, 86400), .preset = "120",
     .summary = "seconds to wait at start and end of a run",
     .details = "A peer silent for longer ends the run with a message that names it."},
    {KEY(communication, chunk_bytes), CLOSED(4096, 1073741824), .preset = "1048576", .summary = "bytes of one put",
     .details = "A snapshot travels in chunks, so that copying and sending overlap."},
    {KEY(communication, bucket_bytes), CLOSED(4096, 1073741824), .preset = "4194304",
     .summary = "bytes of one all-reduce",
     .details = "algorithm allreduce: gradients are averaged in buckets of this size while the backward pass goes "
                "on, as DDP's bucket_cap_mb."},

    {KEY(optimizer, lr), CLOSED(0, 100), .preset = "0.1", .summary = "learning rate per lr_per_samples samples",
     .details = "The peak rate is lr * train.batch * workers / lr_per_samples (linear scaling)."},
    {KEY(optimizer, lr_per_samples), CLOSED(0, 1e9), .preset = "256", .summary = "samples that lr is meant for",
     .details = "0: no scaling, lr is the peak itself."},
    {KEY(optimizer, momentum), BELOW(0, 1), .preset = "0.9", .summary = "momentum of SGD",
     .details = "As in torch.optim.SGD, without dampening. Momentum buffers are never averaged."},
    {KEY(optimizer, nesterov), .preset = "false", .summary = "Nesterov momentum", .details = "As in torch.optim.SGD."},
    {KEY(optimizer, weight_decay), CLOSED(0, 10), .preset = "5.0e-4", .summary = "weight decay",
     .details = "Added to the gradient times the weight, as in torch.optim.SGD."},
    {KEY(optimizer, decay_norm_and_bias), .preset = "false", .summary = "decay biases and batch norm too",
     .details = "false: weights of convolutions and linear layers only."},
    {KEY(optimizer, clip_norm), CLOSED(0, 1e9), .preset = "1.0", .summary = "bound of the gradient's global norm",
     .details = "As torch.nn.utils.clip_grad_norm_. 0: no clipping."},

    {KEY(schedule, name), WORDS("step", "cosine", "constant"), .preset = "step",
     .summary = "course of the learning rate",
     .details = "Follows the share of the run that all workers together have done. step: times schedule.factor at "
                "each milestone. cosine: to 0 at the end. constant: as it is after warm-up."},
    {KEY(schedule, warmup_epochs), CLOSED(0, 1e6), .can_be_auto = true, .preset = "auto",
     .summary = "epochs of linear warm-up",
     .details = "Summed over workers, from the smaller of optimizer.lr and the peak up to the peak. auto: 5, but "
                "at most 5 % of train.epochs."},
    {KEY(schedule, milestones), BETWEEN(0, 1), .preset = "[0.5, 0.75]", .summary = "step: where the rate drops",
     .details = "Ascending shares of the run. []: nowhere."},
    {KEY(schedule, factor), ABOVE(0, 10), .preset = "0.1", .summary = "step: factor at each milestone",
     .details = "PyTorch's gamma."},

    {KEY(train, workers), CLOSED(1, 1e6), .preset = "4", .summary = "workers of `simulate`",
     .details = "Under mpirun or srun the number of ranks counts instead."},
    {KEY(train, batch), CLOSED(1, 1e6), .preset = "128", .summary = "pictures per worker and step",
     .details = "Of each worker: it is not divided by their number."},
    {KEY(train, epochs), ABOVE(0, 1e6), .preset = "300",
     .summary = "passes over the training set, all workers together",
     .details = "Fast workers do more of them, slow ones less. With 4 workers, 300 epochs are about 75 for each."},

    {KEY(train, label_smoothing), BELOW(0, 1), .preset = "0", .summary = "share of each label spread over all classes",
     .details = "As label_smoothing of torch.nn.CrossEntropyLoss: the target is 1 - e at the label, and e / classes "
                "everywhere. Of training losses only: tests have the plain cross-entropy. Models with another loss "
                "(quadratic, linear) refuse it."},

    {KEY(train, on_nan), WORDS("stop", "skip", "rejoin"), .preset = "stop",
     .summary = "what becomes of a gradient that is not finite",
     .details = "It is never applied, and never reaches another worker. stop: the run ends with a message. skip: it is "
                "left out. rejoin: the same, and the worker takes over the model of the neighbor that it meets next "
                "(all-reduce: as skip). 50 in a row end the run in any case."},

    {KEY(simulate, time), WORDS("ideal", "modelled"), .preset = "ideal", .summary = "`simulate`: what time is",
     .details = "ideal: the theory's; one unit per gradient, meetings are instantaneous. modelled: seconds; gradients "
                "take simulate.step_s, messages latency and bandwidth, as under MPI, and inject.* acts."},
    {KEY(simulate, gradients), WORDS("poisson", "regular"), .preset = "poisson",
     .summary = "ideal time: when gradients happen",
     .details = "poisson: at the ticks of a clock of rate 1 per worker. regular: at 1, 2, 3, ..."},
    {KEY(simulate, jobs), CLOSED(0, 1024), .preset = "0", .summary = "ideal time: gradients computed at once",
     .details = "Of workers that meet in pairs, on device.threads threads each; the results are the same bits. 0: as "
                "many as there are cores for, or 1 where a gradient is too short to gain by it."},
    {KEY(simulate, step_s), ABOVE(0, 1e6), .preset = "0.1", .summary = "modelled time: mean seconds of a gradient"},
    {KEY(simulate, distribution), WORDS("constant", "normal", "lognormal", "exponential"), .preset = "lognormal",
     .summary = "modelled time: law of a gradient's duration",
     .details = "normal: durations below a hundredth of the mean are drawn again, which lengthens the mean where the "
                "jitter is large."},
    {KEY(simulate, jitter), CLOSED(0, 10), .preset = "0.05",
     .summary = "modelled time: deviation over mean of a duration",
     .details = "Of normal and lognormal; constant has none, exponential has 1."},
    {KEY(simulate, speed_spread), CLOSED(0, 10), .preset = "0",
     .summary = "modelled time: deviation of the workers' speeds",
     .details = "Of their mean durations, over the mean; drawn once per worker, lognormal."},
    {KEY(simulate, overlap), CLOSED(0, 1), .preset = "0.6",
     .summary = "modelled time: gradient share an all-reduce overlaps",
     .details = "Buckets travel while the backward pass, about two thirds of a gradient, goes on. 0: all of it comes "
                "after the gradient."},
    {KEY(simulate, latency_s), CLOSED(0, 1e6), .preset = "5.0e-5", .summary = "modelled time: latency of a link"},
    {KEY(simulate, bytes_per_second), ABOVE(0, 1e15), .preset = "1.25e9",
     .summary = "modelled time: bandwidth of a link", .details = "Each way. 1.25e9 is 10 Gbit/s."},

    {KEY(inject, slow), .preset = "\"\"", .summary = "workers whose gradients take longer",
     .details =
         "WORKERS xFACTOR [FROM..TO], several separated by commas: \"0 x4, 5-7 x1.5 10..60\". WORKERS: 3, 2-5 or "
         "all. Times in seconds since the start; without TO: for ever. In `train` they really sleep; in "
         "`simulate` modelled time only."},
    {KEY(inject, pause), .preset = "\"\"", .summary = "workers that stand still",
     .details = "WORKERS FROM..TO, as \"3 10..30\": neither gradients nor meetings meanwhile. The longest pause is "
                "added to communication.limit_s."},
    {KEY(inject, death), .preset = "\"\"", .summary = "workers that die",
     .details = "WORKERS at TIME, as \"3 at 60\". In `train` the process kills itself, and the launcher decides what "
                "becomes of the others."},
    {KEY(inject, nan), .preset = "\"\"", .summary = "workers whose gradients are not numbers",
     .details = "WORKERS FROM..TO, as \"2 10..10.5\": a gradient computed then has such an element (train.on_nan)."},
    {KEY(inject, links), .preset = "\"\"", .summary = "links that are slow",
     .details =
         "A-B or `all`, then latency_s=, bytes_per_second=, loss=: \"0-1 latency_s=0.01 bytes_per_second=1e6\". "
         "In `train` the delay comes on top of the real one, and links are those of the graph: all-reduce has none."},
    {KEY(inject, loss), BELOW(0, 1), .preset = "0", .summary = "share of the meetings that are lost",
     .details = "The invitation is lost: both workers lose that meeting, which is counted."},
    {KEY(inject, duplicate), BELOW(0, 1), .preset = "0", .summary = "share of the snapshots that come twice",
     .details = "`train` only, as torn and corrupt: the second one up to 0.3 s later, often when its place has been "
                "given to another meeting."},
    {KEY(inject, torn), BELOW(0, 1), .preset = "0", .summary = "share of the snapshots of which a part comes later",
     .details = "Up to 0.3 s: the end of a chunk, all of it, or the tag that says it is whole."},
    {KEY(inject, corrupt), BELOW(0, 1), .preset = "0", .summary = "share of the snapshots that are changed on the way",
     .details = "Some bytes of them. A damaged snapshot is never applied: it is counted (payloads_damaged), asked for "
                "again, and sent again."},

    {KEY(batch_norm, policy), WORDS("recomputed", "averaged", "own"), .preset = "recomputed",
     .summary = "running statistics of the averaged model",
     .details = "recomputed: from batch_norm.batches training batches at the averaged weights. averaged: mean "
                "over the workers' statistics. own: worker 0's."},
    {KEY(batch_norm, batches), CLOSED(1, 100000), .preset = "32",
     .summary = "training batches for recomputed, of all workers together",
     .details = "Each worker takes the same number of them, and one at least."},

    {KEY(device, name), OF_RANK, .preset = "auto", .summary = "where networks run",
     .details = "cpu or cuda. auto: a GPU where there is one, else the CPU."},
    {KEY(device, threads), OF_RANK, CLOSED(1, 1024), .preset = "1",
     .summary = "CPU threads of one worker's computation",
     .details = "The communication thread comes on top; it sleeps most of the time. Workers on a machine times "
                "threads should not exceed its cores."},
    {KEY(device, precision), WORDS("auto", "fp32", "tf32", "bf16", "fp16"), .preset = "auto",
     .summary = "type of weights and activations in a step",
     .details = "Parameters, momentum and exchanges are always fp32. auto: what is fastest on the device without "
                "loss of accuracy: bf16 for networks with convolutions on a GPU, else fp32. tf32: fp32 whose products "
                "round their factors to tf32. fp16: with a dynamic loss scale. The CPU offers fp32."},
    {KEY(device, deterministic), .preset = "false", .summary = "on a GPU: the same bits every time"},

    {KEY(run, dir), .is_path = true, .preset = "\"\"", .summary = "run directory",
     .details = "Empty: runs/ and the config's base name. One that exists is refused unless the run is resumed."},
    {KEY(run, log_level), OF_RANK, WORDS("error", "warning", "info", "debug"), .preset = "info",
     .summary = "messages shown"},
    {KEY(run, log_every), CLOSED(0, 1e9), .preset = "50", .summary = "gradients between two lines of metrics",
     .details = "0: none."},
    {KEY(run, eval_every_epochs), CLOSED(0, 1e6), .preset = "5", .summary = "epochs between two tests",
     .details = "Summed over workers; each tests its own replica on its share of the test set. 0: at the end only."},
    {KEY(run, checkpoint_every_epochs), CLOSED(0, 1e6), .preset = "25", .summary = "epochs between two checkpoints",
     .details = "Summed over workers. 0: only the final one. Each has the epoch in its name: checkpoint-0025, or "
                "checkpoint-0000.5 for a period of half an epoch."},
    {KEY(run, state_every_epochs), CLOSED(0, 1e6), .preset = "0", .summary = "epochs between two states",
     .details = "Summed over workers. All that a run is, for --resume; three to four times the parameters of every "
                "worker, in memory and on the disk; in `train` it is written while training goes on. 0: only when the "
                "run is asked to leave (SIGTERM, SIGUSR1, SIGHUP, SIGXCPU, Ctrl-C)."},
    {KEY(run, keep_states), CLOSED(1, 1000), .preset = "2", .summary = "states kept, the newest ones"},
    {KEY(run, trace), .preset = "false", .summary = "write trace.json",
     .details = "Both threads of every worker over time, for Perfetto or chrome://tracing."},
    {KEY(run, tensorboard), .preset = "false", .summary = "write TensorBoard event files"},
    {KEY(run, keep_best), .preset = "false", .summary = "keep the best checkpoint",
     .details =
         "best.safetensors: worker 0's replica, by accuracy on the validation pictures (data.validation), tested "
         "every run.eval_every_epochs; the final model where no test falls within the run."},
    {KEY(run, optimum), .preset = "true", .summary = "convex models: record the distance to the minimiser",
     .details = "quadratic, linear and logistic have one; it is found before the run begins. Ignored by others."},
    {KEY(run, record), .preset = "false", .summary = "log every event, for `grapevine replay`",
     .details = "events-<worker>.jsonl in the run directory. Sums over workers are then made in a fixed order, which "
                "costs all-reduce some speed."},
};

const size_t schema_table_count = sizeof schema_table / sizeof schema_table[0];

_Static_assert(sizeof schema_table / sizeof schema_table[0] <= SCHEMA_ROWS_MAX, "raise SCHEMA_ROWS_MAX");
