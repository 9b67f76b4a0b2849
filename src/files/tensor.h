/* tensor.h - where an array lies in a file, and in which type */
#ifndef PRECIS_SRC_FILES_TENSOR_H
#define PRECIS_SRC_FILES_TENSOR_H

#include <stddef.h>
#include <stdint.h>

enum { PRECIS_TENSOR_AXES = 4 };

typedef enum precis_dtype { PRECIS_F32, PRECIS_F16, PRECIS_BF16, PRECIS_F64 } precis_dtype;

/* Row t is the part of the array at index t of axis 0. */
typedef struct precis_tensor {
  precis_dtype dtype;
  int axes;                          /* 1..PRECIS_TENSOR_AXES */
  int64_t shape[PRECIS_TENSOR_AXES]; /* each >= 0; the product of all, in bytes, fits int64_t */
  int64_t offset;                    /* of the first byte, from the start of the file */
  int fortran;                       /* the first axis is the fastest; else the last, as in C */
  int big_endian;
} precis_tensor;

/* Nonzero where rows follow each other as they are used, in bytes as they are used. */
int precis_tensor_plain(const precis_tensor *tensor);

/* In Fortran order, elements of one column (a place in a row, in C order) follow each other, row
 * after row: the number of the column among columns. */
int64_t precis_tensor_column(const precis_tensor *tensor, int64_t place);

/* Turns count elements of `size` bytes round, in place. */
void precis_bytes_swap(void *raw, int64_t size, int64_t count);

int64_t precis_dtype_size(precis_dtype dtype);
const char *precis_dtype_name(precis_dtype dtype); /* "F32", ... */
/* Nonzero if axes and lengths are in range and the array, also an empty one with its lengths of 0
 * taken for 1, has at most 2^62 bytes. */
int precis_tensor_fits(const precis_tensor *tensor);
int64_t precis_tensor_row_elements(const precis_tensor *tensor);
int64_t precis_tensor_bytes(const precis_tensor *tensor);

/* The shape in words: "(1536, 12, 32)", "(7,)". */
typedef struct precis_shape_text {
  char text[96];
} precis_shape_text;
precis_shape_text precis_tensor_shape_text(const precis_tensor *tensor);

/* Converts count elements of `dtype` at `raw` (little-endian, unaligned) to float32. An F64 beyond
 * the range of float32 becomes an infinity (the finite check finds it later). raw and out may be
 * the same address only if dtype is PRECIS_F32. */
void precis_dtype_to_f32(precis_dtype dtype, const void *raw, int64_t count, float *out);

/* The index of the first value that is not finite, or count. With may_mask -infinity counts as
 * finite. */
int64_t precis_f32_nonfinite(const float *x, int64_t count, int may_mask);

#endif
