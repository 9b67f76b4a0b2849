"""ReFrame's view of a machine, to be edited: reframe -C jobs/reframe/settings.py -c jobs/reframe/precis.py -r

Partition "here" starts ranks with mpirun where ReFrame runs; "cluster" through Slurm with srun.
"""
# SPDX-License-Identifier: BSD-3-Clause

site_configuration = {
    "systems": [{
        "name": "machine",
        "descr": "any machine",
        "hostnames": [".*"],
        "partitions": [
            {"name": "here", "scheduler": "local", "launcher": "mpirun", "environs": ["builtin"],
             "max_jobs": 1},
            # {"name": "cluster", "scheduler": "slurm", "launcher": "srun", "environs": ["builtin"],
            #  "access": ["--partition=main"]},
        ]}],
    "environments": [{"name": "builtin"}],
}
