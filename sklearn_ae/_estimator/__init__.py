"""The parts of the estimator: validation, configuration, fitting, fitted methods, persistence."""
