/* tile_v4.c - 32 registers of 16 floats (AVX-512) */
#include "src/base/clones.h"

#ifdef PRECIS_TARGET_CLONES
#pragma GCC target("arch=x86-64-v4")

#include <immintrin.h>

#define LANES 16
#define VECTORS 3
#define EACH_VECTORS(X) X(1) X(2) X(3)
#define PANEL 8
#define CHAINS 4
#define COLUMNS 9
#define EACH_COLUMNS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#define MAXIMUM(x, y) ((vector)_mm512_max_ps((__m512)(x), (__m512)(y)))
#define UNLESS_BELOW(w, x, least)                                                                  \
  ((vector)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)(x), (__m512)(least), _CMP_NLT_UQ),      \
                               (__m512)(w)))
#define KERNEL precis_tile_kernel_v4
#define NAME "v4"
#include "src/exact/tile_body.h"
#endif
