"""The HTTP API: one process, one thread that searches, everything bounded."""
