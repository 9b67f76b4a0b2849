#include "topology/cache.h"

#include <hwloc.h>
#include <stdio.h>
#include <string.h>

/* A process on a machine. */
typedef struct place {
  hwloc_topology_t topology;
  hwloc_cpuset_t mine;
  int sharers;            /* of all of it */
  const precis_pus *sets; /* or NULL: of these processes, those that may run on a PU share it */
  int processes;
} place;

/* How many processes may run on a PU of mine. */
static int sharers_of(const place *p, int unit)
{
  int count = 0;
  if (p->sets == NULL)
    return p->sharers;
  for (int i = 0; i < p->processes; i++)
    count += precis_pus_has(&p->sets[i], unit);
  return count > 0 ? count : 1;
}

/* The part of all caches of one level that is mine. */
static int64_t owned_bytes(const place *p, hwloc_obj_type_t level)
{
  hwloc_obj_t object = NULL;
  double bytes = 0;
  while ((object = hwloc_get_next_obj_by_type(p->topology, level, object)) != NULL) {
    double part = 0;
    for (int unit = hwloc_bitmap_first(object->cpuset); unit >= 0;
         unit = hwloc_bitmap_next(object->cpuset, unit))
      if (hwloc_bitmap_isset(p->mine, (unsigned)unit))
        part += 1.0 / sharers_of(p, unit);
    int all = hwloc_bitmap_weight(object->cpuset);
    if (all > 0)
      bytes += (double)object->attr->cache.size * part / all;
  }
  return (int64_t)(bytes + 1e-6); /* thirds may add up to a little less than one */
}

static int line_bytes(hwloc_topology_t topology)
{
  const hwloc_obj_type_t levels[] = {HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L3CACHE};
  for (int i = 0; i < 3; i++) {
    hwloc_obj_t object = hwloc_get_next_obj_by_type(topology, levels[i], NULL);
    if (object != NULL && object->attr->cache.linesize > 0)
      return (int)object->attr->cache.linesize;
  }
  return 64;
}

/* Counts cores with a PU in the set, and names them in `found` (NULL: not wanted). */
static int count_cores(hwloc_topology_t topology, hwloc_const_cpuset_t set, precis_pus *found)
{
  int count = 0;
  for (hwloc_obj_t core = NULL;
       (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != NULL;)
    if (hwloc_bitmap_intersects(core->cpuset, set)) {
      count++;
      if (found != NULL)
        precis_pus_add(found, hwloc_bitmap_first(core->cpuset));
    }
  return count;
}

static void copy_set(hwloc_const_cpuset_t set, precis_pus *copy)
{
  for (int unit = hwloc_bitmap_first(set); unit >= 0; unit = hwloc_bitmap_next(set, unit))
    precis_pus_add(copy, unit);
}

/* A machine without cores: each PU is one. */
static void describe_cores(const place *p, precis_cache *found)
{
  hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(p->topology);
  hwloc_const_cpuset_t machine = hwloc_topology_get_topology_cpuset(p->topology);
  copy_set(p->mine, &found->set);
  found->pus = hwloc_bitmap_weight(p->mine);
  found->machine_pus = hwloc_bitmap_weight(machine);
  found->allowed_pus = hwloc_bitmap_weight(allowed);
  found->cores = count_cores(p->topology, p->mine, &found->core_set);
  found->machine_cores = count_cores(p->topology, machine, NULL);
  found->allowed_cores = count_cores(p->topology, allowed, NULL);
  if (found->machine_cores == 0) {
    found->core_set = found->set;
    found->cores = found->pus;
    found->machine_cores = found->machine_pus;
    found->allowed_cores = found->allowed_pus;
  }
}

static void describe_memory(const place *p, precis_cache *found)
{
  hwloc_bitmap_t near = hwloc_bitmap_alloc();
  int number = 0;
  found->numa_first = -1;
  for (hwloc_obj_t node = NULL;
       (node = hwloc_get_next_obj_by_type(p->topology, HWLOC_OBJ_NUMANODE, node)) != NULL; number++)
    if (hwloc_bitmap_intersects(node->cpuset, p->mine)) {
      if (near != NULL)
        hwloc_bitmap_set(near, node->os_index);
      found->numa_first = found->numa_first < 0 ? number : found->numa_first;
      found->numa_count++;
    }
  found->numa_nodes = number > 0 ? number : 1;
  if (near != NULL)
    hwloc_bitmap_list_snprintf(found->numa, sizeof found->numa, near);
  hwloc_bitmap_free(near);
  if (found->numa_count == 0) {
    found->numa_count = 1;
    found->numa_first = 0;
  }
}

static void describe_level(const place *p, hwloc_obj_type_t level, int *count, int64_t *size)
{
  hwloc_obj_t first = hwloc_get_next_obj_by_type(p->topology, level, NULL);
  int found = hwloc_get_nbobjs_by_type(p->topology, level);
  *count = found > 0 ? found : 0;
  *size = first != NULL ? (int64_t)first->attr->cache.size : 0;
}

/* hwloc keeps the model with the package, or with the machine where there are no packages. */
static void copy_model(hwloc_topology_t topology, char *text, size_t size)
{
  hwloc_obj_t package = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PACKAGE, NULL);
  const char *model = package ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
  if (model == NULL)
    model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "CPUModel");
  snprintf(text, size, "%s", model ? model : "unknown");
}

