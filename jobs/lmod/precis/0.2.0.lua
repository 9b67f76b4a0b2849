-- 0.2.0.lua - Lmod module of Precis: module use jobs/lmod; module load precis
--
-- SPDX-License-Identifier: BSD-3-Clause
--
-- Edit: where "make install" put it (configure's --prefix), or set $PRECIS_PREFIX.
local prefix = os.getenv("PRECIS_PREFIX") or pathJoin("/opt/precis", myModuleVersion())

help([[
precis computes softmax attention over a sequence that is spread over MPI ranks.
It was built with the MPI, OpenBLAS and hwloc that must be loaded when it runs.
  precis help run
]])
whatis("Name: Precis")
whatis("Version: " .. myModuleVersion())
whatis("Description: distributed softmax attention with proven errors")
whatis("Keywords: attention, MPI, numerics")

conflict("precis")
-- depends_on("openmpi", "openblas", "hwloc")

prepend_path("PATH", pathJoin(prefix, "bin"))
prepend_path("LD_LIBRARY_PATH", pathJoin(prefix, "lib"))
prepend_path("LIBRARY_PATH", pathJoin(prefix, "lib"))
prepend_path("CPATH", pathJoin(prefix, "include"))
prepend_path("PKG_CONFIG_PATH", pathJoin(prefix, "lib", "pkgconfig"))
prepend_path("MANPATH", pathJoin(prefix, "share", "man"))
setenv("PRECIS", pathJoin(prefix, "bin", "precis"))
