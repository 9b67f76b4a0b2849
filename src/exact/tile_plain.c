/* tile_plain.c - what the compiler's own flags allow, taken for 16 registers of 4 floats */
#define LANES 4
#define VECTORS 2
#define EACH_VECTORS(X) X(1) X(2)
#define PANEL 6
#define CHAINS 2
#define COLUMNS 6
#define EACH_COLUMNS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define KERNEL precis_tile_kernel_plain
#define NAME "plain"
#include "src/exact/tile_body.h"
