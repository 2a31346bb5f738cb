"""The kinds of agent that a CodeRun can name, behind one small interface."""
