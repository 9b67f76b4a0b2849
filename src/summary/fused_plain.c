/* fused_plain.c - what the compiler's own flags allow, taken for 16 registers of 4 floats */
#define LANES 4
#define IOTA 0, 1, 2, 3
#define KEY_ROWS 6
#define EACH_KEY_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define QUERY_COLUMNS 6
#define EACH_QUERY_COLUMNS EACH_KEY_ROWS
#define COUNT_VECTORS 8
#define KERNEL precis_feature_kernel_plain
#define NAME "fused plain"
#include "src/summary/fused_body.h"
