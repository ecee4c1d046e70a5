"""Training: the skorch net, its optimizers and callbacks, resuming, several processes."""
