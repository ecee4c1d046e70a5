"""What a user would pick instead, measured side by side; has an environment of its own, `make bench-peers`."""
