"""What preflight decides by: who may start a run, and which of several about one thing goes on."""
