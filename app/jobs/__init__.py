"""The work of this process in the background: the job engine's workers, and what its jobs do."""
