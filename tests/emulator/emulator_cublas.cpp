/* libcublas: matrix products with host pointers for alpha and beta, inputs of one type (fp32, fp16 or bf16), outputs of
 * that type or fp32, calculated in fp32, or in tf32 where the program allows it. A wrong argument gives cuBLAS's
 * status; a matrix that does not lie in device memory, which would kill a CUDA program, aborts. */
#include <cublas_api.h>

#include <algorithm>
#include <vector>

#include "emulator.h"
#include "emulator_math.h"

using namespace emulator;

struct cublasContext {
    CUstream_st *stream;
    cublasMath_t math;
};

namespace
{

struct matrix {
    const void *elements;
    number_type type;
    size_t leading; /* column-major: elements between columns */
    long long batch_stride;
    bool transposed;
};

struct product {
    size_t m, n, k, batch;
    float alpha, beta;
    bool tf32; /* round fp32 inputs */
    matrix a, b, c;
};

bool find_type(cudaDataType from, number_type *type)
{
    *type = from == CUDA_R_16F ? FLOAT16 : from == CUDA_R_16BF ? BFLOAT16 : FLOAT32;
    return from == CUDA_R_32F || from == CUDA_R_16F || from == CUDA_R_16BF;
}

const char *element(const matrix &x, size_t batch)
{
    return (const char *)x.elements + (ptrdiff_t)batch * x.batch_stride * (ptrdiff_t)size_of(x.type);
}

/* op(x) (rows, columns), contiguous by rows. */
std::vector<float> gather(const matrix &x, bool tf32, size_t batch, size_t rows, size_t columns)
{
    std::vector<float> out(rows * columns);
    size_t row_stride = x.transposed ? x.leading : 1, column_stride = x.transposed ? 1 : x.leading;
    for (size_t i = 0; i < rows; i++)
        load_many(x.type, element(x, batch), i * row_stride, column_stride, columns, out.data() + i * columns);
    if (tf32)
        round_to_tf32(out.data(), out.size());
    return out;
}

void run_product(const product &p)
{
    for (size_t batch = 0; batch < p.batch; batch++) {
        std::vector<double> sums(p.m * p.n, 0.0);
        std::vector<float> a = gather(p.a, p.tf32, batch, p.m, p.k), b = gather(p.b, p.tf32, batch, p.k, p.n);
        multiply(p.m, p.n, p.k, a.data(), b.data(), sums.data());
        char *c = (char *)(uintptr_t)element(p.c, batch);
        for (size_t j = 0; j < p.n; j++) {
            for (size_t i = 0; i < p.m; i++) {
                size_t at = j * p.c.leading + i;
                float value = p.alpha * (float)sums[i * p.n + j];
                if (p.beta != 0)
                    value += p.beta * load(p.c.type, c, at);
                store(p.c.type, c, at, value);
            }
        }
    }
}

/* `rows` and `columns` as stored. */
void check_memory(const char *name, const matrix &x, size_t rows, size_t columns, size_t batch)
{
    size_t size = ((columns - 1) * x.leading + rows) * size_of(x.type);
    if ((uintptr_t)x.elements % size_of(x.type) != 0)
        fail("cuBLAS: matrix %s is not aligned to its elements", name);
    for (size_t i = 0; i < batch; i++) {
        if (!on_device(element(x, i), size, true))
            fail("cuBLAS: matrix %s (%zu by %zu, leading dimension %zu) is not in device memory", name, rows, columns,
                 x.leading);
    }
}

bool types_are_supported(const product &p, cublasComputeType_t compute)
{
    if (p.a.type != p.b.type || (p.c.type != p.a.type && p.c.type != FLOAT32))
        return false;
    switch (compute) {
    case CUBLAS_COMPUTE_32F:
    case CUBLAS_COMPUTE_32F_PEDANTIC:
        return true;
    case CUBLAS_COMPUTE_32F_FAST_TF32:
    case CUBLAS_COMPUTE_32F_FAST_16F:
    case CUBLAS_COMPUTE_32F_FAST_16BF:
        return p.a.type == FLOAT32;
    default:
        return false;
    }
}

cublasStatus_t submit_product(cublasHandle_t handle, const product &p)
{
    bool a_t = p.a.transposed, b_t = p.b.transposed;
    size_t a_rows = a_t ? p.k : p.m, b_rows = b_t ? p.n : p.k;
    if (p.a.leading < std::max<size_t>(1, a_rows) || p.b.leading < std::max<size_t>(1, b_rows) ||
        p.c.leading < std::max<size_t>(1, p.m))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (p.m == 0 || p.n == 0 || p.batch == 0)
        return CUBLAS_STATUS_SUCCESS;
    if (p.k > 0) {
        check_memory("A", p.a, a_rows, a_t ? p.m : p.k, p.batch);
        check_memory("B", p.b, b_rows, b_t ? p.k : p.n, p.batch);
    }
    check_memory("C", p.c, p.m, p.n, p.batch);
    if (check_stream(handle->stream) != 0)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    int error = submit(handle->stream, "cuBLAS product", [p]() { run_product(p); });
    return remember_error(error) ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
}

} // namespace

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
    if (device_count() == 0)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = new cublasContext{NULL, CUBLAS_DEFAULT_MATH};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    delete handle;
    return handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    locked hold;
    if (handle == NULL || check_stream(stream) != 0)
        return handle ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_NOT_INITIALIZED;
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t size)
{
    locked hold;
    if (handle == NULL)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    bool valid = (uintptr_t)workspace % 256 == 0 && (size == 0 || on_device(workspace, size, false));
    return valid ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    if (handle == NULL)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode)
{
    if (handle == NULL)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    return mode == CUBLAS_POINTER_MODE_HOST ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int *version)
{
    *version = CUBLAS_VERSION;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                          int m, int n, int k, const void *alpha, const void *a, cudaDataType a_type,
                                          int lda, long long a_stride, const void *b, cudaDataType b_type, int ldb,
                                          long long b_stride, const void *beta, void *c, cudaDataType c_type, int ldc,
                                          long long c_stride, int batch, cublasComputeType_t compute, cublasGemmAlgo_t)
{
    locked hold;
    if (handle == NULL)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (m < 0 || n < 0 || k < 0 || batch < 0 || lda < 1 || ldb < 1 || ldc < 1 || !alpha || !beta ||
        transa > CUBLAS_OP_C || transb > CUBLAS_OP_C)
        return CUBLAS_STATUS_INVALID_VALUE;
    product p = {(size_t)m,
                 (size_t)n,
                 (size_t)k,
                 (size_t)batch,
                 *(const float *)alpha,
                 *(const float *)beta,
                 compute == CUBLAS_COMPUTE_32F_FAST_TF32 || handle->math == CUBLAS_TF32_TENSOR_OP_MATH,
                 {a, FLOAT32, (size_t)lda, a_stride, transa != CUBLAS_OP_N},
                 {b, FLOAT32, (size_t)ldb, b_stride, transb != CUBLAS_OP_N},
                 {c, FLOAT32, (size_t)ldc, c_stride, false}};
    if (!find_type(a_type, &p.a.type) || !find_type(b_type, &p.b.type) || !find_type(c_type, &p.c.type) ||
        !types_are_supported(p, compute))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    return submit_product(handle, p);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                            int k, const void *alpha, const void *a, cudaDataType a_type, int lda, const void *b,
                            cudaDataType b_type, int ldb, const void *beta, void *c, cudaDataType c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
    return cublasGemmStridedBatchedEx(handle, transa, transb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0,
                                      beta, c, c_type, ldc, 0, 1, compute, algorithm);
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                              int k, const float *alpha, const float *a, int lda, const float *b, int ldb,
                              const float *beta, float *c, int ldc)
{
    return cublasGemmEx(handle, transa, transb, m, n, k, alpha, a, CUDA_R_32F, lda, b, CUDA_R_32F, ldb, beta, c,
                        CUDA_R_32F, ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

const char *cublasGetStatusName(cublasStatus_t status)
{
    static const struct {
        cublasStatus_t status;
        const char *name;
    } names[] = {
        {CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS"},
        {CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED"},
        {CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED"},
        {CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE"},
        {CUBLAS_STATUS_ARCH_MISMATCH, "CUBLAS_STATUS_ARCH_MISMATCH"},
        {CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED"},
        {CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR"},
        {CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED"},
    };
    for (const auto &row : names) {
        if (row.status == status)
            return row.name;
    }
    return "unknown status of cuBLAS";
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return cublasGetStatusName(status);
}
