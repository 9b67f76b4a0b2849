/* fused_v3.c - 16 registers of 8 floats (AVX2) */
#include "src/base/clones.h"

#ifdef PRECIS_TARGET_CLONES
#pragma GCC target("arch=x86-64-v3")

#define LANES 8
#define IOTA 0, 1, 2, 3, 4, 5, 6, 7
#define KEY_ROWS 6
#define EACH_KEY_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define QUERY_COLUMNS 6
#define EACH_QUERY_COLUMNS EACH_KEY_ROWS
#define COUNT_VECTORS 8
#define KERNEL precis_feature_kernel_v3
#define NAME "fused v3"
#include "src/summary/fused_body.h"
#endif
