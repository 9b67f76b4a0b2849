/* tile_v3.c - 16 registers of 8 floats (AVX2) */
#include "src/base/clones.h"

#ifdef PRECIS_TARGET_CLONES
#pragma GCC target("arch=x86-64-v3")

#include <immintrin.h>

#define LANES 8
#define VECTORS 2
#define EACH_VECTORS(X) X(1) X(2)
#define PANEL 6
#define CHAINS 2
#define COLUMNS 6
#define EACH_COLUMNS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define MAXIMUM(x, y) ((vector)_mm256_max_ps((__m256)(x), (__m256)(y)))
#define KERNEL precis_tile_kernel_v3
#define NAME "v3"
#include "src/exact/tile_body.h"
#endif
