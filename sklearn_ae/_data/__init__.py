"""Data: tables in memory and out of core, column statistics, scaling, training samples, splits."""
