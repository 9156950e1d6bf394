/* The functions of the CUDA backend, as they enter its table of operations. Private to this folder. */
#ifndef GRAPEVINE_DEVICE_CUDA_BACKEND_H
#define GRAPEVINE_DEVICE_CUDA_BACKEND_H

#include "device/device.h"

/* cuda_vectors.c */
enum status cuda_vector_alloc(struct device *device, size_t count, float **out);
void cuda_vector_free(struct device *device, float *vector);
void cuda_vector_read(struct device *device, const float *vector, size_t count, float *host);
void cuda_vector_write(struct device *device, float *vector, size_t count, const float *host);
uint64_t cuda_vector_left_out(struct device *device);
bool cuda_vector_update(struct device *device, bool shared, const struct update_coefficients *c, size_t count,
                        size_t decayed, float *x, float *x_tilde, float *m, const float *g, struct net *net);
void cuda_vector_pair(struct device *device, bool shared, const struct pair_coefficients *c, size_t count, float *x,
                      float *x_tilde, const float *own, const float *peer);
void cuda_vector_snapshot(struct device *device, bool shared, double mix, size_t count, const float *x,
                          const float *x_tilde, float *out);
void cuda_vector_add(struct device *device, size_t count, const float *part, float *sum);
void cuda_vector_scale(struct device *device, size_t count, float factor, float *v);
double cuda_vector_sum_squares(struct device *device, bool shared, size_t count, const float *v);
double cuda_vector_distance(struct device *device, size_t count, const float *own, const float *peer);
uint64_t cuda_vector_digest(struct device *device, size_t count, const float *v);
double cuda_vector_spread(struct device *device, int vector_count, size_t count, const float *const *vectors,
                          float *mean);

/* cuda_copies.c */
uint64_t cuda_copy_out(struct device *device, const float *from, size_t count, float *host);
uint64_t cuda_copy_in(struct device *device, const float *host, size_t count, float *to);
bool cuda_copied(struct device *device, uint64_t ticket);
enum status cuda_pin(struct device *device, void *memory, size_t bytes);
void cuda_unpin(struct device *device, void *memory);

/* cuda_group.c */
enum status cuda_group_name(unsigned char name[DEVICE_NAME_BYTES]);
enum status cuda_group_open(struct device *device, const unsigned char name[DEVICE_NAME_BYTES], int rank, int size,
                            struct device_group **out);
void cuda_group_close(struct device_group *group);
enum status cuda_group_mean(struct device_group *group, float *values, size_t count);
enum status cuda_group_join(struct device_group *group);
bool cuda_group_done(struct device_group *group, int age);

/* cuda_shared.c */
enum status cuda_alloc_shared(struct device *device, size_t count, float **out, unsigned char name[DEVICE_NAME_BYTES]);
enum status cuda_open_shared(struct device *device, const unsigned char name[DEVICE_NAME_BYTES], float **out);
void cuda_close_shared(struct device *device, float *vector);
uint64_t cuda_copy_across(struct device *device, const float *from, size_t count, float *to);
uint64_t cuda_mark(struct device *device);

/* cuda_picture_set.c */
enum status cuda_picture_set_create(struct device *device, const struct picture_bytes *bytes, struct pictures **out);
void cuda_picture_set_destroy(struct pictures *pictures);

/* cuda_net.c */
enum status cuda_net_create(struct device *device, const struct net_spec *spec, size_t batch, float *gradient,
                            float *buffers, struct net **out);
enum status cuda_net_plan(struct device *device, const struct net_spec *spec, size_t batch, size_t *bytes);
void cuda_net_destroy(struct net *net);
void cuda_net_cast(struct net *net, const float *x);
enum status cuda_net_forward(struct net *net, enum net_mode mode, const struct net_batch *batch, uint64_t dropout_seed,
                             struct net_result *result);
enum status cuda_net_result(struct net *net, int age, struct net_result *result);
enum status cuda_net_backward(struct net *net, net_ready_fn *ready, void *context);
void cuda_net_logits(struct net *net, float *host);
size_t cuda_net_bytes(const struct net *net);

#endif
