/* footprint.h - the memory and the fast-memory traffic of a move, foretold from shapes
 *
 * Bytes that the library holds on the rank with the largest share at the worst moment of a call:
 * keys and values, and what the call allocates. The caller's own arrays and what MPI holds are not
 * among them. */
#ifndef PRECIS_SRC_MODEL_FOOTPRINT_H
#define PRECIS_SRC_MODEL_FOOTPRINT_H

#include "src/model/model.h"

/* What is there before a call. */
int64_t precis_footprint_held(const precis_scene *scene);

/* What a call by summaries takes anew and uses: without a summary that is kept, and without room
 * for kernels, of which small problems use little. */
int64_t precis_footprint_summaries_taken(const precis_scene *scene,
                                         const precis_summary_size *size);

/* Of the tiles move, what ranks of a node share: theirs to pay for, a part each. 0: nothing. */
int64_t precis_footprint_window(const precis_scene *scene);

/* What a rank takes of memory shared by its node at most, for tiles or for a summary, where there
 * is enough of it; and whether there is not: tiles, or the tiles of the summary, then go from rank
 * to rank by messages. */
int64_t precis_footprint_shared_tiles(const precis_scene *scene);
int64_t precis_footprint_shared_summary(const precis_scene *scene, const precis_summary_size *size);
int precis_footprint_tiles_apart(const precis_scene *scene);
int precis_footprint_summary_apart(const precis_scene *scene, const precis_summary_size *size);

int64_t precis_footprint_exact(const precis_scene *scene, precis_move move);
int64_t precis_footprint_summaries(const precis_scene *scene, const precis_summary_size *size);

/* Through a summary that is kept, to which so many keys come. */
int64_t precis_footprint_kept(const precis_scene *scene, const precis_summary_size *size,
                              int64_t added);

/* Whether a summary is kept for later calls: where it takes no more memory than the keys
 * themselves, or little, and the limit allows it. */
int precis_footprint_keeps(const precis_scene *scene, const precis_summary_size *size);

/* Numbers in a tile of a summary, and words through fast memory of all ranks (design: formulas of
 * summarise.h and apply.h). */
double precis_footprint_tile_numbers(const precis_scene *scene, const precis_summary_size *size);
double precis_footprint_summary_words(const precis_scene *scene, const precis_summary_size *size);

#endif
