"""Scaling studies: what jobs/study and jobs/report are made of."""
