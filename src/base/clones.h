/* clones.h - one source, several instruction sets
 *
 * A function marked PRECIS_CLONES is compiled once for plain hardware and once for each wider
 * vector unit; the loader picks one when the program starts. configure sets PRECIS_TARGET_CLONES
 * where the compiler and the system can do this; elsewhere the compiler's -march decides alone.
 * Such functions are static, as their variants have names that the library must not export. */
#ifndef PRECIS_SRC_BASE_CLONES_H
#define PRECIS_SRC_BASE_CLONES_H

#include "config.h"

#ifdef PRECIS_TARGET_CLONES
#define PRECIS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PRECIS_CLONES
#endif

#endif
