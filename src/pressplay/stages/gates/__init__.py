"""Post-conditions of an agent's work: what each role may change, and what must hold afterwards."""
