"""A small HTTP service that keeps items in memory."""
