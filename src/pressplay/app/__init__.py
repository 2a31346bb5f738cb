"""Settings in, running tasks out: the one place where implementations are chosen."""
