#include "mpi/world/meet.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "src/precis.h"

/* A number says itself what becomes of it, so that MPI may cut messages up anywhere. */
typedef struct cell {
  int64_t kind; /* of fold, times two, and whether it is whole */
  union {
    double real;
    int64_t whole;
  } is;
} cell;

enum { WIDTH = sizeof(cell) / sizeof(int64_t) };

/* NaN stays, on whatever side it is. */
static double fold_real(int64_t fold, double x, double y)
{
  if (fold == PRECIS_FOLD_SUM)
    return x + y;
  if (isnan(x) || isnan(y))
    return NAN;
  return fold == PRECIS_FOLD_MAX ? fmax(x, y) : fmin(x, y);
}

static int64_t fold_whole(int64_t fold, int64_t x, int64_t y)
{
  if (fold == PRECIS_FOLD_SUM)
    return x + y;
  return (fold == PRECIS_FOLD_MAX) == (x > y) ? x : y;
}

static void fold_cells(void *in, void *inout, int *count, MPI_Datatype *type)
{
  const cell *x = in;
  cell *y = inout;
  (void)type;
  for (int i = 0; i < *count; i++)
    if (y[i].kind & 1)
      y[i].is.whole = fold_whole(y[i].kind >> 1, x[i].is.whole, y[i].is.whole);
    else
      y[i].is.real = fold_real(y[i].kind >> 1, x[i].is.real, y[i].is.real);
}

int precis_meet_create(precis_world *world)
{
  world->cell = MPI_DATATYPE_NULL;
  world->fold = MPI_OP_NULL;
  if (MPI_Type_contiguous(WIDTH, MPI_INT64_T, &world->cell)) {
    world->cell = MPI_DATATYPE_NULL;
    return PRECIS_ERR_MPI;
  }
  if (MPI_Type_commit(&world->cell) || MPI_Op_create(fold_cells, 1, &world->fold)) {
    world->fold = MPI_OP_NULL;
    precis_meet_free(world);
    return PRECIS_ERR_MPI;
  }
  return PRECIS_SUCCESS;
}

void precis_meet_free(precis_world *world)
{
  if (world->fold != MPI_OP_NULL)
    MPI_Op_free(&world->fold);
  if (world->cell != MPI_DATATYPE_NULL)
    MPI_Type_free(&world->cell);
}

/* Number i of a part. A rank without numbers has failed, and they will not be looked at. */
static cell cell_of(const precis_told *part, int64_t i)
{
  cell c = {.kind = 2 * (int64_t)part->fold + (part->real == NULL)};
  if (part->real != NULL)
    c.is.real = part->real[i];
  else
    c.is.whole = part->whole != NULL ? part->whole[i] : 0;
  return c;
}

static void put_back(const precis_told *part, int64_t i, const cell *c)
{
  if (part->real != NULL)
    part->real[i] = c->is.real;
  else if (part->whole != NULL)
    part->whole[i] = c->is.whole;
}

/* Where a message begins or ends: number `at` of part `part`. */
typedef struct place {
  int part;
  int64_t at;
} place;

/* Long ones go by themselves, when all have succeeded. */
static int is_long(const precis_told *part)
{
  return part->count >= PRECIS_MEET_NUMBERS;
}

static int64_t packed(const precis_told *part)
{
  return is_long(part) ? 0 : part->count;
}

static int exchange_long(precis_world *world, const precis_told *part)
{
  const MPI_Op op[] = {MPI_SUM, MPI_MAX, MPI_MIN};
  if (part->count > INT_MAX)
    return PRECIS_ERR_INTERNAL;
  return part->real != NULL
             ? precis_world_reduce(world, part->real, (int)part->count, MPI_DOUBLE, op[part->fold])
             : precis_world_reduce(world, part->whole, (int)part->count, MPI_INT64_T,
                                   op[part->fold]);
}

/* Fills a message from a place on; returns how many numbers there are, and moves the place on. */
static int pack(const precis_told *told, int parts, place *from, cell *cells, int room)
{
  int n = 0;
  while (n < room && from->part < parts)
    if (from->at < packed(&told[from->part]))
      cells[n++] = cell_of(&told[from->part], from->at++);
    else
      *from = (place){from->part + 1, 0};
  return n;
}

static void unpack(const precis_told *told, int parts, place from, const cell *cells, int n)
{
  for (int i = 0; i < n && from.part < parts;)
    if (from.at < packed(&told[from.part]))
      put_back(&told[from.part], from.at++, &cells[i++]);
    else
      from = (place){from.part + 1, 0};
}

static int exchange(precis_world *world, cell *cells, int n)
{
  atomic_store(&world->waiting.meets, 1);
  int failed = precis_world_reduce(world, cells, n, world->cell, world->fold);
  atomic_store(&world->waiting.meets, 0);
  return failed;
}

/* All ranks know what the worst status is, and which rank has words for it. */
static int spread_words(precis_world *world, int own, int worst, int of, precis_message *message)
{
  if (message == NULL)
    return worst;
  if (message->text[0] == '\0' || own == PRECIS_SUCCESS)
    precis_message_set(message, worst, "%s", precis_strerror(worst));
  return precis_world_broadcast(world, message->text, sizeof message->text, MPI_CHAR, of)
             ? PRECIS_ERR_MPI
             : worst;
}

int precis_world_meet(precis_world *world, int status, precis_message *message,
                      const precis_told *told, int parts)
{
  const int64_t ranks = (int64_t)1 << 32;
  cell cells[PRECIS_MEET_NUMBERS];
  place from = {0, 0};
  do {
    place next = from;
    /* The smallest is the worst status, and the lowest rank that has it. */
    cells[0] = (cell){2 * PRECIS_FOLD_MIN + 1, {.whole = status * ranks + world->rank}};
    int n = pack(told, parts, &next, cells + 1, PRECIS_MEET_NUMBERS - 1);
    if (exchange(world, cells, n + 1))
      return PRECIS_ERR_MPI;
    int of = (int)(cells[0].is.whole & (ranks - 1)),
        worst = (int)((cells[0].is.whole - of) / ranks);
    if (worst != PRECIS_SUCCESS)
      return spread_words(world, status, worst, of, message);
    unpack(told, parts, from, cells + 1, n);
    from = next;
    while (from.part < parts && from.at >= packed(&told[from.part]))
      from = (place){from.part + 1, 0};
  } while (from.part < parts);
  status = PRECIS_SUCCESS;
  for (int i = 0; i < parts && status == PRECIS_SUCCESS; i++)
    if (is_long(&told[i]))
      status = exchange_long(world, &told[i]);
  return status;
}
