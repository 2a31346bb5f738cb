"""The command line: parse arguments, call one function, choose an exit code."""
