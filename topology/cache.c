#include "topology/cache.h"

#include <hwloc.h>
#include <stdio.h>
#include <string.h>

/* The part of all caches of one level that belongs to the PUs in `mine`. */
static int64_t owned_bytes(hwloc_topology_t topology, hwloc_obj_type_t level,
                           hwloc_const_cpuset_t mine)
{
  hwloc_cpuset_t both = hwloc_bitmap_alloc();
  hwloc_obj_t object = NULL;
  double bytes = 0;
  if (both == NULL)
    return -1;
  while ((object = hwloc_get_next_obj_by_type(topology, level, object)) != NULL) {
    hwloc_bitmap_and(both, object->cpuset, mine);
    int all = hwloc_bitmap_weight(object->cpuset);
    if (all > 0)
      bytes += (double)object->attr->cache.size * hwloc_bitmap_weight(both) / all;
  }
  hwloc_bitmap_free(both);
  return (int64_t)bytes;
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

static int count_cores(hwloc_topology_t topology, hwloc_const_cpuset_t set)
{
  int count = 0;
  for (hwloc_obj_t core = NULL;
       (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != NULL;)
    count += hwloc_bitmap_intersects(core->cpuset, set);
  return count > 0 ? count : hwloc_bitmap_weight(set); /* a machine without cores: each PU is one */
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

static int describe(hwloc_topology_t topology, hwloc_const_cpuset_t mine, int sharers,
                    precis_cache *cache)
{
  hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(topology);
  hwloc_const_cpuset_t machine = hwloc_topology_get_topology_cpuset(topology);
  precis_cache found = {.line_bytes = line_bytes(topology),
                        .cores = count_cores(topology, mine),
                        .pus = hwloc_bitmap_weight(mine),
                        .machine_cores = count_cores(topology, machine),
                        .machine_pus = hwloc_bitmap_weight(machine),
                        .bound = !hwloc_bitmap_isequal(mine, allowed)};
  found.l2_bytes = owned_bytes(topology, HWLOC_OBJ_L2CACHE, mine);
  found.l3_bytes = owned_bytes(topology, HWLOC_OBJ_L3CACHE, mine);
  if (found.l2_bytes < 0 || found.l3_bytes < 0 || sharers < 1)
    return -1;
  found.l2_bytes /= sharers;
  found.l3_bytes /= sharers;
  found.fast_bytes = found.l2_bytes + found.l3_bytes;
  found.known = found.fast_bytes > 0;
  if (!found.known)
    found.fast_bytes = PRECIS_CACHE_FALLBACK;
  hwloc_bitmap_list_snprintf(found.cpuset, sizeof found.cpuset, mine);
  copy_model(topology, found.cpu, sizeof found.cpu);
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

int precis_cache_find(int sharers, precis_cache *cache)
{
  hwloc_topology_t topology;
  if (load(NULL, &topology) != 0)
    return -1;
  int result = -1;
  hwloc_cpuset_t mine = hwloc_bitmap_alloc();
  if (mine != NULL) {
    find_binding(topology, mine);
    result = describe(topology, mine, sharers, cache);
  }
  hwloc_bitmap_free(mine);
  hwloc_topology_destroy(topology);
  return result;
}

int precis_cache_find_synthetic(const char *machine, const char *cpuset, int sharers,
                                precis_cache *cache)
{
  hwloc_topology_t topology;
  if (load(machine, &topology) != 0)
    return -1;
  int result = -1;
  hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(topology);
  hwloc_cpuset_t mine = hwloc_bitmap_dup(allowed);
  if (mine == NULL)
    goto destroy;
  if (cpuset != NULL && hwloc_bitmap_list_sscanf(mine, cpuset) != 0)
    goto free_set;
  hwloc_bitmap_and(mine, mine, allowed);
  if (!hwloc_bitmap_iszero(mine))
    result = describe(topology, mine, sharers, cache);
free_set:
  hwloc_bitmap_free(mine);
destroy:
  hwloc_topology_destroy(topology);
  return result;
}
