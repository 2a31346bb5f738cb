"""What makes a spec wrong, by its parts; `engine.validating` puts them together."""
