"""The model: module, canonical code, initialization, statistics, and the fitted model in use."""
