"""What the estimator is made of: validation, configuration, fitting, fitted methods, persistence."""
