/* fused_v4.c - 32 registers of 16 floats (AVX-512) */
#include "src/base/clones.h"

#ifdef PRECIS_TARGET_CLONES
#pragma GCC target("arch=x86-64-v4")

#define LANES 16
#define IOTA 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define KEY_ROWS 14
#define EACH_KEY_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define QUERY_COLUMNS 14
#define EACH_QUERY_COLUMNS EACH_KEY_ROWS
#define COUNT_VECTORS 8
#define KERNEL precis_feature_kernel_v4
#define NAME "fused v4"
#include "src/summary/fused_body.h"
#endif
