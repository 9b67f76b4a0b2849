# package.py - Spack's recipe of Precis: spack repo add jobs/spack && spack dev-build precis@main
#
# SPDX-License-Identifier: BSD-3-Clause
#
# Not tried with Spack itself, only that Python reads it. "git" is where your checkout comes from; dev-build needs none.

from spack.package import *


class Precis(AutotoolsPackage):
    """Softmax attention over a sequence that is spread over MPI ranks; moves summaries of keys and
    values where the tolerance allows it, with a proven error for every row."""

    homepage = "https://arxiv.org/abs/2605.23751"
    license("BSD-3-Clause")

    version("main", branch="main")

    depends_on("c", type="build")
    depends_on("autoconf", type="build")
    depends_on("automake", type="build")
    depends_on("libtool", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi@3:")
    depends_on("openblas@0.3.20:")
    depends_on("hwloc@2.9:")
    depends_on("jansson@2.13:")
    depends_on("clp@1.17:")
    depends_on("libmicrohttpd@0.9.75:")
    depends_on("gnutls@3.7:")
    depends_on("cmocka@1.1.5:", type="test")

    def configure_args(self):
        return [f"MPICC={self.spec['mpi'].mpicc}"]
