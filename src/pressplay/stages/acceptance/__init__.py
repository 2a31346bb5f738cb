"""Black-box acceptance: asks the preview from outside, judges the answers."""