static int describe(const place *p, precis_cache *cache)
{
  hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(p->topology);
  precis_cache found = {.line_bytes = line_bytes(p->topology),
                        .bound = !hwloc_bitmap_isequal(p->mine, allowed)};
  if (p->sharers < 1)
    return -1;
  int packages = hwloc_get_nbobjs_by_type(p->topology, HWLOC_OBJ_PACKAGE);
  found.packages = packages > 0 ? packages : 1;
  describe_cores(p, &found);
  describe_memory(p, &found);
  describe_level(p, HWLOC_OBJ_L2CACHE, &found.l2_count, &found.l2_size);
  describe_level(p, HWLOC_OBJ_L3CACHE, &found.l3_count, &found.l3_size);
  found.l2_bytes = owned_bytes(p, HWLOC_OBJ_L2CACHE);
  found.l3_bytes = owned_bytes(p, HWLOC_OBJ_L3CACHE);
  found.fast_bytes = found.l2_bytes + found.l3_bytes;
  found.known = found.fast_bytes > 0;
  if (!found.known)
    found.fast_bytes = PRECIS_CACHE_FALLBACK;
  hwloc_bitmap_list_snprintf(found.cpuset, sizeof found.cpuset, p->mine);
  copy_model(p->topology, found.cpu, sizeof found.cpu);
  *cache = found;
  return 0;
}

/* Loads the topology; `machine` is NULL for the one underneath. */
static int load(const char *machine, hwloc_topology_t *topology)
{
  if (hwloc_topology_init(topology) != 0)
    return -1;
  /* Without this flag hwloc hides PUs that are not ours, and their caches would look like ours
   * alone. */
  if (hwloc_topology_set_flags(*topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) == 0 &&
      (machine == NULL || hwloc_topology_set_synthetic(*topology, machine) == 0) &&
      hwloc_topology_load(*topology) == 0)
    return 0;
  hwloc_topology_destroy(*topology);
  return -1;
}

/* The PUs the process may run on; all that are allowed where the system cannot say. */
static void find_binding(hwloc_topology_t topology, hwloc_cpuset_t mine)
{
  hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(topology);
  if (hwloc_get_cpubind(topology, mine, HWLOC_CPUBIND_PROCESS) != 0)
    hwloc_bitmap_copy(mine, allowed);
  hwloc_bitmap_and(mine, mine, allowed);
  if (hwloc_bitmap_iszero(mine))
    hwloc_bitmap_copy(mine, allowed);
}

/* What a process with this binding would be given: `set`, `list`, or what is allowed. */
static int take_binding(hwloc_topology_t topology, const precis_pus *set, const char *list,
                        hwloc_cpuset_t mine)
{
  hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(topology);
  hwloc_bitmap_copy(mine, allowed);
  if (list != NULL && hwloc_bitmap_list_sscanf(mine, list) != 0)
    return -1;
  for (int i = 0; set != NULL && i < PRECIS_PUS_MOST; i++)
    if (!precis_pus_has(set, i))
      hwloc_bitmap_clr(mine, (unsigned)i);
  hwloc_bitmap_and(mine, mine, allowed);
  return hwloc_bitmap_iszero(mine) ? -1 : 0;
}

/* On the machine underneath (NULL) the system says what is ours. */
static int find(const char *machine, const char *list, int sharers, const precis_pus *sets,
                int processes, int mine, precis_cache *cache)
{
  place p = {.sharers = sharers, .sets = sets, .processes = processes};
  if (sets != NULL && (mine < 0 || mine >= processes))
    return -1;
  if (load(machine, &p.topology) != 0)
    return -1;
  int result = -1;
  p.mine = hwloc_bitmap_alloc();
  if (p.mine != NULL) {
    if (machine == NULL)
      find_binding(p.topology, p.mine);
    if (machine == NULL || take_binding(p.topology, sets ? &sets[mine] : NULL, list, p.mine) == 0)
      result = describe(&p, cache);
  }
  hwloc_bitmap_free(p.mine);
  hwloc_topology_destroy(p.topology);
  return result;
}

int precis_cache_find(int sharers, precis_cache *cache)
{
  return find(NULL, NULL, sharers, NULL, 0, 0, cache);
}

int precis_cache_find_among(const precis_pus *sets, int processes, int mine, precis_cache *cache)
{
  return find(NULL, NULL, 1, sets, processes, mine, cache);
}

int precis_cache_find_synthetic(const char *machine, const char *cpuset, int sharers,
                                precis_cache *cache)
{
  return find(machine, cpuset, sharers, NULL, 0, 0, cache);
}

int precis_cache_find_synthetic_among(const char *machine, const precis_pus *sets, int processes,
                                      int mine, precis_cache *cache)
{
  return find(machine, NULL, 1, sets, processes, mine, cache);
}
