"""What the tests on a live cluster need beside it: images, a forge, doubles, runs."""
